//! Servers that are down, do not answer, are full, have an untrusted certificate, or are replicas.

use std::time::Duration;

use bytes::Bytes;
use tokio::{net::TcpListener, runtime::Handle};

use super::real_servers::{Server, certificate, store};
use crate::{
    channel::Channel,
    clock::{Clock, Timestamp},
    secret::{Random, Secret},
    store::{
        CodeFacts, DepositPlace, Digest, FamilyId, Grant, Holder, Lease, NewCode, Quota, Settled, Sid, Spent, Store,
        StoreError, redis::RedisStore,
    },
};

const SID: Sid = Sid([1; 16]);
const KEY: Digest = Digest([2; 32]);
const HOLDER: Holder = Holder([3; 16]);
/// The longest time until a server that runs again is reached.
const FOUND_WITHIN: Duration = Duration::from_secs(20);

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + secs)
}

/// Waits until calls are answered again.
pub(super) async fn wait_until_reachable(store: &Store) {
    let probing = async {
        while store.health.probe().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(FOUND_WITHIN, probing).await.expect("it can be reached");
}

/// Calls every method of the store.
async fn every_answer(store: &Store) -> Vec<Result<(), StoreError>> {
    let code = NewCode {
        address: KEY,
        browser: KEY,
        mac: KEY,
        sealed: Bytes::new(),
        expires: at(60),
        facts: CodeFacts { channel: Channel::Sms, purpose: "login", masked: String::new() },
    };
    let quota = Quota { key: KEY, most: 1, window: Duration::from_secs(60) };
    let family = FamilyId([3; 16]);
    let place = DepositPlace { owner: KEY, key: KEY };
    let result = Some((1, Bytes::new()));
    vec![
        store.refreshes.lease(SID, KEY, 0, HOLDER, Duration::from_secs(60), at(0)).await.map(drop),
        store.refreshes.renew(SID, KEY, 1, Duration::from_secs(60), at(0)).await.map(drop),
        store.refreshes.settle(SID, KEY, 1, result, at(60), at(0)).await.map(drop),
        store.refreshes.result(SID, KEY, at(0)).await.map(drop),
        store.refreshes.acknowledge(SID, 1, at(60), at(0)).await,
        store.refreshes.end(SID, at(60), at(0)).await,
        store.one_time.take(KEY, at(60), at(0)).await.map(drop),
        store.one_time.give_back(KEY, at(0)).await,
        store.codes.open(code, Duration::ZERO, 1, at(0)).await.map(drop),
        store.codes.resend(KEY, KEY, 1, at(0)).await.map(drop),
        store.codes.try_code(KEY, KEY, KEY, 1, at(60), at(0)).await.map(drop),
        store.codes.settle_code(KEY, KEY, 1, true, at(0)).await.map(drop),
        store.counters.spend(vec![quota, quota], at(0)).await.map(drop),
        store.counters.refund(vec![quota], at(0), at(0)).await,
        store.families.begin(family, Bytes::new(), at(60), at(0)).await,
        store.families.advance(family, 0, Duration::ZERO, at(60), at(0)).await.map(drop),
        store.families.end_family(family, at(0)).await,
        store.deposits.deposit(place, Bytes::new(), at(60), 1, at(0)).await,
        store.deposits.deposited(place, at(0)).await.map(drop),
        store.deposits.withdraw(place, at(0)).await.map(drop),
        store.health.probe().await,
    ]
}

async fn assert_unavailable(store: &Store) {
    for (number, answer) in every_answer(store).await.into_iter().enumerate() {
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "method {number}: {answer:?}");
    }
    assert_eq!(store.health.is_reachable(), Some(false));
    // The end is known on this instance although the server cannot be reached.
    assert!(store.refreshes.has_ended(SID, at(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_makes_every_call_unavailable_until_it_is_back() {
    let mut server = Server::start(&[]);
    let store = store(&server.url().replace("5000", "500"));
    store.health.probe().await.unwrap();
    assert_eq!(store.health.is_reachable(), Some(true));
    server.kill();
    assert_unavailable(&store).await;
    server.restart();
    wait_until_reachable(&store).await;
    assert_eq!(store.health.is_reachable(), Some(true));
    assert!(store.one_time.take(KEY, at(60), at(0)).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_accepts_connections_and_never_answers_makes_every_call_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}?timeout_ms=250", listener.local_addr().unwrap());
    let _accepts = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            held.push(connection);
        }
    });
    assert_unavailable(&store(&url)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_answering_makes_every_call_unavailable_until_it_answers_again() {
    let server = Server::start(&[]);
    let store = store(&server.url().replace("5000", "300"));
    store.health.probe().await.unwrap();
    let pid = server.pid();
    server.signal("-STOP", &pid);
    assert_unavailable(&store).await;
    server.signal("-CONT", &pid);
    wait_until_reachable(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_makes_calls_unavailable_until_it_is_a_master() {
    let server = Server::start(&[]);
    let store = store(&server.url().replace("5000", "300"));
    store.health.probe().await.unwrap();
    let _: () = server.run("REPLICAOF 127.0.0.1 1");
    assert!(matches!(store.one_time.take(KEY, at(60), at(0)).await, Err(StoreError::Unavailable(_))));
    let _: () = server.run("REPLICAOF NO ONE");
    wait_until_reachable(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lost_the_scripts_is_sent_them_again() {
    let server = Server::start(&[]);
    let store = store(&server.url());
    assert!(store.one_time.take(KEY, at(60), at(0)).await.unwrap());
    let _: () = server.run("SCRIPT FLUSH");
    assert!(!store.one_time.take(KEY, at(60), at(0)).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_at_its_memory_limit_answers_full() {
    let server = Server::start(&["--maxmemory-policy", "noeviction"]);
    let store = store(&server.url());
    store.health.probe().await.unwrap();
    let _: () = server.run("CONFIG SET maxmemory 1");
    assert!(matches!(store.one_time.take(KEY, at(60), at(0)).await, Err(StoreError::Full)));
    assert_eq!(store.health.is_reachable(), Some(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_used_and_appears_in_no_error() {
    let server = Server::start(&["--requirepass", "hunter2"]);
    let url = |user_info: &str| format!("redis://{user_info}127.0.0.1:{}?timeout_ms=5000", server.port);
    store(&url(":hunter2@")).health.probe().await.unwrap();
    store(&url("default:hunter2@")).health.probe().await.unwrap();
    for wrong in [url(""), url(":hunter3@"), url("nobody:hunter3@")] {
        let error = store(&wrong).health.probe().await.unwrap_err().to_string();
        assert!(error.contains("127.0.0.1") && !error.contains("hunter3"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_connects_with_the_ca_in_the_address_and_fails_without_it() {
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate(dir.path());
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    let server = Server::start(&["--tls-cert-file", &certificate, "--tls-key-file", &key, "--tls-auth-clients", "no"]);
    let url = |rest: &str| format!("rediss://127.0.0.1:{}?timeout_ms=5000{rest}", server.port);
    let trusting = store(&url(&format!("&ca={certificate}")));
    assert!(matches!(
        trusting.refreshes.lease(SID, KEY, 0, HOLDER, Duration::from_secs(60), at(0)).await.unwrap(),
        Lease::Granted(_)
    ));
    let other = store(&url(&format!("&ca={certificate}")));
    trusting.refreshes.end(SID, at(60), at(0)).await.unwrap();
    super::fleet::wait_until_ended(&other, SID).await;
    // The system does not trust the certificate.
    let error = store(&url("")).health.probe().await.unwrap_err().to_string();
    assert!(error.contains("TLS"), "{error}");
    let plain = format!("redis://127.0.0.1:{}?timeout_ms=2000", server.port);
    assert!(store(&plain).health.probe().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_has_a_time_to_live() {
    let server = Server::start(&[]);
    let store = store(&server.url());
    for answer in every_answer(&store).await {
        answer.unwrap();
    }
    store.families.begin(FamilyId([4; 16]), Bytes::new(), at(60), at(0)).await.unwrap();
    lease(&store, Sid([4; 16])).await;
    // One that is given back leaves no key.
    let quota = Quota { key: KEY, most: 5, window: Duration::from_secs(60) };
    store.counters.spend(vec![quota], at(0)).await.unwrap();
    let keys: Vec<String> = server.run("KEYS *");
    assert!(keys.len() >= 7, "{keys:?}");
    for key in keys {
        assert!(key.starts_with("vestibule:") && server.run::<i64>(&format!("PTTL {key}")) > 0, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_is_not_granted_twice_also_if_the_server_lost_its_data() {
    let server = Server::start(&[]);
    let store = store(&server.url());
    let lost = lease(&store, SID).await;
    let _: () = server.run("FLUSHALL");
    let fence = lease(&store, SID).await;
    assert_ne!(lost, fence);
    assert_eq!(store.refreshes.settle(SID, KEY, lost, None, at(60), at(1)).await.unwrap(), Settled::Lost);
    assert_eq!(store.refreshes.settle(SID, KEY, fence, None, at(60), at(1)).await.unwrap(), Settled::Stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_behind_after_a_failover_does_not_overwrite_a_count() {
    let server = Server::start(&[]);
    let store = store(&server.url());
    let quota = Quota { key: KEY, most: 2, window: Duration::from_secs(100) };
    let (behind, ahead) = (at(99), at(101));
    assert_eq!(store.counters.spend(vec![quota], ahead).await.unwrap(), Spent::Within);
    assert_eq!(store.counters.spend(vec![quota], behind).await.unwrap(), Spent::Within);
    store.counters.refund(vec![quota], behind, behind).await.unwrap();
    for now in [ahead, behind] {
        assert!(matches!(store.counters.spend(vec![quota], now).await.unwrap(), Spent::Over { which: 0, .. }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_can_never_work_is_refused_when_the_store_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for url in ["nowhere".to_owned(), "rediss://h?ca=/nowhere".to_owned(), format!("rediss://h?ca={}", empty.display())]
    {
        assert!(RedisStore::open(&Secret::new(url), &Handle::current(), &Random::system(), Clock::system()).is_err());
    }
}

async fn lease(store: &Store, sid: Sid) -> u64 {
    match store.refreshes.lease(sid, KEY, 0, HOLDER, Duration::from_secs(60), at(0)).await.unwrap() {
        Lease::Granted(Grant { fence, .. }) => fence,
        other => panic!("expected a grant, got {other:?}"),
    }
}
