//! What is due: claiming it, and when the next is.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use callvault_pipeline::ledger::{LedgerError, Row, Stage, machine};
use futures_util::{FutureExt, StreamExt};
use jiff::Timestamp;

use super::item::{self, Attributes, Item};
use super::lanes::{BEHIND_COPIES, span};
use super::place::Place;
use super::stored::milliseconds;
use super::table::{Ask, Condition};
use super::{AT_ONCE, DynamoLedger, schema};

/// Entries that are looked at for conversations behind their copies, by one claim. The copies themselves are what holds
/// those up, so nothing depends on finding all of them at once.
const MOST_BEHIND: usize = 100;

/// How often a claim on one item is tried against others who write it at the same time.
const MOST_TRIES: u32 = 4;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    pub(super) stage: Stage,
    pub(super) limit: usize,
    pub(super) lease: Duration,
    pub(super) now: Timestamp,
}

/// An index's partition in which rows of a stage are found.
#[derive(Debug, Clone, Copy)]
struct Lane {
    index: &'static str,
    hash: (&'static str, Stage),
    range: &'static str,
    /// Rows of the stage are due this much after the entry, or later.
    after: i64,
}

fn lanes(stage: Stage) -> Vec<Lane> {
    let work = Lane { index: schema::WORK_INDEX, hash: (schema::WORK, stage), range: schema::DUE, after: 0 };
    let (index, hash) = (schema::COPY_INDEX, (schema::COPY, Stage::Upload));
    let copy = Lane { index, hash, range: schema::COPY_DUE, after: 0 };
    match stage {
        Stage::Upload => vec![copy],
        Stage::Describe => vec![work, Lane { after: span(BEHIND_COPIES), ..copy }],
        _ => vec![work],
    }
}

impl Lane {
    fn ask(&self, until: Option<i64>, limit: usize) -> Ask {
        let until = until.map(|until| Condition {
            name: self.range,
            expression: "#sort <= :until",
            values: vec![(":until", AttributeValue::N(until.saturating_sub(self.after).to_string()))],
        });
        Ask {
            index: Some(self.index),
            partition: (self.hash.0, self.hash.1.as_str().to_owned()),
            sort: until,
            limit: Some(limit),
            consistent: false,
            ..Ask::partition(String::new())
        }
    }

    /// An entry's item and the time it says.
    fn entry(&self, attributes: &Attributes) -> Result<(Place, i64), LedgerError> {
        Ok((item::place_of(attributes)?, item::number(attributes, self.range).unwrap_or_default()))
    }
}

/// When the first row of a stage is due.
fn first(rows: &[Row], stage: Stage) -> Option<i64> {
    let work = rows.iter().filter_map(|row| row.work.as_ref()).filter(|work| work.stage == stage);
    work.map(|work| milliseconds(work.due)).min()
}

impl Claim {
    fn now(&self) -> i64 {
        self.now.as_millisecond()
    }

    /// The due rows of an item, longest due first, at most `most`.
    fn due<'a>(&self, item: &'a Item, most: usize) -> Vec<&'a Row> {
        let due = |row: &&Row| row.work.as_ref().is_some_and(|work| work.stage == self.stage && work.due <= self.now);
        let mut rows: Vec<&Row> = item.rows().iter().filter(due).collect();
        rows.sort_by_key(|row| row.work.as_ref().map(|work| work.due));
        rows.truncate(most);
        rows
    }
}

/// A claimed row, and since when it was due.
type Claimed = (Option<Timestamp>, Row);

impl DynamoLedger {
    pub(super) async fn claim_due(&self, claim: Claim) -> Result<Vec<Row>, LedgerError> {
        // The tasks of one process would find the same entries: one after the other finds different ones.
        let n = Stage::ALL.iter().position(|stage| *stage == claim.stage).unwrap_or_default();
        let _alone = self.table.soon(self.claiming[n].lock()).await;
        let mut claimed: Vec<Claimed> = Vec::new();
        for lane in lanes(claim.stage) {
            if claimed.len() >= claim.limit {
                break;
            }
            if let Err(error) = self.claim_in(&lane, claim, &mut claimed).await {
                if claimed.is_empty() {
                    return Err(error);
                }
                // What is claimed is worked on; whoever claims next meets the error, if it is still there.
                tracing::warn!(code = error.code(), "a claim was cut off: {error}");
                break;
            }
        }
        claimed.sort_by_cached_key(|(due, row)| (*due, row.key.to_string()));
        Ok(claimed.into_iter().map(|(_, row)| row).collect())
    }

    async fn claim_in(&self, lane: &Lane, claim: Claim, claimed: &mut Vec<Claimed>) -> Result<(), LedgerError> {
        let early = self.early.len().min(900);
        let mut ask = lane.ask(Some(claim.now()), (claim.limit - claimed.len()).clamp(1, 100) + early);
        let mut looked_at = 0;
        loop {
            let page = self.table.query(&ask).await?;
            let entries = page.items.iter().map(|entry| lane.entry(entry)).collect::<Result<Vec<_>, _>>()?;
            let mut entries: Vec<_> =
                entries.into_iter().filter(|entry| !self.is_early(claim.stage, entry, claim.now())).collect();
            while !entries.is_empty() && claimed.len() < claim.limit {
                let n = (claim.limit - claimed.len()).min(100).min(entries.len());
                looked_at += n;
                let some: Vec<_> = entries.drain(..n).collect();
                self.claim_some(claim, some, claimed).await?;
            }
            let enough = claimed.len() >= claim.limit || (lane.after > 0 && looked_at >= MOST_BEHIND);
            match page.next {
                Some(next) if !enough => ask.start = Some(next),
                _ => return Ok(()),
            }
        }
    }

    fn is_early(&self, stage: Stage, (place, at): &(Place, i64), now: i64) -> bool {
        self.early.get(&(stage, place.sk.clone())).is_some_and(|(entry, due)| entry == *at && due > now)
    }

    /// Claims what is due of some entries' items.
    async fn claim_some(
        &self,
        claim: Claim,
        entries: Vec<(Place, i64)>,
        claimed: &mut Vec<Claimed>,
    ) -> Result<(), LedgerError> {
        let places: Vec<Place> = entries.iter().map(|(place, _)| place.clone()).collect();
        // A moment old is good enough here: a write on an outdated item is refused.
        let items = self.table.get_many(&places, false).await?;
        let items = items.iter().map(Item::read).collect::<Result<Vec<_>, _>>()?;
        let idle = self.claim_items(claim, &entries, items, claimed).await?;
        if idle.is_empty() {
            return Ok(());
        }
        // Nothing is due in these, as far as a moment ago: somebody has claimed them, most likely. Only what is certain
        // is remembered.
        let items = self.read_many(&idle).await?.into_values().collect();
        let idle = self.claim_items(claim, &entries, items, claimed).await?;
        for (place, at) in entries.iter().filter(|(place, _)| idle.contains(place)) {
            if let Some(due) = self.items.get(place).and_then(|item| first(item.rows(), claim.stage)) {
                self.early.put((claim.stage, place.sk.clone()), (*at, due));
            }
        }
        Ok(())
    }

    /// Claims what is due of `items`, in the order of their entries. Answers the places where nothing is.
    async fn claim_items(
        &self,
        claim: Claim,
        entries: &[(Place, i64)],
        items: Vec<Item>,
        claimed: &mut Vec<Claimed>,
    ) -> Result<Vec<Place>, LedgerError> {
        let mut items: HashMap<Place, Item> = items.into_iter().map(|item| (item.place.clone(), item)).collect();
        let (mut idle, mut plan, mut room) = (Vec::new(), Vec::new(), claim.limit - claimed.len());
        for (place, at) in entries {
            let Some(item) = items.remove(place) else { continue };
            let n = claim.due(&item, room).len();
            if n > 0 {
                room -= n;
                plan.push((item, *at, n));
            } else if room > 0 {
                idle.push(place.clone());
            }
        }
        let claims: Vec<_> =
            plan.into_iter().map(|(item, at, most)| self.claim_item(claim, item, at, most).boxed()).collect();
        let mut claims = futures_util::stream::iter(claims).buffer_unordered(AT_ONCE);
        let mut fault = None;
        while let Some(done) = claims.next().await {
            match done {
                Ok(rows) => claimed.extend(rows),
                Err(error) => fault = Some(error),
            }
        }
        fault.map_or(Ok(idle), Err)
    }

    async fn claim_item(&self, claim: Claim, item: Item, at: i64, most: usize) -> Result<Vec<Claimed>, LedgerError> {
        let _alone = self.lock(&item.place).await;
        let mut item = item;
        for _ in 0..MOST_TRIES {
            let due = claim.due(&item, most);
            let since: Vec<_> = due.iter().map(|row| row.work.as_ref().map(|work| work.due)).collect();
            let rows =
                due.iter().filter_map(|row| machine::claim(row, claim.stage, &self.holder, claim.lease, claim.now));
            let rows: Vec<Row> = rows.collect();
            if rows.is_empty() {
                break;
            }
            match self.write(item.claimed(&rows)).await? {
                Ok(written) => {
                    // The entry stays where it is; this process need not look at it again.
                    if let Some(due) = first(written.rows(), claim.stage) {
                        self.early.put((claim.stage, written.place.sk.clone()), (at, due));
                    }
                    let kept = rows.iter().filter_map(|row| written.row(&row.key).cloned());
                    return Ok(since.into_iter().zip(kept).collect());
                }
                Err(found) => item = found,
            }
        }
        Ok(Vec::new())
    }

    /// When the next row is due for a stage. Entries are looked at in their order, until no later one can be first.
    pub(super) async fn first_due(&self, stage: Stage) -> Result<Option<Timestamp>, LedgerError> {
        let mut best: Option<i64> = None;
        for lane in lanes(stage) {
            let mut ask = lane.ask(None, 10);
            loop {
                let page = self.table.query(&ask).await?;
                let mut unknown = Vec::new();
                for entry in &page.items {
                    let (place, at) = lane.entry(entry)?;
                    match self.early.get(&(stage, place.sk.clone())) {
                        Some((entry, due)) if entry == at => best = earlier(best, Some(due)),
                        _ => unknown.push((place, at)),
                    }
                }
                for (place, at) in unknown {
                    if best.is_none_or(|best| at.saturating_add(lane.after) < best) {
                        best = earlier(best, first(self.read(&place).await?.rows(), stage));
                    }
                }
                let last = page.items.last().map(|entry| lane.entry(entry)).transpose()?;
                let beyond = last.is_some_and(|(_, at)| best.is_some_and(|best| at.saturating_add(lane.after) >= best));
                match page.next {
                    Some(next) if !beyond => {
                        ask.limit = Some(100);
                        ask.start = Some(next);
                    }
                    _ => break,
                }
            }
        }
        Ok(best.and_then(|due| Timestamp::from_millisecond(due).ok()))
    }
}

fn earlier(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    one.into_iter().chain(other).min()
}
