//! Logs: every line is JSON, and none has a secret, at any log level.

use serde_json::{Value, json};
use vestibule::demo::backend::{EMAIL, PASSWORD};

use crate::harness::{Browser, Process, Raw, TestStack, WebSocket, free_port, within_time_limit};

/// The secret parts of a browser's cookies.
fn held(browser: &Browser) -> Vec<String> {
    ["sb_at", "sb_rt"].into_iter().filter_map(|name| browser.cookie(name)).collect()
}

#[tokio::test]
async fn a_whole_run_at_the_highest_level_writes_no_secret() {
    let stack = TestStack::start().await;
    let port = free_port();
    let changes = "telemetry.log.level = \"trace\"\nproviders.demo.id_token_login = { audiences = [\"vestibule\"] }";
    let mut process = Process::run(&stack.file(port, changes)).await;
    let mut secrets = vec![PASSWORD.to_owned(), stack.provider.client_secret().expose().to_owned(), EMAIL.to_owned()];

    // A login with all parameters of a callback, and the same callback again.
    let browser = stack.browser_at(port);
    let callback = browser.as_far_as_callback("demo", "/api/me?mine=1", "mina").await;
    let query: Vec<(String, String)> =
        url::Url::parse(callback.location()).unwrap().query_pairs().into_owned().collect();
    secrets.extend(query.into_iter().filter(|(name, _)| name == "code" || name == "state").map(|(_, value)| value));
    secrets.extend(browser.cookie_header().split("; ").filter_map(|pair| Some(pair.split_once('=')?.1.to_owned())));
    let answer = browser.follow(&callback).await.is(303);
    browser.copy().follow(&callback).await;
    assert!(answer.sets("sb_at"));
    secrets.extend(held(&browser));

    // Requests, a refresh, a 401, an outage, a WebSocket, a logout, and invalid cookies.
    browser.fetch("/api/me").await.is(200);
    browser.post("/auth/refresh").await.is(200);
    secrets.extend(held(&browser));
    stack.backend.unauthorized_next(1);
    browser.post("/api/echo").body("a body is nobody's business").await.is(200);
    secrets.push("a body is nobody's business".to_owned());
    secrets.extend(held(&browser));
    stack.backend.set_authority_fault(vestibule::demo::Fault::Unavailable);
    browser.post("/auth/refresh").await.is(503);
    stack.backend.set_authority_fault(vestibule::demo::Fault::None);
    WebSocket::open(&browser, "/api/ws").await.unwrap().echo("a message is nobody's business").await;
    secrets.push("a message is nobody's business".to_owned());
    let spoiled = browser.copy();
    spoiled.set_cookie("sb_at", "spoiled-cookie-value");
    spoiled.set_cookie("sb_rt", "spoiled-cookie-value");
    spoiled.fetch("/api/me").await.is(401);
    secrets.push("spoiled-cookie-value".to_owned());
    browser.post("/auth/logout").await.is(200);

    // The other login methods, successful and not.
    let app = stack.browser_at(port);
    let id_token = stack.provider.id_token("sora", &json!({})).unwrap();
    app.plain(http::Method::POST, "/auth/demo").json(&json!({ "id_token": id_token })).await.is(200);
    let again = stack.browser_at(port).plain(http::Method::POST, "/auth/demo");
    again.json(&json!({ "id_token": id_token })).await.is(401);
    secrets.push(id_token);
    secrets.extend(held(&app));
    let typed = stack.browser_at(port);
    typed.post("/auth/login").json(&json!({ "email": EMAIL, "password": PASSWORD })).await.is(200);
    typed
        .post("/auth/login")
        .json(&json!({ "email": "someone@example.test", "password": "a-wrong-password" }))
        .await
        .is(401);
    secrets.extend(["a-wrong-password".to_owned(), "someone@example.test".to_owned()]);
    secrets.extend(held(&typed));
    app.fetch("/api/me").header("authorization", "Bearer a-bearer-of-the-visitors").await;
    secrets.push("a-bearer-of-the-visitors".to_owned());

    // All tokens in bodies and headers that the backend received.
    for request in stack.backend.recorded() {
        secrets
            .extend(request.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned));
        let body = request.json().unwrap_or_default();
        secrets.extend(
            ["id_token", "refreshToken", "accessToken"]
                .iter()
                .filter_map(|name| body[name].as_str().map(str::to_owned)),
        );
    }

    process.signal("TERM");
    assert_eq!(process.ended().await.code(), Some(0));
    let log = process.output();
    assert!(log.lines().count() > 30, "a run at trace level says something:\n{log}");
    for secret in secrets.iter().filter(|secret| secret.len() >= 6) {
        // Neither the whole secret nor its unique beginning.
        let telling = secret.get(..40).unwrap_or(secret);
        let line = log.lines().find(|line| line.contains(telling));
        assert_eq!(line, None, "{telling} stands in the log");
    }
}

/// The audit lines with this message, without the fields that differ from run to run.
fn audited(output: &str, message: &str) -> Vec<Value> {
    let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["target"] == "audit" && line["message"] == message).collect()
}

#[tokio::test]
async fn every_login_refusal_and_logout_has_an_audit_line_with_person_and_client() {
    let stack = crate::harness::Setup::with_codes().start().await;
    let port = free_port();
    let changes = "providers.demo.id_token_login = { audiences = [\"vestibule\"] }";
    let mut process = Process::run(&stack.file(port, changes)).await;

    let browser = stack.browser_at(port);
    browser.login_as("mina").await;
    browser.post("/auth/logout").await.is(200);
    let refused = stack.browser_at(port);
    refused.post("/auth/login").json(&json!({ "email": EMAIL, "password": "wrong" })).await.is(401);
    refused.navigate("/auth/callback/demo?code=x&state=y").await.is(400);
    refused.plain(http::Method::POST, "/auth/demo").json(&json!({ "id_token": "a.b.c" })).await.is(401);
    refused.post("/auth/sms/send").json(&json!({ "phone": "010-1234-5678" })).await.is(200);
    refused.post("/auth/sms/verify").json(&json!({ "phone": "010-1234-5678", "code": "000000" })).await.is(400);
    let ended = stack.browser_at(port);
    ended.login_as("jun").await;
    assert_eq!(stack.backend.revoke_email("jun@example.test"), 1);
    ended.post("/auth/refresh").await.is(401);

    process.signal("TERM");
    process.ended().await;
    let output = process.output();
    let logins = audited(&output, "login succeeded");
    assert_eq!(logins.len(), 2, "{output}");
    for (login, subject) in logins.iter().zip(["***mina", "***-jun"]) {
        assert_eq!((&login["method"], &login["client"]), (&json!("demo"), &json!("127.0.0.1")));
        assert_eq!(login["subject"], subject);
        assert!(login["sid"].is_string() && login["device"].is_string(), "{login}");
    }
    let refusals = audited(&output, "login failed");
    let reasons: Vec<_> =
        refusals.iter().map(|line| (line["method"].as_str().unwrap(), line["reason"].as_str().unwrap())).collect();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert_eq!(reasons[0], ("credentials", "bad credentials"));
    assert_eq!((reasons[1].0, reasons[2].0), ("demo", "demo"));
    assert!(refusals.iter().all(|line| line["client"] == "127.0.0.1"), "{refusals:?}");
    let codes = audited(&output, "one-time code");
    let results: Vec<_> = codes.iter().map(|line| line["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["sent", "wrong"]);
    assert!(
        codes.iter().all(|line| line["client"] == "127.0.0.1" && !line.to_string().contains("1234-5678")),
        "{codes:?}"
    );
    assert_eq!(audited(&output, "logged out")[0]["client"], "127.0.0.1");
    let ends: Vec<_> =
        audited(&output, "session ended").iter().map(|line| (line["sid"].clone(), line["reason"].clone())).collect();
    assert_eq!(ends, [(logins[0]["sid"].clone(), json!("SignedOut")), (logins[1]["sid"].clone(), json!("Refused"))]);
}

#[tokio::test]
async fn every_line_is_json_and_every_request_has_one() {
    let stack = TestStack::start().await;
    let port = free_port();
    let mut process = Process::run(&stack.file(port, "")).await;
    let browser = stack.browser_at(port);
    browser.login_as("mina").await;
    browser.fetch("/api/me?secret=x").await.is(200);
    browser.fetch("/api/status/500").await.is(500);
    process.signal("TERM");
    process.ended().await;
    let output = process.output();
    // Warnings about the file are printed before the log is open, as text.
    let lines: Vec<Value> =
        output.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |path: &str| lines.iter().filter(|line| line.to_string().contains(path)).collect::<Vec<_>>();
    let [me] = of("\"/api/me")[..] else { panic!("one line for the request:\n{output}") };
    assert_eq!(me["status"], 200);
    assert!(!me.to_string().contains("secret=x"), "{me}");
    assert_eq!(of("\"/api/status/500\"").len(), 1);
}

#[tokio::test]
async fn while_the_log_is_not_read_lines_are_dropped_and_counted_and_requests_are_served() {
    let stack = TestStack::start().await;
    let (port, admin) = (free_port(), free_port());
    let mut process = Process::run(&stack.file(port, &format!("server.admin_listen = \"127.0.0.1:{admin}\""))).await;
    process.stop_reading();
    let browser = stack.browser_at(port);
    // Lines of 15 kB: the pipe and the queue of 8 MiB are full after about 600.
    let path = format!("/api/{}", "a".repeat(15_000));
    let scrape = "GET /metrics HTTP/1.0\r\n\r\n";
    let mut asked = 0;
    while Raw::exchange(([127, 0, 0, 1], admin).into(), scrape).await.contains("log_lines_dropped_total 0") {
        for _ in 0..100 {
            browser.fetch(&path).await.is(401);
        }
        asked += 100;
        assert!(asked < 5_000, "no line was dropped");
    }
    browser.fetch("/public/ping").await.is(200);
    process.read_on();
    process.until_said("log lines dropped").await;
    process.signal("TERM");
    assert_eq!(process.ended().await.code(), Some(0));
}

#[tokio::test]
async fn requests_are_not_logged_with_access_false_or_at_a_level_above_info() {
    let stack = TestStack::start().await;
    for (setting, is_logged) in [
        ("telemetry.log.access = true", true),
        ("telemetry.log.access = false", false),
        ("telemetry.log.level = \"warn\"", false),
        ("telemetry.log.level = \"warn,access=info\"", true),
    ] {
        let port = free_port();
        let mut process = Process::start(&stack.file(port, setting), &["run"]);
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let connected = async { while tokio::net::TcpStream::connect(address).await.is_err() {} };
        within_time_limit("the socket", connected).await;
        stack.browser_at(port).fetch("/public/ping").await.is(200);
        process.signal("TERM");
        assert_eq!(process.ended().await.code(), Some(0));
        assert_eq!(process.output().contains("/public/ping"), is_logged, "{setting}: {}", process.output());
    }
}
