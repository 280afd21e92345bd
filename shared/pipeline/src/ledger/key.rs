//! The keys of rows. Their texts are stored, and what ledgers sort by: changing one is a migration.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::day::Day;
use crate::ids::{BatchJobId, ConversationId, RecordingId, VoicemailId};

/// A row's key. Its text is what ledgers sort by: a conversation stands before its recordings.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RowKey {
    /// A day.
    Day(Day),
    /// A batch job.
    Batch(BatchJobId),
    /// A conversation.
    Conversation(ConversationId),
    /// A recording of a conversation.
    Recording(ConversationId, RecordingId),
    /// That voicemail was left in a conversation.
    Notice(ConversationId),
    /// A voicemail message of a conversation.
    Voicemail(ConversationId, VoicemailId),
    /// The notification about a generation of a day.
    Notification(Day, u32),
}

impl RowKey {
    /// The conversation whose family the row belongs to. Voicemail belongs to none: see [`super::voicemail`].
    pub fn conversation(&self) -> Option<&ConversationId> {
        match self {
            Self::Conversation(id) | Self::Recording(id, _) => Some(id),
            Self::Day(_) | Self::Batch(_) | Self::Notice(_) | Self::Voicemail(..) | Self::Notification(..) => None,
        }
    }

    /// The conversation whose voicemail the row is about.
    pub fn voicemail_of(&self) -> Option<&ConversationId> {
        match self {
            Self::Notice(id) | Self::Voicemail(id, _) => Some(id),
            Self::Day(_) | Self::Batch(_) | Self::Conversation(_) | Self::Recording(..) | Self::Notification(..) => {
                None
            }
        }
    }
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(day) => write!(f, "day/{day}"),
            Self::Batch(job) => write!(f, "batch/{job}"),
            // The slash at the end keeps a family together: no other key sorts between it and its recordings.
            Self::Conversation(id) => write!(f, "conversation/{id}/"),
            Self::Recording(conversation, id) => write!(f, "conversation/{conversation}/{id}"),
            Self::Notice(id) => write!(f, "voicemail/{id}/"),
            Self::Voicemail(conversation, id) => write!(f, "voicemail/{conversation}/{id}"),
            // Ten digits are the most a generation has: so the texts are in their order.
            Self::Notification(day, generation) => write!(f, "notification/{day}/{generation:010}"),
        }
    }
}

impl FromStr for RowKey {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        let wrong = |_| format!("`{text}` is not a row's key");
        match parts[..] {
            ["day", day] => day.parse().map(Self::Day).map_err(|_| wrong(())),
            ["batch", job] => job.parse().map(Self::Batch).map_err(|_| wrong(())),
            ["conversation", id, ""] => id.parse().map(Self::Conversation).map_err(|_| wrong(())),
            ["conversation", id, recording] => match (id.parse(), recording.parse()) {
                (Ok(id), Ok(recording)) => Ok(Self::Recording(id, recording)),
                _ => Err(wrong(())),
            },
            ["voicemail", id, ""] => id.parse().map(Self::Notice).map_err(|_| wrong(())),
            ["voicemail", id, message] => match (id.parse(), message.parse()) {
                (Ok(id), Ok(message)) => Ok(Self::Voicemail(id, message)),
                _ => Err(wrong(())),
            },
            ["notification", day, generation] => match (day.parse(), generation.parse()) {
                (Ok(day), Ok(generation)) => Ok(Self::Notification(day, generation)),
                _ => Err(wrong(())),
            },
            _ => Err(wrong(())),
        }
    }
}

impl From<RowKey> for String {
    fn from(key: RowKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for RowKey {
    type Error = <Self as FromStr>::Err;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl Ord for RowKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.to_string().cmp(&other.to_string())
    }
}

impl PartialOrd for RowKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
