//! The backend's answers over HTTP, as a gateway gets them.

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest as _};

use super::*;
use crate::demo::provider::{Provider, ProviderOptions};

struct Servers {
    provider: Provider,
    backend: Backend,
    client: Client,
    clock: Clock,
}

impl Servers {
    async fn new(change: impl FnOnce(&mut BackendOptions)) -> Self {
        let (clock, random) = (Clock::movable(), Random::system());
        let provider = Provider::start(ProviderOptions::new(clock.clone(), random.clone())).await.unwrap();
        let trusted = TrustedProvider { issuer: provider.issuer(), audience: provider.client_id().to_owned() };
        let mut options = BackendOptions::new(clock.clone(), random, trusted);
        change(&mut options);
        let backend = Backend::start(options).await.unwrap();
        let client = Client::builder().no_proxy().build().unwrap();
        Self { provider, backend, client, clock }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.backend.origin())
    }

    async fn post(&self, path: &str, body: Value) -> Response {
        self.client.post(self.url(path)).json(&body).send().await.unwrap()
    }

    async fn login(&self) -> Value {
        let id_token = self.provider.id_token("jun", &json!({})).unwrap();
        let answer =
            self.post("/auth/demo", json!({ "id_token": id_token, "deviceId": "d1", "deviceName": "t" })).await;
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }

    async fn refresh(&self, tokens: &Value) -> Response {
        self.post("/auth/refresh", json!({ "refreshToken": tokens["refreshToken"], "deviceId": "d1" })).await
    }

    async fn get(&self, path: &str, tokens: &Value) -> Response {
        let token = tokens["accessToken"].as_str().unwrap();
        self.client.get(self.url(path)).bearer_auth(token).send().await.unwrap()
    }
}

#[tokio::test]
async fn an_id_token_is_exchanged_for_tokens_that_the_api_accepts_until_they_expire() {
    let servers = Servers::new(|_| {}).await;
    let tokens = servers.login().await;
    assert_eq!(tokens["expiresIn"], 20);
    let me: Value = servers.get("/api/me", &tokens).await.json().await.unwrap();
    assert_eq!((&me["email"], &me["role"], &me["gen"]), (&json!("jun@example.test"), &json!("admin"), &json!(1)));
    let jwks: jsonwebtoken::jwk::JwkSet =
        servers.client.get(servers.url("/.well-known/jwks.json")).send().await.unwrap().json().await.unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(&jwks.keys[0]).unwrap();
    let claims = crate::demo::signing::verify(tokens["accessToken"].as_str().unwrap(), &key).unwrap();
    assert_eq!(claims["aud"], AUDIENCE);
    servers.clock.advance(Duration::from_secs(20));
    let late = servers.get("/api/me", &tokens).await;
    assert_eq!(late.status(), 401);
    assert_eq!(late.headers()["www-authenticate"], r#"Bearer error="invalid_token""#);
}

#[tokio::test]
async fn a_bad_id_token_gets_401_and_no_session() {
    let servers = Servers::new(|_| {}).await;
    for claims in [json!({ "aud": "another" }), json!({ "iss": "https://evil.example.test" }), json!({ "exp": 1 })] {
        let id_token = servers.provider.id_token("jun", &claims).unwrap();
        assert_eq!(servers.post("/auth/demo", json!({ "id_token": id_token })).await.status(), 401, "{claims}");
    }
    assert_eq!(servers.post("/auth/demo", json!({ "id_token": "rubbish" })).await.status(), 401);
    assert_eq!(servers.post("/auth/demo", json!({})).await.status(), 400);
    assert_eq!(servers.backend.counters().exchanges, 0);
}

#[tokio::test]
async fn a_social_login_needs_a_token_and_the_profile_of_the_same_person() {
    let servers = Servers::new(|_| {}).await;
    let token = servers.provider.id_token("mina", &json!({})).unwrap();
    let good = json!({ "provider": "demo", "token": token, "profile": { "sub": "demo-mina" } });
    assert_eq!(servers.post("/social-login", good).await.status(), 200);
    let other = json!({ "provider": "demo", "token": token, "profile": { "sub": "demo-jun" } });
    assert_eq!(servers.post("/social-login", other).await.status(), 401);
}

#[tokio::test]
async fn a_password_logs_in_and_a_wrong_one_does_not() {
    let servers = Servers::new(|_| {}).await;
    let good = servers.post("/auth/login", json!({ "email": EMAIL, "password": PASSWORD })).await;
    let tokens: Value = good.json().await.unwrap();
    assert_eq!(servers.get("/api/ping", &tokens).await.status(), 200);
    let wrong = servers.post("/auth/login", json!({ "email": EMAIL, "password": "no" })).await;
    assert_eq!(wrong.status(), 401);
    assert_eq!(wrong.json::<Value>().await.unwrap()["error"], "invalid_credentials");
}

#[tokio::test]
async fn refresh_tokens_rotate_belong_to_a_device_and_reuse_ends_the_session() {
    let servers = Servers::new(|_| {}).await;
    let first = servers.login().await;
    let other = json!({ "refreshToken": first["refreshToken"], "deviceId": "d2" });
    assert_eq!(servers.post("/auth/refresh", other).await.status(), 401);
    let second: Value = servers.refresh(&first).await.json().await.unwrap();
    assert_ne!(first["refreshToken"], second["refreshToken"]);
    assert_eq!(servers.get("/api/me", &second).await.status(), 200);
    assert_eq!(servers.refresh(&first).await.status(), 401);
    assert_eq!(servers.get("/api/me", &second).await.status(), 401);
    assert_eq!(servers.refresh(&second).await.status(), 401);
    let counters = servers.backend.counters();
    assert_eq!((counters.refresh_calls, counters.refreshes_ok, counters.reuse_detected), (4, 1, 1));
    let kinds: Vec<_> = servers.backend.events().into_iter().map(|event| event.kind).collect();
    let story =
        ["exchange", "refresh_refused", "refresh", "request", "reuse_detected", "unauthorized", "refresh_refused"];
    assert_eq!(kinds, story);
}

#[tokio::test]
async fn the_refresh_token_can_travel_as_a_cookie() {
    let servers = Servers::new(|options| options.refresh_token_via = RefreshTokenVia::Cookie).await;
    let id_token = servers.provider.id_token("mina", &json!({})).unwrap();
    let answer = servers.post("/auth/demo", json!({ "id_token": id_token })).await;
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    assert!(cookie.starts_with("refreshToken=rt."));
    assert!(answer.json::<Value>().await.unwrap().get("refreshToken").is_none());
    let refresh =
        || servers.client.post(servers.url("/auth/refresh")).header("cookie", &cookie).json(&json!({})).send();
    let refreshed = refresh().await.unwrap();
    assert!(!refreshed.headers()["set-cookie"].to_str().unwrap().starts_with(&cookie));
    assert_eq!(refresh().await.unwrap().status(), 401);
}

#[tokio::test]
async fn sign_out_and_revocation_end_a_session() {
    let servers = Servers::new(|_| {}).await;
    let (one, two) = (servers.login().await, servers.login().await);
    let signout = servers.post("/auth/signout", json!({ "refreshToken": one["refreshToken"] })).await;
    assert_eq!(signout.status(), 200);
    assert_eq!(servers.refresh(&one).await.status(), 401);
    assert_eq!(servers.get("/api/ping", &two).await.status(), 200);
    assert_eq!(servers.backend.revoke_email("jun@example.test"), 1);
    assert_eq!(servers.get("/api/ping", &two).await.status(), 401);
}

#[tokio::test]
async fn a_request_repeated_with_a_newer_token_after_a_401_counts_as_a_replay() {
    let servers = Servers::new(|_| {}).await;
    let tokens = servers.login().await;
    servers.backend.unauthorized_next(1);
    assert_eq!(servers.get("/api/ping", &tokens).await.status(), 401);
    let newer = servers.refresh(&tokens).await.json().await.unwrap();
    assert_eq!(servers.get("/api/ping", &newer).await.status(), 200);
    assert_eq!(servers.get("/api/ping", &newer).await.status(), 200);
    let counters = servers.backend.counters();
    assert_eq!((counters.unauthorized, counters.replays, counters.served), (1, 1, 2));
    servers.backend.reject_issued_tokens();
    assert_eq!(servers.get("/api/ping", &newer).await.status(), 401);
    let newest = servers.refresh(&newer).await.json().await.unwrap();
    assert_eq!(servers.get("/api/ping", &newest).await.status(), 200);
}

#[tokio::test]
async fn a_fault_of_the_authority_does_not_concern_the_api() {
    let servers = Servers::new(|_| {}).await;
    let tokens = servers.login().await;
    servers.backend.set_authority_fault_for(Fault::Unavailable, Duration::from_secs(10));
    assert_eq!(servers.refresh(&tokens).await.status(), 503);
    assert_eq!(servers.get("/api/ping", &tokens).await.status(), 200);
    servers.clock.advance(Duration::from_secs(10));
    servers.backend.set_authority_fault(Fault::Close);
    let refresh =
        servers.client.post(servers.url("/auth/refresh")).json(&json!({ "refreshToken": tokens["refreshToken"] }));
    assert!(refresh.send().await.is_err());
    servers.backend.set_authority_fault(Fault::None);
    assert_eq!(servers.refresh(&tokens).await.status(), 200);
}

#[tokio::test]
async fn a_held_request_is_answered_when_the_fault_ends() {
    let servers = Servers::new(|_| {}).await;
    let tokens = servers.login().await;
    servers.backend.set_authority_fault(Fault::Hang);
    let lifted = async {
        servers.backend.until(|counters| counters.requests.contains_key("/auth/refresh")).await;
        assert_eq!(servers.backend.counters().refreshes_ok, 0);
        servers.backend.set_authority_fault(Fault::None);
    };
    let (answer, ()) = tokio::join!(servers.refresh(&tokens), lifted);
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn the_api_echoes_the_body_and_the_headers() {
    let servers = Servers::new(|options| options.mask_bearer = true).await;
    let tokens = servers.login().await;
    let body: Vec<u8> = (0..=255).collect();
    for query in ["", "?stream=1"] {
        let request = servers.client.post(servers.url(&format!("/api/echo{query}"))).body(body.clone());
        let answer =
            request.bearer_auth(tokens["accessToken"].as_str().unwrap()).header("x-a", "b").send().await.unwrap();
        let seen: Value = serde_json::from_str(answer.headers()["x-echo-headers"].to_str().unwrap()).unwrap();
        assert_eq!((&seen["x-a"], &seen["authorization"]), (&json!("b"), &json!("Bearer ***")));
        assert_eq!(answer.bytes().await.unwrap(), body);
    }
    let seen: Value = servers.get("/api/headers", &tokens).await.json().await.unwrap();
    assert_eq!(seen["authorization"], "Bearer ***");
    assert_eq!(servers.client.get(servers.url("/public/headers")).send().await.unwrap().status(), 200);
    assert_eq!(servers.client.get(servers.url("/api/headers")).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn the_api_streams_uploads_downloads_and_events() {
    let servers = Servers::new(|_| {}).await;
    let tokens = servers.login().await;
    let ticks = servers.get("/api/events?ms=1&count=3", &tokens).await;
    assert_eq!(ticks.headers()["content-type"], "text/event-stream");
    assert_eq!(ticks.text().await.unwrap().matches("event: tick").count(), 3);
    assert_eq!(servers.get("/api/download?bytes=100000", &tokens).await.bytes().await.unwrap().len(), 100_000);
    let cut = servers.get("/api/cut?bytes=100000", &tokens).await;
    assert_eq!(cut.content_length(), Some(100_000));
    assert!(cut.bytes().await.is_err());
    let upload = servers.client.post(servers.url("/api/upload")).bearer_auth(tokens["accessToken"].as_str().unwrap());
    let upload = upload.body(vec![7; 300_000]).send().await.unwrap();
    assert_eq!(upload.json::<Value>().await.unwrap()["bytes"], 300_000);
    assert_eq!(servers.backend.counters().uploaded, 300_000);
    assert_eq!(servers.get("/api/slow?ms=1", &tokens).await.status(), 200);
    assert_eq!(servers.get("/api/status/418", &tokens).await.status(), 418);
    assert_eq!(servers.get("/api/status/204", &tokens).await.status(), 204);
    assert_eq!(servers.get("/api/status/101", &tokens).await.status(), 404);
}

#[tokio::test]
async fn a_websocket_sends_every_message_back() {
    let servers = Servers::new(|_| {}).await;
    let tokens = servers.login().await;
    let mut request = format!("ws://{}/api/ws", servers.backend.address()).into_client_request().unwrap();
    let bearer = format!("Bearer {}", tokens["accessToken"].as_str().unwrap());
    request.headers_mut().insert("authorization", bearer.parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    for length in [3, 300, 70_000] {
        let message = tungstenite::Message::text("가".repeat(length));
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    socket.send(tungstenite::Message::Ping("p".into())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), tungstenite::Message::Pong("p".into()));
    socket.close(None).await.unwrap();
    assert!(matches!(socket.next().await, Some(Ok(tungstenite::Message::Close(_)))));
    assert_eq!(servers.get("/api/ws", &tokens).await.status(), 426);
}

#[tokio::test]
async fn each_control_endpoint_changes_the_backend() {
    let servers = Servers::new(|_| {}).await;
    let tokens = servers.login().await;
    servers.post("/control/unauthorized", json!({})).await;
    assert_eq!(servers.get("/api/ping", &tokens).await.status(), 401);
    assert_eq!(servers.get("/api/ping", &tokens).await.status(), 200);
    servers.post("/control/reject-tokens", json!({})).await;
    assert_eq!(servers.get("/api/ping", &tokens).await.status(), 401);
    let state: Value = servers.post("/control/outage?seconds=10", json!({})).await.json().await.unwrap();
    assert_eq!(state["authority"], "down");
    assert!(state["authorityBackAt"].is_string());
    assert_eq!(servers.refresh(&tokens).await.status(), 503);
    servers.clock.advance(Duration::from_secs(10));
    let state: Value = servers.client.get(servers.url("/control/state")).send().await.unwrap().json().await.unwrap();
    assert_eq!((&state["authority"], &state["accessTokenSeconds"]), (&json!("up"), &json!(20)));
    assert_eq!(servers.client.get(servers.url("/control/outage")).send().await.unwrap().status(), 405);
    assert_eq!(servers.client.get(servers.url("/control/other")).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn the_event_stream_continues_after_the_last_event_id() {
    let servers = Servers::new(|_| {}).await;
    let tokens = servers.login().await;
    let events = || servers.client.get(servers.url("/control/events")).header("accept", "text/event-stream");
    let mut stream = events().send().await.unwrap();
    let first = String::from_utf8(stream.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(first.starts_with("retry: ") && first.contains(r#""kind":"exchange""#));
    servers.get("/api/ping", &tokens).await;
    let next = String::from_utf8(stream.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(next.contains("id: 2\n") && next.contains(r#""path":"GET /api/ping""#));
    let mut again = events().header("last-event-id", "1").send().await.unwrap();
    let again = String::from_utf8(again.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(!again.contains("id: 1\n") && again.contains("id: 2\n"));
    let mut newer = events().header("last-event-id", "99").send().await.unwrap();
    let newer = String::from_utf8(newer.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(newer.contains("id: 1\n"));
    let listed: Value =
        servers.client.get(servers.url("/control/events?after=1")).send().await.unwrap().json().await.unwrap();
    assert_eq!(listed["events"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn the_page_is_at_the_root() {
    let servers = Servers::new(|_| {}).await;
    let page = servers.client.get(servers.url("/")).header("accept-language", "ko").send().await.unwrap();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("script-src 'self'"));
    assert!(page.text().await.unwrap().contains(r#"<html lang="ko">"#));
    for file in ["/demo.css", "/demo.js", "/icon.svg"] {
        assert_eq!(servers.client.get(servers.url(file)).send().await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn with_the_provider_as_authority_the_api_accepts_the_providers_tokens() {
    let servers = Servers::new(|options| options.bearer = BearerCheck::Provider).await;
    let token = servers.provider.id_token("mina", &json!({})).unwrap();
    assert_eq!(servers.get("/api/me", &json!({ "accessToken": token })).await.status(), 200);
    assert_eq!(servers.get("/api/me", &servers.login().await).await.status(), 401);
}

#[tokio::test]
async fn a_stopped_backend_refuses_connections() {
    let servers = Servers::new(|_| {}).await;
    servers.backend.stop();
    assert!(servers.client.get(servers.url("/")).send().await.is_err());
}
