//! The manifest and the marker of a day.

use bytes::BytesMut;
use futures_util::StreamExt;
use serde::Deserialize;

use super::objects::digest;
use super::{DayReport, Finding, FindingCode, Verify};
use crate::archive::{ArchiveError, Proof};
use crate::day::Day;
use crate::layout::Key;
use crate::ledger::{DayFact, DayState, Marker, StoredObject};
use crate::manifest::{ManifestReference, MarkerDocument};
use crate::stages::{Fault, marker_text, same_but_for_time, survey};

/// A marker is read up to this length; it lists what is parked, at about 150 bytes each.
const LONGEST_MARKER: usize = 256 * 1024 * 1024;

/// What was found about a day's end.
pub(super) struct Closing {
    closed: bool,
    success: Option<Key>,
    parked: bool,
    /// A manifest that is as it was written, and whether it says what the ledger says.
    manifest: Option<(Key, bool)>,
}

impl Closing {
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// The manifest, where it is as it was written and the ledger says something else.
    pub(super) fn outdated_manifest(&self) -> Option<&Key> {
        self.manifest.as_ref().filter(|(_, says_the_same)| !says_the_same).map(|(key, _)| key)
    }

    /// Whether a `_SUCCESS` is true, once everything else is known.
    pub(super) fn is_marker_true(&self, report: &mut DayReport) {
        let Some(key) = &self.success else { return };
        use FindingCode::{ChangedContent, ChangedLength, LedgerRowLost, MissingObject};
        let differs = report.has(&[MissingObject, ChangedLength, ChangedContent, LedgerRowLost]);
        // A day that is queried once more keeps its marker until something is new.
        let unfinished = self.closed && report.has(&[FindingCode::DayNotClosed]);
        let why = match (self.parked, differs || unfinished) {
            (true, _) => "something is parked",
            (false, true) => "something is missing, changed or under way",
            (false, false) => return,
        };
        report.findings.push(Finding::new(FindingCode::MarkerFalse, format!("it stands, and {why}")).at(key));
    }
}

/// As much of a marker as names its manifest.
#[derive(Deserialize)]
struct Named {
    manifest: NamedManifest,
}

#[derive(Deserialize)]
struct NamedManifest {
    key: Key,
    sha256: String,
}

impl Verify {
    pub(super) async fn closing(
        &self,
        day: Day,
        fact: Option<&DayFact>,
        report: &mut DayReport,
    ) -> Result<Closing, Fault> {
        let (proof, parked) = survey(&self.house, day).await?;
        let standing = [self.marker(day, Marker::Success).await?, self.marker(day, Marker::Failure).await?];
        let closed = fact.is_some_and(|fact| fact.state == DayState::Closed);
        let mut closing = Closing {
            closed,
            success: standing[0].as_ref().map(|(key, _)| key.clone()),
            parked: !parked.is_empty(),
            manifest: None,
        };
        if let [Some((success, _)), Some(_)] = &standing {
            let detail = "_SUCCESS and _FAILURE both stand";
            report.findings.push(Finding::new(FindingCode::MarkerBoth, detail).at(success));
        }
        let manifest = fact.and_then(|fact| fact.manifest.as_ref());
        closing.manifest = match manifest {
            Some(manifest) => self.manifest(&manifest.key, &manifest.sha256, &proof, closed, report).await?,
            None => match standing.iter().flatten().find_map(|(_, text)| serde_json::from_slice::<Named>(text).ok()) {
                Some(Named { manifest }) => {
                    self.manifest(&manifest.key, &manifest.sha256, &proof, closed, report).await?
                }
                None => None,
            },
        };
        if let (true, Some(fact), Some(manifest)) = (closed, fact, manifest) {
            let [success, failure] = &standing;
            let (wanted, other) = match fact.marker {
                Some(Marker::Failure) => (failure, success),
                _ => (success, failure),
            };
            match (wanted, other) {
                (None, None) => report.find(FindingCode::MarkerMissing, "the day is closed and has no marker"),
                (None, Some((key, _))) => {
                    let detail = "the ledger says that the other marker stands";
                    report.findings.push(Finding::new(FindingCode::MarkerDisagrees, detail).at(key));
                }
                (Some((key, text)), _) => {
                    let marker = fact.marker.unwrap_or(Marker::Success);
                    let counts = self.house.ledger.counts(day).await?;
                    let StoredObject { key: named, sha256, bytes, .. } = manifest.clone();
                    let document = MarkerDocument {
                        day,
                        marker,
                        generation: fact.generation,
                        time_zone: self.house.calendar.zone_name(),
                        environment: self.house.layout.environment(),
                        counts: &counts,
                        manifest: ManifestReference { key: named, sha256, bytes },
                        chain: &fact.chain,
                        parked: &parked,
                        closed_at: fact.closed_at.unwrap_or_default(),
                    };
                    if !same_but_for_time(text, &marker_text(&document)?) {
                        let detail = "it says something else than the ledger";
                        report.findings.push(Finding::new(FindingCode::MarkerDisagrees, detail).at(key));
                    }
                }
            }
        }
        Ok(closing)
    }

    pub(super) async fn marker(&self, day: Day, marker: Marker) -> Result<Option<(Key, BytesMut)>, Fault> {
        let key = self.of_day(day, marker.file_name())?;
        let Some(mut body) = self.house.archive.read(&key).await? else { return Ok(None) };
        let mut text = BytesMut::new();
        while let Some(bytes) = body.next().await {
            text.extend_from_slice(&bytes?);
            if text.len() > LONGEST_MARKER {
                let detail = format!("{key} is longer than a marker is");
                return Err(Fault::Archive(ArchiveError::Failed { detail }));
            }
        }
        Ok(Some((key, text)))
    }

    /// Compares a manifest with its digest; one that holds is answered, and whether the ledger's rows give the same.
    async fn manifest(
        &self,
        key: &Key,
        sha256: &str,
        ledger: &Proof,
        closed: bool,
        report: &mut DayReport,
    ) -> Result<Option<(Key, bool)>, Fault> {
        match digest(&*self.house.archive, key).await? {
            Some(proof) if proof.sha256 == sha256 => Ok(Some((key.clone(), proof.sha256 == ledger.sha256))),
            Some(proof) => {
                let detail = format!("SHA-256 {}, {sha256} was written", proof.sha256);
                report.findings.push(Finding::new(FindingCode::ManifestEdited, detail).at(key));
                Ok(None)
            }
            None => {
                if closed {
                    let detail = "the ledger names it, the archive has it not";
                    report.findings.push(Finding::new(FindingCode::ManifestMissing, detail).at(key));
                }
                Ok(None)
            }
        }
    }
}
