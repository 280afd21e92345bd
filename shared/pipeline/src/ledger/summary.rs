//! A day as it is told to others: in one line, and with all its numbers. The names are fixed: programs read them.

use serde::Serialize;

use super::counts::Counts;
use super::row::{DayState, Fact, Marker, Row};
use crate::day::Day;

/// A day in one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DayLine {
    /// The day.
    pub day: Day,
    /// `planned`, `open`, or `closed`.
    pub state: &'static str,
    /// Conversations found.
    pub conversations: u64,
    /// Recordings known.
    pub recordings: u64,
    /// Recordings in the archive.
    pub stored: u64,
    /// What should be in the archive and is not.
    pub parked: u64,
    /// Bytes in the archive.
    pub bytes: u64,
    /// `_SUCCESS` or `_FAILURE`; none while the day is not closed.
    pub marker: Option<Marker>,
}

impl DayLine {
    /// The line of a day's row and numbers.
    pub fn of(row: &Row, counts: &Counts) -> Self {
        let marker = match &row.fact {
            Fact::Day(day) if day.state == DayState::Closed => day.marker,
            _ => None,
        };
        Self {
            day: row.day,
            state: row.state_word(),
            conversations: counts.conversations,
            recordings: counts.recordings,
            stored: counts.stored,
            parked: counts.parked,
            bytes: counts.bytes,
            marker,
        }
    }
}

/// A day with all its numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DayStatus {
    /// In one line.
    #[serde(flatten)]
    pub line: DayLine,
    /// By state and reason.
    pub counts: Counts,
}

impl DayStatus {
    /// The status of a day's row and numbers.
    pub fn of(row: &Row, counts: Counts) -> Self {
        Self { line: DayLine::of(row, &counts), counts }
    }
}
