//! What a settlement does to a notification. It is made where its day is settled: see [`crate::ledger::notification`].

use super::words::Settlement;
use crate::ledger::notification::{NotificationFact, NotificationState};
use crate::ledger::row::{Fact, Row, Work};
use crate::ledger::voicemail::Carried;

/// The row to write; nothing where the settlement is not one for notifications.
pub(super) fn settle(row: &Row, fact: &NotificationFact, settlement: &Settlement) -> Vec<Row> {
    let Settlement::Told { told, due, detail } = settlement else { return Vec::new() };
    let mut fact = fact.clone();
    // What one channel took is never sent there again.
    for (channel, carried) in told {
        fact.told.entry(*channel).or_insert_with(|| carried.clone());
    }
    fact.detail.clone_from(detail);
    let work = due.and_then(|due| row.work.clone().map(|work| Work { due, holder: None, ..work }));
    fact.state = match &work {
        Some(_) => NotificationState::Due,
        None if fact.told.values().all(|carried| *carried == Carried::Done) => NotificationState::Sent,
        None => NotificationState::GivenUp,
    };
    let tries = row.tries.saturating_add(1);
    vec![Row { tries, work, fact: Fact::Notification(Box::new(fact)), ..row.clone() }]
}
