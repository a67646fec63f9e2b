//! The conformance cases of single-use keys.

use super::fixtures::{at, at_once, digest};
use crate::store::contract::{Owner, Store};

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

pub(in crate::store) async fn of_an_owners_keys_the_newest_are_kept_and_the_oldest_are_forgotten(store: &Store) {
    let (owner, other) = (Owner { key: digest(), most: 3 }, Owner { key: digest(), most: 3 });
    let keys: Vec<_> = (0..5).map(|_| digest()).collect();
    let of_other = digest();
    assert!(store.one_time.take_of(other, of_other, at(300), at(0)).await.unwrap());
    for (number, key) in (1..).zip(&keys) {
        assert!(store.one_time.take_of(owner, *key, at(300 + number), at(number)).await.unwrap());
        assert!(!store.one_time.take_of(owner, *key, at(300 + number), at(number)).await.unwrap());
    }
    for newest in &keys[2..] {
        assert!(!store.one_time.take(*newest, at(300), at(10)).await.unwrap());
    }
    for oldest in &keys[..2] {
        assert!(store.one_time.take(*oldest, at(300), at(10)).await.unwrap());
    }
    assert!(!store.one_time.take_of(owner, of_other, at(300), at(10)).await.unwrap(), "a key is taken for all owners");
    assert!(
        !store.one_time.take(of_other, at(300), at(10)).await.unwrap(),
        "no owner's keys are forgotten for another's"
    );
}
