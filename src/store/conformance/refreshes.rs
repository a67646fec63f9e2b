//! Leases, results, ended sessions.

use std::time::Duration;

use bytes::Bytes;

use super::fixtures::{DEADLINE, at, at_once, digest, holder, receives_end, secs, sid};
use crate::store::contract::{Digest, Generation, Grant, Lease, Settled, Sid, Store};

async fn lease(store: &Store, sid: Sid, rt: Digest, known: Generation, now: i64) -> Lease {
    store.refreshes.lease(sid, rt, known, holder(), secs(60), at(now)).await.unwrap()
}

fn grant(lease: Lease) -> Grant {
    match lease {
        Lease::Granted(grant) => grant,
        other => panic!("expected a grant, got {other:?}"),
    }
}

pub(super) async fn granted(store: &Store, sid: Sid, rt: Digest, known: Generation, now: i64) -> u64 {
    grant(lease(store, sid, rt, known, now).await).fence
}

async fn stored(store: &Store, sid: Sid, rt: Digest, generation: Generation, keep_until: i64, now: i64) {
    let fence = granted(store, sid, rt, generation - 1, now).await;
    let result = Some((generation, Bytes::from(format!("sealed {generation}"))));
    let settled = store.refreshes.settle(sid, rt, fence, result, at(keep_until), at(now)).await.unwrap();
    assert_eq!(settled, Settled::Stored);
}

async fn generation(store: &Store, sid: Sid, rt: Digest, now: i64) -> Option<Generation> {
    store.refreshes.result(sid, rt, at(now)).await.unwrap().map(|result| result.generation)
}

pub(in crate::store) async fn one_caller_has_the_lease_until_it_settles_or_the_lease_runs_out(store: &Store) {
    let (sid, rt) = (sid(), digest());
    let fence = granted(store, sid, rt, 0, 0).await;
    assert!(matches!(lease(store, sid, rt, 0, 1).await, Lease::Held(left) if left == secs(59)));
    assert!(store.refreshes.renew(sid, rt, fence, secs(70), at(50)).await.unwrap());
    assert!(matches!(lease(store, sid, rt, 0, 90).await, Lease::Held(left) if left == secs(30)));
    let later = granted(store, sid, rt, 0, 120).await;
    assert!(later > fence);
    assert!(!store.refreshes.renew(sid, rt, fence, secs(180), at(121)).await.unwrap());
    assert_eq!(store.refreshes.settle(sid, rt, fence, None, at(122), at(122)).await.unwrap(), Settled::Lost);
    assert_eq!(store.refreshes.settle(sid, rt, later, None, at(123), at(123)).await.unwrap(), Settled::Stored);
    assert_eq!(store.refreshes.settle(sid, rt, later, None, at(123), at(123)).await.unwrap(), Settled::Lost);
    assert!(granted(store, sid, rt, 0, 124).await > later);
}

pub(in crate::store) async fn a_lapsed_lease_is_settled_if_no_other_caller_was_granted_it(store: &Store) {
    let (sid, rt) = (sid(), digest());
    let fence = granted(store, sid, rt, 0, 0).await;
    let late = Some((1, Bytes::from_static(b"late")));
    assert_eq!(store.refreshes.settle(sid, rt, fence, late, at(900), at(70)).await.unwrap(), Settled::Stored);
    assert_eq!(generation(store, sid, rt, 71).await, Some(1));
}

pub(in crate::store) async fn a_holder_that_asks_again_is_granted_the_same_lease_again(store: &Store) {
    let (sid, rt, own) = (sid(), digest(), holder());
    let ask = async |now| store.refreshes.lease(sid, rt, 0, own, secs(60), at(now)).await.unwrap();
    let first = grant(ask(0).await);
    assert_eq!(grant(ask(20).await), first);
    assert!(matches!(lease(store, sid, rt, 0, 70).await, Lease::Held(left) if left == secs(10)));
    // No other holder took it over.
    assert_eq!(grant(ask(90).await), first);
    assert_eq!(store.refreshes.settle(sid, rt, first.fence, None, at(91), at(91)).await.unwrap(), Settled::Stored);
    assert!(grant(ask(92).await).fence > first.fence);
}

pub(in crate::store) async fn a_lease_taken_over_is_doubtful_for_as_long_as_its_earlier_holder_may_be_answered(
    store: &Store,
) {
    let (sid, rt) = (sid(), digest());
    let ask = async |now| store.refreshes.lease(sid, rt, 0, holder(), secs(4), at(now)).await.unwrap();
    let first = grant(ask(0).await);
    assert_eq!(first.doubtful_for, secs(0));
    assert!(store.refreshes.renew(sid, rt, first.fence, secs(4), at(30)).await.unwrap());
    let second = grant(ask(34).await);
    assert_eq!(second.doubtful_for, secs(26));
    // A settlement without a result leaves the doubt, and its fence is used up.
    assert_eq!(store.refreshes.settle(sid, rt, second.fence, None, at(35), at(35)).await.unwrap(), Settled::Stored);
    assert_eq!(store.refreshes.settle(sid, rt, second.fence, None, at(35), at(35)).await.unwrap(), Settled::Lost);
    assert!(!store.refreshes.renew(sid, rt, second.fence, secs(4), at(35)).await.unwrap());
    let third = grant(ask(35).await);
    assert_eq!(third.doubtful_for, secs(25));
    assert!(third.fence > second.fence);
    // The third holder does not settle either.
    assert_eq!(grant(ask(40).await).doubtful_for, secs(55));
}

pub(in crate::store) async fn a_result_ends_the_doubt(store: &Store) {
    let (sid, rt) = (sid(), digest());
    let ask = async |known, now| store.refreshes.lease(sid, rt, known, holder(), secs(4), at(now)).await.unwrap();
    ask(0, 0).await;
    let second = grant(ask(0, 5).await);
    assert_eq!(second.doubtful_for, secs(55));
    let result = Some((1, Bytes::from_static(b"sealed")));
    assert_eq!(store.refreshes.settle(sid, rt, second.fence, result, at(900), at(6)).await.unwrap(), Settled::Stored);
    assert_eq!(grant(ask(1, 7).await).doubtful_for, secs(0));
}

pub(in crate::store) async fn a_late_result_is_stored_without_the_lease_unless_a_newer_one_exists(store: &Store) {
    let (sid, rt) = (sid(), digest());
    let settle = async |fence, generation, now| {
        let result = Some((generation, Bytes::from(format!("of {fence}"))));
        store.refreshes.settle(sid, rt, fence, result, at(900), at(now)).await.unwrap()
    };
    let first = granted(store, sid, rt, 0, 0).await;
    let second = granted(store, sid, rt, 0, 60).await;
    assert_eq!(settle(first, 1, 61).await, Settled::Stored);
    let found = store.refreshes.result(sid, rt, at(62)).await.unwrap().unwrap();
    assert_eq!((found.generation, found.sealed), (1, Bytes::from(format!("of {first}"))));
    // The holder of the lease still has it.
    assert_eq!(settle(second, 1, 63).await, Settled::Stored);
    assert_eq!(settle(first, 1, 64).await, Settled::Lost);
    let found = store.refreshes.result(sid, rt, at(65)).await.unwrap().unwrap();
    assert_eq!((found.generation, found.sealed), (1, Bytes::from(format!("of {second}"))));
    assert_eq!(settle(first, 2, 66).await, Settled::Stored);
}

pub(in crate::store) async fn leases_of_two_refresh_tokens_are_independent(store: &Store) {
    let (sid, old, new) = (sid(), digest(), digest());
    let fence = granted(store, sid, old, 0, 0).await;
    granted(store, sid, new, 1, 0).await;
    assert_eq!(store.refreshes.settle(sid, new, fence, None, at(1), at(1)).await.unwrap(), Settled::Lost);
    assert!(matches!(lease(store, sid, old, 0, 2).await, Lease::Held(_)));
    assert!(matches!(lease(store, sid, new, 1, 2).await, Lease::Held(_)));
}

pub(in crate::store) async fn of_100_lease_calls_at_once_one_is_granted(store: &Store) {
    let (sid, rt) = (sid(), digest());
    let leases = at_once(100, store, |store, _| async move { lease(&store, sid, rt, 0, 0).await }).await;
    assert_eq!(leases.iter().filter(|lease| matches!(lease, Lease::Granted(_))).count(), 1);
    assert_eq!(leases.iter().filter(|lease| matches!(lease, Lease::Held(_))).count(), 99);
}

pub(in crate::store) async fn a_caller_with_an_older_generation_gets_the_result_and_one_with_the_newest_gets_the_lease(
    store: &Store,
) {
    let (sid, rt) = (sid(), digest());
    stored(store, sid, rt, 1, 1000, 0).await;
    match lease(store, sid, rt, 0, 1).await {
        Lease::Result(found) => {
            assert_eq!((found.generation, &found.sealed[..], found.stored_at), (1, &b"sealed 1"[..], at(0)));
        }
        other => panic!("expected the result, got {other:?}"),
    }
    stored(store, sid, rt, 2, 1000, 1).await;
    assert_eq!(generation(store, sid, rt, 2).await, Some(2));
    assert_eq!(generation(store, sid, digest(), 2).await, None);
}

pub(in crate::store) async fn a_settlement_without_a_result_frees_the_lease_and_keeps_the_older_result(store: &Store) {
    let (sid, rt) = (sid(), digest());
    stored(store, sid, rt, 1, 1000, 0).await;
    let fence = granted(store, sid, rt, 1, 1).await;
    assert_eq!(store.refreshes.settle(sid, rt, fence, None, at(2), at(2)).await.unwrap(), Settled::Stored);
    assert_eq!(generation(store, sid, rt, 3).await, Some(1));
    granted(store, sid, rt, 1, 3).await;
}

pub(in crate::store) async fn a_result_is_found_until_its_keep_until(store: &Store) {
    let (sid, rt) = (sid(), digest());
    stored(store, sid, rt, 1, 1000, 0).await;
    assert_eq!(generation(store, sid, rt, 999).await, Some(1));
    assert_eq!(generation(store, sid, rt, 1000).await, None);
    granted(store, sid, rt, 0, 1000).await;
}

pub(in crate::store) async fn an_acknowledged_result_is_removed_after_its_grace_and_a_newer_one_stays(store: &Store) {
    let (sid, first, second) = (sid(), digest(), digest());
    stored(store, sid, first, 1, 1000, 0).await;
    stored(store, sid, second, 2, 1000, 1).await;
    store.refreshes.acknowledge(sid, 1, at(60), at(2)).await.unwrap();
    assert_eq!(generation(store, sid, first, 59).await, Some(1));
    assert_eq!(generation(store, sid, first, 60).await, None);
    assert_eq!(generation(store, sid, second, 60).await, Some(2));
    store.refreshes.acknowledge(sid, 7, at(120), at(60)).await.unwrap();
    assert_eq!(generation(store, sid, second, 119).await, Some(2));
    assert_eq!(generation(store, sid, second, 120).await, None);
}

pub(in crate::store) async fn an_acknowledgement_never_keeps_a_result_longer(store: &Store) {
    let (sid, rt) = (sid(), digest());
    stored(store, sid, rt, 1, 100, 0).await;
    store.refreshes.acknowledge(sid, 1, at(1000), at(1)).await.unwrap();
    assert_eq!(generation(store, sid, rt, 99).await, Some(1));
    assert_eq!(generation(store, sid, rt, 100).await, None);
}

pub(in crate::store) async fn an_ended_session_has_no_results_and_gets_neither_a_lease_nor_a_new_result(store: &Store) {
    let (sid, rt, next) = (sid(), digest(), digest());
    stored(store, sid, rt, 1, 1000, 0).await;
    let fence = granted(store, sid, next, 1, 1).await;
    let mut endings = store.refreshes.endings();
    assert!(!store.refreshes.has_ended(sid, at(2)));
    store.refreshes.end(sid, at(500), at(2)).await.unwrap();
    assert!(receives_end(store, &mut endings, sid, at(3), secs(2)).await);
    assert_eq!(generation(store, sid, rt, 3).await, None);
    let late = Some((2, Bytes::from_static(b"late")));
    assert_eq!(store.refreshes.settle(sid, next, fence, late, at(900), at(3)).await.unwrap(), Settled::Ended);
    assert_eq!(generation(store, sid, next, 3).await, None);
    assert!(matches!(lease(store, sid, rt, 0, 3).await, Lease::Ended));
    assert!(store.refreshes.has_ended(sid, at(499)));
    assert!(!store.refreshes.has_ended(sid, at(500)));
}

pub(in crate::store) async fn a_session_that_ends_twice_is_remembered_for_the_longer_of_the_two(store: &Store) {
    let sid = sid();
    let mut endings = store.refreshes.endings();
    store.refreshes.end(sid, at(500), at(0)).await.unwrap();
    store.refreshes.end(sid, at(100), at(1)).await.unwrap();
    assert!(receives_end(store, &mut endings, sid, at(300), secs(2)).await);
    assert!(matches!(lease(store, sid, digest(), 0, 300).await, Lease::Ended));
}

pub(in crate::store) async fn a_waiting_task_is_woken_by_the_settlement(store: &Store) {
    let (sid, rt) = (sid(), digest());
    let fence = granted(store, sid, rt, 0, 0).await;
    // Not polled before the settlement: a settlement between the call and the first poll must not be missed.
    let waiting = store.refreshes.wait(sid, secs(3600));
    let polled = store.refreshes.wait(sid, secs(3600));
    tokio::pin!(polled);
    assert!(futures_util::poll!(polled.as_mut()).is_pending());
    store.refreshes.settle(sid, rt, fence, None, at(1), at(1)).await.unwrap();
    tokio::time::timeout(DEADLINE, async { tokio::join!(waiting, polled) }).await.unwrap();
}

pub(in crate::store) async fn a_waiting_task_is_woken_by_the_end(store: &Store) {
    let (sid, rt) = (sid(), digest());
    granted(store, sid, rt, 0, 0).await;
    let waiting = store.refreshes.wait(sid, secs(3600));
    store.refreshes.end(sid, at(500), at(1)).await.unwrap();
    tokio::time::timeout(DEADLINE, waiting).await.unwrap();
}

pub(in crate::store) async fn a_task_that_waits_for_a_session_without_entries_is_woken(store: &Store) {
    let (sid, rt) = (sid(), digest());
    let waiting = store.refreshes.wait(sid, secs(3600));
    stored(store, sid, rt, 1, 1000, 0).await;
    tokio::time::timeout(DEADLINE, waiting).await.unwrap();
}

pub(in crate::store) async fn a_wait_ends_after_its_time_if_nothing_happens(store: &Store) {
    let waiting = store.refreshes.wait(sid(), Duration::from_millis(20));
    tokio::time::timeout(DEADLINE, waiting).await.unwrap();
}
