//! Whose claims are alive.
//!
//! Every process that works on a ledger holds a shared lock on a file beside it for as long as it lives; the operating
//! system drops the lock with the process, however it dies. Whoever gets the lock for itself alone knows that no other
//! process lives, so all claims in the ledger are dead ones.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use callvault_pipeline::ledger::LedgerError;

/// A place among the processes that work on a ledger.
pub(super) struct Ownership {
    lock: File,
    path: PathBuf,
    alone: bool,
}

impl Ownership {
    /// Takes a place. Where nobody else has one, nobody gets one before [`Ownership::share`].
    pub(super) fn take(ledger: &Path) -> Result<Self, LedgerError> {
        let path = lock_path(ledger);
        let unusable = |error: std::io::Error| unusable(&path, &error);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(unusable)?;
        }
        let lock = File::options().create(true).append(true).open(&path).map_err(unusable)?;
        let alone = match lock.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        };
        if !alone {
            lock.lock_shared().map_err(unusable)?;
        }
        Ok(Self { lock, path, alone })
    }

    /// Whether nobody else has a place, so that every claim in the ledger is a dead one.
    pub(super) fn is_alone(&self) -> bool {
        self.alone
    }

    /// Lets others in.
    pub(super) fn share(&mut self) -> Result<(), LedgerError> {
        if self.alone {
            // Between the two calls somebody else may find itself alone: we hold no claim yet.
            self.lock.unlock().and_then(|()| self.lock.lock_shared()).map_err(|error| unusable(&self.path, &error))?;
            self.alone = false;
        }
        Ok(())
    }
}

fn unusable(path: &Path, error: &std::io::Error) -> LedgerError {
    LedgerError::Unusable { detail: format!("{}: {error}: check LEDGER", path.display()) }
}

fn lock_path(ledger: &Path) -> PathBuf {
    let mut name = ledger.file_name().map_or_else(|| OsString::from("ledger"), OsString::from);
    name.push(".lock");
    ledger.with_file_name(name)
}
