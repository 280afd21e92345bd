//! Who is told of closed days, and the chain that closings make.

use std::collections::BTreeMap;

use callvault_pipeline::ledger::chain::{self, Link};
use callvault_pipeline::ledger::machine::{Closing, Settlement};
use callvault_pipeline::ledger::notification::{Channel, NotificationFact, Summary};
use callvault_pipeline::ledger::{Carried, Fact, Ledger, Marker, Row, RowKey, Settled, Stage};

use super::steps::*;

/// What is told of a generation of the day.
pub fn summary(generation: u32) -> Summary {
    Summary {
        generation,
        marker: Marker::Failure,
        closed_at: t(1),
        conversations: 3,
        recordings: 4,
        stored: 2,
        bytes: 10,
        parked: 2,
        parked_by_reason: BTreeMap::from([("archived".to_owned(), 2)]),
        some_parked: Vec::new(),
        manifest: object("manifest", 1).key,
        chain: "c".to_owned(),
    }
}

/// The day, closed in this generation at `now`.
async fn closed(ledger: &dyn Ledger, generation: u32, announce: bool, now: i64) {
    ledger.plan_day(day(), t(now)).await.unwrap();
    let claim = ledger.claimed_one(Stage::Query, now).await;
    ledger.settled(&claim, Settlement::Queried, now).await;
    let claim = ledger.claimed_one(Stage::Close, now).await;
    let alone = Closing::alone(day(), generation, Marker::Failure, object("manifest", u64::from(generation)));
    let closing = Closing { announce: announce.then(|| summary(generation)), ..alone };
    assert_eq!(ledger.settled(&claim, Settlement::Closed(Box::new(closing)), now).await, Settled::Done);
}

fn told(told: &[(Channel, Carried)], due: Option<i64>) -> Settlement {
    let detail = due.map(|_| "why".to_owned());
    Settlement::Told { told: told.iter().cloned().collect(), due: due.map(t), detail }
}

fn fact(row: &Row) -> &NotificationFact {
    let Fact::Notification(fact) = &row.fact else { panic!("{} is no notification", row.key) };
    fact
}

async fn states(ledger: &dyn Ledger) -> Vec<(RowKey, &'static str)> {
    let rows = ledger.notifications(day()).await.unwrap();
    rows.iter().map(|row| (row.key.clone(), row.state_word())).collect()
}

/// By the write that closes the day, with what is told of it; the same generation never again.
pub async fn a_new_generation_is_announced_once(ledger: &dyn Ledger) {
    closed(ledger, 1, true, 5).await;
    closed(ledger, 1, true, 6).await;
    assert_eq!(states(ledger).await, [(RowKey::Notification(day(), 1), "due")]);
    let row = ledger.claimed_one(Stage::Notify, 7).await;
    assert_eq!((fact(&row).summary.clone(), fact(&row).since), (summary(1), t(5)));
    assert_eq!(ledger.settled(&row, told(&[(Channel::Webhook, Carried::Done)], None), 8).await, Settled::Done);
    closed(ledger, 2, true, 9).await;
    closed(ledger, 2, true, 10).await;
    let expected = [(RowKey::Notification(day(), 1), "sent"), (RowKey::Notification(day(), 2), "due")];
    assert_eq!(states(ledger).await, expected);
    assert_eq!(ledger.claimed_one(Stage::Notify, 11).await.key, RowKey::Notification(day(), 2));
}

/// Where nobody is to be told there is nothing to tell, later either.
pub async fn nobody_is_told_of_what_was_not_announced(ledger: &dyn Ledger) {
    closed(ledger, 1, false, 5).await;
    closed(ledger, 1, true, 6).await;
    assert_eq!(states(ledger).await, []);
    assert_eq!(ledger.claimed(Stage::Notify, 7).await, []);
}

/// A channel that took it stays told; the others are due again, counted.
pub async fn one_channel_after_the_other_is_told(ledger: &dyn Ledger) {
    closed(ledger, 1, true, 5).await;
    let row = ledger.claimed_one(Stage::Notify, 6).await;
    ledger.settled(&row, told(&[(Channel::Topic, Carried::Done)], Some(20)), 6).await;
    assert_eq!(ledger.claimed(Stage::Notify, 19).await, []);
    assert_eq!(ledger.next_due(Stage::Notify).await.unwrap(), Some(t(20)));
    let row = ledger.claimed_one(Stage::Notify, 20).await;
    assert_eq!((row.tries, fact(&row).detail.as_deref()), (1, Some("why")));
    let both = [(Channel::Topic, Carried::GivenUp("x".to_owned())), (Channel::Webhook, Carried::Done)];
    ledger.settled(&row, told(&both, None), 21).await;
    let row = ledger.notifications(day()).await.unwrap().remove(0);
    assert_eq!((row.state_word(), fact(&row).told[&Channel::Topic].clone()), ("sent", Carried::Done));
    assert_eq!(ledger.settled(&row, told(&[], None), 22).await, Settled::Stale, "nobody has claimed it");
}

/// What a channel never took is on record.
pub async fn what_nobody_took_is_given_up(ledger: &dyn Ledger) {
    closed(ledger, 1, true, 5).await;
    let row = ledger.claimed_one(Stage::Notify, 6).await;
    ledger.settled(&row, told(&[(Channel::Webhook, Carried::GivenUp("code".to_owned()))], None), 6).await;
    assert_eq!(states(ledger).await, [(RowKey::Notification(day(), 1), "given-up")]);
    assert_eq!(ledger.claimed(Stage::Notify, 1_000_000).await, []);
}

/// The day goes its own way beside it: found anew, waiting, closed.
pub async fn a_day_and_its_notification_do_not_touch(ledger: &dyn Ledger) {
    closed(ledger, 1, true, 5).await;
    let row = ledger.claimed_one(Stage::Notify, 6).await;
    ledger.plan_day(day(), t(7)).await.unwrap();
    let query = ledger.claimed_one(Stage::Query, 8).await;
    ledger.settled(&query, Settlement::Queried, 8).await;
    assert_eq!(ledger.settled(&row, told(&[], Some(30)), 9).await, Settled::Done, "it was claimed all the time");
    let close = ledger.claimed_one(Stage::Close, 10).await;
    ledger.settled(&close, Settlement::Later { due: t(40), failed: false }, 10).await;
    assert_eq!(ledger.claimed_one(Stage::Notify, 30).await.key, row.key);
    let close = ledger.claimed_one(Stage::Close, 40).await;
    assert_eq!(close.key, RowKey::Day(day()));
    // An abandoned claim ends with its lease.
    assert_eq!(ledger.claimed_one(Stage::Notify, 30 + 300).await.key, row.key);
    let days = ledger.days().await.unwrap();
    assert_eq!(days.iter().map(|row| row.key.clone()).collect::<Vec<_>>(), [RowKey::Day(day())]);
    assert_eq!(ledger.counts(day()).await.unwrap().conversations, 0);
    assert!(!ledger.outstanding(day()).await.unwrap());
}

/// One link for each generation, in order.
pub async fn closings_make_a_chain(ledger: &dyn Ledger) {
    closed(ledger, 1, false, 5).await;
    closed(ledger, 1, false, 6).await;
    closed(ledger, 3, false, 7).await;
    let row = ledger.day(day()).await.unwrap().unwrap();
    let link = |generation: u32| Link::new(day(), generation, &object("m", u64::from(generation)).sha256, None);
    assert_eq!(day_fact(&row).chain, [link(1), link(3)]);
    assert_eq!(chain::last_of(&[row]).unwrap().digest, link(3).digest);
}
