//! How an installation stands: every day of a stretch with its state and numbers, and what is due. Read from the ledger.
//!
//! [`overview`] gathers; nothing here writes, and nothing asks the source: what the ledger does not know is not known.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::day::{Calendar, Day};
use crate::kind::Kind;
use crate::ledger::voicemail::VoicemailCounts;
use crate::ledger::{Counts, DayFact, DayState, Fact, Ledger, LedgerError, Marker, Stage};
use crate::schedule::{NoSuchDay, Schedule};
use crate::volumes::{self, Volume};

/// How a day stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Closed with `_SUCCESS`: everything is stored.
    Complete,
    /// Closed with `_FAILURE`: something is parked.
    Parked,
    /// Planned or open: work is under way.
    UnderWay,
    /// Not in the ledger, and over for longer than the schedule waits.
    Missing,
    /// Not in the ledger, of a weekday that the schedule skips.
    Skipped,
    /// Not in the ledger, and not yet due by the schedule.
    NotYet,
}

impl Standing {
    /// Every one.
    pub const ALL: [Self; 6] =
        [Self::Complete, Self::Parked, Self::UnderWay, Self::Missing, Self::Skipped, Self::NotYet];

    fn of(fact: &DayFact) -> Self {
        match (fact.state, fact.marker) {
            (DayState::Closed, Some(Marker::Success)) => Self::Complete,
            (DayState::Closed, _) => Self::Parked,
            (DayState::Planned | DayState::Open, _) => Self::UnderWay,
        }
    }
}

/// A day that the ledger knows.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownDay {
    /// Its row.
    pub fact: DayFact,
    /// Its numbers.
    pub counts: Counts,
    /// From the end of the day to the writing of its marker, in its last generation; `None` while it is not closed.
    pub lag: Option<SignedDuration>,
}

/// A day of the stretch.
#[derive(Debug, Clone, PartialEq)]
pub struct DayEntry {
    /// The day.
    pub day: Day,
    /// How it stands.
    pub standing: Standing,
    /// What the ledger knows of it, if anything.
    pub known: Option<KnownDay>,
}

/// When the next work of a stage is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The stage.
    pub stage: Stage,
    /// When; in the past where it waits for somebody to do it.
    pub at: Timestamp,
}

/// How everything stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Overview {
    /// When it was gathered.
    pub made_at: Timestamp,
    /// Every day of the stretch, in order.
    pub days: Vec<DayEntry>,
    /// Recordings of those days, by kind.
    pub kinds: BTreeMap<Kind, Volume>,
    /// Objects that describe conversations, and their bytes.
    pub documents: (u64, u64),
    /// Parked by reason: how many, and on how many of those days.
    pub parked: BTreeMap<String, (u64, u64)>,
    /// What is due, of all days, by stage.
    pub due: Vec<Due>,
    /// All voicemail; `None` where there is none.
    pub voicemail: Option<VoicemailCounts>,
}

impl Overview {
    /// How many days stand so.
    pub fn standing(&self, standing: Standing) -> usize {
        self.days.iter().filter(|day| day.standing == standing).count()
    }

    /// The days that the ledger knows.
    pub fn known(&self) -> impl Iterator<Item = (Day, &KnownDay)> {
        self.days.iter().filter_map(|day| day.known.as_ref().map(|known| (day.day, known)))
    }
}

/// Why there is no overview.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The schedule's settings lead nowhere.
    #[error(transparent)]
    Schedule(#[from] NoSuchDay),
    /// `from` lies after `to`.
    #[error("--to {to} is before --from {from}")]
    Turned {
        /// First day.
        from: Day,
        /// Last day.
        to: Day,
    },
}

/// Gathers. Without `from` the stretch begins with the first day that is known; without `to` it ends with the last one
/// that is, or that the schedule is about, whichever is later.
///
/// # Errors
/// [`ReportError`].
pub async fn overview(
    ledger: &dyn Ledger,
    calendar: &Calendar,
    schedule: &Schedule,
    (from, to): (Option<Day>, Option<Day>),
    now: Timestamp,
) -> Result<Overview, ReportError> {
    let target = schedule.target(calendar, now)?;
    let mut known: BTreeMap<Day, DayFact> = BTreeMap::new();
    for row in ledger.days().await? {
        if let Fact::Day(fact) = row.fact {
            known.insert(row.day, fact);
        }
    }
    let mut overview = Overview {
        made_at: now,
        days: Vec::new(),
        kinds: BTreeMap::new(),
        documents: (0, 0),
        parked: BTreeMap::new(),
        due: Vec::new(),
        voicemail: Some(ledger.voicemail_counts().await?).filter(|counts| *counts != VoicemailCounts::default()),
    };
    for stage in Stage::ALL {
        overview.due.extend(ledger.next_due(stage).await?.map(|at| Due { stage, at }));
    }
    for day in stretch(&known, target, from, to)? {
        let entry = match known.remove(&day) {
            Some(fact) => overview.count(ledger, calendar, day, fact).await?,
            None => DayEntry { day, standing: unknown(schedule, target, day), known: None },
        };
        overview.days.push(entry);
    }
    Ok(overview)
}

/// The days that are told of; none where nothing is known and nothing was asked for.
fn stretch(
    known: &BTreeMap<Day, DayFact>,
    target: Day,
    from: Option<Day>,
    to: Option<Day>,
) -> Result<Vec<Day>, ReportError> {
    let Some(first) = from.or_else(|| known.keys().next().copied()).or(to) else { return Ok(Vec::new()) };
    let last = to.unwrap_or_else(|| known.keys().next_back().copied().unwrap_or(first).max(target).max(first));
    if last < first {
        return Err(ReportError::Turned { from: first, to: last });
    }
    Ok(first.through(last))
}

fn unknown(schedule: &Schedule, target: Day, day: Day) -> Standing {
    match day {
        day if schedule.skip_weekdays.contains(&day.date().weekday()) => Standing::Skipped,
        day if day > target => Standing::NotYet,
        _ => Standing::Missing,
    }
}

impl Overview {
    async fn count(
        &mut self,
        ledger: &dyn Ledger,
        calendar: &Calendar,
        day: Day,
        fact: DayFact,
    ) -> Result<DayEntry, LedgerError> {
        let volumes = volumes::of_day(ledger, day).await?;
        for (kind, volume) in volumes.kinds {
            *self.kinds.entry(kind).or_default() += volume;
        }
        self.documents.0 += volumes.documents;
        self.documents.1 += volumes.document_bytes;
        for (reason, n) in &volumes.counts.parked_by_reason {
            let (all, days) = self.parked.entry(reason.clone()).or_default();
            *all += n;
            *days += 1;
        }
        let closed = fact.closed_at.filter(|_| fact.state == DayState::Closed);
        let ended = calendar.window(day).ok().map(|window| window.end);
        let lag = closed.zip(ended).map(|(closed, ended)| closed.duration_since(ended));
        Ok(DayEntry { day, standing: Standing::of(&fact), known: Some(KnownDay { fact, counts: volumes.counts, lag }) })
    }
}

#[cfg(test)]
mod tests;
