//! A message of a websocket, from text to text: the same for a socket of our own server and for one of a gateway.
//!
//! A list is answered whole, as its clients know it, unless a message may not be that long; then it ends where it must and says in
//! `next` after which number the rest is. A client that does not want that pages by itself: `params.limit` and
//! `params.after`, the number of the last row it has, or `params.before`, for the newest first. Must never fail: whatever a client
//! says has an answer.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use crate::call::State;
use crate::event::CallId;
use crate::message::{self, EventRow, LIST_CALL_EVENTS, LIST_CALLS, List};
use crate::store::{CallStore, Page, StoreError, StoredEvent};

/// Longest message of a client, in bytes: API Gateway takes no longer one either.
pub const LONGEST_MESSAGE: usize = 128 * 1024;

/// Longest answer where API Gateway sends it, in bytes: its limit for a message, with room to spare.
pub const GATEWAY_ANSWER: usize = 120 * 1024;

/// Longest answer of our own server, in bytes: some 50,000 calls.
pub const LOCAL_ANSWER: usize = 8 << 20;

/// Most rows that may be asked for at once.
pub const MOST_ROWS: u64 = 100_000;

/// Rows read from the store at a time.
const ROWS_A_READ: usize = 500;

/// Answers websockets.
#[derive(Clone)]
pub struct Desk {
    store: Arc<dyn CallStore>,
    longest_answer: usize,
}

/// What every command is.
#[derive(Deserialize)]
struct Command<'a> {
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct ListCalls {
    #[serde(default)]
    params: Option<Params>,
}

#[derive(Deserialize)]
struct ListCallEvents {
    /// `null` for the events that belong to no call.
    #[serde(deserialize_with = "Option::deserialize")]
    call_id: Option<String>,
    #[serde(default)]
    params: Option<Params>,
}

#[derive(Default, Deserialize)]
struct Params {
    state: Option<String>,
    after: Option<u64>,
    before: Option<u64>,
    limit: Option<u64>,
}

impl Params {
    /// Which rows, and how many of them.
    fn page(&self) -> Option<(Page, u64)> {
        let page = match (self.after, self.before) {
            (after, None) => Page::After(after.unwrap_or(0)),
            (None, Some(before)) => Page::Before(before),
            (Some(_), Some(_)) => return None,
        };
        let limit = self.limit.unwrap_or(u64::MAX);
        (limit >= 1 && (self.limit.is_none() || limit <= MOST_ROWS)).then_some((page, limit))
    }
}

/// What keeps a command from being answered.
enum Trouble {
    Invalid,
    Store(StoreError),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Desk {
    /// A desk over a store, with answers of at most so many bytes, for instance [`GATEWAY_ANSWER`].
    pub fn new(store: Arc<dyn CallStore>, longest_answer: usize) -> Self {
        Self { store, longest_answer }
    }

    /// Answers a message.
    pub async fn answer(&self, message: &[u8]) -> String {
        let Some((event, data)) = command(message) else { return message::invalid_message() };
        let (name, answered) = match event.as_str() {
            LIST_CALLS => (LIST_CALLS, self.list_calls(data).await),
            LIST_CALL_EVENTS => (LIST_CALL_EVENTS, self.list_call_events(data).await),
            _ => return message::invalid_event(),
        };
        match answered {
            Ok(answer) => answer,
            Err(Trouble::Invalid) => message::invalid_message(),
            Err(Trouble::Store(error)) => {
                tracing::error!(code = error.code(), "a websocket's question could not be answered: {error}");
                message::failed(name, "the calls cannot be read now: ask again later")
            }
        }
    }

    async fn list_calls(&self, data: &RawValue) -> Result<String, Trouble> {
        let asked: ListCalls = read(data)?;
        let params = asked.params.unwrap_or_default();
        let (mut page, mut wanted) = params.page().ok_or(Trouble::Invalid)?;
        let mut list = List::new(self.longest_answer);
        // A word that is no state is the state of no call.
        let state = match params.state.as_deref().map(str::parse::<State>) {
            Some(Err(_)) => return Ok(list.finish(LIST_CALLS, false)),
            Some(Ok(state)) => Some(state),
            None => None,
        };
        while wanted > 0 {
            let calls = self.store.calls(state, page, rows(wanted)).await?;
            let Some(last) = calls.last() else { break };
            page = page.then(last.id);
            wanted = wanted.saturating_sub(calls.len() as u64);
            for call in &calls {
                if !list.add(call.id, call) {
                    return Ok(list.finish(LIST_CALLS, true));
                }
            }
        }
        Ok(list.finish(LIST_CALLS, false))
    }

    async fn list_call_events(&self, data: &RawValue) -> Result<String, Trouble> {
        let asked: ListCallEvents = read(data)?;
        // Events have one order: what went on, from its beginning.
        let Some((Page::After(mut after), mut wanted)) = asked.params.unwrap_or_default().page() else {
            return Err(Trouble::Invalid);
        };
        let mut list = List::new(self.longest_answer);
        let call = match asked.call_id.as_deref().map(str::parse::<CallId>) {
            // No call has such an id.
            Some(Err(_)) => return Ok(list.finish(LIST_CALL_EVENTS, false)),
            Some(Ok(call)) => Some(call),
            None => None,
        };
        while wanted > 0 {
            let events = self.store.events(call.as_ref(), after, rows(wanted)).await?;
            let Some(last) = events.last() else { break };
            after = last.id;
            wanted = wanted.saturating_sub(events.len() as u64);
            for event in &events {
                if !self.add(&mut list, event) {
                    return Ok(list.finish(LIST_CALL_EVENTS, true));
                }
            }
        }
        Ok(list.finish(LIST_CALL_EVENTS, false))
    }

    /// Adds an event's row. One that is too long for any message is shown without what was received.
    fn add(&self, list: &mut List, event: &StoredEvent) -> bool {
        let row = EventRow::from(event);
        if list.add(event.id, &row) {
            return true;
        }
        let alone = list.is_empty() || !List::new(self.longest_answer).add(event.id, &row);
        let bytes = event.received.get().len();
        let left_out =
            json!({ "type": event.kind.as_str(), "left_out": format!("{bytes} bytes, more than a message may have") });
        alone && to_raw_value(&left_out).is_ok_and(|left_out| list.add(event.id, &row.showing(&left_out)))
    }
}

/// The two parts of a command; `None` for what is none.
fn command(message: &[u8]) -> Option<(String, &RawValue)> {
    let text = std::str::from_utf8(message).ok()?;
    // A struct would be read from a list of its values too.
    if !text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{') {
        return None;
    }
    let Command { event, data } = serde_json::from_str(text).ok()?;
    Some((serde_json::from_str(event?.get()).ok()?, data?))
}

/// A command's data.
fn read<T: DeserializeOwned>(data: &RawValue) -> Result<T, Trouble> {
    if !data.get().starts_with('{') {
        return Err(Trouble::Invalid);
    }
    serde_json::from_str(data.get()).map_err(|_| Trouble::Invalid)
}

fn rows(wanted: u64) -> usize {
    usize::try_from(wanted).unwrap_or(ROWS_A_READ).min(ROWS_A_READ)
}

#[cfg(test)]
#[path = "desk_tests.rs"]
mod tests;
