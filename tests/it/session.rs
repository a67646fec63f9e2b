//! `GET /session` and `POST /refresh`, and how long a session lasts.

use http::Method;

use crate::harness::{Setup, TestStack, secs};

const DAY: u64 = 24 * 3600;

#[tokio::test]
async fn without_a_session_the_session_endpoint_says_so_and_refresh_gets_401() {
    let stack = TestStack::start().await;
    let answer = stack.browser().fetch("/auth/session").await.is(200).says("anonymous");
    assert_eq!(answer.json(), serde_json::json!({ "authenticated": false }));
    assert!(answer.set_cookies().is_empty());
    stack.browser().post("/auth/refresh").await.is(401).says("anonymous").problem("login_required");
}

#[tokio::test]
async fn the_session_object_has_the_user_and_the_expiry_of_its_token() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("jun").await;
    let now = stack.clock.now();
    let session = browser.fetch("/auth/session").await.is(200).says("valid").json();
    assert_eq!(session["authenticated"], true);
    assert_eq!(session["user"]["sub"], "demo-jun");
    assert_eq!(session["user"]["email"], "jun@example.test");
    assert_eq!(session["roles"], serde_json::json!(["admin"]));
    assert_eq!(session["deviceId"], browser.cookie("sb_did").unwrap());
    let (expires, refresh) = (session["expiresAt"].as_str().unwrap(), session["refreshAt"].as_str().unwrap());
    assert!(expires.ends_with('Z') && refresh < expires, "{session}");
    assert!(expires <= now.plus(secs(301)).rfc3339().as_str(), "{session}");
    assert_eq!(session.as_object().unwrap().len(), 6, "{session}");
}

#[tokio::test]
async fn the_session_object_has_only_the_claims_of_expose_claims_and_no_token() {
    let stack = TestStack::with("session.expose_claims = [\"name\"]").await;
    let browser = stack.logged_in("mina").await;
    let answer = browser.fetch("/auth/session").await.is(200);
    assert_eq!(answer.json()["user"], serde_json::json!({ "name": "김미나 Mina" }));
    assert!(!answer.text().contains("eyJ") && !answer.text().contains("rt."), "{answer}");
}

#[tokio::test]
async fn a_session_is_refreshed_on_demand() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.advance(secs(10));
    let before = browser.fetch("/auth/session").await.json();
    let answer = browser.post("/auth/refresh").await.is(200).says("refreshed");
    assert!(answer.sets("sb_at") && answer.sets("sb_rt"));
    assert!(answer.json()["expiresAt"].as_str() > before["expiresAt"].as_str());
    assert_eq!(stack.backend.refresh_calls(), 1);
    browser.fetch("/api/me").await.is(200).says("valid");
}

#[tokio::test]
async fn a_refresh_on_demand_in_an_outage_is_503_and_keeps_the_cookies() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.backend.set_authority_fault(vestibule::demo::Fault::Unavailable);
    let answer = browser.post("/auth/refresh").await.is(503).says("unavailable");
    assert!(answer.header("retry-after").is_some() && answer.set_cookies().is_empty(), "{answer}");
    browser.fetch("/api/me").await.is(200).says("valid");
}

#[tokio::test]
async fn without_rotation_an_old_result_is_not_taken_for_a_refresh_on_demand() {
    let stack = TestStack::start().await;
    stack.backend.set_rotation(false);
    let browser = stack.logged_in("mina").await;
    browser.post("/auth/refresh").await.is(200).says("refreshed");
    stack.advance(secs(6));
    browser.post("/auth/refresh").await.is(200).says("refreshed");
    assert_eq!(stack.backend.refresh_calls(), 2);
}

#[tokio::test]
async fn a_session_unused_for_longer_than_idle_has_ended() {
    let stack = TestStack::with("session.idle = \"3d\"\nsession.refresh_token_lifetime = \"30d\"").await;
    let browser = stack.logged_in("mina").await;
    for _ in 0..3 {
        stack.advance(secs(2 * DAY));
        browser.fetch("/api/me").await.is(200).says("refreshed");
    }
    stack.advance(secs(3 * DAY + 1));
    browser.fetch("/api/me").await.is(401).says("invalid");
    assert!(!browser.is_logged_in());
}

#[tokio::test]
async fn a_session_older_than_absolute_has_ended_although_it_is_used() {
    let stack = TestStack::with("session.absolute = \"5d\"").await;
    let browser = stack.logged_in("mina").await;
    for _ in 0..4 {
        stack.advance(secs(DAY));
        browser.fetch("/api/me").await.is(200).says("refreshed");
    }
    stack.advance(secs(DAY + 1));
    browser.fetch("/api/me").await.is(401).says("invalid");
    assert!(!browser.is_logged_in());
}

#[tokio::test]
async fn the_endpoints_move_with_their_base_path() {
    let stack = Setup::new().with("session.base_path = \"/api/auth\"").start().await;
    let answer = stack.browser().fetch("/api/auth/session").await.is(200).says("anonymous");
    assert_eq!(answer.json()["authenticated"], false);
    let start = stack.browser().navigate("/api/auth/login/demo").await;
    assert!(start.location().contains("%2Fapi%2Fauth%2Fcallback%2Fdemo"), "{start}");
}

#[tokio::test]
async fn an_own_endpoint_refuses_other_methods() {
    let stack = TestStack::start().await;
    let browser = stack.browser();
    for (method, path, allowed) in [
        (Method::POST, "/auth/session", "GET"),
        (Method::GET, "/auth/refresh", "POST"),
        (Method::GET, "/auth/logout", "POST"),
        (Method::DELETE, "/auth/login", "GET"),
    ] {
        let answer = browser.request(method, path).await.is(405);
        assert!(answer.header("allow").unwrap().contains(allowed), "{answer}");
    }
    browser.fetch("/auth/no-such-thing").await.is(404);
}
