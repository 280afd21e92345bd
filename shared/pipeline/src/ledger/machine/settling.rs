//! What a settlement does to a claimed row and its family.

use super::batches;
use super::family::{conversation_of, merged, recording_state, recordings};
use super::words::{Closing, Look, Next, ParkedRecording, Resubmission, Settlement};
use super::{MOST_LOSSES, SAFETY, notifications, voicemails};
use crate::ids::ConversationId;
use crate::ledger::RowKey;
use crate::ledger::Settled;
use crate::ledger::notification;
use crate::ledger::row::{
    BatchFact, ConversationFact, ConversationState, DayFact, DayState, Fact, Outcome, RecordingFact, RecordingState,
    Restores, Row, Stage, StoredObject, Work,
};
use crate::reason::Reason;
use jiff::Timestamp;

/// Settles a claim. `family` holds the rows of the same conversation (for a day or a batch, none; for a lost batch,
/// the rows of its conversations). Answers the rows to write, or that the claim is stale.
pub fn settle(row: &Row, attempt: u32, settlement: &Settlement, family: &[Row], now: Timestamp) -> (Settled, Vec<Row>) {
    if row.attempt != attempt || row.work.as_ref().is_none_or(|work| work.holder.is_none()) {
        return (Settled::Stale, Vec::new());
    }
    let mut rows = match (&row.fact, settlement) {
        (_, Settlement::Later { due, failed }) => vec![later(row, *due, *failed)],
        (_, Settlement::SourceAway { due }) => {
            vec![later(row, *due, false).with_outages(row.outages().saturating_add(1))]
        }
        (Fact::Day(fact), settlement) => settle_day(row, fact, settlement, now),
        (Fact::Batch(fact), Settlement::Running { due, steady }) => {
            let fact = BatchFact { polls: fact.polls + 1, steady: *steady, ..fact.clone() };
            vec![Row { fact: Fact::Batch(fact), ..later(row, *due, false) }]
        }
        (Fact::Batch(_), Settlement::Lost) => batches::lose(row, family, now),
        (Fact::Conversation(fact), Settlement::Looked(look)) => look_at(row, fact, look, family, now),
        (Fact::Conversation(fact), Settlement::GivenUp(reason)) => give_up(row, fact, *reason, family),
        (Fact::Recording(fact), settlement) => settle_recording(row, fact, settlement, family, now),
        (Fact::Notice(fact), settlement) => voicemails::settle_notice(row, fact, settlement),
        (Fact::Voicemail(fact), settlement) => voicemails::settle_voicemail(row, fact, settlement, now),
        (Fact::Notification(fact), settlement) => notifications::settle(row, fact, settlement),
        _ => return (Settled::Stale, Vec::new()),
    };
    // Giving a claim back says nothing about the source; anything else shows that it answers.
    let says_nothing = matches!(settlement, Settlement::Later { failed: false, .. } | Settlement::SourceAway { .. });
    if !says_nothing {
        rows = rows.into_iter().map(|new| if new.key == row.key { new.with_outages(0) } else { new }).collect();
    }
    (Settled::Done, rows)
}

fn later(row: &Row, due: Timestamp, failed: bool) -> Row {
    let work = row.work.clone().map(|work| Work { due, holder: None, ..work });
    Row { work, tries: row.tries + u32::from(failed), ..row.clone() }
}

fn settle_day(row: &Row, fact: &DayFact, settlement: &Settlement, now: Timestamp) -> Vec<Row> {
    let mut fact = fact.clone();
    let work = match settlement {
        Settlement::Queried => {
            fact.state = DayState::Open;
            fact.queried_at = Some(now);
            fact.compared = None;
            Some(Work { stage: Stage::Close, due: now, holder: None })
        }
        Settlement::Reopened => {
            fact.marker = None;
            row.work.clone()
        }
        Settlement::Compared(last) => {
            fact.compared = Some(last.clone());
            row.work.clone()
        }
        Settlement::Closed(closing) => return close(row, fact, closing, now),
        _ => return Vec::new(),
    };
    vec![Row { tries: 0, work, fact: Fact::Day(fact), ..row.clone() }]
}

/// A generation that is new is announced with its close: once, however often that is repeated.
fn close(row: &Row, mut fact: DayFact, closing: &Closing, now: Timestamp) -> Vec<Row> {
    let Closing { generation, marker, manifest, link, announce } = closing;
    let announced = announce.as_ref().filter(|_| *generation > fact.generation);
    let announced = announced.map(|summary| notification::announce(row.day, summary, now));
    fact.state = DayState::Closed;
    fact.generation = *generation;
    fact.marker = Some(*marker);
    fact.manifest = Some(manifest.clone());
    fact.closed_at = Some(now);
    if fact.chain.last().is_none_or(|last| last.generation < link.generation) {
        fact.chain.push(link.clone());
    }
    let day = Row { tries: 0, work: None, fact: Fact::Day(fact), ..row.clone() };
    std::iter::once(day).chain(announced).collect()
}

fn look_at(row: &Row, fact: &ConversationFact, look: &Look, family: &[Row], now: Timestamp) -> Vec<Row> {
    let RowKey::Conversation(id) = &row.key else { return Vec::new() };
    let mut rows: Vec<Row> = look.park.iter().map(|parked| park(id, row, fact, parked, family)).collect();
    let mut fact = fact.clone();
    if let Some(metadata) = &look.metadata {
        fact.metadata = Some(metadata.clone());
    }
    let after = merged(family, &rows);
    let all_terminal = recordings(&after).all(|row| row.is_terminal());
    let uploading = recordings(&after).any(|row| recording_state(row) == Some(RecordingState::Pending));
    let due_at = |stage, due| Some(Work { stage, due, holder: None });
    let work = match &look.next {
        // The last copy may have been settled while this look was going on: then nobody else wakes it. What waits
        // since then waits for the next look.
        Next::AwaitUploads if !uploading => due_at(Stage::Describe, now),
        Next::AwaitUploads => due_at(Stage::Describe, now + SAFETY),
        Next::LookAgain { due } => {
            fact.looks += 1;
            due_at(Stage::Describe, *due)
        }
        Next::AwaitRestore { due, asked } => {
            let restores = fact.restores.get_or_insert_with(|| Restores::since(now));
            restores.looks = restores.looks.saturating_add(1);
            restores.asked.extend(asked.iter().cloned());
            due_at(Stage::Describe, *due)
        }
        Next::Resubmit { due, because } => {
            match (because, &mut fact.restores) {
                (Resubmission::Lost, _) => fact.losses += 1,
                (Resubmission::Restored, Some(restores)) => restores.batched = true,
                (Resubmission::Missing | Resubmission::Restored, _) => fact.resubmissions += 1,
            }
            fact.state = ConversationState::Found;
            due_at(Stage::Submit, *due)
        }
        // Something turned up since: not settled, but looked at again.
        Next::Settle { .. } if !all_terminal => due_at(Stage::Describe, now),
        Next::Settle { outcome, object } => {
            fact.state = ConversationState::Settled(*outcome);
            fact.object.clone_from(object);
            None
        }
    };
    rows.push(Row { tries: 0, work, fact: Fact::Conversation(Box::new(fact)), ..row.clone() });
    rows
}

/// A conversation that is given up takes with it the recordings that wait for it; those that are being copied go on.
fn give_up(row: &Row, fact: &ConversationFact, reason: Reason, family: &[Row]) -> Vec<Row> {
    let waits = |row: &&Row| recording_state(row) == Some(RecordingState::Waiting);
    let mut rows: Vec<Row> = family.iter().filter(waits).cloned().collect();
    for row in &mut rows {
        row.work = None;
        if let Fact::Recording(recording) = &mut row.fact {
            recording.state = RecordingState::Parked(reason);
        }
    }
    let fact = ConversationFact { state: ConversationState::Settled(Outcome::Parked(reason)), ..fact.clone() };
    rows.push(Row { work: None, fact: Fact::Conversation(Box::new(fact)), ..row.clone() });
    rows
}

/// The rows to write for a conversation that the ledger has no room for as it would be next: the conversation and what
/// of it is not terminal are parked, and what can be asked for again is dropped.
pub fn park_family(family: &[Row], reason: Reason) -> Vec<Row> {
    let parked = |row: &Row| {
        let mut row = Row { tries: 0, work: None, ..row.clone() };
        match &mut row.fact {
            Fact::Conversation(fact) => {
                fact.state = ConversationState::Settled(Outcome::Parked(reason));
                (fact.metadata, fact.batch_error, fact.outages) = (None, None, 0);
            }
            Fact::Recording(recording) if !recording.state.is_terminal() => {
                recording.state = RecordingState::Parked(reason);
                (recording.detail, recording.outages) = (None, 0);
            }
            _ => return None,
        }
        Some(row)
    };
    family.iter().filter_map(parked).collect()
}

fn park(id: &ConversationId, row: &Row, fact: &ConversationFact, parked: &ParkedRecording, family: &[Row]) -> Row {
    let key = RowKey::Recording(id.clone(), parked.recording.clone());
    let state = parked.state;
    match family.iter().find(|row| row.key == key) {
        Some(old) => {
            let mut old = old.clone();
            if let Fact::Recording(recording) = &mut old.fact {
                recording.state = state;
                if recording.results == 0 && recording.objects.is_empty() {
                    recording.kind = parked.kind;
                }
            }
            Row { work: None, ..old }
        }
        None => Row {
            key,
            day: row.day,
            attempt: 0,
            tries: 0,
            work: None,
            fact: Fact::Recording(RecordingFact {
                state,
                kind: parked.kind,
                job: None,
                results: 0,
                objects: Vec::new(),
                detail: None,
                start: fact.facts.start,
                outages: 0,
            }),
        },
    }
}

fn settle_recording(
    row: &Row,
    fact: &RecordingFact,
    settlement: &Settlement,
    family: &[Row],
    now: Timestamp,
) -> Vec<Row> {
    let mut fact = fact.clone();
    let mut resubmit = false;
    match settlement {
        Settlement::Stored(objects) => {
            fact.state = RecordingState::Stored;
            fact.detail = None;
            keep(&mut fact.objects, objects);
        }
        Settlement::Parked { reason, detail, objects } => {
            fact.state = RecordingState::Parked(*reason);
            fact.detail = Some(detail.clone());
            keep(&mut fact.objects, objects);
        }
        Settlement::Refused { detail, objects } => {
            fact.detail = Some(detail.clone());
            keep(&mut fact.objects, objects);
            // A conversation that was given up meanwhile goes into no batch any more.
            let room = conversation_of(family).is_some_and(|(row, c)| c.losses < MOST_LOSSES && !row.is_terminal());
            let on_its_way = conversation_of(family)
                .is_some_and(|(_, c)| matches!(c.state, ConversationState::Found | ConversationState::Submitted(_)));
            resubmit = room && !on_its_way;
            fact.state = match room || on_its_way {
                true => RecordingState::Waiting,
                false => RecordingState::Parked(Reason::UrlRefused),
            };
        }
        _ => return Vec::new(),
    }
    let row = Row { tries: 0, work: None, fact: Fact::Recording(fact), ..row.clone() };
    let wake = wake_conversation(&row, family, resubmit, now);
    let mut rows = vec![row];
    rows.extend(wake);
    rows
}

/// What a settled recording does to its conversation: sends it into a batch again, or, when it was the last one,
/// makes it due to be finished. A conversation that is being looked at is left alone: that look sees it.
fn wake_conversation(settled: &Row, family: &[Row], resubmit: bool, now: Timestamp) -> Option<Row> {
    let (row, fact) = conversation_of(family)?;
    if fact.state != ConversationState::Delivered {
        return None;
    }
    let held = row.work.as_ref().is_some_and(|work| work.holder.is_some());
    let mut fact = fact.clone();
    let work = if resubmit && !held {
        fact.state = ConversationState::Found;
        fact.losses += 1;
        Work { stage: Stage::Submit, due: now, holder: None }
    } else {
        let others = merged(family, std::slice::from_ref(settled));
        let uploading = recordings(&others).any(|row| recording_state(row) == Some(RecordingState::Pending));
        if held || uploading {
            return None;
        }
        Work { stage: Stage::Describe, due: now, holder: None }
    };
    Some(Row { work: Some(work), fact: Fact::Conversation(Box::new(fact)), ..row.clone() })
}

fn keep(objects: &mut Vec<StoredObject>, new: &[StoredObject]) {
    for object in new {
        match objects.iter_mut().find(|old| old.key == object.key) {
            // The first proof stands: a repeated copy changes neither bytes nor the time it was stored.
            Some(old) if old.sha256 == object.sha256 => {}
            Some(old) => *old = object.clone(),
            None => objects.push(object.clone()),
        }
    }
    objects.sort_by(|a, b| a.key.cmp(&b.key));
}
