//! What a conversation holds: recordings of each kind, and their bytes, in the mean.
//!
//! From the ledger's latest closed days, where it has enough of them: those are this org's own figures, and cost the source
//! nothing. Else from the recording metadata of a sample of conversations: at most [`SAMPLED`] requests. Metadata has no
//! bytes; they follow from how long a recording is, or from its kind, by [`assumed_bytes`].

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::census::spread;
use super::{Basis, Estimator};
use crate::api::ApiError;
use crate::day::Day;
use crate::facts::{Facts, Intake};
use crate::ids::ConversationId;
use crate::kind::Kind;
use crate::models::{FileState, Found, RecordingMetadata};
use crate::reconcile::kind_of;
use crate::stages::Fault;
use crate::volumes::{self, Volume};

/// Conversations whose metadata is read.
const SAMPLED: usize = 60;
/// The ledger's days that are looked at, and the conversations of theirs that are enough.
const LEDGER_DAYS: usize = 14;
const ENOUGH: u64 = 50;
/// Seconds of a recording whose metadata says not how long it is.
const ASSUMED_SECONDS: f64 = 240.0;

/// Where a profile comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum ProfileSource {
    /// Days that were exported before.
    Ledger {
        /// How many.
        days: u64,
        /// Their conversations.
        conversations: u64,
    },
    /// Recording metadata of conversations at the source.
    Metadata {
        /// How many.
        conversations: u64,
    },
    /// What the analytics say: the client may not read recording metadata.
    Analytics {
        /// How many conversations.
        conversations: u64,
    },
    /// There was nothing to look at.
    Nothing,
}

/// Bytes that a recording of a kind and a length is taken to have: 32 kbit/s for a call, 320 kbit/s for a screen; a transcript
/// of 5 KB, an e-mail of 100 KB with what is attached.
pub fn assumed_bytes(kind: Kind, seconds: f64) -> f64 {
    match kind {
        Kind::Call => seconds * 4_000.0,
        Kind::Screen => seconds * 40_000.0,
        Kind::Chat | Kind::Message => 5_000.0,
        Kind::Email => 100_000.0,
    }
}

/// Of one kind, in the mean of a conversation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mean {
    pub(super) recordings: f64,
    pub(super) bytes: f64,
    pub(super) bytes_basis: Basis,
}

/// What a conversation that the settings want holds, in the mean.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Profile {
    pub(super) kinds: BTreeMap<Kind, Mean>,
    pub(super) recordings_basis: Basis,
    /// Which part of all conversations the settings want.
    pub(super) wanted_share: f64,
    /// Recordings that are listed and cannot be had.
    pub(super) out_of_reach: Option<f64>,
    pub(super) source: ProfileSource,
}

impl Estimator<'_> {
    pub(super) async fn profile(&self, closed: &BTreeSet<Day>, sample: &[Found]) -> Result<Profile, Fault> {
        let mut wanted: Vec<(ConversationId, Facts)> = Vec::new();
        for found in sample {
            let taken = self.wanted.take(found);
            if taken.intake == Intake::Export {
                wanted.push((taken.id, taken.facts));
            }
        }
        let wanted_share = match sample.len() {
            0 => 1.0,
            all => wanted.len() as f64 / all as f64,
        };
        let profile = match self.of_ledger(closed).await? {
            Some(profile) => profile,
            None => self.of_source(&wanted).await?,
        };
        Ok(Profile { wanted_share, ..profile })
    }

    /// The latest closed days together.
    async fn of_ledger(&self, closed: &BTreeSet<Day>) -> Result<Option<Profile>, Fault> {
        let Some(ledger) = self.ledger else { return Ok(None) };
        let (mut kinds, mut conversations, mut days) = (BTreeMap::<Kind, Volume>::new(), 0, 0);
        for day in closed.iter().rev().take(LEDGER_DAYS) {
            let volumes = volumes::of_day(ledger, *day).await?;
            let left_out = volumes.counts.conversations_by_state.get("left-out").copied().unwrap_or_default();
            conversations += volumes.counts.conversations.saturating_sub(left_out);
            days += 1;
            for (kind, volume) in volumes.kinds {
                *kinds.entry(kind).or_default() += volume;
            }
        }
        if conversations < ENOUGH {
            return Ok(None);
        }
        let mean = |n: u64| n as f64 / conversations as f64;
        let kinds = kinds.into_iter().map(|(kind, volume)| {
            let bytes_basis = Basis::Sampled;
            (kind, Mean { recordings: mean(volume.stored), bytes: mean(volume.bytes), bytes_basis })
        });
        Ok(Some(Profile {
            kinds: kinds.collect(),
            recordings_basis: Basis::Sampled,
            wanted_share: 1.0,
            out_of_reach: None,
            source: ProfileSource::Ledger { days, conversations },
        }))
    }

    async fn of_source(&self, wanted: &[(ConversationId, Facts)]) -> Result<Profile, Fault> {
        let mut sums = Sums::default();
        for (id, facts) in spread(wanted, SAMPLED) {
            match self.recordings.metadata(id).await {
                Ok(metadata) => sums.add(facts, &metadata),
                Err(ApiError::Forbidden { .. }) => return Ok(of_analytics(wanted)),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(match sums.conversations {
            0 => Profile::nothing(),
            conversations => sums.profile(Basis::Sampled, ProfileSource::Metadata { conversations }),
        })
    }
}

/// One recording of each conversation that says it was recorded, as long as the conversation.
fn of_analytics(wanted: &[(ConversationId, Facts)]) -> Profile {
    let mut sums = Sums::default();
    for (_, facts) in wanted {
        sums.conversations += 1;
        if facts.recorded {
            let seconds = facts.start.zip(facts.end).map(|(start, end)| end.duration_since(start).as_secs_f64());
            sums.recording(Kind::of(None, &facts.media), seconds);
        }
    }
    let conversations = sums.conversations;
    match conversations {
        0 => Profile::nothing(),
        _ => Profile { out_of_reach: None, ..sums.profile(Basis::Assumed, ProfileSource::Analytics { conversations }) },
    }
}

impl Profile {
    fn nothing() -> Self {
        let (kinds, source) = (BTreeMap::new(), ProfileSource::Nothing);
        Self { kinds, recordings_basis: Basis::Counted, wanted_share: 1.0, out_of_reach: None, source }
    }
}

/// What was seen of a sample.
#[derive(Debug, Default)]
struct Sums {
    conversations: u64,
    /// Recordings, and bytes they are taken to have.
    kinds: BTreeMap<Kind, (u64, f64)>,
    out_of_reach: u64,
}

impl Sums {
    fn add(&mut self, facts: &Facts, metadata: &[RecordingMetadata]) {
        self.conversations += 1;
        for one in metadata {
            match one.file_state {
                Some(
                    FileState::Archived
                    | FileState::Deleted
                    | FileState::Restoring
                    | FileState::Uploading
                    | FileState::Error,
                ) => self.out_of_reach += 1,
                Some(FileState::Available | FileState::Restored | FileState::Unknown(_)) | None => {
                    self.recording(kind_of(one, &facts.media), seconds(one));
                }
            }
        }
    }

    fn recording(&mut self, kind: Kind, seconds: Option<f64>) {
        let (recordings, bytes) = self.kinds.entry(kind).or_default();
        *recordings += 1;
        *bytes += assumed_bytes(kind, seconds.filter(|s| *s >= 0.0).unwrap_or(ASSUMED_SECONDS));
    }

    fn profile(&self, recordings_basis: Basis, source: ProfileSource) -> Profile {
        let mean = |n: f64| n / self.conversations.max(1) as f64;
        let kinds = self.kinds.iter().map(|(kind, (recordings, bytes))| {
            let (recordings, bytes) = (mean(*recordings as f64), mean(*bytes));
            (*kind, Mean { recordings, bytes, bytes_basis: Basis::Assumed })
        });
        Profile {
            kinds: kinds.collect(),
            recordings_basis,
            wanted_share: 1.0,
            out_of_reach: Some(mean(self.out_of_reach as f64)),
            source,
        }
    }
}

fn seconds(metadata: &RecordingMetadata) -> Option<f64> {
    let time = |text: &Option<String>| text.as_deref()?.parse::<Timestamp>().ok();
    let (start, end) = time(&metadata.start_time).zip(time(&metadata.end_time))?;
    Some(end.duration_since(start).as_secs_f64())
}
