//! What is done about differences: whatever can be mended is made due once more, for the stages to do.
//!
//! Nothing is mended here by itself: a recording is copied by the stage that copies all of them, and proved by it. A
//! `_SUCCESS` goes first, since it is not true. A damaged object is copied into the folder [`SET_ASIDE`] before it
//! is taken from under its key: nothing that was stored is gone should the source no longer have it, and different
//! content never replaces an object. Rows are opened before the day is planned, so that nobody closes it between.
//! Every step may be repeated.
//!
//! Must never delete what it has not copied aside, nor touch an object that neither ledger nor manifest names.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt};

use super::objects::digest;
use super::{DayReport, Finding, FindingCode, SET_ASIDE, Verify};
use crate::api::MediaError;
use crate::archive::{Archive, ArchiveError, Offer, Put, PutError};
use crate::day::Day;
use crate::ids::ConversationId;
use crate::layout::Key;
use crate::ledger::Marker;
use crate::ledger::machine::Reopening;
use crate::stages::Fault;

/// Length of the digest's part that names what is set aside.
const DIGITS: usize = 16;

/// What is wrong with one conversation.
#[derive(Default)]
struct Broken {
    keys: Vec<Key>,
    batch: bool,
}

impl FindingCode {
    /// Whether the stages can do something about it.
    fn can_be_mended(self) -> bool {
        !matches!(self, Self::ExtraObject | Self::UnreadableObject | Self::SourceNotRead | Self::ChainBroken)
    }
}

impl Verify {
    /// Makes everything due that can be mended. Whether the day is to be worked on now.
    ///
    /// # Errors
    /// [`Fault`] when ledger or archive cannot be used; what was done stays, and may be done again.
    pub async fn repair(&self, report: &DayReport) -> Result<bool, Fault> {
        if !report.findings.iter().any(|finding| finding.code.can_be_mended()) {
            return Ok(false);
        }
        let success = self.house.layout.of_day(report.day, Marker::Success.file_name());
        self.house.archive.delete(&success.map_err(|error| Fault::Settings(error.to_string()))?).await?;
        for finding in &report.findings {
            use FindingCode::{ChangedContent, ChangedLength, ManifestEdited};
            if let (ChangedContent | ChangedLength | ManifestEdited, Some(key)) = (finding.code, &finding.key) {
                self.set_aside(report.day, key).await?;
            }
        }
        let now = self.house.clock.now();
        for (conversation, Broken { keys, batch }) in broken(&report.findings) {
            let reopening = Reopening::Mend { broken: keys, batch };
            let opened = self.house.ledger.reopen(conversation, &reopening, now).await?;
            tracing::info!(conversation.id = %conversation, opened, "to be mended: {conversation}");
        }
        self.house.ledger.plan_day(report.day, now).await?;
        Ok(true)
    }

    /// Copies a damaged object aside and takes it from under its key.
    async fn set_aside(&self, day: Day, key: &Key) -> Result<(), Fault> {
        let archive = &self.house.archive;
        let Some(proof) = digest(&**archive, key).await? else { return Ok(()) };
        let digits = proof.sha256.get(..DIGITS).unwrap_or_default();
        let folder = self.house.layout.folder(day);
        let aside = format!("{SET_ASIDE}{folder}{digits}_{}", key.file_name()).parse::<Key>();
        let aside = aside.map_err(|error| Fault::Settings(error.to_string()))?;
        let Some(body) = archive.read(key).await? else { return Ok(()) };
        let body = body.map_err(|error| MediaError::Interrupted { detail: error.to_string() }).boxed();
        let offer = Offer { key: &aside, content_type: None, length: Some(proof.bytes), body };
        match archive.put_new(offer).await {
            Ok(Put::Stored(copy) | Put::AlreadyThere { same: true, proof: copy }) if copy == proof => {
                tracing::warn!("set {key} aside as {aside}");
                delete(archive, key).await
            }
            Ok(_) => Err(failed(format!("{key} changed while it was set aside: verify again"))),
            Err(PutError::Store(error)) => Err(Fault::Archive(error)),
            Err(error) => Err(failed(format!("{key} could not be set aside: {error}"))),
        }
    }
}

async fn delete(archive: &Arc<dyn Archive>, key: &Key) -> Result<(), Fault> {
    archive.delete(key).await.map_err(Fault::Archive)
}

fn failed(detail: String) -> Fault {
    Fault::Archive(ArchiveError::Failed { detail })
}

/// The findings that a conversation has to be opened again for.
fn broken(findings: &[Finding]) -> BTreeMap<&ConversationId, Broken> {
    let mut all: BTreeMap<&ConversationId, Broken> = BTreeMap::new();
    for finding in findings {
        use FindingCode::{ChangedContent, ChangedLength, LedgerRowLost, MissingObject, NewAtSource};
        let Some(conversation) = &finding.conversation else { continue };
        match finding.code {
            MissingObject | ChangedLength | ChangedContent => {
                all.entry(conversation).or_default().keys.extend(finding.key.clone());
            }
            // A metadata object is written by describing; only recordings need a batch.
            LedgerRowLost => all.entry(conversation).or_default().batch |= finding.recording.is_some(),
            NewAtSource if finding.recording.is_some() => all.entry(conversation).or_default().batch = true,
            _ => {}
        }
    }
    all
}

impl DayReport {
    /// What was found before, and which of it a second look no longer finds; what only the second look finds is added.
    #[must_use]
    pub fn after_repair(self, again: Self) -> Self {
        let mut findings = self.findings;
        for finding in &mut findings {
            finding.repaired = !again.findings.iter().any(|left| left.is_same(finding));
        }
        let new: Vec<Finding> =
            again.findings.iter().filter(|left| !findings.iter().any(|known| known.is_same(left))).cloned().collect();
        findings.extend(new);
        Self { findings, ..again }
    }
}
