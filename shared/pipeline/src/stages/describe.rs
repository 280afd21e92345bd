//! Describe: reads recording metadata, decides what is missing, and finishes conversations with a metadata object.
//!
//! Must never finish a conversation while one of its recordings is not terminal, and never let a failed read pass for
//! "no recordings".

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use serde::Serialize;

use super::shift::Worked;
use super::{Blame, Fault, House, Report, concerns_everything};
use crate::api::{ApiError, Recordings};
use crate::archive::prove;
use crate::day::Day;
use crate::facts::Facts;
use crate::ids::{ConversationId, RecordingId};
use crate::kind::Kind;
use crate::ledger::machine::{self, Look, Next, Settlement};
use crate::ledger::{ConversationFact, Fact, Outcome, RecordingFact, RecordingState, Row, RowKey, Stage, StoredObject};
use crate::models::RecordingMetadata;
use crate::reason::Reason;
use crate::reconcile::{Asked, Decision, MetadataMode, decide};

/// Conversations described at the same time; the limiter decides how fast.
const AT_ONCE: usize = 6;

/// Conversations claimed by one run.
const A_RUN: usize = 48;

/// The describe stage.
pub struct Describe {
    /// Ports.
    pub house: House,
    /// The source.
    pub source: Arc<dyn Recordings>,
    /// How much is asked about each conversation.
    pub mode: MetadataMode,
    /// Kinds that are exported; empty for all.
    pub kinds: Vec<Kind>,
    /// How many archived recordings of a day are restored at the source, at most.
    pub most_restores: u32,
}

impl Describe {
    /// Describes the conversations that are due.
    ///
    /// # Errors
    /// [`Fault`] when none can be: the sign-in is refused, or ledger or archive fail.
    pub async fn run(&self) -> Result<Report, Fault> {
        let claimed = self.house.claim(Stage::Describe, A_RUN).await?;
        let mut report = Report { claimed: claimed.len() as u64, ..Report::default() };
        let looks = claimed.iter().map(|row| self.one(row));
        let mut looks = futures_util::stream::iter(looks).buffer_unordered(AT_ONCE);
        let mut fault = None;
        while let Some(look) = looks.next().await {
            match look {
                Ok(one) => report += one,
                Err(one) => fault = Some(one),
            }
        }
        fault.map_or(Ok(report), Err)
    }

    async fn one(&self, row: &Row) -> Result<Report, Fault> {
        match self.house.work_on(row, self.look(row)).await {
            Ok(Worked::Done(report)) => Ok(report),
            Ok(Worked::Lost) => Ok(Report::default()),
            Ok(Worked::GivenBack) => Ok(Report { given_back: 1, ..Report::default() }),
            Ok(Worked::TooLong) => {
                let detail = "it was not described within the time of one run".to_owned();
                let error = ApiError::Unavailable { operation: "describe a conversation", detail };
                self.unread(row, Blame::Row, error).await
            }
            Err(Fault::Source(error)) => self.unread(row, Blame::of(&error), error).await,
            Err(fault) => {
                self.house.give_back(row).await?;
                Err(fault)
            }
        }
    }

    async fn look(&self, row: &Row) -> Result<Report, Fault> {
        let RowKey::Conversation(id) = &row.key else { return Ok(Report::default()) };
        let mut family = self.house.ledger.conversation(id).await?;
        let now = self.house.now();
        let mut read = None;
        let asked = Asked { mode: self.mode, kinds: &self.kinds, restore: self.most_restores > 0 };
        let mut decision = decide(&family, asked, false, now);
        if decision == Some(Decision::ReadMetadata) {
            let metadata = self.source.metadata(id).await?;
            read = Some(metadata.clone());
            // Copies may have been settled while the source was thinking.
            family = self.house.ledger.conversation(id).await?;
            put_metadata(&mut family, metadata);
            decision = decide(&family, asked, true, self.house.now());
        }
        let Some(Decision::Go { mut park, mut next, outcome, restore }) = decision else {
            return Ok(Report::default());
        };
        if let Some(Next::AwaitRestore { due, asked }) = &mut next {
            let restored = self.restore(row, id, &family, &restore).await?;
            if restored.is_over {
                // Nothing is waited for: what could not be restored is parked, and that is looked at at once.
                *due = self.house.now();
            }
            *asked = restored.asked;
            park.extend(restored.park);
        }
        let mut report = Report::default();
        for one in &park {
            if let RecordingState::Parked(reason) = one.state {
                report.park(reason);
            }
        }
        let next = match next {
            Some(next) => next,
            None => {
                report.settled = 1;
                Next::Settle { outcome, object: self.write(row, id, &family, &park, outcome).await? }
            }
        };
        let look = Look { metadata: read, park, next };
        self.house.settle(row, Settlement::Looked(Box::new(look))).await?;
        Ok(report)
    }

    async fn unread(&self, row: &Row, blame: Blame, error: ApiError) -> Result<Report, Fault> {
        if concerns_everything(&error) {
            self.house.give_back(row).await?;
            return Err(Fault::Source(error));
        }
        let reason = match &error {
            ApiError::Forbidden { .. } => Some(Reason::MetadataForbidden),
            _ if !self.house.gives_up(row, blame) => None,
            ApiError::Unreadable { .. } => Some(Reason::UnreadableAnswer),
            _ => Some(Reason::SourceUnavailable),
        };
        tracing::warn!(conversation.id = %row.key, code = error.code(), "no metadata of {}: {error}", row.key);
        let Some(reason) = reason else {
            self.house.put_off(row, blame).await?;
            return Ok(Report { failed: 1, ..Report::default() });
        };
        // Its recordings may still be on their way: they are copied all the same, and then it is parked.
        let family = match row.key.conversation() {
            Some(id) => self.house.ledger.conversation(id).await?,
            None => Vec::new(),
        };
        if family.iter().any(|row| row.state_word() == "pending") {
            let look = Look { metadata: None, park: Vec::new(), next: Next::AwaitUploads };
            self.house.settle(row, Settlement::Looked(Box::new(look))).await?;
            return Ok(Report { failed: 1, ..Report::default() });
        }
        let park = waiting(&family, reason);
        let object = machine::conversation_of(&family).and_then(|(_, fact)| fact.object.clone());
        let next = Next::Settle { outcome: Outcome::Parked(reason), object };
        let look = Look { metadata: None, park, next };
        self.house.settle(row, Settlement::Looked(Box::new(look))).await?;
        let mut report = Report { settled: 1, ..Report::default() };
        report.park(reason);
        Ok(report)
    }

    /// Writes the metadata object, unless the one in the archive says the same already.
    async fn write(
        &self,
        row: &Row,
        id: &ConversationId,
        family: &[Row],
        park: &[machine::ParkedRecording],
        outcome: Outcome,
    ) -> Result<Option<StoredObject>, Fault> {
        let Some((_, fact)) = machine::conversation_of(family) else { return Ok(None) };
        let settings = |error: crate::layout::NotAKey| Fault::Settings(error.to_string());
        let key = self.house.layout.metadata(row.day, id).map_err(settings)?;
        let document = document(row.day, id, fact, family, park, outcome);
        let content = serde_json::to_vec_pretty(&document).map_err(|error| Fault::Settings(error.to_string()))?;
        let proof = prove(&content);
        if let Some(old) = &fact.object
            && (old.key == key && old.sha256 == proof.sha256)
        {
            return Ok(fact.object.clone());
        }
        self.house.archive.put_document(&key, "application/json", Bytes::from(content)).await?;
        Ok(Some(StoredObject {
            key,
            bytes: proof.bytes,
            sha256: proof.sha256,
            content_type: Some("application/json".to_owned()),
            job: None,
            stored_at: self.house.now(),
        }))
    }
}

fn put_metadata(family: &mut [Row], metadata: Vec<RecordingMetadata>) {
    for row in family {
        if let Fact::Conversation(fact) = &mut row.fact {
            fact.metadata = Some(metadata);
            return;
        }
    }
}

fn waiting(family: &[Row], reason: Reason) -> Vec<machine::ParkedRecording> {
    let unfinished = family.iter().filter(|row| !row.is_terminal());
    unfinished
        .filter_map(|row| match (&row.key, &row.fact) {
            (RowKey::Recording(_, id), Fact::Recording(fact)) => {
                let state = RecordingState::Parked(reason);
                Some(machine::ParkedRecording { recording: id.clone(), kind: fact.kind, state })
            }
            _ => None,
        })
        .collect()
}

/// The content of `metadata/<conversation>.json`. Field names are stable: others read them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    schema: &'static str,
    conversation: &'a ConversationId,
    day: Day,
    outcome: &'static str,
    reason: Option<Reason>,
    #[serde(flatten)]
    facts: FactsDocument<'a>,
    recordings: Vec<RecordingDocument<'a>>,
    /// As the source says; `null` where it was not asked.
    recording_metadata: Option<&'a [RecordingMetadata]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FactsDocument<'a> {
    start: Option<jiff::Timestamp>,
    end: Option<jiff::Timestamp>,
    originating_direction: &'a Option<crate::models::Direction>,
    media: &'a [crate::models::MediaType],
    queue_ids: &'a [String],
    division_ids: &'a [String],
    agent: bool,
    recorded: bool,
    handle_ms: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordingDocument<'a> {
    recording: &'a RecordingId,
    kind: &'static str,
    state: &'static str,
    reason: Option<Reason>,
    objects: Vec<ObjectDocument<'a>>,
}

/// What an object is, without when and by which job it came: the same facts make the same document, whoever writes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectDocument<'a> {
    key: &'a crate::layout::Key,
    bytes: u64,
    sha256: &'a str,
    content_type: Option<&'a str>,
}

impl<'a> ObjectDocument<'a> {
    fn of(object: &'a StoredObject) -> Self {
        let StoredObject { key, bytes, sha256, content_type, .. } = object;
        Self { key, bytes: *bytes, sha256, content_type: content_type.as_deref() }
    }
}

fn document<'a>(
    day: Day,
    id: &'a ConversationId,
    fact: &'a ConversationFact,
    family: &'a [Row],
    park: &'a [machine::ParkedRecording],
    outcome: Outcome,
) -> Document<'a> {
    let (word, reason) = match outcome {
        Outcome::Stored => ("stored", None),
        Outcome::NoRecordings => ("no-recordings", None),
        Outcome::LeftOut(reason) => ("left-out", Some(reason)),
        Outcome::Parked(reason) => ("parked", Some(reason)),
    };
    let parked_now = |id: &RecordingId| park.iter().find(|parked| parked.recording == *id);
    let known = family.iter().filter_map(|row| match (&row.key, &row.fact) {
        (RowKey::Recording(_, id), Fact::Recording(fact)) => Some((id, row, fact)),
        _ => None,
    });
    let mut recordings: Vec<RecordingDocument<'_>> = known
        .map(|(id, row, fact): (_, _, &RecordingFact)| RecordingDocument {
            recording: id,
            kind: parked_now(id).map_or(fact.kind, |parked| parked.kind).as_str(),
            state: parked_now(id).map_or(row.state_word(), |parked| parked.state.word()),
            reason: parked_now(id).map_or(row.reason(), |parked| parked.state.reason()),
            objects: fact.objects.iter().map(ObjectDocument::of).collect(),
        })
        .collect();
    for parked in park {
        if !recordings.iter().any(|known| *known.recording == parked.recording) {
            recordings.push(RecordingDocument {
                recording: &parked.recording,
                kind: parked.kind.as_str(),
                state: parked.state.word(),
                reason: parked.state.reason(),
                objects: Vec::new(),
            });
        }
    }
    // In one order, whether they were parked just now or are known for long: the same facts make the same document.
    recordings.sort_by_key(|one| one.recording);
    let Facts { start, end, direction, media, queues, divisions, agent, recorded, handle_ms } = &fact.facts;
    Document {
        schema: "callvault/conversation/1",
        conversation: id,
        day,
        outcome: word,
        reason,
        facts: FactsDocument {
            start: *start,
            end: *end,
            originating_direction: direction,
            media,
            queue_ids: queues,
            division_ids: divisions,
            agent: *agent,
            recorded: *recorded,
            handle_ms: *handle_ms,
        },
        recordings,
        recording_metadata: fact.metadata.as_deref(),
    }
}
