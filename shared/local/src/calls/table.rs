//! Rows of the file, read and written inside of somebody's transaction. Decides nothing: what an event makes of a call
//! is the fold's business.

use callvault_calls::call::{Call, State};
use callvault_calls::event::{CallId, EventType, NewEvent};
use callvault_calls::store::{Appended, PAGE_BYTES, Page, Rebuilt, StoreError, StoredEvent};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::fault;

/// Calls that are made anew in one transaction: events that come meanwhile wait for no more.
const REBUILT_TOGETHER: u64 = 100;

const CALL: &str = "id, call, state, state_at, created_at, updated_at, version";
const EVENT: &str = "id, uuid, call, type, at, received";

/// Both tables.
pub(super) struct Table<'a>(pub(super) &'a Connection);

impl Table<'_> {
    /// [`callvault_calls::store::CallStore::append`].
    pub(super) fn append(&self, event: NewEvent, now: Timestamp) -> Result<Appended, StoreError> {
        let Some(id) = self.insert(&event, now)? else { return Ok(Appended::Duplicate) };
        let event = StoredEvent::of(event, id, now);
        let before = match &event.call {
            Some(call) => self.call(call)?,
            None => None,
        };
        let call = before.as_ref().map_or_else(|| Call::begun(&event), |call| Some(call.with(&event)));
        if let Some(call) = &call {
            self.put(call)?;
        }
        Ok(Appended::New { id, call })
    }

    /// The event's number, if it is a new one.
    fn insert(&self, event: &NewEvent, now: Timestamp) -> Result<Option<u64>, StoreError> {
        let sql = "INSERT INTO events (uuid, call, type, actor, at, received_at, received) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
            ON CONFLICT (call, uuid) DO NOTHING";
        let call = event.call.as_ref().map_or("", CallId::as_str);
        let (at, now) = (event.at.unwrap_or(now).to_string(), now.to_string());
        let all = params![event.uuid.as_bytes(), call, event.kind.as_str(), event.actor, at, now, event.received.get()];
        let inserted = self.0.prepare_cached(sql).and_then(|mut statement| statement.execute(all)).map_err(fault)?;
        Ok((inserted > 0).then(|| self.0.last_insert_rowid().unsigned_abs()))
    }

    fn put(&self, call: &Call) -> Result<(), StoreError> {
        let sql = "INSERT INTO calls (id, call, state, state_at, created_at, updated_at, version)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
            ON CONFLICT (call) DO UPDATE SET id = excluded.id, state = excluded.state, state_at = excluded.state_at,
                created_at = excluded.created_at, updated_at = excluded.updated_at, version = excluded.version";
        let all = params![
            number(call.id),
            call.call.as_str(),
            call.state.as_str(),
            call.state_at.map(|at| at.to_string()),
            call.created_at.to_string(),
            call.updated_at.to_string(),
            number(call.version),
        ];
        self.0.prepare_cached(sql).and_then(|mut statement| statement.execute(all)).map(drop).map_err(fault)
    }

    /// [`callvault_calls::store::CallStore::call`].
    pub(super) fn call(&self, id: &CallId) -> Result<Option<Call>, StoreError> {
        let sql = format!("SELECT {CALL} FROM calls WHERE call = ?1");
        let mut statement = self.0.prepare_cached(&sql).map_err(fault)?;
        statement.query_row(params![id.as_str()], |row| Ok(read_call(row))).optional().map_err(fault)?.transpose()
    }

    /// [`callvault_calls::store::CallStore::calls`].
    pub(super) fn calls(&self, state: Option<State>, page: Page, limit: usize) -> Result<Vec<Call>, StoreError> {
        let narrowed = if state.is_some() { "state = ?3 AND" } else { "?3 IS NULL AND" };
        let (from, paged) = match page {
            Page::After(id) => (id, "id > ?1 ORDER BY id"),
            Page::Before(id) => (id, "id < ?1 ORDER BY id DESC"),
        };
        let sql = format!("SELECT {CALL} FROM calls WHERE {narrowed} {paged} LIMIT ?2");
        let mut statement = self.0.prepare_cached(&sql).map_err(fault)?;
        let all = params![number(from), number(limit as u64), state.map(State::as_str)];
        let mut rows = statement.query(all).map_err(fault)?;
        let mut calls = Vec::new();
        while let Some(row) = rows.next().map_err(fault)? {
            calls.push(read_call(row)?);
        }
        Ok(calls)
    }

    /// [`callvault_calls::store::CallStore::events`].
    pub(super) fn events(&self, of: Option<&CallId>, after: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let sql = format!("SELECT {EVENT} FROM events WHERE call = ?1 AND id > ?2 ORDER BY id LIMIT ?3");
        let mut statement = self.0.prepare_cached(&sql).map_err(fault)?;
        let all = params![of.map_or("", CallId::as_str), number(after), number(limit as u64)];
        let mut rows = statement.query(all).map_err(fault)?;
        let (mut events, mut bytes) = (Vec::new(), 0);
        while bytes < PAGE_BYTES {
            let Some(row) = rows.next().map_err(fault)? else { break };
            let event = read_event(row)?;
            bytes += event.received.get().len();
            events.push(event);
        }
        Ok(events)
    }

    /// Some of [`callvault_calls::store::CallStore::rebuild`]: calls after this one, in the order of their ids, call by call, so that
    /// one is in memory at a time. Answers the last one, unless there are no more.
    pub(super) fn rebuild_some(&self, after: &str) -> Result<(Rebuilt, Option<CallId>), StoreError> {
        let mut rebuilt = Rebuilt::default();
        let sql = "SELECT id, uuid, call, type, at, '{}' FROM events WHERE call > ?1 ORDER BY call, id";
        let mut statement = self.0.prepare_cached(sql).map_err(fault)?;
        let mut rows = statement.query(params![after]).map_err(fault)?;
        let mut current: Option<Call> = None;
        while let Some(row) = rows.next().map_err(fault)? {
            let event = read_event(row)?;
            let begun = match current.take() {
                Some(call) if Some(&call.call) == event.call.as_ref() => Some(call.with(&event)),
                before => {
                    let last = before.as_ref().map(|call| call.call.clone());
                    self.settle(before, &mut rebuilt)?;
                    if rebuilt.calls >= REBUILT_TOGETHER {
                        return Ok((rebuilt, last));
                    }
                    Call::begun(&event)
                }
            };
            rebuilt.events += 1;
            current = begun;
        }
        self.settle(current, &mut rebuilt)?;
        Ok((rebuilt, None))
    }

    /// Removes rows of calls that have no events. How many there were.
    pub(super) fn remove_orphans(&self) -> Result<u64, StoreError> {
        let orphans = "DELETE FROM calls WHERE NOT EXISTS (SELECT 1 FROM events WHERE events.call = calls.call)";
        self.0.execute(orphans, []).map(|removed| removed as u64).map_err(fault)
    }

    /// Writes a rebuilt row where it is not what it should be. One that cannot be read is not.
    fn settle(&self, call: Option<Call>, rebuilt: &mut Rebuilt) -> Result<(), StoreError> {
        let Some(call) = call else { return Ok(()) };
        rebuilt.calls += 1;
        let kept = match self.call(&call.call) {
            Ok(kept) => kept,
            Err(StoreError::Unreadable { .. }) => None,
            Err(error) => return Err(error),
        };
        if kept.as_ref() != Some(&call) {
            // Also a row that is in the way of it: whose number that is comes later, or not at all.
            let wrong = "DELETE FROM calls WHERE call = ?1 OR id = ?2";
            self.0.execute(wrong, params![call.call.as_str(), number(call.id)]).map_err(fault)?;
            self.put(&call)?;
            rebuilt.repaired += 1;
        }
        Ok(())
    }
}

/// As SQLite counts.
fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn read_call(row: &Row<'_>) -> Result<Call, StoreError> {
    let id: i64 = row.get(0).map_err(fault)?;
    let text = |at| row.get::<_, String>(at).map_err(|error| unreadable(id, error));
    let state_at: Option<String> = row.get(3).map_err(|error| unreadable(id, error))?;
    let version: i64 = row.get(6).map_err(|error| unreadable(id, error))?;
    Ok(Call {
        id: id.unsigned_abs(),
        call: text(1)?.parse().map_err(|error| unreadable(id, error))?,
        state: text(2)?.parse().map_err(|error| unreadable(id, error))?,
        state_at: state_at.map(|at| instant(id, &at)).transpose()?,
        created_at: instant(id, &text(4)?)?,
        updated_at: instant(id, &text(5)?)?,
        version: version.unsigned_abs(),
    })
}

fn read_event(row: &Row<'_>) -> Result<StoredEvent, StoreError> {
    let id: i64 = row.get(0).map_err(fault)?;
    let text = |at| row.get::<_, String>(at).map_err(|error| unreadable(id, error));
    let uuid: [u8; 16] = row.get(1).map_err(|error| unreadable(id, error))?;
    let call = text(2)?;
    let of_a_call = (!call.is_empty()).then(|| call.parse()).transpose();
    Ok(StoredEvent {
        id: id.unsigned_abs(),
        uuid: Uuid::from_bytes(uuid),
        kind: EventType::of(&text(3)?),
        call: of_a_call.map_err(|error| unreadable(id, error))?,
        at: instant(id, &text(4)?)?,
        received: RawValue::from_string(text(5)?).map_err(|error| unreadable(id, error))?,
    })
}

fn instant(id: i64, text: &str) -> Result<Timestamp, StoreError> {
    text.parse().map_err(|error| unreadable(id, error))
}

/// Without the values: some are telephone numbers.
fn unreadable(id: i64, error: impl std::fmt::Display) -> StoreError {
    StoreError::Unreadable { id: id.unsigned_abs(), detail: error.to_string() }
}
