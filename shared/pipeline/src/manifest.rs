//! The day's manifest and markers: what a day's folder says about itself.
//!
//! The manifest is JSON Lines, one line per object, in the order of the ledger's keys. The marker is JSON: counts, the
//! manifest's key and digest, and everything that is parked with its reason. Field names are stable: others read them.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::day::Day;
use crate::ids::{BatchJobId, ConversationId, RecordingId};
use crate::layout::Key;
use crate::ledger::chain::Link;
use crate::ledger::{Counts, Fact, Marker, Parked, Row, RowKey, StoredObject};

/// A line of the manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// The object's key.
    pub key: Key,
    /// The conversation it belongs to.
    pub conversation: ConversationId,
    /// The recording; `null` for a metadata object.
    pub recording: Option<RecordingId>,
    /// `call`, `chat`, `email`, `message`, `screen`, or `metadata`.
    pub kind: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256 in lower-case hex.
    pub sha256: String,
    /// Its content type as the source gave it.
    pub content_type: Option<String>,
    /// The batch job it came from.
    pub source_job: Option<BatchJobId>,
    /// When it was stored.
    pub stored_at: Timestamp,
}

/// The lines of a row.
pub fn lines(row: &Row) -> Vec<Line> {
    let line =
        |object: &StoredObject, conversation: &ConversationId, recording: Option<&RecordingId>, kind: &str| Line {
            key: object.key.clone(),
            conversation: conversation.clone(),
            recording: recording.cloned(),
            kind: kind.to_owned(),
            bytes: object.bytes,
            sha256: object.sha256.clone(),
            content_type: object.content_type.clone(),
            source_job: object.job.clone(),
            stored_at: object.stored_at,
        };
    match (&row.key, &row.fact) {
        (RowKey::Recording(conversation, id), Fact::Recording(recording)) => {
            let kind = recording.kind.as_str();
            recording.objects.iter().map(|object| line(object, conversation, Some(id), kind)).collect()
        }
        (RowKey::Conversation(id), Fact::Conversation(conversation)) => {
            conversation.object.iter().map(|object| line(object, id, None, "metadata")).collect()
        }
        _ => Vec::new(),
    }
}

/// Rows as manifest text.
pub fn text(rows: &[Row]) -> Bytes {
    let mut text = Vec::new();
    for line in rows.iter().flat_map(lines) {
        if serde_json::to_writer(&mut text, &line).is_ok() {
            text.push(b'\n');
        }
    }
    text.into()
}

/// What a row adds to the marker's list of parked things. A conversation is listed by itself only when it is parked
/// as a whole: otherwise its recordings are.
pub fn parked(row: &Row, family_has_parked_recording: bool) -> Option<Parked> {
    if row.state_word() != "parked" {
        return None;
    }
    let reason = row.reason()?;
    match &row.key {
        RowKey::Conversation(_) if family_has_parked_recording => None,
        RowKey::Conversation(id) => Some(Parked { conversation: id.clone(), recording: None, reason }),
        RowKey::Recording(conversation, id) => {
            Some(Parked { conversation: conversation.clone(), recording: Some(id.clone()), reason })
        }
        RowKey::Day(_) | RowKey::Batch(_) | RowKey::Notice(_) | RowKey::Voicemail(..) | RowKey::Notification(..) => {
            None
        }
    }
}

/// The manifest a marker names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestReference {
    /// Its key.
    pub key: Key,
    /// Its SHA-256 in lower-case hex.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
}

/// Days that were closed by earlier versions have no link, and their markers no such field.
fn is_empty(chain: &&[Link]) -> bool {
    chain.is_empty()
}

/// The content of a marker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MarkerDocument<'a> {
    /// The day.
    pub day: Day,
    /// `_SUCCESS` or `_FAILURE`.
    pub marker: Marker,
    /// How often the marker was written anew.
    pub generation: u32,
    /// The time zone days are counted in.
    pub time_zone: &'a str,
    /// The environment.
    pub environment: &'a str,
    /// The numbers.
    pub counts: &'a Counts,
    /// What lists every object.
    pub manifest: ManifestReference,
    /// The day's generations in the chain of manifests ([`crate::ledger::chain`]), oldest first.
    #[serde(skip_serializing_if = "is_empty")]
    pub chain: &'a [Link],
    /// Everything that should be in the archive and is not, with its reason.
    pub parked: &'a [Parked],
    /// When it was written.
    pub closed_at: Timestamp,
}
