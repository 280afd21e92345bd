//! Redrive: parked work is opened again, narrowed by day, reason and conversation.
//!
//! The stages do the rest: a conversation that is opened again is looked at once more and gets one more batch, and its
//! day is planned once more, so that its marker follows. What is not named stays parked.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::day::Day;
use crate::ids::ConversationId;
use crate::ledger::machine::Reopening;
use crate::ledger::{Ledger, LedgerError, Listing, Row};
use crate::reason::Reason;

/// Rows read at a time.
const A_PAGE: usize = 100;

/// What is opened again: everything parked that all of these name.
#[derive(Debug, Clone, Default)]
pub struct Narrowing {
    /// Only of this day.
    pub day: Option<Day>,
    /// Only what is parked for this reason.
    pub reason: Option<Reason>,
    /// Only this conversation.
    pub conversation: Option<ConversationId>,
}

/// What was opened again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redriven {
    /// Conversations.
    pub conversations: u64,
    /// Conversations that stay parked: their ids cannot be asked for, or they are under way already.
    pub left: u64,
    /// The days they are of.
    pub days: BTreeSet<Day>,
}

impl Narrowing {
    fn names(&self, row: &Row) -> bool {
        row.state_word() == "parked"
            && self.day.is_none_or(|day| row.day == day)
            && (self.reason.is_none() || row.reason() == self.reason)
    }
}

/// Opens parked work again. It may be repeated.
///
/// # Errors
/// [`LedgerError`]; what was opened stays open.
pub async fn redrive(ledger: &dyn Ledger, narrowing: &Narrowing, now: Timestamp) -> Result<Redriven, LedgerError> {
    let mut done = Redriven::default();
    if let Some(id) = &narrowing.conversation {
        let family = ledger.conversation(id).await?;
        if let Some(row) = family.iter().find(|row| narrowing.names(row)) {
            reopen(ledger, id, row.day, now, &mut done).await?;
        }
    } else {
        let days = match narrowing.day {
            Some(day) => vec![day],
            None => ledger.days().await?.iter().map(|row| row.day).collect(),
        };
        for day in days {
            of_day(ledger, day, narrowing, now, &mut done).await?;
        }
    }
    for day in &done.days {
        ledger.reopen_day(*day, now).await?;
    }
    Ok(done)
}

async fn of_day(
    ledger: &dyn Ledger,
    day: Day,
    narrowing: &Narrowing,
    now: Timestamp,
    done: &mut Redriven,
) -> Result<(), LedgerError> {
    let mut after = None;
    let mut last: Option<ConversationId> = None;
    loop {
        let rows = ledger.list(day, Listing::Parked, after.as_ref(), A_PAGE).await?;
        let Some(end) = rows.last() else { return Ok(()) };
        after = Some(end.key.clone());
        for row in rows.iter().filter(|row| narrowing.names(row)) {
            // A conversation stands before its recordings: they come one after the other.
            let Some(id) = row.key.conversation().filter(|id| last.as_ref() != Some(*id)) else { continue };
            last = Some(id.clone());
            reopen(ledger, id, day, now, done).await?;
        }
    }
}

async fn reopen(
    ledger: &dyn Ledger,
    id: &ConversationId,
    day: Day,
    now: Timestamp,
    done: &mut Redriven,
) -> Result<(), LedgerError> {
    if !done.days.contains(&day) {
        // Before the first of them and after the last: whoever dies in between leaves a day that is closed anew.
        ledger.reopen_day(day, now).await?;
    }
    if ledger.reopen(id, &Reopening::Parked, now).await? {
        done.conversations += 1;
        done.days.insert(day);
    } else {
        done.left += 1;
    }
    Ok(())
}
