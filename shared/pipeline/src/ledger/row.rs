//! What a row is made of. The words here are stored: renaming one is a migration.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::chain::Link;
use super::key::RowKey;
use super::notification::{NotificationFact, NotificationState};
use super::voicemail::{NoticeFact, VoicemailFact};
use crate::day::Day;
use crate::facts::Facts;
use crate::ids::{BatchJobId, ConversationId, RecordingId};
use crate::kind::Kind;
use crate::layout::Key;
use crate::models::RecordingMetadata;
use crate::reason::Reason;

/// What is claimed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Days whose conversations are to be found.
    Query,
    /// Conversations to be put into a batch.
    Submit,
    /// Batches to be read.
    Poll,
    /// Conversations to be described and finished.
    Describe,
    /// Recordings to be copied.
    Upload,
    /// Days to be closed.
    Close,
    /// Voicemail to be found, copied and settled at the source.
    Voicemail,
    /// People to be told of closed days.
    Notify,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 8] = [
        Self::Query,
        Self::Submit,
        Self::Poll,
        Self::Describe,
        Self::Upload,
        Self::Close,
        Self::Voicemail,
        Self::Notify,
    ];

    /// The stage's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Submit => "submit",
            Self::Poll => "poll",
            Self::Describe => "describe",
            Self::Upload => "upload",
            Self::Close => "close",
            Self::Voicemail => "voicemail",
            Self::Notify => "notify",
        }
    }
}

/// Who holds a claim: one per process.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HolderId(pub String);

/// Something still to be done with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// By which stage.
    pub stage: Stage,
    /// When it is due; while it is claimed, when the claim ends.
    pub due: Timestamp,
    /// Who has claimed it.
    pub holder: Option<HolderId>,
}

/// A fact with its state.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What it is about.
    pub key: RowKey,
    /// The day it belongs to; for a batch, the day of its first conversation.
    pub day: Day,
    /// How often it has been claimed: the fence.
    pub attempt: u32,
    /// How often in a row it did not work out.
    pub tries: u32,
    /// What is still to be done, if anything.
    pub work: Option<Work>,
    /// The fact.
    pub fact: Fact,
}

/// A fact of one of seven kinds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "row", rename_all = "lowercase")]
pub enum Fact {
    /// A day.
    Day(DayFact),
    /// A batch job.
    Batch(BatchFact),
    /// A conversation.
    Conversation(Box<ConversationFact>),
    /// A recording.
    Recording(RecordingFact),
    /// That voicemail was left in a conversation.
    Notice(NoticeFact),
    /// A voicemail message.
    Voicemail(Box<VoicemailFact>),
    /// A notification about a closed day.
    Notification(Box<NotificationFact>),
}

/// Where a day is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DayState {
    /// Its conversations are to be found.
    Planned,
    /// Its conversations are known, some are not terminal.
    Open,
    /// Its marker is written.
    Closed,
}

/// The two markers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Marker {
    /// Everything is stored.
    #[serde(rename = "_SUCCESS")]
    Success,
    /// Something is parked.
    #[serde(rename = "_FAILURE")]
    Failure,
}

impl Marker {
    /// The marker's file name.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Success => "_SUCCESS",
            Self::Failure => "_FAILURE",
        }
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Success => Self::Failure,
            Self::Failure => Self::Success,
        }
    }
}

/// A day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DayFact {
    /// Where it is.
    pub state: DayState,
    /// How often its marker was written anew.
    pub generation: u32,
    /// The marker that stands in the archive, if any.
    pub marker: Option<Marker>,
    /// The manifest of this generation.
    pub manifest: Option<StoredObject>,
    /// When its conversations were last found.
    pub queried_at: Option<Timestamp>,
    /// While it is queried once more: up to this row its settled conversations were compared with the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared: Option<RowKey>,
    /// When its marker was written.
    pub closed_at: Option<Timestamp>,
    /// How many archived recordings of it we had restored.
    #[serde(default, skip_serializing_if = "super::outages::is_zero")]
    pub restored: u32,
    /// Its generations in the chain of manifests, oldest first. Ledgers of earlier versions have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<Link>,
}

/// An unbroken series of equal counts, for servers that send no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steady {
    /// The counts: expected and there.
    pub counts: (u64, u64),
    /// How many polls in a row said so.
    pub polls: u32,
    /// Since when.
    pub since: Timestamp,
}

/// A batch job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchFact {
    /// Whether its results are recorded.
    pub done: bool,
    /// What was asked for.
    pub conversations: Vec<ConversationId>,
    /// When.
    pub submitted_at: Timestamp,
    /// How often it was read.
    pub polls: u32,
    /// Equal counts, where there is no status.
    pub steady: Option<Steady>,
    /// How often in a row the source did not answer about it, which is no fault of its own.
    #[serde(default, skip_serializing_if = "super::outages::is_zero")]
    pub outages: u32,
}

/// Where a conversation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConversationState {
    /// To be put into a batch.
    Found,
    /// In a batch.
    Submitted(BatchJobId),
    /// Its batch is finished; to be described and finished.
    Delivered,
    /// Terminal.
    Settled(Outcome),
}

/// How a conversation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All its recordings are in the archive.
    Stored,
    /// It has none.
    NoRecordings,
    /// The settings leave it out.
    LeftOut(Reason),
    /// Something of it is not in the archive and should be.
    Parked(Reason),
}

/// Archived recordings that come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restores {
    /// Those that we had restored, or tried to.
    pub asked: Vec<RecordingId>,
    /// Since when they are waited for.
    pub since: Timestamp,
    /// How often they were looked for.
    pub looks: u32,
    /// Whether the conversation had the batch that is theirs alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub batched: bool,
}

impl Restores {
    /// Nothing was asked for yet.
    pub fn since(now: Timestamp) -> Self {
        Self { asked: Vec::new(), since: now, looks: 0, batched: false }
    }
}

/// A conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConversationFact {
    /// Where it is.
    pub state: ConversationState,
    /// What is known of it.
    pub facts: Facts,
    /// How often it was put into a batch again because something of it was not delivered.
    pub resubmissions: u32,
    /// How often it was put into a batch again because a job was lost or a URL refused.
    pub losses: u32,
    /// How often its metadata was looked at while it was not ready.
    pub looks: u32,
    /// An error of the batch about the whole conversation: the source's text, redacted.
    pub batch_error: Option<String>,
    /// What of it is being restored at the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<Restores>,
    /// Its recordings' metadata, once read.
    pub metadata: Option<Vec<RecordingMetadata>>,
    /// Its metadata object in the archive.
    pub object: Option<StoredObject>,
    /// How often in a row the source did not answer about it, which is no fault of its own.
    #[serde(default, skip_serializing_if = "super::outages::is_zero")]
    pub outages: u32,
}

/// Where a recording is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordingState {
    /// To be copied.
    Pending,
    /// Not delivered, or its URL is refused: its conversation decides.
    Waiting,
    /// In the archive.
    Stored,
    /// Left out by the settings.
    LeftOut(Reason),
    /// Not in the archive, and should be.
    Parked(Reason),
}

impl RecordingState {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Waiting => "waiting",
            Self::Stored => "stored",
            Self::LeftOut(_) => "left-out",
            Self::Parked(_) => "parked",
        }
    }

    /// Why it is not in the archive.
    pub fn reason(self) -> Option<Reason> {
        match self {
            Self::LeftOut(reason) | Self::Parked(reason) => Some(reason),
            Self::Pending | Self::Waiting | Self::Stored => None,
        }
    }

    /// Whether nothing more happens to it by itself.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Stored | Self::LeftOut(_) | Self::Parked(_))
    }
}

/// An object in the archive, as it was proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredObject {
    /// Its key.
    pub key: Key,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, in lower-case hex.
    pub sha256: String,
    /// Its content type, as the source gave it.
    pub content_type: Option<String>,
    /// The batch job it came from.
    pub job: Option<BatchJobId>,
    /// When it was stored.
    pub stored_at: Timestamp,
}

/// A recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordingFact {
    /// Where it is.
    pub state: RecordingState,
    /// Its kind, fixed when it was first delivered.
    pub kind: Kind,
    /// The job that can give its URLs.
    pub job: Option<BatchJobId>,
    /// How many different URLs the job gave for it.
    pub results: u32,
    /// What is in the archive.
    pub objects: Vec<StoredObject>,
    /// What went wrong last: our words or the source's, redacted.
    pub detail: Option<String>,
    /// When its conversation started; decides `{hour}` in its key.
    pub start: Option<Timestamp>,
    /// How often in a row the source did not answer about it, which is no fault of its own.
    #[serde(default, skip_serializing_if = "super::outages::is_zero")]
    pub outages: u32,
}

/// A parked thing and its reason, for lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// The conversation.
    pub conversation: ConversationId,
    /// The recording, where it is one.
    pub recording: Option<RecordingId>,
    /// Why.
    pub reason: Reason,
}

impl Row {
    /// Whether nothing more happens to it by itself. A day is terminal when it is closed.
    pub fn is_terminal(&self) -> bool {
        match &self.fact {
            Fact::Day(day) => day.state == DayState::Closed,
            Fact::Batch(batch) => batch.done,
            Fact::Conversation(conversation) => matches!(conversation.state, ConversationState::Settled(_)),
            Fact::Recording(recording) => recording.state.is_terminal(),
            Fact::Notice(notice) => notice.state.is_terminal(),
            Fact::Voicemail(voicemail) => voicemail.state.is_terminal(),
            Fact::Notification(notification) => notification.state != NotificationState::Due,
        }
    }

    /// The word for its state.
    pub fn state_word(&self) -> &'static str {
        match &self.fact {
            Fact::Day(day) => match day.state {
                DayState::Planned => "planned",
                DayState::Open => "open",
                DayState::Closed => "closed",
            },
            Fact::Batch(batch) if batch.done => "done",
            Fact::Batch(_) => "running",
            Fact::Conversation(conversation) => match conversation.state {
                ConversationState::Found => "found",
                ConversationState::Submitted(_) => "submitted",
                ConversationState::Delivered => "delivered",
                ConversationState::Settled(Outcome::Stored) => "stored",
                ConversationState::Settled(Outcome::NoRecordings) => "no-recordings",
                ConversationState::Settled(Outcome::LeftOut(_)) => "left-out",
                ConversationState::Settled(Outcome::Parked(_)) => "parked",
            },
            Fact::Recording(recording) => recording.state.word(),
            Fact::Notice(notice) => notice.state.word(),
            Fact::Voicemail(voicemail) => voicemail.state.word(),
            Fact::Notification(notification) => notification.state.word(),
        }
    }

    /// The reason it is parked or left out for.
    pub fn reason(&self) -> Option<Reason> {
        match &self.fact {
            Fact::Conversation(conversation) => match conversation.state {
                ConversationState::Settled(Outcome::LeftOut(reason) | Outcome::Parked(reason)) => Some(reason),
                _ => None,
            },
            Fact::Recording(recording) => recording.state.reason(),
            Fact::Notice(notice) => notice.state.reason(),
            Fact::Voicemail(voicemail) => voicemail.state.reason(),
            Fact::Day(_) | Fact::Batch(_) | Fact::Notification(_) => None,
        }
    }

    /// Bytes in the archive for it.
    pub fn bytes(&self) -> u64 {
        match &self.fact {
            Fact::Recording(recording) => recording.objects.iter().map(|object| object.bytes).sum(),
            Fact::Voicemail(voicemail) => voicemail.object.as_ref().map_or(0, |object| object.bytes),
            _ => 0,
        }
    }
}
