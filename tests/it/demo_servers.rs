//! The harness's hooks: how they change the answers of the demo's provider and backend.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::StatusCode;
use reqwest::{Client, Response, redirect::Policy};
use serde_json::{Value, json};
use url::Url;
use vestibule::{
    assemble,
    clock::Clock,
    demo::{BackendOptions, Fault, ProviderOptions, TrustedProvider, hook::ScriptedAnswer, provider::Endpoint},
    secret::Random,
};

use crate::harness::{Backend, CallbackTamper, IdTokenTamper, Provider, html_answer, secs};

const CALLBACK: &str = "http://127.0.0.1:9/auth/callback/demo";
const VERIFIER: &str = "a-verifier-that-is-long-enough-for-rfc-7636-section-4";

/// The provider, the backend, and a client that calls both as a gateway does.
struct Servers {
    provider: Provider,
    backend: Backend,
    client: Client,
    clock: Clock,
}

impl Servers {
    async fn start() -> Self {
        assemble::install_cryptography();
        let (clock, random) = (Clock::movable(), Random::system());
        let provider = Provider::start(ProviderOptions::new(clock.clone(), random.clone())).await.unwrap();
        let trusted = TrustedProvider { issuer: provider.issuer(), audience: provider.client_id().to_owned() };
        let backend = Backend::start(BackendOptions::new(clock.clone(), random, trusted)).await.unwrap();
        let client = Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
        Self { provider, backend, client, clock }
    }

    /// The parameters of the authorization response to a request with `more`.
    async fn callback(&self, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
        let parameters = [
            ("response_type", "code"),
            ("client_id", "vestibule"),
            ("redirect_uri", CALLBACK),
            ("scope", "openid email"),
            ("state", "s1"),
            ("nonce", "n1"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let url = format!("{}/authorize", self.provider.issuer());
        let url = Url::parse_with_params(&url, parameters.iter().chain(more)).unwrap();
        let answer = self.client.get(url).send().await.unwrap();
        assert_eq!(answer.status(), 303);
        let location = Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap();
        location.query_pairs().into_owned().collect()
    }

    async fn token(&self, form: &[(&str, &str)]) -> Response {
        let request = self.client.post(format!("{}/token", self.provider.issuer()));
        request.basic_auth("vestibule", Some(self.provider.client_secret().expose())).form(form).send().await.unwrap()
    }

    async fn redeem_code(&self) -> Response {
        let callback = self.callback(&[("auto", "mina")]).await;
        self.token(&[
            ("grant_type", "authorization_code"),
            ("code", value(&callback, "code").unwrap()),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ])
        .await
    }

    /// The tokens of a login at the provider.
    async fn login(&self) -> Value {
        self.redeem_code().await.json().await.unwrap()
    }

    /// Whether the provider's published key verifies that token.
    async fn verifies(&self, token: &str) -> bool {
        let jwks = self.client.get(format!("{}/jwks", self.provider.issuer())).send().await.unwrap();
        let jwks: jsonwebtoken::jwk::JwkSet = jwks.json().await.unwrap();
        let key = jsonwebtoken::DecodingKey::from_jwk(&jwks.keys[0]).unwrap();
        let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
        validation.validate_exp = false;
        validation.validate_aud = false;
        jsonwebtoken::decode::<Value>(token, &key, &validation).is_ok()
    }

    /// The tokens of a login at the backend.
    async fn backend_login(&self) -> Value {
        let id_token = self.provider.id_token("jun", &json!({})).unwrap();
        let answer = self.post("/auth/demo", &json!({ "id_token": id_token })).await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> reqwest::Result<Response> {
        self.client.post(format!("{}{path}", self.backend.origin())).json(body).send().await
    }

    async fn refresh(&self, tokens: &Value) -> reqwest::Result<Response> {
        self.post("/auth/refresh", &json!({ "refreshToken": tokens["refreshToken"] })).await
    }

    async fn ping(&self, tokens: &Value) -> StatusCode {
        let request = self.client.get(format!("{}/api/ping", self.backend.origin()));
        request.bearer_auth(tokens["accessToken"].as_str().unwrap()).send().await.unwrap().status()
    }
}

fn value<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    parameters.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

fn claims_of(token: &Value) -> Value {
    let payload = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

async fn error_of(answer: Response) -> String {
    answer.json::<Value>().await.unwrap()["error"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_tampered_id_token_has_the_chosen_defect() {
    let servers = Servers::start().await;
    let now = servers.clock.now().as_secs();
    for (tamper, holds) in [
        (IdTokenTamper::WrongNonce, (|c: &Value, _| c["nonce"] != "n1") as fn(&Value, i64) -> bool),
        (IdTokenTamper::MissingNonce, |c, _| c.get("nonce").is_none()),
        (IdTokenTamper::WrongAudience, |c, _| c["aud"] != "vestibule"),
        (IdTokenTamper::ForeignAuthorizedParty, |c, _| c["azp"] == "another-client"),
        (IdTokenTamper::WrongIssuer, |c, _| c["iss"] == "https://elsewhere.example.test"),
        (IdTokenTamper::Expired, |c, now| c["exp"].as_i64().unwrap() < now),
        (IdTokenTamper::IssuedInFuture, |c, now| c["iat"].as_i64().unwrap() > now + 60),
        (IdTokenTamper::MissingExpiry, |c, _| c.get("exp").is_none()),
        (IdTokenTamper::MissingSubject, |c, _| c.get("sub").is_none()),
        (IdTokenTamper::BrokenSignature, |c, _| c["role"] == "admin"),
    ] {
        servers.provider.tamper(Some(tamper));
        assert!(holds(&claims_of(&servers.login().await["id_token"]), now), "{tamper:?}");
    }
    servers.provider.tamper(Some(IdTokenTamper::MissingToken));
    assert!(servers.login().await.get("id_token").is_none());
    servers.provider.tamper(Some(IdTokenTamper::AlgNone));
    assert!(servers.login().await["id_token"].as_str().unwrap().ends_with('.'));
    for tamper in [IdTokenTamper::ForeignKey, IdTokenTamper::UnknownKeyId, IdTokenTamper::AlgConfusion] {
        servers.provider.tamper(Some(tamper));
        let tokens = servers.login().await;
        assert!(!servers.verifies(tokens["id_token"].as_str().unwrap()).await, "{tamper:?}");
        assert!(servers.verifies(tokens["access_token"].as_str().unwrap()).await, "{tamper:?}");
    }
    servers.provider.tamper(Some(IdTokenTamper::OtherSubjectAtRefresh));
    let login = servers.login().await;
    assert_eq!(claims_of(&login["id_token"])["sub"], "demo-mina");
    let refresh_token = login["refresh_token"].as_str().unwrap();
    let refreshed = servers.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await;
    assert_ne!(claims_of(&refreshed.json::<Value>().await.unwrap()["id_token"])["sub"], "demo-mina");
}

#[tokio::test]
async fn a_tampered_authorization_response_has_the_chosen_defect() {
    let servers = Servers::start().await;
    for (tamper, name, is_missing) in [
        (CallbackTamper::WrongIssuer, "iss", false),
        (CallbackTamper::WrongState, "state", false),
        (CallbackTamper::WrongCode, "code", false),
        (CallbackTamper::MissingIssuer, "iss", true),
        (CallbackTamper::MissingState, "state", true),
    ] {
        servers.provider.tamper_callback(Some(tamper));
        let callback = servers.callback(&[("auto", "mina")]).await;
        assert_eq!(value(&callback, name).is_none(), is_missing, "{tamper:?}");
    }
    servers.provider.tamper_callback(None);
    servers.provider.next_error(Endpoint::Authorize, "temporarily_unavailable");
    assert_eq!(value(&servers.callback(&[]).await, "error"), Some("temporarily_unavailable"));
    servers.provider.set_auto_login(Some("sora"));
    assert!(value(&servers.callback(&[]).await, "code").is_some());
}

#[tokio::test]
async fn the_provider_has_outages_and_scripted_answers_and_stops() {
    let servers = Servers::start().await;
    let jwks = || servers.client.get(format!("{}/jwks", servers.provider.issuer())).send();
    servers.provider.set_down(true);
    assert_eq!(jwks().await.unwrap().status(), 503);
    servers.provider.set_fault(Fault::Close);
    assert!(jwks().await.is_err());
    servers.provider.set_down(false);
    servers.provider.next_answer(Endpoint::Jwks, html_answer(StatusCode::BAD_GATEWAY, "<h1>502</h1>"));
    assert_eq!(jwks().await.unwrap().status(), 502);
    assert_eq!(jwks().await.unwrap().status(), 200);
    servers.provider.next_error(Endpoint::Token, "invalid_grant");
    assert_eq!(error_of(servers.redeem_code().await).await, "invalid_grant");
    servers.provider.stop();
    assert!(jwks().await.is_err());
}

#[tokio::test]
async fn without_rotation_a_refresh_brings_no_refresh_token_and_the_old_one_stays_valid() {
    let servers = Servers::start().await;
    let tokens = servers.backend_login().await;
    servers.backend.set_rotation(false);
    servers.backend.set_access_token_life(secs(90));
    for _ in 0..2 {
        let answer: Value = servers.refresh(&tokens).await.unwrap().json().await.unwrap();
        assert_eq!((answer.get("refreshToken"), &answer["expiresIn"]), (None, &json!(90)));
    }
}

#[tokio::test]
async fn the_api_refuses_every_request_while_the_hook_says_so() {
    let servers = Servers::start().await;
    let tokens = servers.backend_login().await;
    assert_eq!(servers.ping(&tokens).await, 200);
    servers.backend.set_unauthorized_always(true);
    assert_eq!(servers.ping(&tokens).await, 401);
}

#[tokio::test]
async fn a_scripted_refresh_answer_is_sent_once() {
    let servers = Servers::start().await;
    let tokens = servers.backend_login().await;
    servers.backend.next_refresh(html_answer(StatusCode::INTERNAL_SERVER_ERROR, "<h1>500</h1>"));
    assert_eq!(servers.refresh(&tokens).await.unwrap().status(), 500);
    assert_eq!(servers.refresh(&tokens).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_lost_refresh_answer_has_spent_the_refresh_token() {
    let servers = Servers::start().await;
    let tokens = servers.backend_login().await;
    servers.backend.next_refresh(ScriptedAnswer::LoseAnswer);
    assert!(servers.refresh(&tokens).await.is_err());
    assert_eq!(servers.refresh(&tokens).await.unwrap().status(), 401);
    assert_eq!(servers.backend.counters().reuse_detected, 1);
}

#[tokio::test]
async fn a_recorded_request_has_body_and_headers_and_its_debug_output_has_no_token() {
    let servers = Servers::start().await;
    let tokens = servers.backend_login().await;
    let body: Vec<u8> = (0..=255).collect();
    let request = servers.client.post(format!("{}/api/echo", servers.backend.origin())).body(body.clone());
    request.bearer_auth(tokens["accessToken"].as_str().unwrap()).send().await.unwrap();
    let recorded = servers.backend.recorded_at("/api/echo");
    assert_eq!(recorded.first().unwrap().body, body);
    assert!(recorded[0].header("authorization").unwrap().starts_with("Bearer ey"));
    assert!(!format!("{recorded:?}").contains("ey"));
}
