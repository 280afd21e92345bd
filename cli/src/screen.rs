//! Everything on stdout: summaries for people, one JSON object for programs.

use std::collections::BTreeMap;
use std::io::Write;

use callvault_pipeline::ledger::{Counts, DayLine, Marker};
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

/// A day in one line, and what is parked below it.
pub(crate) fn day(shown: &DayLine, counts: &Counts) {
    let marker = shown.marker.map_or(shown.state, Marker::file_name);
    line(format!(
        "{}  {marker:<8}  {} conversations, {} recordings, {} stored ({}), {} parked",
        shown.day,
        shown.conversations,
        shown.recordings,
        shown.stored,
        HumanBytes(shown.bytes),
        shown.parked
    ));
    reasons(&counts.parked_by_reason);
}
