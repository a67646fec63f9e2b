//! The provider's answers over HTTP, as a client gets them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{Client, Response, redirect::Policy};
use url::Url;

use super::*;

const CALLBACK: &str = "http://127.0.0.1:9/auth/callback/demo";
const VERIFIER: &str = "a-verifier-that-is-long-enough-for-rfc-7636-section-4";

struct TestClient {
    provider: Provider,
    client: Client,
    clock: Clock,
}

impl TestClient {
    async fn new(change: impl FnOnce(&mut ProviderOptions)) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let clock = Clock::movable();
        let mut options = ProviderOptions::new(clock.clone(), Random::system());
        change(&mut options);
        let provider = Provider::start(options).await.unwrap();
        let client = Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
        Self { provider, client, clock }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.provider.issuer())
    }

    fn authorize_url(&self, more: &[(&str, &str)]) -> Url {
        let challenge =
            URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, VERIFIER.as_bytes()));
        let mut parameters = vec![
            ("response_type", "code"),
            ("client_id", "vestibule"),
            ("redirect_uri", CALLBACK),
            ("scope", "openid email"),
            ("state", "s1"),
            ("nonce", "n1"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        for (name, value) in more {
            parameters.retain(|(n, _)| n != name);
            if !value.is_empty() {
                parameters.push((name, value));
            }
        }
        Url::parse_with_params(&self.url("/authorize"), parameters).unwrap()
    }

    /// The parameters that come back to the client.
    async fn callback(&self, more: &[(&str, &str)]) -> Parameters {
        let answer = self.client.get(self.authorize_url(more)).send().await.unwrap();
        assert_eq!(answer.status(), 303);
        callback_of(&answer)
    }

    async fn code(&self) -> String {
        self.callback(&[("auto", "mina")]).await.one("code").unwrap().to_owned()
    }

    async fn redeem(&self, code: &str) -> Response {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ])
        .await
    }

    async fn refresh(&self, token: &str) -> Response {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    async fn token(&self, form: &[(&str, &str)]) -> Response {
        let secret = self.provider.client_secret().expose();
        let request = self.client.post(self.url("/token")).basic_auth("vestibule", Some(secret));
        request.form(form).send().await.unwrap()
    }

    async fn login(&self) -> Value {
        self.redeem(&self.code().await).await.json().await.unwrap()
    }
}

fn callback_of(answer: &Response) -> Parameters {
    let location = answer.headers()["location"].to_str().unwrap();
    assert!(location.starts_with(CALLBACK));
    Parameters::parse(Url::parse(location).unwrap().query().unwrap().as_bytes())
}

async fn error_of(answer: Response) -> String {
    answer.json::<Value>().await.unwrap()["error"].as_str().unwrap().to_owned()
}

fn claims_of(token: &Value) -> Value {
    let payload = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[tokio::test]
async fn a_login_returns_tokens_that_the_published_key_verifies() {
    let rp = TestClient::new(|_| {}).await;
    let discovery = rp.client.get(rp.url("/.well-known/openid-configuration")).send().await.unwrap();
    let metadata: Value = discovery.json().await.unwrap();
    assert_eq!(metadata["issuer"], rp.provider.issuer());
    let back = rp.callback(&[("auto", "jun")]).await;
    assert_eq!((back.one("state"), back.one("iss")), (Some("s1"), Some(rp.provider.issuer().as_str())));
    let answer = rp.redeem(back.one("code").unwrap()).await;
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let tokens: Value = answer.json().await.unwrap();
    let jwks = rp.client.get(metadata["jwks_uri"].as_str().unwrap()).send().await.unwrap();
    let jwks: jsonwebtoken::jwk::JwkSet = jwks.json().await.unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(&jwks.keys[0]).unwrap();
    let claims = crate::demo::signing::verify(tokens["id_token"].as_str().unwrap(), &key).unwrap();
    assert_eq!(claims["nonce"], "n1");
    assert_eq!(claims["aud"], "vestibule");
    assert_eq!((&claims["email"], &claims["role"]), (&json!("jun@example.test"), &json!("admin")));
    let userinfo = rp.client.get(rp.url("/userinfo")).bearer_auth(tokens["access_token"].as_str().unwrap());
    assert_eq!(userinfo.send().await.unwrap().json::<Value>().await.unwrap()["sub"], "demo-jun");
    assert_eq!(rp.provider.counters().codes_redeemed, 1);
}

#[tokio::test]
async fn the_login_page_offers_people_a_name_field_and_cancel() {
    let rp = TestClient::new(|_| {}).await;
    let url = rp.authorize_url(&[("login_hint", "\"><script>")]);
    let korean = rp.client.get(url.clone()).header("accept-language", "ko").send().await.unwrap();
    assert!(korean.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    let korean = korean.text().await.unwrap();
    assert!(korean.contains("누구로 로그인할까요?") && !korean.contains("\"><script>"));
    for form in [("person", "sora"), ("name", "하나")] {
        let answer = rp.client.post(url.clone()).form(&[form]).send().await.unwrap();
        assert!(callback_of(&answer).one("code").is_some());
    }
    let cancelled = rp.client.post(url).form(&[("cancel", "1")]).send().await.unwrap();
    assert_eq!(callback_of(&cancelled).one("error"), Some("access_denied"));
}

#[tokio::test]
async fn a_request_without_s256_or_openid_is_redirected_back_with_an_error() {
    let rp = TestClient::new(|_| {}).await;
    for (change, error) in [
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("response_type", "token"), "unsupported_response_type"),
        (("scope", "email"), "invalid_scope"),
        (("prompt", "none"), "login_required"),
    ] {
        let back = rp.callback(&[change]).await;
        assert_eq!(back.one("error"), Some(error), "{change:?}");
        assert_eq!(back.one("state"), Some("s1"));
    }
}

#[tokio::test]
async fn an_unknown_client_or_redirect_uri_gets_400_and_no_redirect() {
    let rp = TestClient::new(|options| options.redirect_hosts = vec!["app.example.test".to_owned()]).await;
    for change in [
        ("client_id", "other"),
        ("redirect_uri", "https://evil.example.test/cb"),
        ("redirect_uri", "http://127.0.0.1@evil.example.test/cb"),
        ("redirect_uri", "javascript:alert(1)"),
    ] {
        let answer = rp.client.get(rp.authorize_url(&[("auto", "mina"), change])).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{change:?}");
    }
    let own = ("redirect_uri", "https://app.example.test/auth/callback/demo");
    assert_eq!(rp.client.get(rp.authorize_url(&[("auto", "mina"), own])).send().await.unwrap().status(), 303);
}

#[tokio::test]
async fn response_mode_form_post_answers_with_a_form_that_holds_the_code() {
    let rp = TestClient::new(|_| {}).await;
    let url = rp.authorize_url(&[("auto", "mina"), ("response_mode", "form_post")]);
    let page = rp.client.get(url).send().await.unwrap().text().await.unwrap();
    assert!(page.contains(&format!(r#"<form method="post" action="{CALLBACK}">"#)));
    let code = page.split(r#"name="code" value=""#).nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(rp.redeem(code).await.status(), 200);
}

#[tokio::test]
async fn a_code_works_once_and_its_second_use_revokes_its_tokens() {
    let rp = TestClient::new(|_| {}).await;
    let code = rp.code().await;
    let tokens: Value = rp.redeem(&code).await.json().await.unwrap();
    assert_eq!(error_of(rp.redeem(&code).await).await, "invalid_grant");
    assert_eq!(error_of(rp.refresh(tokens["refresh_token"].as_str().unwrap()).await).await, "invalid_grant");
    let late = rp.code().await;
    rp.clock.advance(Duration::from_secs(61));
    assert_eq!(error_of(rp.redeem(&late).await).await, "invalid_grant");
}

#[tokio::test]
async fn a_code_needs_its_verifier_its_redirect_uri_and_the_client_secret() {
    let rp = TestClient::new(|_| {}).await;
    for (address, verifier) in [(CALLBACK, "another-verifier"), ("http://127.0.0.1:9/other", VERIFIER)] {
        let code = rp.code().await;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", address),
            ("code_verifier", verifier),
        ];
        assert_eq!(error_of(rp.token(&form).await).await, "invalid_grant");
    }
    let wrong = rp.client.post(rp.url("/token")).basic_auth("vestibule", Some("wrong"));
    let wrong = wrong.form(&[("grant_type", "refresh_token")]).send().await.unwrap();
    assert_eq!(wrong.status(), 401);
    assert_eq!(error_of(wrong).await, "invalid_client");
    let secret = rp.provider.client_secret().expose();
    let posted = [("client_id", "vestibule"), ("client_secret", secret), ("grant_type", "password")];
    let posted = rp.client.post(rp.url("/token")).form(&posted).send().await.unwrap();
    assert_eq!(error_of(posted).await, "unsupported_grant_type");
}

#[tokio::test]
async fn refresh_tokens_rotate_and_reuse_ends_the_family() {
    let rp = TestClient::new(|_| {}).await;
    let first = rp.login().await;
    let second: Value = rp.refresh(first["refresh_token"].as_str().unwrap()).await.json().await.unwrap();
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_eq!(claims_of(&second["id_token"])["sub"], "demo-mina");
    assert!(claims_of(&second["id_token"]).get("nonce").is_none());
    assert_eq!(error_of(rp.refresh(first["refresh_token"].as_str().unwrap()).await).await, "invalid_grant");
    assert_eq!(error_of(rp.refresh(second["refresh_token"].as_str().unwrap()).await).await, "invalid_grant");
    let userinfo = rp.client.get(rp.url("/userinfo")).bearer_auth(second["access_token"].as_str().unwrap());
    assert_eq!(userinfo.send().await.unwrap().status(), 401);
    let counters = rp.provider.counters();
    assert_eq!((counters.refresh_calls, counters.refreshes_ok, counters.reuse_detected), (3, 1, 1));
}

#[tokio::test]
async fn revocation_and_logout_end_the_refresh_token() {
    let rp = TestClient::new(|_| {}).await;
    let tokens = rp.login().await;
    let secret = rp.provider.client_secret().expose();
    let revoke = rp.client.post(rp.url("/revoke")).basic_auth("vestibule", Some(secret));
    let revoke = revoke.form(&[("token", tokens["refresh_token"].as_str().unwrap())]).send().await.unwrap();
    assert_eq!(revoke.status(), 200);
    assert_eq!(rp.refresh(tokens["refresh_token"].as_str().unwrap()).await.status(), 400);

    let tokens = rp.login().await;
    let hint = tokens["id_token"].as_str().unwrap();
    let query = [("id_token_hint", hint), ("post_logout_redirect_uri", "http://localhost:8080/bye"), ("state", "x")];
    let logout = rp.client.get(Url::parse_with_params(&rp.url("/logout"), query).unwrap()).send().await.unwrap();
    assert_eq!(logout.headers()["location"], "http://localhost:8080/bye?state=x");
    assert_eq!(rp.refresh(tokens["refresh_token"].as_str().unwrap()).await.status(), 400);
    let elsewhere = [("id_token_hint", hint), ("post_logout_redirect_uri", "https://evil.example.test/")];
    let elsewhere = rp.client.get(Url::parse_with_params(&rp.url("/logout"), elsewhere).unwrap());
    assert_eq!(elsewhere.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_id_token_for_a_native_app_has_its_nonce_and_subject() {
    let rp = TestClient::new(|_| {}).await;
    let token = rp.provider.id_token("mina", &json!({ "nonce": "native" })).unwrap();
    let claims = rp.provider.state.key.verify(&token).unwrap();
    assert_eq!((&claims["nonce"], &claims["sub"]), (&json!("native"), &json!("demo-mina")));
}
