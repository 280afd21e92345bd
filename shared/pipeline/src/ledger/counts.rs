//! A day's numbers, counted from its rows.

use std::collections::BTreeMap;

use serde::Serialize;

use super::row::{Fact, Row};

/// Numbers of a day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Conversations found.
    pub conversations: u64,
    /// Conversations by the word of their state.
    pub conversations_by_state: BTreeMap<String, u64>,
    /// Recordings known.
    pub recordings: u64,
    /// Recordings by the word of their state.
    pub recordings_by_state: BTreeMap<String, u64>,
    /// Recordings in the archive.
    pub stored: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// What should be in the archive and is not, by reason: recordings, and conversations parked as a whole.
    pub parked_by_reason: BTreeMap<String, u64>,
    /// Recordings parked, and conversations parked with no recording parked.
    pub parked: u64,
}

impl Counts {
    /// Adds `n` rows of one kind, state and reason, holding `bytes` together.
    ///
    /// A conversation that is parked because one of its recordings is gets counted by that recording, so
    /// `parked_as_a_whole` says how many of the `n` have no parked recording.
    pub fn add(&mut self, is_recording: bool, state: &str, reason: Option<&str>, n: u64, whole: u64, bytes: u64) {
        let (total, by_state) = if is_recording {
            (&mut self.recordings, &mut self.recordings_by_state)
        } else {
            (&mut self.conversations, &mut self.conversations_by_state)
        };
        *total += n;
        *by_state.entry(state.to_owned()).or_default() += n;
        if is_recording {
            self.bytes += bytes;
            if state == "stored" {
                self.stored += n;
            }
        }
        let parked = if is_recording { n } else { whole };
        if state == "parked" && parked > 0 {
            self.parked += parked;
            *self.parked_by_reason.entry(reason.unwrap_or("unknown").to_owned()).or_default() += parked;
        }
    }

    /// Counts rows of a day, whole families together.
    pub fn of_family(&mut self, family: &[Row]) {
        let parked_recording =
            family.iter().any(|row| matches!(row.fact, Fact::Recording(_)) && row.state_word() == "parked");
        for row in family {
            let is_recording = matches!(row.fact, Fact::Recording(_));
            let whole = u64::from(!is_recording && !parked_recording);
            self.add(is_recording, row.state_word(), row.reason().map(|r| r.code()), 1, whole, row.bytes());
        }
    }
}
