//! The connection and the thread that owns it. Knows transactions; knows no rows.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use callvault_pipeline::ledger::LedgerError;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use tokio::sync::oneshot;

/// Jobs that may share a transaction. More would make the first of them wait for the last.
const MOST_TOGETHER: usize = 64;

/// How long to wait for another process's transaction; ours take milliseconds.
const BUSY: Duration = Duration::from_secs(30);

/// Told after the commit, with its outcome.
type Answer = Box<dyn FnOnce(Result<(), LedgerError>) + Send>;
/// Run inside a transaction, or, when there can be none, only made to answer.
type Job = Box<dyn FnOnce(Option<&Connection>) -> Answer + Send>;

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Made where there is none.
    Create,
    /// Must be there.
    Existing,
}

/// Opens a file.
pub(super) fn open(path: &Path, mode: Mode) -> Result<Connection, LedgerError> {
    if mode == Mode::Existing && !path.exists() {
        let detail = format!("there is no ledger at {}: has anything been exported yet?", path.display());
        return Err(LedgerError::Unusable { detail });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| at(path, error))?;
    configure(&connection).map_err(|error| at(path, error))?;
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // What was answered is on disk, also after a power cut. Sharing transactions pays for it.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // 2 MiB of pages: memory stays flat, the operating system caches the rest.
    connection.pragma_update(None, "cache_size", -2048)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// An error with the file's name.
pub(super) fn at(path: &Path, error: rusqlite::Error) -> LedgerError {
    match fault(error) {
        LedgerError::Unusable { detail } => {
            LedgerError::Unusable { detail: format!("{}: {detail}: check LEDGER", path.display()) }
        }
        other => other,
    }
}

/// A SQLite error in the ledger's words.
pub(super) fn fault(error: rusqlite::Error) -> LedgerError {
    match &error {
        rusqlite::Error::SqliteFailure(failure, _) if failure.code == ErrorCode::DiskFull => LedgerError::Full,
        _ => LedgerError::Unusable { detail: error.to_string() },
    }
}

/// The thread that owns the connection.
pub(super) struct Worker {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(super) fn start(connection: Connection) -> Result<Self, LedgerError> {
        let (jobs, queue) = sync_channel(MOST_TOGETHER * 4);
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || work(connection, &queue))
            .map_err(|error| LedgerError::Unusable { detail: error.to_string() })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Runs `job` inside a transaction and answers after the commit.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (answer, answered) = oneshot::channel();
        self.post(job, answer)?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    /// The same for who is not async yet.
    pub(super) fn ask_blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (answer, answered) = sync_channel(1);
        self.send(Box::new(move |connection| {
            let result = connection.map_or_else(|| Err(gone()), |connection| in_savepoint(connection, job));
            Box::new(move |committed| {
                let _ = answer.send(committed.and(result));
            })
        }))?;
        answered.recv().unwrap_or_else(|_| Err(gone()))
    }

    fn post<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, LedgerError> + Send + 'static,
        answer: oneshot::Sender<Result<T, LedgerError>>,
    ) -> Result<(), LedgerError> {
        self.send(Box::new(move |connection| {
            let result = connection.map_or_else(|| Err(gone()), |connection| in_savepoint(connection, job));
            Box::new(move |committed| {
                // Whoever asked may have been cancelled; the commit stands.
                let _ = answer.send(committed.and(result));
            })
        }))
    }

    fn send(&self, job: Job) -> Result<(), LedgerError> {
        self.jobs.as_ref().ok_or_else(gone)?.send(job).map_err(|_| gone())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // Its last transaction is committed before the file is given up.
            let _ = thread.join();
        }
    }
}

fn gone() -> LedgerError {
    LedgerError::Unusable { detail: "its thread has ended".to_owned() }
}

fn work(mut connection: Connection, queue: &Receiver<Job>) {
    while let Ok(first) = queue.recv() {
        let mut answers: Vec<Answer> = Vec::new();
        let committed = together(&mut connection, first, queue, &mut answers);
        for answer in answers {
            answer(match &committed {
                Ok(()) => Ok(()),
                Err(LedgerError::Full) => Err(LedgerError::Full),
                Err(error) => Err(LedgerError::Unusable { detail: error.to_string() }),
            });
        }
    }
}

fn together(
    connection: &mut Connection,
    first: Job,
    queue: &Receiver<Job>,
    answers: &mut Vec<Answer>,
) -> Result<(), LedgerError> {
    let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
    let transaction = match begun {
        Ok(transaction) => transaction,
        Err(error) => {
            answers.push(first(None));
            return Err(fault(error));
        }
    };
    answers.push(first(Some(&transaction)));
    while answers.len() < MOST_TOGETHER {
        let Ok(next) = queue.try_recv() else { break };
        answers.push(next(Some(&transaction)));
    }
    transaction.commit().map_err(fault)
}

/// One job that fails leaves nothing behind and does not spoil the others.
fn in_savepoint<T>(
    connection: &Connection,
    job: impl FnOnce(&Connection) -> Result<T, LedgerError>,
) -> Result<T, LedgerError> {
    connection.execute_batch("SAVEPOINT job").map_err(fault)?;
    let result = job(connection);
    let end = if result.is_ok() { "RELEASE job" } else { "ROLLBACK TO job; RELEASE job" };
    match connection.execute_batch(end) {
        Ok(()) => result,
        Err(error) => result.and(Err(fault(error))),
    }
}
