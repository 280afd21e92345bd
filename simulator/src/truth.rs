//! The truth: what a perfect export of the org would hold.
//!
//! Owns the public shape and its computation. Checksums cost as much as generating every byte, so they are made on
//! the first question and kept.

use std::collections::HashMap;
use std::sync::Mutex;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::lock;
use crate::media::{self, Owner};
use crate::org::{Conversation, Org, Recording};
use crate::world::Standing;

/// What a perfect export holds, by day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    /// The days, in order.
    pub days: Vec<TruthDay>,
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

/// The truth, given where each recording stands now.
pub(crate) fn tell(org: &Org, sums: &Sums, standing: impl Fn(&Recording) -> Standing) -> Truth {
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
    Truth { days }
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
