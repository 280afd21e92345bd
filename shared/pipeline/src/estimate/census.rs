//! How many conversations there are.
//!
//! The query answers with whole UTC days that its interval touches (api.md, "Analytics"), and with how many rows they have:
//! so it is asked for UTC days, one page each, newest first, until it says that a day is too long ago, or [`MOST_ASKED`] were
//! asked. Where a stretch of days begins or ends within a UTC day, the place is found by halving. What is left is computed
//! from [`SAMPLED_DAYS`] days spread over it, by the history query where the other one does not reach.
//!
//! Requests: one for each UTC day up to [`MOST_ASKED`], about ten for each end of a stretch that is not midnight in UTC,
//! [`SAMPLED_PAGES`] for the sample, and for each history job its states and at most [`HISTORY_PAGES`] pages.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Estimator;
use crate::api::{ApiError, ConversationQuery, Window};
use crate::day::Day;
use crate::models::{Found, HistoryState};
use crate::stages::Fault;

/// UTC days that are asked about one by one: the query never reached further back than two months.
const MOST_ASKED: usize = 62;
/// Days that stand for those that were not asked about.
const SAMPLED_DAYS: usize = 3;
/// Pages from the middle of days, for what conversations look like.
const SAMPLED_PAGES: usize = 6;
/// Rows a page: the most there can be.
const A_PAGE: u32 = 100;
/// Rows a page of a history job, and pages of one.
const HISTORY_PAGE: u32 = 1_000;
const HISTORY_PAGES: usize = 30;
/// Looks at a history job, and the first and the longest wait before one.
const LOOKS: u32 = 60;
const LOOK: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// A refusal of what is younger than this is not about reach.
const SURELY_IN_REACH: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// Of each day that was counted: rows that its query gives, and conversations that are its own.
    pub(super) rows_by_day: Vec<(u64, f64)>,
    /// Days that were not.
    pub(super) computed_days: u64,
    /// Days that were looked at for those.
    pub(super) sampled_days: u64,
    /// Conversations of one of those, in the mean.
    pub(super) mean_of_computed: f64,
    /// Whether those are read by history jobs.
    pub(super) by_history: bool,
    /// Conversations of the days, as a sample.
    pub(super) sample: Vec<Found>,
}

/// A UTC day at the source.
struct UtcDay {
    hits: u64,
    first_page: Vec<Found>,
}

/// Asking.
struct Asking<'a> {
    estimator: &'a Estimator<'a>,
    utc_days: BTreeMap<Date, UtcDay>,
    /// From here backwards nothing is asked.
    out_of_reach: Option<Date>,
    refused: bool,
}

impl Census {
    /// Conversations of all days.
    pub(super) fn conversations(&self) -> f64 {
        let counted: f64 = self.rows_by_day.iter().map(|(_, conversations)| conversations).sum();
        counted + self.computed_days as f64 * self.mean_of_computed
    }

    pub(super) async fn take(estimator: &Estimator<'_>, days: &[Day]) -> Result<Self, Fault> {
        let mut asking = Asking { estimator, utc_days: BTreeMap::new(), out_of_reach: None, refused: false };
        let mut windows = Vec::with_capacity(days.len());
        for day in days {
            let window = estimator.calendar.window(*day).map_err(|error| Fault::Settings(error.to_string()))?;
            windows.push((*day, window));
        }
        let mut counted = Vec::new();
        for (day, window) in windows.iter().rev() {
            match asking.rows(*window).await? {
                Some(rows) => counted.push((*day, *window, rows)),
                None => break,
            }
        }
        counted.reverse();
        let mut census = Self::default();
        for stretch in counted.chunk_by(|(a, ..), (b, ..)| a.next() == Some(*b)) {
            census.rows_by_day.extend(asking.stretch(stretch).await?);
        }
        let (left, reached) = windows.split_at(windows.len() - counted.len());
        census.sample = asking.sample(reached).await?;
        census.compute(&asking, left).await?;
        Ok(census)
    }

    /// The days that were not asked about one by one.
    async fn compute(&mut self, asking: &Asking<'_>, left: &[(Day, Window)]) -> Result<(), Fault> {
        self.computed_days = left.len() as u64;
        self.by_history = asking.refused;
        let mut conversations = 0;
        for (_, window) in spread(left, SAMPLED_DAYS) {
            let rows = match self.by_history {
                true => asking.by_history(*window).await?,
                false => asking.by_query(*window).await?,
            };
            conversations += rows.0;
            self.sampled_days += 1;
            self.sample.extend(rows.1);
        }
        if self.sampled_days > 0 {
            self.mean_of_computed = conversations as f64 / self.sampled_days as f64;
        }
        Ok(())
    }
}

impl Asking<'_> {
    fn query(&self, window: Window) -> ConversationQuery {
        ConversationQuery { window, queues: self.estimator.wanted.queues.clone(), page_size: A_PAGE }
    }

    /// How many rows the query of a window gives; `None` where it does not reach, or enough was asked.
    async fn rows(&mut self, window: Window) -> Result<Option<u64>, Fault> {
        let mut rows = 0;
        for date in dates(window).into_iter().rev() {
            if !self.utc_days.contains_key(&date) {
                if self.out_of_reach.is_some_and(|limit| date <= limit) || self.utc_days.len() >= MOST_ASKED {
                    return Ok(None);
                }
                match self.utc_day(date).await? {
                    Some(day) => {
                        self.utc_days.insert(date, day);
                    }
                    None => {
                        (self.out_of_reach, self.refused) = (Some(date), true);
                        return Ok(None);
                    }
                }
            }
            rows += self.utc_days.get(&date).map_or(0, |day| day.hits);
        }
        Ok(Some(rows))
    }

    async fn utc_day(&self, date: Date) -> Result<Option<UtcDay>, Fault> {
        let window = utc(date)?;
        let page = match self.estimator.conversations.page(&self.query(window), 1).await {
            Ok(page) => page,
            Err(ApiError::Refused { status: 400, .. })
                if self.estimator.clock.now().duration_since(window.start) > SURELY_IN_REACH =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let hits = page.total_hits.unwrap_or(page.conversations.len() as u64);
        Ok(Some(UtcDay { hits, first_page: page.conversations }))
    }

    /// Days in a row that were reached: of each, the rows of its query and its own conversations. The sum of those is
    /// counted; how they are shared among the days follows their rows.
    async fn stretch(&self, days: &[(Day, Window, u64)]) -> Result<Vec<(u64, f64)>, Fault> {
        let (Some((_, first, _)), Some((_, last, _))) = (days.first(), days.last()) else { return Ok(Vec::new()) };
        let touched = dates(Window { start: first.start, end: last.end });
        let all: u64 = touched.iter().filter_map(|date| self.utc_days.get(date)).map(|day| day.hits).sum();
        let before = self.before(first.start).await?;
        let after = match touched.last() {
            Some(date) if utc(*date)?.end > last.end => {
                self.utc_days.get(date).map_or(0, |day| day.hits) - self.before(last.end).await?
            }
            _ => 0,
        };
        let own = all.saturating_sub(before).saturating_sub(after) as f64;
        let rows: u64 = days.iter().map(|(.., rows)| rows).sum();
        Ok(days.iter().map(|(.., one)| (*one, own * *one as f64 / rows.max(1) as f64)).collect())
    }

    /// Rows of an instant's UTC day that started before it. Rows come in the order of their starts.
    async fn before(&self, at: Timestamp) -> Result<u64, Fault> {
        let date = at.to_zoned(TimeZone::UTC).date();
        let window = utc(date)?;
        let Some(day) = self.utc_days.get(&date).filter(|_| window.start < at) else { return Ok(0) };
        let query = self.query(window);
        let is_before = |row: &&Found| row.start().is_some_and(|start| start < at);
        let (mut low, mut high) = (1, day.hits.div_ceil(u64::from(A_PAGE)).max(1));
        let mut page = None;
        while low < high {
            let middle = (low + high).div_ceil(2);
            let number = u32::try_from(middle).unwrap_or(u32::MAX);
            let rows = self.estimator.conversations.page(&query, number).await?.conversations;
            match rows.first().as_ref().is_some_and(is_before) {
                true => (low, page) = (middle, Some(rows)),
                false => high = middle - 1,
            }
        }
        let rows = page.as_ref().unwrap_or(&day.first_page);
        let on_it = rows.iter().filter(is_before).count() as u64;
        Ok(((low - 1) * u64::from(A_PAGE) + on_it).min(day.hits))
    }

    /// Pages from the middle of days: the first one has the night's conversations only.
    async fn sample(&mut self, days: &[(Day, Window)]) -> Result<Vec<Found>, Fault> {
        let mut sample = Vec::new();
        let dates: Vec<Date> = self.utc_days.iter().filter(|(_, day)| day.hits > 0).map(|(date, _)| *date).collect();
        for date in spread(&dates, SAMPLED_PAGES) {
            let pages = self.utc_days.get(date).map_or(0, |day| day.hits.div_ceil(u64::from(A_PAGE)));
            let middle = u32::try_from(pages.div_ceil(2)).unwrap_or(u32::MAX);
            let rows = match middle {
                0 | 1 => self.utc_days.get_mut(date).map(|day| std::mem::take(&mut day.first_page)).unwrap_or_default(),
                _ => self.estimator.conversations.page(&self.query(utc(*date)?), middle).await?.conversations,
            };
            let ours =
                |row: &Found| row.start().is_some_and(|start| days.iter().any(|(_, window)| window.contains(start)));
            sample.extend(rows.into_iter().filter(ours));
        }
        Ok(sample)
    }

    /// A day that the query reaches and that was not counted: its rows, as if every UTC day it touches were like another.
    async fn by_query(&self, window: Window) -> Result<(u64, Vec<Found>), Fault> {
        let page = self.estimator.conversations.page(&self.query(window), 1).await?;
        let touched = dates(window).len().max(1) as u64;
        let hits = page.total_hits.unwrap_or(page.conversations.len() as u64);
        Ok((hits / touched, page.conversations))
    }

    /// A day by a history job.
    async fn by_history(&self, window: Window) -> Result<(u64, Vec<Found>), Fault> {
        let source = self.estimator.conversations;
        let job = source.start_history(&self.query(window)).await?;
        let (mut wait, mut looks) = (LOOK.0, 0);
        loop {
            self.estimator.clock.sleep(wait).await;
            wait = (wait * 2).min(LOOK.1);
            looks += 1;
            match source.history_state(&job).await? {
                HistoryState::Fulfilled => break,
                HistoryState::Queued | HistoryState::Pending | HistoryState::Unknown(_) if looks < LOOKS => {}
                _ => {
                    let detail = "the history query ended without a result".to_owned();
                    return Err(ApiError::Unavailable { operation: "read the conversation history", detail }.into());
                }
            }
        }
        let (mut count, mut kept, mut cursor) = (0, Vec::new(), None);
        for _ in 0..HISTORY_PAGES {
            let page = source.history_page(&job, cursor.as_deref(), HISTORY_PAGE).await?;
            // It returns all that was going on in the window; what started in it is the day's.
            let mut own: Vec<Found> = page.conversations;
            own.retain(|row| row.start().is_some_and(|start| window.contains(start)));
            count += own.len() as u64;
            kept.extend(spread(&own, A_PAGE as usize).cloned());
            cursor = page.cursor.filter(|next| !next.is_empty() && cursor.as_ref() != Some(next));
            if cursor.is_none() {
                break;
            }
        }
        Ok((count, kept))
    }
}

/// The UTC days that a window touches.
fn dates(window: Window) -> Vec<Date> {
    let date = |at: Timestamp| Day::new(at.to_zoned(TimeZone::UTC).date());
    let last = window.end.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(window.end);
    date(window.start).through(date(last)).into_iter().map(Day::date).collect()
}

fn utc(date: Date) -> Result<Window, Fault> {
    let calendar = crate::day::Calendar::new(TimeZone::UTC);
    calendar.window(Day::new(date)).map_err(|error| Fault::Settings(error.to_string()))
}

/// At most `n` of `all`, evenly spread, each from the middle of its share.
pub(super) fn spread<T>(all: &[T], n: usize) -> impl Iterator<Item = &T> {
    let taken = n.min(all.len());
    (0..taken).filter_map(move |place| all.get((2 * place + 1) * all.len() / (2 * taken)))
}
