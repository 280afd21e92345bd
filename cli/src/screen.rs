//! Everything on stdout: summaries for people, one JSON object for programs.

use std::collections::BTreeMap;
use std::io::Write;

use callvault_pipeline::day::Day;
use callvault_pipeline::ledger::{Counts, DayState, Fact, Marker, Row};
use callvault_pipeline::reason::Reason;
use indicatif::HumanBytes;
use serde::Serialize;

/// A line for people.
pub(crate) fn line(text: impl AsRef<str>) {
    print(format!("{}\n", text.as_ref()).as_bytes());
}

/// One JSON object.
pub(crate) fn json(value: &impl Serialize) {
    if let Ok(text) = serde_json::to_string(value) {
        line(text);
    }
}

/// Text as it is. Whoever reads it may have gone (`callvault status | head`): that is theirs to know, and `println!`
/// would panic.
pub(crate) fn print(text: &[u8]) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text).and_then(|()| out.flush());
}

/// How many of each reason, with what to do about it.
pub(crate) fn reasons(by_reason: &BTreeMap<String, u64>) {
    for (code, n) in by_reason {
        let advice = Reason::ALL.iter().find(|reason| reason.code() == code).map_or("", |reason| reason.advice());
        line(format!("            {n:>6}  {code:<20} {advice}"));
    }
}

/// A day as it is shown. The names are fixed: scripts read them.
#[derive(Debug, Serialize)]
pub(crate) struct DayLine {
    pub(crate) day: Day,
    /// `planned`, `open`, or `closed`.
    pub(crate) state: &'static str,
    pub(crate) conversations: u64,
    pub(crate) recordings: u64,
    pub(crate) stored: u64,
    pub(crate) parked: u64,
    pub(crate) bytes: u64,
    /// `_SUCCESS`, `_FAILURE`, or none.
    pub(crate) marker: Option<Marker>,
}

impl DayLine {
    pub(crate) fn of(row: &Row, counts: &Counts) -> Self {
        let (state, marker) = match &row.fact {
            Fact::Day(day) if day.state == DayState::Closed => (row.state_word(), day.marker),
            _ => (row.state_word(), None),
        };
        Self {
            day: row.day,
            state,
            conversations: counts.conversations,
            recordings: counts.recordings,
            stored: counts.stored,
            parked: counts.parked,
            bytes: counts.bytes,
            marker,
        }
    }

    /// The day in one line, and what is parked below it.
    pub(crate) fn show(&self, counts: &Counts) {
        let marker = self.marker.map_or(self.state, Marker::file_name);
        line(format!(
            "{}  {marker:<8}  {} conversations, {} recordings, {} stored ({}), {} parked",
            self.day,
            self.conversations,
            self.recordings,
            self.stored,
            HumanBytes(self.bytes),
            self.parked
        ));
        reasons(&counts.parked_by_reason);
    }
}
