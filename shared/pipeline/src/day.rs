//! Days in a time zone, and the stretch of time each one covers.
//!
//! A day is a date in the contact centre's IANA time zone. It is half-open, from its first instant to the first
//! instant of the next: the last millisecond belongs to it and midnight does not. Around a daylight-saving change it
//! has 23 or 25 hours.

use std::fmt;
use std::str::FromStr;

use callvault_genesys::api::Window;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

/// A calendar day, `YYYY-MM-DD`, in the time zone of the settings.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(Date);

/// A text that is not a day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a day: expected YYYY-MM-DD, for instance 2026-01-31")]
pub struct NotADay(String);

impl Day {
    /// The day of a date.
    pub const fn new(date: Date) -> Self {
        Self(date)
    }

    /// The date.
    pub fn date(self) -> Date {
        self.0
    }

    /// The next day, or `None` at the end of the calendar.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1.day()).ok().map(Self)
    }

    /// The day before, or `None` at the beginning of the calendar.
    pub fn previous(self) -> Option<Self> {
        self.0.checked_sub(1.day()).ok().map(Self)
    }

    /// Every day from `self` to `last`, both included; empty when `last` is earlier.
    pub fn through(self, last: Self) -> Vec<Self> {
        std::iter::successors(Some(self), |day| day.next()).take_while(|day| *day <= last).collect()
    }
}

impl FromStr for Day {
    type Err = NotADay;
    fn from_str(text: &str) -> Result<Self, NotADay> {
        // Only the one spelling: `2026-1-5`, a time of day or a zone behind it is somebody's mistake.
        let shape = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        match (shape, text.parse()) {
            (true, Ok(date)) => Ok(Self(date)),
            _ => Err(NotADay(text.chars().take(40).collect())),
        }
    }
}

impl TryFrom<String> for Day {
    type Error = NotADay;
    fn try_from(text: String) -> Result<Self, NotADay> {
        text.parse()
    }
}

impl From<Day> for String {
    fn from(day: Day) -> String {
        day.to_string()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.0.year(), self.0.month(), self.0.day())
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A day outside what the calendar can compute with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the day {0} is outside the calendar")]
pub struct OutOfCalendar(Day);

/// The time zone that days are counted in.
#[derive(Debug, Clone)]
pub struct Calendar {
    zone: TimeZone,
}

impl Calendar {
    /// Days of `zone`.
    pub fn new(zone: TimeZone) -> Self {
        Self { zone }
    }

    /// The zone's IANA name.
    pub fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// From the day's first instant to the next day's.
    ///
    /// # Errors
    /// When the day lies at the very end of the calendar.
    pub fn window(&self, day: Day) -> Result<Window, OutOfCalendar> {
        let begins = |day: Day| {
            let midnight = day.0.to_zoned(self.zone.clone()).and_then(|z| z.start_of_day());
            midnight.map(|z| z.timestamp()).map_err(|_| OutOfCalendar(day))
        };
        let next = day.next().ok_or(OutOfCalendar(day))?;
        Ok(Window { start: begins(day)?, end: begins(next)? })
    }

    /// Whether the whole day lies before `now`: one that is not over cannot be complete, and is never planned.
    ///
    /// # Errors
    /// When the day lies at the very end of the calendar.
    pub fn is_over(&self, day: Day, now: Timestamp) -> Result<bool, OutOfCalendar> {
        Ok(self.window(day)?.end <= now)
    }

    /// The days of which the stretch from `start` up to but not including `end` holds something, in order; none where
    /// `end` is not later.
    pub fn touched(&self, start: Timestamp, end: Timestamp) -> impl Iterator<Item = Day> + use<> {
        let before_end = end.checked_sub(1.nanosecond()).ok().filter(|last| *last >= start);
        let last = before_end.map(|last| self.day_of(last));
        std::iter::successors(last.map(|_| self.day_of(start)), |day| day.next())
            .take_while(move |day| last.is_some_and(|last| *day <= last))
    }

    /// The day an instant belongs to.
    pub fn day_of(&self, instant: Timestamp) -> Day {
        Day(instant.to_zoned(self.zone.clone()).date())
    }

    /// The hour of the day (0..23) in which an instant lies, in this zone.
    pub fn hour_of(&self, instant: Timestamp) -> u8 {
        u8::try_from(instant.to_zoned(self.zone.clone()).hour()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn calendar(zone: &str) -> Calendar {
        Calendar::new(TimeZone::get(zone).unwrap())
    }

    fn hours(zone: &str, day: &str) -> i64 {
        let window = calendar(zone).window(day.parse().unwrap()).unwrap();
        (window.end.as_second() - window.start.as_second()) / 3600
    }

    #[test]
    fn days_have_the_hours_their_zone_gives_them() {
        assert_eq!(hours("Europe/Madrid", "2026-03-29"), 23);
        assert_eq!(hours("Europe/Madrid", "2026-10-25"), 25);
        assert_eq!(hours("America/New_York", "2026-03-08"), 23);
        assert_eq!(hours("America/Lima", "2026-03-29"), 24);
        // Midnight itself is skipped here: the day begins at 01:00.
        assert_eq!(hours("America/Santiago", "2026-09-06"), 23);
    }

    #[test]
    fn lima_days_begin_at_five_utc() {
        let window = calendar("America/Lima").window("2026-01-31".parse().unwrap()).unwrap();
        assert_eq!(window.start.to_string(), "2026-01-31T05:00:00Z");
        assert_eq!(window.end.to_string(), "2026-02-01T05:00:00Z");
    }

    #[test]
    fn the_last_millisecond_belongs_to_the_day_and_midnight_to_the_next() {
        let window = calendar("UTC").window("2026-02-28".parse().unwrap()).unwrap();
        assert!(window.contains("2026-02-28T00:00:00Z".parse().unwrap()));
        assert!(window.contains("2026-02-28T23:59:59.999Z".parse().unwrap()));
        assert!(!window.contains("2026-03-01T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn a_stretch_touches_the_days_of_its_instants_and_not_that_of_its_end() {
        let touched = |start: &str, end: &str| {
            let days = calendar("America/Lima").touched(start.parse().unwrap(), end.parse().unwrap());
            days.map(|day| day.to_string()).collect::<Vec<_>>().join(" ")
        };
        // Midnight in Lima is 05:00 UTC.
        assert_eq!(touched("2026-01-31T05:00:00Z", "2026-02-01T05:00:00Z"), "2026-01-31");
        assert_eq!(
            touched("2026-01-31T00:00:00-05:00", "2026-02-01T00:00:00.000000001-05:00"),
            "2026-01-31 2026-02-01"
        );
        assert_eq!(touched("2026-01-31T04:59:59.999Z", "2026-02-01T05:00:00Z"), "2026-01-30 2026-01-31");
        assert_eq!(touched("2026-01-31T05:00:00Z", "2026-01-31T05:00:00Z"), "");
        assert_eq!(touched("2026-01-31T05:00:01Z", "2026-01-31T05:00:00Z"), "");
    }

    #[test]
    fn a_day_is_over_at_its_end() {
        let (calendar, day) = (calendar("America/Lima"), "2026-01-31".parse().unwrap());
        assert!(!calendar.is_over(day, "2026-02-01T04:59:59.999Z".parse().unwrap()).unwrap());
        assert!(calendar.is_over(day, "2026-02-01T05:00:00Z".parse().unwrap()).unwrap());
        assert!(calendar.is_over("9999-12-31".parse().unwrap(), Timestamp::MAX).is_err());
    }

    #[test]
    fn only_one_spelling_is_a_day() {
        for text in ["", "2026-1-5", "2026-02-30", "2026-01-05T00:00", "20260105", "yesterday", "2026-01-0\u{665}"] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
        assert_eq!("2024-02-29".parse::<Day>().unwrap().to_string(), "2024-02-29");
    }

    proptest! {
        /// Every instant lies in the window of exactly the day that is said to be its day.
        #[test]
        fn windows_tile_time(second in 1_500_000_000_i64..2_000_000_000, milli in 0_i64..1000, zone in 0_usize..5) {
            let calendar = calendar(["UTC", "America/Lima", "Europe/Madrid", "America/Santiago", "Australia/Lord_Howe"][zone]);
            let instant = Timestamp::from_millisecond(second * 1000 + milli).unwrap();
            let day = calendar.day_of(instant);
            let window = calendar.window(day).unwrap();
            prop_assert!(window.contains(instant));
            let next = calendar.window(day.next().unwrap()).unwrap();
            prop_assert_eq!(window.end, next.start);
        }
    }
}
