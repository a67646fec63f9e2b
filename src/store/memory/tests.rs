//! The conformance suite, and the limits of memory.

use std::future::{Ready, ready};

use super::*;
use crate::store::{Grant, conformance};

const HOLDER: Holder = Holder([1; 16]);

fn memory() -> Ready<Option<(Store, ())>> {
    ready(Some((MemoryStore::shared(), ())))
}

/// Two handles of one store, which are the same store.
fn same_twice() -> Ready<Option<(Store, Store, ())>> {
    let store = MemoryStore::shared();
    ready(Some((store.clone(), store, ())))
}

conformance::conformance!(memory);
conformance::shared!(same_twice);

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + secs)
}

fn key(number: u32) -> Digest {
    Digest([number.to_be_bytes(); 8].concat().try_into().unwrap())
}

#[tokio::test]
async fn expired_records_are_removed_and_a_lapsed_lease_can_still_be_settled() {
    let store = MemoryStore::with(NoJournal, []);
    let (sid, rt) = (Sid([1; 16]), key(0));
    let Lease::Granted(Grant { fence, .. }) =
        store.lease(sid, rt, 0, HOLDER, Duration::from_secs(30), at(0)).await.unwrap()
    else {
        panic!("nothing else leased it")
    };
    store.end(Sid([2; 16]), at(60), at(0)).await.unwrap();
    for number in 0..3000 {
        let now = at(i64::from(number / 1000) * 60);
        assert!(store.take(key(number), now.plus(Duration::from_secs(30)), now).await.unwrap());
    }
    assert!(locked(&store.taken).len() < 2048);
    assert!(store.ended.sweep(at(1000)).is_empty());
    let late = Some((1, Bytes::from_static(b"late")));
    assert_eq!(store.settle(sid, rt, fence, late, at(900), at(200)).await.unwrap(), Settled::Stored);
}

#[tokio::test]
async fn a_session_has_at_most_16_leases_and_loses_its_oldest_result_after_16() {
    let store = MemoryStore::with(NoJournal, []);
    let sid = Sid([1; 16]);
    for number in 0..16 {
        assert!(matches!(
            store.lease(sid, key(number), 0, HOLDER, Duration::from_secs(30), at(0)).await.unwrap(),
            Lease::Granted(_)
        ));
    }
    assert!(matches!(
        store.lease(sid, key(16), 0, HOLDER, Duration::from_secs(29), at(1)).await,
        Err(StoreError::Full)
    ));
    for number in 0..17 {
        let other = Holder([2; 16]);
        let Lease::Granted(Grant { fence, .. }) =
            store.lease(sid, key(number), 0, other, Duration::from_secs(60), at(30)).await.unwrap()
        else {
            panic!("the others ran out")
        };
        let result = Some((1, Bytes::from_static(b"sealed")));
        store.settle(sid, key(number), fence, result, at(900), at(31)).await.unwrap();
    }
    assert!(store.result(sid, key(0), at(32)).await.unwrap().is_none());
    assert!(store.result(sid, key(1), at(32)).await.unwrap().is_some());
}

#[tokio::test]
async fn counts_that_are_given_back_leave_no_entry() {
    let store = MemoryStore::with(NoJournal, []);
    for number in 0..1000 {
        let quotas =
            [0, 1000].map(|other| Quota { key: key(number + other), most: 5, window: Duration::from_secs(60) });
        assert_eq!(store.spend(quotas.to_vec(), at(0)).await.unwrap(), Spent::Within);
        store.refund(quotas.to_vec(), at(0), at(1)).await.unwrap();
    }
    assert_eq!(locked(&store.counters).len(), 0);
}
