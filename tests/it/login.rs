//! Logins: at an identity provider, with e-mail and password, with the ID token of an app.

use std::collections::BTreeMap;

use serde_json::json;
use url::Url;
use vestibule::demo::backend::{EMAIL, PASSWORD};

use crate::harness::{Setup, TestStack, Upstream, secs};

fn query(location: &str) -> BTreeMap<String, String> {
    Url::parse(location).unwrap().query_pairs().into_owned().collect()
}

const ID_TOKEN_LOGIN: &str = r#"providers.demo.id_token_login = { audiences = ["vestibule"] }"#;

#[tokio::test]
async fn a_person_logs_in_and_the_backend_gets_their_bearer() {
    let stack = TestStack::start().await;
    let browser = stack.browser();
    let answer = browser.login_with("demo", "/api/me?x=1", "mina").await.says("refreshed");
    assert_eq!(answer.location(), "/api/me?x=1");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    for name in ["sb_at", "sb_rt", "sb_did"] {
        assert!(answer.sets(name), "{answer}");
    }

    let me = browser.fetch("/api/me").await.is(200).says("valid");
    assert_eq!(me.json()["email"], "mina@example.test");
    assert!(me.set_cookies().is_empty());
    let recorded = &stack.backend.recorded_at("/api/me")[0];
    assert!(recorded.header("authorization").unwrap().starts_with("Bearer ey"));
    assert_eq!(recorded.header("cookie"), None);
}

#[tokio::test]
async fn the_exchange_has_the_id_token_the_device_and_the_client() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    let exchange = &stack.backend.recorded_at("/auth/demo")[0];
    let sent = exchange.json().unwrap();
    assert_eq!(sent["id_token"].as_str().unwrap().split('.').count(), 3);
    assert_eq!(sent["deviceId"], browser.cookie("sb_did").unwrap());
    assert!(!sent["deviceName"].as_str().unwrap().is_empty());
    assert_eq!(exchange.header("x-forwarded-for"), Some("127.0.0.1"));
    assert!(exchange.header("user-agent").unwrap().contains("Tests/1.0"));
}

#[tokio::test]
async fn the_authorization_request_has_pkce_state_and_nonce_and_they_differ_each_time() {
    let stack = TestStack::start().await;
    let browser = stack.browser();
    let first = browser.navigate("/auth/login/demo?return_to=/").await;
    let second = browser.navigate("/auth/login/demo?return_to=/").await;
    assert!(first.status.is_redirection(), "{first}");
    let asked = query(first.location());
    let base = stack.gateway.public_url().as_str();
    assert_eq!(asked["redirect_uri"], format!("{base}auth/callback/demo"));
    assert_eq!(asked["response_type"], "code");
    assert_eq!(asked["client_id"], "vestibule");
    assert_eq!(asked["scope"], "openid email profile");
    assert_eq!(asked["code_challenge_method"], "S256");
    assert_eq!(asked["code_challenge"].len(), 43);
    let again = query(second.location());
    for name in ["state", "nonce", "code_challenge"] {
        assert!(asked[name].len() >= 22, "{name} is {}", asked[name]);
        assert_ne!(asked[name], again[name], "{name}");
    }
}

#[tokio::test]
async fn an_attempt_is_kept_in_a_cookie_of_its_own_for_ten_minutes() {
    let stack = TestStack::start().await;
    let browser = stack.browser();
    let start = browser.navigate("/auth/login/demo").await;
    let attempt = start.set_cookies().into_iter().find(|line| line.starts_with("sb_tx")).expect("an attempt's cookie");
    for attribute in ["HttpOnly", "SameSite=Lax", "Max-Age=600"] {
        assert!(attempt.contains(attribute), "{attempt}");
    }
    stack.advance(secs(601));
    assert!(browser.cookie_names().is_empty());
}

#[tokio::test]
async fn a_single_login_method_starts_without_a_page() {
    let stack = Setup::new().without("authority").with(
        r#"
        [authority]
        kind = "backend"
        upstream = "backend"
        exchange = { path = "/auth/{provider}", json = { id_token = "{id_token}" } }
        refresh = { path = "/auth/refresh", json = { refreshToken = "{refresh_token}" } }
        "#,
    );
    let stack = stack.start().await;
    let start = stack.browser().navigate("/auth/login?return_to=/x").await;
    assert!(start.status.is_redirection(), "{start}");
    assert!(
        start.location().contains("/auth/login/demo") || start.location().starts_with(&stack.provider.issuer()),
        "{start}"
    );
}

#[tokio::test]
async fn several_login_methods_are_shown_on_a_page_in_the_persons_language() {
    let stack = TestStack::with(
        r#"
        [providers.corp]
        issuer = "http://127.0.0.1:9"
        client_id = "c"
        client_secret = "s"
        label = "Corp & Co"
        "#,
    )
    .await;
    for (language, word) in [("en", "Log in"), ("ko-KR,ko;q=0.9", "로그인")] {
        let page =
            stack.browser().speaking(language).navigate("/auth/login?return_to=/x").await.is(200).says("anonymous");
        let text = page.text();
        assert!(text.contains("/auth/login/demo?return_to=") && text.contains("/auth/login/corp?return_to="), "{page}");
        assert!(text.contains("Corp &amp; Co") && text.contains(word) && text.contains(r#"type="password""#), "{page}");
        assert!(page.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"), "{page}");
    }
}

#[tokio::test]
async fn a_visitor_with_a_session_is_redirected_from_the_login_page() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    assert_eq!(browser.navigate("/auth/login?return_to=/x").await.is(303).location(), "/x");
    assert_eq!(browser.navigate("/auth/login").await.is(303).location(), "/");
}

#[tokio::test]
async fn e_mail_and_password_log_in_through_the_backend() {
    let stack = TestStack::start().await;
    let browser = stack.browser();
    let answer = browser.post("/auth/login").json(&json!({ "email": EMAIL, "password": PASSWORD })).await;
    let answer = answer.is(200).says("refreshed");
    let session = answer.json();
    assert_eq!(session["authenticated"], true);
    assert_eq!(session["user"]["email"], EMAIL);
    assert!(answer.sets("sb_at") && answer.sets("sb_rt"));
    browser.fetch("/api/me").await.is(200);
}

#[tokio::test]
async fn a_login_with_the_password_form_ends_at_return_to() {
    let stack = TestStack::start().await;
    let browser = stack.browser();
    let page = browser.navigate("/auth/login?return_to=/deep").await.is(200);
    assert!(page.text().contains("/deep"));
    let fields = [("email", EMAIL), ("password", PASSWORD), ("return_to", "/deep")];
    let form =
        browser.post("/auth/login").form(&fields).header("sec-fetch-mode", "navigate").header("accept", "text/html");
    assert_eq!(form.await.is(303).location(), "/deep");
    assert!(browser.is_logged_in());
}

#[tokio::test]
async fn a_password_reaches_the_backend_as_it_was_typed_however_long() {
    let stack = TestStack::start().await;
    let long = format!(" 비밀번호 \"\\ {}\u{301} ", "x".repeat(4000));
    let browser = stack.browser();
    browser.post("/auth/login").json(&json!({ "email": EMAIL, "password": &long })).await.is(401);
    browser.post("/auth/login").form(&[("email", EMAIL), ("password", &long)]).await;
    let asked: Vec<_> = stack.backend.recorded().iter().filter_map(crate::harness::RecordedRequest::json).collect();
    let passwords: Vec<_> = asked.iter().filter_map(|body| body["password"].as_str()).collect();
    assert_eq!(passwords, [&long, &long]);
}

#[tokio::test]
async fn wrong_credentials_are_401_and_a_backend_that_is_down_is_503() {
    let stack = TestStack::start().await;
    let browser = stack.browser();
    let wrong = json!({ "email": EMAIL, "password": "wrong" });
    browser.post("/auth/login").json(&wrong).await.is(401).problem("bad_credentials");
    let korean = browser.clone().speaking("ko").post("/auth/login").json(&wrong).await.is(401);
    assert_eq!(korean.json()["error"], "잘못된 자격 증명입니다");
    stack.backend.set_authority_fault(vestibule::demo::Fault::Unavailable);
    browser.post("/auth/login").json(&wrong).await.is(503);
    assert!(!browser.is_logged_in());
}

#[tokio::test]
async fn a_login_opens_a_new_session_and_the_device_keeps_its_id() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    let (device, before) = (browser.cookie("sb_did").unwrap(), browser.copy());
    let second = browser.as_far_as_callback("demo", "/", "jun").await;
    browser.follow(&second).await.is(303);
    assert_eq!(browser.cookie("sb_did").unwrap(), device);
    assert_eq!(browser.fetch("/api/me").await.is(200).json()["email"], "jun@example.test");
    before.fetch("/api/me").await.is(401).says("invalid");
}

#[tokio::test]
async fn an_app_can_log_in_once_with_an_id_token() {
    let stack = TestStack::with(ID_TOKEN_LOGIN).await;
    let token = stack.provider.id_token("mina", &json!({})).unwrap();
    let body = json!({ "id_token": token, "deviceId": "6f1cbb6e-6a4f-4f6e-9f0a-1f2f3a4b5c6d", "deviceName": "Pixel" });
    let ask = |body: &serde_json::Value| stack.browser().plain(http::Method::POST, "/auth/demo").json(body);
    let answer = ask(&body).await.is(200).says("refreshed");
    assert_eq!(answer.json()["user"]["email"], "mina@example.test");
    assert_eq!(answer.json()["deviceId"], "6f1cbb6e-6a4f-4f6e-9f0a-1f2f3a4b5c6d");
    assert_eq!(stack.backend.recorded_at("/auth/demo")[0].json().unwrap()["deviceName"], "Pixel");
    ask(&body).await.is(401).problem("used_id_token");
}

#[tokio::test]
async fn an_id_token_for_another_client_or_too_old_is_refused() {
    let stack = TestStack::with(ID_TOKEN_LOGIN).await;
    let now = stack.clock.now();
    for claims in [
        json!({ "aud": "another" }),
        json!({ "aud": ["vestibule", "another"], "azp": "another" }),
        json!({ "iat": now.minus(secs(660)).as_secs() }),
        json!({ "iat": now.plus(secs(3600)).as_secs() }),
        json!({ "exp": now.minus(secs(120)).as_secs() }),
        json!({ "iss": "https://elsewhere.example.test" }),
    ] {
        let token = stack.provider.id_token("mina", &claims).unwrap();
        let app = stack.browser();
        let answer = app.plain(http::Method::POST, "/auth/demo").json(&json!({ "id_token": token })).await;
        assert_eq!(answer.status, 401, "{claims}: {answer}");
        assert!(!app.is_logged_in());
    }
    assert_eq!(stack.backend.counters().exchanges, 0);
}

#[tokio::test]
async fn an_id_token_from_a_browser_needs_a_nonce_of_the_gateway() {
    let stack = TestStack::with(ID_TOKEN_LOGIN).await;
    let browser = stack.browser();
    let without = stack.provider.id_token("mina", &json!({})).unwrap();
    let refused = browser.post("/auth/demo").json(&json!({ "id_token": without })).await;
    refused.is(401).problem("nonce_expected");
    let other = stack.provider.id_token("mina", &json!({ "nonce": "another" })).unwrap();
    browser.post("/auth/demo").json(&json!({ "id_token": other })).await.is(401).problem("nonce_expected");
    let nonce = browser.post("/auth/demo/nonce").await.is(200).json();
    let with = stack.provider.id_token("mina", &json!({ "nonce": nonce["nonce"] })).unwrap();
    browser.post("/auth/demo").json(&json!({ "id_token": with })).await.is(200);
    assert!(browser.is_logged_in());
}

#[tokio::test]
async fn an_id_token_login_that_is_not_configured_does_not_exist() {
    let stack = TestStack::start().await;
    let token = stack.provider.id_token("mina", &json!({})).unwrap();
    stack.browser().plain(http::Method::POST, "/auth/demo").json(&json!({ "id_token": token })).await.is(404);
}

#[tokio::test]
async fn a_backend_may_be_sent_the_profile_instead() {
    let stack = Setup::new()
        .without("authority")
        .with(
            r#"
            [authority]
            kind = "backend"
            upstream = "backend"
            exchange = { path = "/social-login", json = { provider = "{provider}", token = "{id_token}", profile = "{profile}", deviceId = "{device_id}" } }
            refresh = { path = "/auth/refresh", json = { refreshToken = "{refresh_token}" } }
            "#,
        )
        .start()
        .await;
    let browser = stack.logged_in("mina").await;
    let sent = stack.backend.recorded_at("/social-login")[0].json().unwrap();
    assert_eq!(sent["provider"], "demo");
    assert_eq!(sent["profile"]["sub"], "demo-mina");
    assert_eq!(sent["profile"]["name"], "김미나 Mina");
    assert_eq!(browser.fetch("/api/me").await.is(200).json()["email"], "mina@example.test");
}

#[tokio::test]
async fn with_the_provider_as_authority_allow_decides_who_may_log_in() {
    for (allow, comes) in [
        ("\"anyone\"", true),
        ("{ email_domains = [\"example.test\"] }", true),
        ("{ emails = [\"MINA@example.test\"] }", true),
        ("{ claims = { role = [\"user\", \"admin\"] } }", true),
        ("{ email_domains = [\"test\"] }", false),
        ("{ emails = [\"jun@example.test\"] }", false),
        ("{ email_domains = [\"example.test\"], claims = { role = [\"admin\"] } }", false),
    ] {
        let setup = Setup::with_provider_as_authority().with(&format!("providers.demo.allow = {allow}"));
        let stack = setup.start().await;
        let browser = stack.browser();
        let callback = browser.as_far_as_callback("demo", "/api/me", "mina").await;
        let answer = browser.follow(&callback).await;
        assert_eq!(browser.is_logged_in(), comes, "{allow}: {answer}");
        assert_eq!(answer.status == 303 && answer.location() == "/api/me", comes, "{allow}: {answer}");
    }
}

#[tokio::test]
async fn each_status_of_a_failed_password_login_has_its_answer_and_only_guesses_count() {
    const NO: &str = "{\"message\":\"no\"}";
    for (status, body, expected, is_guess) in [
        (400, NO, (401, "bad_credentials"), true),
        (401, "", (401, "bad_credentials"), true),
        (404, NO, (401, "bad_credentials"), true),
        (422, NO, (401, "bad_credentials"), true),
        (409, NO, (401, "bad_credentials"), false),
        (410, NO, (401, "bad_credentials"), false),
        (423, "locked", (401, "bad_credentials"), false),
        (404, "Cannot POST /auth/login", (503, "unavailable"), false),
        (401, "\u{feff}<html>", (503, "unavailable"), false),
        (429, NO, (429, "too_many"), false),
    ] {
        // Labelled as PHP, Flask, Django and Express label everything.
        let head = format!("HTTP/1.1 {status} X\r\nContent-Type: text/html\r\nRetry-After: 17\r\n");
        let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        let accounts = Upstream::answering(answer).await;
        let config = format!(
            "limits.failures_per_account = \"1/h\"\n[upstreams.accounts]\ntargets = [\"{}\"]\n[authority.credentials]\nupstream = \"accounts\"",
            accounts.target()
        );
        let stack = TestStack::with(&config).await;
        let credentials = json!({ "email": EMAIL, "password": "wrong" });
        let log_in = async || stack.browser().post("/auth/login").json(&credentials).await;
        let first = log_in().await.is(expected.0).problem(expected.1);
        if status == 429 {
            assert_eq!((first.header("retry-after"), first.json()["retryAfter"].as_u64()), (Some("17"), Some(17)));
        }
        let second = log_in().await.status.as_u16();
        assert_eq!(second, if is_guess { 429 } else { expected.0 }, "{status} {body}");
    }
}

#[tokio::test]
async fn a_field_that_is_absent_or_of_another_type_is_missing_and_json_that_parses_is_never_malformed() {
    let stack = TestStack::with(ID_TOKEN_LOGIN).await;
    let post = async |path: &str, body: &str| {
        let request = stack.browser().post(path).header("content-type", "application/json").body(body.to_owned());
        let answer = request.await;
        (answer.status.as_u16(), answer.json()["code"].as_str().unwrap_or_default().to_owned())
    };
    for (path, code) in [("/auth/login", "credentials_missing"), ("/auth/demo", "field_missing")] {
        for body in [
            "",
            "{}",
            "[]",
            "null",
            "7",
            "\"a\"",
            "\u{feff}{}",
            r#"{"email":7,"password":"p"}"#,
            r#"{"email":"a@b.kr","password":null}"#,
            r#"{"email":"a@b.kr","password":["p"]}"#,
            r#"{"id_token":null}"#,
            r#"{"id_token":{"a":1}}"#,
            r#"{"email":1e999,"password":"p","id_token":1e999}"#,
            r#"{"email":"\ud800","password":"p","id_token":"\ud800"}"#,
            &format!(r#"{{"x":{}{}}}"#, "[".repeat(500), "]".repeat(500)),
            &format!(r#"{{"email":{0},"id_token":{0}}}"#, "9".repeat(400)),
        ] {
            assert_eq!(post(path, body).await, (400, code.to_owned()), "{path} {body}");
        }
        assert_eq!(post(path, "{").await, (400, "malformed_json".to_owned()));
        let repeated = r#"{"email":"a","email":"b","password":"p","id_token":"x"}"#;
        assert_eq!(post(path, repeated).await, (400, "repeated_parameter".to_owned()));
    }
    let body = format!(
        "\u{feff}{{\"email\":\"{EMAIL}\",\"password\":\"{PASSWORD}\",\"deviceId\":7,\"deviceName\":[],\"x\":1e999}}"
    );
    assert_eq!(post("/auth/login", &body).await.0, 200, "a device of another type counts as absent");
}
