//! The truth: what a perfect export of the org would hold.
//!
//! Owns the public shape and its computation. Checksums cost as much as generating every byte, so they are made on
//! the first question and kept.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::lock;
use crate::media::{self, Owner};
use crate::org::{Conversation, Org, Recording};
use crate::voicemail::{FORMATS, Holder, Voicemail};
use crate::world::Standing;

/// What a perfect export holds, by day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    /// The days, in order.
    pub days: Vec<TruthDay>,
    /// Every voicemail that was there to be copied, in the order of their events.
    #[serde(default)]
    pub voicemails: Vec<TruthVoicemail>,
}

/// One day of the truth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TruthDay {
    /// The day in the simulator's time zone.
    pub day: Date,
    /// Every conversation that started on it, in the order of their starts.
    pub conversations: Vec<String>,
    /// What became of every recording of theirs.
    pub recordings: Vec<TruthRecording>,
}

/// One file that an export holds, or one recording that it cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TruthRecording {
    /// Conversation id.
    pub conversation: String,
    /// Recording id. A recording with two different files is listed twice.
    pub recording: String,
    /// `call`, `chat`, `email`, `message` or `screen`.
    pub kind: String,
    /// Length of the stored file; 0 where nothing can be stored.
    pub bytes: u64,
    /// Lower-case hex SHA-256 of the stored file; empty where nothing can be stored.
    pub sha256: String,
    /// `stored`, `archived`, `deleted`, `uploading` or `sensitive`.
    pub outcome: String,
}

/// One voicemail, with what has become of it at the source. One of `queue`, `group` and `user` is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TruthVoicemail {
    /// Conversation id.
    pub conversation: String,
    /// Message id.
    pub message: String,
    /// The queue it was left for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The group it was left for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The user it was left for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Length of its file in WEBM, the platform's default format.
    pub bytes: u64,
    /// Lower-case hex SHA-256 of that file.
    pub sha256: String,
    /// Its files by `formatId`, WEBM among them.
    pub formats: BTreeMap<String, TruthFile>,
    /// When it was left: the time of its event.
    pub left_at: Timestamp,
    /// From when on it can be listed.
    pub listable_at: Timestamp,
    /// Whether it is marked as read.
    pub read: bool,
    /// Whether it was deleted since.
    pub deleted: bool,
    /// Whether the callback of its conversation was disconnected.
    pub callback_disconnected: bool,
}

/// A file by length and checksum.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TruthFile {
    /// Length in bytes.
    pub bytes: u64,
    /// Lower-case hex SHA-256.
    pub sha256: String,
}

/// Lengths and checksums that were computed already, by recording and file number.
#[derive(Debug, Default)]
pub(crate) struct Sums(Mutex<HashMap<(String, u32), (u64, String)>>);

impl Sums {
    fn of(&self, owner: Owner<'_>, file: media::File) -> (u64, String) {
        let key = (owner.recording.to_owned(), file.number);
        if let Some(known) = lock(&self.0).get(&key) {
            return known.clone();
        }
        // Not under the lock: a large file takes seconds.
        let sum = media::stored(owner, file);
        lock(&self.0).insert(key, sum.clone());
        sum
    }
}

/// The truth, given the voicemail and where each recording stands now.
pub(crate) fn tell(
    org: &Org,
    sums: &Sums,
    voicemails: &[Voicemail],
    standing: impl Fn(&Recording) -> Standing,
) -> Truth {
    let mut days: Vec<TruthDay> =
        org.days.iter().map(|&day| TruthDay { day, conversations: Vec::new(), recordings: Vec::new() }).collect();
    for conversation in &org.conversations {
        let Some(day) = conversation.day.and_then(|index| days.get_mut(index)) else {
            continue;
        };
        day.conversations.push(conversation.id.clone());
        for recording in &conversation.recordings {
            entries(conversation, recording, standing(recording), sums, &mut day.recordings);
        }
    }
    let voicemails = voicemails.iter().filter(|message| message.was_there()).map(|message| voicemail(message, sums));
    Truth { days, voicemails: voicemails.collect() }
}

/// What there is to know of one voicemail.
pub(crate) fn voicemail(message: &Voicemail, sums: &Sums) -> TruthVoicemail {
    let owner = Owner { conversation: &message.conversation, recording: &message.id };
    let file = |name: &str| {
        let (bytes, sha256) = message.file(name).map(|file| sums.of(owner, file)).unwrap_or_default();
        TruthFile { bytes, sha256 }
    };
    let TruthFile { bytes, sha256 } = file(FORMATS[0].0);
    let (mut queue, mut group, mut user) = (None, None, None);
    match message.holder.clone() {
        Holder::Queue(id) => queue = Some(id),
        Holder::Group(id) => group = Some(id),
        Holder::User(id) => user = Some(id),
    }
    TruthVoicemail {
        conversation: message.conversation.clone(),
        message: message.id.clone(),
        queue,
        group,
        user,
        bytes,
        sha256,
        formats: FORMATS.iter().map(|(name, _)| ((*name).to_owned(), file(name))).collect(),
        left_at: message.left,
        listable_at: message.listable,
        read: message.read,
        deleted: message.deleted.is_some(),
        callback_disconnected: message.callback_disconnected,
    }
}

fn entries(
    conversation: &Conversation,
    recording: &Recording,
    standing: Standing,
    sums: &Sums,
    into: &mut Vec<TruthRecording>,
) {
    let entry = |outcome: &str, (bytes, sha256): (u64, String)| TruthRecording {
        conversation: conversation.id.clone(),
        recording: recording.id.clone(),
        kind: recording.kind.word().into(),
        bytes,
        sha256,
        outcome: outcome.into(),
    };
    let nothing = || (0, String::new());
    match standing {
        Standing::Available | Standing::UploadingYet => {
            let owner = Owner { conversation: &conversation.id, recording: &recording.id };
            let mut told = Vec::new();
            for &file in &recording.files {
                // Two URLs with the same bytes are one file.
                if !told.contains(&file.number) {
                    told.push(file.number);
                    into.push(entry("stored", sums.of(owner, file)));
                }
            }
        }
        Standing::Archived | Standing::Restoring => into.push(entry("archived", nothing())),
        Standing::Deleted { .. } => into.push(entry("deleted", nothing())),
        Standing::UploadingForEver => into.push(entry("uploading", nothing())),
        Standing::Sensitive => into.push(entry("sensitive", nothing())),
    }
}
