//! A SQLite file: its connection and the thread that owns it. Knows transactions; knows no rows.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use callvault_calls::store::StoreError;
use callvault_pipeline::ledger::LedgerError;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use tokio::sync::oneshot;

/// Jobs that may share a transaction. More would make the first of them wait for the last.
const MOST_TOGETHER: usize = 64;

/// How long to wait for another process's transaction; ours take milliseconds.
const BUSY: Duration = Duration::from_secs(30);

/// Why a file cannot be used. Each store says it in its own words.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    /// No room left.
    Full,
    /// Anything else, as SQLite says it.
    Unusable(String),
}

impl From<Trouble> for LedgerError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Full => Self::Full,
            Trouble::Unusable(detail) => Self::Unusable { detail },
        }
    }
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Full => Self::Full,
            Trouble::Unusable(detail) => Self::Unusable { detail },
        }
    }
}

/// Told after the commit, with its outcome.
type Answer = Box<dyn FnOnce(Result<(), Trouble>) + Send>;
/// Run inside a transaction, or, when there can be none, only made to answer.
type Job = Box<dyn FnOnce(Option<&Connection>) -> Answer + Send>;

/// Opens a file, and makes it where there is none.
pub(crate) fn open(path: &Path) -> Result<Connection, Trouble> {
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
pub(crate) fn at(path: &Path, error: rusqlite::Error) -> Trouble {
    match trouble(error) {
        Trouble::Unusable(detail) => Trouble::Unusable(format!("{}: {detail}: check LEDGER", path.display())),
        Trouble::Full => Trouble::Full,
    }
}

/// A SQLite error in our words.
pub(crate) fn trouble(error: rusqlite::Error) -> Trouble {
    match &error {
        rusqlite::Error::SqliteFailure(failure, _) if failure.code == ErrorCode::DiskFull => Trouble::Full,
        _ => Trouble::Unusable(error.to_string()),
    }
}

/// The thread that owns the connection.
pub(crate) struct Worker {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts a thread of this name.
    pub(crate) fn start(connection: Connection, name: &str) -> Result<Self, Trouble> {
        let (jobs, queue) = sync_channel(MOST_TOGETHER * 4);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work(connection, &queue))
            .map_err(|error| Trouble::Unusable(error.to_string()))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Runs `job` inside a transaction and answers after the commit.
    pub(crate) async fn ask<T: Send + 'static, E: From<Trouble> + Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.ask_and_tell(job, |_| {}).await
    }

    /// The same, and `tell` hears what was committed before anybody is answered, in the order of the jobs and also when nobody
    /// waits for the answer any more. It must not wait for anything.
    pub(crate) async fn ask_and_tell<T: Send + 'static, E: From<Trouble> + Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        tell: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, E> {
        let (answer, answered) = oneshot::channel();
        self.send(Box::new(move |connection| {
            let result = connection.map_or_else(|| Err(gone().into()), |connection| in_savepoint(connection, job));
            Box::new(move |committed| {
                let outcome = committed.map_err(E::from).and(result);
                if let Ok(done) = &outcome {
                    tell(done);
                }
                // Whoever asked may have been cancelled; the commit stands.
                let _ = answer.send(outcome);
            })
        }))?;
        answered.await.unwrap_or_else(|_| Err(gone().into()))
    }

    /// The same as [`Worker::ask`] for who is not async yet.
    pub(crate) fn ask_blocking<T: Send + 'static, E: From<Trouble> + Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let (answer, answered) = sync_channel(1);
        self.send(Box::new(move |connection| {
            let result = connection.map_or_else(|| Err(gone().into()), |connection| in_savepoint(connection, job));
            Box::new(move |committed| {
                let _ = answer.send(committed.map_err(E::from).and(result));
            })
        }))?;
        answered.recv().unwrap_or_else(|_| Err(gone().into()))
    }

    fn send(&self, job: Job) -> Result<(), Trouble> {
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

fn gone() -> Trouble {
    Trouble::Unusable("its thread has ended".to_owned())
}

fn work(mut connection: Connection, queue: &Receiver<Job>) {
    while let Ok(first) = queue.recv() {
        let mut answers: Vec<Answer> = Vec::new();
        let committed = together(&mut connection, first, queue, &mut answers);
        for answer in answers {
            answer(committed.clone());
        }
    }
}

fn together(
    connection: &mut Connection,
    first: Job,
    queue: &Receiver<Job>,
    answers: &mut Vec<Answer>,
) -> Result<(), Trouble> {
    let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
    let transaction = match begun {
        Ok(transaction) => transaction,
        Err(error) => {
            answers.push(first(None));
            return Err(trouble(error));
        }
    };
    answers.push(first(Some(&transaction)));
    while answers.len() < MOST_TOGETHER {
        let Ok(next) = queue.try_recv() else { break };
        answers.push(next(Some(&transaction)));
    }
    transaction.commit().map_err(trouble)
}

/// One job that fails leaves nothing behind and does not spoil the others.
fn in_savepoint<T, E: From<Trouble>>(
    connection: &Connection,
    job: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    connection.execute_batch("SAVEPOINT job").map_err(trouble)?;
    let result = job(connection);
    let end = if result.is_ok() { "RELEASE job" } else { "ROLLBACK TO job; RELEASE job" };
    match connection.execute_batch(end) {
        Ok(()) => result,
        Err(error) => result.and(Err(trouble(error).into())),
    }
}
