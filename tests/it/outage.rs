//! Outages of the authority: sessions stay, valid tokens are used, one session's failures concern that session alone,
//! and an authority that is down is called rarely.

use std::{future::Future, time::Duration};

use futures_util::future::join_all;
use http::StatusCode;
use serde_json::json;
use vestibule::demo::{Fault, hook::ScriptedAnswer};

use crate::harness::{Answer, Browser, Raw, TestStack, html_answer, json_answer, secs, within_time_limit};

/// Different people: failures of three of them are an outage.
const PEOPLE: [&str; 3] = ["mina", "jun", "sora"];

/// The output of `event`, while the clock goes on by a second again and again.
pub(crate) async fn while_time_passes<T>(stack: &TestStack, event: impl Future<Output = T>) -> T {
    let passing = async {
        loop {
            // Real time for the requests under way between two seconds of the clock.
            tokio::time::sleep(Duration::from_millis(100)).await;
            stack.advance(secs(1));
        }
    };
    within_time_limit("the event", async {
        tokio::select! {
            output = event => output,
            () = passing => unreachable!("time does not end"),
        }
    })
    .await
}

fn fetched(browsers: &[Browser]) -> impl Future<Output = Vec<Answer>> + use<> {
    join_all(browsers.iter().map(|browser| browser.fetch("/api/me").into_future()).collect::<Vec<_>>())
}

/// Sessions of three people, and an authority that is down because the refresh of each has failed.
async fn down(sessions: usize) -> (TestStack, Vec<Browser>) {
    let stack = TestStack::with("server.admin_listen = \"127.0.0.1:0\"").await;
    let browsers = join_all((0..sessions).map(|n| stack.logged_in(PEOPLE[n % 3]))).await;
    stack.expire_tokens();
    stack.backend.set_authority_fault(Fault::Unavailable);
    for answer in while_time_passes(&stack, fetched(&browsers[..3])).await {
        answer.is(503).says("unavailable");
    }
    (stack, browsers)
}

/// Unusable answers, by name. None of them spends the refresh token.
fn useless() -> Vec<(&'static str, ScriptedAnswer)> {
    let status = |code: u16| StatusCode::from_u16(code).unwrap();
    let rubbish = |body: &str| ScriptedAnswer::Answer {
        status: status(200),
        content_type: "application/json",
        body: body.into(),
    };
    vec![
        ("500", json_answer(status(500), &json!({ "error": "oops" }))),
        ("502 as a page", html_answer(status(502), "<html>Bad Gateway</html>")),
        ("503", json_answer(status(503), &json!({}))),
        ("429", json_answer(status(429), &json!({ "error": "slow down" }))),
        ("400", json_answer(status(400), &json!({ "error": "bad request" }))),
        ("403", json_answer(status(403), &json!({ "error": "forbidden" }))),
        ("404 as a page", html_answer(status(404), "<html>Not Found</html>")),
        ("401 as a page", html_answer(status(401), "<html>Log in to the corporate proxy</html>")),
        ("a page with 200", html_answer(status(200), "<html>Welcome</html>")),
        ("broken JSON", rubbish("{\"accessToken\":")),
        ("JSON without a token", rubbish("{}")),
        ("a token that is a number", rubbish("{\"accessToken\":5,\"refreshToken\":\"x\"}")),
        ("an empty token", rubbish("{\"accessToken\":\"\",\"refreshToken\":\"x\"}")),
        ("an error with 200", rubbish("{\"error\":\"invalid_grant\"}")),
        ("more than any answer has", rubbish(&format!("{{\"accessToken\":\"{}\"}}", "x".repeat(2 << 20)))),
        ("nothing", rubbish("")),
        ("204", ScriptedAnswer::Answer { status: status(204), content_type: "text/plain", body: String::new() }),
        ("a redirect", ScriptedAnswer::Answer { status: status(302), content_type: "text/plain", body: String::new() }),
    ]
}

#[tokio::test]
async fn after_an_unusable_answer_the_visitor_waits_for_the_next_try() {
    let all = useless().into_iter().map(|(name, scripted)| async move {
        let stack = TestStack::start().await;
        let browser = stack.logged_in("mina").await;
        stack.expire_tokens();
        stack.backend.next_refresh(scripted);
        let answer = while_time_passes(&stack, browser.fetch("/api/me").into_future()).await;
        assert_eq!((answer.status.as_u16(), answer.auth_status()), (200, Some("refreshed")), "{name}: {answer}");
        assert_eq!(stack.backend.refresh_calls(), 2, "{name}");
    });
    join_all(all).await;
}

#[tokio::test]
async fn a_session_whose_next_try_is_too_far_is_kept_and_gets_503() {
    let all = useless().into_iter().map(|(name, scripted)| async move {
        let stack = TestStack::start().await;
        let browser = stack.logged_in("mina").await;
        stack.expire_tokens();
        for _ in 0..5 {
            stack.backend.next_refresh(scripted.clone());
        }
        let answer = while_time_passes(&stack, browser.fetch("/api/me").into_future()).await;
        assert_eq!((answer.status.as_u16(), answer.auth_status()), (503, Some("unavailable")), "{name}: {answer}");
        let answer = answer.problem("unavailable");
        let retry_after: u64 = answer.header("retry-after").expect("Retry-After").parse().unwrap();
        assert!((4..=30).contains(&retry_after), "{name}: {answer}");
        assert!(answer.set_cookies().is_empty(), "{name}: {answer}");
        assert!(browser.is_logged_in(), "{name}");
        stack.advance(secs(31));
        while_time_passes(&stack, browser.fetch("/api/me").into_future()).await.is(200).says("refreshed");
    });
    join_all(all).await;
}

#[tokio::test]
async fn one_sessions_failing_refresh_delays_no_other_session() {
    for status in [500, 429] {
        let stack = TestStack::start().await;
        let bad = stack.logged_in("mina").await;
        let others = join_all((0..20).map(|n| stack.logged_in(PEOPLE[n % 3]))).await;
        stack.expire_tokens();
        stack.backend.next_refresh(json_answer(StatusCode::from_u16(status).unwrap(), &json!({})));
        let waiting = tokio::spawn(bad.fetch("/api/me").into_future());
        within_time_limit("the failure", stack.backend.until(|seen| seen.refresh_calls == 1)).await;
        // The clock does not go on: nobody waits for a hold.
        for answer in fetched(&others).await {
            answer.is(200).says("refreshed");
        }
        while_time_passes(&stack, waiting).await.unwrap().is(200).says("refreshed");
    }
}

#[tokio::test]
async fn a_valid_access_token_is_used_in_an_outage() {
    for (name, scripted) in useless() {
        let stack = TestStack::start().await;
        let browser = stack.logged_in("mina").await;
        stack.advance(secs(250));
        stack.backend.next_refresh(scripted);
        let answer = browser.fetch("/api/me").await;
        assert_eq!((answer.status.as_u16(), answer.auth_status()), (200, Some("valid")), "{name}: {answer}");
        assert_eq!(stack.backend.refresh_calls(), 1);
        assert!(answer.set_cookies().is_empty() && browser.is_logged_in(), "{name}: {answer}");
    }
}

#[tokio::test]
async fn a_token_from_an_earlier_refresh_is_used_and_its_cookies_are_not_set_again() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    browser.post("/auth/refresh").await.is(200).says("refreshed");
    stack.advance(secs(250));
    stack.backend.set_authority_fault(Fault::Unavailable);
    let answer = browser.fetch("/api/me").await.is(200).says("valid");
    assert!(answer.set_cookies().is_empty(), "{answer}");
}

#[tokio::test]
async fn a_lost_connection_keeps_the_session() {
    for fault in [Fault::Close, Fault::Unavailable] {
        let stack = TestStack::start().await;
        let browser = stack.logged_in("mina").await;
        stack.expire_tokens();
        stack.backend.set_authority_fault(fault);
        let answer = while_time_passes(&stack, browser.fetch("/api/me").into_future()).await;
        let answer = answer.is(503).says("unavailable");
        assert!(answer.set_cookies().is_empty() && answer.header("retry-after").is_some(), "{fault:?}: {answer}");
        stack.backend.set_authority_fault(Fault::None);
        stack.advance(secs(31));
        browser.fetch("/api/me").await.is(200).says("refreshed");
    }
}

#[tokio::test]
async fn an_unreachable_authority_keeps_the_session() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.expire_tokens();
    stack.backend.stop();
    let answer = while_time_passes(&stack, browser.fetch("/api/me").into_future()).await;
    let answer = answer.is(503).says("unavailable");
    assert!(answer.set_cookies().is_empty() && browser.is_logged_in(), "{answer}");
}

#[tokio::test]
async fn a_visitor_waits_ten_seconds_at_most_and_the_answer_that_comes_later_is_not_lost() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.expire_tokens();
    stack.backend.set_authority_fault(Fault::Hang);
    let answers = join_all((0..20).map(|_| browser.copy().fetch("/api/me").into_future())).await;
    for answer in answers {
        let answer = answer.is(503).says("unavailable");
        assert!(answer.set_cookies().is_empty(), "{answer}");
    }
    stack.backend.set_authority_fault(Fault::None);
    stack.backend.until(|seen| seen.refreshes_ok == 1).await;
    browser.fetch("/api/me").await.is(200).says("refreshed");
    assert_eq!(stack.backend.refresh_calls(), 1);
    assert_eq!(stack.backend.counters().reuse_detected, 0);
}

#[tokio::test]
async fn a_navigation_in_an_outage_gets_a_page_that_tries_again_and_leads_to_the_login() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.expire_tokens();
    stack.backend.set_authority_fault(Fault::Unavailable);
    let page = while_time_passes(&stack, browser.navigate("/api/page").into_future()).await;
    let page = page.is(503).says("unavailable");
    assert!(page.header("content-type").unwrap().starts_with("text/html"), "{page}");
    let seconds: u64 = page.header("refresh").expect("Refresh").parse().unwrap();
    assert!((2..=30).contains(&seconds), "{page}");
    let text = page.text();
    assert!(text.contains("tries again by itself") && text.contains(">Log in again</a>"), "{text}");
    let korean = browser.clone().speaking("ko").navigate("/api/page").into_future();
    let korean = while_time_passes(&stack, korean).await.is(503).text();
    assert!(korean.contains("자동으로 다시 시도") && korean.contains("다시 로그인하기"), "{korean}");
    // A script is told when to try again, and does it itself.
    let script = while_time_passes(&stack, browser.fetch("/api/page").into_future()).await;
    assert_eq!(script.is(503).header("refresh"), None);
}

#[tokio::test]
async fn in_an_outage_public_and_optional_routes_are_served() {
    let public = "[[routes]]\npath = \"/public/{*rest}\"\nupstream = \"backend\"\naccess = \"public\"";
    let stack = TestStack::with(public).await;
    let browser = stack.logged_in("mina").await;
    stack.expire_tokens();
    stack.backend.set_authority_fault(Fault::Unavailable);
    assert_eq!(browser.fetch("/public/ping").await.is(200).auth_status(), None);
    let answer = while_time_passes(&stack, browser.fetch("/control/state").into_future()).await;
    let answer = answer.is(200).says("unavailable");
    assert!(answer.set_cookies().is_empty());
    assert_eq!(stack.backend.recorded_at("/control/state")[0].header("authorization"), None);
}

#[tokio::test]
async fn in_an_outage_the_authority_as_a_whole_is_asked_at_most_once_a_second() {
    let (stack, browsers) = down(30).await;
    // During the fault refreshes are not counted, but requests by path are.
    let asked = || stack.backend.requests("/auth/refresh");
    let before = asked();
    let (answers, seconds) = {
        let mut seconds = 0;
        let passing = async {
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                stack.advance(secs(1));
                seconds += 1;
            }
        };
        let answers = tokio::select! {
            answers = fetched(&browsers) => answers,
            () = passing => unreachable!("time does not end"),
        };
        (answers, seconds)
    };
    for answer in answers {
        answer.is(503).says("unavailable");
    }
    let asked = asked() - before;
    // Real time goes on too, a tenth of a second for each of the clock's.
    assert!(asked > 2 && asked <= seconds + seconds / 10 + 2, "asked {asked} times in {seconds} s");
    assert!(browsers.iter().all(Browser::is_logged_in));
}

#[tokio::test]
async fn sessions_recover_within_two_seconds_of_the_end_of_an_outage() {
    let (stack, browsers) = down(12).await;
    let waiting = tokio::spawn(fetched(&browsers));
    while_time_passes(&stack, stack.backend.until(|seen| seen.requests["/auth/refresh"] > 5)).await;
    stack.backend.set_authority_fault(Fault::None);
    stack.advance(secs(2));
    // The clock does not go on: the next probe releases all of them, those that have failed too.
    for answer in within_time_limit("the recovery", waiting).await.unwrap() {
        answer.is(200).says("refreshed");
    }
    assert_eq!(stack.backend.counters().reuse_detected, 0);
}

#[tokio::test]
async fn after_an_outage_every_session_recovers() {
    let (stack, browsers) = down(30).await;
    for answer in while_time_passes(&stack, fetched(&browsers)).await {
        answer.is(503);
    }
    stack.backend.set_authority_fault(Fault::None);
    stack.advance(secs(2));
    // The first success ends the outage for all sessions.
    browsers[29].fetch("/api/me").await.is(200).says("refreshed");
    for answer in fetched(&browsers).await {
        answer.is(200);
    }
    assert_eq!(stack.backend.counters().reuse_detected, 0);
}

#[tokio::test]
async fn readyz_and_metrics_show_that_an_authority_is_down_until_a_refresh_succeeds() {
    let (stack, browsers) = down(4).await;
    let admin = stack.gateway.admin();
    let page =
        |path: &str| Raw::exchange(admin, format!("GET {path} HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n"));
    let ready = page("/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 200") && ready.contains(r#""authorities":{"the backend":"down"}"#), "{ready}");
    let gauge = r#"vestibule_authority_down{authority="the backend"}"#;
    let metrics = page("/metrics").await;
    assert!(metrics.contains(&format!("{gauge} 1\n")), "{metrics}");
    stack.backend.set_authority_fault(Fault::None);
    stack.advance(secs(2));
    browsers[3].fetch("/api/me").await.is(200).says("refreshed");
    let ready = page("/readyz").await;
    assert!(ready.contains(r#""authorities":{"the backend":"up"}"#), "{ready}");
    let metrics = page("/metrics").await;
    assert!(metrics.contains(&format!("{gauge} 0\n")), "{metrics}");
}

#[tokio::test]
async fn an_authority_that_suddenly_refuses_everyone_logs_few_out() {
    let stack = TestStack::start().await;
    let browsers = join_all((0..30).map(|_| stack.logged_in("mina"))).await;
    stack.expire_tokens();
    for _ in 0..20 {
        stack.backend.next_refresh(json_answer(StatusCode::UNAUTHORIZED, &json!({ "error": "invalid token" })));
    }
    for browser in &browsers[..19] {
        browser.fetch("/api/me").await.is(401).says("invalid");
        stack.advance(secs(1));
    }
    // The twentieth refusal counts as an outage; the first success ends it, and the visitor waits for that.
    while_time_passes(&stack, browsers[19].fetch("/api/me").into_future()).await.is(200).says("refreshed");
    for browser in &browsers[20..] {
        browser.fetch("/api/me").await.is(200).says("refreshed");
    }
}

#[tokio::test]
async fn while_the_brake_holds_sessions_stay_and_the_authority_is_asked_at_most_once_a_second() {
    let stack = TestStack::start().await;
    let revoked = join_all((0..40).map(|_| stack.logged_in("mina"))).await;
    let good = stack.logged_in("jun").await;
    assert_eq!(stack.backend.revoke_email("mina@example.test"), 40);
    stack.expire_tokens();
    for browser in &revoked[..19] {
        browser.fetch("/api/me").await.is(401).says("invalid");
    }
    let before = stack.backend.requests("/auth/refresh");
    // The first of them engages the brake.
    let first = tokio::spawn(revoked[19].fetch("/api/me").into_future());
    within_time_limit("the refusal", stack.backend.until(|seen| seen.refresh_calls >= 20)).await;
    for answer in while_time_passes(&stack, fetched(&revoked[20..])).await {
        assert!(answer.says("unavailable").is(503).set_cookies().is_empty());
    }
    while_time_passes(&stack, first).await.unwrap().is(503).says("unavailable");
    assert!(revoked[19..].iter().all(Browser::is_logged_in));
    assert!(stack.backend.requests("/auth/refresh") - before > 2, "it is probed");
    stack.advance(secs(60));
    good.fetch("/api/me").await.is(200).says("refreshed");
    // The refusals of the last minute are few: they end their sessions again.
    revoked[20].fetch("/api/me").await.is(401).says("invalid");
}

#[tokio::test]
async fn a_few_refusals_among_many_refreshes_end_their_sessions() {
    let stack = TestStack::start().await;
    let good = join_all((0..30).map(|_| stack.logged_in("mina"))).await;
    let bad = join_all((0..25).map(|_| stack.logged_in("sora"))).await;
    stack.backend.revoke_email("sora@example.test");
    stack.expire_tokens();
    for browser in &good {
        browser.fetch("/api/me").await.is(200);
    }
    for browser in &bad {
        browser.fetch("/api/me").await.is(401).says("invalid");
        assert!(!browser.is_logged_in());
    }
}

#[tokio::test]
async fn a_provider_that_is_the_authority_ends_a_session_with_invalid_grant_alone() {
    for (name, error, ends) in [
        ("invalid_grant", "invalid_grant", true),
        ("invalid_client", "invalid_client", false),
        ("temporarily_unavailable", "temporarily_unavailable", false),
        ("server_error", "server_error", false),
    ] {
        let stack = crate::harness::Setup::with_provider_as_authority().start().await;
        let browser = stack.logged_in("mina").await;
        stack.expire_tokens();
        stack.provider.next_error(vestibule::demo::provider::Endpoint::Token, error);
        let answer = while_time_passes(&stack, browser.fetch("/api/me").into_future()).await;
        // After any other error the visitor waits for the next try.
        let expected = if ends { (401, Some("invalid")) } else { (200, Some("refreshed")) };
        assert_eq!((answer.status.as_u16(), answer.auth_status()), expected, "{name}: {answer}");
        assert_eq!(browser.is_logged_in(), !ends, "{name}");
    }
}
