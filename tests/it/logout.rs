//! Logouts: at the gateway, at the authority, and for copies of the cookies.

use std::time::Duration;

use http::Method;
use vestibule::demo::{
    Fault,
    backend::{EMAIL, PASSWORD},
};

use crate::harness::{Answer, Browser, Setup, TestStack, within_time_limit};

async fn logout(browser: &Browser) -> Answer {
    browser.post("/auth/logout").await.is(200)
}

async fn logout_by_form(browser: &Browser) -> Answer {
    let form = browser.post("/auth/logout").form(&[]).header("sec-fetch-mode", "navigate");
    form.header("accept", "text/html").await.is(303)
}

#[tokio::test]
async fn a_logout_clears_the_tokens_and_signs_out_at_the_backend() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    let answer = logout(&browser).await.says("anonymous");
    assert_eq!(answer.json()["success"], true);
    let url = answer.json()["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with("/auth/logged-out?go=") && !url.contains("eyJ"), "{url}");
    assert!(answer.clears("sb_at") && answer.clears("sb_rt") && answer.set_cookie("sb_did").is_none(), "{answer}");
    assert_eq!(browser.cookie_names().into_iter().collect::<Vec<_>>(), ["sb_did"]);
    assert_eq!(stack.backend.counters().signouts, 1);
    browser.fetch("/api/me").await.is(401).says("anonymous");
}

#[tokio::test]
async fn a_logout_by_form_is_redirected() {
    let stack = TestStack::with("session.after_logout = \"/bye\"").await;
    let browser = stack.browser();
    let credentials = serde_json::json!({ "email": EMAIL, "password": PASSWORD });
    browser.post("/auth/login").json(&credentials).await.is(200);
    assert_eq!(logout_by_form(&browser).await.location(), "/bye");
    assert!(!browser.is_logged_in());

    // First to the logout endpoint of the provider.
    browser.login_as("mina").await;
    let answer = logout_by_form(&browser).await;
    assert!(answer.location().starts_with(&format!("{}/logout?", stack.provider.issuer())), "{answer}");
    let back = browser.follow(&answer).await;
    assert_eq!(back.location(), stack.gateway.public_url().join("/bye").unwrap().as_str());
}

#[tokio::test]
async fn a_logout_ends_on_something_that_does_not_log_in_again() {
    const NEEDS_LOGIN: &str = "session.after_logout = \"/api/home\"\n";
    let stack = TestStack::with(NEEDS_LOGIN).await;
    // With a logout at the provider: there and back to an open page, once.
    let browser = stack.logged_in("mina").await;
    let url = logout(&browser).await.json()["url"].as_str().unwrap().to_owned();
    let gone_on = browser.navigate(&url).await.is(303);
    assert!(gone_on.location().starts_with(&format!("{}/logout?", stack.provider.issuer())), "{gone_on}");
    let back = browser.follow(&gone_on).await;
    assert_eq!(back.location(), stack.gateway.public_url().join("/auth/logged-out").unwrap().as_str());
    let page = browser.follow(&back).await.is(200).says("anonymous");
    assert!(page.text().contains("You are logged out") && page.text().contains("/auth/login"), "{page}");
    browser.navigate(&url).await.is(200);

    // Without a provider: the page.
    let browser = stack.browser();
    let credentials = serde_json::json!({ "email": EMAIL, "password": PASSWORD });
    browser.post("/auth/login").json(&credentials).await.is(200);
    assert_eq!(logout_by_form(&browser).await.location(), "/auth/logged-out");
    browser.post("/auth/login").json(&credentials).await.is(200);
    assert_eq!(logout(&browser).await.json()["url"], "/auth/logged-out");
    let korean = stack.browser().speaking("ko").navigate("/auth/logged-out").await.is(200);
    assert!(korean.text().contains("로그아웃되었습니다"), "{korean}");
    let named = stack.browser().navigate("/auth/logged-out?provider=demo").await.is(200);
    assert!(named.text().contains("Demo ID has no logout of its own"), "{named}");
    let unknown = stack.browser().navigate("/auth/logged-out?provider=unknown").await.is(200);
    assert!(unknown.text().contains("You are logged out") && !unknown.text().contains("of its own"), "{unknown}");
}

#[tokio::test]
async fn a_person_without_access_can_log_in_as_another_one_and_comes_back() {
    const ADMIN: &str = r#"
        session.after_logout = "/bye"
        [[routes]]
        path = "/admin"
        upstream = "backend"
        access = { roles = ["admin"] }
        [[routes]]
        path = "/bye"
        upstream = "backend"
        access = "public"
    "#;
    let stack = TestStack::with(ADMIN).await;
    let browser = stack.browser();
    let credentials = serde_json::json!({ "email": EMAIL, "password": PASSWORD });
    browser.post("/auth/login").json(&credentials).await.is(200);
    let refused = browser.navigate("/admin?tab=1").await.is(403);
    let number = refused.header("x-request-id").unwrap().to_owned();
    let text = refused.text();
    for expected in [
        "<form method=\"post\" action=\"/auth/logout\">",
        "name=\"login_to\" value=\"/admin?tab=1\"",
        "Log in as another person",
        &format!("<code>{number}</code>"),
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let ask = async |fields: &[(&str, &str)]| {
        let form = browser.post("/auth/logout").form(fields).header("sec-fetch-mode", "navigate");
        form.header("accept", "text/html").await.is(303)
    };
    let out = ask(&[("login_to", "/admin?tab=1")]).await;
    assert_eq!(out.location(), "/auth/logged-out?return_to=%2Fadmin%3Ftab%3D1");
    assert!(!browser.is_logged_in());
    let page = browser.follow(&out).await.is(200);
    assert!(page.text().contains("href=\"/auth/login?return_to=%2Fadmin%3Ftab%3D1\""), "{page}");
    // The logout of an app is as it was, and of another site nothing is kept.
    assert_eq!(ask(&[("return_to", "/admin")]).await.location(), "/bye");
    assert_eq!(ask(&[("login_to", "https://evil.example")]).await.location(), "/auth/logged-out");
    for path in ["/auth/logged-out?return_to=https://evil.example", "/auth/logged-out?return_to=//evil.example"] {
        let page = browser.navigate(path).await.is(200);
        assert!(page.text().contains("href=\"/auth/login\"") && !page.text().contains("evil"), "{page}");
    }
}

#[tokio::test]
async fn a_head_and_an_options_of_our_pages_change_nothing() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    let url = logout(&browser).await.json()["url"].as_str().unwrap().to_owned();
    let ask = |method: Method, path: &str| browser.plain(method, path).header("accept", "text/html");
    for path in ["/auth/login", "/auth/session", "/auth/assets/page.js"] {
        let head = ask(Method::HEAD, path).await.is(200);
        assert!(head.body.is_empty() && head.set_cookies().is_empty(), "{head}");
    }
    for (path, allowed) in
        [("/auth/logged-out", "GET"), ("/auth/callback/demo", "GET, POST"), ("/auth/logout", "POST"), (&url, "GET")]
    {
        for method in [Method::HEAD, Method::OPTIONS] {
            assert_eq!(ask(method, path).await.is(405).header("allow"), Some(allowed));
        }
    }
    assert_eq!(ask(Method::OPTIONS, "/auth/login").await.is(405).header("allow"), Some("GET, HEAD, POST"));
    // The one-time address still leads on.
    browser.navigate(&url).await.is(303);
}

#[tokio::test]
async fn copies_of_the_cookies_are_refused_after_the_logout() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    let (copy, later) = (browser.copy(), browser.copy());
    logout(&browser).await;
    let answer = copy.fetch("/api/me").await.is(401).says("invalid");
    assert!(answer.clears("sb_at") && answer.clears("sb_rt"), "{answer}");
    stack.expire_tokens();
    later.fetch("/api/me").await.is(401).says("invalid");
    assert_eq!(stack.backend.refresh_calls(), 0);
}

#[tokio::test]
async fn another_session_of_the_same_person_continues() {
    let stack = TestStack::start().await;
    let (laptop, phone) = (stack.logged_in("mina").await, stack.logged_in("mina").await);
    logout(&laptop).await;
    phone.fetch("/api/me").await.is(200).says("valid");
}

#[tokio::test]
async fn the_backend_is_signed_out_with_the_newest_refresh_token() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    let old = browser.copy();
    stack.expire_tokens();
    browser.fetch("/api/me").await.is(200).says("refreshed");
    // A tab with the old cookies logs out.
    logout(&old).await;
    let sent =
        stack.backend.recorded_at("/auth/signout")[0].json().unwrap()["refreshToken"].as_str().unwrap().to_owned();
    assert!(sent.starts_with("rt.1.2."), "the second refresh token of the session");
    browser.fetch("/api/me").await.is(401).says("invalid");
}

#[tokio::test]
async fn the_cookies_are_cleared_whatever_the_backend_answers() {
    for fault in [Fault::Unavailable, Fault::Close] {
        let stack = TestStack::start().await;
        let browser = stack.logged_in("mina").await;
        let copy = browser.copy();
        stack.backend.set_authority_fault(fault);
        logout(&browser).await;
        assert!(!browser.is_logged_in());
        stack.backend.set_authority_fault(Fault::None);
        // The authority did not get the sign-out; the gateway remembers it as long as the refresh token is valid.
        stack.expire_tokens();
        copy.fetch("/api/me").await.is(401).says("invalid");
    }
}

#[tokio::test]
async fn a_logout_without_a_session_succeeds() {
    let stack = TestStack::start().await;
    let answer = logout(&stack.browser()).await.says("anonymous");
    assert_eq!(answer.json()["success"], true);
    assert_eq!(stack.backend.counters().signouts, 0);
}

#[tokio::test]
async fn a_session_whose_access_token_has_expired_is_logged_out_without_a_refresh() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.expire_tokens();
    logout(&browser).await;
    assert!(!browser.is_logged_in());
    let seen = stack.backend.counters();
    assert_eq!((seen.signouts, seen.refresh_calls), (1, 0));
}

#[tokio::test]
async fn a_refresh_in_flight_is_joined_signed_out_and_writes_no_cookie() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.backend.set_refresh_delay(Duration::from_millis(500));
    stack.expire_tokens();
    let tab = browser.copy();
    let request = tokio::spawn(async move { tab.fetch("/api/me").await });
    within_time_limit("the refresh", stack.backend.until(|seen| seen.refresh_calls == 1)).await;
    logout(&browser).await;
    let answer = request.await.unwrap().is(401).says("invalid");
    assert!(!answer.sets("sb_at") && !answer.sets("sb_rt"), "{answer}");
    // The refreshed tokens are revoked at the authority too.
    within_time_limit("the sign-out", stack.backend.until(|seen| seen.signouts >= 1)).await;
    let signed_out = stack.backend.recorded_at("/auth/signout");
    let tokens: Vec<_> = signed_out.iter().map(|request| request.json().unwrap()["refreshToken"].to_string()).collect();
    assert!(tokens.iter().any(|token| token.starts_with("\"rt.1.2.")), "the new token of two is signed out");
}

#[tokio::test]
async fn a_logout_succeeds_while_five_hundred_requests_wait_for_a_refresh() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.backend.set_refresh_delay(Duration::from_millis(300));
    stack.expire_tokens();
    let requests: Vec<_> = (0..200).map(|_| tokio::spawn(browser.copy().fetch("/api/me").into_future())).collect();
    within_time_limit("the refresh", stack.backend.until(|seen| seen.refresh_calls == 1)).await;
    logout(&browser).await;
    for request in requests {
        let answer = request.await.unwrap();
        assert!(!answer.sets("sb_at") && !answer.sets("sb_rt"), "{answer}");
    }
    assert_eq!(stack.backend.refresh_calls(), 1);
    browser.fetch("/api/me").await.is(401);
}

#[tokio::test]
async fn a_provider_that_is_the_authority_revokes_and_ends_its_own_session() {
    let stack = Setup::with_provider_as_authority().start().await;
    let browser = stack.logged_in("mina").await;
    browser.fetch("/api/me").await.is(200);
    let answer = logout_by_form(&browser).await;
    assert!(answer.location().starts_with(&format!("{}/logout?", stack.provider.issuer())), "{answer}");
    assert!(
        answer.location().contains("id_token_hint=") && answer.location().contains("post_logout_redirect_uri="),
        "{answer}"
    );
    assert!(!browser.is_logged_in());
    within_time_limit("the revocation", stack.provider.until(|seen| seen.revocation_calls >= 1)).await;
    let back = browser.follow(&answer).await;
    assert!(back.status.is_redirection() && back.location().starts_with(stack.gateway.public_url().as_str()), "{back}");
}
