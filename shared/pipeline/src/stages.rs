//! The stages: each claims due rows of its kind, does one thing with each, and settles them.
//!
//! A stage takes its ports as arguments and knows nothing of loops, processes or functions. One call of `run` does
//! what is due now and returns; whoever calls it decides when to call again.

mod close;
mod copying;
mod describe;
mod late;
mod notify;
mod patience;
mod poll;
mod query;
mod report;
mod restoring;
mod shift;
mod submit;
mod upload;
mod voicemail;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

pub use close::Close;
pub(crate) use close::{marker_text, same_but_for_time, survey};
pub use describe::Describe;
pub use late::Late;
pub(crate) use late::unknown;
pub use notify::Notify;
pub(crate) use patience::Blame;
pub use patience::{MOST_OUTAGES, MOST_TRIES};
pub use poll::{Poll, Uploads};
pub use query::Query;
pub use report::Report;
pub use shift::Shift;
pub use submit::Submit;
pub use upload::{Upload, UploadOptions};
pub use voicemail::{Voicemail, VoicemailOptions};

use crate::api::{ApiError, NextStep};
use crate::archive::{Archive, ArchiveError};
use crate::clock::Clock;
use crate::day::Calendar;
use crate::layout::Layout;
use crate::ledger::machine::Settlement;
use crate::ledger::{Ledger, LedgerError, Row, Settled};

/// A claim that nobody renews ends after this.
pub const LEASE: Duration = Duration::from_secs(300);

/// What every stage works with.
#[derive(Clone)]
pub struct House {
    /// The rows.
    pub ledger: Arc<dyn Ledger>,
    /// The objects.
    pub archive: Arc<dyn Archive>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where objects go.
    pub layout: Arc<Layout>,
    /// The days.
    pub calendar: Calendar,
    /// Chance, 0.0 to below 1.0, for spreading retries.
    pub chance: Arc<dyn Fn() -> f64 + Send + Sync>,
    /// The time there is for working; `None` where nobody ends it. At its end every stage gives back what it holds.
    pub shift: Option<Shift>,
}

/// Why a stage cannot go on at all. What it held is due again; nothing is lost.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The source refuses us, whatever we ask.
    #[error(transparent)]
    Source(#[from] ApiError),
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The archive cannot be used.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The settings and the data do not fit together.
    #[error("{0}")]
    Settings(String),
    /// Time was up. Stages answer it by giving back what they hold; it leaves none of them.
    #[error("time was up")]
    OutOfTime,
    /// One piece of work does not fit into the time there is, however often it is begun.
    #[error(
        "{work} is not done within the time of one run: give it more time, or export the day with `callvault export`"
    )]
    TooLong {
        /// What.
        work: String,
    },
}

impl Fault {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Source(error) => error.code(),
            Self::Ledger(error) => error.code(),
            Self::Archive(error) => error.code(),
            Self::Settings(_) => "settings",
            Self::OutOfTime => "out-of-time",
            Self::TooLong { .. } => "too-long",
        }
    }
}

impl House {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn settle(&self, row: &Row, settlement: Settlement) -> Result<Settled, LedgerError> {
        let settled = self.ledger.settle(&row.key, row.attempt, settlement, self.now()).await?;
        if settled == Settled::Stale {
            tracing::info!(row.key = %row.key, "somebody else has claimed {} since: left to them", row.key);
        }
        Ok(settled)
    }

    /// Renews the claim of `row`; says whether it is still ours. Asked right before what must not be done by two.
    pub(crate) async fn still_ours(&self, row: &Row) -> Result<bool, LedgerError> {
        let renewed = self.ledger.renew(&row.key, row.attempt, self.now() + LEASE).await?;
        Ok(renewed == Settled::Done)
    }

    /// Gives a claim back, due at once: it was not the row's fault.
    pub(crate) async fn give_back(&self, row: &Row) -> Result<(), LedgerError> {
        self.settle(row, Settlement::Later { due: self.now(), failed: false }).await.map(drop)
    }
}

/// Whether an API error concerns everything: then the stage stops.
pub(crate) fn concerns_everything(error: &ApiError) -> bool {
    error.next_step() == NextStep::Stop
}
