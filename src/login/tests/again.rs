//! A callback that comes twice: a double click, a preload, a browser's retry.

use futures_util::future::{BoxFuture, FutureExt as _, ready};

use super::*;
use crate::{
    clock::Timestamp,
    problem::ProblemKind,
    store::{Digest, Health, OneTime, Owner, StoreError},
};

/// A browser on its way back from the provider, and the callback's query.
async fn on_its_way_back(fixture: &LoginFixture, return_to: &str) -> (Browser, String) {
    let mut browser = Browser::default();
    let authorization = fixture.start_login(&mut browser, &format!("return_to={return_to}")).await;
    fixture.provider_agrees(&authorization);
    let query = format!("code=c&state={}", parameter(&authorization, "state"));
    (browser, query)
}

fn exchanges(fixture: &LoginFixture) -> usize {
    fixture.fake.server.seen().iter().filter(|seen| seen.target == "/token").count()
}

#[tokio::test]
async fn the_same_callback_within_60_s_gets_the_same_redirect_and_the_session() {
    let fixture = LoginFixture::start().await;
    let (before, query) = on_its_way_back(&fixture, "/deep").await;
    let mut browser = before.clone();
    assert_eq!(fixture.callback(&mut browser, &query).await.location(), "/deep");
    fixture.fake.clock.advance(Duration::from_secs(59));
    let mut cut_off = before.clone();
    let again = fixture.callback(&mut cut_off, &query).await;
    assert_eq!(again.location(), "/deep");
    assert_eq!(again.answer.as_ref().unwrap().auth_status, AuthStatus::Refreshed);
    assert!(fixture.is_logged_in(&cut_off).await && cut_off.attempts() == 0);
    assert_eq!(cut_off.0["sb_did"], browser.0["sb_did"]);
    assert_eq!(exchanges(&fixture), 1);
}

#[tokio::test]
async fn of_several_at_once_one_asks_the_provider_and_all_get_the_session() {
    let fixture = LoginFixture::start().await;
    let (before, query) = on_its_way_back(&fixture, "/deep").await;
    let mut browsers = vec![before; 5];
    let calls = browsers.iter_mut().map(|browser| fixture.callback(browser, &query));
    for got in futures_util::future::join_all(calls).await {
        assert_eq!(got.location(), "/deep");
    }
    for browser in &browsers {
        assert!(fixture.is_logged_in(browser).await);
    }
    assert_eq!(exchanges(&fixture), 1);
}

#[tokio::test]
async fn another_instance_gets_the_outcome_from_the_store_also_while_the_first_one_works() {
    let (fake, store) = (Arc::new(Fake::start().await), MemoryStore::shared());
    let (one, other) = (LoginFixture::instance(fake.clone(), &store), LoginFixture::instance(fake, &store));
    let (before, query) = on_its_way_back(&one, "/deep").await;
    let (mut first, mut second, mut third) = (before.clone(), before.clone(), before);
    let (of_one, of_other) = tokio::join!(one.callback(&mut first, &query), other.callback(&mut second, &query));
    assert_eq!((of_one.location(), of_other.location()), ("/deep", "/deep"));
    assert_eq!(other.callback(&mut third, &query).await.location(), "/deep");
    assert!(one.is_logged_in(&second).await && one.is_logged_in(&third).await);
    assert_eq!(exchanges(&one), 1);
}

#[tokio::test]
async fn a_callback_whose_instance_has_died_is_given_up_once_its_mark_has_ended() {
    let (fake, store) = (Arc::new(Fake::start().await), MemoryStore::shared());
    let (one, other) = (LoginFixture::instance(fake.clone(), &store), LoginFixture::instance(fake.clone(), &store));
    fake.answer("/token", Reply::Hang);
    let (before, query) = on_its_way_back(&one, "/deep").await;
    let mut browser = before.clone();
    let until_asked = async {
        while exchanges(&one) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = one.callback(&mut browser, &query) => panic!("the provider does not answer"),
        () = until_asked => {}
    }
    fake.clock.advance(Duration::from_secs(4));
    let mut retry = before;
    let given_up = tokio::time::timeout(Duration::from_secs(30), other.callback(&mut retry, &query)).await;
    assert!(matches!(given_up.expect("no wait for the dead").error(), LoginError::AttemptExpired));
}

#[tokio::test]
async fn after_60_s_without_the_cookie_or_with_another_code_the_attempt_has_expired() {
    let fixture = LoginFixture::start().await;
    let (before, query) = on_its_way_back(&fixture, "/deep").await;
    assert!(fixture.callback(&mut before.clone(), &query).await.answer.is_ok());
    let other_code = query.replace("code=c", "code=d");
    for (mut browser, query) in
        [(Browser::default(), &query), (before.clone(), &other_code), (Browser::default(), &other_code)]
    {
        assert!(matches!(fixture.callback(&mut browser, query).await.error(), LoginError::AttemptExpired));
    }
    fixture.fake.clock.advance(Duration::from_secs(60));
    let late = fixture.callback(&mut before.clone(), &query).await;
    assert!(matches!(late.error(), LoginError::AttemptExpired));
    assert_eq!(
        late.answer.unwrap_err().return_to.as_deref(),
        Some("/deep"),
        "the page leads to where the login was to"
    );
    assert_eq!(exchanges(&fixture), 1);
}

#[tokio::test]
async fn nothing_comes_back_once_the_session_has_ended() {
    let fixture = LoginFixture::start().await;
    fixture.fake.answer("/revoke", Reply::json(200, &json!({})));
    let (before, query) = on_its_way_back(&fixture, "/deep").await;
    let mut browser = before.clone();
    assert!(fixture.callback(&mut browser, &query).await.answer.is_ok());
    let call = fixture.call(&browser, Method::POST, "", Bytes::new()).await;
    browser.take(fixture.logins.logout(call, AfterLogout::Open).await);
    let mut again = before;
    assert!(matches!(fixture.callback(&mut again, &query).await.error(), LoginError::AttemptExpired));
    assert!(!fixture.is_logged_in(&again).await);
}

#[tokio::test]
async fn a_login_that_failed_fails_in_the_same_way_again() {
    let fixture = LoginFixture::start().await;
    let (before, query) = on_its_way_back(&fixture, "/deep").await;
    fixture.fake.answer("/token", Reply::json(400, &json!({ "error": "invalid_grant" })));
    for _ in 0..2 {
        let got = fixture.callback(&mut before.clone(), &query).await;
        assert_eq!(got.location(), "/auth/login?error=login_failed&return_to=%2Fdeep");
    }
    // After this answer the code may be void.
    let (before, query) = on_its_way_back(&fixture, "/deep").await;
    fixture.fake.answer("/token", Reply::json(500, &json!({})));
    for _ in 0..2 {
        let mut browser = before.clone();
        let got = fixture.callback(&mut browser, &query).await;
        assert_eq!(got.error().kind(), ProblemKind::ProviderUnavailable);
        assert_eq!(got.answer.unwrap_err().return_to.as_deref(), Some("/deep"));
        assert_eq!(browser.attempts(), 0);
    }
    assert_eq!(exchanges(&fixture), 2);
}

#[tokio::test]
async fn a_callback_whose_code_the_provider_has_not_taken_can_be_tried_again() {
    let (fake, store) = (Arc::new(Fake::start().await), MemoryStore::shared());
    let (one, other) = (LoginFixture::instance(fake.clone(), &store), LoginFixture::instance(fake.clone(), &store));
    for status in [503, 429] {
        let mut browser = Browser::default();
        let authorization = one.start_login(&mut browser, "return_to=/deep").await;
        let query = format!("code=c&state={}", parameter(&authorization, "state"));
        fake.answer("/token", Reply::json(status, &json!({})));
        for instance in [&one, &other] {
            let got = instance.callback(&mut browser, &query).await;
            assert_eq!(got.error().kind(), ProblemKind::ProviderUnavailable);
            assert_eq!(got.answer.unwrap_err().return_to.as_deref(), Some("/deep"));
            assert_eq!(browser.attempts(), 1, "the cookie is kept");
        }
        one.provider_agrees(&authorization);
        assert_eq!(one.callback(&mut browser, &query).await.location(), "/deep");
        assert!(one.is_logged_in(&browser).await && browser.attempts() == 0);
    }
    assert_eq!(exchanges(&one), 6);
}

#[tokio::test]
async fn an_attempt_lasts_ten_minutes_also_where_the_clocks_of_two_instances_are_180_s_apart() {
    let (fake, store) = (Arc::new(Fake::start().await), MemoryStore::shared());
    let instance = |ahead: i64| {
        let clock = Clock::ahead_by(ahead);
        let store = Store { health: Arc::new(ClockDifference(-ahead)), ..store.clone() };
        (LoginFixture::at(fake.clone(), &store, clock.clone(), |_| {}), clock)
    };
    let ((behind, one), (ahead, other)) = (instance(-90_000), instance(90_000));
    for (begun_at, ended_at) in [(&behind, &ahead), (&ahead, &behind)] {
        let (before, query) = on_its_way_back(begun_at, "/deep").await;
        for clock in [&one, &other] {
            clock.advance(Duration::from_secs(595));
        }
        assert_eq!(ended_at.callback(&mut before.clone(), &query).await.location(), "/deep");
        let (before, query) = on_its_way_back(begun_at, "/deep").await;
        for clock in [&one, &other] {
            clock.advance(Duration::from_secs(605));
        }
        let late = ended_at.callback(&mut before.clone(), &query).await;
        assert!(matches!(late.error(), LoginError::AttemptExpired));
    }
}

#[tokio::test]
async fn a_provider_that_posts_its_answer_twice_logs_in_once() {
    let fixture = LoginFixture::with(|settings| settings.response_mode = oidc::ResponseMode::FormPost).await;
    let (before, form) = on_its_way_back(&fixture, "/deep").await;
    for _ in 0..2 {
        let mut browser = before.clone();
        let call = fixture.call(&browser, Method::POST, "", Bytes::from(form.clone())).await;
        assert_eq!(browser.take(fixture.logins.callback(call, "corp").await).location(), "/deep");
        assert!(fixture.is_logged_in(&browser).await);
    }
    assert_eq!(exchanges(&fixture), 1);
}

#[tokio::test]
async fn a_refusal_by_the_provider_uses_nothing_up() {
    let fixture = LoginFixture::start().await;
    let (before, query) = on_its_way_back(&fixture, "/deep").await;
    let refusal = query.replace("code=c", "error=access_denied");
    for _ in 0..2 {
        let got = fixture.callback(&mut before.clone(), &refusal).await;
        assert_eq!(got.location(), "/auth/login?error=access_denied&return_to=%2Fdeep");
    }
    assert_eq!(fixture.callback(&mut before.clone(), &query).await.location(), "/deep");
}

#[tokio::test]
async fn while_the_store_is_away_the_attempt_stays_for_another_try() {
    let store = MemoryStore::shared();
    let away = Store { one_time: Arc::new(Away), ..store.clone() };
    let fake = Arc::new(Fake::start().await);
    let (one, other) = (LoginFixture::instance(fake.clone(), &away), LoginFixture::instance(fake, &store));
    let (mut browser, query) = on_its_way_back(&one, "/deep").await;
    let failed = one.callback(&mut browser, &query).await;
    assert!(matches!(failed.error(), LoginError::Store(_)));
    assert_eq!(failed.answer.unwrap_err().return_to.as_deref(), Some("/deep"));
    assert_eq!(other.callback(&mut browser, &query).await.location(), "/deep");
}

/// A store whose clock is so many milliseconds ahead.
struct ClockDifference(i64);

impl Health for ClockDifference {
    fn is_reachable(&self) -> Option<bool> {
        Some(true)
    }

    fn clock_difference(&self) -> Option<i64> {
        Some(self.0)
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        ready(Ok(())).boxed()
    }
}

/// Single-use keys in a store that does not answer.
struct Away;

impl OneTime for Away {
    fn take(&self, _key: Digest, _until: Timestamp, _now: Timestamp) -> BoxFuture<'_, Result<bool, StoreError>> {
        ready(Err(StoreError::Unavailable("away".to_owned()))).boxed()
    }

    fn take_of(
        &self,
        _owner: Owner,
        _key: Digest,
        _until: Timestamp,
        _now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        ready(Err(StoreError::Unavailable("away".to_owned()))).boxed()
    }

    fn give_back(&self, _key: Digest, _now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        ready(Err(StoreError::Unavailable("away".to_owned()))).boxed()
    }
}
