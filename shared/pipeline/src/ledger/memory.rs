//! The ledger in memory: for tests, and for whoever embeds the pipeline and keeps nothing.
//!
//! It passes the same contract as the ledgers that keep something.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::machine::{self, Delivery, Narrowing, Reopening, Settlement};
use super::rows::{self, Rows};
use super::turn::{self, Turn, TurnId};
use super::voicemail::{FoundVoicemail, Notice, VoicemailCounts};
use super::{Counts, Fact, HolderId, Ledger, LedgerError, Listing, Row, RowKey, Settled, Stage};
use crate::day::Day;
use crate::facts::NewConversation;
use crate::ids::{BatchJobId, ConversationId};

#[derive(Debug, Default)]
struct Table(BTreeMap<String, Row>);

impl Rows for Table {
    fn get(&self, key: &RowKey) -> Result<Option<Row>, LedgerError> {
        Ok(self.0.get(&key.to_string()).cloned())
    }

    /// Looking everywhere costs nothing here.
    fn near(&self, _day: Day, conversation: &ConversationId) -> Result<Option<Row>, LedgerError> {
        self.get(&RowKey::Conversation(conversation.clone()))
    }

    fn family(&self, conversation: &ConversationId) -> Result<Vec<Row>, LedgerError> {
        Ok(self.0.values().filter(|row| row.key.conversation() == Some(conversation)).cloned().collect())
    }

    fn put(&mut self, row: &Row) -> Result<(), LedgerError> {
        self.0.insert(row.key.to_string(), row.clone());
        Ok(())
    }

    fn due(&self, stage: Stage, now: Timestamp, limit: usize) -> Result<Vec<Row>, LedgerError> {
        let mut due: Vec<&Row> = self.0.values().filter(|row| due_for(row, stage).is_some_and(|d| d <= now)).collect();
        due.sort_by_key(|row| due_for(row, stage));
        Ok(due.into_iter().take(limit).cloned().collect())
    }

    fn parked_conversations(&self, day: Day) -> Result<Vec<Row>, LedgerError> {
        let parked =
            |row: &&Row| row.day == day && matches!(row.fact, Fact::Conversation(_)) && row.state_word() == "parked";
        Ok(self.0.values().filter(parked).cloned().collect())
    }

    fn voicemails_to_reopen(&self, narrowing: &Narrowing, now: Timestamp) -> Result<Vec<Row>, LedgerError> {
        Ok(self.0.values().filter_map(|row| machine::reopen_voicemail(row, narrowing, now)).collect())
    }
}

fn due_for(row: &Row, stage: Stage) -> Option<Timestamp> {
    row.work.as_ref().filter(|work| work.stage == stage).map(|work| work.due)
}

/// The last turn at each job, and when it is over.
type Turns = HashMap<BatchJobId, (TurnId, Timestamp)>;

/// A ledger in memory. Clones share the rows but hold claims of their own, like two processes.
#[derive(Debug, Clone)]
pub struct MemoryLedger {
    table: Arc<Mutex<Table>>,
    turns: Arc<Mutex<Turns>>,
    holder: HolderId,
}

impl MemoryLedger {
    /// An empty ledger.
    pub fn new() -> Self {
        Self { table: Arc::default(), turns: Arc::default(), holder: HolderId("memory".to_owned()) }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // A panic elsewhere leaves whole rows: every put is one insert.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryLedger {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn plan_day(&self, day: Day, now: Timestamp) -> Result<Row, LedgerError> {
        rows::plan_day(&mut *self.table(), day, now)
    }

    async fn known(&self, day: Day, ids: &[ConversationId]) -> Result<HashSet<ConversationId>, LedgerError> {
        rows::known(&*self.table(), day, ids)
    }

    async fn add_conversations(&self, day: Day, found: &[NewConversation], now: Timestamp) -> Result<u64, LedgerError> {
        rows::add_conversations(&mut *self.table(), day, found, now)
    }

    async fn count_restores(&self, day: Day, wanted: u32, most: u32) -> Result<u32, LedgerError> {
        rows::count_restores(&mut *self.table(), day, wanted, most)
    }

    async fn uncount_restores(&self, day: Day, unused: u32) -> Result<(), LedgerError> {
        rows::uncount_restores(&mut *self.table(), day, unused)
    }

    async fn claim(
        &self,
        stage: Stage,
        limit: usize,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Vec<Row>, LedgerError> {
        rows::claim(&mut *self.table(), stage, limit, &self.holder, lease, now)
    }

    async fn renew(&self, key: &RowKey, attempt: u32, until: Timestamp) -> Result<Settled, LedgerError> {
        rows::renew(&mut *self.table(), key, attempt, until)
    }

    async fn settle(
        &self,
        key: &RowKey,
        attempt: u32,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<Settled, LedgerError> {
        rows::settle(&mut *self.table(), key, attempt, &settlement, now)
    }

    async fn submitted(
        &self,
        job: &BatchJobId,
        claims: &[(ConversationId, u32)],
        first_poll: Timestamp,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        rows::submitted(&mut *self.table(), job, claims, first_poll, now)
    }

    async fn deliver(
        &self,
        job: &BatchJobId,
        attempt: u32,
        deliveries: &[Delivery],
        now: Timestamp,
    ) -> Result<Settled, LedgerError> {
        rows::deliver(&mut *self.table(), job, attempt, deliveries, now)
    }

    async fn take_turn(&self, job: &BatchJobId, now: Timestamp) -> Result<Turn, LedgerError> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = turn::taken_until(turns.get(job).map(|(_, over)| *over), now) {
            return Ok(Turn::NotBefore(until));
        }
        let id = turns.get(job).map_or(0, |(id, _)| id.0) + 1;
        turns.insert(job.clone(), (TurnId(id), now + turn::LONGEST));
        Ok(Turn::Yours(TurnId(id)))
    }

    async fn end_turn(&self, job: &BatchJobId, id: TurnId, free: Timestamp) -> Result<(), LedgerError> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, over)) = turns.get_mut(job).filter(|(taken, _)| *taken == id) {
            *over = free;
        }
        Ok(())
    }

    async fn conversation(&self, id: &ConversationId) -> Result<Vec<Row>, LedgerError> {
        self.table().family(id)
    }

    async fn day(&self, day: Day) -> Result<Option<Row>, LedgerError> {
        self.table().get(&RowKey::Day(day))
    }

    async fn days(&self) -> Result<Vec<Row>, LedgerError> {
        Ok(self.table().0.values().filter(|row| matches!(row.fact, Fact::Day(_))).cloned().collect())
    }

    async fn counts(&self, day: Day) -> Result<Counts, LedgerError> {
        let rows: Vec<Row> = self.table().0.values().filter(|row| row.day == day).cloned().collect();
        let mut counts = Counts::default();
        let families = rows.iter().filter(|row| row.key.conversation().is_some()).cloned().collect::<Vec<_>>();
        for family in families.chunk_by(|a, b| a.key.conversation() == b.key.conversation()) {
            counts.of_family(family);
        }
        Ok(counts)
    }

    async fn notifications(&self, day: Day) -> Result<Vec<Row>, LedgerError> {
        let of_day = |row: &&Row| matches!(row.key, RowKey::Notification(of, _) if of == day);
        Ok(self.table().0.values().filter(of_day).cloned().collect())
    }

    async fn outstanding(&self, day: Day) -> Result<bool, LedgerError> {
        let open = |row: &Row| row.day == day && row.key.conversation().is_some() && !row.is_terminal();
        Ok(self.table().0.values().any(open))
    }

    async fn list(
        &self,
        day: Day,
        listing: Listing,
        after: Option<&RowKey>,
        limit: usize,
    ) -> Result<Vec<Row>, LedgerError> {
        let after = after.map(ToString::to_string).unwrap_or_default();
        let wanted = |row: &&Row| {
            row.day == day
                && row.key.conversation().is_some()
                && (listing == Listing::All || row.state_word() == "parked")
        };
        let table = self.table();
        let later = table.0.iter().filter(|(key, _)| **key > after).map(|(_, row)| row);
        Ok(later.filter(wanted).take(limit).cloned().collect())
    }

    async fn reopen(&self, id: &ConversationId, reopening: &Reopening, now: Timestamp) -> Result<bool, LedgerError> {
        rows::reopen(&mut *self.table(), id, reopening, now)
    }

    async fn reopen_day(&self, day: Day, now: Timestamp) -> Result<bool, LedgerError> {
        rows::reopen_day(&mut *self.table(), day, now)
    }

    async fn next_due(&self, stage: Stage) -> Result<Option<Timestamp>, LedgerError> {
        Ok(self.table().0.values().filter_map(|row| due_for(row, stage)).min())
    }

    async fn note_voicemail(&self, notice: &Notice, now: Timestamp) -> Result<bool, LedgerError> {
        rows::note_voicemail(&mut *self.table(), notice, now)
    }

    async fn add_voicemails(&self, found: &[FoundVoicemail], now: Timestamp) -> Result<u64, LedgerError> {
        rows::add_voicemails(&mut *self.table(), found, now)
    }

    async fn voicemails(&self, conversation: &ConversationId) -> Result<Vec<Row>, LedgerError> {
        let table = self.table();
        Ok(table.0.values().filter(|row| row.key.voicemail_of() == Some(conversation)).cloned().collect())
    }

    async fn voicemail_counts(&self) -> Result<VoicemailCounts, LedgerError> {
        let mut counts = VoicemailCounts::default();
        self.table().0.values().for_each(|row| counts.add(row));
        Ok(counts)
    }

    async fn reopen_voicemails(&self, narrowing: &Narrowing, now: Timestamp) -> Result<u64, LedgerError> {
        rows::reopen_voicemails(&mut *self.table(), narrowing, now)
    }
}
