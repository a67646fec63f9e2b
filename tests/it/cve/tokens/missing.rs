//! Missing secrets, certificates, stores and providers: without them no session opens.

use std::{collections::BTreeMap, path::Path};

use http::Method;
use serde_json::json;
use vestibule::{config, demo::Fault, secret::Random};

use super::{show, takes_access_tokens};
use crate::harness::{Issuer, Setup, TestStack, Upstream, free_port};

const KEY: &str = "session.keys = [\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"]\n";

fn complaints(file: &str) -> Option<String> {
    let loaded = config::parse(file, "gateway.toml", Path::new(""), &BTreeMap::new(), &Random::system());
    loaded.err().map(|complaints| complaints.to_string())
}

/// Also CVE-2026-54762 (Traefik), CVE-2026-27586 (Caddy), CVE-2024-23324 (Envoy).
#[tokio::test]
async fn ghsa_8fpg_xm3f_6cx3_without_a_secret_or_a_certificate_nothing_starts() {
    let stack = Setup::new().known_as("https://app.example.test").with(KEY).start().await;
    let file = |more: &str| stack.file(free_port(), more);
    assert_eq!(complaints(&file("")), None);
    for missing in [
        "session.keys = []",
        "session.keys = [\"\"]",
        "session.keys = [\"AAAA\"]",
        "session.keys = [\"env:VESTIBULE_NOT_SET\"]",
        "session.keys = [\"file:/nowhere/session.key\"]",
        "signing.keys = []",
        "signing.keys = [\"file:/nowhere/signing.pem\"]",
        "server.tls = { cert = \"/nowhere/cert.pem\", key = \"/nowhere/key.pem\" }",
        "server.tls = { cert = \"/dev/null\", key = \"/dev/null\" }",
        "providers.demo.client_secret = \"env:VESTIBULE_NOT_SET\"",
        "providers.demo.client_secret = \"\"",
        "store = { kind = \"redis\" }",
        "store = { kind = \"redis\", url = \"env:VESTIBULE_NOT_SET\" }",
        "authority.verify = { jwks_url = \"\" }",
        "authority.verify.public_key = \"file:/nowhere/key.pem\"",
        "authority.kind = \"none\"",
    ] {
        assert!(complaints(&file(missing)).is_some(), "{missing}");
    }
    let unverified = Setup::new().without("authority.verify").start().await;
    assert!(
        complaints(&unverified.file(free_port(), "session.seal = false")).is_some(),
        "nothing vouches for raw tokens"
    );
    let nobody = file("").replace("[authority]", "[authority_that_was]");
    assert!(complaints(&nobody).is_some());
}

async fn is_denied(stack: &TestStack, why: &str) {
    for cookie in ["a=b", "sb_at=x; sb_rt=y", "sb_at=00000000.1.AAAA; sb_rt=00000000.1.AAAA"] {
        for method in [Method::GET, Method::POST] {
            let answer = stack.browser().plain(method, "/api/me").header("cookie", cookie).await;
            assert_eq!(answer.status, 401, "{why}: {answer}");
        }
    }
    assert_eq!(stack.backend.requests("/api/me"), 0, "{why}");
}

#[tokio::test]
async fn ghsa_8fpg_xm3f_6cx3_without_a_store_a_provider_or_an_authority_no_session_opens() {
    let away = format!("store = {{ kind = \"redis\", url = \"redis://127.0.0.1:{}\" }}\n{KEY}", free_port());
    let stack = TestStack::with(&away).await;
    is_denied(&stack, "no store").await;
    let browser = stack.browser();
    let callback = browser.as_far_as_callback("demo", "/", "mina").await;
    browser.follow(&callback).await.is(503);
    assert!(!browser.is_logged_in());
    is_denied(&stack, "no store").await;

    let stack = TestStack::start().await;
    stack.provider.set_down(true);
    is_denied(&stack, "no provider").await;
    stack.browser().navigate("/auth/login/demo").await.is(503);
    stack.provider.set_down(false);
    stack.advance(std::time::Duration::from_secs(2));

    let browser = stack.browser();
    stack.backend.set_authority_fault(Fault::Close);
    let callback = browser.as_far_as_callback("demo", "/", "mina").await;
    browser.follow(&callback).await.is(503);
    assert!(!browser.is_logged_in());
    is_denied(&stack, "no authority").await;
    stack.backend.set_authority_fault(Fault::None);

    // A session that cannot be refreshed now gets 503 and is kept.
    let mina = stack.logged_in("mina").await;
    stack.backend.set_authority_fault(Fault::Unavailable);
    stack.expire_tokens();
    let answer = mina.fetch("/api/me").await.is(503).says("unavailable");
    assert!(answer.set_cookies().is_empty(), "{answer}");
    assert_eq!(stack.backend.requests("/api/me"), 0);
}

#[tokio::test]
async fn ghsa_8fpg_xm3f_6cx3_without_the_keys_no_token_is_accepted() {
    let (issuer, page) = (Issuer::start().await, Upstream::saying("page").await);
    let stack = takes_access_tokens(&issuer, &page).await;
    let token = issuer.token(&issuer.access_claims(&stack.clock, &json!({})));
    for bad in [
        "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"keys\":[]}",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nkeys!",
    ] {
        issuer.answers("/jwks", bad);
        stack.advance(std::time::Duration::from_secs(31));
        let answer = show(&stack, &token).await;
        assert_eq!(answer.status, 401, "{answer}");
    }
    assert_eq!(page.heard().len(), 0);
    issuer.publish();
    stack.advance(std::time::Duration::from_secs(31));
    show(&stack, &token).await.is(200).says("valid");
}
