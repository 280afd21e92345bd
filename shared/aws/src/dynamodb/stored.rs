//! Rows as the bytes of an item: a version byte, then compressed JSON. Writing a KiB costs a write unit, so what the
//! item's keys already say is left out. The words here are stored: renaming one is a migration.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use callvault_pipeline::day::Day;
use callvault_pipeline::ids::{ConversationId, RecordingId};
use callvault_pipeline::ledger::{Fact, HolderId, Row, RowKey, Stage, Work};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::place::Place;

/// The first byte of what is written now.
const FORMAT: u8 = 1;

/// What an item holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Content {
    /// In the order of their keys.
    pub(super) rows: Vec<Row>,
    /// For a batch: the days of conversations that are not of its own day.
    pub(super) days: BTreeMap<ConversationId, Day>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    rows: Vec<WrittenRow>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    days: BTreeMap<ConversationId, Day>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRow {
    /// Which recording; none for the row that gives the item its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<RecordingId>,
    /// Only where the item's keys do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    day: Option<Day>,
    #[serde(default, skip_serializing_if = "is_zero")]
    attempt: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    tries: u32,
    /// Stage, when due in milliseconds since 1970, holder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    work: Option<(Stage, i64, Option<HolderId>)>,
    fact: Fact,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// Milliseconds, rounded up: a row is never due before its time.
pub(super) fn milliseconds(instant: Timestamp) -> i64 {
    let down = instant.as_nanosecond().div_euclid(1_000_000);
    let up = down + i128::from(instant.as_nanosecond().rem_euclid(1_000_000) > 0);
    i64::try_from(up).unwrap_or(i64::MAX)
}

/// The same as an instant.
pub(super) fn rounded(instant: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(milliseconds(instant)).unwrap_or(instant)
}

/// The day that an item's keys say.
fn implied_day(place: &Place, head: &RowKey) -> Option<Day> {
    match head {
        RowKey::Day(day) | RowKey::Notification(day, _) => Some(*day),
        _ => place.day_of_family(),
    }
}

/// The bytes of `content` at `place`.
pub(super) fn encode(place: &Place, content: &Content) -> Result<Vec<u8>, String> {
    let implied = implied_day(place, &place.head()?);
    let rows = content.rows.iter().map(|row| WrittenRow {
        id: match &row.key {
            RowKey::Recording(_, id) => Some(id.clone()),
            _ => None,
        },
        day: Some(row.day).filter(|day| implied != Some(*day)),
        attempt: row.attempt,
        tries: row.tries,
        work: row.work.as_ref().map(|work| (work.stage, milliseconds(work.due), work.holder.clone())),
        fact: row.fact.clone(),
    });
    let written = Written { rows: rows.collect(), days: content.days.clone() };
    let json = serde_json::to_vec(&written).map_err(|error| error.to_string())?;
    let mut encoder = DeflateEncoder::new(vec![FORMAT], Compression::best());
    encoder.write_all(&json).and_then(|()| encoder.finish()).map_err(|error| error.to_string())
}

/// The rows in `bytes`.
pub(super) fn decode(place: &Place, bytes: &[u8]) -> Result<Content, String> {
    let (format, compressed) = bytes.split_first().ok_or_else(|| "it is empty".to_owned())?;
    if *format != FORMAT {
        return Err(format!("format {format}"));
    }
    let mut json = Vec::new();
    DeflateDecoder::new(compressed).read_to_end(&mut json).map_err(|error| error.to_string())?;
    let written: Written = serde_json::from_slice(&json).map_err(|error| error.to_string())?;
    let head = place.head()?;
    let implied = implied_day(place, &head);
    let read = |row: WrittenRow| {
        let key = match (row.id, &head) {
            (None, head) => head.clone(),
            (Some(id), RowKey::Conversation(conversation)) => RowKey::Recording(conversation.clone(), id),
            (Some(_), _) => return Err("a recording of no conversation".to_owned()),
        };
        let work = match row.work {
            Some((stage, due, holder)) => {
                let due = Timestamp::from_millisecond(due).map_err(|error| error.to_string())?;
                Some(Work { stage, due, holder })
            }
            None => None,
        };
        let day = row.day.or(implied).ok_or_else(|| "no day".to_owned())?;
        Ok(Row { key, day, attempt: row.attempt, tries: row.tries, work, fact: row.fact })
    };
    let rows = written.rows.into_iter().map(read).collect::<Result<_, String>>()?;
    Ok(Content { rows, days: written.days })
}

#[cfg(test)]
mod tests {
    use callvault_pipeline::facts::{Facts, Intake, NewConversation};
    use callvault_pipeline::ledger::machine;

    use super::*;

    fn family() -> (Place, Content) {
        let (day, id) = ("2026-01-20".parse().unwrap(), "a-1".parse().unwrap());
        let new = NewConversation { id, facts: Facts::default(), intake: Intake::Export };
        let mut row = machine::add(day, &new, Timestamp::from_millisecond(-1).unwrap());
        (row.attempt, row.tries) = (3, 2);
        (Place::family(day, &new.id), Content { rows: vec![row], days: BTreeMap::new() })
    }

    #[test]
    fn what_is_written_is_read() {
        let (place, content) = family();
        assert_eq!(decode(&place, &encode(&place, &content).unwrap()).unwrap(), content);
    }

    #[test]
    fn what_is_no_item_of_ours_is_refused() {
        let (place, content) = family();
        let whole = encode(&place, &content).unwrap();
        for bytes in [&[][..], &[9, 1, 2], &whole[..whole.len() / 2], b"\x01garbage"] {
            assert!(decode(&place, bytes).is_err(), "{bytes:?}");
        }
        assert!(decode(&Place::bound(), &whole).is_err());
    }

    #[test]
    fn a_row_is_never_due_before_its_time() {
        for (nanoseconds, ms) in
            [(0, 0), (1, 1), (999_999, 1), (1_000_000, 1), (-1, 0), (-1_000_000, -1), (-1_000_001, -1)]
        {
            assert_eq!(milliseconds(Timestamp::from_nanosecond(nanoseconds).unwrap()), ms, "{nanoseconds}");
        }
    }
}
