//! The store contract as tests: one suite for every implementation. Each case makes up its own keys, so many run at once on one shared server that is never emptied.
//!
//! `conformance!(make)` expands to a test per case; `make()` is a future of `Option<(Store, Kept)>`, where `Kept` is whatever must live as long as the store (a temporary
//! folder), and `None` skips the case (no server to test against). `shared!(make_pair)` does the same for two handles of one shared store: `Option<(Store, Store, Kept)>`.
//!
//! Time is passed in and starts in 2023, but a shared store may also let things go by its own clock, after as long a span as it was told: spans here are 30 s and more.

use std::{future::Future, time::Duration};

use tokio::{sync::broadcast, task::JoinSet};

use super::{Digest, FamilyId, Sid, Store};
use crate::{clock::Timestamp, secret::Random};

pub(super) mod codes;
pub(super) mod counters;
pub(super) mod families;
pub(super) mod fleet;
pub(super) mod one_time;
pub(super) mod refreshes;

/// One test per case of one store.
macro_rules! conformance {
    ($make:path) => {
        $crate::store::conformance::cases! { $make;
            refreshes::one_holder_has_the_lease_until_it_settles_or_the_lease_runs_out
            refreshes::a_late_result_is_kept_where_nobody_took_over
            refreshes::leases_of_two_refresh_tokens_do_not_touch
            refreshes::of_a_hundred_who_ask_at_once_one_gets_the_lease
            refreshes::a_result_is_found_by_those_who_know_less_and_asked_beyond_by_those_who_know_it
            refreshes::a_settlement_without_a_result_frees_the_lease_and_keeps_what_was_stored
            refreshes::a_result_stays_as_long_as_it_was_to_be_kept
            refreshes::an_acknowledged_result_goes_after_its_grace_and_a_newer_one_stays
            refreshes::an_acknowledgement_never_keeps_a_result_longer
            refreshes::an_ended_session_has_no_results_gets_no_lease_and_stores_none
            refreshes::a_session_that_ends_twice_is_remembered_for_the_longer_of_the_two
            refreshes::who_waits_is_woken_by_the_settlement
            refreshes::who_waits_is_woken_by_the_end
            refreshes::who_waits_for_a_session_without_entries_is_woken_too
            refreshes::a_wait_ends_when_nothing_happens
            one_time::a_key_is_taken_once_until_its_time_is_over
            one_time::a_key_given_back_can_be_taken_again
            one_time::of_a_hundred_takers_at_once_one_is_the_first
            codes::a_right_code_is_claimed_and_no_second_taker_gets_it
            codes::a_code_spent_is_gone_for_ever
            codes::a_claim_given_up_leaves_the_code_and_its_tries_as_they_were
            codes::a_claim_that_runs_out_can_be_taken_again_and_its_holder_has_lost_it
            codes::a_claim_holds_past_the_death_of_its_code
            codes::a_claim_is_lost_when_the_browser_asks_for_another_code
            codes::wrong_tries_use_a_code_up_and_the_right_one_comes_too_late
            codes::an_expired_code_is_gone_though_right
            codes::another_browser_or_address_finds_nothing_and_counts_nothing
            codes::of_five_hundred_wrong_tries_at_once_five_are_compared
            codes::a_right_guess_after_two_hundred_wrong_ones_finds_nothing
            codes::one_of_many_right_tries_at_once_gets_the_claim
            codes::an_address_cools_down_between_two_codes
            codes::of_a_hundred_openings_at_once_one_is_stored
            codes::a_browser_has_one_code_for_an_address_and_leaves_those_of_others_alone
            codes::an_address_has_so_many_live_codes_until_one_dies
            codes::codes_that_are_dead_before_their_time_make_room
            codes::a_code_is_sent_again_so_many_times_and_its_tries_stay
            codes::a_dead_code_is_not_sent_again
            counters::a_quota_admits_so_many_and_says_when_it_admits_one_more
            counters::what_is_over_one_quota_is_counted_under_none
            counters::what_was_refunded_can_be_spent_again
            counters::a_refund_never_goes_below_nothing_nor_into_another_window
            counters::a_window_weighs_in_the_next_one_by_what_is_left_of_it
            counters::of_two_hundred_at_once_a_quota_of_twenty_admits_twenty
            families::the_newest_token_brings_the_family_one_further
            families::a_token_replaced_just_now_brings_the_same_again
            families::a_token_replaced_long_ago_ends_the_family
            families::a_token_older_than_the_one_before_ends_the_family_at_once
            families::a_token_from_the_future_is_unknown_and_changes_nothing
            families::a_family_ends_at_its_time_and_lives_on_with_each_advance
            families::an_ended_family_is_unknown
            families::of_a_hundred_who_show_one_token_at_once_all_get_its_one_successor
        }
    };
}

/// One test per case of two handles that share one store.
macro_rules! shared {
    ($make:path) => {
        $crate::store::conformance::pair_cases! { $make;
            a_lease_at_one_is_held_at_the_other
            a_settlement_at_one_wakes_who_waits_at_the_other
            an_end_at_one_is_known_at_the_other_within_a_second
            an_end_at_one_wakes_who_waits_at_the_other
            fences_of_two_handles_never_meet
            codes_limits_families_and_single_use_are_shared
        }
    };
}

macro_rules! cases {
    ($make:path; $($group:ident :: $case:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $case() {
            if let Some((store, _kept)) = $make().await {
                $crate::store::conformance::$group::$case(&store).await;
            }
        }
    )*};
}

macro_rules! pair_cases {
    ($make:path; $($case:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $case() {
            if let Some((one, other, _kept)) = $make().await {
                $crate::store::conformance::fleet::$case(&one, &other).await;
            }
        }
    )*};
}

pub(super) use {cases, conformance, pair_cases, shared};

/// How long an event may take to get around before a case fails.
const DEADLINE: Duration = Duration::from_secs(10);

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + secs)
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn sid() -> Sid {
    Sid(Random::system().bytes())
}

fn digest() -> Digest {
    Digest(Random::system().bytes())
}

fn family() -> FamilyId {
    FamilyId(Random::system().bytes())
}

/// What `many` tasks answer that run `call` at once.
async fn at_once<T, F>(many: usize, store: &Store, call: impl Fn(Store, usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for number in 0..many {
        tasks.spawn(call(store.clone(), number));
    }
    tasks.join_all().await
}

/// Waits until `store` knows that `sid` has ended; false where it does not learn of it within `at_most`.
async fn learns_of_end(
    store: &Store,
    endings: &mut broadcast::Receiver<Sid>,
    sid: Sid,
    now: Timestamp,
    at_most: Duration,
) -> bool {
    let learns = async {
        // Those of other cases come along, and may be too many.
        while !store.refreshes.has_ended(sid, now) {
            if let Err(broadcast::error::RecvError::Closed) = endings.recv().await {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(at_most, learns).await;
    store.refreshes.has_ended(sid, now)
}
