//! The events and calls of telephony in a SQLite file beside the ledger's.
//!
//! A file of its own: its schema has versions of its own, it is written a thousand times a second while the ledger rests, and
//! who may read recordings need not be who may read telephone numbers. One thread owns the connection; events that come together
//! share a commit, and are answered when it is on disk.
//!
//! Must never answer before the commit, and never tell of a call's change before it or in another order.

mod schema;
mod table;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use callvault_calls::call::{Call, State};
use callvault_calls::event::{CallId, NewEvent};
use callvault_calls::store::{Appended, CallStore, Page, Rebuilt, StoreError, StoredEvent};
use jiff::Timestamp;

use crate::connection::{self, Trouble, Worker, trouble};
use table::Table;

/// Hears of every call that has a new event, after it is on disk, in the order of the commits. Must not wait for anything: all
/// events wait for it.
pub type Watcher = Arc<dyn Fn(&Call) + Send + Sync>;

/// A store of calls in a SQLite file.
pub struct SqliteCalls {
    worker: Worker,
    watcher: Option<Watcher>,
}

/// The file of calls of a ledger: beside it, with `-calls` after its name.
pub fn beside(ledger: &Path) -> PathBuf {
    let mut name = ledger.file_stem().map_or_else(|| OsString::from("callvault"), OsString::from);
    name.push("-calls");
    if let Some(extension) = ledger.extension() {
        name.push(".");
        name.push(extension);
    }
    ledger.with_file_name(name)
}

impl SqliteCalls {
    /// Opens the file, and makes it where there is none.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be used: no permission, no room, not a file of calls, a newer one.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            let unusable = |error| Trouble::Unusable(format!("{}: {error}: check LEDGER", path.display()));
            std::fs::create_dir_all(folder).map_err(unusable)?;
        }
        let mut connection = connection::open(path)?;
        schema::CALLS.migrate(&mut connection, path)?;
        Ok(Self { worker: Worker::start(connection, "calls")?, watcher: None })
    }

    /// Opens an existing file for looking at it, beside whoever works on it.
    ///
    /// # Errors
    /// [`StoreError`] when there is none, or it cannot be read.
    pub fn open_existing(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            let path = path.display();
            let detail =
                format!("there is no file of calls at {path}: has `callvault serve` received any? Check LEDGER");
            return Err(StoreError::Unusable { detail });
        }
        let connection = connection::open(path)?;
        schema::CALLS.check(&connection, path)?;
        Ok(Self { worker: Worker::start(connection, "calls")?, watcher: None })
    }

    /// The same with somebody who hears of every change that comes through it.
    #[must_use]
    pub fn watched_by(self, watcher: Watcher) -> Self {
        Self { watcher: Some(watcher), ..self }
    }

    async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Table<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.worker.ask(move |connection| job(&Table(connection))).await
    }
}

/// A SQLite error in the store's words.
fn fault(error: rusqlite::Error) -> StoreError {
    trouble(error).into()
}

#[async_trait]
impl CallStore for SqliteCalls {
    async fn append(&self, event: NewEvent, now: Timestamp) -> Result<Appended, StoreError> {
        let watcher = self.watcher.clone();
        let tell = move |appended: &Appended| {
            if let (Some(watcher), Appended::New { call: Some(call), .. }) = (watcher, appended) {
                watcher(call);
            }
        };
        self.worker.ask_and_tell(move |connection| Table(connection).append(event, now), tell).await
    }

    async fn calls(&self, state: Option<State>, page: Page, limit: usize) -> Result<Vec<Call>, StoreError> {
        self.ask(move |table| table.calls(state, page, limit)).await
    }

    async fn call(&self, id: &CallId) -> Result<Option<Call>, StoreError> {
        let id = id.clone();
        self.ask(move |table| table.call(&id)).await
    }

    async fn events(&self, of: Option<&CallId>, after: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let of = of.cloned();
        self.ask(move |table| table.events(of.as_ref(), after, limit)).await
    }

    async fn rebuild(&self) -> Result<Rebuilt, StoreError> {
        let (mut rebuilt, mut after) = (Rebuilt::default(), String::new());
        loop {
            let from = after.clone();
            let (some, last) = self.ask(move |table| table.rebuild_some(&from)).await?;
            rebuilt.events += some.events;
            rebuilt.calls += some.calls;
            rebuilt.repaired += some.repaired;
            match last {
                Some(last) => after = last.to_string(),
                None => break,
            }
        }
        rebuilt.repaired += self.ask(|table| table.remove_orphans()).await?;
        Ok(rebuilt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_beside_the_ledger_under_its_name() {
        for (ledger, calls) in [
            ("callvault.sqlite", "callvault-calls.sqlite"),
            ("/srv/ledger", "/srv/ledger-calls"),
            ("a/b.c.db", "a/b.c-calls.db"),
            ("/", "/callvault-calls"),
        ] {
            assert_eq!(beside(Path::new(ledger)), Path::new(calls), "{ledger}");
        }
    }
}
