//! The schema of a SQLite file, by versions: how a file is known to be ours, and brought up to date. Knows no table.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::connection::{Trouble, at};

/// The schema of one kind of file.
pub(crate) struct Schema {
    /// What the file is, for people.
    pub(crate) name: &'static str,
    /// Marks a file as one of these.
    pub(crate) application_id: i32,
    /// Each step brings the schema from its index to the next version.
    pub(crate) steps: &'static [&'static str],
    /// How an old file that is only looked at comes up to date, for people.
    pub(crate) update: &'static str,
}

impl Schema {
    /// Brings the file to the newest schema.
    pub(crate) fn migrate(&self, connection: &mut Connection, path: &Path) -> Result<(), Trouble> {
        if self.version(connection, path)? == self.steps.len() {
            return Ok(());
        }
        let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.map_err(|error| at(path, error))?;
        // Another process may have migrated while we waited.
        let version = self.version(&transaction, path)?;
        for step in self.steps.iter().skip(version) {
            transaction.execute_batch(step).map_err(|error| at(path, error))?;
        }
        let write = |name: &str, value: i64| transaction.pragma_update(None, name, value);
        write("user_version", self.steps.len() as i64).map_err(|error| at(path, error))?;
        write("application_id", i64::from(self.application_id)).map_err(|error| at(path, error))?;
        transaction.commit().map_err(|error| at(path, error))
    }

    /// Whether a file that is only looked at has a schema we read.
    pub(crate) fn check(&self, connection: &Connection, path: &Path) -> Result<(), Trouble> {
        match self.version(connection, path)? {
            version if version == self.steps.len() => Ok(()),
            version => {
                let (path, update) = (path.display(), self.update);
                Err(Trouble::Unusable(format!("{path} has schema {version}: {update}")))
            }
        }
    }

    fn version(&self, connection: &Connection, path: &Path) -> Result<usize, Trouble> {
        let read = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let version = read("user_version").map_err(|error| at(path, error))?;
        let application = read("application_id").map_err(|error| at(path, error))?;
        let tables: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .map_err(|error| at(path, error))?;
        let fresh = tables == 0 && version == 0 && application == 0;
        if !fresh && application != i64::from(self.application_id) {
            let (path, name) = (path.display(), self.name);
            return Err(Trouble::Unusable(format!("{path} is a database, but not a {name}: check LEDGER")));
        }
        match usize::try_from(version) {
            Ok(version) if version <= self.steps.len() => Ok(version),
            _ => {
                let path = path.display();
                Err(Trouble::Unusable(format!("{path} was written by a newer callvault (schema {version}): update")))
            }
        }
    }
}
