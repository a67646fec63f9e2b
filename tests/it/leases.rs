//! Leases of refresh tokens over several instances: an instance that dies, a store that comes back, clocks that differ.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use vestibule::clock::Clock;

use crate::harness::{
    Browser, Gateway, Process, Raw, Setup, StoreServer, TestStack, free_port, on_both_stores, report, secs,
    within_time_limit,
};

const KEYS: &str = "[session]\nkeys = [\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"]\n";

/// Two instances: one in this process, and a process of its own that asks the authority for `browser` and is killed.
struct Killed {
    stack: TestStack,
    browser: Browser,
    _store: StoreServer,
}

impl Killed {
    /// `rotates`: the authority voids a refresh token with the call, whose answer is lost with the process.
    async fn with_the_lease_held(store: StoreServer, rotates: bool) -> Self {
        let stack = Setup::new().with(KEYS).with(&store.toml).start().await;
        stack.backend.set_rotation(rotates);
        let browser = stack.logged_in("mina").await;
        let port = free_port();
        let mut process = Process::run(&stack.file(port, "")).await;
        let before = stack.backend.refresh_calls();
        stack.backend.set_refresh_delay(secs(3600));
        let tab = browser.copy().at_port(port);
        let asking = tokio::spawn(async move { drop(tab.post("/auth/refresh").await) });
        within_time_limit("the call", stack.backend.until(|counters| counters.refresh_calls > before)).await;
        // A refresh runs on when its visitor leaves.
        asking.abort();
        process.signal("KILL");
        process.ended().await;
        stack.backend.set_refresh_delay(Duration::ZERO);
        Self { stack, browser, _store: store }
    }
}

/// A visitor waits 10 s at most, so the answer also shows that the other instance did not wait for longer.
async fn after_an_instance_was_killed_with_the_lease_held_the_other_refreshes_while_its_visitors_wait(
    store: StoreServer,
) {
    let killed = Killed::with_the_lease_held(store, false).await;
    let begun = Instant::now();
    let tabs = (0..10).map(|_| async { killed.browser.copy().post("/auth/refresh").await });
    for answer in join_all(tabs).await {
        answer.is(200);
    }
    report(&format!("recovery after a kill with the lease held: {:?}", begun.elapsed()));
}

async fn a_refusal_after_an_instance_was_killed_with_the_lease_held_ends_no_session(store: StoreServer) {
    let killed = Killed::with_the_lease_held(store, true).await;
    let answer = killed.browser.post("/auth/refresh").await;
    assert_eq!((answer.status.as_u16(), answer.auth_status()), (503, Some("unavailable")), "{answer}");
    assert!(answer.set_cookies().is_empty(), "{answer}");
    let session = killed.browser.fetch("/auth/session").await.is(200).says("valid");
    assert_eq!(session.json()["authenticated"], true);
    assert_eq!(killed.stack.backend.counters().reuse_detected, 1);
}

async fn clocks_90_s_apart_lose_no_session(store: StoreServer) {
    let stack = Setup::new().with(KEYS).with(&store.toml).start().await;
    let clocks = [Clock::ahead_by(-90_000), Clock::ahead_by(90_000)];
    let others = clocks.each_ref().map(|clock| stack.gateway_with_clock(clock));
    let browsers = join_all((0..20).map(|_| stack.logged_in("mina"))).await;
    for _ in 0..3 {
        stack.expire_tokens();
        for clock in &clocks {
            clock.advance(secs(310));
        }
        // All tabs of all sessions at once, half of them at each instance.
        let tabs = browsers.iter().flat_map(|browser| others.iter().map(|gateway| browser.at(gateway)));
        let fetched =
            tabs.map(|tab| async move { join_all((0..2).map(|_| async { tab.fetch("/api/me").await })).await });
        for answer in join_all(fetched).await.into_iter().flatten() {
            answer.is(200);
        }
    }
    let asked: Vec<&Gateway> = others.iter().collect();
    let lost =
        join_all(browsers.iter().map(|browser| async { browser.at(asked[0]).fetch("/api/me").await.status != 200 }));
    assert_eq!(lost.await.into_iter().filter(|lost| *lost).count(), 0);
    assert_eq!(stack.backend.counters().reuse_detected, 0);
}

async fn clocks_90_s_apart_lose_no_login_and_no_code(store: StoreServer) {
    let setup = Setup::with_codes().with(KEYS).with("[server]\nhosts = [\"127.0.0.1\"]");
    let stack = setup.with(&store.toml).start().await;
    let [behind, ahead] = [-90_000, 90_000].map(|millis| stack.gateway_with_clock(&Clock::ahead_by(millis)));
    for (one, other, phone) in [(&behind, &ahead, "010-1234-5678"), (&ahead, &behind, "010-1234-5679")] {
        let (browser, visitor) = (stack.browser().at(one), stack.browser().at(one));
        let callback = browser.as_far_as_callback("demo", "/deep", "mina").await;
        let elsewhere = browser.through(other);
        assert_eq!(elsewhere.follow(&callback).await.is(303).location(), "/deep");
        elsewhere.fetch("/api/me").await.is(200);
        browser.fetch("/api/me").await.is(200);

        visitor.post("/auth/sms/send").json(&json!({ "phone": phone })).await.is(200);
        let message = stack.backend.messages().pop().unwrap();
        let code = json!({ "phone": phone, "code": message.code().unwrap() });
        visitor.through(other).post("/auth/sms/verify").json(&code).await.is(200).says("refreshed");
    }
}

#[tokio::test]
async fn an_instance_whose_clock_differs_from_the_stores_says_so() {
    let store = StoreServer::redis().await;
    let listen = "[server]\nadmin_listen = \"127.0.0.1:0\"\n";
    let stack = Setup::new().with(KEYS).with(&store.toml).with(listen).start().await;
    let admin = stack.gateway.admin();
    let page = async |path: &str| {
        Raw::exchange(admin, format!("GET {path} HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n")).await
    };
    within_time_limit("the measurement", async {
        while !page("/metrics").await.contains("vestibule_store_clock_difference_milliseconds ") {}
    })
    .await;
    assert!(!page("/readyz").await.contains("store_clock_difference_ms"));
    stack.advance(secs(3));
    within_time_limit("the difference", async {
        while !page("/readyz").await.contains("\"store_clock_difference_ms\":-") {}
    })
    .await;
    assert!(page("/metrics").await.contains("vestibule_store_clock_difference_milliseconds -"));
}

on_both_stores! {
    after_an_instance_was_killed_with_the_lease_held_the_other_refreshes_while_its_visitors_wait
    a_refusal_after_an_instance_was_killed_with_the_lease_held_ends_no_session
    clocks_90_s_apart_lose_no_session
    clocks_90_s_apart_lose_no_login_and_no_code
}
