//! Close: when everything in a day is terminal, writes its manifest and its marker.
//!
//! Must never write `_SUCCESS` while something is missing, nor leave both markers standing: the other one goes before
//! the new one comes. A day in which nothing changed keeps its generation, manifest and marker.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use super::shift::Worked;
use super::{Fault, House, Report};
use crate::archive::{ArchiveError, Offer, Proof, Prover, Put, PutError};
use crate::day::Day;
use crate::layout::Key;
use crate::ledger::chain::{self, Link};
use crate::ledger::machine::{Closing, Settlement};
use crate::ledger::notification::Summary;
use crate::ledger::{Counts, DayFact, Fact, Listing, Marker, Parked, Row, RowKey, Settled, Stage, StoredObject};
use crate::manifest::{self, ManifestReference, MarkerDocument};

/// Rows read at a time.
const A_PAGE: usize = 100;

/// An unfinished day is looked at again after this at the latest: less than a minute, so that each timer of a function looks.
const LONGEST_RECHECK: Duration = Duration::from_secs(50);

/// Parked things that a notification names: more are counted there, and named in the marker.
const MOST_SHOWN: usize = 20;

/// The close stage.
pub struct Close {
    /// Ports.
    pub house: House,
    /// How long until an unfinished day is looked at again, at first.
    pub recheck: Duration,
    /// Whether somebody wants to be told of closed days.
    pub announces: bool,
}

impl Close {
    /// Closes the days that can be closed.
    ///
    /// # Errors
    /// [`Fault`] when none can be: ledger or archive fail.
    pub async fn run(&self) -> Result<Report, Fault> {
        let mut report = Report::default();
        let claimed = self.house.claim(Stage::Close, 32).await?;
        for (place, row) in claimed.iter().enumerate() {
            if self.house.ledger.outstanding(row.day).await? {
                let due = self.house.now() + self.pause(row);
                self.house.settle(row, Settlement::Later { due, failed: false }).await?;
                continue;
            }
            report.claimed += 1;
            match self.house.work_on(row, self.close(row)).await {
                Ok(Worked::Done(marker)) => {
                    report.settled += 1;
                    report.days_closed += u64::from(marker.is_some());
                    report.days_failed += u64::from(marker == Some(Marker::Failure));
                }
                Ok(Worked::Lost) => {}
                Ok(Worked::GivenBack) => report.given_back += 1,
                Ok(Worked::TooLong) => {
                    report.failed += 1;
                    self.house.too_long(row, format!("closing the day {}", row.day)).await?;
                }
                Err(fault) => {
                    for row in claimed.iter().skip(place) {
                        self.house.give_back(row).await?;
                    }
                    return Err(fault);
                }
            }
        }
        Ok(report)
    }

    fn pause(&self, row: &Row) -> Duration {
        let Fact::Day(DayFact { queried_at: Some(since), .. }) = &row.fact else { return self.recheck };
        pause_after(self.house.now().duration_since(*since).try_into().unwrap_or_default(), self.recheck)
    }

    /// Closes a day; answers its marker, unless somebody else has the day now.
    async fn close(&self, row: &Row) -> Result<Option<Marker>, Fault> {
        let Fact::Day(fact) = &row.fact else { return Ok(None) };
        let day = row.day;
        let (proof, parked) = survey(&self.house, day).await?;
        let marker = if parked.is_empty() { Marker::Success } else { Marker::Failure };
        let (generation, manifest) = match &fact.manifest {
            Some(manifest) if stood_for(fact) == marker && self.still_stands(manifest, &proof).await? => {
                (fact.generation, manifest.clone())
            }
            _ => self.write_manifest(day, fact, &proof).await?,
        };
        let link = self.link(day, fact, generation, &manifest.sha256).await?;
        if !self.house.still_ours(row).await? {
            return Ok(None);
        }
        let counts = self.house.ledger.counts(day).await?;
        let mut closing = Closing { generation, marker, manifest, link, announce: None };
        let closed_at = self.house.now();
        self.write_marker(row, fact, &closing, &counts, &parked, closed_at).await?;
        closing.announce = self.announces.then(|| summary(&closing, counts, &parked, closed_at));
        let (bytes, parked) = (closing.manifest.bytes, parked.len());
        let closed = self.house.settle(row, Settlement::Closed(Box::new(closing))).await?;
        if closed == Settled::Done {
            let word = marker.file_name();
            tracing::info!(%day, generation, parked, manifest.bytes = bytes, "closed {day}: {word}, {parked} parked");
            return Ok(Some(marker));
        }
        Ok(None)
    }

    /// The generation's link in the chain of manifests: the one that the day has of it already, or one that follows what was
    /// closed last.
    async fn link(&self, day: Day, fact: &DayFact, generation: u32, manifest: &str) -> Result<Link, Fault> {
        if let Some(link) = fact.chain.iter().find(|link| link.generation == generation) {
            return Ok(link.clone());
        }
        let days = self.house.ledger.days().await?;
        Ok(Link::new(day, generation, manifest, chain::last_of(&days)))
    }

    /// Whether the manifest of the last generation says what is true now, and is still there.
    async fn still_stands(&self, manifest: &StoredObject, proof: &Proof) -> Result<bool, Fault> {
        let same = manifest.sha256 == proof.sha256;
        Ok(same && self.house.archive.head(&manifest.key).await? == Some(manifest.bytes))
    }

    /// Writes the manifest of the next generation, as a stream of pages. A manifest that an earlier, interrupted close
    /// left behind is taken over when it says the same, and passed over when it does not.
    async fn write_manifest(&self, day: Day, fact: &DayFact, proof: &Proof) -> Result<(u32, StoredObject), Fault> {
        let mut generation = fact.generation;
        loop {
            generation += 1;
            let key = self.key(day, &format!("manifest-{generation:04}.jsonl"))?;
            let content_type = Some("application/x-ndjson");
            let offer = Offer { key: &key, content_type, length: Some(proof.bytes), body: self.manifest_body(day) };
            match self.house.archive.put_new(offer).await {
                Ok(Put::Stored(written)) | Ok(Put::AlreadyThere { same: true, proof: written }) => {
                    let object = StoredObject {
                        key,
                        bytes: written.bytes,
                        sha256: written.sha256,
                        content_type: content_type.map(str::to_owned),
                        job: None,
                        stored_at: self.house.now(),
                    };
                    return Ok((generation, object));
                }
                Ok(Put::AlreadyThere { same: false, .. }) => {}
                Err(PutError::Store(error)) => return Err(Fault::Archive(error)),
                Err(error @ (PutError::Body(_) | PutError::Length { .. })) => {
                    let detail = format!("the day {day} changed while it was closed: {error}: run it again");
                    return Err(Fault::Archive(ArchiveError::Failed { detail }));
                }
            }
        }
    }

    fn manifest_body(&self, day: Day) -> crate::archive::Body {
        let ledger = std::sync::Arc::clone(&self.house.ledger);
        let pages = stream::try_unfold(None::<RowKey>, move |after| {
            let ledger = std::sync::Arc::clone(&ledger);
            async move {
                let rows = ledger.list(day, Listing::All, after.as_ref(), A_PAGE).await;
                let rows = rows.map_err(|error| crate::api::MediaError::Interrupted { detail: error.to_string() })?;
                let last = rows.last().map(|row| row.key.clone());
                Ok(last.map(|last| (manifest::text(&rows), Some(last))))
            }
        });
        pages.boxed()
    }

    async fn write_marker(
        &self,
        row: &Row,
        fact: &DayFact,
        closing: &Closing,
        counts: &Counts,
        parked: &[Parked],
        closed_at: Timestamp,
    ) -> Result<(), Fault> {
        let Closing { generation, marker, manifest, link, .. } = closing;
        let (day, StoredObject { key, sha256, bytes, .. }) = (row.day, manifest.clone());
        let mut chain = fact.chain.clone();
        chain.extend((!chain.contains(link)).then(|| link.clone()));
        let document = MarkerDocument {
            day,
            marker: *marker,
            generation: *generation,
            time_zone: self.house.calendar.zone_name(),
            environment: self.house.layout.environment(),
            counts,
            manifest: ManifestReference { key, sha256, bytes },
            chain: &chain,
            parked,
            closed_at,
        };
        let content = marker_text(&document)?;
        self.house.archive.delete(&self.key(day, marker.other().file_name())?).await?;
        let key = self.key(day, marker.file_name())?;
        if self.says_the_same(&key, &content).await? {
            return Ok(());
        }
        self.house.archive.put_document(&key, "application/json", Bytes::from(content)).await?;
        Ok(())
    }

    /// Whether the marker that stands says what the new one would, but for when it was written.
    async fn says_the_same(&self, key: &Key, content: &[u8]) -> Result<bool, Fault> {
        let Some(mut standing) = self.house.archive.read(key).await? else { return Ok(false) };
        let mut bytes = Vec::new();
        while let Some(chunk) = standing.next().await {
            bytes.extend_from_slice(&chunk?);
            // Longer than the new one by more than a time stamp: it does not say the same.
            if bytes.len() > content.len() + 64 {
                return Ok(false);
            }
        }
        Ok(same_but_for_time(&bytes, content))
    }

    fn key(&self, day: Day, name: &str) -> Result<Key, Fault> {
        self.house.layout.of_day(day, name).map_err(|error| Fault::Settings(error.to_string()))
    }
}

/// How long until a day that has been open for so long is looked at again: longer, the longer that is.
fn pause_after(open: Duration, recheck: Duration) -> Duration {
    (open / 120).clamp(recheck, LONGEST_RECHECK.max(recheck))
}

/// The marker that stands, or stood until it was found that something came late: a day is opened for that where all was stored.
fn stood_for(fact: &DayFact) -> Marker {
    fact.marker.unwrap_or(Marker::Success)
}

/// What people are told of a closing.
fn summary(closing: &Closing, counts: Counts, parked: &[Parked], closed_at: Timestamp) -> Summary {
    Summary {
        generation: closing.generation,
        marker: closing.marker,
        closed_at,
        conversations: counts.conversations,
        recordings: counts.recordings,
        stored: counts.stored,
        bytes: counts.bytes,
        parked: counts.parked,
        parked_by_reason: counts.parked_by_reason,
        some_parked: parked.iter().take(MOST_SHOWN).cloned().collect(),
        manifest: closing.manifest.key.clone(),
        chain: closing.link.digest.clone(),
    }
}

/// Reads the whole day once: the proof of what its manifest says, and what is parked.
pub(crate) async fn survey(house: &House, day: Day) -> Result<(Proof, Vec<Parked>), Fault> {
    let mut prover = Prover::default();
    let mut parked: Vec<Parked> = Vec::new();
    let mut whole: Vec<Parked> = Vec::new();
    let mut after: Option<RowKey> = None;
    loop {
        let rows = house.ledger.list(day, Listing::All, after.as_ref(), A_PAGE).await?;
        let Some(last) = rows.last() else { break };
        after = Some(last.key.clone());
        prover.update(&manifest::text(&rows));
        for row in &rows {
            match manifest::parked(row, false) {
                Some(one) if one.recording.is_none() => whole.push(one),
                Some(one) => parked.push(one),
                None => {}
            }
        }
    }
    let with_recording: std::collections::HashSet<_> = parked.iter().map(|p| p.conversation.clone()).collect();
    parked.extend(whole.into_iter().filter(|one| !with_recording.contains(&one.conversation)));
    let proof = prover.finish(None).map_err(|error| Fault::Settings(error.to_string()))?;
    Ok((proof, parked))
}

/// A marker's text.
pub(crate) fn marker_text(document: &MarkerDocument<'_>) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec_pretty(document).map_err(|error| Fault::Settings(error.to_string()))
}

/// Whether two markers say the same, but for when they were written.
pub(crate) fn same_but_for_time(one: &[u8], other: &[u8]) -> bool {
    let undated = |text: &[u8]| {
        let mut value: serde_json::Value = serde_json::from_slice(text).ok()?;
        value.as_object_mut()?.remove("closedAt");
        Some(value)
    };
    undated(one).is_some_and(|one| Some(one) == undated(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_day_is_looked_at_less_and_less_often_but_at_each_timer() {
        let seconds = Duration::from_secs;
        let half = Duration::from_millis(500);
        for (open, recheck, expected) in [
            (seconds(0), half, half),
            (seconds(60), half, half),
            (seconds(600), half, seconds(5)),
            (seconds(86_400), half, seconds(50)),
            (seconds(600), seconds(20), seconds(20)),
            (seconds(86_400), seconds(20), seconds(50)),
            (seconds(86_400), seconds(300), seconds(300)),
        ] {
            assert_eq!(pause_after(open, recheck), expected, "{open:?} {recheck:?}");
        }
    }
}
