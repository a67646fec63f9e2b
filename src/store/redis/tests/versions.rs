//! Instances of the previous version beside this one: both see each other's leases.

use std::time::Duration;

use super::{
    faults::wait_until_reachable,
    real_servers::{Server, store},
};
use crate::{
    clock::Timestamp,
    store::{Digest, Grant, Holder, Lease, Sid, redis::keys::KeyNames},
};

const SID: Sid = Sid([1; 16]);
const RT: Digest = Digest([b'r'; 32]);
const LEASE: Duration = Duration::from_secs(4);

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + secs)
}

/// The field of the lease, and the record that it is in.
fn lease_field() -> (String, String) {
    (KeyNames::new("vestibule".to_owned()).session(SID), format!("L{}", "r".repeat(32)))
}

fn run<T: redis::FromRedisValue>(server: &Server, command: &redis::Cmd) -> T {
    let client = redis::Client::open(("127.0.0.1", server.port)).unwrap();
    command.query(&mut client.get_connection().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_of_the_previous_version_is_held_and_doubtful_when_it_is_taken_over() {
    let server = Server::start(&[]);
    let store = store(&server.url());
    wait_until_reachable(&store).await;
    let (key, field) = lease_field();
    // The previous version writes the fence and the end of its lease of 10 s.
    let _: u64 = run(&server, redis::cmd("HSET").arg(&key).arg(&field).arg("5 1700000010000"));
    let ask = async |now| store.refreshes.lease(SID, RT, 0, Holder([1; 16]), LEASE, at(now)).await.unwrap();
    assert!(matches!(ask(1).await, Lease::Held(left) if left == Duration::from_secs(9)));
    let Lease::Granted(Grant { doubtful_for, .. }) = ask(10).await else { panic!("it ran out") };
    assert_eq!(doubtful_for, Duration::from_secs(60));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_has_the_form_that_the_previous_version_reads() {
    let server = Server::start(&[]);
    let store = store(&server.url());
    wait_until_reachable(&store).await;
    let granted = store.refreshes.lease(SID, RT, 0, Holder([1; 16]), LEASE, at(0)).await.unwrap();
    let Lease::Granted(Grant { fence, .. }) = granted else { panic!("nobody has it") };
    let (key, field) = lease_field();
    let lease: String = run(&server, redis::cmd("HGET").arg(key).arg(field));
    assert!(lease.starts_with(&format!("{fence} ")) && lease.ends_with(" 1700000004000"), "{lease}");
}
