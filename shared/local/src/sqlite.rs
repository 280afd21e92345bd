//! The ledger in a SQLite file.
//!
//! One thread owns the connection. Everything asked of the ledger goes to it as a job; jobs that wait together share
//! one transaction, each in a savepoint of its own, and are answered only after the commit is on disk. The journal is
//! a write-ahead log, so `status` and `where` read while an export runs.
//!
//! Must never hand out a row without the state machine's verdict, and never answer before the commit.

mod owner;
mod schema;
mod table;
mod turns;
mod whereabouts;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use callvault_pipeline::day::Day;
use callvault_pipeline::facts::NewConversation;
use callvault_pipeline::ids::{BatchJobId, ConversationId};
use callvault_pipeline::ledger::machine::{Delivery, Narrowing, Reopening, Settlement};
use callvault_pipeline::ledger::rows::{self, Rows};
use callvault_pipeline::ledger::turn::{Turn, TurnId};
use callvault_pipeline::ledger::voicemail::{FoundVoicemail, Notice, VoicemailCounts};
use callvault_pipeline::ledger::{Counts, HolderId, Ledger, LedgerError, Listing, Row, RowKey, Settled, Stage};
use jiff::Timestamp;

use crate::connection::{self, Worker, trouble};
use owner::Ownership;
use table::Table;
use whereabouts::Whereabouts;

/// A ledger in a SQLite file.
pub struct SqliteLedger {
    worker: Worker,
    whereabouts: Arc<Whereabouts>,
    holder: HolderId,
    _ownership: Option<Ownership>,
}

impl SqliteLedger {
    /// Opens the file for working on it, and makes it where there is none. If no other process works on it, the claims
    /// that dead ones left are released at once.
    ///
    /// # Errors
    /// [`LedgerError`] when the file cannot be used: no permission, no room, not a ledger, a newer ledger.
    pub fn open(path: &Path, holder: HolderId, now: Timestamp) -> Result<Self, LedgerError> {
        let mut ownership = Ownership::take(path)?;
        let mut connection = connection::open(path)?;
        schema::LEDGER.migrate(&mut connection, path)?;
        let worker = Worker::start(connection, "ledger")?;
        let whereabouts = Arc::<Whereabouts>::default();
        if ownership.is_alone() {
            let hints = Arc::clone(&whereabouts);
            let released = worker.ask_blocking(move |connection| {
                turns::end_all(connection, now)?;
                Table::new(connection, &hints).release_all(now)
            })?;
            if released > 0 {
                tracing::info!(released, "released {released} claims of a process that is gone");
            }
        }
        ownership.share()?;
        Ok(Self { worker, whereabouts, holder, _ownership: Some(ownership) })
    }

    /// Binds the ledger to what its rows are true of (an archive, a layout, a time zone...): the first to open it says
    /// what that is, and whoever comes later must say the same. Answers the names that differ, with the value the
    /// ledger was made for.
    ///
    /// # Errors
    /// [`LedgerError`] when it cannot be read or written.
    pub async fn bind(&self, to: &[(&'static str, String)]) -> Result<Vec<(&'static str, String)>, LedgerError> {
        let to = to.to_vec();
        self.ask(move |table| table.bind(&to)).await
    }

    /// Opens an existing file for looking at it, beside whoever works on it.
    ///
    /// # Errors
    /// [`LedgerError`] when there is none, or it cannot be read.
    pub fn open_existing(path: &Path) -> Result<Self, LedgerError> {
        if !path.exists() {
            let detail = format!("there is no ledger at {}: has anything been exported yet?", path.display());
            return Err(LedgerError::Unusable { detail });
        }
        let connection = connection::open(path)?;
        schema::LEDGER.check(&connection, path)?;
        let worker = Worker::start(connection, "ledger")?;
        let holder = HolderId("reader".to_owned());
        Ok(Self { worker, whereabouts: Arc::default(), holder, _ownership: None })
    }

    async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Table<'_>) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let whereabouts = Arc::clone(&self.whereabouts);
        self.worker.ask(move |connection| job(&mut Table::new(connection, &whereabouts))).await
    }
}

/// A SQLite error in the ledger's words.
fn fault(error: rusqlite::Error) -> LedgerError {
    trouble(error).into()
}

#[async_trait]
impl Ledger for SqliteLedger {
    async fn plan_day(&self, day: Day, now: Timestamp) -> Result<Row, LedgerError> {
        self.ask(move |table| rows::plan_day(table, day, now)).await
    }

    async fn known(&self, day: Day, ids: &[ConversationId]) -> Result<HashSet<ConversationId>, LedgerError> {
        let ids = ids.to_vec();
        self.ask(move |table| rows::known(table, day, &ids)).await
    }

    async fn add_conversations(&self, day: Day, found: &[NewConversation], now: Timestamp) -> Result<u64, LedgerError> {
        let found = found.to_vec();
        self.ask(move |table| rows::add_conversations(table, day, &found, now)).await
    }

    async fn count_restores(&self, day: Day, wanted: u32, most: u32) -> Result<u32, LedgerError> {
        self.ask(move |table| rows::count_restores(table, day, wanted, most)).await
    }

    async fn uncount_restores(&self, day: Day, unused: u32) -> Result<(), LedgerError> {
        self.ask(move |table| rows::uncount_restores(table, day, unused)).await
    }

    async fn claim(
        &self,
        stage: Stage,
        limit: usize,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Vec<Row>, LedgerError> {
        let holder = self.holder.clone();
        self.ask(move |table| rows::claim(table, stage, limit, &holder, lease, now)).await
    }

    async fn renew(&self, key: &RowKey, attempt: u32, until: Timestamp) -> Result<Settled, LedgerError> {
        let key = key.clone();
        self.ask(move |table| rows::renew(table, &key, attempt, until)).await
    }

    async fn settle(
        &self,
        key: &RowKey,
        attempt: u32,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<Settled, LedgerError> {
        let key = key.clone();
        self.ask(move |table| rows::settle(table, &key, attempt, &settlement, now)).await
    }

    async fn submitted(
        &self,
        job: &BatchJobId,
        claims: &[(ConversationId, u32)],
        first_poll: Timestamp,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let (job, claims) = (job.clone(), claims.to_vec());
        self.ask(move |table| rows::submitted(table, &job, &claims, first_poll, now)).await
    }

    async fn deliver(
        &self,
        job: &BatchJobId,
        attempt: u32,
        deliveries: &[Delivery],
        now: Timestamp,
    ) -> Result<Settled, LedgerError> {
        let (job, deliveries) = (job.clone(), deliveries.to_vec());
        self.ask(move |table| rows::deliver(table, &job, attempt, &deliveries, now)).await
    }

    async fn take_turn(&self, job: &BatchJobId, now: Timestamp) -> Result<Turn, LedgerError> {
        let job = job.clone();
        self.worker.ask(move |connection| turns::take(connection, &job, now)).await
    }

    async fn end_turn(&self, job: &BatchJobId, id: TurnId, free: Timestamp) -> Result<(), LedgerError> {
        let job = job.clone();
        self.worker.ask(move |connection| turns::end(connection, &job, id, free)).await
    }

    async fn conversation(&self, id: &ConversationId) -> Result<Vec<Row>, LedgerError> {
        let id = id.clone();
        self.ask(move |table| table.family(&id)).await
    }

    async fn day(&self, day: Day) -> Result<Option<Row>, LedgerError> {
        self.ask(move |table| table.get(&RowKey::Day(day))).await
    }

    async fn days(&self) -> Result<Vec<Row>, LedgerError> {
        self.ask(|table| table.days()).await
    }

    async fn counts(&self, day: Day) -> Result<Counts, LedgerError> {
        self.ask(move |table| table.counts(day)).await
    }

    async fn notifications(&self, day: Day) -> Result<Vec<Row>, LedgerError> {
        self.ask(move |table| table.notifications(day)).await
    }

    async fn outstanding(&self, day: Day) -> Result<bool, LedgerError> {
        self.ask(move |table| table.outstanding(day)).await
    }

    async fn list(
        &self,
        day: Day,
        listing: Listing,
        after: Option<&RowKey>,
        limit: usize,
    ) -> Result<Vec<Row>, LedgerError> {
        let after = after.map(ToString::to_string);
        self.ask(move |table| table.list(day, listing, after.as_deref(), limit)).await
    }

    async fn reopen(&self, id: &ConversationId, reopening: &Reopening, now: Timestamp) -> Result<bool, LedgerError> {
        let (id, reopening) = (id.clone(), reopening.clone());
        self.ask(move |table| rows::reopen(table, &id, &reopening, now)).await
    }

    async fn reopen_day(&self, day: Day, now: Timestamp) -> Result<bool, LedgerError> {
        self.ask(move |table| rows::reopen_day(table, day, now)).await
    }

    async fn next_due(&self, stage: Stage) -> Result<Option<Timestamp>, LedgerError> {
        self.ask(move |table| table.next_due(stage)).await
    }

    async fn note_voicemail(&self, notice: &Notice, now: Timestamp) -> Result<bool, LedgerError> {
        let notice = notice.clone();
        self.ask(move |table| rows::note_voicemail(table, &notice, now)).await
    }

    async fn add_voicemails(&self, found: &[FoundVoicemail], now: Timestamp) -> Result<u64, LedgerError> {
        let found = found.to_vec();
        self.ask(move |table| rows::add_voicemails(table, &found, now)).await
    }

    async fn voicemails(&self, conversation: &ConversationId) -> Result<Vec<Row>, LedgerError> {
        let conversation = conversation.clone();
        self.ask(move |table| table.voicemails(&conversation)).await
    }

    async fn voicemail_counts(&self) -> Result<VoicemailCounts, LedgerError> {
        self.ask(|table| table.voicemail_counts()).await
    }

    async fn reopen_voicemails(&self, narrowing: &Narrowing, now: Timestamp) -> Result<u64, LedgerError> {
        let narrowing = narrowing.clone();
        self.ask(move |table| rows::reopen_voicemails(table, &narrowing, now)).await
    }
}
