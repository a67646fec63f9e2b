//! Access and ID tokens that arrive expired, end before the access token does, or state their lifetime in an odd way.

use crate::harness::{Browser, IdTokenTamper, Setup, TestStack, secs};

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
    let sent = || stack.backend.recorded_at("/api/me").last().unwrap().header("authorization").map(str::to_owned);
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
    let stack = with_id_bearer().start().await;
    let browser = stack.logged_in("mina").await;
    stack.provider.tamper(Some(IdTokenTamper::MissingToken));
    let sent = || stack.backend.recorded_at("/api/me").last().unwrap().header("authorization").map(str::to_owned);
    stack.advance(secs(50));
    for _ in 0..5 {
        browser.fetch("/api/me").await;
        assert!(sent().is_some(), "it has not ended yet");
    }
    stack.advance(secs(20));
    for _ in 0..5 {
        browser.fetch("/api/me").await;
        assert_eq!(sent(), None);
        stack.advance(secs(5));
    }
    assert_eq!(stack.provider.refresh_calls(), 1);
    assert!(browser.is_logged_in());
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
