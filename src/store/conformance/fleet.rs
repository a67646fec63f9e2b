//! Two handles of one shared store, one per instance of the gateway.

use bytes::Bytes;

use super::{
    codes::SentCode,
    counters, deposits, families,
    fixtures::{DEADLINE, at, digest, holder, receives_end, secs, sid},
    refreshes::granted,
};
use crate::store::contract::{Lease, Opened, Settled, Spent, Store, Tried, refreshes::END_KNOWN_WITHIN};

pub(in crate::store) async fn a_lease_of_one_instance_is_held_at_the_other(one: &Store, other: &Store) {
    let (sid, rt) = (sid(), digest());
    let fence = granted(one, sid, rt, 0, 0).await;
    let held = other.refreshes.lease(sid, rt, 0, holder(), secs(60), at(1)).await.unwrap();
    assert!(matches!(held, Lease::Held(left) if left == secs(59)));
    let result = Some((1, Bytes::from_static(b"sealed")));
    assert_eq!(one.refreshes.settle(sid, rt, fence, result, at(900), at(2)).await.unwrap(), Settled::Stored);
    assert_eq!(other.refreshes.result(sid, rt, at(3)).await.unwrap().unwrap().generation, 1);
    other.refreshes.acknowledge(sid, 1, at(60), at(3)).await.unwrap();
    assert!(one.refreshes.result(sid, rt, at(60)).await.unwrap().is_none());
}

pub(in crate::store) async fn a_settlement_at_one_instance_wakes_the_tasks_that_wait_at_the_other(
    one: &Store,
    other: &Store,
) {
    let (sid, rt) = (sid(), digest());
    let fence = granted(one, sid, rt, 0, 0).await;
    let waiting = other.refreshes.wait(sid, secs(3600));
    assert!(matches!(other.refreshes.lease(sid, rt, 0, holder(), secs(60), at(1)).await.unwrap(), Lease::Held(_)));
    one.refreshes.settle(sid, rt, fence, None, at(2), at(2)).await.unwrap();
    tokio::time::timeout(DEADLINE, waiting).await.unwrap();
}

pub(in crate::store) async fn an_end_at_one_is_known_at_the_other_within_a_second(one: &Store, other: &Store) {
    let sid = sid();
    // After this call both handles are connected and subscribed.
    assert!(matches!(
        other.refreshes.lease(sid, digest(), 0, holder(), secs(60), at(0)).await.unwrap(),
        Lease::Granted(_)
    ));
    let mut endings = other.refreshes.endings();
    one.refreshes.end(sid, at(500), at(1)).await.unwrap();
    assert!(receives_end(other, &mut endings, sid, at(2), END_KNOWN_WITHIN).await);
    assert!(matches!(other.refreshes.lease(sid, digest(), 0, holder(), secs(60), at(2)).await.unwrap(), Lease::Ended));
}

pub(in crate::store) async fn an_end_at_one_instance_wakes_the_tasks_that_wait_at_the_other(
    one: &Store,
    other: &Store,
) {
    let sid = sid();
    granted(other, sid, digest(), 0, 0).await;
    let waiting = other.refreshes.wait(sid, secs(3600));
    one.refreshes.end(sid, at(500), at(1)).await.unwrap();
    tokio::time::timeout(DEADLINE, waiting).await.unwrap();
}

pub(in crate::store) async fn two_handles_never_grant_the_same_fence(one: &Store, other: &Store) {
    let (sid, rt) = (sid(), digest());
    let first = granted(one, sid, rt, 0, 0).await;
    let second = granted(other, sid, rt, 0, 60).await;
    assert!(second > first);
    assert_eq!(one.refreshes.settle(sid, rt, first, None, at(61), at(61)).await.unwrap(), Settled::Lost);
    assert_eq!(other.refreshes.settle(sid, rt, second, None, at(61), at(61)).await.unwrap(), Settled::Stored);
}

pub(in crate::store) async fn codes_limits_families_notes_and_single_use_are_shared(one: &Store, other: &Store) {
    let sent = SentCode::new();
    assert_eq!(sent.open(one, 0).await, Opened::Stored);
    assert_eq!(sent.guess(other, digest(), 1).await, Tried::Wrong);
    sent.claim(one, 2).await;
    assert_eq!(sent.guess(other, sent.mac, 3).await, Tried::Gone);

    let two = counters::quota(2);
    assert_eq!(counters::spend(one, &[two], 0).await, Spent::Within);
    assert_eq!(counters::spend(other, &[two], 0).await, Spent::Within);
    assert!(matches!(counters::spend(one, &[two], 0).await, Spent::Over { which: 0, .. }));

    let family = families::begun(one).await;
    assert_eq!(families::advance(other, family, 0, 1).await, families::to(1));
    assert_eq!(families::advance(one, family, 0, 2).await, families::to(1));

    let key = digest();
    assert!(one.one_time.take(key, at(60), at(0)).await.unwrap());
    assert!(!other.one_time.take(key, at(60), at(1)).await.unwrap());

    let text = Bytes::from_static(b"known to all");
    one.notes.replace(key, Bytes::new(), text.clone(), secs(60), at(0)).await.unwrap();
    assert_eq!(other.notes.read(key, at(0)).await.unwrap().content, text);
}

pub(in crate::store) async fn a_deposit_of_one_instance_is_withdrawn_at_the_other(one: &Store, other: &Store) {
    let place = deposits::place(digest());
    deposits::deposit(one, place, "sealed", 60).await;
    assert!(deposits::deposited(other, place, 1).await.is_some());
    assert!(other.deposits.withdraw(place, at(1)).await.unwrap().is_some());
    assert_eq!(deposits::deposited(one, place, 1).await, None);
}
