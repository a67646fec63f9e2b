//! Access and ID tokens that arrive expired, end before the access token does, or state their lifetime in an odd way.

use http::StatusCode;
use serde_json::json;

use crate::{
    harness::{Browser, IdTokenTamper, Setup, TestStack, json_answer, secs, within_time_limit},
    outage::while_time_passes,
};

/// The `Authorization` of the newest request that reached the backend.
fn sent(stack: &TestStack) -> Option<String> {
    stack.backend.recorded_at("/api/me").last().expect("a request").header("authorization").map(str::to_owned)
}

async fn served(browser: &Browser, answers: &mut Vec<u16>) {
    answers.push(browser.fetch("/api/me").await.status.as_u16());
}

#[tokio::test]
async fn a_token_that_arrives_expired_or_nearly_so_is_refreshed_once_in_five_seconds_at_most() {
    for (life, is_sealed) in [(0, true), (1, true), (0, false), (1, false)] {
        let stack = TestStack::with(&format!("session.seal = {is_sealed}")).await;
        stack.backend.set_access_token_life(secs(life));
        let browser = stack.logged_in("mina").await;
        let mut answers = Vec::new();
        for _ in 0..20 {
            // A page that asks twice a second, and calls for a refresh too. To the backend the token may have expired.
            served(&browser, &mut answers).await;
            browser.post("/auth/refresh").await.is(200);
            served(&browser, &mut answers).await;
            stack.advance(secs(1));
        }
        let calls = stack.backend.refresh_calls();
        assert!((3..=4).contains(&calls), "life {life}, sealed {is_sealed}: {calls} calls in 20 s");
        assert!(answers.iter().all(|status| [200, 401].contains(status)), "{answers:?}");
        assert!(browser.is_logged_in());
    }
}

#[tokio::test]
async fn an_id_token_that_is_sent_decides_when_a_refresh_is_due() {
    let stack = with_id_bearer().start().await;
    let browser = stack.logged_in("mina").await;
    let sent = || sent(&stack);
    browser.fetch("/api/me").await;
    let first = sent().expect("an ID token");
    stack.advance(secs(30));
    browser.fetch("/api/me").await;
    assert_eq!((sent(), stack.provider.refresh_calls()), (Some(first.clone()), 0));
    // Inside the ID token's margin; the access token has minutes left.
    stack.advance(secs(20));
    browser.fetch("/api/me").await;
    assert_eq!(stack.provider.refresh_calls(), 1);
    assert_ne!(sent().expect("the new ID token"), first);
}

#[tokio::test]
async fn an_id_token_that_no_refresh_renews_is_not_sent_past_its_end_and_causes_one_refresh() {
    for answer in [IdTokenTamper::MissingToken, IdTokenTamper::SameAtRefresh] {
        let stack = with_id_bearer().start().await;
        let browser = stack.logged_in("mina").await;
        stack.provider.tamper(Some(answer));
        stack.advance(secs(50));
        for _ in 0..5 {
            browser.fetch("/api/me").await;
            assert!(sent(&stack).is_some(), "it has not ended yet");
        }
        stack.advance(secs(20));
        for _ in 0..5 {
            browser.fetch("/api/me").await;
            assert_eq!(sent(&stack), None, "{answer:?}");
            stack.advance(secs(5));
        }
        assert_eq!(stack.provider.refresh_calls(), 1, "{answer:?}");
        assert!(browser.is_logged_in());
    }
}

#[tokio::test]
async fn without_a_refresh_token_the_id_token_is_sent_to_its_end_and_the_session_ends_with_it() {
    let backend = Setup::new()
        .provider(|options| options.id_token_life = secs(60))
        .with("authority.answer = { refresh_token = \"/none\" }\n[upstreams.backend]\nbearer = \"id\"");
    for setup in [with_id_bearer(), backend] {
        let stack = setup.start().await;
        stack.provider.stop_refresh_tokens();
        let browser = stack.logged_in("mina").await;
        assert!(!browser.cookie_names().contains("sb_rt"));
        browser.fetch("/api/me").await;
        let first = sent(&stack).expect("the ID token");
        for _ in 0..3 {
            stack.advance(secs(15));
            browser.fetch("/api/me").await;
            assert_eq!(sent(&stack), Some(first.clone()));
        }
        stack.advance(secs(20));
        stack.backend.forget_recorded();
        browser.fetch("/api/me").await.is(401).says("invalid").problem("login_required");
        assert!(stack.backend.recorded_at("/api/me").is_empty());
        assert!(!browser.is_logged_in());
    }
}

#[tokio::test]
async fn a_session_without_a_refresh_token_is_logged_out_at_its_provider() {
    let stack = with_id_bearer().start().await;
    stack.provider.stop_refresh_tokens();
    let browser = stack.logged_in("mina").await;
    let form = browser.post("/auth/logout").form(&[]).header("sec-fetch-mode", "navigate");
    let answer = form.header("accept", "text/html").await.is(303);
    assert!(answer.location().starts_with(&format!("{}/logout?", stack.provider.issuer())), "{answer}");
    assert!(answer.location().contains("id_token_hint="), "{answer}");
}

#[tokio::test]
async fn an_access_token_that_a_refresh_brings_again_ends_when_it_did_and_is_asked_for_seldom() {
    for rotates in [false, true] {
        let stack = TestStack::start().await;
        let browser = stack.logged_in("mina").await;
        browser.fetch("/api/me").await.is(200);
        let bearer = sent(&stack).expect("the access token");
        let token = bearer.strip_prefix("Bearer ").unwrap();
        let again = |n: u32| {
            let mut body = json!({"accessToken": token, "expiresIn": 300});
            if rotates {
                body["refreshToken"] = json!(format!("rt-{n}"));
            }
            stack.backend.next_refresh(json_answer(StatusCode::OK, &body));
        };
        // Inside its margin, with time left: it is sent, and a further refresh waits for a fifth of that time.
        stack.advance(secs(250));
        again(1);
        for _ in 0..5 {
            browser.fetch("/api/me").await.is(200);
        }
        assert_eq!(stack.backend.refresh_calls(), 1);
        stack.advance(secs(60));
        stack.backend.forget_recorded();
        (2..30).for_each(again);
        while_time_passes(&stack, browser.fetch("/api/me").into_future()).await.is(503).says("unavailable");
        // 5, 5, 5 and 8 s apart; the next try is too far to be waited for.
        let calls = stack.backend.refresh_calls();
        assert!((4..=6).contains(&calls), "{calls} calls");
        for _ in 0..5 {
            browser.fetch("/api/me").await.is(503).says("unavailable");
        }
        assert_eq!(stack.backend.refresh_calls(), calls);
        assert!(stack.backend.recorded_at("/api/me").is_empty(), "it has ended");
        assert!(browser.is_logged_in());
        if !rotates {
            stack.backend.forget_refresh_answers();
            stack.advance(secs(31));
            browser.fetch("/api/me").await.is(200).says("refreshed");
        }
    }
}

#[tokio::test]
async fn a_request_whose_token_ends_while_it_waits_ahead_of_that_waits_for_the_refresh() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.advance(secs(290));
    // Longer than a request waits whose token has time left.
    stack.backend.set_refresh_delay(std::time::Duration::from_millis(1500));
    let waiting = browser.copy();
    let waiting = tokio::spawn(async move { waiting.fetch("/api/me").into_future().await });
    within_time_limit("the refresh", stack.backend.until(|seen| seen.refresh_calls == 1)).await;
    stack.advance(secs(20));
    waiting.await.unwrap().is(200).says("refreshed");
    assert_eq!(stack.backend.refresh_calls(), 1);
}

/// The provider is the authority, and the backend gets its ID tokens, which live for a minute.
fn with_id_bearer() -> Setup {
    Setup::with_provider_as_authority()
        .provider(|options| {
            options.access_token_life = secs(300);
            options.id_token_life = secs(60);
        })
        .with("[upstreams.backend]\nbearer = \"id\"")
}
