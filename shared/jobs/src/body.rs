//! The two bodies, read strictly: one JSON object with exactly the fields that are known.
//!
//! Must never repeat more of a body than a short piece.

use callvault_http::instant::is_rfc_3339;
use callvault_pipeline::day::Day;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Problem;

/// Longest message of the reader that is shown.
const SHOWN: usize = 200;

/// What `download_recordings` wants: the stretch from `start_time` up to but not including `end_time`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Stretch {
    pub(crate) start_time: Instant,
    pub(crate) end_time: Instant,
}

/// What `check_recordings` wants.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct OneDay {
    pub(crate) recording_day: Day,
}

/// An instant, as RFC 3339 spells it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Instant(pub(crate) Timestamp);

impl TryFrom<String> for Instant {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || {
            let shown: String = text.chars().take(40).collect();
            format!("`{shown}` is no time with an offset: expected RFC 3339, for instance 2026-01-31T00:00:00-05:00")
        };
        match (is_rfc_3339(&text), text.parse()) {
            (true, Ok(timestamp)) => Ok(Self(timestamp)),
            _ => Err(wrong()),
        }
    }
}

/// Reads a body.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // A struct would be read from a list of its values too.
    if body.iter().find(|b| !matches!(b, b' ' | b'\t' | b'\r' | b'\n')) != Some(&b'{') {
        return Err(Problem::bad("body-malformed", "the body is not a JSON object"));
    }
    serde_json::from_slice(body).map_err(|error| {
        let why: String = error.to_string().chars().filter(|c| !c.is_control()).take(SHOWN).collect();
        Problem::bad("body-malformed", format!("the body cannot be read: {why}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_rfc_3339_and_nothing_else() {
        for text in [
            "2026-01-31T00:00:00Z",
            "2026-01-31t00:00:00z",
            "2026-01-31T00:00:00.1-05:00",
            "2026-01-31T23:59:59.999999999+14:00",
            "2024-02-29T00:00:00-00:00",
        ] {
            assert!(Instant::try_from(text.to_owned()).is_ok(), "{text}");
        }
        for text in [
            "",
            "2026-01-31",
            "2026-01-31T00:00:00",
            "2026-01-31 00:00:00Z",
            "2026-01-31T00:00Z",
            "2026-01-31T00:00:00.Z",
            "2026-01-31T00:00:00.1234567890Z",
            "2026-01-31T00:00:00,1Z",
            "2026-01-31T00:00:00+0500",
            "2026-01-31T00:00:00+24:00",
            "2026-01-31T00:00:00+05:60",
            "2026-01-31T00:00:00-05:00[America/Lima]",
            "2026-02-30T00:00:00Z",
            "2026-01-31T24:00:00Z",
            "+002026-01-31T00:00:00Z",
            "1769817600",
            "now",
            "2026-01-31T00:00:0\u{665}Z",
            " 2026-01-31T00:00:00Z",
        ] {
            assert!(Instant::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
