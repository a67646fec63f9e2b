//! The backend as a gateway meets it, over HTTP.

use futures_util::{SinkExt as _, StreamExt as _};
use http::StatusCode;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest as _};

use super::*;
use crate::demo::provider::{Provider, ProviderOptions};

struct Team {
    provider: Provider,
    backend: Backend,
    client: Client,
    clock: Clock,
}

impl Team {
    async fn new(change: impl FnOnce(&mut BackendOptions)) -> Self {
        let (clock, random) = (Clock::movable(), Random::system());
        let provider = Provider::start(ProviderOptions::new(clock.clone(), random.clone())).await.unwrap();
        let trust = Trust::Provider { issuer: provider.issuer(), audience: provider.client_id().to_owned() };
        let mut options = BackendOptions::new(clock.clone(), random, trust);
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
async fn an_id_token_is_exchanged_for_tokens_that_open_the_api_until_they_expire() {
    let team = Team::new(|_| {}).await;
    let tokens = team.login().await;
    assert_eq!(tokens["expiresIn"], 20);
    let me: Value = team.get("/api/me", &tokens).await.json().await.unwrap();
    assert_eq!((&me["email"], &me["role"], &me["gen"]), (&json!("jun@example.test"), &json!("admin"), &json!(1)));
    let jwks: jsonwebtoken::jwk::JwkSet =
        team.client.get(team.url("/.well-known/jwks.json")).send().await.unwrap().json().await.unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(&jwks.keys[0]).unwrap();
    let claims = crate::demo::signing::verify(tokens["accessToken"].as_str().unwrap(), &key).unwrap();
    assert_eq!(claims["aud"], AUDIENCE);
    team.clock.advance(Duration::from_secs(20));
    let late = team.get("/api/me", &tokens).await;
    assert_eq!(late.status(), 401);
    assert_eq!(late.headers()["www-authenticate"], r#"Bearer error="invalid_token""#);
}

#[tokio::test]
async fn a_bad_id_token_opens_nothing() {
    let team = Team::new(|_| {}).await;
    for claims in [json!({ "aud": "another" }), json!({ "iss": "https://evil.example.test" }), json!({ "exp": 1 })] {
        let id_token = team.provider.id_token("jun", &claims).unwrap();
        assert_eq!(team.post("/auth/demo", json!({ "id_token": id_token })).await.status(), 401, "{claims}");
    }
    assert_eq!(team.post("/auth/demo", json!({ "id_token": "rubbish" })).await.status(), 401);
    assert_eq!(team.post("/auth/demo", json!({})).await.status(), 400);
    assert_eq!(team.backend.counters().exchanges, 0);
}

#[tokio::test]
async fn the_second_shape_takes_a_token_and_its_profile() {
    let team = Team::new(|_| {}).await;
    let token = team.provider.id_token("mina", &json!({})).unwrap();
    let good = json!({ "provider": "demo", "token": token, "profile": { "sub": "demo-mina" } });
    assert_eq!(team.post("/social-login", good).await.status(), 200);
    let other = json!({ "provider": "demo", "token": token, "profile": { "sub": "demo-jun" } });
    assert_eq!(team.post("/social-login", other).await.status(), 401);
}

#[tokio::test]
async fn a_password_logs_in_and_a_wrong_one_does_not() {
    let team = Team::new(|_| {}).await;
    let good = team.post("/auth/login", json!({ "email": EMAIL, "password": PASSWORD })).await;
    let tokens: Value = good.json().await.unwrap();
    assert_eq!(team.get("/api/ping", &tokens).await.status(), 200);
    let wrong = team.post("/auth/login", json!({ "email": EMAIL, "password": "no" })).await;
    assert_eq!(wrong.status(), 401);
    assert_eq!(wrong.json::<Value>().await.unwrap()["error"], "invalid_credentials");
}

#[tokio::test]
async fn refresh_tokens_rotate_belong_to_a_device_and_reuse_ends_the_session() {
    let team = Team::new(|_| {}).await;
    let first = team.login().await;
    let other = json!({ "refreshToken": first["refreshToken"], "deviceId": "d2" });
    assert_eq!(team.post("/auth/refresh", other).await.status(), 401);
    let second: Value = team.refresh(&first).await.json().await.unwrap();
    assert_ne!(first["refreshToken"], second["refreshToken"]);
    assert_eq!(team.get("/api/me", &second).await.status(), 200);
    assert_eq!(team.refresh(&first).await.status(), 401);
    assert_eq!(team.get("/api/me", &second).await.status(), 401);
    assert_eq!(team.refresh(&second).await.status(), 401);
    let counters = team.backend.counters();
    assert_eq!((counters.refresh_calls, counters.refreshes_ok, counters.reuse_detected), (4, 1, 1));
    let kinds: Vec<_> = team.backend.events().into_iter().map(|event| event.kind).collect();
    let story =
        ["exchange", "refresh_refused", "refresh", "request", "reuse_detected", "unauthorized", "refresh_refused"];
    assert_eq!(kinds, story);
}

#[tokio::test]
async fn the_refresh_token_can_travel_as_a_cookie() {
    let team = Team::new(|options| options.refresh_token_via = RefreshTokenVia::Cookie).await;
    let id_token = team.provider.id_token("mina", &json!({})).unwrap();
    let answer = team.post("/auth/demo", json!({ "id_token": id_token })).await;
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    assert!(cookie.starts_with("refreshToken=rt."));
    assert!(answer.json::<Value>().await.unwrap().get("refreshToken").is_none());
    let refresh = || team.client.post(team.url("/auth/refresh")).header("cookie", &cookie).json(&json!({})).send();
    let refreshed = refresh().await.unwrap();
    assert!(!refreshed.headers()["set-cookie"].to_str().unwrap().starts_with(&cookie));
    assert_eq!(refresh().await.unwrap().status(), 401);
}

#[tokio::test]
async fn without_rotation_the_answer_has_no_refresh_token_and_the_old_one_serves_on() {
    let team = Team::new(|_| {}).await;
    let tokens = team.login().await;
    team.backend.set_rotation(false);
    team.backend.set_access_token_life(Duration::from_secs(90));
    for _ in 0..2 {
        let answer: Value = team.refresh(&tokens).await.json().await.unwrap();
        assert_eq!((answer.get("refreshToken"), &answer["expiresIn"]), (None, &json!(90)));
    }
}

#[tokio::test]
async fn sign_out_and_revocation_end_a_session() {
    let team = Team::new(|_| {}).await;
    let (one, two) = (team.login().await, team.login().await);
    let signout = team.post("/auth/signout", json!({ "refreshToken": one["refreshToken"] })).await;
    assert_eq!(signout.status(), 200);
    assert_eq!(team.refresh(&one).await.status(), 401);
    assert_eq!(team.get("/api/ping", &two).await.status(), 200);
    assert_eq!(team.backend.revoke_email("jun@example.test"), 1);
    assert_eq!(team.get("/api/ping", &two).await.status(), 401);
}

#[tokio::test]
async fn a_request_that_got_401_and_comes_again_with_a_newer_token_is_seen_as_a_replay() {
    let team = Team::new(|_| {}).await;
    let tokens = team.login().await;
    team.backend.unauthorized_next(1);
    assert_eq!(team.get("/api/ping", &tokens).await.status(), 401);
    let newer = team.refresh(&tokens).await.json().await.unwrap();
    assert_eq!(team.get("/api/ping", &newer).await.status(), 200);
    assert_eq!(team.get("/api/ping", &newer).await.status(), 200);
    let counters = team.backend.counters();
    assert_eq!((counters.unauthorized, counters.replays, counters.served), (1, 1, 2));
    team.backend.reject_issued_tokens();
    assert_eq!(team.get("/api/ping", &newer).await.status(), 401);
    let newest = team.refresh(&newer).await.json().await.unwrap();
    assert_eq!(team.get("/api/ping", &newest).await.status(), 200);
    team.backend.set_unauthorized_always(true);
    assert_eq!(team.get("/api/ping", &newest).await.status(), 401);
}

#[tokio::test]
async fn the_authority_fails_as_told_and_the_api_does_not() {
    let team = Team::new(|_| {}).await;
    let tokens = team.login().await;
    team.backend.set_authority_fault_for(Fault::Unavailable, Duration::from_secs(10));
    assert_eq!(team.refresh(&tokens).await.status(), 503);
    assert_eq!(team.get("/api/ping", &tokens).await.status(), 200);
    team.clock.advance(Duration::from_secs(10));
    team.backend.next_refresh(Scripted::html(StatusCode::INTERNAL_SERVER_ERROR, "<h1>500</h1>"));
    assert_eq!(team.refresh(&tokens).await.status(), 500);
    team.backend.set_authority_fault(Fault::Close);
    let refresh = team.client.post(team.url("/auth/refresh")).json(&json!({ "refreshToken": tokens["refreshToken"] }));
    assert!(refresh.send().await.is_err());
    team.backend.set_authority_fault(Fault::None);
    assert_eq!(team.refresh(&tokens).await.status(), 200);
}

#[tokio::test]
async fn a_held_request_is_answered_when_the_fault_is_lifted() {
    let team = Team::new(|_| {}).await;
    let tokens = team.login().await;
    team.backend.set_authority_fault(Fault::Hang);
    let lifted = async {
        team.backend.until(|counters| counters.requests.contains_key("/auth/refresh")).await;
        assert_eq!(team.backend.counters().refreshes_ok, 0);
        team.backend.set_authority_fault(Fault::None);
    };
    let (answer, ()) = tokio::join!(team.refresh(&tokens), lifted);
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_lost_answer_has_spent_the_token() {
    let team = Team::new(|_| {}).await;
    let tokens = team.login().await;
    team.backend.next_refresh(Scripted::LoseAnswer);
    let refresh = team.client.post(team.url("/auth/refresh")).json(&json!({ "refreshToken": tokens["refreshToken"] }));
    assert!(refresh.send().await.is_err());
    assert_eq!(team.refresh(&tokens).await.status(), 401);
    assert_eq!(team.backend.counters().reuse_detected, 1);
}

#[tokio::test]
async fn the_api_echoes_bytes_and_says_which_headers_it_saw() {
    let team = Team::new(|options| options.mask_bearer = true).await;
    let tokens = team.login().await;
    let body: Vec<u8> = (0..=255).collect();
    for query in ["", "?stream=1"] {
        let request = team.client.post(team.url(&format!("/api/echo{query}"))).body(body.clone());
        let answer =
            request.bearer_auth(tokens["accessToken"].as_str().unwrap()).header("x-a", "b").send().await.unwrap();
        let seen: Value = serde_json::from_str(answer.headers()["x-echo-headers"].to_str().unwrap()).unwrap();
        assert_eq!((&seen["x-a"], &seen["authorization"]), (&json!("b"), &json!("Bearer ***")));
        assert_eq!(answer.bytes().await.unwrap(), body);
    }
    let seen: Value = team.get("/api/headers", &tokens).await.json().await.unwrap();
    assert_eq!(seen["authorization"], "Bearer ***");
    let recorded = team.backend.recorded_at("/api/echo");
    assert_eq!(recorded.first().unwrap().body, body);
    assert!(recorded[0].header("authorization").unwrap().starts_with("Bearer ey"));
    assert!(!format!("{recorded:?}").contains("ey"));
    assert_eq!(team.client.get(team.url("/public/headers")).send().await.unwrap().status(), 200);
    assert_eq!(team.client.get(team.url("/api/headers")).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn the_api_streams() {
    let team = Team::new(|_| {}).await;
    let tokens = team.login().await;
    let ticks = team.get("/api/events?ms=1&count=3", &tokens).await;
    assert_eq!(ticks.headers()["content-type"], "text/event-stream");
    assert_eq!(ticks.text().await.unwrap().matches("event: tick").count(), 3);
    assert_eq!(team.get("/api/download?bytes=100000", &tokens).await.bytes().await.unwrap().len(), 100_000);
    let cut = team.get("/api/cut?bytes=100000", &tokens).await;
    assert_eq!(cut.content_length(), Some(100_000));
    assert!(cut.bytes().await.is_err());
    let upload = team.client.post(team.url("/api/upload")).bearer_auth(tokens["accessToken"].as_str().unwrap());
    let upload = upload.body(vec![7; 300_000]).send().await.unwrap();
    assert_eq!(upload.json::<Value>().await.unwrap()["bytes"], 300_000);
    assert_eq!(team.backend.counters().uploaded, 300_000);
    assert_eq!(team.get("/api/slow?ms=1", &tokens).await.status(), 200);
    assert_eq!(team.get("/api/status/418", &tokens).await.status(), 418);
    assert_eq!(team.get("/api/status/204", &tokens).await.status(), 204);
    assert_eq!(team.get("/api/status/101", &tokens).await.status(), 404);
}

#[tokio::test]
async fn a_websocket_sends_every_message_back() {
    let team = Team::new(|_| {}).await;
    let tokens = team.login().await;
    let mut request = format!("ws://{}/api/ws", team.backend.address()).into_client_request().unwrap();
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
    assert_eq!(team.get("/api/ws", &tokens).await.status(), 426);
}

#[tokio::test]
async fn the_pages_buttons_do_what_they_say() {
    let team = Team::new(|_| {}).await;
    let tokens = team.login().await;
    team.post("/control/unauthorized", json!({})).await;
    assert_eq!(team.get("/api/ping", &tokens).await.status(), 401);
    assert_eq!(team.get("/api/ping", &tokens).await.status(), 200);
    team.post("/control/reject-tokens", json!({})).await;
    assert_eq!(team.get("/api/ping", &tokens).await.status(), 401);
    let state: Value = team.post("/control/outage?seconds=10", json!({})).await.json().await.unwrap();
    assert_eq!(state["authority"], "down");
    assert!(state["authorityBackAt"].is_string());
    assert_eq!(team.refresh(&tokens).await.status(), 503);
    team.clock.advance(Duration::from_secs(10));
    let state: Value = team.client.get(team.url("/control/state")).send().await.unwrap().json().await.unwrap();
    assert_eq!((&state["authority"], &state["accessTokenSeconds"]), (&json!("up"), &json!(20)));
    assert_eq!(team.client.get(team.url("/control/outage")).send().await.unwrap().status(), 405);
    assert_eq!(team.client.get(team.url("/control/other")).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn the_live_list_is_a_stream_that_goes_on_where_it_broke_off() {
    let team = Team::new(|_| {}).await;
    let tokens = team.login().await;
    let events = || team.client.get(team.url("/control/events")).header("accept", "text/event-stream");
    let mut stream = events().send().await.unwrap();
    let first = String::from_utf8(stream.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(first.starts_with("retry: ") && first.contains(r#""kind":"exchange""#));
    team.get("/api/ping", &tokens).await;
    let next = String::from_utf8(stream.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(next.contains("id: 2\n") && next.contains(r#""path":"GET /api/ping""#));
    let mut again = events().header("last-event-id", "1").send().await.unwrap();
    let again = String::from_utf8(again.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(!again.contains("id: 1\n") && again.contains("id: 2\n"));
    let mut newer = events().header("last-event-id", "99").send().await.unwrap();
    let newer = String::from_utf8(newer.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(newer.contains("id: 1\n"));
    let listed: Value =
        team.client.get(team.url("/control/events?after=1")).send().await.unwrap().json().await.unwrap();
    assert_eq!(listed["events"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn the_page_is_at_the_root() {
    let team = Team::new(|_| {}).await;
    let page = team.client.get(team.url("/")).header("accept-language", "ko").send().await.unwrap();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("script-src 'self'"));
    assert!(page.text().await.unwrap().contains(r#"<html lang="ko">"#));
    for file in ["/demo.css", "/demo.js", "/icon.svg"] {
        assert_eq!(team.client.get(team.url(file)).send().await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_backend_behind_a_provider_authority_takes_the_providers_tokens() {
    let team = Team::new(|options| options.bearer = BearerCheck::Provider).await;
    let token = team.provider.id_token("mina", &json!({})).unwrap();
    assert_eq!(team.get("/api/me", &json!({ "accessToken": token })).await.status(), 200);
    assert_eq!(team.get("/api/me", &team.login().await).await.status(), 401);
}

#[tokio::test]
async fn a_stopped_backend_answers_nobody() {
    let team = Team::new(|_| {}).await;
    team.backend.stop();
    assert!(team.client.get(team.url("/")).send().await.is_err());
}
