//! Counting and listing.

use callvault_pipeline::facts::Intake;
use callvault_pipeline::ledger::machine::Settlement;
use callvault_pipeline::ledger::{Ledger, Listing, Row, RowKey, Settled, Stage};
use callvault_pipeline::reason::Reason;

use super::steps::*;

fn keys(rows: &[Row]) -> Vec<String> {
    rows.iter().map(|row| row.key.to_string().trim_start_matches("conversation/").to_owned()).collect()
}

/// Three conversations whose ids begin alike, one of them parked as a whole, one with a parked recording.
async fn some(ledger: &dyn Ledger) {
    ledger.found(&["a-b", "a", "a0"], 0).await;
    let left_out = [new("b", Intake::LeftOut(Reason::NoAgent)), new("z", Intake::Parked(Reason::UnreadableId))];
    ledger.add_conversations(day(), &left_out, t(0)).await.unwrap();
    ledger.submitted_as(1, 1).await;
    let given = ["a", "a-b", "a0"].map(|name| delivery(name, vec![delivered("r", 1), delivered("q", 1)]));
    ledger.delivers(1, &given, 10).await;
    for row in ledger.claimed(Stage::Upload, 11).await {
        let settlement = match row.key.to_string().as_str() {
            "conversation/a/r" => parked(Reason::DownloadFailed),
            "conversation/a0/q" => continue,
            _ => Settlement::Stored(vec![object(&row.key.to_string(), 10)]),
        };
        ledger.settled(&row, settlement, 12).await;
    }
}

/// Up to the limit of the day, over everybody who asks; what the day is doing goes on.
pub async fn restores_are_counted_up_to_the_days_limit(ledger: &dyn Ledger) {
    assert_eq!(ledger.count_restores(day(), 1, 9).await.unwrap(), 0, "nobody knows that day");
    ledger.uncount_restores(day(), 1).await.unwrap();
    ledger.plan_day(day(), t(0)).await.unwrap();
    let claim = ledger.claimed_one(Stage::Query, 1).await;
    let counted = [(2, 5), (2, 5), (2, 5), (1, 5), (3, 7), (1, 0)];
    let mut granted = Vec::new();
    for (wanted, most) in counted {
        granted.push(ledger.count_restores(day(), wanted, most).await.unwrap());
    }
    assert_eq!(granted, [2, 2, 1, 0, 2, 0]);
    assert_eq!(ledger.settled(&claim, Settlement::Queried, 2).await, Settled::Done);
    assert_eq!(ledger.count_restores(day(), 9, 10).await.unwrap(), 3);
    // Taken back, they are there for others; more than were counted are not.
    ledger.uncount_restores(day(), 4).await.unwrap();
    assert_eq!(ledger.count_restores(day(), 9, 10).await.unwrap(), 4);
    ledger.uncount_restores(day(), 99).await.unwrap();
    assert_eq!(ledger.count_restores(day(), 99, 10).await.unwrap(), 10);
}

/// A conversation that is parked for one of its recordings is counted by that recording.
pub async fn counts_are_counted(ledger: &dyn Ledger) {
    assert_eq!(ledger.counts(day()).await.unwrap(), Default::default());
    ledger.plan_day(day(), t(0)).await.unwrap();
    some(ledger).await;
    for row in ledger.claimed(Stage::Describe, 12).await {
        ledger.settled(&row, Settlement::GivenUp(Reason::DownloadFailed), 13).await;
    }
    let counts = ledger.counts(day()).await.unwrap();
    let by = |pairs: &[(&str, u64)]| pairs.iter().map(|(word, n)| ((*word).to_owned(), *n)).collect();
    assert_eq!((counts.conversations, counts.recordings, counts.stored, counts.bytes), (5, 6, 4, 40));
    assert_eq!(counts.conversations_by_state, by(&[("delivered", 1), ("left-out", 1), ("parked", 3)]));
    assert_eq!(counts.recordings_by_state, by(&[("parked", 1), ("pending", 1), ("stored", 4)]));
    // a by its recording, a-b and z as a whole.
    assert_eq!(counts.parked_by_reason, by(&[("download-failed", 2), ("unreadable-id", 1)]));
    assert_eq!(counts.parked, 3);
}

/// Conversations and recordings count, days and batches do not.
pub async fn nothing_is_outstanding_when_all_is_terminal(ledger: &dyn Ledger) {
    ledger.plan_day(day(), t(0)).await.unwrap();
    assert!(!ledger.outstanding(day()).await.unwrap());
    let left_out = [new("b", Intake::LeftOut(Reason::NoAgent))];
    ledger.add_conversations(day(), &left_out, t(0)).await.unwrap();
    assert!(!ledger.outstanding(day()).await.unwrap());
    ledger.found(&["a"], 0).await;
    assert!(ledger.outstanding(day()).await.unwrap());
    ledger.submitted_as(1, 1).await;
    assert!(ledger.outstanding(day()).await.unwrap(), "in a job");
    ledger.delivers(1, &[delivery("a", vec![delivered("r", 1)])], 10).await;
    let upload = ledger.claimed_one(Stage::Upload, 11).await;
    ledger.settled(&upload, parked(Reason::Archived), 11).await;
    assert!(ledger.outstanding(day()).await.unwrap(), "not described");
    let claim = ledger.claimed_one(Stage::Describe, 11).await;
    ledger.settled(&claim, Settlement::GivenUp(Reason::Archived), 12).await;
    assert!(!ledger.outstanding(day()).await.unwrap());
}

/// A conversation, then its recordings, then the next one; also where one id begins like another.
pub async fn families_stay_together(ledger: &dyn Ledger) {
    some(ledger).await;
    let rows = ledger.list(day(), Listing::All, None, 100).await.unwrap();
    let mut sorted: Vec<RowKey> = rows.iter().map(|row| row.key.clone()).collect();
    sorted.sort();
    assert_eq!(rows.iter().map(|row| row.key.clone()).collect::<Vec<_>>(), sorted, "in the order of the keys");
    let expected = ["a-b/", "a-b/q", "a-b/r", "a/", "a/q", "a/r", "a0/", "a0/q", "a0/r", "b/", "z/"];
    assert_eq!(keys(&rows), expected);
    assert_eq!(keys(&ledger.conversation(&id("a")).await.unwrap()), ["a/", "a/q", "a/r"]);
}

/// Each row once, whatever the page's length.
pub async fn pages_follow_each_other(ledger: &dyn Ledger) {
    some(ledger).await;
    let whole = ledger.list(day(), Listing::All, None, 100).await.unwrap();
    for limit in [1, 2, 3, 11, 12] {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = ledger.list(day(), Listing::All, after.as_ref(), limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(last.key.clone());
            all.extend(page);
        }
        assert_eq!(all, whole);
    }
    assert!(ledger.list(day(), Listing::All, None, 0).await.unwrap().is_empty());
    let gone = RowKey::Conversation(id("a-zzz"));
    let rest = ledger.list(day(), Listing::All, Some(&gone), 1).await.unwrap();
    assert_eq!(keys(&rest), ["a/"], "the key need not exist");
}

/// Recordings and conversations.
pub async fn only_what_is_parked_is_listed(ledger: &dyn Ledger) {
    some(ledger).await;
    let parked = ledger.list(day(), Listing::Parked, None, 100).await.unwrap();
    assert_eq!(keys(&parked), ["a/r", "z/"]);
    let page = ledger.list(day(), Listing::Parked, Some(&parked[0].key), 1).await.unwrap();
    assert_eq!(keys(&page), ["z/"]);
}

/// Nothing of one day shows in another.
pub async fn days_do_not_mix(ledger: &dyn Ledger) {
    some(ledger).await;
    let next = day().next().unwrap();
    ledger.plan_day(next, t(0)).await.unwrap();
    assert!(!ledger.outstanding(next).await.unwrap());
    assert!(ledger.list(next, Listing::All, None, 100).await.unwrap().is_empty());
    assert_eq!(ledger.counts(next).await.unwrap(), Default::default());
    ledger.add_conversations(next, &[new("n", Intake::Export)], t(0)).await.unwrap();
    assert_eq!(keys(&ledger.list(next, Listing::All, None, 100).await.unwrap()), ["n/"]);
    assert_eq!(ledger.list(day(), Listing::All, None, 100).await.unwrap().len(), 11);
    assert_eq!(ledger.counts(next).await.unwrap().conversations, 1);
}
