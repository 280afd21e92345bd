//! What spans a batch and its conversations. Each step is a write of its own, repeated without harm, in the order in
//! which being cut off loses nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use callvault_pipeline::day::Day;
use callvault_pipeline::ids::{BatchJobId, ConversationId};
use callvault_pipeline::ledger::machine::{self, Delivery, Settlement};
use callvault_pipeline::ledger::{Fact, LedgerError, Row, RowKey, Settled};
use futures_util::FutureExt;
use jiff::Timestamp;

use super::DynamoLedger;
use super::families::together;
use super::item::Item;
use super::place::Place;

/// A finished batch says nothing that its conversations do not: it goes after this.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

impl DynamoLedger {
    /// The batch first: one that lists a conversation too many leaves it to its other job. A conversation that is
    /// submitted with no batch to list it would be lost.
    pub(super) async fn submit(
        &self,
        job: &BatchJobId,
        claims: &[(ConversationId, u32)],
        first_poll: Timestamp,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let ids: Vec<ConversationId> = claims.iter().map(|(id, _)| id.clone()).collect();
        let places = self.find_many(&ids).await?;
        let items = self.items_of(places.values().cloned().collect()).await?;
        let claimed: Vec<(Row, u32)> =
            claims.iter().filter_map(|(id, attempt)| Some((items.get(id)?.head()?.clone(), *attempt))).collect();
        let batch = Place::batch(job);
        let listed = self.change(&batch, |item| {
            let rows = machine::submit(job, item.head(), &claimed, first_poll, now);
            match rows.iter().find(|row| matches!(row.key, RowKey::Batch(_))) {
                Some(batch) => {
                    let mut new = item.with(std::slice::from_ref(batch));
                    new.content.days = other_days(item, batch, &rows);
                    (Some(new), true)
                }
                None => (None, false),
            }
        });
        if !listed.await? {
            return Ok(());
        }
        let mut submitting = Vec::with_capacity(claims.len());
        for (id, attempt) in claims {
            let Some(place) = places.get(id) else { continue };
            let submitted = self.change(place, move |item| {
                let Some(row) = item.head() else { return (None, ()) };
                let rows = machine::submit(job, None, &[(row.clone(), *attempt)], first_poll, now);
                (rows.iter().find(|new| new.key == row.key).map(|new| item.with(std::slice::from_ref(new))), ())
            });
            submitting.push(submitted.boxed());
        }
        together(submitting).await.map(drop)
    }

    /// Items of conversations, remembered or read.
    async fn items_of(&self, places: Vec<Place>) -> Result<BTreeMap<ConversationId, Item>, LedgerError> {
        let mut items: Vec<Item> = Vec::with_capacity(places.len());
        let mut unknown = Vec::new();
        for place in places {
            match self.items.get(&place) {
                Some(item) => items.push(item),
                None => unknown.push(place),
            }
        }
        items.extend(self.read_many(&unknown).await?.into_values());
        Ok(items.into_iter().filter_map(|item| Some((item.head()?.key.conversation()?.clone(), item))).collect())
    }

    /// The conversations first: a batch that is not done is read again, and what it delivered does not change again.
    pub(super) async fn deliver_all(
        &self,
        job: &BatchJobId,
        attempt: u32,
        deliveries: &[Delivery],
        now: Timestamp,
    ) -> Result<Settled, LedgerError> {
        let place = Place::batch(job);
        let batch = self.read(&place).await?;
        if holds(&batch, attempt).is_none() {
            return Ok(Settled::Stale);
        }
        self.learn_days(&batch);
        let ids: Vec<ConversationId> = deliveries.iter().map(|delivery| delivery.conversation.clone()).collect();
        let places = self.find_many(&ids).await?;
        let mut delivering = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let Some(place) = places.get(&delivery.conversation) else { continue };
            let delivered = self.change(place, move |item| {
                let rows = machine::deliver(job, delivery, item.rows(), now);
                ((!rows.is_empty()).then(|| item.with(&rows)), ())
            });
            delivering.push(delivered.boxed());
        }
        together(delivering).await?;
        let done = self.change(&place, |item| match holds(item, attempt) {
            Some(row) => (Some(finished(item, &[machine::finish_batch(row)], now)), Settled::Done),
            None => (None, Settled::Stale),
        });
        done.await
    }

    /// The conversations first: a batch that is not done is found lost again, and each is given back once.
    pub(super) async fn lose(&self, job: &BatchJobId, attempt: u32, now: Timestamp) -> Result<Settled, LedgerError> {
        let place = Place::batch(job);
        let batch = self.read(&place).await?;
        let Some(row) = batch.head() else { return Ok(Settled::Stale) };
        let (settled, rows) = machine::settle(row, attempt, &Settlement::Lost, &[], now);
        let Fact::Batch(fact) = &row.fact else { return Ok(Settled::Stale) };
        if settled == Settled::Stale || rows.is_empty() {
            return Ok(settled);
        }
        self.learn_days(&batch);
        let places = self.find_many(&fact.conversations).await?;
        let mut losing = Vec::with_capacity(places.len());
        for place in places.values() {
            let lost = self.change(place, move |item| {
                let Some(conversation) = item.head() else { return (None, ()) };
                let family = std::slice::from_ref(conversation);
                let (_, rows) = machine::settle(row, attempt, &Settlement::Lost, family, now);
                let given_back = rows.iter().find(|row| row.key == conversation.key);
                (given_back.map(|row| item.with(std::slice::from_ref(row))), ())
            });
            losing.push(lost.boxed());
        }
        together(losing).await?;
        let lost = self.change(&place, |item| {
            let Some(row) = item.head() else { return (None, Settled::Stale) };
            let (settled, rows) = machine::settle(row, attempt, &Settlement::Lost, &[], now);
            ((!rows.is_empty()).then(|| finished(item, &rows, now)), settled)
        });
        lost.await
    }

    /// A batch says on which days its conversations stand.
    fn learn_days(&self, batch: &Item) {
        for (id, day) in days_of(batch) {
            if self.places.get(&id).is_none() {
                self.places.put(id, (day, false));
            }
        }
    }
}

/// The batch's row, while a claim of this attempt may still finish it.
fn holds(batch: &Item, attempt: u32) -> Option<&Row> {
    batch.head().filter(|row| row.attempt == attempt && !row.is_terminal())
}

fn finished(batch: &Item, rows: &[Row], now: Timestamp) -> Item {
    let mut item = batch.with(rows);
    item.expires = Some((now + KEPT).as_second());
    item
}

/// The conversations of a batch, each with the day it stands on.
fn days_of(batch: &Item) -> Vec<(ConversationId, Day)> {
    let Some((row, Fact::Batch(fact))) = batch.head().map(|row| (row, &row.fact)) else { return Vec::new() };
    let day = |id: &ConversationId| batch.content.days.get(id).copied().unwrap_or(row.day);
    fact.conversations.iter().map(|id| (id.clone(), day(id))).collect()
}

/// The days of conversations that are not of the batch's own: `rows` are submitted with it, others were in it before.
fn other_days(before: &Item, batch: &Row, rows: &[Row]) -> BTreeMap<ConversationId, Day> {
    let new = rows.iter().filter_map(|row| Some((row.key.conversation()?.clone(), row.day)));
    days_of(before).into_iter().chain(new).filter(|(_, day)| *day != batch.day).collect()
}
