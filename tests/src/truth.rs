//! An archive compared with the simulator's truth, by somebody who knows neither the ledger nor callvault's code.
//!
//! | module | owns |
//! |---|---|
//! | this one | what is expected, and the verdict |
//! | [`archive`] | the folder as it is on disk: every file read and digested |
//! | `days` | one day: recordings, metadata, manifest, marker, status |
//!
//! Everything here is written from the documented layout and field names alone. It must never use a crate of callvault's
//! but the simulator, whose truth it is.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a harness of tests fails by panicking")]

pub mod archive;
mod days;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use callvault_simulator::{Truth, TruthDay, TruthRecording};
use serde_json::Value;

use archive::Archive;

/// How keys are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `{env}/{day}/{kind}/{conversation}_{recording}[_variant].{ext}`
    Day,
    /// `{env}/year=/month=/day=/hour=/conversation_id=/{recording}[_variant].{ext}`
    Hive,
}

/// What becomes of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    Stored,
    Parked(String),
    /// A setting leaves it out; the ledger knows it.
    LeftOut,
    /// Nobody hears of it.
    Unheard,
}

/// What an archive must hold.
#[derive(Debug, Clone)]
pub struct Expected {
    pub(crate) days: Vec<ExpectedDay>,
    pub(crate) zone: String,
    pub(crate) environment: String,
    pub(crate) layout: Layout,
}

#[derive(Debug, Clone)]
pub(crate) struct ExpectedDay {
    pub(crate) day: String,
    /// Conversations that are exported.
    pub(crate) conversations: BTreeSet<String>,
    /// Conversations that the ledger knows and a setting leaves out.
    pub(crate) left_out: BTreeSet<String>,
    pub(crate) recordings: Vec<(TruthRecording, Fate)>,
}

impl Expected {
    /// A complete export of everything in the truth, in the layout `day`, environment `prod`.
    pub fn new(truth: Truth, zone: &str) -> Self {
        let days = truth.days.into_iter().map(ExpectedDay::new).collect();
        Self { days, zone: zone.to_owned(), environment: "prod".to_owned(), layout: Layout::Day }
    }

    /// In another layout.
    #[must_use]
    pub fn layout(self, layout: Layout) -> Self {
        Self { layout, ..self }
    }

    /// In another environment.
    #[must_use]
    pub fn environment(self, environment: &str) -> Self {
        Self { environment: environment.to_owned(), ..self }
    }

    /// Only these kinds are wanted.
    #[must_use]
    pub fn only_kinds(mut self, kinds: &[&str]) -> Self {
        for (recording, fate) in self.days.iter_mut().flat_map(|day| &mut day.recordings) {
            if !kinds.contains(&recording.kind.as_str()) {
                *fate = Fate::LeftOut;
            }
        }
        self
    }

    /// Conversations that the source never reports, for instance those of other queues.
    #[must_use]
    pub fn unreported(mut self, is_unreported: impl Fn(&str) -> bool) -> Self {
        for day in &mut self.days {
            day.conversations.retain(|id| !is_unreported(id));
            day.recordings.retain(|(recording, _)| !is_unreported(&recording.conversation));
        }
        self
    }

    /// Conversations that a setting leaves out.
    #[must_use]
    pub fn left_out(mut self, is_left_out: impl Fn(&str) -> bool) -> Self {
        for day in &mut self.days {
            day.left_out = day.conversations.iter().filter(|id| is_left_out(id)).cloned().collect();
            day.conversations.retain(|id| !is_left_out(id));
            day.recordings.retain(|(recording, _)| !is_left_out(&recording.conversation));
        }
        self
    }

    /// Without metadata of every conversation nobody hears of a sensitive recording beside one that is delivered.
    #[must_use]
    pub fn by_analytics(mut self) -> Self {
        for day in &mut self.days {
            let delivered: BTreeSet<String> = day
                .recordings
                .iter()
                .filter(|(_, fate)| *fate == Fate::Stored)
                .map(|(recording, _)| recording.conversation.clone())
                .collect();
            for (recording, fate) in &mut day.recordings {
                if recording.outcome == "sensitive" && delivered.contains(&recording.conversation) {
                    *fate = Fate::Unheard;
                }
            }
        }
        self
    }

    /// The exit code of a complete export: 0 when nothing is parked, else 1.
    pub fn exit_code(&self) -> i32 {
        i32::from(self.days.iter().any(|day| !day.parked().is_empty()))
    }

    /// Bytes of all stored recordings.
    pub fn bytes(&self) -> u64 {
        self.days.iter().flat_map(ExpectedDay::stored).map(|recording| recording.bytes).sum()
    }

    /// Stored files.
    pub fn files(&self) -> usize {
        self.days.iter().map(|day| day.stored().count()).sum()
    }
}

impl ExpectedDay {
    fn new(day: TruthDay) -> Self {
        let fate = |recording: &TruthRecording| match recording.outcome.as_str() {
            "stored" => Fate::Stored,
            "sensitive" => Fate::Parked("sensitive-excluded".to_owned()),
            outcome => Fate::Parked(outcome.to_owned()),
        };
        Self {
            day: day.day.to_string(),
            conversations: day.conversations.into_iter().collect(),
            left_out: BTreeSet::new(),
            recordings: day.recordings.into_iter().map(|recording| (recording.clone(), fate(&recording))).collect(),
        }
    }

    pub(crate) fn stored(&self) -> impl Iterator<Item = &TruthRecording> {
        self.recordings.iter().filter(|(_, fate)| *fate == Fate::Stored).map(|(recording, _)| recording)
    }

    /// Reason by conversation and recording.
    pub(crate) fn parked(&self) -> BTreeMap<(String, String), String> {
        let parked = self.recordings.iter().filter_map(|(recording, fate)| match fate {
            Fate::Parked(reason) => {
                Some(((recording.conversation.clone(), recording.recording.clone()), reason.clone()))
            }
            _ => None,
        });
        parked.collect()
    }

    pub(crate) fn left_out_recordings(&self) -> usize {
        let ids: BTreeSet<_> =
            self.recordings.iter().filter(|(_, fate)| *fate == Fate::LeftOut).map(|(r, _)| &r.recording).collect();
        ids.len()
    }
}

/// Every difference between what is expected and what is there, in a sentence; none when they agree.
pub fn differences(expected: &Expected, archive: &Path, status: &Value) -> Vec<String> {
    let archive = Archive::read(archive);
    let mut found = archive.leftovers.iter().map(|path| format!("left behind: {path}")).collect::<Vec<_>>();
    let folders: Vec<String> = expected.days.iter().map(|day| days::folder(expected, &day.day)).collect();
    for key in archive.files.keys() {
        if !folders.iter().any(|folder| key.starts_with(folder)) {
            found.push(format!("outside of every day: {key}"));
        }
    }
    for day in &expected.days {
        found.extend(days::differences(expected, day, &archive, status));
    }
    let known = status["days"].as_array().map_or(0, Vec::len);
    if known != expected.days.len() {
        found.push(format!("the ledger knows {known} days, {} are expected", expected.days.len()));
    }
    found
}

/// Fails with the first differences.
///
/// # Panics
/// When something differs.
#[track_caller]
pub fn assert_equal(expected: &Expected, archive: &Path, status: &Value) {
    let found = differences(expected, archive, status);
    if !found.is_empty() {
        let shown = found.iter().take(25).cloned().collect::<Vec<_>>().join("\n  ");
        panic!("the archive differs from the truth in {} places:\n  {shown}", found.len());
    }
}

/// Key, length and digest of the recordings in an archive, for comparing two archives.
pub fn recordings(archive: &Path) -> BTreeMap<String, (u64, String)> {
    let archive = Archive::read(archive);
    let recordings = archive.files.into_iter().filter(|(key, _)| days::is_recording(key));
    recordings.map(|(key, file)| (key, (file.bytes, file.sha256))).collect()
}
