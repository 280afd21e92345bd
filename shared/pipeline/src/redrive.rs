//! Redrive: parked work is opened again, narrowed by day, reason and conversation.
//!
//! The stages do the rest: a conversation that is opened again is looked at once more and gets one more batch, and its
//! day is planned once more, so that its marker follows. Voicemail is looked for and copied again, or its orders are
//! given again that were refused or given up. What is not named stays parked.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::day::Day;
use crate::ids::ConversationId;
pub use crate::ledger::machine::Narrowing;
use crate::ledger::machine::Reopening;
use crate::ledger::{Ledger, LedgerError, Listing, Row};

/// Rows read at a time.
const A_PAGE: usize = 100;

/// What was opened again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redriven {
    /// Conversations.
    pub conversations: u64,
    /// Conversations that stay parked: their ids cannot be asked for, or they are under way already.
    pub left: u64,
    /// The days they are of.
    pub days: BTreeSet<Day>,
    /// Voicemails, and notices of some.
    pub voicemails: u64,
}

fn is_named(row: &Row, narrowing: &Narrowing) -> bool {
    row.state_word() == "parked" && narrowing.is_of(row) && row.reason().is_some_and(|reason| narrowing.is_for(reason))
}

/// Opens parked work again. It may be repeated.
///
/// # Errors
/// [`LedgerError`]; what was opened stays open.
pub async fn redrive(ledger: &dyn Ledger, narrowing: &Narrowing, now: Timestamp) -> Result<Redriven, LedgerError> {
    let mut done = Redriven::default();
    if let Some(id) = &narrowing.conversation {
        let family = ledger.conversation(id).await?;
        if let Some(row) = family.iter().find(|row| is_named(row, narrowing)) {
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
    done.voicemails = ledger.reopen_voicemails(narrowing, now).await?;
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
        for row in rows.iter().filter(|row| is_named(row, narrowing)) {
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
