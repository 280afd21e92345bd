//! A conversation's row and those of its recordings, together.

use crate::ledger::row::{ConversationFact, Fact, RecordingState, Row};

/// The conversation's row of a family, with its fact.
pub fn conversation_of(family: &[Row]) -> Option<(&Row, &ConversationFact)> {
    family.iter().find_map(|row| match &row.fact {
        Fact::Conversation(fact) => Some((row, &**fact)),
        _ => None,
    })
}

/// The recordings of a family.
pub(super) fn recordings<'a>(rows: &'a [&Row]) -> impl Iterator<Item = &'a Row> {
    rows.iter().copied().filter(|row| matches!(row.fact, Fact::Recording(_)))
}

/// Where a recording is; `None` for a conversation.
pub(super) fn recording_state(row: &Row) -> Option<RecordingState> {
    match &row.fact {
        Fact::Recording(recording) => Some(recording.state),
        _ => None,
    }
}

/// The family as it will be once `changed` is written.
pub(super) fn merged<'a>(family: &'a [Row], changed: &'a [Row]) -> Vec<&'a Row> {
    let untouched = family.iter().filter(|old| !changed.iter().any(|new| new.key == old.key));
    untouched.chain(changed).collect()
}
