//! What is opened again because somebody asked for it.

use callvault_pipeline::ledger::machine::{Closing, Next, Reopening, Settlement};
use callvault_pipeline::ledger::{DayState, Ledger, Marker, Outcome, Settled, Stage};
use callvault_pipeline::reason::Reason;

use super::steps::*;

fn mend(keys: &[&str], batch: bool) -> Reopening {
    Reopening::Mend { broken: keys.iter().map(|key| object(key, 1).key).collect(), batch }
}

/// `a` with two stored recordings and a metadata object, settled at 20.
async fn stored(ledger: &dyn Ledger) {
    ledger.delivered_one("a", vec![delivered("r", 1), delivered("s", 1)]).await;
    for row in ledger.claimed(Stage::Upload, 11).await {
        let name = if row.key == recording("a/r") { "r.ogg" } else { "s.ogg" };
        assert_eq!(ledger.settled(&row, Settlement::Stored(vec![object(name, 5)]), 12).await, Settled::Done);
    }
    let row = ledger.claimed_one(Stage::Describe, 13).await;
    let settle = Next::Settle { outcome: Outcome::Stored, object: Some(object("a.json", 7)) };
    assert_eq!(ledger.settled(&row, look(settle), 20).await, Settled::Done);
}

/// By its conversation alone, and once.
pub async fn what_is_parked_is_opened_again(ledger: &dyn Ledger) {
    ledger.found(&["a", "b"], 0).await;
    for row in ledger.claimed(Stage::Submit, 1).await {
        ledger.settled(&row, Settlement::GivenUp(Reason::Archived), 1).await;
    }
    assert!(ledger.reopen(&id("a"), &Reopening::Parked, t(5)).await.unwrap());
    assert!(!ledger.reopen(&id("a"), &Reopening::Parked, t(6)).await.unwrap(), "it is open already");
    assert!(!ledger.reopen(&id("x"), &Reopening::Parked, t(6)).await.unwrap(), "nobody knows it");
    let row = ledger.row(&conversation("a")).await;
    assert_eq!((row.state_word(), due(&row)), ("delivered", Some((Stage::Describe, t(5)))));
    assert_eq!(ledger.state(&conversation("b")).await, "parked");
    assert!(ledger.outstanding(day()).await.unwrap());
}

/// Only the broken one is copied again; it is known by the object that it had.
pub async fn what_is_broken_goes_into_a_batch_again(ledger: &dyn Ledger) {
    stored(ledger).await;
    assert!(ledger.reopen(&id("a"), &mend(&["r.ogg"], false), t(30)).await.unwrap());
    let row = ledger.row(&conversation("a")).await;
    assert_eq!((row.state_word(), due(&row)), ("found", Some((Stage::Submit, t(30)))));
    assert_eq!(ledger.state(&recording("a/s")).await, "stored");
    let broken = ledger.row(&recording("a/r")).await;
    assert_eq!((broken.state_word(), recording_fact(&broken).objects.len()), ("waiting", 0));
    ledger.submitted_as(2, 31).await;
    ledger.delivers(2, &[delivery("a", vec![delivered("r", 1), delivered("s", 1)])], 40).await;
    let again = ledger.claimed_one(Stage::Upload, 41).await;
    assert_eq!(again.key, recording("a/r"), "what is there is not copied again");
}

/// Without a batch: the recordings are there.
pub async fn a_broken_metadata_object_is_written_again(ledger: &dyn Ledger) {
    stored(ledger).await;
    assert!(ledger.reopen(&id("a"), &mend(&["a.json"], false), t(30)).await.unwrap());
    let row = ledger.row(&conversation("a")).await;
    assert_eq!((row.state_word(), due(&row)), ("delivered", Some((Stage::Describe, t(30)))));
    let fact = conversation_fact(&row);
    assert_eq!((&fact.object, &fact.metadata), (&None, &None));
    assert_eq!(ledger.state(&recording("a/r")).await, "stored");
}

/// Whoever works on it goes on; and what has no rows for its recordings goes into a batch all the same.
pub async fn what_is_under_way_is_not_opened(ledger: &dyn Ledger) {
    ledger.found(&["a"], 0).await;
    assert!(!ledger.reopen(&id("a"), &mend(&[], true), t(5)).await.unwrap());
    let row = ledger.claimed_one(Stage::Submit, 6).await;
    let settle = Next::Settle { outcome: Outcome::NoRecordings, object: None };
    ledger.settled(&row, look(settle), 7).await;
    assert!(ledger.reopen(&id("a"), &mend(&[], true), t(8)).await.unwrap());
    let row = ledger.row(&conversation("a")).await;
    assert_eq!((row.state_word(), due(&row)), ("found", Some((Stage::Submit, t(8)))));
}

/// A day that is not closed is left as it is.
pub async fn a_closed_day_is_planned_without_what_is_parked(ledger: &dyn Ledger) {
    assert!(!ledger.reopen_day(day(), t(0)).await.unwrap());
    ledger.plan_day(day(), t(0)).await.unwrap();
    assert!(!ledger.reopen_day(day(), t(0)).await.unwrap());
    ledger.found(&["a"], 0).await;
    let row = ledger.claimed_one(Stage::Submit, 1).await;
    ledger.settled(&row, Settlement::GivenUp(Reason::Archived), 1).await;
    let claim = ledger.claimed_one(Stage::Query, 2).await;
    ledger.settled(&claim, Settlement::Queried, 2).await;
    let claim = ledger.claimed_one(Stage::Close, 3).await;
    let manifest = object("manifest-0001.jsonl", 1);
    let closed = Settlement::Closed(Box::new(Closing::alone(day(), 1, Marker::Failure, manifest)));
    assert_eq!(ledger.settled(&claim, closed, 3).await, Settled::Done);
    assert!(ledger.reopen_day(day(), t(9)).await.unwrap());
    let row = ledger.day(day()).await.unwrap().unwrap();
    assert_eq!((day_fact(&row).state, due(&row)), (DayState::Planned, Some((Stage::Query, t(9)))));
    assert_eq!(ledger.state(&conversation("a")).await, "parked");
}
