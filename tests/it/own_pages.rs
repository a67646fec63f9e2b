//! The gateway's own answers: their headers, and that no part of a request is in them.

use http::Method;
use serde_json::json;

use crate::harness::{Answer, BrowserRequest, Raw, Setup, TestStack, raw};

const KEY: &str = "session.keys = [\"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\"]\n";
/// An unreachable backend, and a route with CORS. A trusted proxy's request id would be in the answers.
const ROUTES: &str = r#"
    server.trusted_proxies = ["127.0.0.1"]
    server.request_id = "own"
    [upstreams.gone]
    targets = ["http://127.0.0.1:9"]
    [[routes]]
    path = "/gone/{*rest}"
    upstream = "gone"
    access = "public"
    [[routes]]
    path = "/shared/{*rest}"
    upstream = "backend"
    access = "user"
    cors = { origins = ["https://app.partner.test"] }
"#;

async fn stack(public_base: &str) -> TestStack {
    Setup::new().known_as(public_base).with(&format!("{KEY}{ROUTES}")).start().await
}

/// Whether the request's host was known when the answer was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Host {
    Known,
    Unknown,
}

/// Every kind of answer that the gateway makes itself, with its status.
fn own_answers(stack: &TestStack) -> Vec<(BrowserRequest, u16, Host)> {
    let browser = stack.browser();
    let preflight = browser
        .request(Method::OPTIONS, "/shared/x")
        .header("origin", "https://app.partner.test")
        .header("access-control-request-method", "PUT");
    let known = [
        (browser.navigate("/auth/login"), 200),
        (browser.navigate("/auth/login/demo"), 303),
        (browser.navigate("/auth/callback/demo?code=x&state=y"), 400),
        (browser.fetch("/auth/session"), 200),
        (browser.fetch("/.well-known/jwks.json"), 200),
        (browser.post("/auth/refresh"), 401),
        (browser.post("/auth/logout"), 200),
        (browser.foreign_form("/auth/logout", "https://evil.example"), 403),
        (browser.navigate("/auth/nothing"), 404),
        (browser.fetch("/auth/nothing"), 404),
        (browser.request(Method::DELETE, "/auth/session"), 405),
        (browser.fetch("/api/me"), 401),
        (browser.navigate("/api/me"), 302),
        (browser.navigate("/gone/x"), 502),
        (browser.fetch("/gone/x"), 502),
        (preflight, 204),
    ];
    let unknown = [
        (browser.navigate("/").at_path("/a%2fb"), 400),
        (browser.fetch("/").at_path("/a/..;/b"), 400),
        (browser.request(Method::TRACE, "/"), 405),
        (browser.fetch("/").header("host", "evil.example"), 421),
    ];
    let known = known.into_iter().map(|(ask, status)| (ask, status, Host::Known));
    known.chain(unknown.into_iter().map(|(ask, status)| (ask, status, Host::Unknown))).collect()
}

/// The whole answer without values of the request.
fn said(answer: &Answer) -> String {
    format!("{:?}\n{}", answer.headers, answer.text()).to_lowercase()
}

#[tokio::test]
async fn own_answers_are_not_cached_and_cannot_be_framed() {
    let stack = stack("https://app.example.test").await;
    let mut answers: Vec<Answer> = Vec::new();
    for (ask, status, _) in own_answers(&stack) {
        answers.push(ask.await.is(status));
    }
    let login = answers[0].text();
    let script = login.split("src=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("the page has a script");
    answers.push(stack.browser().fetch(script).await.is(200));
    let mut for_everybody = 0;
    for answer in answers {
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{answer}");
        let policy = answer.header("content-security-policy").unwrap_or_default();
        for needed in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action '"] {
            assert!(policy.contains(needed), "{needed}: {answer}");
        }
        assert!(!policy.contains("script-src 'unsafe") && !policy.contains("unsafe-eval"), "{answer}");
        let referrer = answer.header("referrer-policy");
        // Under `no-referrer` browsers post a page's form with `Origin: null`.
        assert!(matches!(referrer, Some("no-referrer" | "same-origin")), "{answer}");
        if answer.header("cache-control") != Some("no-store") {
            assert!(answer.header("cache-control").unwrap_or_default().starts_with("public"), "{answer}");
            assert!(answer.set_cookies().is_empty(), "{answer}");
            for_everybody += 1;
        }
        assert!(answer.header("server").is_none() && answer.header("x-powered-by").is_none(), "{answer}");
        assert!(!said(&answer).contains(env!("CARGO_PKG_VERSION")), "{answer}");
    }
    assert_eq!(for_everybody, 2, "the public keys, and the script, whose address changes with it");
}

#[tokio::test]
async fn hsts_is_sent_only_on_own_answers_over_https() {
    const STRICT: Option<&str> = Some("max-age=31536000");
    let header = "strict-transport-security";
    let https = stack("https://app.example.test").await;
    for (ask, status, host) in own_answers(&https) {
        let answer = ask.await.is(status);
        assert_eq!(answer.header(header), STRICT.filter(|_| host == Host::Known), "{answer}");
    }
    let browser = https.browser();
    // The backend's own header is forwarded.
    assert_eq!(browser.fetch("/public/ping").await.is(200).header(header), None);
    // According to the load balancer the visitor's connection has no TLS.
    let plain = browser.fetch("/auth/session").header("x-forwarded-proto", "http").await.is(200);
    assert_eq!(plain.header(header), None);
    // HSTS applies to all ports of a host, and on loopback other ports belong to other programs.
    for public_base in ["http://127.0.0.1", "https://localhost"] {
        let stack = stack(public_base).await;
        let answer = stack.browser().fetch("/auth/session").header("x-forwarded-proto", "https").await.is(200);
        assert_eq!(answer.header(header), None, "{public_base}");
    }
}

/// A marker whose letters are not escaped in any format.
const MARKER: &str = "zqx9";

#[tokio::test]
async fn no_part_of_a_request_is_in_the_gateways_own_answers() {
    let admin_listen = "server.admin_listen = \"127.0.0.1:0\"\nserver.health_listen = \"127.0.0.1:0\"\n";
    let stack = Setup::with_codes().with(&format!("{admin_listen}{ROUTES}")).start().await;
    let (visitors, admin) = (stack.gateway.address(), stack.gateway.admin());
    let health = stack.gateway.running().health_address().unwrap();
    let host = stack.gateway.host();
    let everywhere: String = [
        "user-agent",
        "referer",
        "accept-language",
        "accept",
        "x-request-id",
        "traceparent",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-prefix",
        "x-forwarded-uri",
        "x-original-url",
        "forwarded",
        "authorization",
        "content-type",
        "if-none-match",
        "range",
        "via",
        "zqx9-header",
        "cookie",
        "last-event-id",
    ]
    .map(|name| format!("{name}: {MARKER}<b>\"{MARKER}\r\n"))
    .concat();
    let cookies = format!(
        "cookie: sb_at={MARKER}; sb_rt=4bb06f8e.1.{MARKER}; sb_did={MARKER}; sb_tx{MARKER}={MARKER}; a={MARKER}\r\n"
    );
    let mut requests = Vec::new();
    let mut say = |address, line: &str, headers: &str, body: &str| {
        let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        requests.push((address, format!("{line} HTTP/1.1\r\n{headers}{length}connection: close\r\n\r\n{body}")));
    };
    let page = format!("host: {host}\r\nsec-fetch-mode: navigate\r\naccept: text/html\r\n");
    let json = format!("host: {host}\r\ncontent-type: application/json\r\n");
    for head in [
        format!("host: {host}\r\n"),
        format!("host: {host}\r\n{everywhere}"),
        page,
        format!("host: {host}\r\n{cookies}"),
    ] {
        for line in [
            "GET /auth/session",
            "GET /auth/zqx9?zqx9=zqx9",
            "GET /auth/login?error=zqx9&return_to=//zqx9&zqx9",
            "GET /auth/login/zqx9",
            "GET /auth/callback/zqx9",
            "GET /auth/callback/demo?error=zqx9%3Cimg%3E&error_description=%22zqx9",
            "GET /auth/callback/demo?error=zqx9&state=zqx9zqx9zqx9zqx9zqx9zqx9zqx9zqx9&code=zqx9&iss=zqx9",
            "GET /auth/login/demo?zqx9=zqx9&return_to=https://zqx9.example",
            "GET /auth/sms?zqx9=zqx9",
            "GET /auth/email?return_to=//zqx9",
            "GET /gone/zqx9?zqx9",
            "GET /zqx9%2f?zqx9",
            "GET /zqx9/..;/x",
            "GET http://zqx9.example/zqx9",
            "GET zqx9",
            "ZQX9 /auth/session",
            "ZQX9 /gone/zqx9",
            "TRACE /zqx9",
            "CONNECT zqx9.example:443",
            "OPTIONS *",
            "POST /auth/refresh",
            "POST /auth/logout",
            "DELETE /auth/zqx9",
            "GET /.well-known/jwks.json?zqx9",
            "POST /auth/zqx9/nonce",
        ] {
            say(visitors, line, &head, "");
        }
    }
    for path in [
        "/auth/login",
        "/auth/demo",
        "/auth/sms/send",
        "/auth/sms/verify",
        "/auth/email/send",
        "/auth/email/verify",
        "/auth/email/resend",
        "/auth/refresh",
    ] {
        let fields = json!({
            "email": "zqx9 <b>", "password": "zqx9", "phone": "zqx9", "code": "zqx9", "id_token": "zqx9.zqx9.zqx9",
            "deviceId": "zqx9", "deviceName": "zqx9", "challenge": "zqx9", "zqx9": "zqx9",
        });
        say(visitors, &format!("POST {path}?zqx9"), &json, &fields.to_string());
        say(visitors, &format!("POST {path}"), &json, "{\"zqx9\": zqx9");
        say(visitors, &format!("POST {path}"), &format!("host: {host}\r\ncontent-type: zqx9/zqx9\r\n"), "zqx9=zqx9");
        say(
            visitors,
            &format!("POST {path}"),
            &format!("host: {host}\r\norigin: https://zqx9.example\r\nsec-fetch-site: cross-site\r\n"),
            "zqx9",
        );
    }
    for address in [visitors, admin, health] {
        say(address, "GET /zqx9?zqx9", "host: zqx9.example\r\n", "");
        say(address, "GET /zqx9", "host: 127.0.0.1\r\norigin: https://zqx9.example\r\n", "");
        say(address, "ZQX9 /livez", "host: localhost\r\nuser-agent: zqx9\r\n", "");
        // Answers of hyper itself, and refusals before hyper.
        say(address, "GET /auth/session", "host: zqx9<b>\r\n", "");
        say(address, "GET /auth/session", "host: a\r\nzqx9 : zqx9\r\n", "");
        say(address, "GET /auth/session", "host: a\r\ntransfer-encoding: zqx9\r\n", "");
        say(address, "GET /auth/session", "host: a\r\ncontent-length: zqx9\r\n", "");
        say(address, "GET /zqx9 zqx9", "host: a\r\n", "");
        say(address, "GET /auth/session#zqx9", "host: a\r\n", "");
        say(address, "GET /auth/session", &format!("host: a\r\n{}", "x: zqx9\r\n".repeat(120)), "");
        say(address, &format!("GET /{}", MARKER.repeat(20_000)), "host: a\r\n", "");
    }
    let mut statuses = std::collections::BTreeSet::new();
    for (address, request) in requests {
        let answer = Raw::exchange(address, &request).await;
        statuses.insert(raw::status(&answer));
        let lower = answer.to_ascii_lowercase();
        assert!(!lower.contains(MARKER), "{}\n{answer}", request.escape_debug());
        assert!(
            !lower.contains("\nserver:") && !lower.contains("hyper") && !lower.contains(env!("CARGO_PKG_VERSION")),
            "{answer}"
        );
    }
    for expected in [200, 204, 303, 400, 401, 403, 404, 405, 421, 431, 502] {
        assert!(statuses.contains(&expected), "no answer was {expected}, so that kind was not looked at: {statuses:?}");
    }
}

#[tokio::test]
async fn the_error_description_of_a_provider_is_not_shown() {
    let stack = TestStack::start().await;
    let browser = stack.browser();
    let callback = browser.as_far_as_callback("demo", "/", "mina").await;
    let state = url::Url::parse(callback.location()).unwrap();
    let state = state.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let words =
        format!("error={MARKER}%3Cimg+src%3Dx%3E&error_description=%22{MARKER}&error_uri=https://{MARKER}.example");
    let refused = browser.navigate(&format!("/auth/callback/demo?state={state}&{words}")).await.is(303);
    let page = browser.follow(&refused).await.is(200);
    for answer in [refused, page] {
        assert!(!said(&answer).contains(MARKER), "{answer}");
    }
}

#[tokio::test]
async fn return_to_is_escaped_in_pages() {
    let stack = TestStack::start().await;
    let odd = "/x%22%3E%3Cscript%3Ealert(1)%3C/script%3E'";
    let page = stack.browser().navigate(&format!("/auth/login?return_to={}", odd.replace('%', "%25"))).await.is(200);
    let raw = stack.browser().navigate(&format!("/auth/login?return_to={odd}")).await.is(200);
    assert!(page.text().contains("value=\"/x%22%3E"), "{page}");
    for text in [page.text(), raw.text()] {
        assert!(!text.contains("<script>alert") && !text.contains("/x\""), "{text}");
    }
}
