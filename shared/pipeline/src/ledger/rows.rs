//! The ledger's methods over any store of rows that has transactions.
//!
//! A transactional store (memory, SQLite) only fetches and puts rows; everything that is decided is decided here and
//! in [`machine`], once for all of them. Each function is to be run inside one transaction.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;

use super::RowKey;
use super::machine::{self, Delivery, Narrowing, Reopening, Settlement};
use super::row::{Fact, HolderId, Row, Stage};
use super::voicemail::{FoundVoicemail, Notice};
use super::{LedgerError, Settled};
use crate::day::Day;
use crate::facts::NewConversation;
use crate::ids::{BatchJobId, ConversationId};

/// A store of rows, inside a transaction.
pub trait Rows {
    /// The row of a key.
    fn get(&self, key: &RowKey) -> Result<Option<Row>, LedgerError>;

    /// The row of a conversation that is under `day` or a day beside it.
    fn near(&self, day: Day, conversation: &ConversationId) -> Result<Option<Row>, LedgerError>;

    /// A conversation's row and those of its recordings.
    fn family(&self, conversation: &ConversationId) -> Result<Vec<Row>, LedgerError>;

    /// Adds or replaces a row.
    fn put(&mut self, row: &Row) -> Result<(), LedgerError>;

    /// Up to `limit` rows due for `stage` at `now`, longest due first.
    fn due(&self, stage: Stage, now: Timestamp, limit: usize) -> Result<Vec<Row>, LedgerError>;

    /// The parked conversations of a day.
    fn parked_conversations(&self, day: Day) -> Result<Vec<Row>, LedgerError>;

    /// What [`machine::reopen_voicemail`] makes of all rows about voicemail.
    fn voicemails_to_reopen(&self, narrowing: &Narrowing, now: Timestamp) -> Result<Vec<Row>, LedgerError>;
}

/// [`super::Ledger::plan_day`].
pub fn plan_day(rows: &mut impl Rows, day: Day, now: Timestamp) -> Result<Row, LedgerError> {
    let existing = rows.get(&RowKey::Day(day))?;
    if existing.as_ref().is_some_and(|row| machine::is_found_anew(row, now)) {
        for parked in rows.parked_conversations(day)? {
            if let Some(row) = machine::reopen(&parked, now) {
                rows.put(&row)?;
            }
        }
    }
    let row = machine::plan(day, existing.as_ref(), now);
    rows.put(&row)?;
    Ok(row)
}

/// [`super::Ledger::count_restores`].
pub fn count_restores(rows: &mut impl Rows, day: Day, wanted: u32, most: u32) -> Result<u32, LedgerError> {
    let Some(row) = rows.get(&RowKey::Day(day))? else { return Ok(0) };
    let (changed, granted) = machine::count_restores(&row, wanted, most);
    if let Some(row) = changed {
        rows.put(&row)?;
    }
    Ok(granted)
}

/// [`super::Ledger::uncount_restores`].
pub fn uncount_restores(rows: &mut impl Rows, day: Day, unused: u32) -> Result<(), LedgerError> {
    match rows.get(&RowKey::Day(day))?.and_then(|row| machine::uncount_restores(&row, unused)) {
        Some(row) => rows.put(&row),
        None => Ok(()),
    }
}

/// [`super::Ledger::known`].
pub fn known(rows: &impl Rows, day: Day, ids: &[ConversationId]) -> Result<HashSet<ConversationId>, LedgerError> {
    let mut known = HashSet::new();
    for id in ids {
        let row = rows.near(day, id)?;
        if row.is_some_and(|row| !machine::is_left_out(&row)) {
            known.insert(id.clone());
        }
    }
    Ok(known)
}

/// [`super::Ledger::add_conversations`].
pub fn add_conversations(
    rows: &mut impl Rows,
    day: Day,
    found: &[NewConversation],
    now: Timestamp,
) -> Result<u64, LedgerError> {
    let mut added = 0;
    for new in found {
        let existing = rows.near(day, &new.id)?;
        if existing.is_none_or(|row| machine::is_wanted_now(&row, new)) {
            rows.put(&machine::add(day, new, now))?;
            added += 1;
        }
    }
    Ok(added)
}

/// [`super::Ledger::claim`].
pub fn claim(
    rows: &mut impl Rows,
    stage: Stage,
    limit: usize,
    holder: &HolderId,
    lease: Duration,
    now: Timestamp,
) -> Result<Vec<Row>, LedgerError> {
    let due = rows.due(stage, now, limit)?;
    let claimed: Vec<Row> = due.iter().filter_map(|row| machine::claim(row, stage, holder, lease, now)).collect();
    for row in &claimed {
        rows.put(row)?;
    }
    Ok(claimed)
}

/// [`super::Ledger::renew`].
pub fn renew(rows: &mut impl Rows, key: &RowKey, attempt: u32, until: Timestamp) -> Result<Settled, LedgerError> {
    match rows.get(key)?.and_then(|row| machine::renew(&row, attempt, until)) {
        Some(row) => rows.put(&row).map(|()| Settled::Done),
        None => Ok(Settled::Stale),
    }
}

/// [`super::Ledger::settle`].
pub fn settle(
    rows: &mut impl Rows,
    key: &RowKey,
    attempt: u32,
    settlement: &Settlement,
    now: Timestamp,
) -> Result<Settled, LedgerError> {
    let Some(row) = rows.get(key)? else { return Ok(Settled::Stale) };
    let family = family_for(rows, &row, settlement)?;
    let (settled, changed) = machine::settle(&row, attempt, settlement, &family, now);
    for row in &changed {
        rows.put(row)?;
    }
    Ok(settled)
}

fn family_for(rows: &impl Rows, row: &Row, settlement: &Settlement) -> Result<Vec<Row>, LedgerError> {
    match (&row.fact, settlement) {
        (_, Settlement::Later { .. }) => Ok(Vec::new()),
        (Fact::Batch(batch), Settlement::Lost) => {
            let mut all = Vec::new();
            for id in &batch.conversations {
                all.extend(rows.get(&RowKey::Conversation(id.clone()))?);
            }
            Ok(all)
        }
        _ => row.key.conversation().map_or_else(|| Ok(Vec::new()), |id| rows.family(id)),
    }
}

/// [`super::Ledger::note_voicemail`].
pub fn note_voicemail(rows: &mut impl Rows, notice: &Notice, now: Timestamp) -> Result<bool, LedgerError> {
    let existing = rows.get(&RowKey::Notice(notice.conversation.clone()))?;
    match machine::note(existing.as_ref(), notice, now) {
        Some(row) => rows.put(&row).map(|()| true),
        None => Ok(false),
    }
}

/// [`super::Ledger::add_voicemails`].
pub fn add_voicemails(rows: &mut impl Rows, found: &[FoundVoicemail], now: Timestamp) -> Result<u64, LedgerError> {
    let mut added = 0;
    for one in found {
        let existing = rows.get(&RowKey::Voicemail(one.conversation.clone(), one.message.clone()))?;
        if let Some(row) = machine::meet(existing.as_ref(), one, now) {
            rows.put(&row)?;
            added += 1;
        }
    }
    Ok(added)
}

/// [`super::Ledger::submitted`].
pub fn submitted(
    rows: &mut impl Rows,
    job: &BatchJobId,
    claims: &[(ConversationId, u32)],
    first_poll: Timestamp,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let mut claimed = Vec::with_capacity(claims.len());
    for (id, attempt) in claims {
        if let Some(row) = rows.get(&RowKey::Conversation(id.clone()))? {
            claimed.push((row, *attempt));
        }
    }
    let existing = rows.get(&RowKey::Batch(job.clone()))?;
    for row in machine::submit(job, existing.as_ref(), &claimed, first_poll, now) {
        rows.put(&row)?;
    }
    Ok(())
}

/// [`super::Ledger::deliver`].
pub fn deliver(
    rows: &mut impl Rows,
    job: &BatchJobId,
    attempt: u32,
    deliveries: &[Delivery],
    now: Timestamp,
) -> Result<Settled, LedgerError> {
    let batch = rows.get(&RowKey::Batch(job.clone()))?;
    let Some(batch) = batch.filter(|row| row.attempt == attempt && !row.is_terminal()) else {
        return Ok(Settled::Stale);
    };
    for delivery in deliveries {
        let family = rows.family(&delivery.conversation)?;
        for row in machine::deliver(job, delivery, &family, now) {
            rows.put(&row)?;
        }
    }
    rows.put(&machine::finish_batch(&batch))?;
    Ok(Settled::Done)
}

/// [`super::Ledger::reopen`].
pub fn reopen(
    rows: &mut impl Rows,
    id: &ConversationId,
    reopening: &Reopening,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let reopened = machine::reopen_family(&rows.family(id)?, reopening, now);
    for row in &reopened {
        rows.put(row)?;
    }
    Ok(!reopened.is_empty())
}

/// [`super::Ledger::reopen_day`].
pub fn reopen_day(rows: &mut impl Rows, day: Day, now: Timestamp) -> Result<bool, LedgerError> {
    match rows.get(&RowKey::Day(day))?.and_then(|row| machine::reopen_day(&row, now)) {
        Some(row) => rows.put(&row).map(|()| true),
        None => Ok(false),
    }
}

/// [`super::Ledger::reopen_voicemails`].
pub fn reopen_voicemails(rows: &mut impl Rows, narrowing: &Narrowing, now: Timestamp) -> Result<u64, LedgerError> {
    let reopened = rows.voicemails_to_reopen(narrowing, now)?;
    for row in &reopened {
        rows.put(row)?;
    }
    Ok(reopened.len() as u64)
}
