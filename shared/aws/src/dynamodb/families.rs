//! Finding, changing and adding items. Every change is decided on one version and written on that version only.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::PoisonError;

use callvault_pipeline::day::Day;
use callvault_pipeline::facts::{Intake, NewConversation};
use callvault_pipeline::ids::ConversationId;
use callvault_pipeline::ledger::machine::{self, Settlement};
use callvault_pipeline::ledger::{LedgerError, RowKey, Settled, Stage};
use callvault_pipeline::reason::Reason;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use jiff::Timestamp;
use tokio::sync::MutexGuard;

use super::item::{Attributes, Item};
use super::place::{KNOWN, Place, around};
use super::puts::Put;
use super::table::{Ask, Condition};
use super::{AT_ONCE, DynamoLedger, schema};

/// How often a verdict is taken anew because somebody else wrote first. Each time somebody got something done.
const MOST_TRIES: u32 = 40;

/// Does pieces of work, a few at a time. The first that fails stops it.
pub(super) async fn together<T>(work: Vec<BoxFuture<'_, Result<T, LedgerError>>>) -> Result<Vec<T>, LedgerError> {
    futures_util::stream::iter(work).buffer_unordered(AT_ONCE).try_collect().await
}

impl DynamoLedger {
    /// An item as it is now; one of version 0 where there is none.
    pub(super) async fn read(&self, place: &Place) -> Result<Item, LedgerError> {
        match self.table.get(place).await? {
            Some(attributes) => self.keep(&attributes),
            None => Ok(Item::new(place.clone())),
        }
    }

    /// Items as they are now, by their places; those that are not there are left out.
    pub(super) async fn read_many(&self, places: &[Place]) -> Result<HashMap<Place, Item>, LedgerError> {
        let found = self.table.get_many(places, true).await?;
        found.iter().map(|attributes| self.keep(attributes).map(|item| (item.place.clone(), item))).collect()
    }

    /// Remembers an item that was read as it is now.
    pub(super) fn keep(&self, attributes: &Attributes) -> Result<Item, LedgerError> {
        let item = Item::read(attributes)?;
        self.remember(&item);
        Ok(item)
    }

    fn remember(&self, item: &Item) {
        if let (Some(day), Some(row)) = (item.place.day_of_family(), item.head())
            && let Some(id) = row.key.conversation()
        {
            self.places.put(id.clone(), (day, machine::is_left_out(row)));
        }
        self.items.put(item.place.clone(), item.clone());
    }

    /// Only one task of this process at a time works on an item: others would pay for being refused. `None` after a
    /// while: see `Table::soon`.
    pub(super) async fn lock(&self, place: &Place) -> Option<MutexGuard<'_, ()>> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(place);
        let n = usize::try_from(hash % self.writing.len() as u64).unwrap_or_default();
        self.table.soon(self.writing[n].lock()).await
    }

    /// Writes an item that was decided on its version. Answers whether it took effect, or the item as it is instead.
    pub(super) async fn write(&self, mut item: Item) -> Result<Result<Item, Item>, LedgerError> {
        let put = self.table.put(&item.place, item.version, item.attributes()?).await;
        for stage in Stage::ALL {
            self.early.forget(&(stage, item.place.sk.clone()));
        }
        match put {
            Ok(Put::Done(version)) => {
                item.version = version;
                self.remember(&item);
                Ok(Ok(item))
            }
            Ok(Put::Lost(Some(found))) => self.keep(&found).map(Err),
            Ok(Put::Lost(None)) => Ok(Err(Item::new(item.place))),
            Err(error) => {
                self.items.forget(&item.place);
                Err(error)
            }
        }
    }

    /// Changes an item: `decide` answers the item to write, if any, and what to tell.
    pub(super) async fn change<T>(
        &self,
        place: &Place,
        decide: impl Fn(&Item) -> (Option<Item>, T),
    ) -> Result<T, LedgerError> {
        let known = self.items.get(place);
        self.change_from(place, known, decide).await
    }

    /// The same, where the item is thought to be `known`.
    pub(super) async fn change_from<T>(
        &self,
        place: &Place,
        known: Option<Item>,
        decide: impl Fn(&Item) -> (Option<Item>, T),
    ) -> Result<T, LedgerError> {
        let _alone = self.lock(place).await;
        // Whoever had the lock before may have written it.
        let (mut item, mut certain) = match self.items.get(place).or(known) {
            Some(item) => (item, false),
            None => (self.read(place).await?, true),
        };
        for tries in 0..MOST_TRIES {
            let (new, answer) = decide(&item);
            let Some(new) = new else {
                if certain {
                    return Ok(answer);
                }
                // What is remembered is good enough to try a write, not to refuse one.
                (item, certain) = (self.read(place).await?, true);
                continue;
            };
            let written = match self.write(new).await {
                // Never an error that comes back each time: it would hold up its batch and its day.
                Err(LedgerError::TooLarge { key, detail }) => match item.parked(Reason::TooManyRecordings) {
                    Some(parked) => {
                        tracing::error!(row.key = %key, reason = %Reason::TooManyRecordings, "parked {key}: {detail}");
                        self.write(parked).await?
                    }
                    None => return Err(LedgerError::TooLarge { key, detail }),
                },
                written => written?,
            };
            match written {
                Ok(_) => return Ok(answer),
                Err(found) => (item, certain) = (found, true),
            }
            if tries > 2 {
                self.table.pause(tries / 4).await;
            }
        }
        let detail = format!("{} was written by others {MOST_TRIES} times in a row: run again", place.sk);
        Err(LedgerError::Unusable { detail })
    }

    /// Where a conversation stands.
    pub(super) async fn find(&self, id: &ConversationId) -> Result<Option<Place>, LedgerError> {
        Ok(self.find_many(std::slice::from_ref(id)).await?.remove(id))
    }

    /// Where conversations stand. The port gives no day: those that this process has not met are looked for in all
    /// days, the newest first.
    pub(super) async fn find_many(
        &self,
        ids: &[ConversationId],
    ) -> Result<HashMap<ConversationId, Place>, LedgerError> {
        let mut found = HashMap::new();
        let mut missing = Vec::new();
        for id in ids {
            match self.places.get(id) {
                Some((day, _)) => drop(found.insert(id.clone(), Place::family(day, id))),
                None => missing.push(id),
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let days = self.known_days().await?;
        for id in missing {
            for some in days.chunks(100) {
                let places: Vec<Place> = some.iter().map(|day| Place::family(*day, id)).collect();
                if let Some(place) = self.read_many(&places).await?.into_keys().next() {
                    found.insert(id.clone(), place);
                    break;
                }
            }
        }
        Ok(found)
    }

    /// The days that have conversations, the newest first.
    async fn known_days(&self) -> Result<Vec<Day>, LedgerError> {
        let sort = Condition::begins_with(schema::SORT, KNOWN);
        let ask = Ask { sort: Some(sort), ..Ask::partition(schema::DAYS.to_owned()) };
        let marks = self.table.query_all(ask).await?;
        let sk = |mark: &Attributes| super::item::text(mark, schema::SORT).map(str::to_owned);
        let days = marks.iter().filter_map(|mark| sk(mark)?.strip_prefix(KNOWN)?.parse().ok());
        let mut days: Vec<Day> = days.collect();
        days.sort_unstable_by(|a, b| b.cmp(a));
        Ok(days)
    }

    /// The item a row is in.
    async fn place_of(&self, key: &RowKey) -> Result<Option<Place>, LedgerError> {
        match key {
            RowKey::Day(day) => Ok(Some(Place::day(*day))),
            RowKey::Notification(day, generation) => Ok(Some(Place::notification(*day, *generation))),
            RowKey::Batch(job) => Ok(Some(Place::batch(job))),
            RowKey::Conversation(id) | RowKey::Recording(id, _) => self.find(id).await,
            RowKey::Notice(id) | RowKey::Voicemail(id, _) => Ok(Some(Place::voicemail(id, key))),
        }
    }

    pub(super) async fn renew_claim(
        &self,
        key: &RowKey,
        attempt: u32,
        until: Timestamp,
    ) -> Result<Settled, LedgerError> {
        let Some(place) = self.place_of(key).await? else { return Ok(Settled::Stale) };
        let renewed =
            self.change(&place, |item| match item.row(key).and_then(|row| machine::renew(row, attempt, until)) {
                Some(row) => (Some(item.with(&[row])), Settled::Done),
                None => (None, Settled::Stale),
            });
        renewed.await
    }

    pub(super) async fn settle_claim(
        &self,
        key: &RowKey,
        attempt: u32,
        settlement: &Settlement,
        now: Timestamp,
    ) -> Result<Settled, LedgerError> {
        let Some(place) = self.place_of(key).await? else { return Ok(Settled::Stale) };
        let settled = self.change(&place, |item| {
            let Some(row) = item.row(key) else { return (None, Settled::Stale) };
            let (settled, rows) = machine::settle(row, attempt, settlement, item.rows(), now);
            ((!rows.is_empty()).then(|| item.with(&rows)), settled)
        });
        settled.await
    }

    pub(super) async fn known_of(
        &self,
        day: Day,
        ids: &[ConversationId],
    ) -> Result<HashSet<ConversationId>, LedgerError> {
        self.meet(day, ids).await?;
        let seen = |id: &&ConversationId| self.places.get(id).is_some_and(|(_, left_out)| !left_out);
        Ok(ids.iter().filter(seen).cloned().collect())
    }

    /// Reads those of `ids` that this process has not met, under `day` and, where they are not there, the days beside it.
    async fn meet(&self, day: Day, ids: &[ConversationId]) -> Result<(), LedgerError> {
        for (n, beside) in [vec![day], around(day)].into_iter().enumerate() {
            let mut unmet: Vec<&ConversationId> = ids.iter().filter(|id| self.places.get(id).is_none()).collect();
            unmet.sort_unstable();
            unmet.dedup();
            let days = beside.iter().skip(n);
            let places: Vec<Place> = days.flat_map(|day| unmet.iter().map(|id| Place::family(*day, id))).collect();
            // The days beside it were found long ago, or are being found by another process at this moment, which no
            // read can exclude: half the price is enough.
            for found in self.table.get_many(&places, n == 0).await? {
                self.keep(&found)?;
            }
        }
        Ok(())
    }

    pub(super) async fn add(&self, day: Day, found: &[NewConversation], now: Timestamp) -> Result<u64, LedgerError> {
        let mut added = 0;
        // Few enough to be remembered all at once.
        for some in found.chunks(super::PLACES / 4) {
            let ids: Vec<ConversationId> = some.iter().map(|new| new.id.clone()).collect();
            self.meet(day, &ids).await?;
            let mut met = HashSet::new();
            let mut adding = Vec::new();
            for new in some {
                if met.insert(&new.id) && self.may_be_new(new) {
                    adding.push(self.add_one(day, new, now).boxed());
                }
            }
            if !adding.is_empty() {
                self.mark(day).await?;
                added += together(adding).await?.into_iter().sum::<u64>();
            }
        }
        Ok(added)
    }

    fn may_be_new(&self, new: &NewConversation) -> bool {
        self.places.get(&new.id).is_none_or(|(_, left_out)| left_out && new.intake == Intake::Export)
    }

    async fn add_one(&self, day: Day, new: &NewConversation, now: Timestamp) -> Result<u64, LedgerError> {
        let stands = self.places.get(&new.id).map(|(day, _)| day);
        let place = Place::family(stands.unwrap_or(day), &new.id);
        let absent = stands.is_none().then(|| Item::new(place.clone()));
        let added = self.change_from(&place, absent, |item| match item.head() {
            None => (Some(item.with(&[machine::add(day, new, now)])), 1),
            // It stays where it stands: a conversation has one item.
            Some(row) if machine::is_wanted_now(row, new) => (Some(item.with(&[machine::add(row.day, new, now)])), 1),
            Some(_) => (None, 0),
        });
        added.await
    }

    /// Marks a day as having conversations, before the first of them is there.
    async fn mark(&self, day: Day) -> Result<(), LedgerError> {
        let marked = || self.marked.lock().unwrap_or_else(PoisonError::into_inner);
        if !marked().contains(&day) {
            self.table.put_mark(&Place::known(day)).await?;
            marked().insert(day);
        }
        Ok(())
    }
}
