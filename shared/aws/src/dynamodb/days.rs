//! Days: planning them, and reading what is in them. What is read here is what is there now.

use aws_sdk_dynamodb::types::AttributeValue;
use callvault_pipeline::day::Day;
use callvault_pipeline::ledger::{Counts, LedgerError, Listing, Row, RowKey, machine};
use futures_util::FutureExt;
use jiff::Timestamp;

use super::families::together;
use super::item::{self, Item};
use super::place::{Place, SHARDS, partition, shard};
use super::table::{Ask, Condition};
use super::{DynamoLedger, schema};

/// Items read at a time while something open is looked for.
const A_LOOK: usize = 200;

impl DynamoLedger {
    /// The parked conversations of a day that is to be found anew first: until it is planned, planning it again opens them
    /// again.
    pub(super) async fn plan(&self, day: Day, now: Timestamp) -> Result<Row, LedgerError> {
        let place = Place::day(day);
        if self.read(&place).await?.head().is_some_and(|row| machine::is_found_anew(row, now)) {
            let parked = self.parked(day).await?;
            let mut reopening = Vec::with_capacity(parked.len());
            for place in &parked {
                let reopened = self.change(place, move |item| {
                    let row = item.head().and_then(|row| machine::reopen(row, now));
                    (row.map(|row| item.with(&[row])), ())
                });
                reopening.push(reopened.boxed());
            }
            together(reopening).await?;
        }
        let planned = self.change(&place, |item| {
            let row = machine::plan(day, item.head(), now);
            match item.head() {
                Some(old) if *old == row => (None, row),
                _ => (Some(item.with(std::slice::from_ref(&row))), row),
            }
        });
        planned.await
    }

    /// The parked conversations of a day.
    async fn parked(&self, day: Day) -> Result<Vec<Place>, LedgerError> {
        let mut parked = Vec::new();
        for shard in 0..SHARDS {
            let filter = Condition {
                name: schema::STATE,
                expression: "#filter = :parked",
                values: vec![(":parked", AttributeValue::S("parked".to_owned()))],
            };
            let pk = partition(day, shard);
            let ask = Ask { filter: Some(filter), only: Some(schema::SORT), ..Ask::partition(pk.clone()) };
            for found in self.table.query_all(ask).await? {
                if let Some(sk) = item::text(&found, schema::SORT) {
                    parked.push(Place { pk: pk.clone(), sk: sk.to_owned() });
                }
            }
        }
        Ok(parked)
    }

    pub(super) async fn grant_restores(&self, day: Day, wanted: u32, most: u32) -> Result<u32, LedgerError> {
        let place = Place::day(day);
        let granted = self.change(&place, |item| {
            let Some(row) = item.head() else { return (None, 0) };
            let (changed, granted) = machine::count_restores(row, wanted, most);
            (changed.map(|row| item.with(&[row])), granted)
        });
        granted.await
    }

    pub(super) async fn take_back_restores(&self, day: Day, unused: u32) -> Result<(), LedgerError> {
        let place = Place::day(day);
        let taken = self.change(&place, |item| {
            let changed = item.head().and_then(|row| machine::uncount_restores(row, unused));
            (changed.map(|row| item.with(&[row])), ())
        });
        taken.await
    }

    pub(super) async fn planned_days(&self) -> Result<Vec<Row>, LedgerError> {
        let sort = Condition::begins_with(schema::SORT, "day/");
        let ask = Ask { sort: Some(sort), ..Ask::partition(schema::DAYS.to_owned()) };
        let found = self.table.query_all(ask).await?;
        let rows = found.iter().map(|attributes| Item::read(attributes).map(|item| item.content.rows));
        Ok(rows.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    pub(super) async fn count(&self, day: Day) -> Result<Counts, LedgerError> {
        let mut counts = Counts::default();
        for shard in 0..SHARDS {
            let mut ask = Ask::partition(partition(day, shard));
            loop {
                let page = self.table.query(&ask).await?;
                for attributes in &page.items {
                    counts.of_family(Item::read(attributes)?.rows());
                }
                match page.next {
                    Some(next) => ask.start = Some(next),
                    None => break,
                }
            }
        }
        Ok(counts)
    }

    pub(super) async fn list_page(
        &self,
        day: Day,
        listing: Listing,
        after: Option<&RowKey>,
        limit: usize,
    ) -> Result<Vec<Row>, LedgerError> {
        let mut rows: Vec<Row> = Vec::new();
        if limit == 0 {
            return Ok(rows);
        }
        let conversation = after.and_then(RowKey::conversation);
        let first = conversation.map_or(0, shard);
        for shard in first..SHARDS {
            let mut ask = Ask::partition(partition(day, shard));
            if let Some(id) = conversation.filter(|_| shard == first) {
                // Its own item too: the page before may have ended in the middle of it.
                ask.sort = Some(Condition::from(schema::SORT, &RowKey::Conversation(id.clone()).to_string()));
            }
            loop {
                ask.limit = (listing == Listing::All).then(|| limit - rows.len() + 1);
                let page = self.table.query(&ask).await?;
                for attributes in &page.items {
                    let item = Item::read(attributes)?;
                    let wanted = item.content.rows.into_iter().filter(|row| {
                        after.is_none_or(|after| row.key > *after)
                            && (listing == Listing::All || row.state_word() == "parked")
                    });
                    rows.extend(wanted);
                    if rows.len() >= limit {
                        rows.truncate(limit);
                        return Ok(rows);
                    }
                }
                match page.next {
                    Some(next) => ask.start = Some(next),
                    None => break,
                }
            }
        }
        Ok(rows)
    }

    /// Whether something of a day is not terminal. Looked for first where it was last seen, then onwards from there.
    pub(super) async fn has_open(&self, day: Day) -> Result<bool, LedgerError> {
        let seen = self.open.get(&day);
        if let Some(place) = &seen {
            let item = self.read(place).await?;
            if item.rows().iter().any(|row| !row.is_terminal()) {
                return Ok(true);
            }
        }
        let id = seen.and_then(|place| place.head().ok()).and_then(|key| key.conversation().cloned());
        let first = id.as_ref().map_or(0, shard);
        let from = id.map(|id| RowKey::Conversation(id).to_string());
        let shards = (first..SHARDS).chain(0..first);
        let mut looks: Vec<(u8, Option<Condition>)> = shards.map(|shard| (shard, None)).collect();
        if let Some(from) = &from {
            looks[0].1 = Some(Condition::from(schema::SORT, from));
            looks.push((first, Some(Condition::before(schema::SORT, from))));
        }
        for (shard, sort) in looks {
            if let Some(place) = self.first_open(partition(day, shard), sort).await? {
                self.open.put(day, place);
                return Ok(true);
            }
        }
        self.open.forget(&day);
        Ok(false)
    }

    async fn first_open(&self, pk: String, sort: Option<Condition>) -> Result<Option<Place>, LedgerError> {
        let filter = Condition { name: schema::OPEN, expression: "attribute_exists(#filter)", values: Vec::new() };
        let (filter, only, limit) = (Some(filter), Some(schema::SORT), Some(A_LOOK));
        let mut ask = Ask { sort, filter, only, limit, ..Ask::partition(pk.clone()) };
        loop {
            let page = self.table.query(&ask).await?;
            if let Some(sk) = page.items.first().and_then(|found| item::text(found, schema::SORT)) {
                return Ok(Some(Place { pk, sk: sk.to_owned() }));
            }
            match page.next {
                Some(next) => ask.start = Some(next),
                None => return Ok(None),
            }
        }
    }
}
