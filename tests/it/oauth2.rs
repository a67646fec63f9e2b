//! Logins at OAuth 2.0 providers without OpenID Connect, through the gateway.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use crate::harness::{Answer, Browser, Raw, Setup, TestStack, Upstream, secs};

/// A scripted provider: it redirects back with a code immediately, and sends the test's answer at each path.
struct OAuthServer {
    server: Upstream,
    answers: Arc<Mutex<BTreeMap<&'static str, String>>>,
}

impl OAuthServer {
    async fn start() -> Self {
        let answers = Arc::new(Mutex::new(BTreeMap::new()));
        let script = Arc::clone(&answers);
        let server = Upstream::start(move |mut wire| {
            let script = Arc::clone(&script);
            async move {
                while let Some(heard) = wire.request().await {
                    let target = heard.line().split(' ').nth(1).unwrap_or_default().to_owned();
                    let answer = match target.split_once('?') {
                        Some(("/authorize", query)) => sent_back(query),
                        _ => script
                            .lock()
                            .unwrap()
                            .get(target.as_str())
                            .cloned()
                            .unwrap_or_else(|| reply(404, &json!({}))),
                    };
                    wire.send(answer).await;
                }
            }
        })
        .await;
        Self { server, answers }
    }

    /// Sets the answer at a path.
    fn answer(&self, path: &'static str, answer: String) {
        self.answers.lock().unwrap().insert(path, answer);
    }

    /// Its table in the configuration, under a preset name or another; `more` is appended.
    fn toml(&self, name: &str, more: &str) -> String {
        let at = self.server.target();
        format!(
            r#"
            [providers.{name}]
            kind = "oauth2"
            client_id = "vestibule"
            client_secret = "a-secret-for-tests"
            authorize_url = "{at}/authorize"
            token_url = "{at}/token"
            {more}
            "#
        )
    }

    /// The latest form received at a path.
    fn form(&self, path: &str) -> BTreeMap<String, String> {
        let heard = self.server.heard().into_iter().rfind(|heard| heard.line() == format!("POST {path} HTTP/1.1"));
        form_urlencoded::parse(&heard.expect("it was asked").body).into_owned().collect()
    }

    /// Number of requests for a path.
    fn count(&self, start: &str) -> usize {
        self.server.heard().iter().filter(|heard| heard.line().starts_with(start)).count()
    }
}

fn sent_back(query: &str) -> String {
    let asked: BTreeMap<_, _> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let mut back: Url = asked["redirect_uri"].parse().unwrap();
    back.query_pairs_mut().append_pair("code", "the-code").append_pair("state", &asked["state"]);
    format!("HTTP/1.1 302 Found\r\nlocation: {back}\r\ncontent-length: 0\r\n\r\n")
}

fn reply(status: u16, body: &Value) -> String {
    raw_reply(status, "application/json", &body.to_string())
}

fn raw_reply(status: u16, media_type: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// An unsigned access token that the demo's backend accepts.
fn readable_token(claims: &Value) -> String {
    format!("e30.{}.x", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

fn is_refused(answer: &Answer) -> bool {
    answer.status.is_client_error()
        || answer.status.is_server_error()
        || answer.location().starts_with("/auth/login?error=")
}

/// GitHub's answers, for a person whose token the demo's backend can read.
async fn github() -> OAuthServer {
    let server = OAuthServer::start().await;
    let token = readable_token(&json!({"sub": "mina-at-backend", "email": "mina@example.test", "name": "Mina"}));
    let form = format!("access_token={token}&scope=user%3Aemail&token_type=bearer");
    server.answer("/token", raw_reply(200, "application/x-www-form-urlencoded; charset=utf-8", &form));
    let profile = json!({"id": 583_231, "sub": "mina-at-backend", "login": "mina", "name": "Mina", "email": null});
    server.answer("/user", reply(200, &profile));
    server.answer(
        "/user/emails",
        reply(200, &json!([{"email": "mina@corp.example", "primary": true, "verified": true}])),
    );
    server
}

fn github_toml(server: &OAuthServer, more: &str) -> String {
    let at = server.server.target();
    let profile = format!(r#"profile = {{ url = "{at}/user", emails_url = "{at}/user/emails" }}"#);
    server.toml("github", &format!("{profile}\n{more}"))
}

/// A gateway whose backend issues its own tokens for the provider's token and profile.
async fn exchanging(server: &OAuthServer) -> TestStack {
    exchange(server).backend_trusts_anyone().start().await
}

fn exchange(server: &OAuthServer) -> Setup {
    let exchange = r#"
        [authority.exchange]
        path = "/social-login"
        json = { provider = "{provider}", token = "{access_token}", profile = "{profile}", id_token = "{id_token}", who = "{email}", sub = "{claims.sub}" }
    "#;
    let setup = Setup::new().without("authority.exchange").with(exchange).with(&github_toml(server, ""));
    setup.with("[server]\nadmin_listen = \"127.0.0.1:0\"")
}

async fn readiness(admin: std::net::SocketAddr) -> String {
    Raw::exchange(admin, format!("GET /readyz HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n")).await
}

#[tokio::test]
async fn the_backend_issues_tokens_for_the_providers_unchanged_profile() {
    let server = github().await;
    let stack = exchanging(&server).await;
    let browser = stack.browser();
    let page = browser.navigate("/auth/login").await.is(200);
    assert!(page.text().contains("Continue with GitHub"), "{page}");

    let answer = browser.login_with("github", "/api/me", "mina").await.says("refreshed");
    assert_eq!(answer.location(), "/api/me");
    assert_eq!(browser.fetch("/api/me").await.is(200).says("valid").json()["email"], "mina@example.test");
    assert_eq!(stack.backend.counters().exchanges, 1, "the backend saw the token and the profile of one person");

    let exchange = server.form("/token");
    assert_eq!((exchange["code"].as_str(), exchange["client_secret"].as_str()), ("the-code", "a-secret-for-tests"));
    assert_eq!(exchange["redirect_uri"], format!("{}auth/callback/github", stack.gateway.public_url()));
    assert_eq!(exchange["code_verifier"].len(), 43);
    let ready = readiness(stack.gateway.admin()).await;
    assert!(ready.contains(r#""github":"ok""#), "{ready}");

    stack.expire_tokens();
    browser.fetch("/api/me").await.is(200).says("refreshed");
    assert_eq!((stack.backend.refresh_calls(), server.count("POST /token")), (1, 1), "its refresh is the backend's");
    let out = browser.post("/auth/logout").form(&[]).header("sec-fetch-mode", "navigate").header("accept", "text/html");
    assert_eq!(out.await.is(303).location(), "/", "there is no logout at such a provider");
    assert!(!browser.is_logged_in());
}

#[tokio::test]
async fn the_backend_gets_the_profile_whole_and_no_id_token() {
    let server = github().await;
    let backend = Upstream::answering(reply(200, &json!({"accessToken": "at"}))).await;
    let other =
        format!("[upstreams.other]\ntargets = [\"{}\"]\n[authority.exchange]\nupstream = \"other\"", backend.target());
    let stack = exchange(&server).without("authority.verify").with(&other).start().await;
    stack.browser().login_with("github", "/", "mina").await;
    assert!(backend.last().header("vestibule-assertion").is_some(), "nothing else proves who this is");
    let heard: Value = serde_json::from_slice(&backend.last().body).unwrap();
    assert_eq!(
        heard["profile"],
        json!({"id": 583_231, "sub": "mina-at-backend", "login": "mina", "name": "Mina", "email": null})
    );
    assert_eq!((&heard["provider"], &heard["who"]), (&json!("github"), &json!("mina@corp.example")));
    assert_eq!((&heard["sub"], &heard["id_token"]), (&json!("583231"), &Value::Null), "a number becomes text");
}

#[tokio::test]
async fn an_unusable_profile_or_token_answer_logs_nobody_in() {
    let server = github().await;
    let stack = exchanging(&server).await;
    let html = |status| raw_reply(status, "text/html", "<html>sign in</html>");
    for (path, answer) in [
        ("/user", reply(200, &json!({"sub": "mina-at-backend", "name": "no id"}))),
        ("/user", reply(200, &json!({"id": {"a": 1}, "sub": "mina-at-backend"}))),
        ("/user", html(200)),
        ("/user", html(404)),
        ("/user", reply(401, &json!({"id": 583_231, "message": "Bad credentials"}))),
        ("/user", reply(503, &json!({"id": 583_231}))),
        ("/user/emails", reply(500, &json!([]))),
        ("/token", reply(200, &json!({"error": "bad_verification_code"}))),
        ("/token", raw_reply(200, "application/x-www-form-urlencoded", "error=bad_verification_code")),
        ("/token", html(200)),
    ] {
        let good = server.answers.lock().unwrap()[path].clone();
        server.answer(path, answer.clone());
        let browser = stack.browser();
        let callback = browser.as_far_as_callback("github", "/", "mina").await;
        let result = browser.follow(&callback).await;
        assert!(is_refused(&result), "{path} {answer}: {result}");
        assert!(!browser.is_logged_in(), "{path} {answer}");
        server.answer(path, good);
    }
    let asked = server.count("POST /token");
    let browser = stack.browser();
    browser.as_far_as_callback("github", "/", "mina").await;
    browser.navigate("/auth/callback/github?code=the-code&state=never-given-never-given-never-given").await.is(400);
    browser.navigate("/auth/callback/github?code=the-code").await.is(400);
    assert_eq!((server.count("POST /token"), stack.backend.counters().exchanges), (asked, 0));
    assert!(!browser.is_logged_in());
    browser.post("/auth/github").json(&json!({"id_token": "a.b.c"})).await.is(404);
    stack.browser().login_with("github", "/", "mina").await;
}

#[tokio::test]
async fn allow_decides_by_the_verified_e_mail_address() {
    let server = github().await;
    let app = Upstream::saying("ok").await;
    let stack = as_authority(&github_toml(&server, r#"allow = { email_domains = ["corp.example"] }"#), &app).await;
    stack.browser().login_with("github", "/", "mina").await.says("refreshed");
    for address in [
        json!({"email": "mina@corp.example", "primary": true, "verified": false}),
        json!({"email": "mina@else.example", "primary": true, "verified": true}),
        json!({"email": "mina@corp.example", "primary": false, "verified": true}),
    ] {
        server.answer("/user/emails", reply(200, &json!([address])));
        let browser = stack.browser();
        let callback = browser.as_far_as_callback("github", "/", "mina").await;
        browser.follow(&callback).await.is(403);
        assert!(!browser.is_logged_in(), "{address}");
    }
}

/// A gateway with the provider as authority; its tokens go to `app`.
async fn as_authority(provider: &str, app: &Upstream) -> TestStack {
    let authority = format!(
        r#"
        [authority]
        kind = "provider"
        [upstreams.backend]
        bearer = "none"
        [upstreams.app]
        targets = ["{}"]
        bearer = "access"
        [[routes]]
        path = "/x"
        upstream = "app"
        access = "user"
        "#,
        app.target()
    );
    Setup::new().without("authority").without("routes").with(&authority).with(provider).start().await
}

/// The answers of Naver classic.
async fn naver() -> (OAuthServer, Upstream, TestStack) {
    let server = OAuthServer::start().await;
    server.answer("/token", naver_tokens("at-1", json!("rt-1")));
    server.answer("/me", naver_profile("32742776", "미나"));
    let profile = format!("profile = {{ url = \"{}/me\" }}", server.server.target());
    let app = Upstream::saying("ok").await;
    let stack = as_authority(&server.toml("naver", &profile), &app).await;
    (server, app, stack)
}

fn naver_tokens(access_token: &str, refresh_token: Value) -> String {
    let mut tokens = json!({"access_token": access_token, "token_type": "bearer", "expires_in": "300"});
    if !refresh_token.is_null() {
        tokens["refresh_token"] = refresh_token;
    }
    reply(200, &tokens)
}

fn naver_profile(id: &str, name: &str) -> String {
    let person = json!({"id": id, "email": "mina@naver.com", "name": name});
    reply(200, &json!({"resultcode": "00", "message": "success", "response": person}))
}

async fn name(browser: &Browser) -> Value {
    browser.fetch("/auth/session").await.is(200).json()["user"]["name"].clone()
}

#[tokio::test]
async fn the_providers_tokens_are_refreshed_and_deleted_at_the_logout() {
    let (server, app, stack) = naver().await;
    let browser = stack.browser();
    browser.login_with("naver", "/", "mina").await.says("refreshed");
    browser.fetch("/x").await.is(200).says("valid");
    assert_eq!(app.last().header("authorization"), Some("Bearer at-1"));
    let session = browser.fetch("/auth/session").await.is(200).json();
    let user = json!({"sub": "32742776", "email": "mina@naver.com", "name": "미나"});
    assert_eq!((&session["authenticated"], &session["user"]), (&json!(true), &user));
    let start = server.form("/token");
    assert!(start.contains_key("state"), "Naver wants it again");

    // An answer without a refresh token keeps the old one; the profile is read again.
    server.answer("/token", naver_tokens("at-2", Value::Null));
    server.answer("/me", naver_profile("32742776", "미나 김"));
    stack.advance(secs(310));
    browser.fetch("/x").await.is(200).says("refreshed");
    let refresh = server.form("/token");
    assert_eq!((refresh["grant_type"].as_str(), refresh["refresh_token"].as_str()), ("refresh_token", "rt-1"));
    assert_eq!(app.last().header("authorization"), Some("Bearer at-2"));
    assert_eq!(name(&browser).await, "미나 김");

    // Without a profile the tokens are used, and the claims stay as they were.
    server.answer("/token", naver_tokens("at-3", Value::Null));
    server.answer("/me", raw_reply(503, "text/html", "<html>"));
    stack.advance(secs(310));
    browser.fetch("/x").await.is(200).says("refreshed");
    assert_eq!(server.form("/token")["refresh_token"], "rt-1");
    assert_eq!(name(&browser).await, "미나 김");

    server.answer("/token", reply(200, &json!({"access_token": "at-3", "result": "success"})));
    browser.post("/auth/logout").await.is(200);
    let deletion = server.form("/token");
    assert_eq!((deletion["grant_type"].as_str(), deletion["access_token"].as_str()), ("delete", "at-3"));
    assert!(!browser.is_logged_in());
}

#[tokio::test]
async fn a_refresh_with_another_persons_profile_uses_nothing_of_it_and_ends_nothing() {
    let (server, app, stack) = naver().await;
    let browser = stack.browser();
    browser.login_with("naver", "/", "mina").await;
    server.answer("/token", naver_tokens("at-2", json!("rt-2")));
    server.answer("/me", naver_profile("1", "somebody else"));
    stack.advance(secs(310));
    browser.fetch("/x").await.is(503).says("unavailable");
    assert!(browser.is_logged_in());
    assert!(app.heard().iter().all(|heard| heard.header("authorization") != Some("Bearer at-2")));
}
