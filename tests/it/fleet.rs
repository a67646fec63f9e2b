//! Several instances with one store: what one instance does takes effect at all, also after the store was unreachable.

use futures_util::future::join_all;

use crate::harness::{Browser, Gateway, Setup, StoreServer, TestStack, on_both_stores, secs, within_time_limit};

const KEYS: &str = "[session]\nkeys = [\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"]\n";

struct Fleet {
    stack: TestStack,
    others: Vec<Gateway>,
    store: StoreServer,
}

impl Fleet {
    /// Three instances.
    async fn of(store: StoreServer, more: &str) -> Self {
        let stack = Setup::new().with(KEYS).with(&store.toml).with(more).start().await;
        let others = (0..2).map(|_| stack.gateway_beside("")).collect();
        Self { stack, others, store }
    }

    /// A browser at each instance, with one cookie jar.
    fn tabs(&self, browser: &Browser) -> Vec<Browser> {
        let mut tabs = vec![browser.clone()];
        tabs.extend(self.others.iter().map(|gateway| browser.at(gateway)));
        tabs
    }
}

async fn one_refresh_serves_three_hundred_requests_at_three_instances(store: StoreServer) {
    let fleet = Fleet::of(store, "").await;
    let browser = fleet.stack.logged_in("mina").await;
    fleet.stack.expire_tokens();
    let before = fleet.stack.backend.refresh_calls();
    // Browsers with the old cookies: no answer reaches the jar of another.
    let copies = (0..100).flat_map(|_| fleet.tabs(&browser.copy()));
    let answers = join_all(copies.map(|tab| async move { tab.fetch("/api/me").await })).await;
    assert_eq!(answers.len(), 300);
    for answer in answers {
        answer.is(200).says("refreshed");
    }
    assert_eq!(fleet.stack.backend.refresh_calls() - before, 1);
}

async fn a_logout_at_one_instance_ends_the_session_at_all(store: StoreServer) {
    let fleet = Fleet::of(store, "").await;
    let browser = fleet.stack.logged_in("mina").await;
    let copy = browser.copy();
    for tab in fleet.tabs(&copy) {
        tab.fetch("/api/me").await.is(200);
    }
    browser.post("/auth/logout").await.is(200);
    for tab in fleet.tabs(&copy) {
        within_time_limit("the end of the session at every instance", async {
            while tab.copy().fetch("/api/me").await.status == 200 {}
        })
        .await;
        let answer = tab.copy().fetch("/api/me").await;
        assert_eq!((answer.status.as_u16(), answer.auth_status()), (401, Some("invalid")), "{answer}");
    }
    // An instance that starts later knows it too.
    let late = fleet.stack.gateway_beside("");
    let tab = copy.at(&late);
    within_time_limit("the end of the session at a new instance", async {
        while tab.copy().fetch("/api/me").await.status == 200 {}
    })
    .await;
}

async fn while_the_store_is_unreachable_valid_tokens_work_and_expired_ones_get_503(store: StoreServer) {
    let mut fleet = Fleet::of(store, "").await;
    let browser = fleet.stack.logged_in("mina").await;
    fleet.store.kill().await;
    browser.fetch("/api/me").await.is(200).says("valid");
    fleet.stack.expire_tokens();
    let before = fleet.stack.backend.refresh_calls();
    for tab in fleet.tabs(&browser) {
        let answer = tab.fetch("/api/me").await;
        assert_eq!((answer.status.as_u16(), answer.auth_status()), (503, Some("unavailable")), "{answer}");
        assert!(answer.header("retry-after").is_some() && answer.set_cookies().is_empty());
    }
    assert_eq!(fleet.stack.backend.refresh_calls(), before, "no instance asked the authority alone");
    fleet.store.start_again().await;
    within_time_limit("the refresh after the store is back", async {
        while browser.fetch("/api/me").await.status != 200 {}
    })
    .await;
    assert_eq!(fleet.stack.backend.refresh_calls() - before, 1);
}

async fn with_store_down_refresh_each_instance_refreshes_alone(store: StoreServer) {
    let mut fleet = Fleet::of(store, "[store]\nstore_down = \"refresh\"").await;
    fleet.stack.backend.set_rotation(false);
    let browser = fleet.stack.logged_in("mina").await;
    fleet.store.kill().await;
    fleet.stack.expire_tokens();
    let before = fleet.stack.backend.refresh_calls();
    for tab in fleet.tabs(&browser.copy()) {
        let answers = join_all((0..20).map(|_| async { tab.copy().fetch("/api/me").await })).await;
        for answer in answers {
            answer.is(200);
        }
    }
    // The first instance's new cookies were not shown to the others.
    assert_eq!(fleet.stack.backend.refresh_calls() - before, 3);
}

async fn a_refusal_at_one_instance_ends_the_session_at_all(store: StoreServer) {
    let fleet = Fleet::of(store, "").await;
    let browser = fleet.stack.logged_in("mina").await;
    fleet.stack.expire_tokens();
    fleet.stack.backend.revoke_email("mina@example.test");
    fleet.stack.backend.set_refresh_delay(std::time::Duration::from_millis(200));
    let before = fleet.stack.backend.refresh_calls();
    let copies = (0..10).flat_map(|_| fleet.tabs(&browser.copy()));
    for answer in join_all(copies.map(|tab| async move { tab.fetch("/api/me").await })).await {
        answer.is(401).says("invalid");
    }
    assert_eq!(fleet.stack.backend.refresh_calls() - before, 1);
}

async fn a_callback_that_comes_to_two_instances_logs_in_once_and_both_get_the_session(store: StoreServer) {
    let stack = Setup::new().with(KEYS).with(&store.toml).start().await;
    // Two instances behind the public address of the first.
    let same = format!("server.public_url = \"http://{}\"", stack.gateway.host());
    let (other, third) = (stack.gateway_beside(&same), stack.gateway_beside(&same));
    let browser = stack.browser();
    let callback = browser.as_far_as_callback("demo", "/deep", "mina").await;
    let (one, two) = (browser.at(&other), browser.copy().at(&third));
    let (first, second) = tokio::join!(one.follow(&callback), two.follow(&callback));
    assert_eq!((first.is(303).location(), second.is(303).location()), ("/deep", "/deep"));
    for tab in [&one, &two] {
        tab.fetch("/api/me").await.is(200).says("valid");
    }
    assert_eq!(stack.backend.counters().exchanges, 1);
}

/// An authority that is down is asked at most once a second by all instances together, and every session recovers.
async fn an_outage_is_one_for_the_whole_fleet(store: StoreServer) {
    let fleet = Fleet::of(store, "").await;
    let sessions = join_all((0..12).map(|n| fleet.stack.logged_in(["mina", "jun", "sora"][n % 3]))).await;
    fleet.stack.expire_tokens();
    fleet.stack.backend.set_authority_fault(vestibule::demo::Fault::Unavailable);
    let fetched = || {
        let tabs = sessions.iter().enumerate().map(|(n, browser)| fleet.tabs(browser).swap_remove(n % 3));
        join_all(tabs.map(|tab| async move { tab.fetch("/api/me").await }))
    };
    let asked = || fleet.stack.backend.requests("/auth/refresh");
    let before = asked();
    for answer in fetched().await {
        answer.is(503).says("unavailable");
    }
    // Each session may have asked before three failures were known. Each instance alone would ask once a second.
    let asked = asked() - before;
    assert!((4..=12 + 11).contains(&asked), "asked {asked} times");
    fleet.stack.backend.set_authority_fault(vestibule::demo::Fault::None);
    for answer in fetched().await {
        answer.is(200).says("refreshed");
    }
    assert_eq!(fleet.stack.backend.counters().reuse_detected, 0);
}

async fn post_refresh_is_limited_for_the_fleet(store: StoreServer) {
    let fleet = Fleet::of(store, "").await;
    fleet.stack.begin_window(secs(60));
    let browser = fleet.stack.logged_in("mina").await;
    let tabs = fleet.tabs(&browser);
    for number in 0..30 {
        let answer = tabs[number % 3].post("/auth/refresh").await.is(200);
        assert_eq!(answer.auth_status(), Some(if number < 10 { "refreshed" } else { "valid" }), "{number}: {answer}");
    }
    assert_eq!(fleet.stack.backend.refresh_calls(), 10);
}

/// The store fails during the call to the authority, so that the result cannot be stored at once.
#[tokio::test]
async fn a_result_that_could_not_be_stored_is_stored_when_the_store_is_back() {
    let mut fleet = Fleet::of(StoreServer::postgres().await, "").await;
    let browser = fleet.stack.logged_in("mina").await;
    let old = browser.copy();
    fleet.stack.expire_tokens();
    let before = fleet.stack.backend.refresh_calls();
    fleet.stack.backend.set_refresh_delay(std::time::Duration::from_millis(500));
    let (here, there) = (browser.clone(), old.at(&fleet.others[0]));
    let first = tokio::spawn(async move { here.fetch("/api/me").await });
    within_time_limit("the refresh", fleet.stack.backend.until(|counters| counters.refresh_calls > before)).await;
    fleet.store.kill().await;
    first.await.unwrap().is(200).says("refreshed");
    fleet.store.start_again().await;
    within_time_limit("the result at the other instance", async {
        while there.copy().fetch("/api/me").await.status != 200 {}
    })
    .await;
    let counters = fleet.stack.backend.counters();
    assert_eq!((counters.refresh_calls - before, counters.reuse_detected), (1, 0));
}

on_both_stores! {
    one_refresh_serves_three_hundred_requests_at_three_instances
    a_logout_at_one_instance_ends_the_session_at_all
    while_the_store_is_unreachable_valid_tokens_work_and_expired_ones_get_503
    with_store_down_refresh_each_instance_refreshes_alone
    a_refusal_at_one_instance_ends_the_session_at_all
    a_callback_that_comes_to_two_instances_logs_in_once_and_both_get_the_session
    an_outage_is_one_for_the_whole_fleet
    post_refresh_is_limited_for_the_fleet
}
