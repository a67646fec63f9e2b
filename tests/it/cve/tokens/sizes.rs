//! Endless answers of providers.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};
use url::Url;

use super::{is_alive, log_in, show, takes_access_tokens_as, takes_id_tokens};
use crate::harness::{Issuer, TestStack, Upstream, within_time_limit};

/// More bytes than any limit and the socket buffers: if all are sent, the answer was not cut.
const ENDLESS: usize = 64 << 20;
/// The limit of 1 MiB and the socket buffers.
const CUT: usize = 16 << 20;

/// A server whose answers do not end; it counts the bytes that it could send.
async fn endless(head: &'static str) -> (Upstream, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let server = Upstream::start(move |mut wire| {
        let count = Arc::clone(&count);
        async move {
            if wire.request().await.is_none() {
                return;
            }
            wire.send(head).await;
            let piece = [b"10000\r\n".to_vec(), vec![b' '; 65536], b"\r\n".to_vec()].concat();
            let mut own = 0;
            while own < ENDLESS && wire.try_send(&piece).await {
                own += piece.len();
                count.fetch_add(piece.len(), Ordering::Relaxed);
            }
        }
    })
    .await;
    (server, sent)
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
/// It announces a gigabyte and sends bytes that look like chunks.
const GIGABYTE: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1073741824\r\n\r\n";

fn was_cut(sent: &AtomicUsize) {
    let sent = sent.swap(0, Ordering::Relaxed);
    assert!(sent > 0 && sent < CUT, "{sent} octets were taken");
}

/// Begins a login at `kit` and comes back with a code.
async fn comes_back(stack: &TestStack, prepare: impl Fn(&str)) -> crate::harness::Answer {
    let browser = stack.browser();
    let start = browser.navigate("/auth/login/kit").await.is(303);
    let location: Url = start.location().parse().unwrap();
    let value = |name: &str| location.query_pairs().find(|(n, _)| n == name).unwrap().1.into_owned();
    prepare(&value("nonce"));
    let answer = browser.navigate(&format!("/auth/callback/kit?code=x&state={}", value("state"))).await;
    assert!(!browser.is_logged_in(), "{answer}");
    answer
}

#[tokio::test]
async fn cve_2026_26998_an_answer_without_end_is_cut() {
    for head in [CHUNKED, GIGABYTE] {
        let (server, sent) = endless(head).await;
        let (issuer, page) = (Issuer::start().await, Upstream::saying("page").await);
        // Keys of the authority.
        let verify = issuer.verify_toml().replacen(&issuer.origin(), &server.target(), 1);
        let stack = takes_access_tokens_as(&verify, &page).await;
        show(&stack, &issuer.token(&issuer.access_claims(&stack.clock, &json!({})))).await;
        assert_eq!(page.heard().len(), 0);
        was_cut(&sent);
        is_alive(&stack).await;

        // Everything that a provider answers.
        let origin = issuer.origin();
        let metadata = |changes: &Value| {
            let mut metadata = json!({
                "issuer": origin,
                "authorization_endpoint": format!("{origin}/authorize"),
                "token_endpoint": format!("{origin}/token"),
                "userinfo_endpoint": format!("{origin}/userinfo"),
                "jwks_uri": format!("{origin}/jwks"),
            });
            for (name, value) in changes.as_object().unwrap() {
                metadata[name] = value.clone();
            }
            let text = metadata.to_string();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", text.len());
            issuer.answers("/.well-known/openid-configuration", head + &text);
        };
        let at = format!("{}/x", server.target());
        metadata(&json!({ "jwks_uri": at }));
        let stack = takes_id_tokens(&issuer).start().await;
        log_in(&stack, &issuer.token(&issuer.id_claims(&stack.clock, &json!({})))).await.is(503);
        was_cut(&sent);

        metadata(&json!({ "token_endpoint": at }));
        let stack = takes_id_tokens(&issuer).start().await;
        comes_back(&stack, |_| {}).await.is(503);
        was_cut(&sent);

        metadata(&json!({ "userinfo_endpoint": at }));
        let stack = takes_id_tokens(&issuer).start().await;
        let answer = comes_back(&stack, |nonce| {
            let id_token = issuer.token(&issuer.id_claims(&stack.clock, &json!({ "nonce": nonce })));
            let tokens = json!({ "access_token": "at", "token_type": "Bearer", "id_token": id_token }).to_string();
            issuer.answers(
                "/token",
                format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{tokens}",
                    tokens.len()
                ),
            );
        });
        within_time_limit("the end of a login", answer).await.is(503);
        was_cut(&sent);
        is_alive(&stack).await;
    }
}
