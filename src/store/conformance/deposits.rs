//! The conformance cases of deposits.

use bytes::Bytes;

use super::fixtures::{at, at_once, digest};
use crate::store::contract::{DepositPlace, Digest, Store};

pub(super) fn place(owner: Digest) -> DepositPlace {
    DepositPlace { owner, key: digest() }
}

pub(super) async fn deposit(store: &Store, place: DepositPlace, text: &'static str, until: i64) {
    store.deposits.deposit(place, Bytes::from_static(text.as_bytes()), at(until), 3, at(0)).await.unwrap();
}

pub(super) async fn deposited(store: &Store, place: DepositPlace, now: i64) -> Option<Bytes> {
    store.deposits.deposited(place, at(now)).await.unwrap()
}

pub(in crate::store) async fn a_deposit_is_found_until_it_ends_and_only_at_its_place(store: &Store) {
    let (one, other) = (place(digest()), place(digest()));
    deposit(store, one, "a", 60).await;
    assert_eq!(deposited(store, one, 59).await.as_deref(), Some(&b"a"[..]));
    assert_eq!(deposited(store, one, 60).await, None);
    for stranger in [DepositPlace { key: other.key, ..one }, DepositPlace { owner: other.owner, ..one }, other] {
        assert_eq!(deposited(store, stranger, 1).await, None);
    }
    deposit(store, one, "b", 90).await;
    assert_eq!(deposited(store, one, 60).await.as_deref(), Some(&b"b"[..]));
}

pub(in crate::store) async fn of_an_owners_deposits_over_the_limit_those_that_end_first_are_removed(store: &Store) {
    let owner = digest();
    let [first, second, third, fourth] = [place(owner), place(owner), place(owner), place(owner)];
    let stranger = place(digest());
    deposit(store, stranger, "s", 30).await;
    deposit(store, second, "2", 50).await;
    deposit(store, first, "1", 40).await;
    deposit(store, third, "3", 60).await;
    // The same one again needs no room.
    deposit(store, third, "3", 70).await;
    assert!(deposited(store, first, 1).await.is_some());
    deposit(store, fourth, "4", 45).await;
    assert_eq!(deposited(store, first, 1).await, None);
    for kept in [second, third, fourth, stranger] {
        assert!(deposited(store, kept, 1).await.is_some());
    }
}

pub(in crate::store) async fn of_100_withdrawals_at_once_one_gets_the_deposit(store: &Store) {
    let place = place(digest());
    deposit(store, place, "once", 60).await;
    let got = at_once(100, store, move |store, _| async move { store.deposits.withdraw(place, at(1)).await.unwrap() });
    let got: Vec<_> = got.await.into_iter().flatten().collect();
    assert_eq!(got, [Bytes::from_static(b"once")]);
    assert_eq!(deposited(store, place, 1).await, None);
}

pub(in crate::store) async fn an_ended_deposit_cannot_be_withdrawn(store: &Store) {
    let place = place(digest());
    deposit(store, place, "late", 30).await;
    assert_eq!(store.deposits.withdraw(place, at(30)).await.unwrap(), None);
}
