//! The contract as tests: one suite for every implementation. Each case uses random keys, so cases can run concurrently
//! on one server that is never emptied.
//!
//! `conformance!(make)` expands to a test per case. `make()` is a future of `Option<(Store, Guard)>`: the guard (for
//! example a temporary folder) is dropped after the store, and `None` skips the case. `shared!(make_pair)` does the
//! same for two handles of one shared store: `Option<(Store, Store, Guard)>`.
//!
//! The time is an argument and starts in 2023: the store's clock shows the `now` of each call. A shared store may also
//! remove records by its server's expiry once their time to live is over; it keeps them for a minute longer.
//! `clocks_apart!(make_pair)` is for two handles of one store whose server's clock decides, and callers whose clocks
//! differ.

mod fixtures;

pub(super) mod codes;
pub(super) mod counters;
pub(super) mod deposits;
pub(super) mod families;
pub(super) mod fleet;
pub(super) mod notes;
pub(super) mod one_time;
pub(super) mod refreshes;
pub(super) mod skewed;

/// One test per case of one store.
macro_rules! conformance {
    ($make:path) => {
        $crate::store::conformance::cases! { $make;
            refreshes::one_caller_has_the_lease_until_it_settles_or_the_lease_runs_out
            refreshes::a_lapsed_lease_is_settled_if_no_other_caller_was_granted_it
            refreshes::a_holder_that_asks_again_is_granted_the_same_lease_again
            refreshes::a_lease_taken_over_is_doubtful_for_as_long_as_its_earlier_holder_may_be_answered
            refreshes::a_result_ends_the_doubt
            refreshes::a_late_result_is_stored_without_the_lease_unless_a_newer_one_exists
            refreshes::leases_of_two_refresh_tokens_are_independent
            refreshes::of_100_lease_calls_at_once_one_is_granted
            refreshes::a_caller_with_an_older_generation_gets_the_result_and_one_with_the_newest_gets_the_lease
            refreshes::a_settlement_without_a_result_frees_the_lease_and_keeps_the_older_result
            refreshes::a_result_is_found_until_its_keep_until
            refreshes::an_acknowledged_result_is_removed_after_its_grace_and_a_newer_one_stays
            refreshes::an_acknowledgement_never_keeps_a_result_longer
            refreshes::an_ended_session_has_no_results_and_gets_neither_a_lease_nor_a_new_result
            refreshes::a_session_that_ends_twice_is_remembered_for_the_longer_of_the_two
            refreshes::a_waiting_task_is_woken_by_the_settlement
            refreshes::a_waiting_task_is_woken_by_the_end
            refreshes::a_task_that_waits_for_a_session_without_entries_is_woken
            refreshes::a_wait_ends_after_its_time_if_nothing_happens
            notes::a_note_is_replaced_only_by_a_caller_that_knows_its_content
            notes::of_100_replacements_of_one_content_at_once_one_is_done
            notes::a_note_of_any_bytes_is_read_as_it_was_written
            notes::a_note_ends_after_its_time
            one_time::a_key_can_be_taken_once_until_it_expires
            one_time::a_key_given_back_can_be_taken_again
            one_time::of_100_takes_at_once_one_is_the_first
            one_time::of_an_owners_keys_the_newest_are_kept_and_the_oldest_are_forgotten
            codes::a_right_code_is_claimed_by_one_caller_only
            codes::a_spent_code_is_gone
            codes::a_claim_that_is_given_back_restores_the_code_and_its_tries
            codes::a_claim_that_ran_out_cannot_be_settled_and_the_code_can_be_claimed_again
            codes::a_claim_can_be_settled_after_the_expiry_of_its_code
            codes::a_claim_is_lost_when_the_browser_asks_for_another_code
            codes::after_5_wrong_tries_the_right_one_is_gone
            codes::the_right_try_of_an_expired_code_is_gone
            codes::a_try_of_another_browser_or_address_is_gone_and_not_counted
            codes::of_500_wrong_tries_at_once_5_are_compared
            codes::a_right_try_after_200_wrong_ones_is_gone
            codes::of_100_right_tries_at_once_one_gets_the_claim
            codes::an_address_cools_down_between_two_codes
            codes::of_100_openings_at_once_one_is_stored
            codes::a_browser_has_one_code_for_an_address_and_does_not_replace_those_of_other_browsers
            codes::an_address_with_3_live_codes_gets_another_when_one_expires
            codes::spent_and_exhausted_codes_do_not_count_as_live
            codes::a_code_is_sent_again_3_times_and_keeps_its_tries
            codes::an_expired_or_unknown_code_is_not_sent_again
            counters::a_quota_admits_its_number_and_answers_when_it_admits_one_more
            counters::an_event_over_one_quota_is_counted_under_none
            counters::a_refunded_event_can_be_spent_again
            counters::a_refund_never_goes_below_zero_nor_into_another_window
            counters::a_window_counts_in_the_next_one_by_the_share_that_is_less_than_a_window_ago
            counters::of_200_at_once_a_quota_of_20_admits_20
            deposits::a_deposit_is_found_until_it_ends_and_only_at_its_place
            deposits::of_an_owners_deposits_over_the_limit_those_that_end_first_are_removed
            deposits::of_100_withdrawals_at_once_one_gets_the_deposit
            deposits::an_ended_deposit_cannot_be_withdrawn
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
        $crate::store::conformance::pair_cases! { $make; fleet;
            a_lease_of_one_instance_is_held_at_the_other
            a_settlement_at_one_instance_wakes_the_tasks_that_wait_at_the_other
            an_end_at_one_is_known_at_the_other_within_a_second
            an_end_at_one_instance_wakes_the_tasks_that_wait_at_the_other
            two_handles_never_grant_the_same_fence
            codes_limits_families_notes_and_single_use_are_shared
            a_deposit_of_one_instance_is_withdrawn_at_the_other
        }
    };
}

/// One test per case of two handles whose callers' clocks differ.
macro_rules! clocks_apart {
    ($make:path) => {
        $crate::store::conformance::pair_cases! { $make; skewed;
            a_lease_is_held_whatever_the_callers_clocks_show
            results_ends_keys_and_counts_are_the_same_whatever_the_callers_clocks_show
            codes_and_families_are_the_same_whatever_the_callers_clocks_show
            times_are_answered_by_the_callers_clock
            the_difference_of_the_clocks_is_known
        }
    };
}

macro_rules! cases {
    ($make:path; $($group:ident :: $case:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $case() {
            if let Some((store, _guard)) = $make().await {
                $crate::store::conformance::$group::$case(&store).await;
            }
        }
    )*};
}

macro_rules! pair_cases {
    ($make:path; $group:ident; $($case:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $case() {
            if let Some((one, other, _guard)) = $make().await {
                $crate::store::conformance::$group::$case(&one, &other).await;
            }
        }
    )*};
}

pub(super) use {cases, clocks_apart, conformance, pair_cases, shared};
