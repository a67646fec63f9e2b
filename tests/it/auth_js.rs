//! What the clients of Auth.js are answered (`session.compat`): every status, field and error word of versions 4 and 5.

use serde_json::{Value, json};
use vestibule::demo::{
    Fault,
    backend::{EMAIL, PASSWORD},
};

use crate::harness::{Answer, Browser, Setup, TestStack, secs};

const V4: &str = "session.compat = [\"next-auth-4\"]\n";
const V5: &str = "session.compat = [\"authjs-5\"]\n";

async fn start(toml: &str) -> TestStack {
    Setup::new().with(toml).start().await
}

/// The form that `next-auth/react` posts, with the browser's CSRF token.
async fn post(browser: &Browser, path: &str, fields: &[(&str, &str)]) -> Answer {
    let token = csrf_token(browser).await;
    let all: Vec<_> = fields.iter().copied().chain([("csrfToken", &*token), ("json", "true")]).collect();
    browser.post(path).header("x-auth-return-redirect", "1").form(&all).await
}

async fn csrf_token(browser: &Browser) -> String {
    let answer = browser.fetch("/auth/csrf").await.is(200);
    answer.json()["csrfToken"].as_str().unwrap().to_owned()
}

async fn sign_in(browser: &Browser, password: &str) -> Answer {
    let fields = [("email", EMAIL), ("password", password), ("callbackUrl", "/api/me"), ("redirect", "false")];
    post(browser, "/auth/callback/credentials", &fields).await
}

/// The path and the query of the address in the answer, which is absolute.
#[track_caller]
fn url(browser: &Browser, answer: &Answer) -> String {
    let json = answer.json();
    assert_eq!(json.as_object().unwrap().len(), 1, "{answer}");
    let url = json["url"].as_str().unwrap_or_else(|| panic!("{answer}"));
    let path = url.strip_prefix(browser.home().as_str().trim_end_matches('/'));
    path.unwrap_or_else(|| panic!("{url} is not absolute, or elsewhere")).to_owned()
}

#[tokio::test]
async fn a_visitor_without_a_session_is_logged_out_for_each_version() {
    for (toml, nobody) in [(V4, json!({})), (V5, Value::Null)] {
        let stack = start(toml).await;
        let answer = stack.browser().fetch("/auth/session").await.is(200).says("anonymous");
        assert_eq!(answer.json(), nobody);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn the_session_has_the_person_and_its_own_end_and_no_token() {
    for toml in [V4, V5] {
        let stack = start(&format!("{toml}session.absolute = \"20d\"\n")).await;
        let browser = stack.logged_in("jun").await;
        let now = stack.clock.now();
        let answer = browser.fetch("/auth/session").await.is(200).says("valid");
        let session = answer.json();
        let user = json!({ "id": "demo-jun", "email": "jun@example.test", "name": "이준 Jun", "role": "admin" });
        assert_eq!(session["user"], user, "{session}");
        assert_eq!(session.as_object().unwrap().len(), 2, "{session}");
        let expires = session["expires"].as_str().unwrap();
        let day = |days: u64| now.plus(secs(days * 86_400)).rfc3339();
        assert!(*day(19) < *expires && *expires <= *day(20), "{expires}: the end of the session, not of its token");
        assert!(!answer.text().contains("eyJ") && !answer.text().contains("rt."), "{answer}");
        // The gateway's own endpoints keep their shape.
        let own = browser.post("/auth/refresh").await.is(200).json();
        assert_eq!((&own["authenticated"], &own["user"]["sub"]), (&json!(true), &json!("demo-jun")));
    }
}

#[tokio::test]
async fn providers_are_those_of_the_file_with_absolute_addresses() {
    for (toml, kind) in [(V4, "oauth"), (V5, "oidc")] {
        let stack = start(toml).await;
        let browser = stack.browser();
        let providers = browser.fetch("/auth/providers").await.is(200).json();
        let at = |path: &str| browser.home().join(path).unwrap().to_string();
        assert_eq!(
            providers,
            json!({
                "demo": {
                    "id": "demo", "name": "Demo ID", "type": kind,
                    "signinUrl": at("/auth/signin/demo"), "callbackUrl": at("/auth/callback/demo"),
                },
                "credentials": {
                    "id": "credentials", "name": "Credentials", "type": "credentials",
                    "signinUrl": at("/auth/signin/credentials"), "callbackUrl": at("/auth/callback/credentials"),
                },
            })
        );
    }
}

#[tokio::test]
async fn a_login_with_a_password_opens_a_session_and_tells_where_to_go_on() {
    for toml in [V4, V5] {
        let stack = start(toml).await;
        let browser = stack.browser();
        let answer = sign_in(&browser, PASSWORD).await.is(200).says("refreshed");
        assert_eq!(url(&browser, &answer), "/api/me");
        assert!(browser.is_logged_in());
        browser.fetch("/api/me").await.is(200).says("valid");
        // A form without scripts, as Auth.js documents for login pages of one's own.
        let browser = stack.browser();
        let token = csrf_token(&browser).await;
        let fields = [("csrfToken", &*token), ("email", EMAIL), ("password", PASSWORD)];
        let answer = browser.post("/auth/callback/credentials").form(&fields).await.is(303).says("refreshed");
        assert_eq!(answer.location(), browser.home().as_str());
    }
}

#[tokio::test]
async fn a_wrong_password_has_the_status_and_the_words_of_its_version() {
    for (toml, status, address) in [
        (V4, 401, "/auth/error?error=CredentialsSignin&provider=credentials&callbackUrl=%2Fapi%2Fme"),
        (V5, 200, "/auth/signin?error=CredentialsSignin&code=credentials&callbackUrl=%2Fapi%2Fme"),
    ] {
        let stack = start(toml).await;
        let browser = stack.browser();
        let answer = sign_in(&browser, "wrong").await.is(status).says("anonymous");
        assert_eq!(url(&browser, &answer), address);
        assert!(!browser.is_logged_in());
        // That address leads to the login page, which explains the error and goes on to the page that was asked for.
        let mut page = browser.navigate(address).await;
        for _ in 0..2 {
            page = if page.status.is_redirection() { browser.follow(&page).await } else { page };
        }
        let text = page.is(200).text();
        assert!(text.contains("role=\"alert\"") && text.contains("value=\"/api/me\""), "{text}");
    }
}

#[tokio::test]
async fn wrong_passwords_count_as_at_the_gateways_own_login() {
    for (toml, status, address) in [
        (V4, 429, "/auth/error?error=too_many&provider=credentials&callbackUrl=%2Fapi%2Fme"),
        (V5, 200, "/auth/signin?error=CredentialsSignin&code=too_many&callbackUrl=%2Fapi%2Fme"),
    ] {
        for limit in ["failures_per_client", "failures_per_account"] {
            let stack = start(&format!("{toml}[limits]\n{limit} = \"3/h\"\n")).await;
            let browser = stack.browser();
            for _ in 0..2 {
                sign_in(&browser, "wrong").await;
            }
            let own = json!({ "email": EMAIL, "password": "wrong" });
            browser.post("/auth/login").json(&own).await.is(401);
            let answer = sign_in(&browser, PASSWORD).await.is(status);
            assert_eq!(url(&browser, &answer), address, "{limit}");
            let own = json!({ "email": EMAIL, "password": PASSWORD });
            browser.post("/auth/login").json(&own).await.is(429);
            assert_eq!(stack.backend.recorded_at("/auth/login").len(), 3);
        }
    }
}

#[tokio::test]
async fn an_authority_that_does_not_answer_is_no_wrong_password() {
    for (toml, status, address) in [
        (V4, 503, "/auth/error?error=unavailable&provider=credentials&callbackUrl=%2Fapi%2Fme"),
        (V5, 200, "/auth/error?error=Configuration&code=unavailable&callbackUrl=%2Fapi%2Fme"),
    ] {
        let stack = start(toml).await;
        stack.backend.set_authority_fault(Fault::Unavailable);
        let browser = stack.browser();
        let answer = sign_in(&browser, PASSWORD).await.is(status);
        assert_eq!(url(&browser, &answer), address);
    }
}

#[tokio::test]
async fn without_the_right_csrf_token_nothing_is_done_and_the_answer_is_that_of_its_version() {
    for (toml, sign_in, sign_out, update) in [
        (V4, "/auth/signin?csrf=true", "/auth/signout?csrf=true", json!({})),
        (V5, "/auth/error?error=MissingCSRF", "/auth/error?error=MissingCSRF", Value::Null),
    ] {
        let stack = start(toml).await;
        let (browser, other) = (stack.logged_in("mina").await, stack.browser());
        let foreign = csrf_token(&other).await;
        csrf_token(&browser).await;
        for token in [None, Some(""), Some("0123"), Some(&*foreign)] {
            let mut fields = vec![("json", "true"), ("email", EMAIL), ("password", PASSWORD)];
            fields.extend(token.map(|token| ("csrfToken", token)));
            for (path, address) in [
                ("/auth/signin/demo", sign_in),
                ("/auth/signin", sign_in),
                ("/auth/callback/credentials", sign_in),
                ("/auth/signout", sign_out),
            ] {
                let answer = browser.post(path).header("x-auth-return-redirect", "1").form(&fields).await.is(200);
                assert_eq!(url(&browser, &answer), address, "{path}");
                assert!(answer.set_cookies().is_empty(), "{answer}");
                let redirected = browser.post(path).form(&fields[1..]).await.is(303);
                assert!(redirected.location().ends_with(address), "{redirected}");
            }
            let body = json!({ "csrfToken": token, "data": {} });
            let answer = browser.post("/auth/session").json(&body).await.is(400);
            assert_eq!(answer.json(), update);
        }
        assert_eq!((stack.backend.refresh_calls(), stack.backend.counters().signouts), (0, 0));
        assert!(stack.backend.recorded_at("/auth/login").is_empty());
        browser.fetch("/api/me").await.is(200).says("valid");
    }
}

#[tokio::test]
async fn the_csrf_token_stays_while_its_cookie_does_and_a_forged_cookie_is_replaced() {
    let stack = start(V4).await;
    let browser = stack.browser();
    let first = csrf_token(&browser).await;
    assert_eq!(first.len(), 64);
    assert!(browser.fetch("/auth/csrf").await.set_cookies().is_empty());
    assert_eq!(csrf_token(&browser).await, first);
    let forged = format!("next-auth.csrf-token={}%7C{}", "0".repeat(64), "0".repeat(64));
    let answer = stack.browser().fetch("/auth/csrf").header("cookie", &forged).await.is(200);
    assert!(answer.sets("next-auth.csrf-token") && answer.json()["csrfToken"] != "0".repeat(64), "{answer}");
}

#[tokio::test]
async fn pages_of_other_sites_may_call_none_of_it() {
    let stack = start(V5).await;
    let browser = stack.logged_in("mina").await;
    let token = csrf_token(&browser).await;
    for path in ["/auth/signin/demo", "/auth/signout", "/auth/callback/credentials", "/auth/session", "/auth/_log"] {
        let form = browser.foreign_form(path, "https://evil.example").form(&[("csrfToken", &token)]);
        form.header("accept", "*/*").header("sec-fetch-mode", "no-cors").await.is(403);
    }
    assert!(browser.is_logged_in());
}

#[tokio::test]
async fn a_login_at_a_provider_begins_where_the_client_is_told_and_ends_at_its_callback_url() {
    for toml in [V4, V5] {
        let stack = start(toml).await;
        let browser = stack.browser();
        let here = browser.home().join("/api/me?tab=2#top").unwrap();
        let answer = post(&browser, "/auth/signin/demo?prompt=login", &[("callbackUrl", here.as_str())]).await.is(200);
        let start = url(&browser, &answer);
        assert!(start.starts_with("/auth/login/demo?return_to=") && !start.contains('#'), "{start}");
        assert!(answer.set_cookies().is_empty(), "a login attempt begins with the navigation: {answer}");
        let mut authorize: url::Url = browser.navigate(&start).await.is(303).location().parse().unwrap();
        authorize.query_pairs_mut().append_pair("auto", "mina");
        let callback = browser.visit(authorize.as_str()).await;
        assert_eq!(browser.follow(&callback).await.is(303).says("refreshed").location(), here.as_str());
        // Another site falls to `after_login`.
        for elsewhere in ["https://evil.example/", "//evil.example", "/auth/logout"] {
            let answer = post(&browser, "/auth/signin/demo", &[("callbackUrl", elsewhere)]).await.is(200);
            assert_eq!(url(&browser, &answer), "/auth/login/demo");
        }
    }
}

#[tokio::test]
async fn the_login_page_is_where_signin_leads_to() {
    let stack = start(V5).await;
    let browser = stack.browser();
    for (asked, place) in [
        ("/auth/signin", "/auth/login"),
        ("/auth/signin?callbackUrl=%2Fapi%2Fme", "/auth/login?return_to=%2Fapi%2Fme"),
        ("/auth/signin?callbackUrl=https%3A%2F%2Fevil.example", "/auth/login"),
        ("/auth/signin?error=SessionRequired", "/auth/login"),
        ("/auth/signin?error=%3Cb%3E", "/auth/login?error=login_failed"),
        ("/auth/error", "/auth/login?error=login_failed"),
        ("/auth/error?error=AccessDenied", "/auth/login?error=not_allowed"),
        ("/auth/signin/demo?callbackUrl=%2Fapi%2Fme", "/auth/login/demo?return_to=%2Fapi%2Fme"),
    ] {
        assert_eq!(browser.navigate(asked).await.is(303).location(), place, "{asked}");
    }
    browser.navigate("/auth/signin/unknown").await.is(404);
    browser.navigate("/auth/signin?error=a&error=b").await.is(400);
    let answer = post(&browser, "/auth/signin", &[]).await.is(200);
    assert_eq!(url(&browser, &answer), "/auth/signin");
}

#[tokio::test]
async fn an_apps_own_login_page_gets_the_words_that_it_knows() {
    let login = "session.login_page = \"/login\"\n\
                 [[routes]]\npath = \"/login\"\nupstream = \"backend\"\naccess = \"public\"\n";
    let stack = start(&format!("{V4}{login}")).await;
    let browser = stack.browser();
    let page = browser.navigate("/auth/signin?error=CredentialsSignin&callbackUrl=%2Fapi%2Fme").await.is(303);
    let back = url::form_urlencoded::byte_serialize(browser.home().join("/api/me").unwrap().as_str().as_bytes())
        .collect::<String>();
    let expected = format!("/login?error=CredentialsSignin&callbackUrl={back}&return_to=%2Fapi%2Fme");
    assert_eq!(page.location(), expected);
    let page = browser.navigate("/api/me").await.is(302);
    assert_eq!(page.location(), "/login?return_to=/api/me&callbackUrl=/api/me");
    let page = browser.navigate("/auth/error?error=%3Cscript%3E").await.is(303);
    assert!(page.location().starts_with("/login?callbackUrl="), "{page}");
}

#[tokio::test]
async fn a_logout_ends_the_session_and_keeps_a_callback_url_that_needs_no_login() {
    const ROUTES: &str = "[[routes]]\npath = \"/bye\"\nupstream = \"backend\"\naccess = \"public\"\n";
    for toml in [V4, V5] {
        let stack = start(&format!("{toml}session.after_logout = \"/after\"\n{ROUTES}")).await;
        for (wanted, place) in [
            ("/bye", "/bye"),
            ("/api/me", "/after"),
            ("/auth/login", "/after"),
            ("https://evil.example/", "/after"),
            ("", "/after"),
        ] {
            let browser = stack.browser();
            sign_in(&browser, PASSWORD).await.is(200);
            let answer = post(&browser, "/auth/signout", &[("callbackUrl", wanted)]).await.is(200).says("anonymous");
            assert_eq!(url(&browser, &answer), place, "{wanted}");
            assert!(!browser.is_logged_in() && answer.clears("sb_rt"), "{answer}");
        }
        assert_eq!(stack.backend.counters().signouts, 5);
        // After a login at a provider with a logout of its own, by an address without a token.
        let browser = stack.logged_in("mina").await;
        let answer = post(&browser, "/auth/signout", &[("callbackUrl", "/bye")]).await.is(200);
        let address = url(&browser, &answer);
        assert!(address.starts_with("/auth/logged-out?go=") && !address.contains("eyJ"), "{address}");
        let out = browser.navigate(&address).await.is(303);
        assert!(out.location().starts_with(&format!("{}/logout?", stack.provider.issuer())), "{out}");
    }
}

#[tokio::test]
async fn a_link_to_signout_shows_a_page_with_a_button_that_logs_out() {
    let stack = start(V4).await;
    let browser = stack.browser();
    sign_in(&browser, PASSWORD).await.is(200);
    let page = browser.navigate("/auth/signout?callbackUrl=%2F").await.is(200).says("valid").text();
    assert!(browser.is_logged_in());
    let token = csrf_token(&browser).await;
    assert!(page.contains("action=\"/auth/signout\"") && page.contains(&token), "{page}");
    let form = browser.post("/auth/signout").form(&[("csrfToken", &token)]);
    let answer = form.header("sec-fetch-mode", "navigate").header("accept", "text/html").await.is(303);
    assert_eq!(answer.location(), browser.home().as_str());
    assert!(!browser.is_logged_in());
}

#[tokio::test]
async fn an_update_refreshes_and_stores_nothing() {
    for toml in [V4, V5] {
        let stack = start(toml).await;
        let browser = stack.logged_in("mina").await;
        stack.advance(secs(10));
        let token = csrf_token(&browser).await;
        let body = json!({ "csrfToken": token, "data": { "user": { "name": "Root", "role": "admin" } } });
        let answer = browser.post("/auth/session").json(&body).await.is(200).says("refreshed");
        assert_eq!(
            (&answer.json()["user"]["id"], &answer.json()["user"]["role"]),
            (&json!("demo-mina"), &json!("user"))
        );
        assert_eq!(stack.backend.refresh_calls(), 1);
        let session = browser.fetch("/auth/session").await.is(200).says("valid").json();
        assert_eq!(session, answer.json());
        // A visitor without a session is nobody, and the authority is not asked.
        let stranger = stack.browser();
        let token = csrf_token(&stranger).await;
        let answer = stranger.post("/auth/session").json(&json!({ "csrfToken": token })).await.is(200);
        assert_eq!(answer.json(), if toml == V4 { json!({}) } else { Value::Null });
        assert_eq!(stack.backend.refresh_calls(), 1);
    }
}

#[tokio::test]
async fn in_an_outage_the_session_is_unavailable_and_its_cookies_stay() {
    let stack = start(V5).await;
    let browser = stack.logged_in("mina").await;
    stack.backend.set_authority_fault(Fault::Unavailable);
    stack.expire_tokens();
    browser.fetch("/auth/session").await.is(503).says("unavailable").problem("unavailable");
    assert!(browser.is_logged_in());
}

#[tokio::test]
async fn the_cookies_of_a_replaced_nextauth_break_nothing_reach_no_upstream_and_are_deleted() {
    let stack = start(V5).await;
    let browser = stack.logged_in("mina").await;
    let session = browser.cookie_header();
    let parts: Vec<_> =
        (0..4).map(|part| format!("__Secure-next-auth.session-token.{part}={}", "x".repeat(3900))).collect();
    let all =
        format!("{session}; {}; next-auth.callback-url=http%3A%2F%2Flocalhost%3A3000; theme=dark", parts.join("; "));
    let copy = stack.browser();
    copy.fetch("/api/me").header("cookie", &all).await.is(200).says("valid");
    let seen = stack.backend.recorded_at("/api/me");
    assert_eq!(seen.last().unwrap().header("cookie"), Some("theme=dark"));
    let answer = copy.fetch("/auth/session").header("cookie", &all).await.is(200).says("valid");
    for part in 0..4 {
        assert!(answer.clears(&format!("__Secure-next-auth.session-token.{part}")), "{answer}");
    }
    assert!(answer.clears("next-auth.callback-url") && !answer.clears("sb_at"), "{answer}");
}

#[tokio::test]
async fn what_pages_report_of_errors_is_taken_up_to_a_limit() {
    let stack = start(V4).await;
    let browser = stack.browser();
    let form = [("level", "error"), ("code", "CLIENT_FETCH_ERROR"), ("client", "true")];
    assert!(browser.post("/auth/_log").form(&form).await.is(200).body.is_empty());
    browser.post("/auth/_log").body("x".repeat(65 * 1024)).await.is(413);
}

#[tokio::test]
async fn without_compat_none_of_it_exists() {
    let stack = TestStack::start().await;
    let browser = stack.browser();
    for path in ["csrf", "providers", "signin", "signin/demo", "signout", "error"] {
        browser.navigate(&format!("/auth/{path}")).await.is(404);
    }
    browser.post("/auth/session").await.is(405);
    browser.post("/auth/callback/credentials").await.is(404);
}
