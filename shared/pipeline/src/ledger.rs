//! The ledger: rows, and the port through which they are kept.
//!
//! A row is a fact (a day, a conversation, a batch job, a recording, a voicemail) with a state, an attempt number and, while
//! something is still to be done with it, a time when that is due. A claim is a lease: it moves the due time to the
//! lease's end, so whoever dies holding it loses it then. The attempt number fences: settling with an old one is
//! answered [`Settled::Stale`] and changes nothing.
//!
//! A refused condition is an answer, never an error. Errors are for ledgers that cannot be reached or written.

pub mod chain;
mod counts;
mod key;
pub mod machine;
pub mod memory;
pub mod notification;
mod outages;
mod row;
pub mod rows;
mod summary;
pub mod turn;
pub mod voicemail;

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

pub use counts::Counts;
pub use key::RowKey;
pub use row::{
    BatchFact, ConversationFact, ConversationState, DayFact, DayState, Fact, HolderId, Marker, Outcome, Parked,
    RecordingFact, RecordingState, Restores, Row, Stage, Steady, StoredObject, Work,
};
pub use summary::{DayLine, DayStatus};
pub use voicemail::Carried;

use crate::day::Day;
use crate::facts::NewConversation;
use crate::ids::{BatchJobId, ConversationId};
use machine::{Delivery, Narrowing, Reopening, Settlement};
use turn::{Turn, TurnId};
use voicemail::{FoundVoicemail, Notice, VoicemailCounts};

/// What became of a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is recorded.
    Done,
    /// Somebody else has claimed the row since: nothing was changed.
    Stale,
}

/// Which rows of a day are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// Conversations and their recordings, a conversation before its recordings.
    All,
    /// Only what is parked.
    Parked,
}

/// Keeps the rows. Every method is atomic as seen from the others.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Plans a day: a new one is due for query now; a closed one is due again, and one that waits to be closed since it
    /// was queried long ago ([`machine::RECENT`]), their parked conversations too; any other that is under way is left as
    /// it is but no longer waits. Returns its row.
    async fn plan_day(&self, day: Day, now: Timestamp) -> Result<Row, LedgerError>;

    /// Those of `ids` that have a row, under `day` or a day beside it, and were not left out by settings. A conversation
    /// over midnight is found for both of its days; it stands under the first that found it.
    async fn known(&self, day: Day, ids: &[ConversationId]) -> Result<HashSet<ConversationId>, LedgerError>;

    /// Adds conversations of a day; those that have a row, under this day or one beside it, are left as they are, unless settings left them out and no
    /// longer do. Returns how many were new.
    async fn add_conversations(&self, day: Day, found: &[NewConversation], now: Timestamp) -> Result<u64, LedgerError>;

    /// Has up to `wanted` archived recordings of a day counted as restored, as long as no more than `most` of the day are.
    /// Answers how many may be.
    async fn count_restores(&self, day: Day, wanted: u32, most: u32) -> Result<u32, LedgerError>;

    /// Takes back some that were counted and not restored after all.
    async fn uncount_restores(&self, day: Day, unused: u32) -> Result<(), LedgerError>;

    /// Claims up to `limit` rows due for `stage`, longest due first, for `lease`.
    async fn claim(&self, stage: Stage, limit: usize, lease: Duration, now: Timestamp)
    -> Result<Vec<Row>, LedgerError>;

    /// Makes a claim last until `until`.
    async fn renew(&self, key: &RowKey, attempt: u32, until: Timestamp) -> Result<Settled, LedgerError>;

    /// Settles a claim.
    async fn settle(
        &self,
        key: &RowKey,
        attempt: u32,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<Settled, LedgerError>;

    /// Records a batch job and its conversations (id and attempt of the claim) as submitted with it.
    async fn submitted(
        &self,
        job: &BatchJobId,
        claims: &[(ConversationId, u32)],
        first_poll: Timestamp,
        now: Timestamp,
    ) -> Result<(), LedgerError>;

    /// Records what a finished job delivered and settles the job. Conversations that meanwhile went into another job
    /// are left to that one.
    async fn deliver(
        &self,
        job: &BatchJobId,
        attempt: u32,
        deliveries: &[Delivery],
        now: Timestamp,
    ) -> Result<Settled, LedgerError>;

    /// Takes the turn to read a job, until [`turn::LONGEST`] from now at the latest. Of those who ask for it at once
    /// one gets it.
    async fn take_turn(&self, job: &BatchJobId, now: Timestamp) -> Result<Turn, LedgerError>;

    /// Ends a turn: the next may be taken at `free`. One that was over before, and taken by somebody else, is theirs.
    async fn end_turn(&self, job: &BatchJobId, id: TurnId, free: Timestamp) -> Result<(), LedgerError>;

    /// A conversation's row and those of its recordings; empty when it is not known.
    async fn conversation(&self, id: &ConversationId) -> Result<Vec<Row>, LedgerError>;

    /// A day's row.
    async fn day(&self, day: Day) -> Result<Option<Row>, LedgerError>;

    /// All days, in order.
    async fn days(&self) -> Result<Vec<Row>, LedgerError>;

    /// A day's numbers.
    async fn counts(&self, day: Day) -> Result<Counts, LedgerError>;

    /// The notifications about a day, oldest generation first.
    async fn notifications(&self, day: Day) -> Result<Vec<Row>, LedgerError>;

    /// Whether something of the day is not terminal.
    async fn outstanding(&self, day: Day) -> Result<bool, LedgerError>;

    /// Up to `limit` rows of a day after the key `after`, in the order of their keys.
    async fn list(
        &self,
        day: Day,
        listing: Listing,
        after: Option<&RowKey>,
        limit: usize,
    ) -> Result<Vec<Row>, LedgerError>;

    /// When the next row is due for `stage`; `None` when none ever is.
    async fn next_due(&self, stage: Stage) -> Result<Option<Timestamp>, LedgerError>;

    /// Opens a settled conversation again, with what of it is named broken. Whether there was anything to open: not
    /// where it is unknown, under way, or of an id that cannot be asked for.
    async fn reopen(&self, id: &ConversationId, reopening: &Reopening, now: Timestamp) -> Result<bool, LedgerError>;

    /// Plans a closed day once more and leaves what is parked in it alone. Whether it was closed.
    async fn reopen_day(&self, day: Day, now: Timestamp) -> Result<bool, LedgerError>;

    /// Records that voicemail was left in a conversation. Answers whether that was new, or makes something due again
    /// that was given up.
    async fn note_voicemail(&self, notice: &Notice, now: Timestamp) -> Result<bool, LedgerError>;

    /// Adds messages that were listed at the source; those that have a row are left as they are, unless they were given
    /// up long ago. Returns how many are new, or due again.
    async fn add_voicemails(&self, found: &[FoundVoicemail], now: Timestamp) -> Result<u64, LedgerError>;

    /// The notice about a conversation's voicemail, then its messages; empty when none is known.
    async fn voicemails(&self, conversation: &ConversationId) -> Result<Vec<Row>, LedgerError>;

    /// The numbers of all voicemail. Reads as much as there is.
    async fn voicemail_counts(&self) -> Result<VoicemailCounts, LedgerError>;

    /// Opens voicemail again that is parked, and orders that were refused or given up. How many rows; reads as much as
    /// there is.
    async fn reopen_voicemails(&self, narrowing: &Narrowing, now: Timestamp) -> Result<u64, LedgerError>;
}

/// Why a ledger cannot go on. All kinds stop the program: work goes on from the ledger's last state.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// No room left.
    #[error("the ledger has no room left on its disk: free some and run again, nothing is lost")]
    Full,
    /// It cannot be read or written.
    #[error("the ledger cannot be used ({detail})")]
    Unusable {
        /// What the store said.
        detail: String,
    },
    /// A conversation with more recordings than the store takes in one place, and no way to note even that.
    #[error("the ledger has no room for {key} ({detail})")]
    TooLarge {
        /// The row's key.
        key: String,
        /// How large it is.
        detail: String,
    },
    /// A row that cannot be read.
    #[error("the ledger's row {key} cannot be read ({detail}): was it written by a newer callvault?")]
    Unreadable {
        /// The row's key.
        key: String,
        /// Where reading failed.
        detail: String,
    },
}

impl LedgerError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full => "ledger-full",
            Self::Unusable { .. } => "ledger-unusable",
            Self::TooLarge { .. } => "ledger-row-too-large",
            Self::Unreadable { .. } => "ledger-unreadable",
        }
    }
}
