//! One-time codes by SMS and e-mail, as visitors, apps and the backend get them.

use futures_util::future::join_all;
use serde_json::{Value, json};
use vestibule::demo::backend::Message;

use crate::harness::{Answer, Browser, BrowserRequest, Setup, TestStack, secs};

const PHONE: &str = "010-1234-5678";

/// Codes with purpose `prove`, which need no session and open none.
const PROVE: &str = "[otp.sms]\npurpose = \"prove\"\n[otp.email]\npurpose = \"prove\"\n";

/// The demo's servers, with changes to the configuration.
async fn codes(toml: &str) -> TestStack {
    Setup::with_codes().with(toml).start().await
}

fn newest(stack: &TestStack) -> Message {
    stack.backend.messages().pop().expect("a message arrived")
}

fn code(stack: &TestStack) -> String {
    let letter = newest(stack);
    letter.code().unwrap_or_else(|| panic!("no code in {letter:?}")).to_owned()
}

/// A code that differs from that one.
fn other_than(code: &str) -> String {
    let number: u32 = code.parse().unwrap();
    format!("{:06}", (number + 1) % 1_000_000)
}

fn send(browser: &Browser, phone: &str) -> BrowserRequest {
    browser.post("/auth/sms/send").header("accept-language", "ko").json(&json!({ "phone": phone }))
}

fn verify(browser: &Browser, phone: &str, code: &str) -> BrowserRequest {
    let body = json!({ "phone": phone, "code": code });
    browser.post("/auth/sms/verify").header("accept-language", "ko").json(&body)
}

#[track_caller]
fn refused(answer: Answer, status: u16, korean: &str) -> Value {
    let answer = answer.is(status);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer}");
    let problem = answer.json();
    assert_eq!(problem["error"], korean, "{answer}");
    assert!(problem["code"].is_string(), "{answer}");
    problem
}

const WRONG: &str = "인증번호가 올바르지 않거나 만료되었습니다";

#[tokio::test]
async fn a_code_by_sms_logs_in() {
    let stack = codes("").await;
    stack.backend.expect_assertions_of(stack.gateway.public_url().as_str().trim_end_matches('/'));
    let browser = stack.browser();
    let sent = send(&browser, PHONE).await.is(200).says("anonymous");
    assert_eq!(sent.json()["success"], true);
    assert_eq!(sent.json()["message"], "인증번호가 발송되었습니다");
    assert!(sent.json()["expiresAt"].as_str().unwrap().ends_with('Z'));
    let letter = newest(&stack);
    assert_eq!((letter.channel.as_str(), letter.to.as_str()), ("sms", "01012345678"));

    let done = verify(&browser, "01012345678", &code(&stack)).await.is(200).says("refreshed");
    let object = done.json();
    assert_eq!(object["success"], true);
    assert_eq!(object["message"], "인증이 완료되었습니다");
    assert_eq!(object["authenticated"], true);
    assert!(object["proof"].as_str().unwrap().split('.').count() == 3 && object["expiresAt"].is_string());
    assert!(done.sets("sb_at") && done.sets("sb_rt") && done.sets("sb_did"));
    browser.fetch("/api/me").await.is(200).says("valid");
    let asked = stack.backend.recorded_at("/auth/otp")[0].json().unwrap();
    assert_eq!(asked["channel"], "sms");
    assert_eq!(asked["address"], "01012345678");
    assert_eq!(asked["deviceId"], browser.cookie("sb_did").unwrap());
}

#[tokio::test]
async fn a_code_by_mail_logs_in() {
    let stack = codes("").await;
    let browser = stack.browser();
    let body = json!({ "email": "mina@example.test" });
    browser.post("/auth/email/send").json(&body).await.is(200);
    let letter = newest(&stack);
    assert_eq!((letter.channel.as_str(), letter.to.as_str()), ("email", "mina@example.test"));
    assert!(letter.subject.is_some());
    let body = json!({ "email": "mina@example.test", "code": code(&stack) });
    let done = browser.post("/auth/email/verify").json(&body).await.is(200).says("refreshed");
    assert_eq!(done.json()["user"]["email"], "mina@example.test");
}

#[tokio::test]
async fn the_pages_log_in_without_scripts() {
    let stack = codes("").await;
    let browser = stack.browser().speaking("ko");
    let page = browser.navigate("/auth/login?return_to=/api/me").await.is(200).text();
    for expected in ["action=\"/auth/sms/send\"", "action=\"/auth/email/send\"", "value=\"/api/me\"", "휴대폰 번호"]
    {
        assert!(page.contains(expected), "{expected}\n{page}");
    }
    let form = |path, fields: &[(&str, &str)]| browser.navigate(path).with_method(http::Method::POST).form(fields);
    let sent = form("/auth/sms/send", &[("phone", PHONE), ("return_to", "/api/me")]).await.is(303);
    let page = browser.follow(&sent).await.is(200).text();
    assert!(page.contains("autocomplete=\"one-time-code\"") && page.contains("action=\"/auth/sms/verify\""), "{page}");
    assert!(page.contains("5678") && !page.contains("script>alert"), "{page}");

    let right = code(&stack);
    let wrong = form("/auth/sms/verify", &[("phone", "01012345678"), ("code", &other_than(&right))]).await.is(303);
    let page = browser.follow(&wrong).await.is(200).text();
    assert!(page.contains(WRONG) && page.contains("role=\"alert\""), "{page}");

    let again = form("/auth/sms/resend", &[("phone", "01012345678")]).await.is(303);
    let page = browser.follow(&again).await.is(200).text();
    assert!(page.contains("인증번호가 재발송되었습니다") && page.contains("role=\"status\""), "{page}");
    assert_eq!(code(&stack), right);
    let done = form("/auth/sms/verify", &[("phone", "01012345678"), ("code", &right)]).await.is(303);
    assert_eq!(done.location(), "/api/me");
    browser.follow(&done).await.is(200);
}

#[tokio::test]
async fn every_refusal_has_its_status_its_text_and_its_code() {
    let stack = codes(PROVE).await;
    let browser = stack.browser();
    let post = |path: &str, body: Value| browser.post(path).header("accept-language", "ko").json(&body);
    let no_phone = "올바른 전화번호 형식이 아닙니다";
    for phone in ["", "1", "02-123-4567", "1577-1577", "+1 415 555 2671", "０１０１２３４５６７８", "010-1234-567"]
    {
        refused(send(&browser, phone).await, 400, no_phone);
    }
    let missing = "전화번호와 인증번호를 입력해주세요";
    refused(post("/auth/sms/verify", json!({})).await, 400, missing);
    refused(post("/auth/sms/verify", json!({ "phone": PHONE })).await, 400, missing);
    refused(post("/auth/sms/verify", json!({ "code": "123456" })).await, 400, missing);
    for code in ["12345", "1234567", "abcdef", "12 456", "１２３４５６", "١٢٣٤٥٦"] {
        refused(verify(&browser, PHONE, code).await, 400, "인증번호는 6자리 숫자여야 합니다");
    }
    refused(verify(&browser, PHONE, "123456").await, 400, WRONG);
    let resend = post("/auth/sms/resend", json!({ "phone": PHONE })).await;
    refused(resend, 404, "유효한 인증번호가 없습니다. 처음부터 다시 시도해주세요.");
    assert_eq!(stack.backend.messages(), vec![]);

    send(&browser, PHONE).await.is(200);
    let other_jar = stack.browser();
    let soon = send(&other_jar, PHONE).await;
    let seconds: u64 = soon.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds));
    let problem = refused(soon, 429, &format!("{seconds}초 후에 다시 시도해주세요"));
    assert_eq!(problem["retryAfter"], seconds);
    assert_eq!(stack.backend.messages().len(), 1);

    browser.post("/auth/sms/send").body("phone=1").header("content-type", "text/plain").await.is(400);
    browser.post("/auth/sms/send").body("{").header("content-type", "application/json").await.is(400);
    let huge =
        browser.post("/auth/sms/send").header("content-type", "application/json").body(vec![b' '; 100_000]).await;
    huge.is(413);
    browser.fetch("/auth/sms/send").await.is(405);
    browser.post("/auth/sms/nothing").await.is(404);
    browser.foreign_form("/auth/sms/send", "https://evil.example").await.is(403);
    let foreign =
        browser.post("/auth/sms/send").header("origin", "https://evil.example").json(&json!({ "phone": PHONE }));
    foreign.header("sec-fetch-site", "cross-site").await.is(403).problem("cross_origin");
}

#[tokio::test]
async fn a_code_is_for_one_browser_one_address_and_one_time() {
    let stack = codes(&format!("{PROVE}\n[otp]\ncooldown = \"0s\"")).await;
    let (mine, other) = (stack.browser(), stack.browser());
    send(&mine, PHONE).await.is(200);
    let my_code = code(&stack);
    refused(verify(&other, PHONE, &my_code).await, 400, WRONG);
    refused(verify(&mine, "010-8765-4321", &my_code).await, 400, WRONG);
    // Another browser has another code for the same address.
    send(&other, PHONE).await.is(200);
    let their_code = code(&stack);
    if their_code != my_code {
        refused(verify(&mine, PHONE, &their_code).await, 400, WRONG);
    }
    let proof = verify(&mine, PHONE, &my_code).await.is(200).json()["proof"].as_str().unwrap().to_owned();
    assert!(!proof.is_empty());
    refused(verify(&mine, PHONE, &my_code).await, 400, WRONG);
    verify(&other, PHONE, &their_code).await.is(200);
    // A new code of the same browser ends its older one.
    send(&mine, PHONE).await.is(200);
    let old = code(&stack);
    send(&mine, PHONE).await.is(200);
    if code(&stack) != old {
        refused(verify(&mine, PHONE, &old).await, 400, WRONG);
    }
    verify(&mine, PHONE, &code(&stack)).await.is(200);
}

#[tokio::test]
async fn a_code_expires_after_three_minutes() {
    let stack = codes(PROVE).await;
    let browser = stack.browser();
    send(&browser, PHONE).await.is(200);
    stack.advance(secs(181));
    refused(verify(&browser, PHONE, &code(&stack)).await, 400, WRONG);
}

#[tokio::test]
async fn of_two_hundred_parallel_guesses_with_the_right_one_last_none_succeeds() {
    let stack = codes(PROVE).await;
    let browser = stack.browser();
    send(&browser, PHONE).await.is(200);
    let right = code(&stack);
    let start: u32 = right.parse().unwrap();
    let wrong = (1..=200).map(|n| format!("{:06}", (start + n) % 1_000_000));
    let mut tries: Vec<_> = wrong.map(|guess| verify(&browser, PHONE, &guess)).collect();
    // The right code is sent while the wrong ones are being checked.
    let guesses = join_all(tries.drain(..).map(IntoFuture::into_future)).await;
    assert!(guesses.iter().all(|answer| !answer.status.is_success()));
    assert!(!verify(&browser, PHONE, &right).await.status.is_success());
}

#[tokio::test]
async fn the_same_code_is_sent_again_three_times_and_its_tries_are_not_reset() {
    let stack = codes(PROVE).await;
    let browser = stack.browser();
    send(&browser, PHONE).await.is(200);
    let right = code(&stack);
    for _ in 0..4 {
        refused(verify(&browser, PHONE, &other_than(&right)).await, 400, WRONG);
    }
    let resend = || browser.post("/auth/sms/resend").header("accept-language", "ko").json(&json!({ "phone": PHONE }));
    for _ in 0..3 {
        let again = resend().await.is(200).json();
        assert_eq!(again["message"], "인증번호가 재발송되었습니다");
        assert!(again["expiresAt"].is_string());
        assert_eq!(code(&stack), right);
    }
    resend().await.is(429);
    refused(verify(&browser, PHONE, &other_than(&right)).await, 400, WRONG);
    refused(verify(&browser, PHONE, &right).await, 400, WRONG);
}

#[tokio::test]
async fn limits_hold_for_an_address_a_client_and_the_day() {
    let limited = "[otp]\ncooldown = \"0s\"\nlimits = { per_address = \"2/h\", per_ip = \"4/h\" }\n";
    let stack = codes(&format!("{PROVE}{limited}")).await;
    for _ in 0..2 {
        send(&stack.browser(), PHONE).await.is(200);
    }
    let over = send(&stack.browser(), PHONE).await.is(429);
    assert!(over.header("retry-after").is_some() && over.json()["retryAfter"].is_u64());
    for n in 0..2 {
        send(&stack.browser(), &format!("010-2000-000{n}")).await.is(200);
    }
    send(&stack.browser(), "010-2000-0009").await.is(429);
    assert_eq!(stack.backend.messages().len(), 4);

    let stack = codes(&format!("{PROVE}[otp]\ndaily_cap = 3\n")).await;
    let browser = stack.logged_in("mina").await;
    let mut sent = 0;
    for n in 0..8 {
        sent += u16::from(send(&browser, &format!("010-3000-000{n}")).await.status == 200);
    }
    assert_eq!((sent, stack.backend.messages().len()), (3, 3));
}

#[tokio::test]
async fn a_failed_delivery_says_where_to_try_again_and_the_code_stays_valid() {
    let dead = "http://127.0.0.1:9/outbox";
    let stack = codes(&format!("{PROVE}[otp.sms.outbox]\nurl = \"{dead}\"\n")).await;
    let browser = stack.browser();
    let failed = send(&browser, PHONE).await;
    let problem = refused(failed, 503, "SMS 발송에 실패했습니다");
    assert_eq!(problem["canResend"], true);
    assert_eq!(problem["retryEndpoint"], "/auth/sms/resend");
    let again = browser.post("/auth/sms/resend").header("accept-language", "ko").json(&json!({ "phone": PHONE })).await;
    refused(again, 503, "SMS 재발송에 실패했습니다");
}

#[tokio::test]
async fn an_app_without_cookies_sends_its_challenge_in_the_body() {
    let stack = codes(PROVE).await;
    let app = stack.browser();
    let ask = |path: &str, body: Value| app.plain(http::Method::POST, path).json(&body);
    let sent = ask("/auth/sms/send", json!({ "phone": PHONE })).await.is(200).json();
    let challenge = sent["challenge"].as_str().expect("an app gets its challenge").to_owned();
    let body = |challenge: &str| json!({ "phone": PHONE, "code": code(&stack), "challenge": challenge });
    app.remove_cookie("sb_otp_sms");
    ask("/auth/sms/verify", json!({ "phone": PHONE, "code": code(&stack) })).await.is(400);
    ask("/auth/sms/verify", body("x")).await.is(400);
    ask("/auth/sms/verify", body(&challenge)).await.is(200);
}

/// A backend without SMS: the gateway sends it the verified number in a GraphQL mutation.
const NOTIFY: &str = r#"
[otp.sms]
purpose = "verify"
[otp.sms.notify]
upstream = "backend"
path = "/api/echo"
headers = { x-hasura-role = "user" }
json = { query = "mutation($phone: String!) { update_me(phone: $phone) { id } }", variables = { phone = "{address}", e164 = "{address_e164}", phone_verified = true } }
"#;

#[tokio::test]
async fn the_backend_is_notified_of_a_verified_number_with_the_visitors_bearer() {
    let stack = codes(NOTIFY).await;
    let stranger = stack.browser();
    refused(send(&stranger, PHONE).await.says("anonymous"), 401, "로그인이 필요합니다");
    let browser = stack.logged_in("mina").await;
    send(&browser, PHONE).await.is(200).says("valid");
    let done = verify(&browser, PHONE, &code(&stack)).await.is(200).says("valid");
    assert_eq!(done.json()["success"], true);
    let told = &stack.backend.recorded_at("/api/echo")[0];
    let body = told.json().unwrap();
    assert_eq!(body["variables"], json!({ "phone": "01012345678", "e164": "+821012345678", "phone_verified": true }));
    assert!(told.header("authorization").unwrap().starts_with("Bearer ey"));
    assert_eq!(told.header("x-hasura-role"), Some("user"));
    assert!(told.header("vestibule-assertion").is_some());
    // Visitors cannot make that call through the gateway.
    browser.post("/api/echo").json(&json!({})).await.is(404);
}

#[tokio::test]
async fn a_code_is_not_spent_if_the_backend_does_not_take_the_address() {
    let stack = codes(NOTIFY).await;
    let browser = stack.logged_in("mina").await;
    send(&browser, PHONE).await.is(200);
    stack.backend.set_unauthorized_always(true);
    for _ in 0..6 {
        let answer = verify(&browser, PHONE, &code(&stack)).await;
        refused(answer, 502, "인증은 되었지만 저장되지 않았습니다");
    }
    stack.backend.set_unauthorized_always(false);
    verify(&browser, PHONE, &code(&stack)).await.is(200);
}

#[tokio::test]
async fn a_code_of_one_session_is_refused_in_another() {
    let stack = codes(NOTIFY).await;
    let browser = stack.logged_in("mina").await;
    send(&browser, PHONE).await.is(200);
    let right = code(&stack);
    browser.login_as("jun").await;
    refused(verify(&browser, PHONE, &right).await, 400, WRONG);
}

#[tokio::test]
async fn the_proof_is_verified_by_the_published_keys() {
    let stack = codes(&format!("{PROVE}[otp]\nproof_audience = \"signup\"")).await;
    let browser = stack.browser();
    send(&browser, PHONE).await.is(200);
    let proof = verify(&browser, PHONE, &code(&stack)).await.is(200).json()["proof"].as_str().unwrap().to_owned();
    let keys = browser.fetch("/.well-known/jwks.json").await.is(200);
    let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_slice(&keys.body).unwrap();
    let header = jsonwebtoken::decode_header(&proof).unwrap();
    assert_eq!(header.typ.as_deref(), Some("vestibule-proof+jwt"));
    let key = jsonwebtoken::DecodingKey::from_jwk(keys.find(&header.kid.unwrap()).unwrap()).unwrap();
    let mut rules = jsonwebtoken::Validation::new(header.alg);
    rules.set_audience(&["signup"]);
    rules.validate_exp = false;
    let claims = jsonwebtoken::decode::<Value>(&proof, &key, &rules).unwrap().claims;
    assert_eq!(claims["address"], "+821012345678");
    assert_eq!(claims["channel"], "sms");
    assert_eq!(claims["purpose"], "prove");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
    assert!(claims["jti"].is_string() && claims.get("sub").is_none());
}
