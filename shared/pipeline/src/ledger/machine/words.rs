//! What can happen to a row, in the words of the stages.

use std::collections::BTreeMap;

use crate::day::Day;
use crate::ids::ConversationId;
use crate::ids::RecordingId;
use crate::kind::Kind;
use crate::ledger::RowKey;
use crate::ledger::chain::Link;
use crate::ledger::notification::{Channel, Summary};
use crate::ledger::row::{Marker, Outcome, RecordingState, Steady, StoredObject};
use crate::ledger::voicemail::{Carried, Order};
use crate::models::RecordingMetadata;
use crate::reason::Reason;
use jiff::Timestamp;

/// What happened to a claimed row.
#[derive(Debug, Clone, PartialEq)]
pub enum Settlement {
    /// Nothing yet: due again at `due`. A failure counts as a try; waiting does not.
    Later {
        /// When.
        due: Timestamp,
        /// Whether it is counted as a try.
        failed: bool,
    },
    /// Nothing yet, because the source does not answer, which is no fault of the row: due again at `due`. Counted apart
    /// from the row's own tries.
    SourceAway {
        /// When.
        due: Timestamp,
    },
    /// A day's conversations are all in the ledger.
    Queried,
    /// The marker that stood in the archive is gone: the day is open.
    Reopened,
    /// A day's settled conversations were compared with the source up to this row. The claim goes on.
    Compared(RowKey),
    /// A day's marker is written.
    Closed(Box<Closing>),
    /// A batch is still running.
    Running {
        /// When to read it again.
        due: Timestamp,
        /// Equal counts, where there is no status.
        steady: Option<Steady>,
    },
    /// A batch is lost: its conversations go into another one.
    Lost,
    /// A conversation was looked at.
    Looked(Box<Look>),
    /// A conversation cannot be worked on.
    GivenUp(Reason),
    /// A recording is in the archive, whole and proved.
    Stored(Vec<StoredObject>),
    /// A recording or a voicemail cannot be copied, or a notice's voicemail not be found.
    Parked {
        /// Why.
        reason: Reason,
        /// Our words, redacted.
        detail: String,
        /// What of it is in the archive all the same.
        objects: Vec<StoredObject>,
    },
    /// A notice: every message it tells of has a row.
    Found,
    /// A notice or a message: the source is not ready. Due again; counted as a look.
    NotYet {
        /// When.
        due: Timestamp,
        /// Our words, where something was wrong.
        detail: Option<String>,
    },
    /// A message is in the archive with what is known of it, whole and proved. Its claim goes on.
    Copied {
        /// The message.
        object: StoredObject,
        /// What is known of it.
        metadata: StoredObject,
        /// Whether the source said where its media ends.
        proved: bool,
    },
    /// A message's copy, which was recorded, is not there any more or is another: due to be copied again.
    CopyLost {
        /// What became of orders before that was seen.
        orders: BTreeMap<Order, Carried>,
        /// When.
        due: Timestamp,
        /// Our words.
        detail: String,
    },
    /// Nothing more is to be done about a message that is in the archive.
    Moved {
        /// What became of orders at the source.
        orders: BTreeMap<Order, Carried>,
    },
    /// Orders about a message that is in the archive are still due.
    OrdersDue {
        /// What became of the others.
        orders: BTreeMap<Order, Carried>,
        /// Whether the next one was given: that is a try of it. Where the copy could not be read back it was not.
        tried: bool,
        /// When.
        due: Timestamp,
        /// Our words, redacted.
        detail: String,
    },
    /// A notification: what became of it where it was sent now.
    Told {
        /// By channel.
        told: BTreeMap<Channel, Carried>,
        /// When it is due again for the channels that are not there; `None` where nobody is left to be told.
        due: Option<Timestamp>,
        /// What went wrong: our words, without addresses.
        detail: Option<String>,
    },
    /// A recording's URLs are refused, also fresh ones: its conversation must go into a batch again.
    Refused {
        /// Our words.
        detail: String,
        /// What of it is in the archive all the same.
        objects: Vec<StoredObject>,
    },
}

/// What a day is closed with.
#[derive(Debug, Clone, PartialEq)]
pub struct Closing {
    /// Its generation.
    pub generation: u32,
    /// Which marker.
    pub marker: Marker,
    /// The manifest it names.
    pub manifest: StoredObject,
    /// The generation in the chain of manifests; one that the day has already changes nothing.
    pub link: Link,
    /// What people are told, where the generation is new; `None` where nobody wants to be told.
    pub announce: Option<Summary>,
}

impl Closing {
    /// A closing that follows no other day's and that nobody is told of.
    pub fn alone(day: Day, generation: u32, marker: Marker, manifest: StoredObject) -> Self {
        let link = Link::new(day, generation, &manifest.sha256, None);
        Self { generation, marker, manifest, link, announce: None }
    }
}

/// What looking at a conversation gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// Its metadata, where it was read now.
    pub metadata: Option<Vec<RecordingMetadata>>,
    /// Recordings that are not in the archive and will not be by themselves.
    pub park: Vec<ParkedRecording>,
    /// What next.
    pub next: Next,
}

/// A recording that is settled without being copied.
#[derive(Debug, Clone, PartialEq)]
pub struct ParkedRecording {
    /// Which.
    pub recording: RecordingId,
    /// Its kind.
    pub kind: Kind,
    /// Parked or left out, with the reason.
    pub state: RecordingState,
}

/// Why a conversation goes into a batch again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resubmission {
    /// A job was lost or a URL refused: [`super::MOST_LOSSES`] times.
    Lost,
    /// Something was not delivered: [`super::MOST_RESUBMISSIONS`] times.
    Missing,
    /// Something came back from the source's cold storage after all other batches: once.
    Restored,
}

/// What happens to a conversation after a look.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Its recordings are being copied: the last of them wakes it.
    AwaitUploads,
    /// The source is not ready: look again.
    LookAgain {
        /// When.
        due: Timestamp,
    },
    /// Something comes back from the source's cold storage: look again.
    AwaitRestore {
        /// When.
        due: Timestamp,
        /// What was asked for now.
        asked: Vec<RecordingId>,
    },
    /// Into a batch again.
    Resubmit {
        /// When.
        due: Timestamp,
        /// Why, since each is counted by itself.
        because: Resubmission,
    },
    /// All is terminal.
    Settle {
        /// How it ended.
        outcome: Outcome,
        /// Its metadata object.
        object: Option<StoredObject>,
    },
}

/// What a job gave for one conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The conversation.
    pub conversation: ConversationId,
    /// An error about the conversation as a whole, redacted.
    pub error: Option<String>,
    /// Its recordings.
    pub recordings: Vec<Delivered>,
}

/// What a job gave for one recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivered {
    /// Which.
    pub recording: RecordingId,
    /// Its kind.
    pub kind: Kind,
    /// How many different URLs; 0 when there is only an error.
    pub results: u32,
    /// The error, redacted.
    pub error: Option<String>,
    /// Set when it is not to be copied.
    pub verdict: Option<RecordingState>,
}
