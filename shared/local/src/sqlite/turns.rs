//! Turns at reading batch jobs, in a table of their own that never has more than those of the last minute.

use std::time::Duration;

use callvault_pipeline::ids::BatchJobId;
use callvault_pipeline::jobs::LEAST_GAP;
use callvault_pipeline::ledger::LedgerError;
use callvault_pipeline::ledger::turn::{self, Turn, TurnId};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::fault;

/// A turn that has been over for this long is forgotten: it keeps nobody waiting.
const KEPT: Duration = Duration::from_secs(60);

/// [`callvault_pipeline::ledger::Ledger::take_turn`].
pub(super) fn take(connection: &Connection, job: &BatchJobId, now: Timestamp) -> Result<Turn, LedgerError> {
    let mut read = connection.prepare_cached("SELECT id, over FROM turns WHERE job = ?1").map_err(fault)?;
    let last: Option<(i64, i64)> =
        read.query_row(params![job.to_string()], |row| Ok((row.get(0)?, row.get(1)?))).optional().map_err(fault)?;
    let over = last.and_then(|(_, over)| Timestamp::from_millisecond(over).ok());
    if let Some(until) = turn::taken_until(over, now) {
        return Ok(Turn::NotBefore(until));
    }
    // Begun with the clock: a turn of before its row was forgotten has another number.
    let id = last.map_or(now.as_millisecond(), |(id, _)| id + 1);
    execute(connection, "DELETE FROM turns WHERE over < ?1", params![(now - KEPT).as_millisecond()])?;
    let write = "INSERT INTO turns (job, id, over) VALUES (?1, ?2, ?3)
        ON CONFLICT DO UPDATE SET id = excluded.id, over = excluded.over";
    execute(connection, write, params![job.to_string(), id, (now + turn::LONGEST).as_millisecond()])?;
    Ok(Turn::Yours(TurnId(id.unsigned_abs())))
}

/// [`callvault_pipeline::ledger::Ledger::end_turn`].
pub(super) fn end(connection: &Connection, job: &BatchJobId, id: TurnId, free: Timestamp) -> Result<(), LedgerError> {
    let id = i64::try_from(id.0).unwrap_or(i64::MAX);
    let write = "UPDATE turns SET over = ?3 WHERE job = ?1 AND id = ?2";
    execute(connection, write, params![job.to_string(), id, free.as_millisecond()])
}

/// Ends the turns of processes that are gone. Their last reads may have been just now.
pub(super) fn end_all(connection: &Connection, now: Timestamp) -> Result<(), LedgerError> {
    let free = (now + LEAST_GAP).as_millisecond();
    execute(connection, "UPDATE turns SET over = ?1 WHERE over > ?1", params![free])
}

fn execute(connection: &Connection, sql: &str, parameters: impl rusqlite::Params) -> Result<(), LedgerError> {
    let done = connection.prepare_cached(sql).and_then(|mut statement| statement.execute(parameters));
    done.map(drop).map_err(fault)
}
