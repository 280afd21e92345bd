//! The events and calls of telephony in a DynamoDB table of their own, and the websockets that are open.
//!
//! A table beside the ledger's: who may read recordings need not be who may read telephone numbers, and the streams of both wake
//! different functions.
//!
//! | module | owns |
//! |---|---|
//! | [`schema`] | the table's names, for the template |
//! | `item` | events and calls as items |
//! | `numbers` | numbers, unique and growing |
//! | `append` | storing an event and folding it |
//! | `listing` | calls and events in pages |
//! | `rebuilding` | rows made anew from events |
//! | `connections` | open websockets |
//! | [`stream`] | what the table's stream tells |
//!
//! What an event costs: reading the call's item and whether the event is there (2 read units), writing the call's item, the event
//! and its entry in the local index (a unit each up to a KiB), a share of the counter (a unit, less under load), and two more where
//! the state changes. No partition takes more than its calls bring, but for these, which are known and left: the counter, the list of
//! all calls and each state take 1,000 writes a second; with seven events to a call that is 1,000 calls a second begun, and some
//! 3,500 events a second in all. Where they are full, DynamoDB slows the writers down, and nothing is lost.
//!
//! Must never answer before the event and its call's row are written.

mod append;
mod connections;
mod item;
mod listing;
mod numbers;
mod rebuilding;
pub mod schema;
pub mod stream;

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use async_trait::async_trait;
use aws_config::SdkConfig;
use callvault_calls::call::{Call, State};
use callvault_calls::event::{CallId, NewEvent};
use callvault_calls::store::{Appended, CallStore, Page, Rebuilt, StoreError, StoredEvent};
use callvault_pipeline::ledger::{HolderId, LedgerError};
use jiff::Timestamp;
use tokio::sync::{Mutex, MutexGuard};

use crate::dynamodb::table::Table;
pub use connections::Connection;
use numbers::Numbers;

/// Locks between the tasks of this process: one for some calls each.
const LOCKS: usize = 64;

/// A store of calls in a DynamoDB table.
pub struct DynamoCalls {
    table: Table,
    numbers: Numbers,
    /// The tasks of one process wait for each other instead of paying for refused writes.
    writing: Vec<Mutex<()>>,
}

impl DynamoCalls {
    /// The store in `table`, in the region and with the credentials of `config`. Reads and writes nothing yet.
    pub fn new(
        config: &SdkConfig,
        table: impl Into<String>,
        holder: &HolderId,
        chance: Arc<dyn Fn() -> f64 + Send + Sync>,
    ) -> Self {
        let table = Table::new(config, ("CALLS_TABLE", table.into()), holder, chance);
        Self { table, numbers: Numbers::default(), writing: (0..LOCKS).map(|_| Mutex::new(())).collect() }
    }

    /// Only one task of this process at a time works on a call. `None` after a while: see `Table::soon`.
    async fn lock(&self, call: &CallId) -> Option<MutexGuard<'_, ()>> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(call);
        let n = usize::try_from(hash % self.writing.len() as u64).unwrap_or_default();
        self.table.soon(self.writing[n].lock()).await
    }
}

impl std::fmt::Debug for DynamoCalls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DynamoCalls").field("table", &self.table.name()).finish_non_exhaustive()
    }
}

#[async_trait]
impl CallStore for DynamoCalls {
    async fn append(&self, event: NewEvent, now: Timestamp) -> Result<Appended, StoreError> {
        Box::pin(self.append_event(event, now)).await
    }

    async fn calls(&self, state: Option<State>, page: Page, limit: usize) -> Result<Vec<Call>, StoreError> {
        self.calls_of(state, page, limit).await
    }

    async fn call(&self, id: &CallId) -> Result<Option<Call>, StoreError> {
        Ok(self.read(id).await?.row)
    }

    async fn events(&self, of: Option<&CallId>, after: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        match of {
            Some(call) => self.events_after(call, after, limit).await,
            None => self.events_of_none_after(after, limit).await,
        }
    }

    async fn rebuild(&self) -> Result<Rebuilt, StoreError> {
        self.rebuild_all().await
    }
}

/// What the table's adapter says, as the store says it.
fn in_our_words(error: LedgerError) -> StoreError {
    match error {
        LedgerError::Full => StoreError::Full,
        LedgerError::Unusable { detail } => StoreError::Unusable { detail },
        other => StoreError::Unusable { detail: other.to_string() },
    }
}
