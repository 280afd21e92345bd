//! Calls and events in pages, in the order of their numbers.
//!
//! Which calls there are say global indexes, which may be a moment behind; what is answered of each is as it is now. A call's
//! events are as they are now.

use aws_sdk_dynamodb::types::AttributeValue;
use callvault_calls::call::{Call, State};
use callvault_calls::event::CallId;
use callvault_calls::store::{PAGE_BYTES, Page, StoreError, StoredEvent};

use super::item::{self, CallItem, number_of, place_of_call};
use super::{DynamoCalls, in_our_words, schema};
use crate::dynamodb::item::{Attributes, place_of};
use crate::dynamodb::place::Place;
use crate::dynamodb::table::{Ask, Condition};

/// Events of no call that are read at a time: each may have a third of a MiB.
const AT_A_TIME: usize = 16;

impl DynamoCalls {
    pub(super) async fn calls_of(
        &self,
        state: Option<State>,
        page: Page,
        limit: usize,
    ) -> Result<Vec<Call>, StoreError> {
        let (index, partition) = match state {
            Some(state) => (schema::STATE_INDEX, (schema::STATE, state.as_str())),
            None => (schema::LIST_INDEX, (schema::LIST, schema::CALLS)),
        };
        let mut page = page;
        loop {
            let entries = self.entries(index, partition, page, limit).await?;
            let Some((_, last)) = entries.last() else { return Ok(Vec::new()) };
            page = page.then(*last);
            let places: Vec<Place> = entries.into_iter().map(|(place, _)| place).collect();
            let mut calls = Vec::with_capacity(places.len());
            for attributes in self.table.get_many(&places, true).await.map_err(in_our_words)? {
                let Some(id) = item::call_of(&attributes) else { continue };
                let row = CallItem::read(&id, Some(&attributes))?.row;
                // The index may be a moment behind.
                calls.extend(row.filter(|call| state.is_none_or(|state| call.state == state)));
            }
            if !calls.is_empty() {
                calls.sort_by_key(|call| call.id);
                if matches!(page, Page::Before(_)) {
                    calls.reverse();
                }
                return Ok(calls);
            }
        }
    }

    /// Places and numbers of a list, in the page's order.
    async fn entries(
        &self,
        index: &'static str,
        (name, value): (&'static str, &str),
        page: Page,
        limit: usize,
    ) -> Result<Vec<(Place, u64)>, StoreError> {
        let (sort, backwards) = match page {
            Page::After(id) => (above(schema::ID, id), false),
            Page::Before(id) => (below(schema::ID, id), true),
        };
        let ask = Ask {
            index: Some(index),
            sort: Some(sort),
            backwards,
            limit: Some(limit),
            consistent: false,
            partition: (name, value.to_owned()),
            ..Ask::partition(String::new())
        };
        let page = self.table.query(&ask).await.map_err(in_our_words)?;
        let entry = |attributes: &Attributes| {
            let place = place_of(attributes).map_err(in_our_words)?;
            Ok((place, number_of(attributes, schema::ID).unwrap_or_default()))
        };
        page.items.iter().map(entry).collect()
    }

    pub(super) async fn events_after(
        &self,
        call: &CallId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let mut events = Events::default();
        if !self.take_events(call, after, limit, &mut events).await? || events.taken.len() >= limit {
            return Ok(events.taken);
        }
        let last = |events: &Events| events.taken.last().map_or(after, |last| last.id);
        // Who wrote it may have died before it had an item of its own. Its number is the greatest.
        let newest = self.newest(call).await?.filter(|newest| newest.id > last(&events));
        let Some(newest) = newest else { return Ok(events.taken) };
        // All before it have items by now, also those that came after the first look.
        let room = limit - events.taken.len();
        if self.take_events(call, last(&events), room, &mut events).await?
            && events.taken.len() < limit
            && newest.id > last(&events)
        {
            events.taken.push(newest);
        }
        Ok(events.taken)
    }

    /// Takes up to `limit` events that have items of their own. Whether those were all of them.
    async fn take_events(
        &self,
        call: &CallId,
        after: u64,
        limit: usize,
        events: &mut Events,
    ) -> Result<bool, StoreError> {
        let ask = Ask {
            index: Some(schema::EVENTS_INDEX),
            sort: Some(above(schema::NUMBER, after)),
            limit: Some(limit),
            ..Ask::partition(place_of_call(call).pk)
        };
        let page = self.table.query(&ask).await.map_err(in_our_words)?;
        for attributes in &page.items {
            if !events.take(item::event(Some(call), attributes)?) {
                return Ok(false);
            }
        }
        Ok(page.next.is_none())
    }

    pub(super) async fn events_of_none_after(&self, after: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let entries = self.entries(schema::LIST_INDEX, (schema::LIST, schema::NONE), Page::After(after), limit).await?;
        let places: Vec<Place> = entries.into_iter().map(|(place, _)| place).collect();
        let mut events = Events::default();
        for some in places.chunks(AT_A_TIME) {
            let found = self.table.get_many(some, true).await.map_err(in_our_words)?;
            let mut found: Vec<StoredEvent> =
                found.iter().map(|attributes| item::event(None, attributes)).collect::<Result<_, _>>()?;
            found.sort_by_key(|event| event.id);
            for event in found {
                if !events.take(event) {
                    return Ok(events.taken);
                }
            }
        }
        Ok(events.taken)
    }
}

/// Events of a page, up to [`PAGE_BYTES`].
#[derive(Default)]
struct Events {
    taken: Vec<StoredEvent>,
    bytes: usize,
}

impl Events {
    /// Takes an event. Whether there was room for it.
    fn take(&mut self, event: StoredEvent) -> bool {
        if self.bytes >= PAGE_BYTES {
            return false;
        }
        self.bytes += event.received.get().len();
        self.taken.push(event);
        true
    }
}

/// Numbers below this one.
fn below(name: &'static str, before: u64) -> Condition {
    Condition { name, expression: "#sort < :sort", values: vec![(":sort", AttributeValue::N(before.to_string()))] }
}

/// Numbers above this one.
fn above(name: &'static str, after: u64) -> Condition {
    Condition { name, expression: "#sort > :sort", values: vec![(":sort", AttributeValue::N(after.to_string()))] }
}
