//! The gateway's own refresh tokens.

use bytes::Bytes;

use super::{super::*, at, at_once, family, secs};

pub(super) async fn begun(store: &Store) -> FamilyId {
    let family = family();
    store.families.begin(family, Bytes::from_static(b"record"), at(1000), at(0)).await.unwrap();
    family
}

pub(super) async fn show(store: &Store, family: FamilyId, shown: Generation, now: i64) -> Advanced {
    store.families.advance(family, shown, secs(60), at(now + 1000), at(now)).await.unwrap()
}

pub(super) fn to(generation: Generation) -> Advanced {
    Advanced::To { generation, record: Bytes::from_static(b"record") }
}

pub(in super::super) async fn the_newest_token_brings_the_family_one_further(store: &Store) {
    let family = begun(store).await;
    for generation in 0..5 {
        assert_eq!(show(store, family, generation, i64::from(generation)).await, to(generation + 1));
    }
}

pub(in super::super) async fn a_token_replaced_just_now_brings_the_same_again(store: &Store) {
    let family = begun(store).await;
    assert_eq!(show(store, family, 0, 10).await, to(1));
    assert_eq!(show(store, family, 0, 40).await, to(1));
    assert_eq!(show(store, family, 0, 69).await, to(1));
    assert_eq!(show(store, family, 1, 69).await, to(2));
}

pub(in super::super) async fn a_token_replaced_long_ago_ends_the_family(store: &Store) {
    let family = begun(store).await;
    assert_eq!(show(store, family, 0, 10).await, to(1));
    // A repetition within the grace does not make it longer.
    assert_eq!(show(store, family, 0, 60).await, to(1));
    assert_eq!(show(store, family, 0, 70).await, Advanced::Reused);
    assert_eq!(show(store, family, 1, 71).await, Advanced::Unknown);
    assert_eq!(show(store, family, 0, 71).await, Advanced::Unknown);
}

pub(in super::super) async fn a_token_older_than_the_one_before_ends_the_family_at_once(store: &Store) {
    let family = begun(store).await;
    assert_eq!(show(store, family, 0, 1).await, to(1));
    assert_eq!(show(store, family, 1, 2).await, to(2));
    assert_eq!(show(store, family, 0, 3).await, Advanced::Reused);
    assert_eq!(show(store, family, 2, 4).await, Advanced::Unknown);
}

pub(in super::super) async fn a_token_from_the_future_is_unknown_and_changes_nothing(store: &Store) {
    let family = begun(store).await;
    assert_eq!(show(store, family, 1, 1).await, Advanced::Unknown);
    assert_eq!(show(store, family, Generation::MAX, 1).await, Advanced::Unknown);
    assert_eq!(show(store, family, 0, 2).await, to(1));
}

pub(in super::super) async fn a_family_ends_at_its_time_and_lives_on_with_each_advance(store: &Store) {
    let (still, moving) = (begun(store).await, begun(store).await);
    assert_eq!(show(store, moving, 0, 900).await, to(1));
    assert_eq!(show(store, still, 0, 1000).await, Advanced::Unknown);
    assert_eq!(show(store, moving, 1, 1899).await, to(2));
    assert_eq!(show(store, moving, 2, 2899).await, Advanced::Unknown);
}

pub(in super::super) async fn an_ended_family_is_unknown(store: &Store) {
    let family = begun(store).await;
    store.families.end_family(family, at(1)).await.unwrap();
    assert_eq!(show(store, family, 0, 2).await, Advanced::Unknown);
    store.families.end_family(family, at(3)).await.unwrap();
}

pub(in super::super) async fn of_a_hundred_who_show_one_token_at_once_all_get_its_one_successor(store: &Store) {
    let family = begun(store).await;
    let advanced = at_once(100, store, |store, _| async move { show(&store, family, 0, 1).await }).await;
    assert_eq!(advanced.iter().filter(|advanced| **advanced == to(1)).count(), 100);
}
