//! A 401 of the upstream: one refresh and one retry.

use bytes::Bytes;
use futures_util::future::join_all;
use http::Method;

use crate::harness::{Setup, TestStack, Upstream, secs};

fn pattern(length: usize) -> Bytes {
    (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect::<Vec<_>>().into()
}

const UNAUTHORIZED: &str =
    "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer error=\"invalid_token\"\r\ncontent-length: 2\r\n\r\nno";

#[tokio::test]
async fn a_rejected_token_is_refreshed_and_the_request_sent_again() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.backend.unauthorized_next(1);
    let answer = browser.fetch("/api/me").await.is(200).says("refreshed");
    assert!(answer.sets("sb_at") && answer.sets("sb_rt"));
    assert_eq!(answer.json()["gen"], 2);
    let seen = stack.backend.counters();
    assert_eq!((seen.refresh_calls, seen.replays, seen.unauthorized), (1, 1, 1));
}

#[tokio::test]
async fn the_body_arrives_byte_for_byte_with_the_retry() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    for (n, length) in [1, 1000, 64 * 1024].into_iter().enumerate() {
        stack.backend.unauthorized_next(1);
        let body = pattern(length);
        let ask = browser.request(Method::PUT, "/api/echo").header("content-type", "application/x-test");
        let answer = ask.body(body.clone()).await.is(200).says("refreshed");
        assert_eq!(answer.body, body, "{length} bytes");
        assert_eq!(stack.backend.refresh_calls(), n as u64 + 1);
        stack.advance(secs(61));
    }
}

#[tokio::test]
async fn a_body_larger_than_the_replay_keeps_gets_the_401_with_new_cookies() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.backend.unauthorized_next(1);
    let body = pattern(64 * 1024 + 1);
    let answer = browser.post("/api/echo").body(body.clone()).await.is(401).says("refreshed");
    assert!(answer.sets("sb_at") && answer.sets("sb_rt"), "{answer}");
    assert_eq!(stack.backend.refresh_calls(), 1);
    let again = browser.post("/api/echo").body(body.clone()).await.is(200).says("valid");
    assert_eq!(again.body, body);
}

#[tokio::test]
async fn replay_body_limits_the_size_of_bodies_that_are_sent_again() {
    let stack = TestStack::with("session.replay_body = \"10B\"").await;
    let browser = stack.logged_in("mina").await;
    stack.backend.unauthorized_next(1);
    browser.post("/api/echo").body("0123456789").await.is(200).says("refreshed");
    stack.backend.unauthorized_next(1);
    browser.post("/api/echo").body("0123456789a").await.is(401).says("refreshed");
}

#[tokio::test]
async fn a_hundred_requests_with_a_rejected_token_cause_one_refresh() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.backend.reject_issued_tokens();
    let answers = join_all((0..100).map(|_| browser.copy().fetch("/api/me").into_future())).await;
    for answer in answers {
        assert_eq!(answer.is(200).json()["gen"], 2);
    }
    assert_eq!(stack.backend.refresh_calls(), 1);
    assert_eq!(stack.backend.counters().reuse_detected, 0);
}

#[tokio::test]
async fn a_second_401_from_the_authoritys_own_upstream_ends_the_session() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.backend.set_unauthorized_always(true);
    let answer = browser.fetch("/api/me").await.is(401).says("invalid");
    assert!(answer.clears("sb_at") && answer.clears("sb_rt") && !answer.clears("sb_did"), "{answer}");
    assert!(!browser.is_logged_in());
    let seen = stack.backend.counters();
    assert_eq!((seen.refresh_calls, seen.unauthorized), (1, 2));
}

#[tokio::test]
async fn a_second_401_from_another_upstream_is_forwarded() {
    let other = Upstream::answering(UNAUTHORIZED).await;
    let stack = TestStack::with(&route(&other, "")).await;
    let browser = stack.logged_in("mina").await;
    let answer = browser.fetch("/other").await.is(401).says("refreshed");
    assert_eq!(answer.text(), "no");
    assert!(browser.is_logged_in());
    assert_eq!(other.heard().len(), 2);
    browser.fetch("/api/me").await.is(200).says("valid");
}

#[tokio::test]
async fn a_setting_of_the_route_decides_whether_a_second_401_ends_the_session() {
    let other = Upstream::answering(UNAUTHORIZED).await;
    let stack = TestStack::with(&route(&other, "on_second_401 = \"clear\"")).await;
    let browser = stack.logged_in("mina").await;
    browser.fetch("/other").await.is(401).says("invalid");
    assert!(!browser.is_logged_in());
}

#[tokio::test]
async fn a_401_after_the_authority_refused_the_refresh_ends_the_session() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.backend.revoke_email("mina@example.test");
    let answer = browser.fetch("/api/me").await.is(401).says("invalid");
    assert!(answer.clears("sb_at") && answer.clears("sb_rt"), "{answer}");
    assert_eq!(stack.backend.refresh_calls(), 1);
}

#[tokio::test]
async fn a_401_in_an_outage_is_forwarded_and_keeps_the_cookies() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.backend.set_authority_fault(vestibule::demo::Fault::Unavailable);
    stack.backend.unauthorized_next(1);
    let answer = browser.fetch("/api/me").await.is(401);
    assert!(answer.set_cookies().is_empty(), "{answer}");
    assert!(browser.is_logged_in());
}

#[tokio::test]
async fn at_most_five_refreshes_a_minute_come_from_401s() {
    let other = Upstream::answering(UNAUTHORIZED).await;
    let stack = TestStack::with(&route(&other, "")).await;
    let browser = stack.logged_in("mina").await;
    for n in 1..=5 {
        browser.fetch("/other").await.is(401).says("refreshed");
        assert_eq!(stack.backend.refresh_calls(), n);
    }
    for _ in 0..3 {
        let answer = browser.fetch("/other").await.is(401).says("valid");
        assert!(answer.set_cookies().is_empty(), "{answer}");
    }
    assert_eq!(stack.backend.refresh_calls(), 5);
    assert!(browser.is_logged_in());
    stack.advance(secs(61));
    browser.fetch("/other").await.is(401).says("refreshed");
    assert_eq!(stack.backend.refresh_calls(), 6);
}

#[tokio::test]
async fn a_401_with_insufficient_scope_causes_no_refresh() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    browser.fetch("/api/status/401?scope=1").await.is(401).says("valid");
    assert_eq!(stack.backend.refresh_calls(), 0);
    assert!(browser.is_logged_in());
}

#[tokio::test]
async fn a_route_can_retry_only_safe_methods_or_none() {
    for (setting, get, post) in [("safe", 2, 1), ("off", 1, 1)] {
        let other = Upstream::answering(UNAUTHORIZED).await;
        let stack = TestStack::with(&route(&other, &format!("retry_on_401 = \"{setting}\""))).await;
        let browser = stack.logged_in("mina").await;
        browser.fetch("/other").await.is(401);
        assert_eq!(other.heard().len(), get, "GET with {setting}");
        let before = other.heard().len();
        browser.post("/other").body("x").await.is(401);
        assert_eq!(other.heard().len() - before, post, "POST with {setting}");
    }
}

#[tokio::test]
async fn the_retry_has_the_new_bearer_and_the_same_head() {
    let other = Upstream::answering(UNAUTHORIZED).await;
    let stack = TestStack::with(&route(&other, "")).await;
    let browser = stack.logged_in("mina").await;
    browser.post("/other").header("x-own", "1").body("abc").await.is(401);
    let heard = other.heard();
    let [first, second] = heard.as_slice() else { panic!("two requests, not {}", heard.len()) };
    assert_ne!(first.header("authorization"), second.header("authorization"));
    let rest = |head: &str| {
        let mut lines: Vec<_> = head.lines().filter(|line| !line.to_lowercase().starts_with("authorization")).collect();
        lines.sort_unstable();
        lines.join("\n")
    };
    assert_eq!(rest(&first.head), rest(&second.head));
    assert_eq!(first.body, second.body);
}

#[tokio::test]
async fn an_upstream_that_answers_401_before_the_body_is_through_is_retried_with_all_of_it() {
    // Answers at once, and closes without reading the body; the second time it reads.
    let hasty = Upstream::start(|mut wire| async move {
        if wire.number() == 0 {
            if wire.head().await.is_some() {
                wire.send("HTTP/1.1 401 Unauthorized\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
                wire.until_closed().await;
            }
        } else {
            while wire.request().await.is_some() {
                wire.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            }
        }
    })
    .await;
    let stack = TestStack::with(&route(&hasty, "")).await;
    let browser = stack.logged_in("mina").await;
    let body = pattern(50_000);
    browser.post("/other").body(body.clone()).await.is(200).says("refreshed");
    assert_eq!(hasty.last().body, body);
}

#[tokio::test]
async fn a_401_of_a_public_route_causes_no_refresh() {
    let stack = Setup::new()
        .with("[[routes]]\npath = \"/api/{*rest}\"\nupstream = \"backend\"\naccess = \"public\"")
        .start()
        .await;
    let browser = stack.logged_in("mina").await;
    let answer = browser.fetch("/api/me").await.is(401);
    assert_eq!(answer.auth_status(), None);
    assert_eq!(stack.backend.refresh_calls(), 0);
}

fn route(upstream: &Upstream, more: &str) -> String {
    format!(
        "upstreams.other = {{ targets = [\"{}\"] }}\n[[routes]]\npath = \"/other\"\nupstream = \"other\"\naccess = \"user\"\n{more}",
        upstream.target()
    )
}
