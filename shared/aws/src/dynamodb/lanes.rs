//! Where an item stands in the two indexes. Pure.
//!
//! An entry is never later than the rows' true due time, so nothing is overlooked; it may be earlier, and whoever meets
//! it there looks at the rows. That is why a claim leaves the entries where they are, which spares most of what a claim
//! would cost.

use std::time::Duration;

use callvault_pipeline::ledger::{Row, RowKey, Stage};

use super::stored::milliseconds;

/// A conversation that waits at least this long beyond the first of its own copies has no entry of its own: the last
/// copy's settlement, which is a write of the same item, gives it one. Should that never come, it is found through the
/// copies, which are overdue by as much.
pub(super) const BEHIND_COPIES: Duration = Duration::from_secs(60);

/// An item's entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lanes {
    /// Stage and due time of a day's, a batch's or a conversation's work.
    pub(super) work: Option<(Stage, i64)>,
    /// When the first copy is due.
    pub(super) copy: Option<i64>,
}

/// The entries of `rows`, where they had `old` before.
pub(super) fn of(rows: &[Row], old: &Lanes) -> Lanes {
    let copies = earliest(rows.iter().filter(|row| matches!(row.key, RowKey::Recording(..))));
    let copy = copies.map(|(_, due, held)| settled_at(due, held, old.copy));
    let work = earliest(rows.iter().filter(|row| !matches!(row.key, RowKey::Recording(..))));
    let work = work.and_then(|(stage, due, held)| {
        let before = old.work.filter(|(before, _)| *before == stage).map(|(_, due)| due);
        let behind =
            stage == Stage::Describe && copy.is_some_and(|copy| due >= copy.saturating_add(span(BEHIND_COPIES)));
        match (held, before) {
            (true, Some(_)) => Some((stage, settled_at(due, held, before))),
            _ if behind => None,
            _ => Some((stage, due)),
        }
    });
    Lanes { work, copy }
}

/// Whether `new` has copies due that `old` had not, or earlier.
pub(super) fn wakes(old: &Lanes, new: &Lanes) -> bool {
    new.copy.is_some_and(|new| old.copy.is_none_or(|old| new < old))
}

/// In milliseconds.
pub(super) fn span(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// While the first of the rows is claimed, the entry stays where it was before the claim.
fn settled_at(due: i64, held: bool, before: Option<i64>) -> i64 {
    before.filter(|before| held && *before <= due).unwrap_or(due)
}

fn earliest<'a>(rows: impl Iterator<Item = &'a Row>) -> Option<(Stage, i64, bool)> {
    let work = rows.filter_map(|row| row.work.as_ref());
    work.map(|work| (work.stage, milliseconds(work.due), work.holder.is_some()))
        .min_by_key(|(_, due, held)| (*due, *held))
}

#[cfg(test)]
mod tests {
    use callvault_pipeline::facts::{Facts, Intake, NewConversation};
    use callvault_pipeline::ledger::{HolderId, Work, machine};
    use jiff::Timestamp;

    use super::*;

    /// A row of a family: `None` for the conversation, else a recording; its stage, when due (in seconds), claimed.
    fn row(recording: Option<&str>, stage: Stage, due: i64, held: bool) -> Row {
        let id: callvault_pipeline::ids::ConversationId = "a".parse().unwrap();
        let new = NewConversation { id: id.clone(), facts: Facts::default(), intake: Intake::Export };
        let row = machine::add("2026-01-20".parse().unwrap(), &new, Timestamp::UNIX_EPOCH);
        let key = recording.map_or(row.key.clone(), |name| RowKey::Recording(id, name.parse().unwrap()));
        let holder = held.then(|| HolderId("one".to_owned()));
        Row { key, work: Some(Work { stage, due: Timestamp::from_second(due).unwrap(), holder }), ..row }
    }

    fn lanes(work: Option<(Stage, i64)>, copy: Option<i64>) -> Lanes {
        Lanes { work: work.map(|(stage, due)| (stage, due * 1000)), copy: copy.map(|due| due * 1000) }
    }

    #[test]
    fn an_entry_says_when_the_first_row_is_due() {
        let rows = [
            row(None, Stage::Describe, 10, false),
            row(Some("r"), Stage::Upload, 7, false),
            row(Some("q"), Stage::Upload, 5, false),
        ];
        assert_eq!(of(&rows, &Lanes::default()), lanes(Some((Stage::Describe, 10)), Some(5)));
        assert_eq!(of(&[], &lanes(Some((Stage::Submit, 1)), Some(1))), Lanes::default());
    }

    #[test]
    fn while_the_first_is_claimed_its_entry_stays() {
        let old = lanes(Some((Stage::Describe, 1)), Some(2));
        let rows = [row(None, Stage::Describe, 300, true), row(Some("r"), Stage::Upload, 301, true)];
        assert_eq!(of(&rows, &old), old);
        // Nothing stood there before, or another stage's: then when the claim ends.
        let other = lanes(Some((Stage::Submit, 1)), Some(2));
        assert_eq!(of(&rows[..1], &other), lanes(Some((Stage::Describe, 300)), None));
        // What is not claimed is due before the claim ends.
        let rows = [row(Some("r"), Stage::Upload, 301, true), row(Some("q"), Stage::Upload, 60, false)];
        assert_eq!(of(&rows, &old), lanes(None, Some(60)));
    }

    #[test]
    fn a_conversation_behind_its_copies_has_no_entry() {
        let copies = row(Some("r"), Stage::Upload, 10, false);
        for (due, entry) in [(69, Some((Stage::Describe, 69))), (70, None), (610, None)] {
            let rows = [row(None, Stage::Describe, due, false), copies.clone()];
            assert_eq!(of(&rows, &Lanes::default()).work.map(|(s, d)| (s, d / 1000)), entry);
        }
        // One on its way into another batch has, whatever is still being copied.
        let rows = [row(None, Stage::Submit, 610, false), copies];
        assert_eq!(of(&rows, &Lanes::default()).work, Some((Stage::Submit, 610_000)));
    }

    #[test]
    fn only_what_is_due_earlier_wakes() {
        for (old, new, woken) in [
            (None, Some(5), true),
            (Some(5), Some(4), true),
            (Some(5), Some(5), false),
            (Some(5), Some(6), false),
            (Some(5), None, false),
        ] {
            assert_eq!(wakes(&lanes(None, old), &lanes(None, new)), woken, "{old:?} {new:?}");
        }
    }
}
