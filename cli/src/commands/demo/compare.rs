//! The archive against the simulator's truth: every file is read again and digested; nothing is taken from the ledger
//! but the reasons of what is not there.

use std::collections::BTreeMap;

use callvault_bootstrap::settings::Settings;
use callvault_local::folder::FolderArchive;
use callvault_pipeline::archive::{Archive, Prover};
use callvault_pipeline::day::Day;
use callvault_pipeline::kind::Kind;
use callvault_pipeline::layout::Key;
use callvault_pipeline::ledger::{Listing, RowKey};
use callvault_simulator::Truth;
use futures_util::{StreamExt, TryStreamExt};

use crate::connect::look_at_ledger;
use crate::failure::Failure;

/// Conversation, recording, kind, digest.
type Copy = (String, String, String, String);

/// Every difference in a sentence; none when archive and truth agree.
pub(crate) async fn compare(
    truth: &Truth,
    archive: &FolderArchive,
    settings: &Settings,
    day: Day,
) -> Result<Vec<String>, Failure> {
    let found = copies(archive, &settings.layout.folder(day)).await?;
    let parked = parked(settings, day).await?;
    let (mut wanted, mut reasons): (BTreeMap<Copy, u64>, _) = Default::default();
    for recording in truth.days.iter().filter(|d| d.day == day.date()).flat_map(|d| &d.recordings) {
        let (conversation, id) = (recording.conversation.clone(), recording.recording.clone());
        if recording.outcome == "stored" {
            *wanted.entry((conversation, id, recording.kind.clone(), recording.sha256.clone())).or_default() += 1;
        } else {
            let reason = if recording.outcome == "sensitive" { "sensitive-excluded" } else { &recording.outcome };
            BTreeMap::insert(&mut reasons, (conversation, id), reason.to_owned());
        }
    }
    let mut differences = Vec::new();
    differ(&wanted, &found, &mut differences);
    differ_parked(&reasons, &parked, &mut differences);
    Ok(differences)
}

fn differ(wanted: &BTreeMap<Copy, u64>, found: &BTreeMap<Copy, u64>, differences: &mut Vec<String>) {
    for ((conversation, id, kind, _), n) in wanted {
        let key = (conversation.clone(), id.clone(), kind.clone());
        let there = found.iter().filter(|((c, i, k, _), _)| (c, i, k) == (&key.0, &key.1, &key.2));
        if there.clone().count() == 0 {
            differences.push(format!("missing: {kind} {id} of conversation {conversation}"));
        } else if wanted.iter().any(|(copy, _)| found.get(copy) != Some(n) && copy.1 == *id) {
            differences.push(format!("other bytes: {kind} {id} of conversation {conversation}"));
        }
    }
    for ((conversation, id, kind, _), _) in found.iter().filter(|(copy, _)| !wanted.contains_key(*copy)) {
        differences.push(format!("not in the truth: {kind} {id} of conversation {conversation}"));
    }
}

fn differ_parked(
    wanted: &BTreeMap<(String, String), String>,
    found: &BTreeMap<(String, String), String>,
    differences: &mut Vec<String>,
) {
    for ((conversation, id), reason) in wanted {
        match found.get(&(conversation.clone(), id.clone())) {
            Some(recorded) if recorded == reason => {}
            recorded => {
                let recorded = recorded.map_or("nothing", String::as_str);
                differences.push(format!("{id} of conversation {conversation} is {reason}, recorded is {recorded}"));
            }
        }
    }
    for ((conversation, id), reason) in found.iter().filter(|(key, _)| !wanted.contains_key(*key)) {
        differences.push(format!("{id} of conversation {conversation} is parked ({reason}) and should be stored"));
    }
}

/// The recordings in a day's folder, by reading every file.
async fn copies(archive: &FolderArchive, folder: &str) -> Result<BTreeMap<Copy, u64>, Failure> {
    let mut copies = BTreeMap::new();
    let mut listed = archive.list(folder).await;
    while let Some(object) = listed.try_next().await? {
        let Some((kind, conversation, id)) = parts(&object.key) else { continue };
        let mut prover = Prover::default();
        if let Some(mut bytes) = archive.read(&object.key).await? {
            while let Some(chunk) = bytes.next().await {
                prover.update(&chunk?);
            }
        }
        let proof = prover.finish(Some(object.bytes)).map_err(|error| Failure::stopped(error.to_string()))?;
        *copies.entry((conversation, id, kind, proof.sha256)).or_default() += 1;
    }
    Ok(copies)
}

/// Kind, conversation and recording of a key of the layout `day`; `None` for markers, manifests and metadata.
fn parts(key: &Key) -> Option<(String, String, String)> {
    let kind = key.as_str().rsplit('/').nth(1)?;
    kind.parse::<Kind>().ok()?;
    let stem = key.file_name().rsplit_once('.')?.0;
    let mut ids = stem.split('_');
    Some((kind.to_owned(), ids.next()?.to_owned(), ids.next()?.to_owned()))
}

async fn parked(settings: &Settings, day: Day) -> Result<BTreeMap<(String, String), String>, Failure> {
    let ledger = look_at_ledger(settings).await?;
    let mut parked = BTreeMap::new();
    let mut after = None;
    loop {
        let rows = ledger.list(day, Listing::Parked, after.as_ref(), 500).await?;
        let Some(last) = rows.last() else { return Ok(parked) };
        after = Some(last.key.clone());
        for row in &rows {
            if let (RowKey::Recording(conversation, id), Some(reason)) = (&row.key, row.reason()) {
                parked.insert((conversation.to_string(), id.to_string()), reason.code().to_owned());
            }
        }
    }
}
