//! Redirects to other sites, and pages that repeat parts of a request.

use std::fs;

use http::Method;
use percent_encoding::percent_decode_str;
use url::{Url, form_urlencoded};

use crate::harness::{Answer, Browser, Raw, Setup, TestStack, raw};

/// The number of lines of `testdata/openredirects.txt` of oauth2-proxy.
const LINES: usize = 558;

/// Lines of the kinds in that list: prefixes of the host, userinfo, spellings of the host, suffixes.
fn lines() -> Vec<String> {
    let before = [
        "//",
        "///",
        "////",
        "/////",
        "/\\",
        "\\/",
        "\\\\",
        "/\\/",
        "\\/\\/",
        "//\\",
        "///\\;@",
        "/%5c",
        "/%2f",
        "/%2f%2f",
        "%2f%2f",
        "/%09/",
        "//%09/",
        "///%09//",
        "/\t/",
        "/\n/",
        "/%0d/",
        "/.//",
        "/..//",
        "/;//",
        "//;@",
        "http:",
        "https:",
        "http:/",
        "https:/",
        "http://",
        "https://",
        "https:///",
        "//https://",
        "/http://",
        "/https:///",
        "https://%09/",
        "javascript://",
        "javascript:",
        "data:text/html,",
        "<>//",
        "ftp://",
        "",
        " //",
        "\u{1}//",
        "/\u{3000}/",
    ];
    let users = ["", "app.example.test@", "www.app.example.test@@", "x:y@", "XY>.7d8T\\205pZM@"];
    let hosts =
        ["evil.example", "evil%E3%80%82example", "0xd83ad6ce", "[::ffff:216.58.214.206]", "00330.072.0326.0316"];
    let after = ["", "/%2f..", "/%2e%2e%2f", "//", "%23.app.example.test/", "?@app.example.test/", "#app.example.test"];
    let kinds = before.iter().flat_map(|before| users.iter().map(move |user| (before, user)));
    let all = kinds.flat_map(|(before, user)| hosts.iter().map(move |host| format!("{before}{user}{host}")));
    all.enumerate().map(|(n, line)| format!("{line}{}", after[n % after.len()])).collect()
}

/// The lines of that file too, if it is there.
fn all_lines() -> Vec<String> {
    let mut lines = lines();
    if let Ok(file) = std::env::var("VESTIBULE_OPENREDIRECTS") {
        let text = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
        lines.extend(text.lines().filter(|line| !line.is_empty()).map(str::to_owned));
    }
    lines
}

/// Whether `location` is on the site for a browser (WHATWG parser), also after one more decoding.
fn stays(home: &Url, location: &str) -> bool {
    let twice = percent_decode_str(location).decode_utf8_lossy().into_owned();
    [location, &twice].iter().all(|to| home.join(to).is_ok_and(|url| url.origin() == home.origin()))
}

fn query(names: &[&str], value: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(names.iter().map(|name| (name, value))).finish()
}

/// Sends requests one after the other on one connection, and returns where each answer leads.
async fn locations(stack: &TestStack, requests: impl Iterator<Item = String>) -> Vec<Option<String>> {
    let mut connection = Raw::connect(stack.gateway.address()).await;
    let mut found = Vec::new();
    for request in requests {
        connection.send(request).await;
        let (head, _) = connection.answer().await;
        assert!(matches!(raw::status(&head), 302 | 303), "{head}");
        found.push(head.lines().find_map(|line| line.strip_prefix("location: ")).map(str::to_owned));
    }
    found
}

fn form(browser: &Browser, path: &str) -> crate::harness::BrowserRequest {
    browser.post(path).form(&[]).header("sec-fetch-mode", "navigate").header("accept", "text/html")
}

#[tokio::test]
async fn ghsa_qqxw_m5fj_f7gv_no_open_redirect_of_the_list_leaves_the_site_at_login_or_logout() {
    let lines = all_lines();
    assert!(lines.len() >= LINES);
    let stack = TestStack::with("session.after_login = \"/home\"\nsession.after_logout = \"/bye\"").await;
    let (home, host) = (stack.gateway.public_url().clone(), stack.gateway.host());
    let cookies = stack.logged_in("mina").await.cookie_header();
    let login = |line: &String| {
        let query = query(&["return_to", "to"], line);
        format!("GET /auth/login?{query} HTTP/1.1\r\nhost: {host}\r\naccept: text/html\r\ncookie: {cookies}\r\n\r\n")
    };
    let logout = |in_query: &[&str], in_body: &[&str], line: &String| {
        let (asked, body) = (query(in_query, line), query(in_body, line));
        let kind = "content-type: application/x-www-form-urlencoded\r\naccept: text/html";
        format!(
            "POST /auth/logout?{asked} HTTP/1.1\r\nhost: {host}\r\n{kind}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let at_login = locations(&stack, lines.iter().map(login)).await;
    // A parameter in the query and in the body would be 400.
    let (some, others) = (["return_to"], ["to", "post_logout_redirect_uri"]);
    let at_logout = locations(&stack, lines.iter().map(|line| logout(&some, &others, line))).await;
    let at_form = locations(&stack, lines.iter().map(|line| logout(&others, &some, line))).await;
    let stay = |found: &[Option<String>]| found.iter().flatten().filter(|location| stays(&home, location)).count();
    let left: Vec<_> =
        lines.iter().zip(&at_login).filter(|(_, to)| !to.as_ref().is_some_and(|to| stays(&home, to))).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(at_form, at_logout);
    println!("login {}/{}, logout {}/{}", stay(&at_login), lines.len(), stay(&at_logout), lines.len());
    assert_eq!((stay(&at_login), stay(&at_logout)), (lines.len(), lines.len()));
    // The check works: most lines lead to another site if they are followed unchanged.
    let leave = lines.iter().filter(|line| !stays(&home, line)).count();
    assert!(leave * 2 > lines.len(), "{leave} of {}", lines.len());
    // A path of the site is followed, so the test is not trivial.
    let kept = locations(&stack, std::iter::once(login(&"/deep?a=b".to_owned()))).await;
    assert_eq!(kept, [Some("/deep?a=b".to_owned())]);
}

/// Where a login and a logout with that `return_to` lead.
async fn ends(stack: &TestStack, asked: &str) -> [String; 2] {
    let browser = stack.logged_in("mina").await;
    let query = query(&["return_to", "to"], asked);
    let at_login = browser.navigate(&format!("/auth/login?{query}")).await.is(303);
    let at_logout = form(&stack.browser(), &format!("/auth/logout?{query}")).await.is(303);
    [&at_login, &at_logout].map(|answer| answer.location().to_owned())
}

async fn fall_back(stack: &TestStack, asked: &[&str]) {
    for asked in asked {
        assert_eq!(ends(stack, asked).await, ["/home", "/bye"], "{asked}");
    }
}

const PLACES: &str = "session.after_login = \"/home\"\nsession.after_logout = \"/bye\"\n";

#[tokio::test]
async fn cve_2021_21291_a_listed_origin_lists_no_other_that_ends_like_it() {
    let stack = TestStack::with(&format!("{PLACES}session.return_to_origins = [\"https://example.com\"]")).await;
    assert_eq!(ends(&stack, "https://example.com/x").await[0], "https://example.com/x");
    fall_back(
        &stack,
        &[
            "https://badexample.com/",
            "https://bad.example.com/",
            "https://.example.com/",
            "https://example.com.evil.example/",
            "https://example.com:8443/",
            "https://user@example.com/",
            "https://example.com@evil.example/",
            "https://еxample.com/",
            "https://xn--xample-2of.com/",
            "https://example.com./",
        ],
    )
    .await;
}

/// Also issues 449, 453 and 565 of `mod_auth_openidc`.
#[tokio::test]
async fn cve_2022_23527_a_logout_target_without_a_host_is_not_followed() {
    let stack = TestStack::with(PLACES).await;
    fall_back(
        &stack,
        &["/%09/evil.example", "/%5cevil.example", "///evil.example", "http:evil.example", "https:/evil.example"],
    )
    .await;
}

/// Also CVE-2024-21497 (caddy-security) and CVE-2022-28923 (Caddy). The tests' browser looks at every `Location` of the
/// whole suite; here at those that a login has.
#[tokio::test]
async fn cve_2021_29651_no_location_carries_a_token() {
    let stack = TestStack::with(PLACES).await;
    let browser = stack.browser();
    let mut seen: Vec<Answer> =
        vec![browser.navigate("/api/me").await.is(302), browser.navigate("/auth/login/demo").await.is(303)];
    let callback = browser.as_far_as_callback("demo", "https://evil.example/", "mina").await;
    seen.push(browser.follow(&callback).await.is(303));
    let tokens = [browser.cookie("sb_at").unwrap(), browser.cookie("sb_rt").unwrap()];
    seen.push(browser.navigate("/auth/login?return_to=//evil.example").await.is(303));
    seen.push(browser.navigate("/auth/callback/demo?code=x&state=y").await.is(303));
    for answer in seen {
        let location = answer.location();
        assert!(!tokens.iter().any(|token| location.contains(token.as_str())), "{answer}");
        assert!(!location.contains(".eyJ") && !location.contains("token="), "{answer}");
    }
}

#[tokio::test]
async fn cve_2025_27143_a_return_address_without_a_scheme_is_not_followed() {
    let stack = TestStack::with(PLACES).await;
    fall_back(
        &stack,
        &["evil.example", "javascript:alert(1)", "data:text/html,<script>", "//evil.example", "vbscript:x"],
    )
    .await;
}

/// Also CVE-2024-8883 (Keycloak).
#[tokio::test]
async fn cve_2026_7504_userinfo_and_lookalikes_of_loopback_are_not_followed() {
    let stack = TestStack::with(PLACES).await;
    let ours = stack.gateway.host().to_owned();
    for evil in
        ["https://OURS@evil.example/", "https://OURS@@evil.example/", "http://a@OURS/", "http://OURS.evil.example/"]
    {
        fall_back(&stack, &[&evil.replace("OURS", &ours)]).await;
    }
    fall_back(&stack, &["http://localhost.evil.example/", "http://127.0.0.1.evil.example/", "http://localhost:1/"])
        .await;
}

/// Also CVE-2023-52430 and CVE-2024-21496 (caddy-security), CVE-2019-8400 (Hydra).
#[tokio::test]
async fn cve_2026_33525_no_part_of_a_request_is_shown_in_a_page() {
    let stack = Setup::with_codes().start().await;
    let said =
        query(&["error", "error_description", "state", "return_to", "phone"], "\"><img src=x onerror=alert(1)>'");
    let browser = stack.browser();
    let pages = [
        browser.navigate(&format!("/auth/callback/demo?{said}")).await.is(400),
        browser.navigate(&format!("/auth/login?{said}")).await.is(200),
        browser.navigate(&format!("/auth/sms/send?{said}")).await,
        browser.navigate("/auth/callback/demo?state=%3Cimg%20src=x%3E&code=%3Cimg%3E").await.is(400),
    ];
    let attempt = browser.as_far_as_callback("demo", "/", "mina").await;
    let state =
        Url::parse(attempt.location()).unwrap().query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let denied = query(&["error", "error_description"], "<img src=x onerror=alert(1)>");
    let back = browser.navigate(&format!("/auth/callback/demo?state={state}&{denied}")).await.is(303);
    let told = browser.follow(&back).await.is(200);
    for page in pages.into_iter().chain([told]) {
        assert!(!page.text().contains("<img src=x") && !page.text().contains("onerror=alert(1)>"), "{page}");
        if page.status.is_redirection() || page.status == 405 {
            continue;
        }
        assert!(page.header("content-type").unwrap().starts_with("text/html"), "{page}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"), "{page}");
        let policy = page.header("content-security-policy").unwrap();
        let scripts =
            policy.split(';').find(|part| part.trim().starts_with("script-src")).unwrap_or("default-src 'none'");
        assert!(policy.contains("default-src 'none'") && !scripts.contains("unsafe-inline"), "{policy}");
    }
}

/// Issue 936 of klangk: the return address was in a cookie that anybody could write.
#[tokio::test]
async fn klangk_936_a_flow_cookie_with_any_character_changed_is_refused() {
    let stack = TestStack::with("limits.failures_per_client = \"100000/h\"").await;
    let browser = stack.browser();
    let callback = browser.as_far_as_callback("demo", "/", "mina").await;
    let target = &callback.location()[callback.location().find("/auth/").unwrap()..];
    let (name, value) = browser
        .cookie_header()
        .split("; ")
        .find_map(|pair| pair.split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned())))
        .unwrap();
    assert!(name.starts_with("sb_tx"), "{name}");
    let mut connection = Raw::connect(stack.gateway.address()).await;
    for at in 0..value.len() {
        let mut bent = value.clone().into_bytes();
        bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
        let bent = String::from_utf8(bent).unwrap();
        connection
            .send(format!(
                "GET {target} HTTP/1.1\r\nhost: {}\r\naccept: text/html\r\ncookie: {name}={bent}\r\n\r\n",
                stack.gateway.host()
            ))
            .await;
        let (head, body) = connection.answer().await;
        assert_eq!(raw::status(&head), 400, "{head}");
        assert!(String::from_utf8_lossy(&body).contains("login attempt"), "{at}");
    }
    assert_eq!(stack.provider.token_calls(), 0);
    browser.follow(&callback).await.is(303);
    let foreign = browser.plain(Method::GET, target).await;
    assert_ne!(foreign.status, 200, "{foreign}");
}
