//! What a batch job does to its conversations and their recordings.

use super::family::{conversation_of, merged, recording_state};
use super::words::{Delivered, Delivery};
use super::{MOST_LOSSES, SAFETY};
use crate::ids::BatchJobId;
use crate::ledger::RowKey;
use crate::ledger::row::{
    BatchFact, ConversationFact, ConversationState, Fact, RecordingFact, RecordingState, Row, Stage, Work,
};
use jiff::Timestamp;

/// The rows to write for a job with the conversations `claimed` (their rows, with the attempts they were claimed
/// with). Conversations somebody else has claimed since stay out of it. `existing` is the row of a running job of the
/// same name, which a server that starts its numbers anew may give: its conversations stay in it.
pub fn submit(
    job: &BatchJobId,
    existing: Option<&Row>,
    claimed: &[(Row, u32)],
    first_poll: Timestamp,
    now: Timestamp,
) -> Vec<Row> {
    let mut rows = Vec::with_capacity(claimed.len() + 1);
    let mut conversations = match existing.map(|row| &row.fact) {
        Some(Fact::Batch(batch)) if !batch.done => batch.conversations.clone(),
        _ => Vec::new(),
    };
    for (row, attempt) in claimed {
        let Fact::Conversation(fact) = &row.fact else { continue };
        if row.attempt != *attempt || fact.state != ConversationState::Found {
            continue;
        }
        if let RowKey::Conversation(id) = &row.key
            && !conversations.contains(id)
        {
            conversations.push(id.clone());
        }
        let fact = ConversationFact { state: ConversationState::Submitted(job.clone()), ..(**fact).clone() };
        rows.push(Row { tries: 0, work: None, fact: Fact::Conversation(Box::new(fact)), ..row.clone() });
    }
    if let Some(first) = rows.first() {
        let batch = BatchFact { done: false, conversations, submitted_at: now, polls: 0, steady: None, outages: 0 };
        rows.push(Row {
            key: RowKey::Batch(job.clone()),
            day: first.day,
            // Whoever holds the row of a job of the same name must not settle this one.
            attempt: existing.map_or(0, |row| row.attempt.saturating_add(1)),
            tries: 0,
            work: Some(Work { stage: Stage::Poll, due: first_poll, holder: None }),
            fact: Fact::Batch(batch),
        });
    }
    rows
}

/// The rows to write for what `job` gave for one conversation; `family` is its row and those of its recordings.
/// Nothing when the conversation went into another job since.
pub fn deliver(job: &BatchJobId, delivery: &Delivery, family: &[Row], now: Timestamp) -> Vec<Row> {
    let Some((row, fact)) = conversation_of(family) else { return Vec::new() };
    if fact.state != ConversationState::Submitted(job.clone()) {
        return Vec::new();
    }
    let mut rows: Vec<Row> =
        delivery.recordings.iter().filter_map(|given| delivered(job, given, row, fact, family, now)).collect();
    let mut fact = fact.clone();
    fact.state = ConversationState::Delivered;
    fact.batch_error.clone_from(&delivery.error);
    fact.outages = 0;
    let uploading = merged(family, &rows).iter().any(|row| recording_state(row) == Some(RecordingState::Pending));
    // Looked at once, when nothing is left to copy: the last copy wakes it.
    let due = if uploading { now + SAFETY } else { now };
    rows.push(Row {
        tries: 0,
        work: Some(Work { stage: Stage::Describe, due, holder: None }),
        fact: Fact::Conversation(Box::new(fact)),
        ..row.clone()
    });
    rows
}

fn delivered(
    job: &BatchJobId,
    given: &Delivered,
    conversation: &Row,
    fact: &ConversationFact,
    family: &[Row],
    now: Timestamp,
) -> Option<Row> {
    let RowKey::Conversation(id) = &conversation.key else { return None };
    let key = RowKey::Recording(id.clone(), given.recording.clone());
    let state = match (given.verdict, given.results) {
        (Some(state), _) => state,
        (None, 0) => RecordingState::Waiting,
        (None, _) => RecordingState::Pending,
    };
    let work = |stage| Some(Work { stage, due: now, holder: None });
    let Some(old) = family.iter().find(|row| row.key == key) else {
        let recording = RecordingFact {
            state,
            kind: given.kind,
            job: Some(job.clone()),
            results: given.results,
            objects: Vec::new(),
            detail: given.error.clone(),
            start: fact.facts.start,
            outages: 0,
        };
        let work = if state == RecordingState::Pending { work(Stage::Upload) } else { None };
        let day = conversation.day;
        return Some(Row { key, day, attempt: 0, tries: 0, work, fact: Fact::Recording(recording) });
    };
    let Fact::Recording(recording) = &old.fact else { return None };
    let settled = match recording.state {
        RecordingState::LeftOut(_) => true,
        // More results than last time: another part of it has turned up.
        RecordingState::Stored => given.results <= recording.results,
        RecordingState::Pending | RecordingState::Waiting | RecordingState::Parked(_) => false,
    };
    if settled || (recording.state == RecordingState::Stored && state != RecordingState::Pending) {
        return None;
    }
    let claimed = recording.state == RecordingState::Pending && old.work.as_ref().is_some_and(|w| w.holder.is_some());
    let known_results = recording.results;
    // Before there was a URL its kind was a guess.
    let guessed = recording.results == 0 && recording.objects.is_empty();
    let recording = RecordingFact {
        state,
        job: Some(job.clone()),
        results: given.results,
        kind: if guessed { given.kind } else { recording.kind },
        detail: given.error.clone(),
        outages: 0,
        ..recording.clone()
    };
    let work = match state {
        // Whoever copies it at this moment settles it, unless there is more to copy than it knows of.
        RecordingState::Pending if claimed && given.results <= known_results => old.work.clone(),
        RecordingState::Pending => work(Stage::Upload),
        _ => None,
    };
    Some(Row { tries: 0, work, fact: Fact::Recording(recording), ..old.clone() })
}

/// The rows to write when a batch is done, whatever became of its conversations.
pub fn finish_batch(row: &Row) -> Row {
    let mut row = row.clone();
    if let Fact::Batch(batch) = &mut row.fact {
        batch.done = true;
    }
    Row { work: None, tries: 0, ..row }
}

/// The rows to write when a batch is lost: its conversations go into another one.
pub(super) fn lose(row: &Row, conversations: &[Row], now: Timestamp) -> Vec<Row> {
    let RowKey::Batch(job) = &row.key else { return Vec::new() };
    let mut rows: Vec<Row> = conversations.iter().filter_map(|row| resubmit_lost(row, job, now)).collect();
    rows.push(finish_batch(row));
    rows
}

fn resubmit_lost(row: &Row, job: &BatchJobId, now: Timestamp) -> Option<Row> {
    let Fact::Conversation(fact) = &row.fact else { return None };
    if fact.state != ConversationState::Submitted(job.clone()) {
        return None;
    }
    let mut fact = fact.clone();
    let work = if fact.losses < MOST_LOSSES {
        fact.losses += 1;
        fact.state = ConversationState::Found;
        Work { stage: Stage::Submit, due: now, holder: None }
    } else {
        // The metadata decides what is missing; without a batch that can only be parked.
        fact.batch_error = Some("its batch jobs were lost".to_owned());
        fact.state = ConversationState::Delivered;
        Work { stage: Stage::Describe, due: now, holder: None }
    };
    Some(Row { tries: 0, work: Some(work), fact: Fact::Conversation(fact), ..row.clone() })
}
