//! One day: recordings, metadata, manifest, marker, and what `status --json` says of it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::archive::{Archive, Stored};
use super::{Expected, ExpectedDay, Layout};

const KINDS: [&str; 5] = ["call", "chat", "email", "message", "screen"];

/// Fields of a manifest's line.
const LINE: [&str; 9] =
    ["bytes", "contentType", "conversation", "key", "kind", "recording", "sha256", "sourceJob", "storedAt"];

/// Fields of a marker.
const MARKER: [&str; 10] =
    ["chain", "closedAt", "counts", "day", "environment", "generation", "manifest", "marker", "parked", "timeZone"];

/// The folder of a day, with a slash at its end.
pub(super) fn folder(expected: &Expected, day: &str) -> String {
    let env = &expected.environment;
    match (expected.layout, &day.split('-').collect::<Vec<_>>()[..]) {
        (Layout::Hive, [year, month, of_month]) => format!("{env}/year={year}/month={month}/day={of_month}/"),
        _ => format!("{env}/{day}/"),
    }
}

/// Whether a key is a recording's, in any layout.
pub(super) fn is_recording(key: &str) -> bool {
    let parts: Vec<&str> = key.split('/').collect();
    let (name, folder) = (parts[parts.len() - 1], parts.get(parts.len().wrapping_sub(2)).copied().unwrap_or_default());
    !is_of_day(name) && folder != "metadata"
}

fn is_of_day(name: &str) -> bool {
    name.starts_with("_SUCCESS") || name.starts_with("_FAILURE") || name.starts_with("manifest-")
}

/// A recording's key taken apart.
#[derive(Debug)]
struct Parts {
    conversation: String,
    recording: String,
    /// Not in the key of the layout `hive`.
    kind: Option<String>,
    variant: Option<String>,
    ext: String,
}

fn parts(layout: Layout, key: &str) -> Option<Parts> {
    let (folders, name) = key.rsplit_once('/')?;
    let (stem, ext) = name.rsplit_once('.')?;
    let mut ids = stem.split('_').map(str::to_owned);
    let (conversation, recording, kind) = match layout {
        Layout::Day => (ids.next()?, ids.next()?, Some(folders.rsplit('/').next()?.to_owned())),
        Layout::Hive => {
            let mut folders = folders.rsplit('/');
            let conversation = folders.next()?.strip_prefix("conversation_id=")?.to_owned();
            let hour: u8 = folders.next()?.strip_prefix("hour=")?.parse().ok()?;
            if hour > 23 {
                return None;
            }
            (conversation, ids.next()?, None)
        }
    };
    let variant = ids.next();
    let known_kind = kind.as_deref().is_none_or(|kind| KINDS.contains(&kind));
    let whole = ids.next().is_none() && known_kind;
    whole.then(|| Parts { conversation, recording, kind, variant, ext: ext.to_owned() })
}

/// The extension that the first bytes of a file ask for; `None` where they say nothing.
fn sniffed(head: &[u8]) -> Option<&'static str> {
    Some(match head {
        [] => return None,
        [b'O', b'g', b'g', b'S', ..] => "ogg",
        [b'R', b'I', b'F', b'F', ..] => "wav",
        [0x1A, 0x45, 0xDF, 0xA3, ..] => "webm",
        [b'P', b'K', ..] => "zip",
        [b'{' | b'[', ..] => "json",
        _ => "bin",
    })
}

struct Check<'a> {
    expected: &'a Expected,
    day: &'a ExpectedDay,
    archive: &'a Archive,
    folder: String,
    found: Vec<String>,
}

/// Every difference of a day.
pub(super) fn differences(expected: &Expected, day: &ExpectedDay, archive: &Archive, status: &Value) -> Vec<String> {
    let folder = folder(expected, &day.day);
    let mut check = Check { expected, day, archive, folder, found: Vec::new() };
    check.recordings();
    check.metadata();
    if let Some(marker) = check.marker() {
        check.manifest(&marker);
    }
    check.status(status);
    let prefix = |text: String| format!("{}: {text}", day.day);
    check.found.into_iter().map(prefix).collect()
}

impl<'a> Check<'a> {
    fn say(&mut self, text: String) {
        self.found.push(text);
    }

    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, found: T, wanted: T) {
        if found != wanted {
            self.say(format!("{what} is {found:?}, expected is {wanted:?}"));
        }
    }

    /// The day's files: name below the day's folder, key, file.
    fn files(&self) -> Vec<(&'a str, &'a str, &'a Stored)> {
        let below = |key: &'a String| key.strip_prefix(&self.folder);
        self.archive.files.iter().filter_map(|(key, file)| Some((below(key)?, key.as_str(), file))).collect()
    }

    fn recordings(&mut self) {
        let mut wanted: BTreeMap<(String, String, String), (u64, String, u64)> = BTreeMap::new();
        for recording in self.day.stored() {
            let copy = (recording.conversation.clone(), recording.recording.clone(), recording.sha256.clone());
            wanted.entry(copy).or_insert((recording.bytes, recording.kind.clone(), 0)).2 += 1;
        }
        let mut plain = BTreeSet::new();
        for (name, key, file) in self.files() {
            if is_of_day(name) || name.starts_with("metadata/") {
                continue;
            }
            let Some(parts) = parts(self.expected.layout, key) else {
                self.say(format!("not a key of the layout: {key}"));
                continue;
            };
            let copy = (parts.conversation.clone(), parts.recording.clone(), file.sha256.clone());
            match wanted.get_mut(&copy) {
                None => self.say(format!("not in the truth: {key} of {} bytes", file.bytes)),
                Some((bytes, kind, left)) => {
                    if *left == 0 {
                        self.found.push(format!("there twice: {key}"));
                    }
                    *left = left.saturating_sub(1);
                    if *bytes != file.bytes || parts.kind.as_ref().is_some_and(|found| found != kind) {
                        self.found.push(format!("{key}: {} bytes, expected {bytes} of kind {kind}", file.bytes));
                    }
                }
            }
            match &parts.variant {
                None => {
                    plain.insert(parts.recording.clone());
                }
                Some(variant) if variant.len() < 8 || !file.sha256.starts_with(variant.as_str()) => {
                    self.say(format!("{key}: its variant is no part of its digest {}", file.sha256));
                }
                Some(_) => {}
            }
            if sniffed(&file.head).is_some_and(|ext| ext != parts.ext) {
                self.say(format!("{key}: its bytes are of {:?}", sniffed(&file.head)));
            }
        }
        for ((conversation, recording, _), (bytes, kind, left)) in wanted {
            if left > 0 {
                self.say(format!("missing: {kind} {recording} of conversation {conversation}, {bytes} bytes"));
            }
            if !plain.contains(&recording) {
                self.say(format!("{recording} has no object under its own key"));
            }
        }
    }

    fn metadata(&mut self) {
        let mut found = BTreeSet::new();
        let parked = self.day.parked();
        let stored: BTreeSet<_> = self.day.stored().map(|r| (r.conversation.clone(), r.recording.clone())).collect();
        let (mut seen_stored, mut seen_parked) = (BTreeSet::new(), BTreeMap::new());
        for (name, key, _) in self.files() {
            let Some(id) = name.strip_prefix("metadata/").and_then(|name| name.strip_suffix(".json")) else { continue };
            let content = self.archive.content(key).unwrap_or_default();
            let Ok(document) = serde_json::from_slice::<Value>(&content) else {
                self.say(format!("not JSON: {key}"));
                continue;
            };
            if document["conversation"] != id || document["day"] != self.day.day.as_str() {
                self.say(format!("about something else: {key}"));
            }
            found.insert(id.to_owned());
            for recording in document["recordings"].as_array().into_iter().flatten() {
                let copy = (id.to_owned(), recording["recording"].as_str().unwrap_or_default().to_owned());
                match recording["state"].as_str() {
                    Some("stored") => {
                        seen_stored.insert(copy);
                    }
                    Some("parked") => {
                        let reason = recording["reason"].as_str().unwrap_or_default();
                        seen_parked.insert(copy, reason.to_owned());
                    }
                    Some("left-out") => {}
                    other => self.say(format!("{key}: a recording is {other:?}")),
                }
            }
        }
        let absent: Vec<String> = self.day.conversations.difference(&found).cloned().collect();
        let odd: Vec<String> = found.difference(&self.day.conversations).cloned().collect();
        self.equal("conversations without metadata", absent, Vec::new());
        self.equal("metadata of others", odd, Vec::new());
        self.equal("recordings stored by the metadata", seen_stored.len(), stored.len());
        self.equal("recordings parked by the metadata", seen_parked, parked);
    }

    /// The one marker, if there is exactly one and it is well formed.
    fn marker(&mut self) -> Option<Value> {
        let has = |name: &str| self.archive.files.contains_key(&format!("{}{name}", self.folder));
        let name = match (has("_SUCCESS"), has("_FAILURE")) {
            (true, false) => "_SUCCESS",
            (false, true) => "_FAILURE",
            (both, _) => {
                self.say(if both { "both markers stand" } else { "there is no marker" }.to_owned());
                return None;
            }
        };
        let parked = self.day.parked();
        let wanted = if parked.is_empty() { "_SUCCESS" } else { "_FAILURE" };
        self.equal("the marker", name, wanted);
        let content = self.archive.content(&format!("{}{name}", self.folder)).unwrap_or_default();
        let Ok(marker) = serde_json::from_slice::<Value>(&content) else {
            self.say("the marker is not JSON".to_owned());
            return None;
        };
        let fields: Vec<&str> = marker.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        self.equal("the marker's fields", fields.into_iter().collect::<BTreeSet<_>>(), MARKER.into());
        self.equal("the marker's name", marker["marker"].as_str(), Some(name));
        self.equal("the marker's day", marker["day"].as_str(), Some(self.day.day.as_str()));
        self.equal("the marker's zone", marker["timeZone"].as_str(), Some(self.expected.zone.as_str()));
        let environment = self.expected.environment.as_str();
        self.equal("the marker's environment", marker["environment"].as_str(), Some(environment));
        let list = marker["parked"].as_array().cloned().unwrap_or_default();
        let text = |one: &Value, field: &str| one[field].as_str().unwrap_or_default().to_owned();
        let listed: BTreeMap<_, _> =
            list.iter().map(|one| ((text(one, "conversation"), text(one, "recording")), text(one, "reason"))).collect();
        self.equal("the length of the parked list", list.len(), parked.len());
        self.equal("the parked list", listed, parked);
        self.counts("the marker's", &marker["counts"]);
        Some(marker)
    }

    fn counts(&mut self, whose: &str, counts: &Value) {
        let parked = self.day.parked();
        let stored: BTreeSet<_> = self.day.stored().map(|r| &r.recording).collect();
        let bytes: u64 = self.day.stored().map(|r| r.bytes).sum();
        let conversations = self.day.conversations.len() + self.day.left_out.len();
        let recordings = stored.len() + parked.len() + self.day.left_out_recordings();
        for (name, wanted) in [
            ("conversations", conversations as u64),
            ("recordings", recordings as u64),
            ("stored", stored.len() as u64),
            ("parked", parked.len() as u64),
            ("bytes", bytes),
        ] {
            self.equal(&format!("{whose} {name}"), counts[name].as_u64(), Some(wanted));
        }
        let mut by_reason: BTreeMap<String, u64> = BTreeMap::new();
        for reason in parked.into_values() {
            *by_reason.entry(reason).or_default() += 1;
        }
        let told: BTreeMap<String, u64> =
            serde_json::from_value(counts["parked_by_reason"].clone()).unwrap_or_default();
        self.equal(&format!("{whose} reasons"), told, by_reason);
    }

    fn manifest(&mut self, marker: &Value) {
        let reference = &marker["manifest"];
        let key = reference["key"].as_str().unwrap_or_default();
        let generation = marker["generation"].as_u64().unwrap_or_default();
        self.equal("the manifest's key", key, &format!("{}manifest-{generation:04}.jsonl", self.folder));
        let Some(file) = self.archive.files.get(key) else {
            self.say(format!("there is no manifest {key}"));
            return;
        };
        self.equal("the manifest's digest", reference["sha256"].as_str(), Some(file.sha256.as_str()));
        self.equal("the manifest's length", reference["bytes"].as_u64(), Some(file.bytes));
        let content = String::from_utf8(self.archive.content(key).unwrap_or_default()).unwrap_or_default();
        let mut listed = BTreeSet::new();
        for text in content.lines() {
            match serde_json::from_str::<Value>(text) {
                Ok(line) => self.line(&line, &mut listed),
                Err(error) => self.say(format!("a line of the manifest is not JSON ({error})")),
            }
        }
        for (name, key, _) in self.files() {
            if !is_of_day(name) && !listed.contains(key) {
                self.say(format!("not in the manifest: {key}"));
            }
        }
    }

    fn line(&mut self, line: &Value, listed: &mut BTreeSet<String>) {
        let fields: BTreeSet<&str> = line.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        self.equal("the fields of a line", fields, LINE.into());
        let key = line["key"].as_str().unwrap_or_default();
        if !listed.insert(key.to_owned()) {
            self.say(format!("in the manifest twice: {key}"));
        }
        let Some(file) = self.archive.files.get(key) else {
            self.say(format!("in the manifest and not in the archive: {key}"));
            return;
        };
        self.equal(&format!("length in the manifest of {key}"), line["bytes"].as_u64(), Some(file.bytes));
        self.equal(&format!("digest in the manifest of {key}"), line["sha256"].as_str(), Some(file.sha256.as_str()));
        let stored_at = line["storedAt"].as_str().unwrap_or_default();
        if stored_at.parse::<Timestamp>().is_err() {
            self.say(format!("storedAt of {key} is `{stored_at}`"));
        }
        if line["contentType"].as_str().is_none_or(str::is_empty) {
            self.say(format!("{key} has no content type"));
        }
        let parts = match key.strip_prefix(&self.folder).and_then(|name| name.strip_prefix("metadata/")) {
            Some(name) => {
                self.equal(&format!("recording of {key}"), &line["recording"], &Value::Null);
                let id = name.strip_suffix(".json").unwrap_or_default().to_owned();
                (id, String::new(), Some("metadata".to_owned()))
            }
            None => {
                if line["sourceJob"].as_str().is_none_or(str::is_empty) {
                    self.say(format!("{key} has no job"));
                }
                match parts(self.expected.layout, key) {
                    Some(parts) => (parts.conversation, parts.recording, parts.kind),
                    None => return,
                }
            }
        };
        self.equal(&format!("conversation of {key}"), line["conversation"].as_str(), Some(parts.0.as_str()));
        self.equal(&format!("recording of {key}"), line["recording"].as_str().unwrap_or_default(), &parts.1);
        let kind = line["kind"].as_str().unwrap_or_default();
        let truth = self.day.stored().find(|r| r.recording == parts.1).map(|r| r.kind.clone());
        let wanted = parts.2.or(truth).unwrap_or_default();
        self.equal(&format!("kind of {key}"), kind, &wanted);
    }

    fn status(&mut self, status: &Value) {
        let lines = status["days"].as_array().cloned().unwrap_or_default();
        let Some(line) = lines.iter().find(|line| line["day"] == self.day.day.as_str()) else {
            self.say("`status` does not know it".to_owned());
            return;
        };
        let wanted = if self.day.parked().is_empty() { "_SUCCESS" } else { "_FAILURE" };
        self.equal("its state", line["state"].as_str(), Some("closed"));
        self.equal("its marker by `status`", line["marker"].as_str(), Some(wanted));
        for (whose, counts) in [("its", line), ("its counted", &line["counts"])] {
            let with_reasons = if whose == "its" {
                let mut merged = line.clone();
                merged["parked_by_reason"] = line["counts"]["parked_by_reason"].clone();
                merged
            } else {
                counts.clone()
            };
            self.counts(whose, &with_reasons);
        }
    }
}
