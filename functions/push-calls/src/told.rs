//! What connections were told already, by this instance: so that what comes twice is told once, and what comes late not at all.
//!
//! Only a help: another instance knows nothing of it, and a message that comes twice changes nothing at its client.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use callvault_calls::call::Call;
use callvault_calls::event::CallId;

/// Calls that are remembered of a connection; then it is begun anew.
const MOST_CALLS: usize = 2_000;

/// What each connection was told.
#[derive(Debug, Default)]
pub struct Told(Mutex<HashMap<String, Heard>>);

/// What one connection was told.
#[derive(Debug, Default)]
struct Heard {
    welcome: bool,
    /// The newest version of each call.
    versions: HashMap<CallId, u64>,
}

impl Told {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Heard>> {
        // Whole entries are put and removed: nothing half done is left by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets connections that are not open.
    pub fn keep(&self, open: &HashSet<&str>) {
        self.all().retain(|connection, _| open.contains(connection.as_str()));
    }

    /// Whether a connection knows this call as it is here, or a newer version.
    pub fn knows(&self, connection: &str, call: &Call) -> bool {
        let all = self.all();
        let heard = all.get(connection).and_then(|heard| heard.versions.get(&call.call));
        heard.is_some_and(|version| *version >= call.version)
    }

    /// A connection was told of a call.
    pub fn of_call(&self, connection: &str, call: &Call) {
        let mut all = self.all();
        let heard = all.entry(connection.to_owned()).or_default();
        if heard.versions.len() >= MOST_CALLS {
            heard.versions.clear();
        }
        heard.versions.insert(call.call.clone(), call.version);
    }

    /// Whether a connection was welcomed.
    pub fn is_welcome(&self, connection: &str) -> bool {
        self.all().get(connection).is_some_and(|heard| heard.welcome)
    }

    /// A connection was welcomed.
    pub fn of_welcome(&self, connection: &str) {
        self.all().entry(connection.to_owned()).or_default().welcome = true;
    }
}
