//! What every ledger must do, whatever it is made of.
//!
//! [`ledger_contract!`](crate::ledger_contract) makes one test of every case, each with a new, empty ledger.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a contract stops the test where it is broken")]

pub mod claims;
pub mod delivery;
pub mod mending;
pub mod notifications;
pub mod numbers;
pub mod planning;
pub mod settling;
mod steps;
pub mod turns;
pub mod voicemail;

pub use steps::{Steps, object, t};

/// Makes a module of tests: every case of the contract over ledgers made by `$make`, an `async fn` that answers
/// whatever must outlive the ledger, and the ledger.
#[macro_export]
macro_rules! ledger_contract {
    ($name:ident, $make:path) => {
        mod $name {
            $crate::ledger_contract!(@each $make;
                planning: a_new_day_is_due_for_query, a_day_under_way_is_left_as_it_is, an_open_day_is_found_anew_when_that_was_long_ago,
                    a_waiting_day_waits_no_longer,
                    a_closed_day_is_opened_again_with_what_is_parked, what_cannot_be_asked_for_stays_parked,
                    conversations_are_added_once, conversations_know_their_day, left_out_and_unreadable_have_no_work,
                    days_are_listed_in_order, a_day_is_opened_and_closed;
                claims: due_rows_are_claimed_longest_due_first, a_claim_is_for_its_stage_and_limit,
                    a_claim_ends_with_its_lease, nothing_is_claimed_twice, a_renewed_claim_lasts_longer,
                    an_old_attempt_renews_and_settles_nothing, an_unclaimed_row_is_settled_by_nobody,
                    an_unknown_row_is_stale, next_due_is_the_first_of_its_stage;
                delivery: a_job_holds_what_was_claimed_for_it, a_conversation_claimed_by_others_stays_out_of_a_job,
                    a_job_of_nothing_leaves_no_row, every_result_becomes_a_recording,
                    a_superseded_job_delivers_nothing, a_job_delivers_once, equal_results_change_nothing,
                    more_results_open_a_stored_recording_again, more_results_while_it_is_copied_are_copied_too,
                    a_lost_job_gives_its_conversations_back, a_conversation_whose_jobs_are_always_lost_is_looked_at,
                    a_conversation_is_looked_at_when_nothing_is_left_to_copy;
                settling: later_counts_failures_and_not_waiting, a_source_that_is_away_is_counted_apart_from_tries,
                    a_running_job_keeps_its_counts,
                    stored_keeps_what_is_proved, a_repeated_copy_changes_nothing, parked_keeps_its_reason,
                    refused_sends_the_conversation_into_a_batch_again, refused_too_often_is_parked,
                    refused_while_it_is_looked_at_waits_for_that_look, the_last_recording_wakes_its_conversation,
                    a_look_that_waits_is_woken_at_once_when_nothing_is_left_to_copy, a_look_may_be_repeated,
                    a_look_may_resubmit, a_look_settles_only_what_is_terminal, a_look_parks_what_has_no_row,
                    giving_up_leaves_no_recording_behind, giving_up_cuts_off_no_copy,
                    a_settlement_of_another_kind_changes_nothing;
                mending: what_is_parked_is_opened_again, what_is_broken_goes_into_a_batch_again,
                    a_broken_metadata_object_is_written_again, what_is_under_way_is_not_opened,
                    a_closed_day_is_planned_without_what_is_parked;
                turns: one_at_a_time_has_the_turn, one_of_many_gets_the_turn,
                    a_turn_that_nobody_ends_is_over_by_itself;
                notifications: a_new_generation_is_announced_once, nobody_is_told_of_what_was_not_announced,
                    one_channel_after_the_other_is_told, what_nobody_took_is_given_up,
                    a_day_and_its_notification_do_not_touch, closings_make_a_chain;
                numbers: counts_are_counted, restores_are_counted_up_to_the_days_limit, nothing_is_outstanding_when_all_is_terminal, families_stay_together,
                    pages_follow_each_other, only_what_is_parked_is_listed, days_do_not_mix;
                voicemail: an_event_is_noted_once, another_leg_is_looked_for_too,
                    a_notice_waits_is_found_or_is_given_up, a_direct_one_is_out_of_reach, messages_are_added_once,
                    a_message_is_copied_then_settled, what_is_lost_or_given_up_may_come_again,
                    what_is_parked_or_refused_is_opened_again, no_day_counts_voicemail
            );
        }
    };
    (@each $make:path; $($group:ident: $($case:ident),+);+) => {
        $(mod $group {
            $(
                #[tokio::test]
                async fn $case() {
                    let (_keep, ledger) = $make().await;
                    $crate::contract_ledger::$group::$case(&ledger).await;
                }
            )+
        })+
    };
}
