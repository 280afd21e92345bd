//! The port: append-only events, and the projection of their calls.
//!
//! What must hold, whatever a store is made of (`tests/src/contract_calls.rs`):
//! - An event is stored once, by its UUID, and is never changed or deleted.
//! - An event and its call's row change together: who has been answered finds both, also after a crash.
//! - A call's row is what [`crate::call::fold`] makes of its events, at any time.
//! - Numbers (`id`) are unique in a store, from 1 to 2^53 - 1 (clients are JavaScript), and of two events of a call the one that was
//!   appended later has the greater one. They need not be without gaps.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::call::{Call, State};
use crate::event::{CallId, EventType, NewEvent};

/// Once a page of events has this many bytes it takes no more: an event may have a megabyte.
pub const PAGE_BYTES: usize = 1 << 20;

/// An event, as it is stored.
#[derive(Clone)]
pub struct StoredEvent {
    /// Its number in this store.
    pub id: u64,
    /// What says that two events are the same one.
    pub uuid: Uuid,
    /// Its type.
    pub kind: EventType,
    /// The call that it belongs to.
    pub call: Option<CallId>,
    /// When it happened; where it does not say so, when it was received.
    pub at: Timestamp,
    /// The JSON object, as it was received.
    pub received: Box<RawValue>,
}

impl StoredEvent {
    /// A new event under a number, received at `now`.
    pub fn of(event: NewEvent, id: u64, now: Timestamp) -> Self {
        let NewEvent { uuid, kind, call, at, received, .. } = event;
        Self { id, uuid, kind, call, at: at.unwrap_or(now), received }
    }
}

/// Without what was received: it holds telephone numbers.
impl fmt::Debug for StoredEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, uuid, kind, call, at, .. } = self;
        let mut shown = f.debug_struct("StoredEvent");
        shown.field("id", id).field("uuid", uuid).field("kind", &kind.shown()).field("call", call).field("at", at);
        shown.finish_non_exhaustive()
    }
}

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It is stored.
    New {
        /// Its number.
        id: u64,
        /// Its call, with it; `None` for an event that belongs to no call.
        call: Option<Call>,
    },
    /// It was there already, and nothing has changed.
    Duplicate,
}

/// What a rebuild found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rebuilt {
    /// Calls that there are.
    pub calls: u64,
    /// Events that they are made of.
    pub events: u64,
    /// Rows that were not what their events say, and now are.
    pub repaired: u64,
}

/// Where a page of calls begins, and which way it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// The calls with greater numbers than this, the smallest first.
    After(u64),
    /// The calls with smaller numbers than this, the greatest first.
    Before(u64),
}

impl Page {
    /// The calls that are known longest.
    pub const OLDEST: Self = Self::After(0);

    /// The calls that became known last. No number is as great as this.
    pub const NEWEST: Self = Self::Before(1 << 53);

    /// The page that follows one that ends with this number.
    #[must_use]
    pub fn then(self, last: u64) -> Self {
        match self {
            Self::After(_) => Self::After(last),
            Self::Before(_) => Self::Before(last),
        }
    }
}

/// Keeps events and calls.
#[async_trait]
pub trait CallStore: Send + Sync {
    /// Stores an event that was received at `now`, and folds it into its call. Repeating it is safe.
    async fn append(&self, event: NewEvent, now: Timestamp) -> Result<Appended, StoreError>;

    /// Up to `limit` calls of a page, of one state or of all. May be fewer; none only where there are no more.
    async fn calls(&self, state: Option<State>, page: Page, limit: usize) -> Result<Vec<Call>, StoreError>;

    /// One call; `None` when nothing is known of it.
    async fn call(&self, id: &CallId) -> Result<Option<Call>, StoreError>;

    /// Up to `limit` events of a call, or of no call, with numbers above `after`, in the order of their numbers. May be
    /// fewer, for instance when they have more than [`PAGE_BYTES`]; none only where there are no more.
    async fn events(&self, of: Option<&CallId>, after: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError>;

    /// Makes every call's row anew from its events. May run beside appends: none is lost to it.
    async fn rebuild(&self) -> Result<Rebuilt, StoreError>;
}

/// Why a store cannot go on. Nothing that was answered is lost.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No room left.
    #[error("the store of calls has no room left: free some; what was refused is sent again by its sender")]
    Full,
    /// It cannot be read or written.
    #[error("the store of calls cannot be used ({detail})")]
    Unusable {
        /// What the store said.
        detail: String,
    },
    /// An event that is larger than the store takes.
    #[error("the event is larger than the store of calls takes ({most_bytes} bytes)")]
    TooLarge {
        /// The most it takes.
        most_bytes: usize,
    },
    /// A row that cannot be read.
    #[error("row {id} of the store of calls cannot be read ({detail}): was it written by a newer callvault?")]
    Unreadable {
        /// Its number.
        id: u64,
        /// Where reading failed.
        detail: String,
    },
}

impl StoreError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full => "calls-full",
            Self::Unusable { .. } => "calls-unusable",
            Self::TooLarge { .. } => "event-too-large",
            Self::Unreadable { .. } => "calls-unreadable",
        }
    }
}
