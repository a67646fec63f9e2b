//! The gateway as the authority: the backend gets a Bearer that the published keys verify.

use std::fs;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;
use jsonwebtoken::{DecodingKey, Validation, jwk::JwkSet};
use serde_json::{Value, json};
use vestibule::signing::{SigningAlgorithm, SigningKey};

use crate::harness::{Browser, Raw, Setup, TestStack, Upstream, secs};

/// The demo's provider, the gateway as the authority, and a backend without logins behind `/app`.
fn setup(backend: &Upstream) -> Setup {
    Setup::new().without("authority").with(&format!(
        r#"
        [authority]
        kind = "gateway"
        [authority.gateway]
        audience = "app"
        access_token_lifetime = "5m"
        roles.admin = {{ claims = {{ role = ["admin"] }} }}
        [upstreams.app]
        targets = ["{}"]
        [[routes]]
        path = "/app/{{*rest}}"
        upstream = "app"
        [[routes]]
        path = "/admin"
        upstream = "app"
        access = {{ roles = ["admin"] }}
        "#,
        backend.target()
    ))
}

async fn stack(backend: &Upstream) -> TestStack {
    setup(backend).start().await
}

/// The Bearer of the latest request to the backend.
fn bearer(backend: &Upstream) -> String {
    let heard = backend.last();
    heard.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).expect("a Bearer").to_owned()
}

async fn published(stack: &TestStack) -> Value {
    stack.browser().plain(Method::GET, "/.well-known/jwks.json").await.is(200).json()
}

/// The claims of a JWT as a backend verifies it: by the published set, its type, issuer and audience; times by the
/// test's clock.
async fn verified(stack: &TestStack, token: &str, typ: &str, audience: &str) -> Option<Value> {
    let set: JwkSet = serde_json::from_value(published(stack).await).unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    assert_eq!(header.typ.as_deref(), Some(typ));
    let jwk = set.find(&header.kid.unwrap())?;
    let mut validation = Validation::new(header.alg);
    validation.validate_exp = false;
    validation.set_audience(&[audience]);
    validation.set_issuer(&[stack.gateway.public_url().origin().ascii_serialization()]);
    let claims: Value = jsonwebtoken::decode(token, &DecodingKey::from_jwk(jwk).unwrap(), &validation).ok()?.claims;
    assert!(claims["exp"].as_i64().unwrap() > stack.clock.now().as_secs(), "{claims}");
    Some(claims)
}

async fn asks(browser: &Browser, stack: &TestStack, backend: &Upstream) -> Value {
    browser.fetch("/app/x").await.is(200);
    verified(stack, &bearer(backend), "at+jwt", "app").await.expect("the published keys verify it")
}

#[tokio::test]
async fn a_backend_without_logins_gets_a_bearer_that_the_published_keys_verify() {
    let backend = Upstream::saying("hello").await;
    let stack = stack(&backend).await;
    stack.browser().fetch("/app/x").await.is(401).says("anonymous");
    let browser = stack.logged_in("mina").await;
    let claims = asks(&browser, &stack, &backend).await;
    assert_eq!(claims["sub"], "demo|demo-mina");
    assert_eq!(
        (&claims["email"], &claims["role"], &claims["roles"]),
        (&json!("mina@example.test"), &json!("user"), &json!(["user"]))
    );
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
    let session = browser.fetch("/auth/session").await.is(200).json();
    assert_eq!((&session["user"]["sub"], &session["roles"]), (&json!("demo|demo-mina"), &json!(["user"])));
    browser.fetch("/admin").await.is(403).says("valid");
    assert_eq!(stack.backend.counters().exchanges, 0);
}

#[tokio::test]
async fn a_refresh_brings_a_new_bearer_and_a_logout_ends_it() {
    let backend = Upstream::saying("hello").await;
    let stack = stack(&backend).await;
    let browser = stack.logged_in("mina").await;
    let mut seen = vec![asks(&browser, &stack, &backend).await["jti"].clone()];
    for _ in 0..3 {
        stack.expire_tokens();
        browser.fetch("/app/x").await.is(200).says("refreshed");
        seen.push(verified(&stack, &bearer(&backend), "at+jwt", "app").await.unwrap()["jti"].clone());
    }
    seen.dedup();
    assert_eq!(seen.len(), 4, "each is another: {seen:?}");
    let stolen = browser.copy();
    browser.post("/auth/logout").await.is(200);
    stolen.fetch("/app/x").await.is(401).says("invalid");
}

#[tokio::test]
async fn cookies_that_come_back_long_after_they_were_replaced_end_the_session_everywhere() {
    let backend = Upstream::saying("hello").await;
    let stack = stack(&backend).await;
    let browser = stack.logged_in("mina").await;
    let stolen = browser.copy();
    stack.expire_tokens();
    browser.fetch("/app/x").await.is(200).says("refreshed");
    browser.fetch("/app/x").await.is(200).says("valid");
    stack.expire_tokens();
    browser.fetch("/app/x").await.is(200).says("refreshed");
    browser.fetch("/app/x").await.is(200).says("valid");
    stack.advance(secs(120));
    stolen.fetch("/app/x").await.is(401).says("invalid");
    browser.fetch("/app/x").await.is(401).says("invalid");
}

#[tokio::test]
async fn an_instance_that_never_saw_a_session_detects_too_that_its_refresh_token_was_replaced() {
    let backend = Upstream::saying("hello").await;
    let stack = stack(&backend).await;
    let browser = stack.logged_in("mina").await;
    let stolen = browser.copy();
    for _ in 0..2 {
        stack.expire_tokens();
        browser.fetch("/app/x").await.is(200).says("refreshed");
        browser.fetch("/app/x").await.is(200).says("valid");
    }
    stack.advance(secs(120));
    stack.reload_with("");
    stolen.fetch("/app/x").await.is(401).says("invalid");
    browser.fetch("/app/x").await.is(401).says("invalid");
}

#[tokio::test]
async fn roles_are_computed_again_after_a_reload() {
    let backend = Upstream::saying("hello").await;
    let stack = stack(&backend).await;
    let browser = stack.logged_in("mina").await;
    browser.fetch("/admin").await.is(403);
    stack.reload_with(r#"authority.gateway.roles.admin = { claims = { role = ["admin", "user"] } }"#);
    browser.fetch("/admin").await.is(403).says("valid");
    stack.expire_tokens();
    browser.fetch("/admin").await.is(200).says("refreshed");
    let claims = verified(&stack, &bearer(&backend), "at+jwt", "app").await.expect("the derived keys outlive a reload");
    assert_eq!(claims["role"], "admin");
}

#[tokio::test]
async fn a_person_who_is_no_longer_allowed_is_logged_out_at_the_next_refresh() {
    let backend = Upstream::saying("hello").await;
    let stack = stack(&backend).await;
    let browser = stack.logged_in("mina").await;
    stack.reload_with(r#"providers.demo.allow = { emails = ["jun@example.test"] }"#);
    browser.fetch("/app/x").await.is(200).says("valid");
    stack.expire_tokens();
    browser.fetch("/app/x").await.is(401).says("invalid");
    let again = stack.browser();
    let callback = again.as_far_as_callback("demo", "/app/x", "mina").await;
    again.follow(&callback).await.is(403);
    assert!(!again.is_logged_in());
    stack.logged_in("jun").await.fetch("/app/x").await.is(200);
}

#[tokio::test]
async fn an_unsealed_access_token_is_checked_by_the_gateways_own_keys() {
    let backend = Upstream::saying("hello").await;
    let stack = setup(&backend).with("session.seal = false").start().await;
    let browser = stack.logged_in("mina").await;
    let token = browser.cookie("sb_at").unwrap();
    assert_eq!(verified(&stack, &token, "at+jwt", "app").await.unwrap()["sub"], "demo|demo-mina");
    let script = stack.browser();
    script.set_cookie("sb_at", &token);
    script.fetch("/app/x").await.is(200).says("valid");
    let (head, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    bytes[7] ^= 1;
    let forger = stack.browser();
    forger.set_cookie("sb_at", &format!("{head}.{}", URL_SAFE_NO_PAD.encode(bytes)));
    forger.fetch("/app/x").await.is(401);
}

#[tokio::test]
async fn the_public_keys_are_at_the_root_the_same_for_everyone() {
    let backend = Upstream::saying("hello").await;
    let stack = setup(&backend).with("server.hosts = [\"other.example.test\"]").start().await;
    let browser = stack.logged_in("mina").await;
    stack.expire_tokens();
    let answer = browser.fetch("/.well-known/jwks.json").await.is(200).says("anonymous");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    assert!(answer.set_cookies().is_empty(), "no session is looked at: {answer}");
    let key = &answer.json()["keys"][0];
    assert_eq!((key["kty"].as_str(), key["alg"].as_str(), key.get("d")), (Some("OKP"), Some("EdDSA"), None));
    for (method, host, start) in [
        ("GET", "other.example.test", "HTTP/1.1 200"),
        ("HEAD", stack.gateway.host(), "HTTP/1.1 200"),
        ("POST", stack.gateway.host(), "HTTP/1.1 405"),
        ("GET", "evil.example.test", "HTTP/1.1 421"),
    ] {
        let request = format!("{method} /.well-known/jwks.json HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let answer = Raw::exchange(stack.gateway.address(), request).await;
        assert!(answer.starts_with(start), "{method} {host}: {answer}");
    }
}

#[tokio::test]
async fn signing_keys_are_replaced_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, algorithm| {
        let path = folder.path().join(name);
        fs::write(&path, SigningKey::generate(algorithm).expose()).unwrap();
        format!("\"file:{}\"", path.display())
    };
    let (old, new) = (file("old.pem", SigningAlgorithm::Ed25519), file("new.pem", SigningAlgorithm::Es256));
    let backend = Upstream::saying("hello").await;
    let stack = setup(&backend).with(&format!("signing.keys = [{old}]")).start().await;
    let browser = stack.logged_in("mina").await;
    asks(&browser, &stack, &backend).await;
    let of_old = bearer(&backend);
    stack.reload_with(&format!("signing.keys = [{new}, {old}]"));
    let algorithms =
        |set: &Value| set["keys"].as_array().unwrap().iter().map(|key| key["alg"].clone()).collect::<Vec<_>>();
    assert_eq!(algorithms(&published(&stack).await), ["ES256", "EdDSA"]);
    assert!(verified(&stack, &of_old, "at+jwt", "app").await.is_some(), "a token of the old key lives on");
    stack.expire_tokens();
    asks(&browser, &stack, &backend).await;
    stack.reload_with(&format!("signing.keys = [{new}]"));
    assert_eq!(algorithms(&published(&stack).await), ["ES256"]);
    asks(&browser, &stack, &backend).await;
}

const NOTIFY: &str = r#"
    [login.notify]
    upstream = "app"
    path = "/joined/{claims.sub}?by={provider}"
    json = { profile = "{profile}", device = "{device_id}" }
    [[routes]]
    path = "/open/{*rest}"
    strip = "/open"
    upstream = "app"
    access = "public"
"#;

#[tokio::test]
async fn a_backend_is_notified_of_a_first_login_with_a_signed_assertion() {
    let backend = Upstream::saying("{}").await;
    let stack = setup(&backend).with(NOTIFY).start().await;
    let browser = stack.logged_in("mina").await;
    let heard = backend.heard();
    let [joined] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!(joined.line(), "POST /joined/demo%7Cdemo-mina?by=demo HTTP/1.1");
    let body: Value = serde_json::from_slice(&joined.body).unwrap();
    assert_eq!(
        (&body["profile"]["email"], body["device"].as_str()),
        (&json!("mina@example.test"), browser.cookie("sb_did").as_deref())
    );
    let assertion = joined.header("vestibule-assertion").expect("the gateway's word");
    let claims = verified(&stack, assertion, "vestibule-assertion+jwt", "app").await.unwrap();
    assert_eq!((&claims["purpose"], &claims["method"]), (&json!("login.notify"), &json!("POST")));
    assert_eq!(claims["path"], "/joined/demo%7Cdemo-mina?by=demo");
    assert_eq!(claims["sub"], "demo|demo-mina");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &joined.body);
    assert_eq!(claims["body_sha256"], URL_SAFE_NO_PAD.encode(digest));
    assert_eq!(verified(&stack, assertion, "vestibule-assertion+jwt", "another").await, None);

    stack.logged_in("mina").await.fetch("/app/x").await.is(200);
    assert_eq!(backend.heard().iter().filter(|heard| heard.line().contains("/joined/")).count(), 1, "once");
    browser.post("/open/joined/demo-mina").json(&json!({})).await.is(404);
}

#[tokio::test]
async fn a_backend_may_refuse_a_person() {
    for (status, answered) in [(403, 403), (500, 503)] {
        let backend = Upstream::answering(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n")).await;
        let stack = setup(&backend).with(NOTIFY).start().await;
        for attempt in 1..=2 {
            let browser = stack.browser();
            let callback = browser.as_far_as_callback("demo", "/app/x", "mina").await;
            browser.follow(&callback).await.is(answered);
            assert!(!browser.is_logged_in());
            assert_eq!(backend.heard().len(), attempt, "and is asked again next time");
        }
    }
}
