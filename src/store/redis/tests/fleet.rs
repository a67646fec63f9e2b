//! Sessions that end on one instance are ended on the others, also after interruptions and a failover.

use std::time::Duration;

use bytes::Bytes;

use super::{
    faults::wait_until_reachable,
    real_servers::{MasterAndReplica, Server, store, wait_until},
};
use crate::{
    channel::Channel,
    clock::Timestamp,
    store::{CodeFacts, Digest, Holder, Lease, NewCode, Opened, Sid, Store, Tried},
};

const SID: Sid = Sid([1; 16]);
const KEY: Digest = Digest([2; 32]);
const WRONG: Digest = Digest([3; 32]);
const HOLDER: Holder = Holder([4; 16]);
const DEADLINE: Duration = Duration::from_secs(20);

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + secs)
}

async fn guess(store: &Store, mac: Digest) -> Tried {
    store.codes.try_code(KEY, KEY, mac, 5, at(60), at(1)).await.unwrap()
}

/// Waits until `store` has `sid` as ended.
pub(super) async fn wait_until_ended(store: &Store, sid: Sid) {
    let mut endings = store.refreshes.endings();
    while !store.refreshes.has_ended(sid, at(1)) {
        let told = tokio::time::timeout(DEADLINE, endings.recv()).await;
        told.expect("the end is received in time").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_starts_later_finds_the_sessions_that_ended_before() {
    let server = Server::start(&[]);
    let one = store(&server.url());
    for number in 0..2500_u16 {
        let mut sid = SID;
        sid.0[..2].copy_from_slice(&number.to_be_bytes());
        one.refreshes.end(sid, at(500), at(0)).await.unwrap();
    }
    let other = store(&server.url());
    wait_until_ended(&other, Sid([[0, 0].as_slice(), &[1; 14]].concat().try_into().unwrap())).await;
    let mut last = SID;
    last.0[..2].copy_from_slice(&2499_u16.to_be_bytes());
    wait_until_ended(&other, last).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_while_an_instance_is_not_subscribed_is_found_afterwards() {
    let server = Server::start(&[]);
    let (one, other) = (store(&server.url()), store(&server.url()));
    wait_until_reachable(&other).await;
    let _: u64 = server.run("CLIENT KILL TYPE pubsub");
    one.refreshes.end(SID, at(500), at(0)).await.unwrap();
    wait_until_ended(&other, SID).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_while_the_server_is_down_is_announced_when_it_is_up() {
    let mut server = Server::start(&[]);
    let url = server.url().replace("5000", "500");
    let (one, other) = (store(&url), store(&url));
    wait_until_reachable(&one).await;
    server.kill();
    one.refreshes.end(SID, at(500), at(0)).await.unwrap_err();
    assert!(one.refreshes.has_ended(SID, at(1)) && !other.refreshes.has_ended(SID, at(1)));
    server.restart();
    wait_until_ended(&other, SID).await;
    wait_until_reachable(&other).await;
    assert!(matches!(
        other.refreshes.lease(SID, KEY, 0, HOLDER, Duration::from_secs(59), at(1)).await.unwrap(),
        Lease::Ended
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failover_everything_that_was_replicated_is_valid() {
    let mut servers = MasterAndReplica::start();
    let (one, other) = (store(&servers.url()), store(&servers.url()));
    let code = NewCode {
        address: KEY,
        browser: KEY,
        mac: KEY,
        sealed: Bytes::from_static(b"sealed"),
        expires: at(180),
        facts: CodeFacts { channel: Channel::Sms, purpose: "login", masked: "010-****-5678".to_owned() },
    };
    assert_eq!(one.codes.open(code, Duration::from_secs(30), 3, at(0)).await.unwrap(), Opened::Stored);
    for _ in 0..4 {
        assert_eq!(guess(&one, WRONG).await, Tried::Wrong);
    }
    one.refreshes.end(SID, at(500), at(0)).await.unwrap();
    wait_until_ended(&other, SID).await;
    wait_until("the replica has received everything", || {
        let offset = |server: &Server| {
            let info = server.run::<String>("INFO replication");
            info.lines().find_map(|line| line.strip_prefix("master_repl_offset:")?.parse::<u64>().ok()).unwrap()
        };
        offset(&servers.replica) >= offset(&servers.master)
    });
    servers.master.kill();
    wait_until_reachable(&one).await;
    wait_until_reachable(&other).await;
    // The fifth try was the last one, so the right digits are too late.
    assert_eq!(guess(&other, WRONG).await, Tried::Wrong);
    assert_eq!(guess(&one, KEY).await, Tried::Gone);
    assert!(matches!(
        other.refreshes.lease(SID, KEY, 0, HOLDER, Duration::from_secs(59), at(1)).await.unwrap(),
        Lease::Ended
    ));
    let late = Sid([9; 16]);
    one.refreshes.end(late, at(500), at(0)).await.unwrap();
    wait_until_ended(&other, late).await;
}
