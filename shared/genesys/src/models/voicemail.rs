//! Voicemail messages and the signed-in user.
//!
//! Read field by field, so that a field of an unexpected type is missing rather than the message lost. What tells of
//! people is wrapped: it may go into the archive, never into a log.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{count, open_words};
use crate::ids::{ConversationId, GroupId, QueueId, UserId, VoicemailId};

/// A text about a person: a number or a name. Cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Personal(String);

impl Personal {
    /// The text, for the archive only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Personal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Personal(redacted)")
    }
}

/// A message. Schema `VoicemailMessage`; every field is optional there.
#[derive(Debug, Clone, PartialEq)]
pub struct Voicemail {
    /// Its id, or one that stands for a row whose id could not be read: then nothing can be asked about it.
    pub id: VoicemailId,
    /// The conversation it was left in: what an event is matched by.
    pub conversation: Option<ConversationId>,
    /// The queue it was left for.
    pub queue: Option<QueueId>,
    /// The group it was left for.
    pub group: Option<GroupId>,
    /// The user it was left for.
    pub user: Option<UserId>,
    /// When it was left.
    pub created: Option<Timestamp>,
    /// Its length in whole seconds.
    pub duration_seconds: Option<u64>,
    /// Bytes of the recording the platform keeps: not the length of any file it delivers.
    pub source_bytes: Option<u64>,
    /// Whether it is marked as read.
    pub read: Option<bool>,
    /// Whether it is marked as deleted.
    pub deleted: Option<bool>,
    /// The caller's number.
    pub caller_address: Option<Personal>,
    /// The caller's name.
    pub caller_name: Option<Personal>,
}

/// A page of a mailbox. Schema `VoicemailMessageEntityListing`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VoicemailPage {
    /// The messages.
    #[serde(default, rename = "entities", deserialize_with = "messages")]
    pub messages: Vec<Voicemail>,
    /// How many messages all pages have together.
    #[serde(default, deserialize_with = "count")]
    pub total: Option<u64>,
    /// How many pages there are.
    #[serde(default, deserialize_with = "count")]
    pub page_count: Option<u64>,
    /// Which page this is, from 1.
    #[serde(default, deserialize_with = "count")]
    pub page_number: Option<u64>,
    /// How many messages a page holds: the server may give fewer than were asked for.
    #[serde(default, deserialize_with = "count")]
    pub page_size: Option<u64>,
}

fn messages<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Vec<Voicemail>, D::Error> {
    let rows: Option<Vec<Value>> = Deserialize::deserialize(reader)?;
    Ok(rows.unwrap_or_default().iter().map(Voicemail::from_loose).collect())
}

impl Voicemail {
    fn from_loose(row: &Value) -> Self {
        let text = |key: &str| row.get(key).and_then(Value::as_str);
        let number = |key: &str| row.get(key).and_then(Value::as_u64);
        let flag = |key: &str| row.get(key).and_then(Value::as_bool);
        let personal = |key: &str| text(key).filter(|text| !text.is_empty()).map(|text| Personal(text.to_owned()));
        Self {
            id: match text("id") {
                Some(id) => id.parse().unwrap_or_else(|_| VoicemailId::standing_in_for(id)),
                None => VoicemailId::standing_in_for(&row.to_string()),
            },
            conversation: part(row, "conversation"),
            queue: part(row, "queue"),
            group: part(row, "group"),
            user: part(row, "user"),
            created: text("createdDate").and_then(|text| text.parse().ok()),
            duration_seconds: number("audioRecordingDurationSeconds"),
            source_bytes: number("audioRecordingSizeBytes"),
            read: flag("read"),
            deleted: flag("deleted"),
            caller_address: personal("callerAddress"),
            caller_name: personal("callerName"),
        }
    }
}

/// The `id` of what `key` refers to.
fn part<T: std::str::FromStr>(row: &Value, key: &str) -> Option<T> {
    row.get(key)?.get("id")?.as_str()?.parse().ok()
}

open_words! {
    /// Whether a user is in use.
    UserState {
        /// In use.
        Active = "active",
        /// Switched off.
        Inactive = "inactive",
        /// Deleted.
        Deleted = "deleted",
    }
}

/// The signed-in user. Schema `UserMe`, of which nothing is kept that tells who it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Me {
    /// The user's id.
    pub id: UserId,
    /// Whether the user is in use.
    #[serde(default)]
    pub state: Option<UserState>,
}
