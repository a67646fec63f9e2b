//! A certified OpenID provider (npm oidc-provider): with a backend's tokens, and as the authority.

use futures_util::future::join_all;
use url::Url;

use crate::harness::{OpenIdProvider, Setup, Upstream, free_port, secs};

fn public_url(port: u16) -> Url {
    format!("http://127.0.0.1:{port}").parse().unwrap()
}

#[tokio::test]
async fn a_login_at_a_real_provider_opens_a_session_with_the_backends_tokens() {
    let port = free_port();
    let mut provider = OpenIdProvider::start(&public_url(port), secs(600)).await;
    let stack = Setup::new().with(&provider.toml()).backend_trusts_anyone().port(port).start().await;
    let browser = stack.browser();
    let answer = provider.login(&browser, "mina", "/api/me").await.is(303).says("refreshed");
    assert_eq!(answer.location(), "/api/me");
    let session = browser.fetch("/auth/session").await.is(200).json();
    assert_eq!(session["user"]["email"], "mina@example.test");
    assert_eq!(session["user"]["sub"], "mina");
    stack.expire_tokens();
    browser.fetch("/api/me").await.is(200).says("refreshed");
    assert_eq!(stack.backend.refresh_calls(), 1);
    let form =
        browser.post("/auth/logout").form(&[]).header("sec-fetch-mode", "navigate").header("accept", "text/html");
    let out = form.await.is(303);
    assert!(out.location().starts_with(provider.issuer()), "{out}");
    provider.end_session(&browser, &out).await;
    provider.event("end_session.success").await;
    assert_eq!(stack.backend.counters().signouts, 1);
    assert!(!browser.is_logged_in());
}

#[tokio::test]
async fn as_the_authority_a_real_provider_gets_one_refresh_and_never_a_used_token() {
    let port = free_port();
    let mut provider = OpenIdProvider::start(&public_url(port), secs(60)).await;
    let upstream = Upstream::saying("ok").await;
    let stack = Setup::new()
        .without("authority")
        .without("routes")
        .with(&provider.toml())
        .with(&format!(
            r#"
            [authority]
            kind = "provider"
            [upstreams.x]
            targets = ["{}"]
            bearer = "access"
            [upstreams.backend]
            bearer = "none"
            [[routes]]
            path = "/x"
            upstream = "x"
            access = "user"
            "#,
            upstream.target()
        ))
        .port(port)
        .start()
        .await;
    let browser = stack.browser();
    provider.login(&browser, "jun", "/x").await.is(303);
    browser.fetch("/x").await.is(200).says("valid");
    let first = upstream.last().header("authorization").unwrap().to_owned();
    assert_eq!(browser.fetch("/auth/session").await.json()["roles"], serde_json::json!(["admin"]));
    assert_eq!(provider.event("grant.success").await["grant"], "authorization_code");
    for _ in 0..3 {
        stack.advance(secs(61));
        let old = browser.copy();
        let answers = join_all((0..50).map(|_| browser.copy().fetch("/x").into_future())).await;
        for answer in answers {
            answer.is(200).says("refreshed");
        }
        assert_eq!(provider.event("grant.success").await["grant"], "refresh_token");
        browser.fetch("/x").await.is(200);
        old.fetch("/x").await.is(200).says("refreshed");
    }
    assert_ne!(upstream.last().header("authorization").unwrap(), first);
    let out = browser.post("/auth/logout").await.is(200);
    assert_eq!(out.json()["success"], true);
    // There was no other refresh in between, neither a superfluous nor a refused one.
    assert_eq!(provider.next_event().await["event"], "grant.revoked");
}
