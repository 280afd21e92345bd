//! What the manifest names and the ledger does not.
//!
//! Both are in the order of the ledger's keys, so they are read side by side, a page of each at a time. Only a manifest
//! that has the digest it was written with is believed.

use bytes::{Buf, Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use super::closing::Closing;
use super::shelf::Shelf;
use super::{DayReport, Finding, FindingCode, Verify};
use crate::archive::ArchiveError;
use crate::day::Day;
use crate::ledger::{Ledger, LedgerError, Listing, Row, RowKey};
use crate::manifest::{self, Line};
use crate::stages::Fault;

/// Rows read at a time.
const A_PAGE: usize = 100;

/// A line longer than this is none of ours.
const LONGEST_LINE: usize = 64 * 1024;

/// The lines of a manifest, one after the other.
struct Lines {
    body: BoxStream<'static, Result<Bytes, ArchiveError>>,
    buffer: BytesMut,
}

impl Lines {
    async fn next(&mut self) -> Result<Option<Line>, Fault> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = serde_json::from_slice(self.buffer.get(..end).unwrap_or_default());
                self.buffer.advance(end + 1);
                return line.map(Some).map_err(|error| unreadable(&error.to_string()));
            }
            if self.buffer.len() > LONGEST_LINE {
                return Err(unreadable("a line has no end"));
            }
            match self.body.next().await {
                Some(bytes) => self.buffer.extend_from_slice(&bytes?),
                None => return Ok(None),
            }
        }
    }
}

fn unreadable(detail: &str) -> Fault {
    let detail = format!("a manifest cannot be read ({detail}): was it written by a newer callvault?");
    Fault::Archive(ArchiveError::Failed { detail })
}

/// The rows of a day, one after the other.
struct Rows<'a> {
    ledger: &'a dyn Ledger,
    day: Day,
    page: std::vec::IntoIter<Row>,
    after: Option<RowKey>,
    first: Option<Row>,
}

impl<'a> Rows<'a> {
    fn new(ledger: &'a dyn Ledger, day: Day) -> Self {
        Self { ledger, day, page: Vec::new().into_iter(), after: None, first: None }
    }

    async fn next(&mut self) -> Result<Option<Row>, LedgerError> {
        if let Some(row) = self.page.next() {
            return Ok(Some(row));
        }
        let rows = self.ledger.list(self.day, Listing::All, self.after.as_ref(), A_PAGE).await?;
        if let Some(last) = rows.last() {
            self.after = Some(last.key.clone());
        }
        self.page = rows.into_iter();
        Ok(self.page.next())
    }

    /// The row of a key that is not before those asked for earlier.
    async fn seek(&mut self, key: &RowKey) -> Result<Option<&Row>, LedgerError> {
        while self.first.as_ref().is_none_or(|row| row.key < *key) {
            self.first = self.next().await?;
            if self.first.is_none() {
                return Ok(None);
            }
        }
        Ok(self.first.as_ref().filter(|row| row.key == *key))
    }
}

impl Verify {
    /// Finds what the ledger has lost; such an object is not an extra one.
    pub(super) async fn lost(
        &self,
        day: Day,
        closing: &Closing,
        shelf: &mut Shelf,
        report: &mut DayReport,
    ) -> Result<(), Fault> {
        let Some(manifest) = closing.outdated_manifest() else { return Ok(()) };
        let Some(body) = self.house.archive.read(manifest).await? else { return Ok(()) };
        let mut lines = Lines { body, buffer: BytesMut::new() };
        let mut rows = Rows::new(&*self.house.ledger, day);
        let before = report.findings.len();
        while let Some(line) = lines.next().await? {
            let key = match &line.recording {
                Some(recording) => RowKey::Recording(line.conversation.clone(), recording.clone()),
                None => RowKey::Conversation(line.conversation.clone()),
            };
            let row = rows.seek(&key).await?;
            let names = |row: &Row| manifest::lines(row).iter().any(|known| known.key == line.key);
            // In a day that is under way, a row may be on its way to another object.
            if row.is_some_and(|row| !closing.is_closed() || names(row)) {
                continue;
            }
            let there = if shelf.take(&line.key).is_some() { "there" } else { "not there either" };
            let detail = format!("{} bytes by the manifest; the object is {there}", line.bytes);
            let finding = Finding::new(FindingCode::LedgerRowLost, detail).at(&line.key);
            report.findings.push(finding.of(&line.conversation, line.recording.as_ref()));
        }
        if report.findings.len() == before && closing.is_closed() {
            let detail = "the ledger has changed since it was written";
            report.findings.push(Finding::new(FindingCode::ManifestOutdated, detail).at(manifest));
        }
        Ok(())
    }
}
