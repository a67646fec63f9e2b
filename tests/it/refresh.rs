//! Refreshes: one for any number of requests, ahead of expiry, and the newest cookies for every browser.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::future::join_all;
use http::StatusCode;
use serde_json::json;
use tokio::sync::Notify;
use vestibule::demo::{RefreshTokenVia, hook::ScriptedAnswer};

use crate::harness::{Answer, Browser, Setup, TestStack, Upstream, json_answer, ok, secs, within_time_limit};

async fn all_at_once(browsers: impl IntoIterator<Item = Browser>, path: &str) -> Vec<Answer> {
    join_all(browsers.into_iter().map(|browser| browser.fetch(path).into_future())).await
}

#[track_caller]
fn all_are_200(answers: &[Answer]) {
    let others = answers.iter().filter(|answer| answer.status != 200);
    let kinds: BTreeSet<_> =
        others.clone().map(|answer| format!("{} {:?}", answer.status, answer.auth_status())).collect();
    assert_eq!(others.count(), 0, "of {}: {kinds:?}", answers.len());
}

/// The generation of the access token that the backend received, from 1.
fn generation(answer: &Answer) -> u64 {
    answer.json()["gen"].as_u64().expect("the backend tells the token's generation")
}

#[tokio::test]
async fn five_hundred_requests_with_an_expired_token_cause_one_refresh() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.backend.set_refresh_delay(std::time::Duration::from_millis(500));
    stack.expire_tokens();
    let answers = all_at_once((0..500).map(|_| browser.copy()), "/api/me").await;
    all_are_200(&answers);
    assert_eq!(stack.backend.refresh_calls(), 1);
    assert_eq!(stack.backend.counters().reuse_detected, 0);
    for answer in answers {
        assert_eq!(generation(&answer), 2);
        let answer = answer.says("refreshed");
        assert!(answer.sets("sb_at") && answer.sets("sb_rt"), "{answer}");
    }
}

#[tokio::test]
async fn a_refresh_continues_after_its_visitor_disconnects() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.backend.set_refresh_delay(std::time::Duration::from_millis(500));
    stack.expire_tokens();
    let first = browser.copy();
    let first = tokio::spawn(async move { first.fetch("/api/me").try_send().await.map(drop) });
    within_time_limit("the refresh", stack.backend.until(|seen| seen.refresh_calls == 1)).await;
    first.abort();
    let answers = all_at_once((0..499).map(|_| browser.copy()), "/api/me").await;
    all_are_200(&answers);
    assert_eq!(stack.backend.refresh_calls(), 1);
    assert_eq!(stack.backend.counters().reuse_detected, 0);
}

#[tokio::test]
async fn fifty_sessions_of_twenty_requests_cause_fifty_refreshes() {
    let stack = TestStack::start().await;
    let browsers = join_all((0..50).map(|_| stack.logged_in("mina"))).await;
    stack.expire_tokens();
    let requests = browsers.iter().flat_map(|browser| (0..20).map(|_| browser.copy()));
    let answers = all_at_once(requests, "/api/me").await;
    all_are_200(&answers);
    assert_eq!(stack.backend.refresh_calls(), 50);
    assert_eq!(stack.backend.counters().reuse_detected, 0);
}

#[tokio::test]
async fn two_people_never_get_each_others_tokens() {
    let stack = TestStack::start().await;
    let (mina, jun) = (stack.logged_in("mina").await, stack.logged_in("jun").await);
    stack.expire_tokens();
    let mixed = (0..100).map(|n| if n % 2 == 0 { mina.copy() } else { jun.copy() });
    let answers = all_at_once(mixed, "/api/me").await;
    for (n, answer) in answers.iter().enumerate() {
        let expected = if n % 2 == 0 { "mina@example.test" } else { "jun@example.test" };
        assert_eq!(answer.json()["email"], expected);
    }
    assert_eq!(stack.backend.refresh_calls(), 2);
}

/// A backend that gives all people the text "undefined" tells them apart by their devices.
#[tokio::test]
async fn sessions_with_the_same_refresh_token_each_refresh_for_themselves() {
    let stack = TestStack::start().await;
    let browsers = [stack.logged_in("mina").await, stack.logged_in("jun").await];
    let next = |token: &str| {
        let body = json!({"accessToken": token, "refreshToken": "undefined", "expiresIn": 300});
        stack.backend.next_refresh(json_answer(StatusCode::OK, &body));
    };
    for (browser, token) in browsers.iter().zip(["at-1", "at-2"]) {
        next(token);
        browser.post("/auth/refresh").await.is(200);
    }
    stack.expire_tokens();
    stack.backend.forget_recorded();
    ["at-3", "at-4"].into_iter().for_each(next);
    for answer in join_all(browsers.iter().map(|browser| browser.post("/auth/refresh").into_future())).await {
        answer.is(200).says("refreshed");
    }
    let asked: BTreeSet<_> = stack
        .backend
        .recorded_at("/auth/refresh")
        .iter()
        .map(|call| call.json().unwrap()["deviceId"].clone())
        .map(|id| id.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(asked, browsers.iter().map(|browser| browser.cookie("sb_did").unwrap()).collect());
}

#[tokio::test]
async fn old_cookies_get_the_newest_ones_and_no_further_call() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.expire_tokens();
    let old = browser.copy();
    browser.fetch("/api/me").await.is(200).says("refreshed");
    for pause in [0, 5, 24] {
        stack.advance(secs(pause));
        let tab = old.copy();
        let answer = tab.fetch("/api/me").await.is(200).says("refreshed");
        assert_eq!(generation(&answer), 2);
        assert!(answer.sets("sb_at") && answer.sets("sb_rt"), "{answer}");
        tab.fetch("/api/me").await.is(200).says("valid");
    }
    assert_eq!(stack.backend.refresh_calls(), 1);
    assert_eq!(stack.backend.counters().reuse_detected, 0);
}

#[tokio::test]
async fn a_browser_that_never_got_the_answer_finds_it_hours_later() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.expire_tokens();
    let lost = browser.copy();
    lost.fetch("/api/me").await.is(200);
    // No request has used the new cookies; their token expires too.
    stack.advance(secs(20 * 3600));
    let answer = browser.fetch("/api/me").await.is(200).says("refreshed");
    assert_eq!(generation(&answer), 3);
    assert_eq!(stack.backend.counters().reuse_detected, 0);
}

#[tokio::test]
async fn a_tab_two_generations_behind_gets_the_newest_tokens() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    let old = browser.copy();
    for _ in 0..2 {
        stack.expire_tokens();
        browser.fetch("/api/me").await.is(200).says("refreshed");
    }
    // Within the grace of the second refresh's predecessor the chain of results leads to the newest.
    let answer = old.fetch("/api/me").await.is(200).says("refreshed");
    assert_eq!(generation(&answer), 3);
    assert_eq!(stack.backend.refresh_calls(), 2);
    assert_eq!(stack.backend.counters().reuse_detected, 0);
}

#[tokio::test]
async fn an_answer_that_comes_late_never_writes_an_older_generation() {
    let gate = Arc::new(Notify::new());
    let opened = Arc::clone(&gate);
    let slow = Upstream::start(move |mut wire| {
        let gate = Arc::clone(&opened);
        async move {
            if wire.request().await.is_some() {
                gate.notified().await;
                wire.send(ok("late")).await;
            }
        }
    })
    .await;
    let stack = TestStack::with(&format!(
        "upstreams.slow = {{ targets = [\"{}\"] }}\n[[routes]]\npath = \"/slow\"\nupstream = \"slow\"\naccess = \"user\"",
        slow.target()
    ))
    .await;
    let browser = stack.logged_in("mina").await;
    // The first request refreshes and then hangs at its upstream; meanwhile the session goes two refreshes further.
    stack.expire_tokens();
    let late = browser.copy();
    let waiting = tokio::spawn({
        let late = late.clone();
        async move { late.fetch("/slow").await }
    });
    slow.until_heard(1).await;
    let tab = browser.copy();
    tab.fetch("/api/me").await.is(200).says("refreshed");
    stack.expire_tokens();
    tab.fetch("/api/me").await.is(200).says("refreshed");
    gate.notify_one();
    waiting.await.unwrap().is(200);
    let next = late.fetch("/api/me").await.is(200);
    assert_eq!(generation(&next), 3);
    assert_eq!(stack.backend.refresh_calls(), 2);
    assert_eq!(stack.backend.counters().reuse_detected, 0);
}

#[tokio::test]
async fn a_token_inside_its_margin_is_refreshed_ahead() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.advance(secs(220));
    browser.fetch("/api/me").await.is(200).says("valid");
    assert_eq!(stack.backend.refresh_calls(), 0);
    stack.advance(secs(25));
    let answer = browser.fetch("/api/me").await.is(200).says("refreshed");
    assert_eq!(generation(&answer), 2);
    assert_eq!(stack.backend.refresh_calls(), 1);
}

#[tokio::test]
async fn a_slow_refresh_ahead_of_time_does_not_delay_the_request() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.advance(secs(250));
    stack.backend.set_refresh_delay(secs(4));
    let answer = browser.fetch("/api/me").await.is(200).says("valid");
    assert_eq!(generation(&answer), 1);
    // The cookies come with a later answer.
    within_time_limit("the refresh", stack.backend.until(|seen| seen.refreshes_ok == 1)).await;
    let mut answer = browser.fetch("/api/me").await.is(200);
    while answer.auth_status() == Some("valid") {
        answer = browser.fetch("/api/me").await.is(200);
    }
    // The refresh may have ended while the request was at the backend with the old token; the next request has the new
    // one.
    answer.says("refreshed");
    assert_eq!(generation(&browser.fetch("/api/me").await.is(200).says("valid")), 2);
    assert_eq!(stack.backend.refresh_calls(), 1);
}

#[tokio::test]
async fn short_and_long_lived_tokens_are_each_refreshed_ahead_of_their_expiry() {
    for (life, early, due) in [(20_u64, 8, 17), (45, 25, 37), (24 * 3600, 24 * 3600 - 120, 24 * 3600 - 59)] {
        let stack = TestStack::start().await;
        stack.backend.set_access_token_life(secs(life));
        let browser = stack.logged_in("mina").await;
        stack.advance(secs(early));
        browser.fetch("/api/me").await.is(200).says("valid");
        stack.advance(secs(due - early));
        browser.fetch("/api/me").await.is(200).says("refreshed");
        browser.fetch("/api/me").await.is(200).says("valid");
        assert_eq!(stack.backend.refresh_calls(), 1, "{life}");
    }
}

#[tokio::test]
async fn a_refresh_token_that_does_not_rotate_is_kept() {
    let stack = TestStack::start().await;
    stack.backend.set_rotation(false);
    let browser = stack.logged_in("mina").await;
    for _ in 0..3 {
        stack.expire_tokens();
        let answers = all_at_once((0..20).map(|_| browser.clone()), "/api/me").await;
        all_are_200(&answers);
    }
    assert_eq!(stack.backend.refresh_calls(), 3);
    let tokens: Vec<_> =
        stack.backend.recorded_at("/auth/refresh").iter().map(|r| r.json().unwrap()["refreshToken"].clone()).collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]));
}

#[tokio::test]
async fn the_refresh_carries_the_sessions_own_device_and_not_what_the_cookie_says() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    let device = browser.cookie("sb_did").unwrap();
    browser.set_cookie("sb_did", "00000000-0000-4000-8000-000000000000");
    stack.expire_tokens();
    browser.fetch("/api/me").await.is(200);
    assert_eq!(stack.backend.recorded_at("/auth/refresh")[0].json().unwrap()["deviceId"], device);
}

#[tokio::test]
async fn a_refusal_ends_the_session() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    assert_eq!(stack.backend.revoke_email("mina@example.test"), 1);
    stack.expire_tokens();
    let answer = browser.fetch("/api/me").await.is(401).says("invalid").problem("login_required");
    assert!(answer.clears("sb_rt"), "{answer}");
    assert!(!browser.is_logged_in());
    assert!(browser.cookie("sb_did").is_some());
    browser.fetch("/api/me").await.is(401).says("anonymous");
    assert_eq!(stack.backend.refresh_calls(), 1);
}

#[tokio::test]
async fn a_refusal_sends_a_page_to_the_login() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.backend.revoke_email("mina@example.test");
    stack.expire_tokens();
    let answer = browser.navigate("/api/page?x=1").await.is(302).says("invalid");
    assert_eq!(answer.location(), "/auth/login?return_to=/api/page%3Fx%3D1");
    assert!(!browser.is_logged_in());
}

#[tokio::test]
async fn on_an_optional_route_a_refused_session_continues_as_anonymous() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.backend.revoke_email("mina@example.test");
    stack.expire_tokens();
    browser.fetch("/public/headers").await.is(200).says("invalid");
    assert!(!browser.is_logged_in());
    assert_eq!(stack.backend.recorded_at("/public/headers")[0].header("authorization"), None);
}

#[tokio::test]
async fn a_session_whose_new_tokens_were_lost_with_the_answer_ends_when_the_authority_refuses_the_old_one() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.expire_tokens();
    // The authority rotates the token and its answer is lost: the old token is sent again, and refused as reused.
    stack.backend.next_refresh(ScriptedAnswer::LoseAnswer);
    let waiting = tokio::spawn(browser.fetch("/api/me").into_future());
    within_time_limit("the lost answer", stack.backend.until(|seen| seen.refresh_calls == 1)).await;
    assert!(browser.is_logged_in(), "the lost answer ends nothing");
    stack.advance(secs(1));
    waiting.await.unwrap().is(401).says("invalid");
    assert_eq!(stack.backend.counters().reuse_detected, 1);
}

#[tokio::test]
async fn post_refresh_asks_the_authority_ten_times_a_minute_and_then_answers_the_current_tokens() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    for _ in 0..10 {
        browser.post("/auth/refresh").await.is(200).says("refreshed");
    }
    let current = browser.fetch("/auth/session").await.is(200).json();
    for _ in 0..30 {
        let answer = browser.post("/auth/refresh").await.is(200).says("valid");
        assert_eq!(answer.json(), current);
    }
    assert_eq!(stack.backend.refresh_calls(), 10);
    // A request whose token has expired is refreshed all the same.
    stack.expire_tokens();
    browser.fetch("/api/me").await.is(200).says("refreshed");
    assert_eq!(stack.backend.refresh_calls(), 11);
}

#[tokio::test]
async fn post_refresh_past_its_limit_with_an_expired_token_is_429_and_keeps_the_session() {
    let stack = TestStack::start().await;
    stack.backend.set_access_token_life(secs(8));
    stack.begin_window(secs(60));
    let browser = stack.logged_in("mina").await;
    let other = stack.logged_in("mina").await;
    for _ in 0..10 {
        browser.post("/auth/refresh").await.is(200).says("refreshed");
    }
    stack.advance(secs(9));
    let answer = browser.post("/auth/refresh").await.is(429).says("unavailable").problem("too_many");
    let retry_after: u64 = answer.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!((1..=60).contains(&retry_after) && answer.set_cookies().is_empty(), "{answer}");
    assert!(browser.is_logged_in());
    assert_eq!(stack.backend.refresh_calls(), 10);
    other.post("/auth/refresh").await.is(200).says("refreshed");
    stack.advance(secs(retry_after));
    browser.post("/auth/refresh").await.is(200).says("refreshed");
}

#[tokio::test]
async fn a_backend_may_keep_its_refresh_token_in_a_cookie() {
    let stack = Setup::new()
        .backend(|options| options.refresh_token_via = RefreshTokenVia::Cookie)
        .without("authority")
        .with(
            r#"
            [authority]
            kind = "backend"
            upstream = "backend"
            exchange = { path = "/auth/{provider}", json = { id_token = "{id_token}" } }
            refresh = { path = "/auth/refresh", json = {}, cookies = { refreshToken = "{refresh_token}" } }
            signout = { path = "/auth/signout", json = {}, cookies = { refreshToken = "{refresh_token}" } }
            answer = { refresh_token = "cookie:refreshToken" }
            "#,
        )
        .start()
        .await;
    let browser = stack.browser();
    let login = browser.login_as("mina").await;
    assert_eq!(login.set_cookie("refreshToken"), None, "{login}");
    for generation in 2..4 {
        stack.expire_tokens();
        let answer = browser.fetch("/api/me").await.is(200).says("refreshed");
        assert_eq!(self::generation(&answer), generation);
    }
    assert_eq!(stack.backend.counters().reuse_detected, 0);
    browser.post("/auth/logout").await.is(200);
    assert_eq!(stack.backend.counters().signouts, 1);
}
