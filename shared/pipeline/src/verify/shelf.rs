//! What the archive lists of a day, in little room: a digest of each key, and its length.
//!
//! Archives list in no order, and ledgers by conversation, so the two cannot be read side by side. Keys are not kept:
//! what is left over in the end is named by listing once more.

use std::collections::HashMap;

use futures_util::StreamExt;
use sha2::{Digest, Sha256};

use super::{DayReport, Finding, FindingCode, Verify};
use crate::day::Day;
use crate::layout::Key;
use crate::ledger::Marker;
use crate::stages::Fault;

/// The folder of a day that is not of its manifest: voicemail has a proof of its own.
const VOICEMAIL: &str = "voicemail/";

/// The objects of a day that nobody has asked for yet.
pub(super) struct Shelf {
    lengths: HashMap<u128, u64>,
    objects: u64,
    bytes: u64,
}

impl Shelf {
    pub(super) fn objects(&self) -> u64 {
        self.objects
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The length of an object, which is no longer on the shelf then.
    pub(super) fn take(&mut self, key: &Key) -> Option<u64> {
        self.lengths.remove(&name(key))
    }
}

/// 128 bits of a digest: two keys of a day do not share them by chance.
fn name(key: &Key) -> u128 {
    let digest: [u8; 32] = Sha256::digest(key.as_str()).into();
    digest.iter().take(16).fold(0, |name, byte| name << 8 | u128::from(*byte))
}

/// Whether an object of the day's folder is neither a file about the day nor voicemail.
fn is_content(folder: &str, key: &Key) -> bool {
    let Some(name) = key.as_str().strip_prefix(folder) else { return false };
    let is_marker = [Marker::Success, Marker::Failure].iter().any(|marker| marker.file_name() == name);
    let number = name.strip_prefix("manifest-").and_then(|rest| rest.strip_suffix(".jsonl"));
    let is_manifest = number.is_some_and(|n| n.len() >= 4 && n.bytes().all(|b| b.is_ascii_digit()));
    !is_marker && !is_manifest && !name.starts_with(VOICEMAIL)
}

impl Verify {
    pub(super) async fn shelf(&self, day: Day) -> Result<Shelf, Fault> {
        let folder = self.house.layout.folder(day);
        let mut shelf = Shelf { lengths: HashMap::new(), objects: 0, bytes: 0 };
        let mut listed = self.house.archive.list(&folder).await;
        while let Some(object) = listed.next().await {
            let object = object?;
            if is_content(&folder, &object.key) && shelf.lengths.insert(name(&object.key), object.bytes).is_none() {
                shelf.objects += 1;
                shelf.bytes += object.bytes;
            }
        }
        Ok(shelf)
    }

    /// Names what is left on the shelf.
    pub(super) async fn extra(&self, day: Day, shelf: &Shelf, report: &mut DayReport) -> Result<(), Fault> {
        if shelf.lengths.is_empty() {
            return Ok(());
        }
        let folder = self.house.layout.folder(day);
        let mut listed = self.house.archive.list(&folder).await;
        while let Some(object) = listed.next().await {
            let object = object?;
            if is_content(&folder, &object.key) && shelf.lengths.contains_key(&name(&object.key)) {
                let detail = format!("{} bytes that neither ledger nor manifest names", object.bytes);
                report.findings.push(Finding::new(FindingCode::ExtraObject, detail).at(&object.key));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_about_the_day_and_voicemail_are_no_content() {
        let content = |name: &str| is_content("prod/2026-01-20/", &format!("prod/2026-01-20/{name}").parse().unwrap());
        for name in ["_SUCCESS", "_FAILURE", "manifest-0001.jsonl", "manifest-12345.jsonl", "voicemail/a_b.wav"] {
            assert!(!content(name), "{name}");
        }
        for name in ["call/a_b.ogg", "metadata/a.json", "manifest-x.jsonl", "manifest-1.jsonl", "call/_SUCCESS", "x"] {
            assert!(content(name), "{name}");
        }
    }
}
