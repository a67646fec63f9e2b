//! What visitors without a session leave in the store: as much as a client may, or nothing.

use http::Method;
use serde_json::json;
use vestibule::demo::Fault;

use crate::harness::{Setup, StoreServer, TestStack};

/// Login attempts of one client that are remembered as used (`src/session/attempt.rs`).
const MOST_USED_ATTEMPTS: usize = 100;

async fn stack() -> (TestStack, StoreServer) {
    let store = StoreServer::redis().await;
    let stack = Setup::new().with(&store.toml).start().await;
    (stack, store)
}

/// The names of the store's keys of that kind.
fn keys(store: &StoreServer, kind: &str) -> Vec<String> {
    let url = store.toml.split('"').find(|part| part.starts_with("redis://")).unwrap();
    let client = redis::Client::open(url).unwrap();
    redis::cmd("KEYS").arg(format!("*:{kind}:*")).query(&mut client.get_connection().unwrap()).unwrap()
}

#[tokio::test]
async fn logins_that_the_provider_denies_leave_as_many_entries_as_a_client_may_have() {
    let (stack, store) = stack().await;
    for _ in 0..MOST_USED_ATTEMPTS + 20 {
        let browser = stack.browser();
        let started = browser.navigate("/auth/login/demo").await;
        let state = started.location().split('&').find_map(|pair| pair.strip_prefix("state=")).unwrap().to_owned();
        browser.navigate(&format!("/auth/callback/demo?error=access_denied&state={state}")).await.is(303);
    }
    assert!(keys(&store, "once").len() <= MOST_USED_ATTEMPTS);
    assert!(keys(&store, "owned").len() <= 1);
    assert_eq!(keys(&store, "count"), Vec::<String>::new());
}

#[tokio::test]
async fn callbacks_with_made_up_codes_leave_as_many_entries_as_a_client_may_have() {
    let (stack, store) = stack().await;
    for number in 0..MOST_USED_ATTEMPTS + 20 {
        let browser = stack.browser();
        let started = browser.navigate(&format!("/auth/login/demo?return_to=/{}", "x".repeat(3000))).await;
        let state = started.location().split('&').find_map(|pair| pair.strip_prefix("state=")).unwrap().to_owned();
        let issuer = stack.provider.issuer();
        let callback = format!("/auth/callback/demo?code=junk{number}&state={state}&iss={issuer}");
        browser.navigate(&callback).await.is(303);
    }
    assert!(keys(&store, "once").len() <= MOST_USED_ATTEMPTS);
    assert_eq!(keys(&store, "owned").len(), 1);
    assert_eq!(keys(&store, "deposits").len(), 1, "64 deposits, under one key of the client");
    for kind in ["count", "session", "codes", "family", "note"] {
        assert_eq!(keys(&store, kind), Vec::<String>::new(), "{kind}");
    }
}

#[tokio::test]
async fn what_belongs_to_no_login_leaves_no_entry() {
    let (stack, store) = stack().await;
    let browser = stack.browser();
    browser.set_cookie("sb_did", "7b0e7c0e-3a53-4c8b-9d0e-0a4b7a2f8c11");
    for number in 0..20 {
        browser.navigate("/auth/login").await.is(200);
        browser.navigate(&format!("/auth/callback/demo?code=x&state={}", "A".repeat(40 + number))).await.is(400);
        browser.navigate(&format!("/auth/logged-out?go={}", "A".repeat(60 + number))).await.is(200);
        browser.post("/auth/logout").await.is(200);
        browser.post("/auth/refresh").await.is(401);
        browser.request(Method::POST, "/auth/login").json(&json!({ "email": "", "password": "" })).await.is(400);
        browser.plain(Method::GET, "/api/me").header("cookie", "sb_at=x; sb_rt=y; sb_txAAAAAAAA=z").await.is(401);
    }
    for kind in ["once", "owned", "deposits", "count", "session", "codes", "family", "note"] {
        assert_eq!(keys(&store, kind), Vec::<String>::new(), "{kind}");
    }
}

#[tokio::test]
async fn passwords_that_nobody_checked_leave_no_entry() {
    let (stack, store) = stack().await;
    stack.backend.set_authority_fault(Fault::Unavailable);
    let browser = stack.browser();
    for number in 0..50 {
        let body = json!({ "email": format!("{number}@example.test"), "password": "x" });
        browser.request(Method::POST, "/auth/login").json(&body).await.is(503);
    }
    assert_eq!(keys(&store, "count"), Vec::<String>::new());
}

#[tokio::test]
async fn wrong_passwords_leave_one_entry_for_the_client_and_one_for_each_name_it_may_try() {
    let store = StoreServer::redis().await;
    let stack = Setup::new().with(&store.toml).with("limits.failures_per_client = \"5/h\"").start().await;
    let browser = stack.browser();
    for number in 0..20 {
        let body = json!({ "email": format!("{number}@example.test"), "password": "x" });
        let answer = browser.request(Method::POST, "/auth/login").json(&body).await;
        assert_eq!(answer.status, if number < 5 { 401 } else { 429 });
    }
    assert_eq!(keys(&store, "count").len(), 6);
}
