//! What exporting days will take, before anything is planned: conversations, recordings, bytes, objects, API requests.
//!
//! | module | owns |
//! |---|---|
//! | this one | the words, the order of things, the arithmetic |
//! | `census` | how many conversations there are: a few questions to the source |
//! | `profile` | what a conversation holds: from the ledger's closed days, or from a sample of the source |
//!
//! It changes nothing anywhere: no row, no batch job, no object; and fetches no media. Every figure says what it rests on
//! ([`Basis`]). The number of questions does not grow with the conversations, and with the days only up to a bound: see
//! `census` and `profile`.

mod census;
mod profile;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::api::{Conversations, Recordings};
use crate::clock::Clock;
use crate::day::{Calendar, Day};
use crate::facts::Wanted;
use crate::kind::Kind;
use crate::ledger::{DayState, Fact, Ledger};
use crate::reconcile::MetadataMode;
use crate::requests::{self, Requests, Shape};
use crate::stages::Fault;
use census::Census;
pub use profile::{ProfileSource, assumed_bytes};

/// Batches that are posted once more, in percent: for what a batch left out.
const AGAIN: u64 = 10;
/// Reads of a batch: one while it is at work, one when it is done.
const READS: u64 = 2;
/// Conversations whose metadata is read once more, in percent (`METADATA=full`), or at all (`analytics`).
const LOOKED_AT: u64 = 5;
/// States that are read of a history job before it is done.
const HISTORY_STATES: u64 = 4;

/// What a figure rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// The source, or the ledger, says so.
    Counted,
    /// Part was looked at, and the whole computed from it.
    Sampled,
    /// Taken to be so.
    Assumed,
}

impl Basis {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counted => "counted",
            Self::Sampled => "sampled",
            Self::Assumed => "assumed",
        }
    }
}

/// A number and what it rests on: the weakest of all that went into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// The number.
    pub value: u64,
    /// What it rests on.
    pub basis: Basis,
}

impl Figure {
    /// A figure.
    pub fn new(value: u64, basis: Basis) -> Self {
        Self { value, basis }
    }

    fn of(value: f64, basis: Basis) -> Self {
        // Never negative, and far below where f64 loses whole numbers.
        Self { value: value.round().max(0.0) as u64, basis }
    }
}

/// The days, by what is known of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct DayCounts {
    /// All that were asked for.
    pub asked: u64,
    /// Closed in the ledger already: nothing of them is in the figures.
    pub exported: u64,
    /// Whose conversations the source counted.
    pub counted: u64,
    /// Those that were not asked about one by one: they get the mean of `sampled` days among them.
    pub computed: u64,
    /// Days that were looked at for them.
    pub sampled: u64,
}

/// Recordings of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct KindEstimate {
    /// Recordings that can be stored.
    pub recordings: Figure,
    /// Their bytes.
    pub bytes: Figure,
}

/// API requests, by operation and in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RequestEstimate {
    /// By operation.
    #[serde(flatten)]
    pub by_operation: Requests,
    /// All of them.
    pub total: u64,
    /// What they rest on.
    pub basis: Basis,
}

/// What exporting will take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// The days.
    pub days: DayCounts,
    /// Conversations of the days that are not exported yet.
    pub conversations: Figure,
    /// Those that the settings want.
    pub exported: Figure,
    /// Recordings that can be stored.
    pub recordings: Figure,
    /// Recordings that are listed and cannot be had now: archived, deleted, still uploading. `None` where the ledger's
    /// own days were taken for the profile, which says what was parked instead.
    pub out_of_reach: Option<Figure>,
    /// Bytes of the recordings.
    pub bytes: Figure,
    /// The same by kind.
    pub kinds: BTreeMap<Kind, KindEstimate>,
    /// Objects in the archive: recordings, descriptions of conversations, and a manifest and a marker for each day.
    pub objects: Figure,
    /// Requests to the API. Downloads of media are not among them: they are under no limit of the API.
    pub requests: RequestEstimate,
    /// What the recordings of a conversation were taken from.
    pub profile: ProfileSource,
}

/// Estimates.
pub struct Estimator<'a> {
    /// Finds conversations.
    pub conversations: &'a dyn Conversations,
    /// Reads recording metadata.
    pub recordings: &'a dyn Recordings,
    /// What was exported before, if anything.
    pub ledger: Option<&'a dyn Ledger>,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Days.
    pub calendar: &'a Calendar,
    /// Which conversations are exported.
    pub wanted: &'a Wanted,
    /// Which kinds are; empty for all.
    pub kinds: &'a [Kind],
    /// The settings that requests depend on.
    pub shape: Shape,
}

impl Estimator<'_> {
    /// Estimates days, which are over, in order.
    ///
    /// # Errors
    /// [`Fault`] when source or ledger cannot be read.
    pub async fn estimate(&self, days: &[Day]) -> Result<Estimate, Fault> {
        let closed = self.closed_days().await?;
        let todo: Vec<Day> = days.iter().copied().filter(|day| !closed.contains(day)).collect();
        let census = Census::take(self, &todo).await?;
        let profile = self.profile(&closed, &census.sample).await?;
        let days_basis = if census.computed_days > 0 { Basis::Sampled } else { Basis::Counted };
        let conversations = census.conversations();
        let wanted_share = if self.wanted.leaves_some_out() { profile.wanted_share } else { 1.0 };
        let wanted_basis = if self.wanted.leaves_some_out() { days_basis.max(Basis::Sampled) } else { days_basis };
        let exported = conversations * wanted_share;
        let mut kinds = BTreeMap::new();
        for (kind, one) in &profile.kinds {
            if self.kinds.is_empty() || self.kinds.contains(kind) {
                let recordings = Figure::of(exported * one.recordings, profile.recordings_basis.max(days_basis));
                let bytes = Figure::of(exported * one.bytes, one.bytes_basis.max(days_basis));
                kinds.insert(*kind, KindEstimate { recordings, bytes });
            }
        }
        let recordings = sum(kinds.values().map(|kind| kind.recordings), days_basis);
        let bytes = sum(kinds.values().map(|kind| kind.bytes), days_basis);
        let exported = Figure::of(exported, wanted_basis);
        // A recording may have two files; that is rare enough to leave out.
        let objects = recordings.value + exported.value + 2 * todo.len() as u64;
        Ok(Estimate {
            days: DayCounts {
                asked: days.len() as u64,
                exported: (days.len() - todo.len()) as u64,
                counted: census.rows_by_day.len() as u64,
                computed: census.computed_days,
                sampled: census.sampled_days,
            },
            conversations: Figure::of(conversations, days_basis),
            exported,
            recordings,
            out_of_reach: profile.out_of_reach.map(|share| Figure::of(exported.value as f64 * share, recordings.basis)),
            bytes,
            kinds,
            objects: Figure::new(objects, recordings.basis),
            requests: self.requests(&census, wanted_share),
            profile: profile.source,
        })
    }

    async fn closed_days(&self) -> Result<BTreeSet<Day>, Fault> {
        let Some(ledger) = self.ledger else { return Ok(BTreeSet::new()) };
        let is_closed = |fact: &Fact| matches!(fact, Fact::Day(day) if day.state == DayState::Closed);
        Ok(ledger.days().await?.into_iter().filter(|row| is_closed(&row.fact)).map(|row| row.day).collect())
    }

    fn requests(&self, census: &Census, wanted_share: f64) -> RequestEstimate {
        let mut all = Requests::default();
        let share = |conversations: f64| (conversations * wanted_share).round() as u64;
        for (rows, conversations) in &census.rows_by_day {
            all += self.of_a_day(*rows, share(*conversations), false);
        }
        let mean = census.mean_of_computed;
        let one = self.of_a_day(mean.round() as u64, share(mean), census.by_history);
        (0..census.computed_days).for_each(|_| all += one);
        RequestEstimate { by_operation: all, total: all.total(), basis: Basis::Assumed }
    }

    /// The least that a day takes, and what comes on top by experience.
    fn of_a_day(&self, rows: u64, exported: u64, by_history: bool) -> Requests {
        let least = requests::least(self.shape, rows, exported);
        let again = |n: u64, percent: u64| (n * percent).div_ceil(100);
        let submit = least.submit + again(least.submit, AGAIN);
        let history = 1 + HISTORY_STATES + rows.div_ceil(self.shape.page_size.max(1)).max(1);
        Requests {
            // What is out of the query's reach is asked for once, and refused.
            query: if by_history { 1 } else { least.query },
            history: if by_history { history } else { 0 },
            submit,
            poll: submit * READS,
            metadata: match self.shape.metadata {
                MetadataMode::Full => exported + again(exported, LOOKED_AT),
                MetadataMode::Analytics => again(exported, LOOKED_AT),
            },
        }
    }
}

fn sum(figures: impl Iterator<Item = Figure>, least: Basis) -> Figure {
    figures.fold(Figure::new(0, least), |all, one| Figure::new(all.value + one.value, all.basis.max(one.basis)))
}
