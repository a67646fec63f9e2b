//! The store contract, to be run against every implementation.

use super::*;

const SID: Sid = Sid([1; 16]);
const RT: Digest = Digest([2; 32]);

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + secs)
}

async fn granted(store: &Store, known: Generation, now: i64) -> u64 {
    match store.refreshes.lease(SID, RT, known, at(now + 10), at(now)).await.unwrap() {
        Lease::Granted(fence) => fence,
        other => panic!("expected a grant, got {other:?}"),
    }
}

async fn store_result(store: &Store, generation: Generation, keep_until: i64, now: i64) {
    let fence = granted(store, generation - 1, now).await;
    let result = Some((generation, Bytes::from_static(b"sealed")));
    assert_eq!(store.refreshes.settle(SID, RT, fence, result, at(keep_until), at(now)).await.unwrap(), Settled::Stored);
}

#[tokio::test]
async fn one_holder_has_the_lease_until_it_settles_or_the_lease_runs_out() {
    let store = MemoryStore::shared();
    let fence = granted(&store, 0, 0).await;
    assert!(
        matches!(store.refreshes.lease(SID, RT, 0, at(11), at(1)).await.unwrap(), Lease::Held(until) if until == at(10))
    );
    assert!(store.refreshes.renew(SID, RT, fence, at(20), at(9)).await.unwrap());
    assert!(matches!(store.refreshes.lease(SID, RT, 0, at(25), at(15)).await.unwrap(), Lease::Held(_)));
    let later = granted(&store, 0, 21).await;
    assert_ne!(fence, later);
    assert!(!store.refreshes.renew(SID, RT, fence, at(40), at(22)).await.unwrap());
    assert_eq!(store.refreshes.settle(SID, RT, fence, None, at(22), at(22)).await.unwrap(), Settled::Lost);
    assert_eq!(store.refreshes.settle(SID, RT, later, None, at(23), at(23)).await.unwrap(), Settled::Stored);
}

#[tokio::test]
async fn a_result_is_found_by_those_who_know_less_and_asked_beyond_by_those_who_know_it() {
    let store = MemoryStore::shared();
    store_result(&store, 1, 1000, 0).await;
    assert!(matches!(
        store.refreshes.lease(SID, RT, 0, at(11), at(1)).await.unwrap(),
        Lease::Result(StoredResult { generation: 1, .. })
    ));
    granted(&store, 1, 1).await;
}

#[tokio::test]
async fn an_acknowledged_result_goes_after_its_grace_and_an_unseen_one_stays() {
    let store = MemoryStore::shared();
    store_result(&store, 1, 1000, 0).await;
    assert!(store.refreshes.result(SID, RT, at(900)).await.unwrap().is_some());
    store.refreshes.acknowledge(SID, 1, at(60), at(0)).await.unwrap();
    assert!(store.refreshes.result(SID, RT, at(59)).await.unwrap().is_some());
    assert!(store.refreshes.result(SID, RT, at(60)).await.unwrap().is_none());
}

#[tokio::test]
async fn an_ended_session_has_no_results_gets_no_lease_and_stores_none() {
    let store = MemoryStore::shared();
    store_result(&store, 1, 1000, 0).await;
    let fence = granted(&store, 1, 1).await;
    let mut endings = store.refreshes.endings();
    store.refreshes.end(SID, at(500), at(2)).await.unwrap();
    assert_eq!(endings.recv().await.unwrap(), SID);
    assert!(store.refreshes.has_ended(SID, at(3)));
    assert!(store.refreshes.result(SID, RT, at(3)).await.unwrap().is_none());
    let late = Some((2, Bytes::from_static(b"late")));
    assert_eq!(store.refreshes.settle(SID, RT, fence, late, at(900), at(3)).await.unwrap(), Settled::Ended);
    assert!(matches!(store.refreshes.lease(SID, RT, 0, at(13), at(3)).await.unwrap(), Lease::Ended));
    assert!(!store.refreshes.has_ended(SID, at(500)));
}

#[tokio::test]
async fn who_waits_is_woken_by_the_settlement() {
    let store = MemoryStore::shared();
    let fence = granted(&store, 0, 0).await;
    let waiting = store.refreshes.wait(SID, Duration::from_secs(3600));
    tokio::pin!(waiting);
    assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    store.refreshes.settle(SID, RT, fence, None, at(1), at(1)).await.unwrap();
    waiting.await;
}

#[tokio::test]
async fn a_key_is_taken_once_until_its_time_is_over() {
    let store = MemoryStore::shared();
    assert!(store.one_time.take(RT, at(10), at(0)).await.unwrap());
    assert!(!store.one_time.take(RT, at(10), at(9)).await.unwrap());
    assert!(store.one_time.take(RT, at(20), at(10)).await.unwrap());
}
