//! What is done once more with a settled conversation, because somebody asked for it.

use super::family::conversation_of;
use super::rows;
use crate::day::Day;
use crate::ids::ConversationId;
use crate::layout::Key;
use crate::ledger::row::{ConversationState, DayState, Fact, RecordingState, Row, Stage, Work};
use crate::reason::Reason;
use jiff::Timestamp;

/// Why a settled conversation is opened again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reopening {
    /// Something of it is parked: it is looked at once more.
    Parked,
    /// Something of it is missing or damaged in the archive, or in the ledger.
    Mend {
        /// Objects that are no longer in the archive as they were stored.
        broken: Vec<Key>,
        /// Whether it goes into a batch in any case: recordings have no rows.
        batch: bool,
    },
}

/// What is opened again: everything parked that all of these name.
#[derive(Debug, Clone, Default)]
pub struct Narrowing {
    /// Only of this day.
    pub day: Option<Day>,
    /// Only what is parked for this reason.
    pub reason: Option<Reason>,
    /// Only this conversation.
    pub conversation: Option<ConversationId>,
}

impl Narrowing {
    /// Whether a row is of the day and the conversation.
    pub fn is_of(&self, row: &Row) -> bool {
        let conversation = row.key.conversation().or_else(|| row.key.voicemail_of());
        self.day.is_none_or(|day| row.day == day)
            && self.conversation.as_ref().is_none_or(|named| conversation == Some(named))
    }

    /// Whether it is for this reason.
    pub fn is_for(&self, reason: Reason) -> bool {
        self.reason.is_none_or(|named| named == reason)
    }
}

/// The rows to write when a conversation is opened again; none when it is not settled, or cannot be asked for.
pub fn reopen_family(family: &[Row], reopening: &Reopening, now: Timestamp) -> Vec<Row> {
    let Some((row, _)) = conversation_of(family) else { return Vec::new() };
    match reopening {
        Reopening::Parked => rows::reopen(row, now).into_iter().collect(),
        Reopening::Mend { broken, batch } => mend(row, family, broken, *batch, now),
    }
}

/// A day that is closed, due to be queried and closed again. Its parked conversations stay as they are.
pub fn reopen_day(row: &Row, now: Timestamp) -> Option<Row> {
    match &row.fact {
        Fact::Day(fact) if fact.state == DayState::Closed => Some(rows::plan(row.day, Some(row), now)),
        _ => None,
    }
}

/// A recording with a broken object waits for a batch, without that object; a metadata object is written again.
fn mend(row: &Row, family: &[Row], broken: &[Key], batch: bool, now: Timestamp) -> Vec<Row> {
    let Fact::Conversation(fact) = &row.fact else { return Vec::new() };
    if !matches!(fact.state, ConversationState::Settled(_)) {
        return Vec::new();
    }
    let mut mended: Vec<Row> = family.iter().filter_map(|row| without(row, broken)).collect();
    let mut fact = fact.clone();
    fact.object = fact.object.take().filter(|object| !broken.contains(&object.key));
    // What the source says now, not then; and the whole patience again.
    (fact.metadata, fact.restores) = (None, None);
    (fact.resubmissions, fact.losses, fact.looks) = (0, 0, 0);
    let (state, stage) = match batch || !mended.is_empty() {
        true => (ConversationState::Found, Stage::Submit),
        false => (ConversationState::Delivered, Stage::Describe),
    };
    fact.state = state;
    let work = Some(Work { stage, due: now, holder: None });
    mended.push(Row { tries: 0, work, fact: Fact::Conversation(fact), ..row.clone() });
    mended
}

fn without(row: &Row, broken: &[Key]) -> Option<Row> {
    let Fact::Recording(recording) = &row.fact else { return None };
    if !row.is_terminal() || !recording.objects.iter().any(|object| broken.contains(&object.key)) {
        return None;
    }
    let mut recording = recording.clone();
    recording.objects.retain(|object| !broken.contains(&object.key));
    recording.state = RecordingState::Waiting;
    Some(Row { tries: 0, work: None, fact: Fact::Recording(recording), ..row.clone() })
}
