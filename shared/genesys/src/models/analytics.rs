//! Conversations as the analytics API reports them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{count, null_is_default, open_words, time};
use crate::ids::ConversationId;

open_words! {
    /// The medium of a session.
    MediaType {
        /// A call.
        Voice = "voice",
        /// A web chat.
        Chat = "chat",
        /// An e-mail.
        Email = "email",
        /// A message (SMS, WhatsApp, open messaging...).
        Message = "message",
        /// A callback.
        Callback = "callback",
        /// A shared screen.
        Screenshare = "screenshare",
        /// A monitored screen.
        Screenmonitoring = "screenmonitoring",
        /// A co-browsing session.
        Cobrowse = "cobrowse",
        /// A video call.
        Video = "video",
        /// A message between agents.
        InternalMessage = "internalmessage",
    }
}

open_words! {
    /// Who began.
    Direction {
        /// The customer.
        Inbound = "inbound",
        /// The contact centre.
        Outbound = "outbound",
    }
}

/// A conversation. Schema `AnalyticsConversation` of the platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conversation {
    /// Its id.
    pub conversation_id: ConversationId,
    /// When it started: what decides the day it belongs to.
    pub conversation_start: Timestamp,
    /// When it ended; `None` while it goes on.
    #[serde(default)]
    pub conversation_end: Option<Timestamp>,
    /// Who began.
    #[serde(default)]
    pub originating_direction: Option<Direction>,
    /// The divisions it belongs to.
    #[serde(default, deserialize_with = "null_is_default")]
    pub division_ids: Vec<String>,
    /// Who took part.
    #[serde(default, deserialize_with = "null_is_default")]
    pub participants: Vec<Participant>,
}

/// Someone or something that took part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Participant {
    /// Role: `customer`, `acd`, `ivr`, `agent`... Compared only with `agent`, so kept as text.
    #[serde(default)]
    pub purpose: Option<String>,
    /// Its sessions.
    #[serde(default, deserialize_with = "null_is_default")]
    pub sessions: Vec<Session>,
}

/// One medium of one participant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The medium.
    #[serde(default)]
    pub media_type: Option<MediaType>,
    /// Whether it was recorded.
    #[serde(default)]
    pub recording: Option<bool>,
    /// Its metrics.
    #[serde(default, deserialize_with = "null_is_default")]
    pub metrics: Vec<Metric>,
    /// Its segments.
    #[serde(default, deserialize_with = "null_is_default")]
    pub segments: Vec<Segment>,
}

/// A measured value; times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    /// For instance `tHandle`.
    #[serde(default)]
    pub name: Option<String>,
    /// The value; documented as an integer, read as a number.
    #[serde(default)]
    pub value: Option<f64>,
}

/// A stretch of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Segment {
    /// The queue it was in.
    #[serde(default)]
    pub queue_id: Option<String>,
}

/// A row of a page.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// A conversation that could be read.
    Readable(Box<Conversation>),
    /// A row that could not.
    Unreadable {
        /// Its id, or one that stands for it.
        id: ConversationId,
        /// Its start, where at least that could be read.
        start: Option<Timestamp>,
        /// Where reading failed; no content.
        at: String,
    },
}

impl Found {
    /// The conversation's id, or the one that stands for it.
    pub fn id(&self) -> &ConversationId {
        match self {
            Self::Readable(conversation) => &conversation.conversation_id,
            Self::Unreadable { id, .. } => id,
        }
    }

    /// When it started, where that could be read.
    pub fn start(&self) -> Option<Timestamp> {
        match self {
            Self::Readable(conversation) => Some(conversation.conversation_start),
            Self::Unreadable { start, .. } => *start,
        }
    }

    fn read(raw: &RawValue) -> Self {
        match serde_json::from_str(raw.get()) {
            Ok(conversation) => Self::Readable(Box::new(conversation)),
            Err(error) => Self::unreadable(raw, &error),
        }
    }

    fn unreadable(raw: &RawValue, error: &serde_json::Error) -> Self {
        let loose: serde_json::Value = serde_json::from_str(raw.get()).unwrap_or_default();
        let text = |key: &str| loose.get(key).and_then(|v| v.as_str());
        let id = match text("conversationId") {
            Some(id) => id.parse().unwrap_or_else(|_| ConversationId::standing_in_for(id)),
            None => ConversationId::standing_in_for(raw.get()),
        };
        Self::Unreadable {
            id,
            start: text("conversationStart").and_then(|t| t.parse().ok()),
            at: format!("line {} column {} ({:?})", error.line(), error.column(), error.classify()),
        }
    }
}

/// A page of the conversations query.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConversationPage {
    /// The rows; the key is missing when there are none.
    #[serde(default, deserialize_with = "rows")]
    pub conversations: Vec<Found>,
    /// How many rows all pages have together, approximately.
    #[serde(default, deserialize_with = "count")]
    pub total_hits: Option<u64>,
}

/// A page of a history job's results.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryPage {
    /// The rows.
    #[serde(default, deserialize_with = "rows")]
    pub conversations: Vec<Found>,
    /// Where the next page begins; `None` on the last one.
    #[serde(default)]
    pub cursor: Option<String>,
    /// Data is complete up to this time.
    #[serde(default, deserialize_with = "time")]
    pub data_availability_date: Option<Timestamp>,
}

open_words! {
    /// How far a history job is.
    HistoryState {
        /// Waiting.
        Queued = "QUEUED",
        /// Running.
        Pending = "PENDING",
        /// Ended without a result.
        Failed = "FAILED",
        /// Stopped by someone.
        Cancelled = "CANCELLED",
        /// Ready to be read.
        Fulfilled = "FULFILLED",
        /// Ready once, forgotten since.
        Expired = "EXPIRED",
    }
}

fn rows<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Vec<Found>, D::Error> {
    let raw: Option<Vec<Box<RawValue>>> = Deserialize::deserialize(reader)?;
    Ok(raw.unwrap_or_default().iter().map(|row| Found::read(row)).collect())
}
