//! Every object that the ledger names: whether it is there, of its length, and of its digest.

use futures_util::{StreamExt, stream};

use super::shelf::Shelf;
use super::{AT_ONCE, DayReport, Finding, FindingCode, Verify};
use crate::archive::{Archive, ArchiveError, Proof, Prover};
use crate::day::Day;
use crate::layout::Key;
use crate::ledger::{Listing, RowKey};
use crate::manifest::{self, Line};
use crate::stages::Fault;

/// Rows read at a time.
const A_PAGE: usize = 100;

/// An object that is to be compared.
struct Check {
    line: Line,
    /// As the archive lists it.
    listed: Option<u64>,
    /// Whether it is to be read.
    read: bool,
}

/// The length and digest of an object; `None` when there is none.
pub(super) async fn digest(archive: &dyn Archive, key: &Key) -> Result<Option<Proof>, ArchiveError> {
    let Some(mut body) = archive.read(key).await? else { return Ok(None) };
    let mut prover = Prover::default();
    while let Some(bytes) = body.next().await {
        prover.update(&bytes?);
    }
    prover.finish(None).map(Some).map_err(|error| ArchiveError::Failed { detail: error.to_string() })
}

impl Verify {
    pub(super) async fn objects(&self, day: Day, shelf: &mut Shelf, report: &mut DayReport) -> Result<(), Fault> {
        let (mut left, mut wanted) = (shelf.objects(), self.sample.unwrap_or(u64::MAX));
        let mut after: Option<RowKey> = None;
        loop {
            let rows = self.house.ledger.list(day, Listing::All, after.as_ref(), A_PAGE).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = Some(last.key.clone());
            let mut checks = Vec::new();
            for line in rows.iter().flat_map(manifest::lines) {
                let listed = shelf.take(&line.key);
                // Only what is there and of its length can be of another content.
                let readable = listed == Some(line.bytes);
                let read = readable && (self.sample.is_none() || self.takes(left, wanted));
                wanted -= u64::from(read && self.sample.is_some());
                left = left.saturating_sub(u64::from(listed.is_some()));
                checks.push(Check { line, listed, read });
            }
            let compared = stream::iter(checks).map(|check| self.compare(check)).buffered(AT_ONCE);
            let mut compared = std::pin::pin!(compared);
            while let Some(one) = compared.next().await {
                let (check, difference) = one?;
                report.count(&check, difference);
            }
        }
    }

    async fn compare(&self, mut check: Check) -> Result<(Check, Option<(FindingCode, String)>), Fault> {
        let line = &check.line;
        let listed = match check.listed {
            Some(bytes) => Some(bytes),
            // It may have come since the folder was listed.
            None => match self.house.archive.head(&line.key).await {
                Ok(bytes) => bytes,
                Err(error) => return unreadable(check, error),
            },
        };
        let difference = match listed {
            None => Some((FindingCode::MissingObject, format!("{} bytes, stored at {}", line.bytes, line.stored_at))),
            Some(bytes) if bytes != line.bytes => {
                let detail = format!("{bytes} bytes, {} were stored", line.bytes);
                Some((FindingCode::ChangedLength, detail))
            }
            Some(_) if !check.read => None,
            Some(_) => match digest(&*self.house.archive, &line.key).await {
                Ok(Some(proof)) if proof.bytes != line.bytes => {
                    Some((FindingCode::ChangedLength, format!("{} bytes, {} were stored", proof.bytes, line.bytes)))
                }
                Ok(Some(proof)) if proof.sha256 != line.sha256 => {
                    let detail = format!("SHA-256 {}, {} was stored", proof.sha256, line.sha256);
                    Some((FindingCode::ChangedContent, detail))
                }
                Ok(Some(_)) => None,
                Ok(None) => Some((FindingCode::MissingObject, "it went while it was compared".to_owned())),
                Err(error) => return unreadable(check, error),
            },
        };
        check.listed = listed;
        Ok((check, difference))
    }
}

/// An archive that cannot be read at all ends the comparing; one that fails at an object does not.
fn unreadable(check: Check, error: ArchiveError) -> Result<(Check, Option<(FindingCode, String)>), Fault> {
    if error.is_general() {
        return Err(Fault::Archive(error));
    }
    let detail = error.to_string();
    Ok((check, Some((FindingCode::UnreadableObject, detail))))
}

impl DayReport {
    fn count(&mut self, check: &Check, difference: Option<(FindingCode, String)>) {
        let Check { line, read, .. } = check;
        self.ledger.objects += 1;
        self.ledger.bytes += line.bytes;
        self.archive.read += u64::from(*read);
        let tally = self.ledger.kinds.entry(line.kind.clone()).or_default();
        match difference {
            None => tally.agree += 1,
            Some((code, detail)) => {
                tally.differ += 1;
                let finding = Finding::new(code, detail).at(&line.key);
                self.findings.push(finding.of(&line.conversation, line.recording.as_ref()));
            }
        }
    }
}
