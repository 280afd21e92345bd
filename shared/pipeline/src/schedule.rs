//! Which days a schedule plans: pure rules over the calendar and what is known of days.
//!
//! Every time it runs, a schedule plans
//! - the day `lag_days` ago, or the last one before it that is not skipped, and every day that was left out: each one since
//!   the last that is known, however long the schedule stood still; and, further back, a gap of up to [`LONGEST_GAP`] days
//!   between two that are known, as somebody leaves who exports a recent day by hand while the schedule stands still. A
//!   longer gap is taken for what it mostly is: an old day that somebody wanted;
//! - the day before that one again, if it was closed with `_FAILURE` and not looked at today: its check;
//! - every closed day whose time for a further look has come, for recordings that were late: see [`Schedule::rescan_days`].
//!
//! Must never plan a day that is not over, nor one that is known and still under way.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Weekday;

use crate::day::{Calendar, Day};
use crate::ledger::{DayFact, DayState, Fact, Marker, Row};

/// Days between two known ones that are planned because nobody is likely to have left them out on purpose.
pub const LONGEST_GAP: usize = 31;

/// The rules of one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// How many days ago the day is that is planned: 1 is yesterday, the earliest that is over.
    pub lag_days: u32,
    /// Weekdays without work: their days are never planned by the schedule. By hand they can be.
    pub skip_weekdays: Vec<Weekday>,
    /// A closed day is looked at again once this many days after it have begun, unless it was looked at since: 2 for a
    /// Monday is the Wednesday.
    pub rescan_days: Vec<u32>,
}

/// Why a day is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// It was not known.
    New,
    /// It is the day before, and something of it is parked.
    Checked,
    /// Recordings may have come late.
    Rescan,
}

impl Why {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Checked => "checked",
            Self::Rescan => "rescan",
        }
    }
}

/// A schedule that leads out of the calendar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSuchDay {
    /// The day would be before the calendar's first.
    #[error("LAG_DAYS leads before the calendar's first day")]
    BeforeTheFirst,
    /// Every weekday is skipped.
    #[error("SKIP_WEEKDAYS names every day of the week: leave one")]
    EveryWeekday,
}

impl Schedule {
    /// The day a run at `now` is about.
    ///
    /// # Errors
    /// [`NoSuchDay`].
    pub fn target(&self, calendar: &Calendar, now: Timestamp) -> Result<Day, NoSuchDay> {
        let today = calendar.day_of(now);
        let day =
            (0..self.lag_days.max(1)).try_fold(today, |day, _| day.previous()).ok_or(NoSuchDay::BeforeTheFirst)?;
        self.not_skipped(day)
    }

    /// The days a run at `now` plans, in order, with `days` the rows of all days that are known.
    ///
    /// # Errors
    /// [`NoSuchDay`].
    pub fn planned(&self, calendar: &Calendar, days: &[Row], now: Timestamp) -> Result<Vec<(Day, Why)>, NoSuchDay> {
        let target = self.target(calendar, now)?;
        let known: BTreeMap<Day, &DayFact> = days
            .iter()
            .filter_map(|row| match &row.fact {
                Fact::Day(fact) => Some((row.day, fact)),
                _ => None,
            })
            .collect();
        let mut planned: BTreeMap<Day, Why> = BTreeMap::new();
        for day in missing(&known, target).into_iter().filter(|day| !self.skips(*day)) {
            planned.insert(day, Why::New);
        }
        let today = calendar.window(calendar.day_of(now)).map_err(|_| NoSuchDay::BeforeTheFirst)?;
        let before = target.previous().map(|day| self.not_skipped(day)).transpose()?;
        for (day, fact) in known {
            let closed = fact.state == DayState::Closed;
            let looked_at_today = fact.queried_at.is_some_and(|queried| queried >= today.start);
            if closed && Some(day) == before && fact.marker == Some(Marker::Failure) && !looked_at_today {
                planned.insert(day, Why::Checked);
            } else if closed && self.wants_another_look(calendar, day, fact, now) {
                planned.insert(day, Why::Rescan);
            }
        }
        Ok(planned.into_iter().collect())
    }

    fn skips(&self, day: Day) -> bool {
        self.skip_weekdays.contains(&day.date().weekday())
    }

    /// The day itself, or the last one before it that is not skipped.
    fn not_skipped(&self, day: Day) -> Result<Day, NoSuchDay> {
        let mut week = std::iter::successors(Some(day), |day| day.previous()).take(7).peekable();
        week.peek().ok_or(NoSuchDay::BeforeTheFirst)?;
        week.find(|day| !self.skips(*day)).ok_or(NoSuchDay::EveryWeekday)
    }

    /// Whether one of the times to look at a closed day again has come since it was last queried.
    fn wants_another_look(&self, calendar: &Calendar, day: Day, fact: &DayFact, now: Timestamp) -> bool {
        let begins = |after: &u32| {
            let later = (0..*after).try_fold(day, |day, _| day.next())?;
            calendar.window(later).ok().map(|window| window.start)
        };
        let queried = fact.queried_at.unwrap_or(Timestamp::MIN);
        self.rescan_days.iter().filter_map(begins).any(|begins| begins <= now && queried < begins)
    }
}

/// Days up to `target` that are not known and should be.
fn missing(known: &BTreeMap<Day, &DayFact>, target: Day) -> Vec<Day> {
    let mut days = Vec::new();
    let mut upper = target.next();
    let mut gap_limit = None;
    for (lower, _) in known.range(..=target).rev() {
        let between: Vec<Day> = match (lower.next(), upper.and_then(Day::previous)) {
            (Some(first), Some(last)) => first.through(last),
            _ => Vec::new(),
        };
        // Above the highest known day any gap counts; further down only short ones.
        if gap_limit.is_none_or(|limit| between.len() <= limit) {
            days.extend(between.into_iter().rev());
        }
        (upper, gap_limit) = (Some(*lower), Some(LONGEST_GAP));
    }
    if days.is_empty() && known.range(..=target).next().is_none() {
        days.push(target);
    }
    days.reverse();
    days
}

#[cfg(test)]
mod tests;
