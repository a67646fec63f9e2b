//! Calls to a scripted backend: the requests that it receives, and the results of its answers and failures.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use super::*;
use crate::{
    client::Client,
    outbound::NoAnswer,
    scripted::{self, Reply, Server},
    upstream::{
        EjectionRule, Target,
        testing::{upstream_by, upstream_of},
    },
};

fn client() -> Client {
    Client::named("::ffff:192.0.2.7", "Phone/1.0")
}

fn text(text: &str) -> Text {
    Text::parse(text, &["email", "refresh_token"]).unwrap()
}

fn template(path: &str) -> Template {
    Template {
        upstream: 0,
        method: Method::POST,
        path: text(path),
        headers: vec![(HeaderName::from_static("x-email"), text("{email}"))],
        cookies: vec![("rt".to_owned(), text("{refresh_token}")), ("b".to_owned(), text("2"))],
        body: Body::Json(Json::from_value(&json!({"email": "{email}"}), &["email"]).unwrap()),
        timeout: Duration::from_secs(10),
        assertion: None,
    }
}

fn values() -> Values {
    Values::new().with(Placeholder::Email, "a@b.kr").with(Placeholder::RefreshToken, "r;1")
}

fn caller(targets: Vec<Target>) -> Caller {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let backend = Backend {
        name: "api".to_owned(),
        targets,
        connect_timeout: Duration::from_secs(5),
        health: Vec::new(),
        random: crate::secret::Random::system(),
    };
    Caller::new(vec![backend], 64 << 10).unwrap()
}

fn target(address: std::net::SocketAddr) -> Target {
    Target::Http { host: address.ip().to_string(), port: address.port() }
}

async fn call(server: &Server, template: &Template) -> Result<BackendAnswer, CallError> {
    caller(vec![target(server.address)]).call(template, &values(), &client()).await
}

fn kind(result: &Result<BackendAnswer, CallError>) -> &'static str {
    match result {
        Ok(_) => "answered",
        Err(CallError::NoAnswer(NoAnswer::Unsent { .. })) => "unsent",
        Err(CallError::NoAnswer(NoAnswer::Unanswered { .. })) => "unanswered",
        Err(CallError::NoAnswer(NoAnswer::TooLarge { .. })) => "too large",
        Err(CallError::Value(_)) => "bad value",
    }
}

#[tokio::test]
async fn the_backend_sees_the_filled_template_and_the_clients_address_and_user_agent() {
    let server = Server::start(|_| Reply::json(201, &json!({"accessToken": "a"})).with("set-cookie", "x=1")).await;
    let answer = call(&server, &template("/auth/{email}?e={email}")).await.unwrap();
    assert_eq!((answer.status, answer.is_page), (StatusCode::CREATED, false));
    assert_eq!(
        (answer.json, &answer.headers["set-cookie"]),
        (Some(json!({"accessToken": "a"})), &HeaderValue::from_static("x=1"))
    );
    let seen = &server.seen()[0];
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/auth/a%40b.kr?e=a%40b.kr"));
    assert_eq!(seen.json(), json!({"email": "a@b.kr"}));
    for (name, value) in [
        ("x-forwarded-for", "192.0.2.7"),
        ("user-agent", "Phone/1.0"),
        ("x-email", "a@b.kr"),
        ("cookie", "rt=r%3B1; b=2"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn a_value_in_a_form_cannot_add_a_field() {
    let server = Server::start(|_| Reply::json(200, &json!({}))).await;
    let form = Body::Form(vec![("e".to_owned(), text("{email}&x=1"))]);
    call(&server, &Template { body: form, ..template("/f") }).await.unwrap();
    assert_eq!(server.seen()[0].body, "e=a%40b.kr%26x%3D1");
}

#[tokio::test]
async fn failures_before_and_after_sending_are_different_errors() {
    let refused =
        caller(vec![target(scripted::dead_address().await)]).call(&template("/x"), &values(), &client()).await;
    assert_eq!(kind(&refused), "unsent");
    let unresolved = vec![Target::Http { host: "name.invalid".to_owned(), port: 80 }];
    assert_eq!(kind(&caller(unresolved).call(&template("/x"), &values(), &client()).await), "unsent");

    for (reply, expected) in [
        (Reply::Reset, "unanswered"),
        (Reply::Cut, "unanswered"),
        (Reply::text(200, "text/plain", vec![b'x'; 1 << 20]), "too large"),
        (Reply::text(200, "application/json", "{\"a\":"), "answered"),
        (Reply::json(302, &json!({})).with("location", "/elsewhere"), "answered"),
    ] {
        let server = Server::start(move |_| reply.clone()).await;
        assert_eq!(kind(&call(&server, &template("/x")).await), expected);
        assert_eq!(server.seen().len(), 1, "asked once, no redirect followed");
    }
    let server = Server::start(|_| Reply::Hang).await;
    let impatient = Template { timeout: Duration::from_millis(50), ..template("/x") };
    assert_eq!(kind(&call(&server, &impatient).await), "unanswered");
    assert_eq!(
        kind(&caller(vec![target(server.address)]).call(&template("/{email}"), &Values::new(), &client()).await),
        "bad value"
    );
}

#[tokio::test]
async fn a_call_without_a_practical_deadline_is_made() {
    let server = Server::start(|_| Reply::json(200, &json!({}))).await;
    let patient = Template { timeout: Duration::MAX, ..template("/x") };
    assert_eq!(kind(&call(&server, &patient).await), "answered");
}

#[tokio::test]
async fn after_a_failed_tls_handshake_the_call_is_unsent() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closing = Target::Https { host: "127.0.0.1".to_owned(), port: listener.local_addr().unwrap().port() };
    let closer = tokio::spawn(async move { drop(listener.accept().await) });
    assert_eq!(kind(&caller(vec![closing]).call(&template("/x"), &values(), &client()).await), "unsent");
    closer.await.unwrap();
}

#[tokio::test]
async fn calls_rotate_over_the_targets_and_skip_one_that_is_down() {
    let (a, b) =
        (Server::start(|_| Reply::json(200, &json!({}))).await, Server::start(|_| Reply::json(200, &json!({}))).await);
    let dead = scripted::dead_address().await;
    let caller = caller(vec![target(a.address), target(dead), target(b.address)]);
    for _ in 0..6 {
        caller.call(&template("/x"), &values(), &client()).await.unwrap();
    }
    assert_eq!(a.seen().len() + b.seen().len(), 6);
    assert!(a.seen().len() >= 2 && b.seen().len() >= 2);
}

#[tokio::test]
async fn the_calls_that_a_target_cannot_take_are_divided_among_all_others() {
    let (a, b) =
        (Server::start(|_| Reply::json(200, &json!({}))).await, Server::start(|_| Reply::json(200, &json!({}))).await);
    let targets = vec![target(scripted::dead_address().await), target(a.address), target(b.address)];
    let (never, calls) = (EjectionRule { most: 0.0, ..EjectionRule::default() }, 150);
    // The first is refused each time, or left out after three calls.
    for rule in [never, EjectionRule::default()] {
        let upstream = upstream_by(targets.clone(), rule);
        let caller = Caller::new(vec![Backend::of(&upstream)], 64 << 10).unwrap();
        let before = a.seen().len();
        for _ in 0..calls {
            caller.call(&template("/x"), &values(), &client()).await.unwrap();
        }
        let share = a.seen().len() - before;
        // Seven times the deviation that is to be expected.
        assert!(share.abs_diff(calls / 2) < 25, "{share} of {calls}");
    }
}

#[tokio::test]
async fn a_target_that_never_answers_is_left_out_for_calls_and_tried_when_no_other_can_be_reached() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let silent = Server::start(|_| Reply::Hang).await;
    let sound = Server::start(|_| Reply::json(200, &json!({}))).await;
    let (calls, template) = (12, Template { timeout: Duration::from_millis(200), ..template("/x") });
    let upstream = upstream_of(vec![target(silent.address), target(sound.address)]);
    let caller = Caller::new(vec![Backend::of(&upstream)], 64 << 10).unwrap();
    let mut failed = 0;
    for _ in 0..calls {
        failed += usize::from(caller.call(&template, &values(), &client()).await.is_err());
    }
    assert_eq!((silent.seen().len(), sound.seen().len(), failed), (3, calls - 3, 3));
    assert!(upstream.targets()[0].is_ejected(), "requests of visitors avoid it too");
    drop(sound);
    let last = caller.call(&template, &values(), &client()).await;
    assert!(matches!(last, Err(CallError::NoAnswer(NoAnswer::Unanswered { .. }))), "{}", kind(&last));
    assert_eq!(silent.seen().len(), 4);
}

#[tokio::test]
async fn a_target_may_be_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let record = Arc::new(Mutex::new(Vec::new()));
    let served = Arc::clone(&record);
    let backend = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        scripted::serve(&mut socket, &|_: &scripted::Seen| Reply::json(200, &json!({"ok": true})), &served).await;
    });
    let answer = caller(vec![Target::Unix(path)]).call(&template("/x"), &values(), &client()).await.unwrap();
    assert_eq!(answer.json, Some(json!({"ok": true})));
    backend.await.unwrap();
    assert_eq!(record.lock().unwrap()[0].target, "/x");
}

#[tokio::test]
async fn a_page_is_recognised_by_its_first_character_whatever_its_label_says() {
    for (media_type, body, page) in [
        ("text/html; charset=utf-8", "{}", false),
        ("text/html", "", false),
        ("text/html", "\u{feff}{}", false),
        ("application/json", "\u{feff}\n<p>", true),
        ("application/json", " \n<!DOCTYPE HTML><p>", true),
        ("text/plain", "<html lang=ko>", true),
        ("application/json", "{\"error\":\"<html>\"}", false),
        ("text/plain", "", false),
    ] {
        let server = Server::start(move |_| Reply::text(401, media_type, body)).await;
        assert_eq!(call(&server, &template("/x")).await.unwrap().is_page, page, "{body}");
    }
}

fn signer() -> crate::signing::Signer {
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let key = crate::seal::SealKey([7; 32].into());
    crate::signing::Signer::new(vec![crate::signing::SigningKey::derived(&key)], "https://app.example")
}

fn signing_caller(server: &Server) -> Caller {
    let (signer, clock) = (signer(), crate::clock::Clock::movable());
    caller(vec![target(server.address)]).with_assertions(AssertionSigner {
        signer,
        clock,
        random: crate::secret::Random::system(),
    })
}

/// The claims of an assertion that the published keys verify.
fn verified(assertion: &str) -> Value {
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_value(signer().jwks()).unwrap();
    let header = jsonwebtoken::decode_header(assertion).unwrap();
    assert_eq!(header.typ.as_deref(), Some("vestibule-assertion+jwt"));
    let key = jsonwebtoken::DecodingKey::from_jwk(set.find(&header.kid.unwrap()).unwrap()).unwrap();
    let mut validation = jsonwebtoken::Validation::new(header.alg);
    validation.set_audience(&["api"]);
    validation.set_issuer(&["https://app.example"]);
    jsonwebtoken::decode(assertion, &key, &validation).unwrap().claims
}

#[tokio::test]
async fn an_assertion_is_signed_for_one_method_path_and_body() {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let server = Server::start(|_| Reply::json(200, &json!({}))).await;
    let caller = signing_caller(&server);
    let form = Body::Form(vec![("e".to_owned(), text("{email}&x=1"))]);
    let body = template("/a").body;
    let (claimed, mut ids) = (Some("otp.login"), std::collections::BTreeSet::new());
    for (path, body) in [("/a//b/{email}?e={email}&f", body), ("/a/../f", form), ("/none", Body::Empty)] {
        caller.call(&Template { body, assertion: claimed, ..template(path) }, &values(), &client()).await.unwrap();
        let seen = server.seen().pop().unwrap();
        let claims = verified(seen.header("vestibule-assertion").unwrap());
        assert_eq!((claims["method"].as_str(), claims["purpose"].as_str()), (Some("POST"), claimed));
        assert_eq!(claims["path"].as_str(), Some(seen.target.as_str()));
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, seen.body.as_bytes());
        assert_eq!(claims["body_sha256"], URL_SAFE_NO_PAD.encode(digest), "{}", seen.body);
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 60);
        ids.insert(claims["jti"].to_string());
    }
    assert_eq!(ids.len(), 3);
    let claims = || serde_json::Map::from_iter([("sub".to_owned(), json!("u-1"))]);
    for (values, sub) in
        [(values().with_session_claims(claims()), json!("u-1")), (values().with_claims(claims()), json!(null))]
    {
        caller.call(&Template { assertion: claimed, ..template("/a") }, &values, &client()).await.unwrap();
        let claims = verified(server.seen().pop().unwrap().header("vestibule-assertion").unwrap());
        assert_eq!(claims["sub"], sub, "a provider's subject is no session's");
    }
    caller.call(&template("/x"), &values(), &client()).await.unwrap();
    assert_eq!(
        server.seen().pop().unwrap().header("vestibule-assertion"),
        None,
        "a template without `assertion` sends none"
    );
}

#[tokio::test]
async fn without_a_signer_a_call_that_needs_an_assertion_is_not_made() {
    let server = Server::start(|_| Reply::json(200, &json!({}))).await;
    let unsigned = call(&server, &Template { assertion: Some("otp.login"), ..template("/x") }).await;
    assert_eq!((kind(&unsigned), server.seen().len()), ("bad value", 0));
}
