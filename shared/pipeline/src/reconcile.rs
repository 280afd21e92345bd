//! What the metadata says against what was delivered: the decision about a conversation. Pure.
//!
//! The batch API leaves out what it cannot or may not deliver, sometimes with an error and sometimes silently. The
//! metadata is the list of what should be there. Whatever is on that list and not in the archive gets a next step
//! here: wait, ask again, or a reason.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::ids::RecordingId;
use crate::kind::Kind;
use crate::ledger::machine::{
    MOST_EMPTY_LOOKS, MOST_LOOKS, MOST_LOSSES, MOST_RESUBMISSIONS, Next, ParkedRecording, Resubmission,
};
use crate::ledger::{ConversationFact, Fact, Outcome, RecordingFact, RecordingState, Row, RowKey};
use crate::models::{FileState, MediaType, RecordingMetadata};
use crate::reason::Reason;

/// A restore takes hours (genesys/api.md); what is not there after this is given up.
const LONGEST_RESTORE: SignedDuration = SignedDuration::from_hours(72);

/// How much is asked about each conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataMode {
    /// Recording metadata of every conversation: completeness is proved.
    Full,
    /// Only of conversations that look wrong: a recording that the batch leaves out silently beside others of the
    /// same conversation is not noticed.
    Analytics,
}

/// What the settings want to know and to have.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// How much is asked about each conversation.
    pub mode: MetadataMode,
    /// Kinds that are exported; empty for all.
    pub kinds: &'a [Kind],
    /// Whether archived recordings are restored at the source.
    pub restore: bool,
}

impl Asked<'_> {
    fn wants(&self, kind: Kind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }
}

/// What to do with a conversation whose batch is finished.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Read its metadata first.
    ReadMetadata,
    /// Park these and go on with that.
    Go {
        /// Recordings that will not come.
        park: Vec<ParkedRecording>,
        /// Set unless all is terminal.
        next: Option<Next>,
        /// How the conversation ends, when all is terminal.
        outcome: Outcome,
        /// Archived recordings that are to be restored, with [`Next::AwaitRestore`].
        restore: Vec<Archived>,
    },
}

/// An archived recording that is to be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    /// Which.
    pub recording: RecordingId,
    /// Its kind.
    pub kind: Kind,
    /// Whether that was asked for before, and counted.
    pub again: bool,
}

/// Whether something about the conversation cannot be explained without its metadata.
fn is_troubled(fact: &ConversationFact, recordings: &[(&RecordingId, &RecordingFact)]) -> bool {
    fact.batch_error.is_some()
        || (recordings.is_empty() && fact.facts.recorded)
        || recordings.iter().any(|(_, r)| matches!(r.state, RecordingState::Waiting | RecordingState::Parked(_)))
        || is_outdated(fact, recordings)
}

/// Whether the metadata that was read says of a recording that the source is not ready with it: only reading it again
/// shows when that is over.
fn is_outdated(fact: &ConversationFact, recordings: &[(&RecordingId, &RecordingFact)]) -> bool {
    let changing = |metadata: &&RecordingMetadata| match &metadata.file_state {
        Some(FileState::Uploading) => true,
        Some(FileState::Archived | FileState::Restoring) => fact.restores.is_some(),
        _ => false,
    };
    let unknown = |metadata: &RecordingMetadata| !recordings.iter().any(|(known, _)| **known == id_of(metadata));
    fact.metadata.iter().flatten().filter(changing).any(unknown)
}

/// Decides. `fresh` says that the conversation's metadata was read just now.
pub fn decide(family: &[Row], asked: Asked<'_>, fresh: bool, now: Timestamp) -> Option<Decision> {
    let (_, fact) = crate::ledger::machine::conversation_of(family)?;
    let recordings: Vec<(&RecordingId, &RecordingFact)> = family.iter().filter_map(recording).collect();
    let troubled = is_troubled(fact, &recordings);
    let unread = fact.metadata.is_none() && asked.mode == MetadataMode::Full;
    if (unread || troubled) && !fresh {
        return Some(Decision::ReadMetadata);
    }
    let listed = fact.metadata.as_deref().unwrap_or_default();
    // Analytics saw it recorded, and nothing is there yet: recordings may come later than what tells of them.
    if fact.facts.recorded && listed.is_empty() && recordings.is_empty() && fact.looks < MOST_EMPTY_LOOKS {
        let next = Some(Next::LookAgain { due: now + pause(fact.looks, 3) });
        let (park, restore) = (Vec::new(), Vec::new());
        return Some(Decision::Go { park, next, outcome: Outcome::NoRecordings, restore });
    }
    let listed: Vec<Listed<'_>> =
        listed.iter().map(|metadata| Listed::of(metadata, &recordings, fact, asked, now)).collect();
    let rounds = Rounds::of(fact, listed.iter().any(|one| one.restoring.as_ref().is_some_and(Step::is_coming)));
    let mut steps: Vec<(RecordingId, Kind, Step)> = Vec::new();
    for Listed { metadata, id, known, kind, restoring } in &listed {
        let step = match restoring {
            Some(step) => Some(*step),
            None => step_for(metadata.file_state.as_ref(), *known, id.is_stand_in(), fact, rounds),
        };
        steps.extend(step.map(|step| (id.clone(), *kind, step)));
    }
    // Delivered with an error or a refused URL, and not on the list.
    for (id, known) in &recordings {
        let on_list = listed.iter().any(|one| one.id == **id);
        if !on_list && known.state == RecordingState::Waiting {
            steps.push(((*id).clone(), known.kind, waiting(Some(known), fact, rounds)));
        }
    }
    let unnamed = recordings.iter().filter(|(id, known)| is_unnamed(id) && known.state == RecordingState::Stored);
    drop_unnamed(&mut steps, unnamed.count());
    for (_, kind, step) in &mut steps {
        if !asked.wants(*kind) {
            *step = Step::LeaveOut;
        }
    }
    Some(conclude(fact, &recordings, steps, now))
}

/// A result without an id was stored under a name of its own. Where as many recordings are missing as have such a name,
/// those are the missing ones.
fn drop_unnamed(steps: &mut Vec<(RecordingId, Kind, Step)>, unnamed: usize) {
    let is_missing = |step: &Step| match step {
        Step::Resubmit(because) => *because != Resubmission::Lost,
        Step::Park(reason) => *reason == Reason::SensitiveExcluded,
        _ => false,
    };
    if unnamed > 0 && steps.iter().filter(|(_, _, step)| is_missing(step)).count() == unnamed {
        steps.retain(|(_, _, step)| !is_missing(step));
    }
}

/// Whether a result came without an id, and the recording got one by its place.
pub(crate) fn is_unnamed(id: &RecordingId) -> bool {
    id.as_str().starts_with("unnamed-")
}

/// A recording on the list of what there should be.
struct Listed<'a> {
    metadata: &'a RecordingMetadata,
    id: RecordingId,
    known: Option<&'a RecordingFact>,
    kind: Kind,
    /// What cold storage has to do with it. Nothing, where nobody wants it.
    restoring: Option<Step>,
}

impl<'a> Listed<'a> {
    fn of(
        metadata: &'a RecordingMetadata,
        recordings: &[(&RecordingId, &'a RecordingFact)],
        fact: &ConversationFact,
        asked: Asked<'_>,
        now: Timestamp,
    ) -> Self {
        let id = id_of(metadata);
        let known = recordings.iter().find(|(known, _)| **known == id).map(|(_, fact)| *fact);
        // Before there was a URL, the kind of a row is a guess; the metadata knows.
        let delivered = known.filter(|known| known.results > 0 || !known.objects.is_empty());
        let kind = delivered.map_or_else(|| kind_of(metadata, &fact.facts.media), |known| known.kind);
        let restoring = match asked.restore && asked.wants(kind) {
            true => restoring(metadata, known, &id, fact, now),
            false => None,
        };
        Self { metadata, id, known, kind, restoring }
    }
}

#[derive(Clone, Copy)]
enum Step {
    Park(Reason),
    LeaveOut,
    LookAgain,
    /// In cold storage: to be restored. Whether that was asked for before.
    Restore {
        again: bool,
    },
    /// On its way back.
    AwaitRestore,
    Resubmit(Resubmission),
}

impl Step {
    /// Whether it comes back from cold storage.
    fn is_coming(&self) -> bool {
        matches!(self, Self::Restore { .. } | Self::AwaitRestore)
    }
}

/// The batches that a conversation may still go into, but for those that losses give it.
#[derive(Clone, Copy)]
struct Rounds {
    /// Because of what was not delivered.
    ordinary: bool,
    /// Because of what came back from cold storage: one for all of it, so not before the last of it is there.
    restored: bool,
}

impl Rounds {
    fn of(fact: &ConversationFact, some_is_coming: bool) -> Self {
        let restored = fact.restores.as_ref().is_some_and(|restores| !restores.batched);
        Self { ordinary: fact.resubmissions < MOST_RESUBMISSIONS, restored: restored && !some_is_coming }
    }

    fn ask_again(self, otherwise: Reason) -> Step {
        match self {
            Self { ordinary: true, .. } => Step::Resubmit(Resubmission::Missing),
            Self { restored: true, .. } => Step::Resubmit(Resubmission::Restored),
            _ => Step::Park(otherwise),
        }
    }
}

fn step_for(
    state: Option<&FileState>,
    known: Option<&RecordingFact>,
    unreadable: bool,
    fact: &ConversationFact,
    rounds: Rounds,
) -> Option<Step> {
    if let Some(known) = known
        && matches!(known.state, RecordingState::Stored | RecordingState::LeftOut(_) | RecordingState::Pending)
    {
        return None;
    }
    if unreadable {
        return Some(Step::Park(Reason::UnreadableId));
    }
    Some(match state {
        Some(FileState::Archived) => Step::Park(Reason::Archived),
        Some(FileState::Restoring) => Step::Park(Reason::Restoring),
        Some(FileState::Deleted) => Step::Park(Reason::Deleted),
        Some(FileState::Uploading) if fact.looks < MOST_LOOKS => Step::LookAgain,
        Some(FileState::Uploading) => Step::Park(Reason::Uploading),
        Some(FileState::Error) => Step::Park(Reason::SourceError),
        Some(FileState::Available | FileState::Restored | FileState::Unknown(_)) | None => match known.map(|k| k.state)
        {
            // It was on its way then and is there now: what is not delivered now is left out.
            Some(RecordingState::Parked(
                Reason::Archived
                | Reason::RestoreCapped
                | Reason::RestoreForbidden
                | Reason::Restoring
                | Reason::Deleted
                | Reason::Uploading,
            )) => rounds.ask_again(Reason::SensitiveExcluded),
            // The source was away for longer than anybody waits: another batch would only be waited for as long. One that
            // somebody asked for (`rows::reopen`) has one round left, and gets it.
            Some(RecordingState::Parked(reason @ Reason::SourceUnavailable))
                if fact.resubmissions + 1 < MOST_RESUBMISSIONS =>
            {
                Step::Park(reason)
            }
            // It was tried and has its reason, which stays unless another batch does better.
            Some(RecordingState::Parked(reason)) => rounds.ask_again(reason),
            Some(_) => waiting(known, fact, rounds),
            None => rounds.ask_again(Reason::SensitiveExcluded),
        },
    })
}

/// What to do with a recording in cold storage that is to be restored; `None` where it is another's business.
fn restoring(
    metadata: &RecordingMetadata,
    known: Option<&RecordingFact>,
    id: &RecordingId,
    fact: &ConversationFact,
    now: Timestamp,
) -> Option<Step> {
    let archived = match metadata.file_state {
        Some(FileState::Archived) => true,
        Some(FileState::Restoring) => false,
        _ => return None,
    };
    let state = known.map(|known| known.state);
    let is_done = matches!(state, Some(RecordingState::Stored | RecordingState::LeftOut(_) | RecordingState::Pending));
    if is_done || id.is_stand_in() {
        return None;
    }
    let asked = fact.restores.as_ref().is_some_and(|restores| restores.asked.contains(id));
    // Refused since something of it is restored; whoever opens the conversation again wants it tried again. One that comes
    // back may still be parked for what kept it away before.
    if let (true, Some(RecordingState::Parked(reason)), Some(_), false) = (archived, state, &fact.restores, asked) {
        return Some(Step::Park(reason));
    }
    let since = fact.restores.as_ref().map_or(now, |restores| restores.since);
    if now.duration_since(since) >= LONGEST_RESTORE {
        return Some(Step::Park(if archived { Reason::Archived } else { Reason::Restoring }));
    }
    Some(if archived { Step::Restore { again: asked } } else { Step::AwaitRestore })
}

/// The pause before what is restored is looked for again: a quarter of an hour, doubled up to two.
fn restore_pause(fact: &ConversationFact) -> Duration {
    let looks = fact.restores.as_ref().map_or(0, |restores| restores.looks);
    Duration::from_secs(900 << looks.min(3))
}

/// A recording that waits was delivered with a URL that is refused since, or with an error.
fn waiting(known: Option<&RecordingFact>, fact: &ConversationFact, rounds: Rounds) -> Step {
    match known.is_some_and(|known| known.results > 0) {
        true if fact.losses < MOST_LOSSES => Step::Resubmit(Resubmission::Lost),
        true => Step::Park(Reason::UrlRefused),
        false => rounds.ask_again(Reason::SourceError),
    }
}

fn conclude(
    fact: &ConversationFact,
    recordings: &[(&RecordingId, &RecordingFact)],
    steps: Vec<(RecordingId, Kind, Step)>,
    now: Timestamp,
) -> Decision {
    // A loss first: it takes nothing from what else there is.
    let resubmit = steps.iter().filter_map(|(_, _, step)| match step {
        Step::Resubmit(because) => Some(*because),
        _ => None,
    });
    let resubmit = resubmit.min();
    let look_again = steps.iter().any(|(_, _, step)| matches!(step, Step::LookAgain));
    let restore: Vec<Archived> = steps.iter().filter_map(|(id, kind, step)| archived(id, *kind, step)).collect();
    let restoring = steps.iter().any(|(_, _, step)| step.is_coming());
    let park: Vec<ParkedRecording> = steps
        .into_iter()
        .filter_map(|(recording, kind, step)| match step {
            Step::Park(reason) => Some(ParkedRecording { recording, kind, state: RecordingState::Parked(reason) }),
            Step::LeaveOut => {
                let state = RecordingState::LeftOut(Reason::OtherKind);
                Some(ParkedRecording { recording, kind, state })
            }
            Step::LookAgain | Step::Resubmit(_) | Step::Restore { .. } | Step::AwaitRestore => None,
        })
        .collect();
    let uploading = recordings.iter().any(|(_, known)| known.state == RecordingState::Pending);
    let next = if uploading {
        // One thing after the other: the last copy wakes the conversation and it is looked at again.
        Some(Next::AwaitUploads)
    } else if look_again {
        Some(Next::LookAgain { due: now + pause(fact.looks, 3) })
    } else if let Some(because) = resubmit {
        let round = if because == Resubmission::Missing { fact.resubmissions } else { 0 };
        Some(Next::Resubmit { due: next_round(now + pause(round, 2)), because })
    } else if restoring {
        // Hours: so it comes last.
        Some(Next::AwaitRestore { due: now + restore_pause(fact), asked: Vec::new() })
    } else {
        None
    };
    let outcome = outcome(recordings, &park);
    let restore = if matches!(next, Some(Next::AwaitRestore { .. })) { restore } else { Vec::new() };
    Decision::Go { park, next, outcome, restore }
}

fn archived(recording: &RecordingId, kind: Kind, step: &Step) -> Option<Archived> {
    let Step::Restore { again } = step else { return None };
    Some(Archived { recording: recording.clone(), kind, again: *again })
}

fn outcome(recordings: &[(&RecordingId, &RecordingFact)], park: &[ParkedRecording]) -> Outcome {
    let now = |id: &RecordingId| park.iter().find(|parked| parked.recording == *id).map(|parked| parked.state);
    let states: Vec<RecordingState> = recordings.iter().map(|(id, known)| now(id).unwrap_or(known.state)).collect();
    let states = || states.iter().chain(park.iter().map(|parked| &parked.state));
    // The least of the reasons, so that it does not depend on the order in which they came.
    let parked = states().filter_map(|state| match state {
        RecordingState::Parked(reason) => Some(*reason),
        _ => None,
    });
    let parked = parked.min();
    let stored = states().any(|state| *state == RecordingState::Stored);
    let left_out = states().filter_map(|state| match state {
        RecordingState::LeftOut(reason) => Some(*reason),
        _ => None,
    });
    let left_out = left_out.min();
    match (parked, stored, left_out) {
        (Some(reason), _, _) => Outcome::Parked(reason),
        (None, true, _) => Outcome::Stored,
        (None, false, Some(reason)) => Outcome::LeftOut(reason),
        (None, false, None) => Outcome::NoRecordings,
    }
}

/// 2^`round` times `first` seconds.
fn pause(round: u32, first: u64) -> Duration {
    Duration::from_secs(first << round.min(8))
}

/// The next whole multiple of five seconds: conversations that go into a batch again meet in one batch.
fn next_round(instant: Timestamp) -> Timestamp {
    let second = instant.as_second();
    Timestamp::from_second(second + 5 - second.rem_euclid(5)).unwrap_or(instant)
}

fn recording(row: &Row) -> Option<(&RecordingId, &RecordingFact)> {
    match (&row.key, &row.fact) {
        (RowKey::Recording(_, id), Fact::Recording(fact)) => Some((id, fact)),
        _ => None,
    }
}

/// The id under which a recording's row stands.
pub(crate) fn id_of(metadata: &RecordingMetadata) -> RecordingId {
    let text = metadata.id.as_deref().unwrap_or_default();
    text.parse().unwrap_or_else(|_| RecordingId::standing_in_for(text))
}

pub(crate) fn kind_of(metadata: &RecordingMetadata, media: &[MediaType]) -> Kind {
    match metadata.media.as_deref() {
        Some("audio") => Kind::Call,
        Some("chat") => Kind::Chat,
        Some("email") => Kind::Email,
        Some("message" | "messaging") => Kind::Message,
        Some("screen") => Kind::Screen,
        _ => Kind::of(None, media),
    }
}
