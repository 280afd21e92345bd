//! How long something that fails is tried again.
//!
//! Two kinds of trouble are kept apart. What is a row's own (a body that breaks off each time, an answer nobody can
//! read) is tried a few times within minutes. A source that does not answer concerns everything at once: it is waited
//! for much longer, and counted apart, so that an outage uses up nobody's own tries. Must never park or settle.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::House;
use crate::api::ApiError;
use crate::ledger::machine::Settlement;
use crate::ledger::{LedgerError, Row};

/// Something that failed by itself is tried this often before it is parked: within four minutes.
pub const MOST_TRIES: u32 = 8;

/// The source is asked about one thing this often without an answer, before that is parked. With the pauses between
/// (2 s, doubled up to 512 s, half of each left to chance) that is an hour at least and two as a rule.
pub const MOST_OUTAGES: u32 = 23;

/// What a failure is put down to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// Something about the row.
    Row,
    /// The source, which does not answer.
    Source {
        /// How long it asks not to be asked again.
        retry_after: Option<Duration>,
    },
}

impl Blame {
    /// What an error of the API is put down to.
    pub(crate) fn of(error: &ApiError) -> Self {
        match error {
            ApiError::Unavailable { .. } => Self::Source { retry_after: None },
            _ => Self::Row,
        }
    }
}

impl House {
    /// When something that failed `tries` times before is due again: later with every try, up to 512 seconds; half of
    /// the pause is left to chance.
    pub(crate) fn next_try(&self, tries: u32) -> Timestamp {
        self.now() + self.some_of(Duration::from_secs(2 << tries.min(8)))
    }

    /// The pause before the n-th repeat (from 1) of something within one claim: half a second, doubled; half of it left
    /// to chance.
    pub(crate) fn short_pause(&self, repeat: u32) -> Duration {
        self.some_of(Duration::from_millis(250 << repeat.min(4)))
    }

    fn some_of(&self, longest: Duration) -> Duration {
        longest.mul_f64(0.5 + 0.5 * (self.chance)())
    }

    /// Whether a row that failed just now has used up the patience there is for that kind of trouble.
    pub(crate) fn gives_up(&self, row: &Row, blame: Blame) -> bool {
        match blame {
            Blame::Row => row.tries + 1 >= MOST_TRIES,
            Blame::Source { .. } => row.outages() + 1 >= MOST_OUTAGES,
        }
    }

    /// Makes a row due again later.
    pub(crate) async fn put_off(&self, row: &Row, blame: Blame) -> Result<(), LedgerError> {
        let settlement = match blame {
            Blame::Row => Settlement::Later { due: self.next_try(row.tries), failed: true },
            Blame::Source { retry_after } => {
                let asked = retry_after.and_then(|span| SignedDuration::try_from(span).ok()).unwrap_or_default();
                Settlement::SourceAway { due: self.next_try(row.outages()).max(self.now() + asked) }
            }
        };
        self.settle(row, settlement).await.map(drop)
    }

    /// Makes a row due again later, and counts the try as its own.
    pub(crate) async fn retry_later(&self, row: &Row) -> Result<(), LedgerError> {
        self.put_off(row, Blame::Row).await
    }
}
