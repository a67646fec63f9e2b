//! The contract as tests: one suite for every implementation. Each case makes up its own keys, so many run at once on
//! one shared server that is never emptied.
//!
//! `conformance!(make)` expands to a test per case. `make()` is a future of `Option<(Store, Guard)>`: the guard lives
//! as long as the store (a temporary folder), and `None` skips the case (no server to test against).
//! `shared!(make_pair)` does the same for two handles of one shared store: `Option<(Store, Store, Guard)>`.
//!
//! Time is passed in and starts in 2023. A shared store may also remove records by its own clock, after the time that
//! it was told, so times here are 30 s and longer.

mod fixtures;

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
            refreshes::a_lapsed_lease_is_settled_if_nobody_else_was_granted_it
            refreshes::leases_of_two_refresh_tokens_are_independent
            refreshes::of_100_lease_calls_at_once_one_is_granted
            refreshes::a_result_is_answered_to_a_caller_that_knows_less_and_one_that_knows_it_gets_the_lease
            refreshes::a_settlement_without_a_result_frees_the_lease_and_keeps_what_was_stored
            refreshes::a_result_is_found_until_its_keep_until
            refreshes::an_acknowledged_result_is_removed_after_its_grace_and_a_newer_one_stays
            refreshes::an_acknowledgement_never_keeps_a_result_longer
            refreshes::an_ended_session_has_no_results_gets_no_lease_and_stores_none
            refreshes::a_session_that_ends_twice_is_remembered_for_the_longer_of_the_two
            refreshes::a_waiting_task_is_woken_by_the_settlement
            refreshes::a_waiting_task_is_woken_by_the_end
            refreshes::a_task_that_waits_for_a_session_without_entries_is_woken
            refreshes::a_wait_ends_after_its_time_if_nothing_happens
            one_time::a_key_is_taken_once_until_its_time_is_over
            one_time::a_key_given_back_can_be_taken_again
            one_time::of_100_takers_at_once_one_is_the_first
            codes::a_right_code_is_claimed_and_no_second_taker_gets_it
            codes::a_spent_code_is_gone
            codes::a_claim_given_up_leaves_the_code_and_its_tries_as_they_were
            codes::a_claim_that_runs_out_can_be_taken_again_and_its_holder_has_lost_it
            codes::a_claim_outlives_the_expiry_of_its_code
            codes::a_claim_is_lost_when_the_browser_asks_for_another_code
            codes::after_5_wrong_tries_the_right_one_is_gone
            codes::the_right_try_of_an_expired_code_is_gone
            codes::a_try_of_another_browser_or_address_is_gone_and_not_counted
            codes::of_500_wrong_tries_at_once_5_are_compared
            codes::a_right_try_after_200_wrong_ones_is_gone
            codes::of_100_right_tries_at_once_one_gets_the_claim
            codes::an_address_cools_down_between_two_codes
            codes::of_100_openings_at_once_one_is_stored
            codes::a_browser_has_one_code_for_an_address_and_leaves_those_of_others_alone
            codes::an_address_with_3_live_codes_gets_another_when_one_dies
            codes::spent_and_exhausted_codes_do_not_count_as_live
            codes::a_code_is_sent_again_3_times_and_keeps_its_tries
            codes::a_dead_code_is_not_sent_again
            counters::a_quota_admits_its_number_and_answers_when_it_admits_one_more
            counters::what_is_over_one_quota_is_counted_under_none
            counters::what_was_refunded_can_be_spent_again
            counters::a_refund_never_goes_below_zero_nor_into_another_window
            counters::a_window_weighs_in_the_next_one_by_the_share_that_is_less_than_a_window_ago
            counters::of_200_at_once_a_quota_of_20_admits_20
            families::the_newest_token_advances_the_family_by_one
            families::a_token_replaced_within_the_grace_gives_the_same_answer_again
            families::a_token_replaced_longer_ago_than_the_grace_ends_the_family
            families::a_token_replaced_twice_ends_the_family_even_within_the_grace
            families::a_token_of_a_later_generation_is_unknown_and_changes_nothing
            families::a_family_ends_at_its_time_and_is_prolonged_by_each_advance
            families::an_ended_family_is_unknown
            families::of_100_calls_with_one_token_at_once_all_get_the_same_successor
        }
    };
}

/// One test per case of two handles that share one store.
macro_rules! shared {
    ($make:path) => {
        $crate::store::conformance::pair_cases! { $make;
            a_lease_at_one_is_held_at_the_other
            a_settlement_at_one_wakes_the_tasks_that_wait_at_the_other
            an_end_at_one_is_known_at_the_other_within_a_second
            an_end_at_one_wakes_the_tasks_that_wait_at_the_other
            two_handles_never_grant_the_same_fence
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
