//! The gateway's own refresh tokens.

use bytes::Bytes;

use super::fixtures::{at, at_once, family, secs};
use crate::store::contract::{Advanced, FamilyId, Generation, Store};

pub(super) async fn begun(store: &Store) -> FamilyId {
    let family = family();
    store.families.begin(family, Bytes::from_static(b"record"), at(1000), at(0)).await.unwrap();
    family
}

pub(super) async fn advance(store: &Store, family: FamilyId, shown: Generation, now: i64) -> Advanced {
    store.families.advance(family, shown, secs(60), at(now + 1000), at(now)).await.unwrap()
}

pub(super) fn to(generation: Generation) -> Advanced {
    Advanced::To { generation, record: Bytes::from_static(b"record") }
}

pub(in crate::store) async fn the_newest_token_advances_the_family_by_one(store: &Store) {
    let family = begun(store).await;
    for generation in 0..5 {
        assert_eq!(advance(store, family, generation, i64::from(generation)).await, to(generation + 1));
    }
}

pub(in crate::store) async fn a_token_replaced_within_the_grace_gives_the_same_answer_again(store: &Store) {
    let family = begun(store).await;
    assert_eq!(advance(store, family, 0, 10).await, to(1));
    assert_eq!(advance(store, family, 0, 40).await, to(1));
    assert_eq!(advance(store, family, 0, 69).await, to(1));
    assert_eq!(advance(store, family, 1, 69).await, to(2));
}

pub(in crate::store) async fn a_token_replaced_longer_ago_than_the_grace_ends_the_family(store: &Store) {
    let family = begun(store).await;
    assert_eq!(advance(store, family, 0, 10).await, to(1));
    // A repetition within the grace period does not prolong it.
    assert_eq!(advance(store, family, 0, 60).await, to(1));
    assert_eq!(advance(store, family, 0, 70).await, Advanced::Reused);
    assert_eq!(advance(store, family, 1, 71).await, Advanced::Unknown);
    assert_eq!(advance(store, family, 0, 71).await, Advanced::Unknown);
}

pub(in crate::store) async fn a_token_replaced_twice_ends_the_family_even_within_the_grace(store: &Store) {
    let family = begun(store).await;
    assert_eq!(advance(store, family, 0, 1).await, to(1));
    assert_eq!(advance(store, family, 1, 2).await, to(2));
    assert_eq!(advance(store, family, 0, 3).await, Advanced::Reused);
    assert_eq!(advance(store, family, 2, 4).await, Advanced::Unknown);
}

pub(in crate::store) async fn a_token_of_a_later_generation_is_unknown_and_changes_nothing(store: &Store) {
    let family = begun(store).await;
    assert_eq!(advance(store, family, 1, 1).await, Advanced::Unknown);
    assert_eq!(advance(store, family, Generation::MAX, 1).await, Advanced::Unknown);
    assert_eq!(advance(store, family, 0, 2).await, to(1));
}

pub(in crate::store) async fn a_family_ends_at_its_time_and_is_prolonged_by_each_advance(store: &Store) {
    let (still, moving) = (begun(store).await, begun(store).await);
    assert_eq!(advance(store, moving, 0, 900).await, to(1));
    assert_eq!(advance(store, still, 0, 1000).await, Advanced::Unknown);
    assert_eq!(advance(store, moving, 1, 1899).await, to(2));
    assert_eq!(advance(store, moving, 2, 2899).await, Advanced::Unknown);
}

pub(in crate::store) async fn an_ended_family_is_unknown(store: &Store) {
    let family = begun(store).await;
    store.families.end_family(family, at(1)).await.unwrap();
    assert_eq!(advance(store, family, 0, 2).await, Advanced::Unknown);
    store.families.end_family(family, at(3)).await.unwrap();
}

pub(in crate::store) async fn of_100_calls_with_one_token_at_once_all_get_the_same_successor(store: &Store) {
    let family = begun(store).await;
    let advanced = at_once(100, store, |store, _| async move { advance(&store, family, 0, 1).await }).await;
    assert_eq!(advanced.iter().filter(|advanced| **advanced == to(1)).count(), 100);
}
