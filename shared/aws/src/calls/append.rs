//! Storing an event, and folding it into its call.
//!
//! Two items, and no transaction: those cost twice, and are refused whenever somebody looks at the same call. Instead the call's item
//! holds the event that was folded last, beside the row:
//!
//! 1. The item is read; the event in it gets an item of its own, if it has none yet.
//! 2. An event that has an item of its own, or is the one in the call's item, is a duplicate.
//! 3. The call's item is written with the event folded in and beside it, on the version that was read.
//! 4. The event gets an item of its own. Then it is answered.
//!
//! So of the events that are folded only the newest can be without an item, whoever died wherever; whoever comes next gives it one
//! before it writes. A write on an outdated version is refused and decided again from 1, so no event is folded twice: between 2 and
//! 3 nobody else has folded anything.

use callvault_calls::event::{CallId, NewEvent};
use callvault_calls::store::{Appended, StoreError, StoredEvent};
use jiff::Timestamp;

use super::item::{self, CallItem, place_of_call, place_of_event};
use super::{DynamoCalls, in_our_words, schema};
use crate::dynamodb::puts::Put;
use crate::dynamodb::table::{Ask, Condition};

/// How often a call is decided on anew because somebody else wrote first. Each time an event was stored.
const MOST_TRIES: u32 = 40;

impl DynamoCalls {
    pub(super) async fn append_event(&self, event: NewEvent, now: Timestamp) -> Result<Appended, StoreError> {
        // Before anything is written: what cannot be stored takes no number.
        item::of_event(&StoredEvent::of(event.clone(), 0, now))?;
        match event.call.clone() {
            None => self.append_to_none(event, now).await,
            Some(call) => self.append_to(&call, event, now).await,
        }
    }

    /// An event of no call is one item, and its key says whether it is new.
    async fn append_to_none(&self, event: NewEvent, now: Timestamp) -> Result<Appended, StoreError> {
        let id = self.numbers.above(0, now, &self.table).await?;
        match self.store(&StoredEvent::of(event, id, now)).await? {
            true => Ok(Appended::New { id, call: None }),
            false => Ok(Appended::Duplicate),
        }
    }

    async fn append_to(&self, call: &CallId, event: NewEvent, now: Timestamp) -> Result<Appended, StoreError> {
        let _alone = self.lock(call).await;
        let (mut found, mut id) = (self.read(call).await?, 0);
        for tries in 0..MOST_TRIES {
            if found.row.is_none() && self.has_events(call).await? {
                // Its row was lost: it is made of its events, as a rebuild does.
                self.rebuild_call(call).await?;
                found = self.read(call).await?;
            }
            if self.is_known(&found, &event).await? {
                return Ok(Appended::Duplicate);
            }
            if id <= found.last {
                id = self.numbers.above(found.last, now, &self.table).await?;
            }
            let stored = StoredEvent::of(event.clone(), id, now);
            let next = found.with(&stored);
            match self.write(&next, true).await? {
                Ok(()) => {
                    self.store(&stored).await?;
                    return Ok(Appended::New { id, call: next.row });
                }
                Err(newer) => found = newer,
            }
            if tries > 2 {
                self.table.pause(tries / 4).await;
            }
        }
        let detail = format!("a call was written by others {MOST_TRIES} times in a row");
        Err(StoreError::Unusable { detail })
    }

    /// Whether an event is folded already. The one in the call's item has an item of its own afterwards.
    async fn is_known(&self, found: &CallItem, event: &NewEvent) -> Result<bool, StoreError> {
        let Some(newest) = &found.newest else { return self.has_item(&found.id, event).await };
        let places = [place_of_event(Some(&found.id), event.uuid), place_of_event(Some(&found.id), newest.uuid)];
        let same = event.uuid == newest.uuid;
        let there = self.table.get_many(if same { &places[..1] } else { &places }, true).await.map_err(in_our_words)?;
        let has = |place: &str| there.iter().any(|one| crate::dynamodb::item::text(one, schema::SORT) == Some(place));
        if !has(&places[1].sk) {
            self.store(newest).await?;
        }
        Ok(same || has(&places[0].sk))
    }

    async fn has_item(&self, call: &CallId, event: &NewEvent) -> Result<bool, StoreError> {
        let there = self.table.get(&place_of_event(Some(call), event.uuid)).await.map_err(in_our_words)?;
        Ok(there.is_some())
    }

    /// Whether a call has events that have items.
    async fn has_events(&self, call: &CallId) -> Result<bool, StoreError> {
        let sort = Condition::begins_with(schema::SORT, schema::EVENT);
        let only = Some(schema::SORT);
        let ask = Ask { sort: Some(sort), only, limit: Some(1), ..Ask::partition(place_of_call(call).pk) };
        Ok(!self.table.query(&ask).await.map_err(in_our_words)?.items.is_empty())
    }

    /// A call's item as it is now.
    pub(super) async fn read(&self, call: &CallId) -> Result<CallItem, StoreError> {
        let attributes = self.table.get(&place_of_call(call)).await.map_err(in_our_words)?;
        CallItem::read(call, attributes.as_ref())
    }

    /// Writes a call's item that was decided on its version. Answers the item as it is instead, where that is another.
    pub(super) async fn write(&self, next: &CallItem, tell: bool) -> Result<Result<(), CallItem>, StoreError> {
        let (place, attributes) = (place_of_call(&next.id), next.attributes(tell)?);
        match self.table.put(&place, next.version, attributes).await.map_err(in_our_words)? {
            Put::Done(_) => Ok(Ok(())),
            Put::Lost(found) => CallItem::read(&next.id, found.as_ref()).map(Err),
        }
    }

    /// Gives an event an item of its own. Answers whether it had none.
    pub(super) async fn store(&self, event: &StoredEvent) -> Result<bool, StoreError> {
        let place = place_of_event(event.call.as_ref(), event.uuid);
        let put = self.table.put(&place, 0, item::of_event(event)?).await.map_err(in_our_words)?;
        Ok(matches!(put, Put::Done(_)))
    }
}
