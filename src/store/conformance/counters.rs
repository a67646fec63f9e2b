//! Quotas: which events are counted and refused, and when one more is admitted.

use std::time::Duration;

use super::fixtures::{at, at_once, digest};
use crate::store::contract::{Quota, Spent, Store, quota::Counted};

/// The length of a window. Time 0 of these tests is the start of one.
const WINDOW: i64 = 100;

pub(super) fn quota(most: u32) -> Quota {
    Quota { key: digest(), most, window: Duration::from_secs(WINDOW.unsigned_abs()) }
}

pub(super) async fn spend(store: &Store, quotas: &[Quota], now: i64) -> Spent {
    store.counters.spend(quotas.to_vec(), at(now)).await.unwrap()
}

async fn within(store: &Store, quotas: &[Quota], times: u32, now: i64) {
    for time in 0..times {
        assert_eq!(spend(store, quotas, now).await, Spent::Within, "time {time} at {now}");
    }
}

/// The answer that is required when a store has counted `current` in the window of `now` and `previous` in the one
/// before.
fn over(which: usize, quota: Quota, current: u32, previous: u32, now: i64) -> Spent {
    let counted = Counted { window: quota.window_of(at(now)), current, previous };
    Spent::Over { which, again_at: quota.refused_until(counted, at(now)).expect("the quota is used up") }
}

pub(in crate::store) async fn a_quota_admits_its_number_and_answers_when_it_admits_one_more(store: &Store) {
    let five = quota(5);
    within(store, &[five], 5, 3).await;
    assert_eq!(spend(store, &[five], 4).await, over(0, five, 5, 0, 4));
    assert_eq!(spend(store, &[five], 99).await, Spent::Over { which: 0, again_at: at(120) });
    assert_eq!(spend(store, &[five], 119).await, Spent::Over { which: 0, again_at: at(120) });
    assert_eq!(spend(store, &[five], 120).await, Spent::Within);
    let one = quota(1);
    within(store, &[one], 1, 50).await;
    assert_eq!(spend(store, &[one], 51).await, over(0, one, 1, 0, 51));
    assert_eq!(spend(store, &[], 51).await, Spent::Within);
}

pub(in crate::store) async fn an_event_over_one_quota_is_counted_under_none(store: &Store) {
    let (wide, narrow) = (quota(5), quota(1));
    within(store, &[wide, narrow], 1, 0).await;
    for _ in 0..5 {
        assert_eq!(spend(store, &[wide, narrow], 1).await, over(1, narrow, 1, 0, 1));
    }
    within(store, &[wide], 4, 2).await;
    assert_eq!(spend(store, &[narrow, wide], 3).await, over(0, narrow, 1, 0, 3));
    assert_eq!(spend(store, &[quota(1), wide], 3).await, over(1, wide, 5, 0, 3));
}

pub(in crate::store) async fn a_refunded_event_can_be_spent_again(store: &Store) {
    let (three, four) = (quota(3), quota(4));
    within(store, &[three, four], 3, 0).await;
    store.counters.refund(vec![three, four], at(1), at(1)).await.unwrap();
    within(store, &[three, four], 1, 2).await;
    assert_eq!(spend(store, &[three, four], 3).await, over(0, three, 3, 0, 3));
    within(store, &[four], 1, 3).await;
    assert_eq!(spend(store, &[four], 3).await, over(0, four, 4, 0, 3));
}

pub(in crate::store) async fn a_refund_never_goes_below_zero_nor_into_another_window(store: &Store) {
    let four = quota(4);
    store.counters.refund(vec![four], at(0), at(0)).await.unwrap();
    within(store, &[four], 4, 1).await;
    assert_eq!(spend(store, &[four], 2).await, over(0, four, 4, 0, 2));
    store.counters.refund(vec![four], at(WINDOW), at(WINDOW)).await.unwrap();
    assert_eq!(spend(store, &[four], WINDOW).await, over(0, four, 0, 4, WINDOW));
}

pub(in crate::store) async fn a_window_counts_in_the_next_one_by_the_share_that_is_less_than_a_window_ago(
    store: &Store,
) {
    let four = quota(4);
    within(store, &[four], 4, 10).await;
    within(store, &[four], 2, 150).await;
    assert_eq!(spend(store, &[four], 151).await, over(0, four, 2, 4, 151));
    within(store, &[four], 1, 175).await;
    assert_eq!(spend(store, &[four], 176).await, over(0, four, 3, 4, 176));
    // The first window no longer counts, the second one counts a quarter.
    within(store, &[four], 3, 275).await;
    assert_eq!(spend(store, &[four], 275).await, over(0, four, 3, 3, 275));
    within(store, &[four], 4, 1000).await;
}

pub(in crate::store) async fn of_200_at_once_a_quota_of_20_admits_20(store: &Store) {
    let (twenty, plenty) = (quota(20), quota(1000));
    let spent = at_once(200, store, |store, _| async move { spend(&store, &[plenty, twenty], 0).await }).await;
    assert_eq!(spent.iter().filter(|spent| **spent == Spent::Within).count(), 20);
    let refused = over(1, twenty, 20, 0, 0);
    assert_eq!(spent.iter().filter(|spent| **spent == refused).count(), 180);
}
