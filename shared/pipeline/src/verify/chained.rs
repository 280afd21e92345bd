//! The chain of manifests: whether each link of a day follows from what it says, and whether what it follows is still there.

use futures_util::StreamExt;
use serde::Deserialize;

use super::objects::digest;
use super::{DayReport, Finding, FindingCode, SET_ASIDE, Verify};
use crate::day::Day;
use crate::layout::Key;
use crate::ledger::chain::{Link, Previous};
use crate::ledger::{DayFact, DayState, Fact, Marker};
use crate::stages::Fault;

/// As much of a marker as holds its chain.
#[derive(Deserialize)]
struct Chained {
    #[serde(default)]
    chain: Vec<Link>,
}

impl Verify {
    pub(super) async fn chained(&self, day: Day, fact: &DayFact, report: &mut DayReport) -> Result<(), Fault> {
        for link in &fact.chain {
            let generation = link.generation;
            if !link.holds(day) {
                report.find(FindingCode::ChainBroken, format!("the digest of generation {generation} is not its own"));
            }
            if let Some(previous) = &link.previous
                && !self.has_link(previous).await?
            {
                let Previous { day: before, generation: of, .. } = previous;
                let detail =
                    format!("generation {generation} follows generation {of} of {before}, and the ledger has another");
                report.find(FindingCode::ChainBroken, detail);
            }
            let is_older = link.generation < fact.generation;
            if is_older && let Some(detail) = self.older_manifest(day, fact, link).await? {
                let key = self.of_day(day, &manifest_name(generation))?;
                report.findings.push(Finding::new(FindingCode::ChainBroken, detail).at(&key));
            }
        }
        // The newest one is read anyway, and held against the ledger: here that the chain means the same one.
        if let (Some(link), Some(manifest)) = (fact.chain.last(), &fact.manifest)
            && (link.generation != fact.generation || link.manifest != manifest.sha256)
        {
            let generation = fact.generation;
            report
                .find(FindingCode::ChainBroken, format!("it has no link for the manifest of generation {generation}"));
        }
        match fact.chain.last().and_then(|link| link.previous.as_ref()) {
            Some(previous) => self.marker_before(previous, report).await,
            None => Ok(()),
        }
    }

    /// What is wrong with the manifest of an earlier generation. One that a repair has set aside is there, under another key; one that
    /// was lost, and written again word for word by a repair, is there as a later generation.
    async fn older_manifest(&self, day: Day, fact: &DayFact, link: &Link) -> Result<Option<String>, Fault> {
        let (generation, name) = (link.generation, manifest_name(link.generation));
        match digest(&*self.house.archive, &self.of_day(day, &name)?).await? {
            Some(proof) if proof.sha256 == link.manifest => Ok(None),
            Some(_) => Ok(Some(format!("SHA-256 {} was written in generation {generation}", link.manifest))),
            None if fact.chain.iter().any(|later| later.generation > generation && later.manifest == link.manifest) => {
                Ok(None)
            }
            None => {
                let folder = format!("{SET_ASIDE}{}", self.house.layout.folder(day));
                let mut aside = self.house.archive.list(&folder).await;
                while let Some(listed) = aside.next().await {
                    if listed?.key.file_name().ends_with(&format!("_{name}")) {
                        return Ok(None);
                    }
                }
                Ok(Some(format!("that of generation {generation} is not there any more")))
            }
        }
    }

    /// Whether the ledger has this link.
    async fn has_link(&self, previous: &Previous) -> Result<bool, Fault> {
        let row = self.house.ledger.day(previous.day).await?;
        Ok(row.is_some_and(|row| matches!(&row.fact, Fact::Day(fact) if is_in(previous, &fact.chain))))
    }

    /// Whether the marker of the day before, where one stands, still names the link that is followed.
    async fn marker_before(&self, previous: &Previous, report: &mut DayReport) -> Result<(), Fault> {
        let row = self.house.ledger.day(previous.day).await?;
        let closed = row.is_some_and(|row| matches!(&row.fact, Fact::Day(fact) if fact.state == DayState::Closed));
        if !closed {
            return Ok(());
        }
        for marker in [Marker::Success, Marker::Failure] {
            let Some((key, text)) = self.marker(previous.day, marker).await? else { continue };
            let chain = serde_json::from_slice::<Chained>(&text).map(|marker| marker.chain).unwrap_or_default();
            if !is_in(previous, &chain) {
                let detail =
                    format!("it does not name the generation {} that {} follows", previous.generation, report.day);
                report.findings.push(Finding::new(FindingCode::ChainBroken, detail).at(&key));
            }
        }
        Ok(())
    }

    pub(super) fn of_day(&self, day: Day, name: &str) -> Result<Key, Fault> {
        self.house.layout.of_day(day, name).map_err(|error| Fault::Settings(error.to_string()))
    }
}

fn manifest_name(generation: u32) -> String {
    format!("manifest-{generation:04}.jsonl")
}

fn is_in(previous: &Previous, chain: &[Link]) -> bool {
    chain.iter().any(|link| link.generation == previous.generation && link.digest == previous.digest)
}
