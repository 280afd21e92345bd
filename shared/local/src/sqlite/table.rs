//! Rows in the table `facts`: SQL in, rows out. Decides nothing.
//!
//! Conversations and recordings are in no index over all days: a conversation is found by looking into days, the likely
//! ones first, and a recording through its conversation. So a recording is always in its conversation's day.

use callvault_pipeline::day::Day;
use callvault_pipeline::ids::ConversationId;
use callvault_pipeline::ledger::machine::Narrowing;
use callvault_pipeline::ledger::rows::Rows;
use callvault_pipeline::ledger::voicemail::VoicemailCounts;
use callvault_pipeline::ledger::{Counts, Fact, HolderId, LedgerError, Listing, Row, RowKey, Stage, Work, machine};
use jiff::Timestamp;
use rusqlite::{Connection, Params, params};

use super::fault;
use super::whereabouts::Whereabouts;

/// What is in the index over all days.
const OF_NO_CONVERSATION: &str = "kind <> 'recording' AND kind <> 'conversation'";

const COLUMNS: &str = "key, day, stage, due, holder, attempt, tries, fact";

/// Leaves the day alone: naming it would rewrite the row's places in the indexes that begin with it.
const UPDATE: &str = "UPDATE facts SET state = ?4, reason = ?5, stage = ?6, due = ?7, holder = ?8, attempt = ?9,
        tries = ?10, bytes = ?11, open = ?12, fact = ?13
    WHERE key = ?1 AND kind = ?2 AND day = ?3";

const INSERT: &str =
    "INSERT INTO facts (key, kind, day, state, reason, stage, due, holder, attempt, tries, bytes, open, fact)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";

/// The table, inside a transaction.
pub(super) struct Table<'a> {
    connection: &'a Connection,
    whereabouts: &'a Whereabouts,
}

impl<'a> Table<'a> {
    pub(super) fn new(connection: &'a Connection, whereabouts: &'a Whereabouts) -> Self {
        Self { connection, whereabouts }
    }

    /// The day a conversation is in.
    fn day_of(&self, conversation: &ConversationId) -> Result<Option<String>, LedgerError> {
        let key = RowKey::Conversation(conversation.clone()).to_string();
        let is_there = |day: &str| {
            let sql = "SELECT EXISTS (SELECT 1 FROM facts WHERE day = ?1 AND key = ?2)";
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.query_row(params![day, key], |row| row.get(0))
        };
        let before = |day: &str| {
            let mut statement = self.connection.prepare_cached("SELECT max(day) FROM facts WHERE day < ?1")?;
            statement.query_row(params![day], |row| row.get(0))
        };
        self.whereabouts.find(is_there, before).map_err(fault)
    }

    fn select(&self, rest: &str, parameters: impl Params) -> Result<Vec<Row>, LedgerError> {
        let sql = format!("SELECT {COLUMNS} FROM facts {rest}");
        let mut statement = self.connection.prepare_cached(&sql).map_err(fault)?;
        let mut rows = statement.query(parameters).map_err(fault)?;
        let mut read = Vec::new();
        while let Some(row) = rows.next().map_err(fault)? {
            read.push(Stored::read(row).map_err(fault)?.into_row()?);
        }
        Ok(read)
    }

    /// Ends every claim. Returns how many there were.
    pub(super) fn release_all(&mut self, now: Timestamp) -> Result<usize, LedgerError> {
        let held = self.select("WHERE holder IS NOT NULL", [])?;
        for row in &held {
            self.put(&machine::release(row, now))?;
        }
        Ok(held.len())
    }

    /// Writes down what is not, and answers what is written otherwise.
    pub(super) fn bind(&mut self, to: &[(&'static str, String)]) -> Result<Vec<(&'static str, String)>, LedgerError> {
        let mut differing = Vec::new();
        for (name, value) in to {
            let write = "INSERT INTO bound (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
            self.connection.execute(write, params![name, value]).map_err(fault)?;
            let read = "SELECT value FROM bound WHERE name = ?1";
            let bound: String = self.connection.query_row(read, params![name], |row| row.get(0)).map_err(fault)?;
            if bound != *value {
                differing.push((*name, bound));
            }
        }
        Ok(differing)
    }

    pub(super) fn days(&self) -> Result<Vec<Row>, LedgerError> {
        self.select(&format!("WHERE {OF_NO_CONVERSATION} AND key >= 'day/' AND key < 'day0' ORDER BY key"), [])
    }

    pub(super) fn notifications(&self, day: Day) -> Result<Vec<Row>, LedgerError> {
        // '0' is the character after '/'.
        let (first, end) = (format!("notification/{day}/"), format!("notification/{day}0"));
        let rest = format!("WHERE {OF_NO_CONVERSATION} AND key >= ?1 AND key < ?2 ORDER BY key");
        self.select(&rest, params![first, end])
    }

    pub(super) fn outstanding(&self, day: Day) -> Result<bool, LedgerError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM facts WHERE day = ?1 AND open = 1)";
        let mut statement = self.connection.prepare_cached(sql).map_err(fault)?;
        statement.query_row(params![day.to_string()], |row| row.get(0)).map_err(fault)
    }

    pub(super) fn list(
        &self,
        day: Day,
        listing: Listing,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Row>, LedgerError> {
        // Conversations and recordings share this prefix; batches and days sort outside it.
        let after = after.unwrap_or("conversation/");
        let only = match listing {
            Listing::All => "",
            Listing::Parked => "AND state = 'parked'",
        };
        let rest = format!("WHERE day = ?1 AND key > ?2 AND key < 'conversation0' {only} ORDER BY key LIMIT ?3");
        self.select(&rest, params![day.to_string(), after, limit as i64])
    }

    pub(super) fn next_due(&self, stage: Stage) -> Result<Option<Timestamp>, LedgerError> {
        let mut statement =
            self.connection.prepare_cached("SELECT min(due) FROM facts WHERE stage = ?1").map_err(fault)?;
        let due: Option<i64> = statement.query_row(params![stage.as_str()], |row| row.get(0)).map_err(fault)?;
        Ok(due.and_then(|ms| Timestamp::from_millisecond(ms).ok()))
    }

    fn execute(&self, sql: &str, parameters: impl Params) -> Result<usize, LedgerError> {
        self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute(parameters)).map_err(fault)
    }

    /// The notice about a conversation's voicemail, then its messages.
    pub(super) fn voicemails(&self, conversation: &ConversationId) -> Result<Vec<Row>, LedgerError> {
        let (first, end) = (format!("voicemail/{conversation}/"), format!("voicemail/{conversation}0"));
        self.select(&format!("WHERE {OF_NO_CONVERSATION} AND key >= ?1 AND key < ?2 ORDER BY key"), params![first, end])
    }

    /// Row by row: the facts say what is counted.
    pub(super) fn voicemail_counts(&self) -> Result<VoicemailCounts, LedgerError> {
        let mut counts = VoicemailCounts::default();
        self.each_voicemail(|row| counts.add(&row))?;
        Ok(counts)
    }

    fn each_voicemail(&self, mut see: impl FnMut(Row)) -> Result<(), LedgerError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM facts WHERE {OF_NO_CONVERSATION} AND key >= 'voicemail/' AND key < 'voicemail0'"
        );
        let mut statement = self.connection.prepare_cached(&sql).map_err(fault)?;
        let mut rows = statement.query([]).map_err(fault)?;
        while let Some(row) = rows.next().map_err(fault)? {
            see(Stored::read(row).map_err(fault)?.into_row()?);
        }
        Ok(())
    }

    /// Takes a row that is in another day to its new day. A conversation goes with its recordings, and is looked for in the
    /// days beside its new one: one that was left out may be found on another day later, where its start cannot be read.
    /// Whether there was one.
    fn change_day(&self, row: &Row) -> Result<bool, LedgerError> {
        let id = match &row.key {
            RowKey::Conversation(id) => id,
            RowKey::Recording(..) => return Ok(false),
            key => {
                let sql = format!("UPDATE facts SET day = ?2 WHERE {OF_NO_CONVERSATION} AND key = ?1");
                return Ok(self.execute(&sql, params![key.to_string(), row.day.to_string()])? > 0);
            }
        };
        let (first, end) = family(id);
        for day in beside(row.day) {
            let sql = "UPDATE facts SET day = ?4 WHERE day = ?1 AND key >= ?2 AND key < ?3";
            if self.execute(sql, params![day.to_string(), first, end, row.day.to_string()])? > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Row by row: grouping would make SQLite sort the day in memory.
    pub(super) fn counts(&self, day: Day) -> Result<Counts, LedgerError> {
        let mut counts = Counts::default();
        let sql = "SELECT kind = 'recording', state, reason, bytes,
                kind = 'conversation' AND state = 'parked' AND NOT EXISTS (
                    SELECT 1 FROM facts AS r
                    WHERE r.day = f.day AND r.key > f.key AND r.key < substr(f.key, 1, length(f.key) - 1) || '0' AND r.state = 'parked')
            FROM facts AS f WHERE day = ?1 AND key > 'conversation/' AND key < 'conversation0'";
        let mut statement = self.connection.prepare_cached(sql).map_err(fault)?;
        let mut rows = statement.query(params![day.to_string()]).map_err(fault)?;
        while let Some(row) = rows.next().map_err(fault)? {
            let mut add = || -> rusqlite::Result<()> {
                let (state, reason) = (row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str_or_null()?);
                let bytes = u64::try_from(row.get::<_, i64>(3)?).unwrap_or_default();
                counts.add(row.get(0)?, state, reason, 1, u64::from(row.get::<_, bool>(4)?), bytes);
                Ok(())
            };
            add().map_err(fault)?;
        }
        Ok(counts)
    }
}

impl Rows for Table<'_> {
    fn get(&self, key: &RowKey) -> Result<Option<Row>, LedgerError> {
        let rows = match key.conversation() {
            Some(conversation) => match self.day_of(conversation)? {
                Some(day) => self.select("WHERE day = ?1 AND key = ?2", params![day, key.to_string()]),
                None => return Ok(None),
            },
            None => self.select(&format!("WHERE {OF_NO_CONVERSATION} AND key = ?1"), params![key.to_string()]),
        };
        Ok(rows?.pop())
    }

    fn near(&self, day: Day, conversation: &ConversationId) -> Result<Option<Row>, LedgerError> {
        let key = RowKey::Conversation(conversation.clone()).to_string();
        for day in std::iter::once(day).chain(beside(day)) {
            let found = self.select("WHERE day = ?1 AND key = ?2", params![day.to_string(), key])?.pop();
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn family(&self, conversation: &ConversationId) -> Result<Vec<Row>, LedgerError> {
        let Some(day) = self.day_of(conversation)? else { return Ok(Vec::new()) };
        let (first, end) = family(conversation);
        self.select("WHERE day = ?1 AND key >= ?2 AND key < ?3 ORDER BY key", params![day, first, end])
    }

    fn put(&mut self, row: &Row) -> Result<(), LedgerError> {
        let (kind, open) = match &row.fact {
            Fact::Day(_) => ("day", false),
            Fact::Batch(_) => ("batch", false),
            Fact::Conversation(_) => ("conversation", !row.is_terminal()),
            Fact::Recording(_) => ("recording", !row.is_terminal()),
            // Open for nobody's day.
            Fact::Notice(_) => ("notice", false),
            Fact::Voicemail(_) => ("voicemail", false),
            Fact::Notification(_) => ("notification", false),
        };
        let fact = serde_json::to_string(&row.fact)
            .map_err(|error| LedgerError::Unreadable { key: row.key.to_string(), detail: error.to_string() })?;
        let work = row.work.as_ref();
        let (key, day) = (row.key.to_string(), row.day.to_string());
        let (state, reason) = (row.state_word(), row.reason().map(|reason| reason.code()));
        let (stage, due) = (work.map(|work| work.stage.as_str()), work.map(|work| milliseconds(work.due)));
        let holder = work.and_then(|work| work.holder.as_ref()).map(|holder| holder.0.as_str());
        let bytes = i64::try_from(row.bytes()).unwrap_or(i64::MAX);
        let (attempt, tries) = (row.attempt, row.tries);
        let all = params![key, kind, day, state, reason, stage, due, holder, attempt, tries, bytes, open, fact];
        if self.execute(UPDATE, all)? > 0 || self.change_day(row)? && self.execute(UPDATE, all)? > 0 {
            return Ok(());
        }
        self.execute(INSERT, all).map(drop)
    }

    fn due(&self, stage: Stage, now: Timestamp, limit: usize) -> Result<Vec<Row>, LedgerError> {
        self.select(
            "WHERE stage = ?1 AND due <= ?2 ORDER BY due LIMIT ?3",
            params![stage.as_str(), now.as_millisecond(), limit as i64],
        )
    }

    fn parked_conversations(&self, day: Day) -> Result<Vec<Row>, LedgerError> {
        self.select("WHERE day = ?1 AND state = 'parked' AND kind = 'conversation'", params![day.to_string()])
    }

    fn voicemails_to_reopen(&self, narrowing: &Narrowing, now: Timestamp) -> Result<Vec<Row>, LedgerError> {
        let mut reopened = Vec::new();
        self.each_voicemail(|row| reopened.extend(machine::reopen_voicemail(&row, narrowing, now)))?;
        Ok(reopened)
    }
}

/// The days on both sides of a day.
fn beside(day: Day) -> impl Iterator<Item = Day> {
    [day.previous(), day.next()].into_iter().flatten()
}

/// The first key of a conversation and its recordings, and the one after the last.
fn family(conversation: &ConversationId) -> (String, String) {
    // '0' is the character after '/': everything that begins with the conversation's key.
    (format!("conversation/{conversation}/"), format!("conversation/{conversation}0"))
}

/// Rounded up: a row is never due before its time.
fn milliseconds(due: Timestamp) -> i64 {
    let whole = due.as_nanosecond().div_euclid(1_000_000);
    (whole + i128::from(due.subsec_nanosecond() % 1_000_000 > 0)) as i64
}

/// A row as SQLite gives it.
struct Stored {
    key: String,
    day: String,
    stage: Option<String>,
    due: Option<i64>,
    holder: Option<String>,
    attempt: u32,
    tries: u32,
    fact: String,
}

impl Stored {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            key: row.get(0)?,
            day: row.get(1)?,
            stage: row.get(2)?,
            due: row.get(3)?,
            holder: row.get(4)?,
            attempt: row.get(5)?,
            tries: row.get(6)?,
            fact: row.get(7)?,
        })
    }

    fn into_row(self) -> Result<Row, LedgerError> {
        let unreadable = |detail: String| LedgerError::Unreadable { key: self.key.clone(), detail };
        let work = match (&self.stage, self.due) {
            (Some(stage), Some(due)) => Some(Work {
                stage: Stage::ALL
                    .into_iter()
                    .find(|known| known.as_str() == stage)
                    .ok_or_else(|| unreadable(format!("unknown stage `{stage}`")))?,
                due: Timestamp::from_millisecond(due).map_err(|error| unreadable(error.to_string()))?,
                holder: self.holder.clone().map(HolderId),
            }),
            _ => None,
        };
        Ok(Row {
            key: self.key.parse().map_err(&unreadable)?,
            day: self.day.parse().map_err(|_| unreadable("its day is not one".to_owned()))?,
            attempt: self.attempt,
            tries: self.tries,
            work,
            fact: serde_json::from_str(&self.fact).map_err(|error| unreadable(error.to_string()))?,
        })
    }
}
