//! What the rows about notifications are made of. The words here are stored: renaming one is a migration.
//!
//! A day that is closed in a new generation gets one row, in the write that closes it (DynamoDB: right before it): so there
//! is one for each generation, whenever the process dies. What is told is kept with it, since the day may be open again before anybody
//! was told. Takes no part in the day's counts and marker: who cannot be told never fails a day.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::row::{Fact, Marker, Parked, Row, Stage, Work};
use super::{Carried, RowKey};
use crate::day::Day;
use crate::layout::Key;

/// A way in which people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// A POST to `NOTIFY_URL`.
    Webhook,
    /// A message to the topic `NOTIFY_TOPIC_ARN`.
    Topic,
}

impl Channel {
    /// The channel's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Topic => "topic",
        }
    }
}

/// Where a notification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotificationState {
    /// Somebody is still to be told.
    Due,
    /// Everybody was told.
    Sent,
    /// It was tried for long; somebody was not told.
    GivenUp,
}

impl NotificationState {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Sent => "sent",
            Self::GivenUp => "given-up",
        }
    }
}

/// What is told of a closing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Which generation.
    pub generation: u32,
    /// The marker.
    pub marker: Marker,
    /// When it was closed.
    pub closed_at: Timestamp,
    /// Conversations.
    pub conversations: u64,
    /// Recordings known.
    pub recordings: u64,
    /// Recordings in the archive.
    pub stored: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// What is parked.
    pub parked: u64,
    /// The same by reason.
    pub parked_by_reason: BTreeMap<String, u64>,
    /// Some of what is parked, for looking at.
    pub some_parked: Vec<Parked>,
    /// The manifest.
    pub manifest: Key,
    /// The digest of the day's link in the chain of manifests: kept elsewhere, it proves every manifest before it.
    pub chain: String,
}

/// A notification about one generation of a day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotificationFact {
    /// Where it is.
    pub state: NotificationState,
    /// What is told.
    pub summary: Summary,
    /// What became of it, by channel; those that are not here were not set, or are still due.
    pub told: BTreeMap<Channel, Carried>,
    /// Since when it is due.
    pub since: Timestamp,
    /// What went wrong last: our words, without addresses.
    pub detail: Option<String>,
}

/// A new one, due now.
pub(super) fn announce(day: Day, summary: &Summary, now: Timestamp) -> Row {
    let (state, told) = (NotificationState::Due, BTreeMap::new());
    Row {
        key: RowKey::Notification(day, summary.generation),
        day,
        attempt: 0,
        tries: 0,
        work: Some(Work { stage: Stage::Notify, due: now, holder: None }),
        fact: Fact::Notification(Box::new(NotificationFact {
            state,
            summary: summary.clone(),
            told,
            since: now,
            detail: None,
        })),
    }
}
