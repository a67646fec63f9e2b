//! The conformance cases of single-use keys.

use super::fixtures::{at, at_once, digest};
use crate::store::contract::Store;

pub(in crate::store) async fn a_key_can_be_taken_once_until_it_expires(store: &Store) {
    let key = digest();
    assert!(store.one_time.take(key, at(60), at(0)).await.unwrap());
    assert!(!store.one_time.take(key, at(900), at(59)).await.unwrap());
    assert!(store.one_time.take(digest(), at(60), at(59)).await.unwrap());
    assert!(store.one_time.take(key, at(120), at(60)).await.unwrap());
    assert!(!store.one_time.take(key, at(900), at(119)).await.unwrap());
}

pub(in crate::store) async fn a_key_given_back_can_be_taken_again(store: &Store) {
    let key = digest();
    store.one_time.give_back(key, at(0)).await.unwrap();
    assert!(store.one_time.take(key, at(60), at(0)).await.unwrap());
    store.one_time.give_back(key, at(1)).await.unwrap();
    assert!(store.one_time.take(key, at(60), at(2)).await.unwrap());
    assert!(!store.one_time.take(key, at(60), at(3)).await.unwrap());
}

pub(in crate::store) async fn of_100_takes_at_once_one_is_the_first(store: &Store) {
    let key = digest();
    let first = at_once(100, store, |store, _| async move { store.one_time.take(key, at(60), at(0)).await.unwrap() });
    assert_eq!(first.await.into_iter().filter(|first| *first).count(), 1);
}
