//! The ledger in a DynamoDB table.
//!
//! A conversation and its recordings are one item, so everything that is decided about them is one write under one
//! condition: the version that was decided on. No transactions, and no two halves of a verdict. What is decided is the
//! state machine's; this only finds items, asks it and writes what it says.
//!
//! | module | owns |
//! |---|---|
//! | [`schema`] | the table's names, for the template |
//! | `place` | an item's keys |
//! | `stored` | rows as bytes |
//! | `lanes` | an item's entries in the indexes of what is due |
//! | `item` | an item and its attributes |
//! | `table`, `puts` | calls that read and write, lost answers, consumed units |
//! | `fault` | the SDK's errors in the ledger's words |
//! | `seen` | bounded memory of what was read |
//! | `families` | finding, changing and adding items |
//! | `claims` | what is due |
//! | `jobs` | what spans a batch and its conversations |
//! | `days` | planning, counting and listing |
//! | `notifications` | closing a day, and the notification of that |
//! | `lineage` | which refresh token of a secret was spent |
//! | `turns` | who reads a batch job |
//! | `voicemails` | rows about voicemail: adding, finding, counting |
//! | `binding` | what the ledger was made for; whether the table is one |
//!
//! What spans items is written in an order that leaves, wherever it is cut off, only what is done again by itself: a
//! batch before its conversations, deliveries before the batch is done, parked conversations before their day, a notification
//! before the day is closed that it tells of.
//!
//! The indexes are not sharded: an entry moves a few times in a recording's life, and the source's own limits (300
//! requests a minute, by default) keep that two orders of magnitude below the 1,000 writes a second of a partition.
//!
//! One hole is known and left: a conversation over midnight, found at the same instant by two processes for two days,
//! may get two items. Both look at the neighbouring days first, and each day is queried by one claim at a time.

mod binding;
mod claims;
mod days;
mod families;
pub(crate) mod fault;
pub(crate) mod item;
mod jobs;
mod lanes;
mod lineage;
mod notifications;
pub(crate) mod place;
pub(crate) mod puts;
mod reopening;
pub mod schema;
pub(crate) mod seen;
mod stored;
pub(crate) mod table;
mod turns;
mod voicemails;

use std::collections::HashSet;
use std::sync::{Arc, Mutex as Guarded};
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use callvault_pipeline::day::Day;
use callvault_pipeline::facts::NewConversation;
use callvault_pipeline::ids::{BatchJobId, ConversationId};
use callvault_pipeline::ledger::machine::{Delivery, Narrowing, Reopening, Settlement};
use callvault_pipeline::ledger::turn::{Turn, TurnId};
use callvault_pipeline::ledger::voicemail::{FoundVoicemail, Notice, VoicemailCounts};
use callvault_pipeline::ledger::{Counts, HolderId, Ledger, LedgerError, Listing, Row, RowKey, Settled, Stage};
use jiff::Timestamp;
use tokio::sync::Mutex;

use item::Item;
use place::Place;
use seen::Seen;
pub use table::Consumed;
use table::Table;

/// Items kept in memory: what is claimed at a time and what is being settled, at a few KiB each.
const ITEMS: usize = 512;

/// Conversations of which the day is remembered, at about 150 bytes each.
const PLACES: usize = 10_000;

/// Entries of which is remembered that they are not due.
const ENTRIES: usize = 5_000;

/// Writes of this process that go on at the same time, at most.
const AT_ONCE: usize = 16;

/// Locks between the tasks of this process: one for some items each.
const LOCKS: usize = 64;

/// The ledger in a DynamoDB table.
pub struct DynamoLedger {
    table: Table,
    holder: HolderId,
    /// Items as they were last read or written. A write on an outdated one is refused and decided again.
    items: Seen<Place, Item>,
    /// Where conversations stand, and whether settings left them out when that was last seen.
    places: Seen<ConversationId, (Day, bool)>,
    /// Entries that stand in an index before their time: by stage and sort key, the entry's due time and the true one.
    early: Seen<(Stage, String), (i64, i64)>,
    /// Where something of a day was last seen that is not terminal.
    open: Seen<Day, Place>,
    /// Days marked as having conversations.
    marked: Guarded<HashSet<Day>>,
    /// The tasks of one process wait for each other instead of paying for refused writes.
    writing: Vec<Mutex<()>>,
    claiming: [Mutex<()>; Stage::ALL.len()],
}

impl DynamoLedger {
    /// The ledger in `table`, in the region and with the credentials of `config`. Reads and writes nothing yet.
    pub fn new(
        config: &SdkConfig,
        table: impl Into<String>,
        holder: HolderId,
        chance: Arc<dyn Fn() -> f64 + Send + Sync>,
    ) -> Self {
        Self {
            table: Table::new(config, ("LEDGER", table.into()), &holder, chance),
            holder,
            items: Seen::new(ITEMS),
            places: Seen::new(PLACES),
            early: Seen::new(ENTRIES),
            open: Seen::new(64),
            marked: Guarded::default(),
            writing: (0..LOCKS).map(|_| Mutex::new(())).collect(),
            claiming: Default::default(),
        }
    }

    /// Read and write units consumed so far by this ledger, as DynamoDB's answers say; a refused write counts as one.
    pub fn consumed(&self) -> Consumed {
        self.table.consumed()
    }
}

impl std::fmt::Debug for DynamoLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DynamoLedger").field("table", &self.table.name()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Ledger for DynamoLedger {
    async fn plan_day(&self, day: Day, now: Timestamp) -> Result<Row, LedgerError> {
        self.plan(day, now).await
    }

    async fn known(&self, day: Day, ids: &[ConversationId]) -> Result<HashSet<ConversationId>, LedgerError> {
        self.known_of(day, ids).await
    }

    async fn add_conversations(&self, day: Day, found: &[NewConversation], now: Timestamp) -> Result<u64, LedgerError> {
        self.add(day, found, now).await
    }

    async fn count_restores(&self, day: Day, wanted: u32, most: u32) -> Result<u32, LedgerError> {
        self.grant_restores(day, wanted, most).await
    }

    async fn uncount_restores(&self, day: Day, unused: u32) -> Result<(), LedgerError> {
        self.take_back_restores(day, unused).await
    }

    async fn claim(
        &self,
        stage: Stage,
        limit: usize,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Vec<Row>, LedgerError> {
        self.claim_due(claims::Claim { stage, limit, lease, now }).await
    }

    async fn renew(&self, key: &RowKey, attempt: u32, until: Timestamp) -> Result<Settled, LedgerError> {
        self.renew_claim(key, attempt, until).await
    }

    async fn settle(
        &self,
        key: &RowKey,
        attempt: u32,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<Settled, LedgerError> {
        match (key, &settlement) {
            (RowKey::Batch(job), Settlement::Lost) => self.lose(job, attempt, now).await,
            (RowKey::Day(day), Settlement::Closed(_)) => self.close(*day, attempt, &settlement, now).await,
            _ => self.settle_claim(key, attempt, &settlement, now).await,
        }
    }

    async fn submitted(
        &self,
        job: &BatchJobId,
        claims: &[(ConversationId, u32)],
        first_poll: Timestamp,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.submit(job, claims, first_poll, now).await
    }

    async fn deliver(
        &self,
        job: &BatchJobId,
        attempt: u32,
        deliveries: &[Delivery],
        now: Timestamp,
    ) -> Result<Settled, LedgerError> {
        self.deliver_all(job, attempt, deliveries, now).await
    }

    async fn take_turn(&self, job: &BatchJobId, now: Timestamp) -> Result<Turn, LedgerError> {
        self.take(job, now).await
    }

    async fn end_turn(&self, job: &BatchJobId, id: TurnId, free: Timestamp) -> Result<(), LedgerError> {
        self.end(job, id, free).await
    }

    async fn conversation(&self, id: &ConversationId) -> Result<Vec<Row>, LedgerError> {
        let Some(place) = self.find(id).await? else { return Ok(Vec::new()) };
        Ok(self.read(&place).await?.content.rows)
    }

    async fn day(&self, day: Day) -> Result<Option<Row>, LedgerError> {
        Ok(self.read(&Place::day(day)).await?.head().cloned())
    }

    async fn days(&self) -> Result<Vec<Row>, LedgerError> {
        self.planned_days().await
    }

    async fn counts(&self, day: Day) -> Result<Counts, LedgerError> {
        self.count(day).await
    }

    async fn notifications(&self, day: Day) -> Result<Vec<Row>, LedgerError> {
        self.notifications_of(day).await
    }

    async fn outstanding(&self, day: Day) -> Result<bool, LedgerError> {
        self.has_open(day).await
    }

    async fn list(
        &self,
        day: Day,
        listing: Listing,
        after: Option<&RowKey>,
        limit: usize,
    ) -> Result<Vec<Row>, LedgerError> {
        self.list_page(day, listing, after, limit).await
    }

    async fn reopen(&self, id: &ConversationId, reopening: &Reopening, now: Timestamp) -> Result<bool, LedgerError> {
        self.reopen_conversation(id, reopening, now).await
    }

    async fn reopen_day(&self, day: Day, now: Timestamp) -> Result<bool, LedgerError> {
        self.reopen_closed(day, now).await
    }

    async fn next_due(&self, stage: Stage) -> Result<Option<Timestamp>, LedgerError> {
        self.first_due(stage).await
    }

    async fn note_voicemail(&self, notice: &Notice, now: Timestamp) -> Result<bool, LedgerError> {
        self.note(notice, now).await
    }

    async fn add_voicemails(&self, found: &[FoundVoicemail], now: Timestamp) -> Result<u64, LedgerError> {
        self.meet_voicemails(found, now).await
    }

    async fn voicemails(&self, conversation: &ConversationId) -> Result<Vec<Row>, LedgerError> {
        self.voicemails_of(conversation).await
    }

    async fn voicemail_counts(&self) -> Result<VoicemailCounts, LedgerError> {
        self.count_voicemails().await
    }

    async fn reopen_voicemails(&self, narrowing: &Narrowing, now: Timestamp) -> Result<u64, LedgerError> {
        self.reopen_all_voicemails(narrowing, now).await
    }
}
