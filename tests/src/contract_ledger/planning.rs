//! Days and the conversations in them.

use callvault_pipeline::day::Day;
use callvault_pipeline::facts::Intake;
use callvault_pipeline::ledger::machine::{Closing, MOST_LOOKS, MOST_RESUBMISSIONS, Next, Settlement};
use callvault_pipeline::ledger::{DayState, Ledger, Listing, Marker, Outcome, RowKey, Settled, Stage};
use callvault_pipeline::reason::Reason;

use super::steps::*;

/// Planned: due for query at once.
pub async fn a_new_day_is_due_for_query(ledger: &dyn Ledger) {
    assert!(ledger.day(day()).await.unwrap().is_none());
    let row = ledger.plan_day(day(), t(0)).await.unwrap();
    assert_eq!((row.key.clone(), row.day, row.attempt), (RowKey::Day(day()), day(), 0));
    assert_eq!(due(&row), Some((Stage::Query, t(0))));
    assert_eq!((day_fact(&row).state, day_fact(&row).generation), (DayState::Planned, 0));
    assert_eq!(ledger.day(day()).await.unwrap(), Some(row));
}

/// Also while somebody works on it.
pub async fn a_day_under_way_is_left_as_it_is(ledger: &dyn Ledger) {
    ledger.plan_day(day(), t(0)).await.unwrap();
    let claim = ledger.claimed_one(Stage::Query, 1).await;
    let again = ledger.plan_day(day(), t(2)).await.unwrap();
    assert_eq!(again, claim, "whoever holds it keeps it");
    assert_eq!(ledger.settled(&claim, Settlement::Queried, 3).await, Settled::Done);
    let open = ledger.plan_day(day(), t(4)).await.unwrap();
    assert_eq!((day_fact(&open).state, due(&open)), (DayState::Open, Some((Stage::Close, t(3)))));
}

/// What was found of it may be days old: then it is found anew before it is closed, with what is parked.
pub async fn an_open_day_is_found_anew_when_that_was_long_ago(ledger: &dyn Ledger) {
    ledger.plan_day(day(), t(0)).await.unwrap();
    ledger.found(&["a"], 0).await;
    let row = ledger.claimed_one(Stage::Submit, 0).await;
    ledger.settled(&row, Settlement::GivenUp(Reason::Archived), 1).await;
    let claim = ledger.claimed_one(Stage::Query, 1).await;
    ledger.settled(&claim, Settlement::Compared(conversation("a")), 1).await;
    assert_eq!(day_fact(&ledger.day(day()).await.unwrap().unwrap()).compared, Some(conversation("a")));
    ledger.settled(&claim, Settlement::Queried, 2).await;
    let open = ledger.plan_day(day(), t(3602)).await.unwrap();
    assert_eq!(due(&open), Some((Stage::Close, t(2))), "just queried");
    assert_eq!(ledger.state(&conversation("a")).await, "parked");
    let anew = ledger.plan_day(day(), t(3603)).await.unwrap();
    assert_eq!((day_fact(&anew).state, due(&anew)), (DayState::Planned, Some((Stage::Query, t(3603)))));
    assert_eq!(day_fact(&anew).compared, None);
    assert_eq!(ledger.state(&conversation("a")).await, "delivered");
    let claim = ledger.claimed_one(Stage::Query, 3604).await;
    ledger.settled(&claim, Settlement::Queried, 3604).await;
    let closing = ledger.claimed_one(Stage::Close, 3604).await;
    let held = ledger.plan_day(day(), t(9000)).await.unwrap();
    assert_eq!(held, closing, "whoever closes it keeps it");
}

/// One that failed and was put off is due now.
pub async fn a_waiting_day_waits_no_longer(ledger: &dyn Ledger) {
    ledger.plan_day(day(), t(0)).await.unwrap();
    let claim = ledger.claimed_one(Stage::Query, 1).await;
    ledger.settled(&claim, Settlement::Later { due: t(5000), failed: true }, 2).await;
    assert!(ledger.claimed(Stage::Query, 3).await.is_empty());
    ledger.plan_day(day(), t(3)).await.unwrap();
    assert_eq!(ledger.claimed(Stage::Query, 3).await.len(), 1);
}

async fn closed(ledger: &dyn Ledger, now: i64) {
    let claim = ledger.claimed_one(Stage::Query, now).await;
    ledger.settled(&claim, Settlement::Queried, now).await;
    let claim = ledger.claimed_one(Stage::Close, now).await;
    let manifest = object("manifest-0001.jsonl", 1);
    let closed = Settlement::Closed(Box::new(Closing::alone(day(), 1, Marker::Failure, manifest)));
    assert_eq!(ledger.settled(&claim, closed, now).await, Settled::Done);
}

/// Query, then close, and the marker and generation stay on record; a gone marker too.
pub async fn a_day_is_opened_and_closed(ledger: &dyn Ledger) {
    ledger.plan_day(day(), t(0)).await.unwrap();
    closed(ledger, 5).await;
    let row = ledger.day(day()).await.unwrap().unwrap();
    let fact = day_fact(&row).clone();
    assert!(row.is_terminal() && row.work.is_none());
    assert_eq!((fact.state, fact.generation, fact.marker), (DayState::Closed, 1, Some(Marker::Failure)));
    assert_eq!((fact.queried_at, fact.closed_at), (Some(t(5)), Some(t(5))));
    assert_eq!(fact.manifest, Some(object("manifest-0001.jsonl", 1)));
    ledger.plan_day(day(), t(6)).await.unwrap();
    let claim = ledger.claimed_one(Stage::Query, 6).await;
    assert_eq!(ledger.settled(&claim, Settlement::Reopened, 6).await, Settled::Done);
    let row = ledger.day(day()).await.unwrap().unwrap();
    assert_eq!((day_fact(&row).marker, day_fact(&row).generation), (None, 1));
    assert_eq!(ledger.settled(&claim, Settlement::Queried, 7).await, Settled::Done, "the claim goes on");
}

/// Parked conversations are looked at once more, with one more batch; what was never in one goes there at once.
pub async fn a_closed_day_is_opened_again_with_what_is_parked(ledger: &dyn Ledger) {
    ledger.plan_day(day(), t(0)).await.unwrap();
    ledger.found(&["refused", "lost", "whole"], 0).await;
    let rows = ledger.claimed(Stage::Submit, 0).await;
    for row in &rows {
        let reason = if row.key == conversation("refused") { Reason::SubmitRefused } else { Reason::Archived };
        if row.key != conversation("whole") {
            ledger.settled(row, Settlement::GivenUp(reason), 1).await;
        }
    }
    let whole = rows.iter().find(|row| row.key == conversation("whole")).unwrap();
    let settle = Next::Settle { outcome: Outcome::NoRecordings, object: None };
    ledger.settled(whole, look(settle), 1).await;
    closed(ledger, 2).await;
    let row = ledger.plan_day(day(), t(9)).await.unwrap();
    assert_eq!((day_fact(&row).state, due(&row)), (DayState::Planned, Some((Stage::Query, t(9)))));
    assert_eq!(day_fact(&row).marker, Some(Marker::Failure), "it stands until there is another");
    let refused = ledger.row(&conversation("refused")).await;
    assert_eq!((refused.state_word(), due(&refused)), ("found", Some((Stage::Submit, t(9)))));
    let lost = ledger.row(&conversation("lost")).await;
    assert_eq!((lost.state_word(), due(&lost)), ("delivered", Some((Stage::Describe, t(9)))));
    let fact = conversation_fact(&lost);
    assert_eq!((fact.looks, fact.resubmissions, fact.losses), (MOST_LOOKS, MOST_RESUBMISSIONS - 1, 0));
    assert_eq!(ledger.state(&conversation("whole")).await, "no-recordings", "what is done stays done");
}

/// An id that is none will never be one.
pub async fn what_cannot_be_asked_for_stays_parked(ledger: &dyn Ledger) {
    ledger.plan_day(day(), t(0)).await.unwrap();
    let unreadable = [new("unreadable-1", Intake::Parked(Reason::UnreadableId))];
    ledger.add_conversations(day(), &unreadable, t(0)).await.unwrap();
    closed(ledger, 1).await;
    ledger.plan_day(day(), t(2)).await.unwrap();
    assert_eq!(ledger.state(&conversation("unreadable-1")).await, "parked");
}

/// What is there is left as it is, and not counted as new.
pub async fn conversations_are_added_once(ledger: &dyn Ledger) {
    assert!(ledger.known(day(), &[id("a"), id("b")]).await.unwrap().is_empty());
    assert_eq!(ledger.found(&["a", "b", "a"], 0).await, 2);
    ledger.claimed(Stage::Submit, 1).await;
    let before = ledger.conversation(&id("a")).await.unwrap();
    assert_eq!(ledger.found(&["a", "c"], 2).await, 1);
    assert_eq!(ledger.conversation(&id("a")).await.unwrap(), before);
    let known = ledger.known(day(), &[id("a"), id("x"), id("c")]).await.unwrap();
    assert_eq!(known, [id("a"), id("c")].into());
    assert_eq!(ledger.found(&[], 3).await, 0);
    assert!(ledger.known(day(), &[]).await.unwrap().is_empty());
    assert!(ledger.conversation(&id("x")).await.unwrap().is_empty());
}

/// The day they were found for, also when another day finds them too.
pub async fn conversations_know_their_day(ledger: &dyn Ledger) {
    ledger.found(&["a"], 0).await;
    let next = day().next().unwrap();
    let before = day().date().yesterday().map(Day::new).unwrap();
    for other in [next, before] {
        assert_eq!(ledger.known(other, &[id("a"), id("b")]).await.unwrap(), [id("a")].into(), "known to {other} too");
        assert_eq!(ledger.add_conversations(other, &[new("a", Intake::Export)], t(0)).await.unwrap(), 0);
    }
    assert!(ledger.list(next, Listing::All, None, 9).await.unwrap().is_empty());
    let row = ledger.row(&conversation("a")).await;
    assert_eq!((row.day, due(&row)), (day(), Some((Stage::Submit, t(0)))));
    assert_eq!(conversation_fact(&row).facts.start, Some(t(-9000)), "facts are kept");
}

/// They are terminal from the beginning.
pub async fn left_out_and_unreadable_have_no_work(ledger: &dyn Ledger) {
    let found = [new("a", Intake::LeftOut(Reason::NoAgent)), new("b", Intake::Parked(Reason::UnreadableId))];
    assert_eq!(ledger.add_conversations(day(), &found, t(0)).await.unwrap(), 2);
    let row = ledger.row(&conversation("a")).await;
    assert_eq!((row.state_word(), row.reason(), row.work), ("left-out", Some(Reason::NoAgent), None));
    let row = ledger.row(&conversation("b")).await;
    assert_eq!((row.state_word(), row.reason(), row.work), ("parked", Some(Reason::UnreadableId), None));
    assert!(ledger.claimed(Stage::Submit, 9).await.is_empty());
}

/// However they were planned.
pub async fn days_are_listed_in_order(ledger: &dyn Ledger) {
    assert!(ledger.days().await.unwrap().is_empty());
    ledger.found(&["a"], 0).await;
    for text in ["2026-02-01", "2025-12-31", "2026-01-20"] {
        ledger.plan_day(text.parse().unwrap(), t(0)).await.unwrap();
    }
    let days: Vec<_> = ledger.days().await.unwrap().iter().map(|row| row.day.to_string()).collect();
    assert_eq!(days, ["2025-12-31", "2026-01-20", "2026-02-01"]);
}
