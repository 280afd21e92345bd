//! Verify: source, ledger and archive of a day held against each other, and what differs said by its code.
//!
//! | module | owns |
//! |---|---|
//! | this one | what is compared, and the report of a day |
//! | `finding` | the codes, and what to do about each |
//! | `shelf` | what the archive lists of a day |
//! | `objects` | every object that the ledger names: there, of its length, of its digest |
//! | `closing` | manifest and marker |
//! | `chained` | the chain of manifests |
//! | `lost` | what the manifest names and the ledger does not |
//! | `source` | what the source has and the ledger does not |
//! | `repair` | what is done about it |
//!
//! # Cost
//! One listing of the day's folder (a second one when something is extra), the ledger's rows of the day twice, every
//! object read once (with a sample: that many). The source is asked for the day's conversations as the query stage asks,
//! and, where `METADATA` is `full`, for the recording metadata of each (with a sample: of that many): one request each.
//!
//! Memory: a page of rows, as many reads as [`AT_ONCE`], about 48 bytes for each object of one day, and the findings.
//!
//! Comparing never changes anything; only [`Verify::repair`] does.

mod chained;
mod closing;
mod finding;
mod lost;
mod objects;
mod repair;
mod shelf;
mod source;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

pub use finding::{Finding, FindingCode};
pub use source::{SourceSide, SourceTally};

use crate::api::{Conversations, Recordings};
use crate::day::Day;
use crate::facts::Wanted;
use crate::ledger::{DayFact, Fact, Marker};
use crate::reconcile::MetadataMode;
use crate::stages::{Fault, House};

/// The folder beside all days into which repairs set aside what is damaged, below the path of its day.
pub const SET_ASIDE: &str = "set-aside/";

/// Objects and metadata read at the same time.
pub const AT_ONCE: usize = 8;

/// The source, and what the settings want of it.
#[derive(Clone)]
pub struct Source {
    /// Finds conversations.
    pub conversations: Arc<dyn Conversations>,
    /// Reads recording metadata.
    pub recordings: Arc<dyn Recordings>,
    /// Which conversations are exported.
    pub wanted: Wanted,
    /// Rows a page.
    pub page_size: u32,
    /// Whether metadata is asked for.
    pub metadata: MetadataMode,
}

/// Compares days.
pub struct Verify {
    /// Ports.
    pub house: House,
    /// The source; `None` where it is not to be asked.
    pub source: Option<Source>,
    /// How many objects of a day are read, and of how many conversations the metadata is; `None` for all.
    pub sample: Option<u64>,
}

/// How the objects of one kind compare.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// As the ledger says.
    pub agree: u64,
    /// Missing, changed or unreadable.
    pub differ: u64,
}

/// What the ledger says of a day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LedgerSide {
    /// Conversations.
    pub conversations: u64,
    /// Recordings.
    pub recordings: u64,
    /// Objects, metadata objects among them.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is parked.
    pub parked: u64,
    /// By kind of object.
    pub kinds: BTreeMap<String, Tally>,
}

/// What the archive has of a day: without manifests, markers and voicemail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ArchiveSide {
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many were read and their digests compared.
    pub read: u64,
}

/// A day, compared. The names are fixed: scripts read them.
#[derive(Debug, Clone, Serialize)]
pub struct DayReport {
    /// The day.
    pub day: Day,
    /// `planned`, `open`, `closed`, or `unknown` where the ledger has no such day.
    pub state: &'static str,
    /// The marker that the ledger says stands.
    pub marker: Option<Marker>,
    /// The source.
    pub source: SourceSide,
    /// The ledger.
    pub ledger: LedgerSide,
    /// The archive.
    pub archive: ArchiveSide,
    /// What differs.
    pub findings: Vec<Finding>,
}

impl DayReport {
    /// Whether nothing differs, or all of it was mended.
    pub fn is_ok(&self) -> bool {
        self.findings.iter().all(|finding| finding.repaired)
    }
}

impl Verify {
    /// Compares a day.
    ///
    /// # Errors
    /// [`Fault`] when source, ledger or archive cannot be read.
    pub async fn day(&self, day: Day) -> Result<DayReport, Fault> {
        let row = self.house.ledger.day(day).await?;
        let fact = row.as_ref().and_then(|row| match &row.fact {
            Fact::Day(fact) => Some(fact),
            _ => None,
        });
        let mut report = DayReport {
            day,
            state: row.as_ref().map_or("unknown", |row| row.state_word()),
            marker: fact.and_then(|fact| fact.marker),
            source: SourceSide::NotAsked,
            ledger: LedgerSide::default(),
            archive: ArchiveSide::default(),
            findings: Vec::new(),
        };
        self.state_of_day(fact, row.as_ref().is_some_and(|row| row.is_terminal()), &mut report).await?;
        let mut shelf = self.shelf(day).await?;
        (report.archive.objects, report.archive.bytes) = (shelf.objects(), shelf.bytes());
        let closing = self.closing(day, fact, &mut report).await?;
        if let Some(fact) = fact {
            self.chained(day, fact, &mut report).await?;
        }
        self.objects(day, &mut shelf, &mut report).await?;
        self.lost(day, &closing, &mut shelf, &mut report).await?;
        self.extra(day, &shelf, &mut report).await?;
        if let Some(source) = &self.source {
            self.ask(source, day, &mut report).await?;
        }
        closing.is_marker_true(&mut report);
        Ok(report)
    }

    async fn state_of_day(&self, fact: Option<&DayFact>, closed: bool, report: &mut DayReport) -> Result<(), Fault> {
        let counts = self.house.ledger.counts(report.day).await?;
        report.ledger.conversations = counts.conversations;
        report.ledger.recordings = counts.recordings;
        report.ledger.parked = counts.parked;
        let outstanding = closed && self.house.ledger.outstanding(report.day).await?;
        match fact {
            None => report.find(FindingCode::DayUnknown, "the ledger has no such day"),
            Some(_) if !closed => {
                let state = report.state;
                report.find(FindingCode::DayNotClosed, format!("the day is {state}"));
            }
            Some(_) if outstanding => {
                report.find(FindingCode::DayNotClosed, "the day is closed, but something in it is under way");
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Whether one of `left` things is taken, where `wanted` more are to be taken of them.
    fn takes(&self, left: u64, wanted: u64) -> bool {
        wanted > 0 && (self.house.chance)() * left.max(1) as f64 <= wanted as f64
    }
}
