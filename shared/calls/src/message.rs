//! The websocket's messages, in the shapes that its clients know.
//!
//! Every message to a client is `{"data": ..., "event": "...", "status": "Ok" | "Failed"}`. The one member that is ours is
//! `next`, where an answer had to leave rows out; the one in a row is `"type":"unknown"`, beside an event of a type that is not
//! known here.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::call::Call;
use crate::event::EventType;
use crate::store::StoredEvent;

/// The command that lists calls.
pub const LIST_CALLS: &str = "ListCalls";

/// The command that lists the events of a call.
pub const LIST_CALL_EVENTS: &str = "ListCallEvents";

/// What all messages to clients are.
#[derive(Serialize)]
struct Message<'a, T> {
    data: T,
    event: &'a str,
    status: &'static str,
}

/// What is wrong, where something is.
#[derive(Serialize)]
struct Refusal<'a> {
    success: bool,
    error: &'a str,
}

/// An event's row, as clients know it.
#[derive(Serialize)]
pub struct EventRow<'a> {
    id: u64,
    aggregate_id: Option<&'a str>,
    uuid: String,
    event: &'a RawValue,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    shown: Option<&'static str>,
}

impl EventRow<'_> {
    /// The same with another event in place of its own.
    pub(crate) fn showing<'a>(&'a self, event: &'a RawValue) -> EventRow<'a> {
        EventRow { event, uuid: self.uuid.clone(), ..*self }
    }
}

impl<'a> From<&'a StoredEvent> for EventRow<'a> {
    fn from(event: &'a StoredEvent) -> Self {
        Self {
            id: event.id,
            aggregate_id: event.call.as_ref().map(|call| call.as_str()),
            uuid: event.uuid.to_string(),
            event: &event.received,
            shown: matches!(event.kind, EventType::Unknown(_)).then(|| event.kind.shown()),
        }
    }
}

/// What a client hears first.
pub fn welcome() -> String {
    ok("Welcome", &"Welcome")
}

/// What every client hears after each event of a call that was stored: the call, as `ListCalls` shows it.
pub fn data_changed(call: &Call) -> String {
    ok("DataChanged", call)
}

/// The answer to what is no command.
pub fn invalid_message() -> String {
    failed("InvalidMessage", "invalid body")
}

/// The answer to a command that nobody knows.
pub fn invalid_event() -> String {
    failed("InvalidEvent", "no suitable eventHandler for this event")
}

/// A message that all is well.
fn ok(event: &str, data: &impl Serialize) -> String {
    json(&Message { data, event, status: "Ok" })
}

/// A message that it is not.
pub(crate) fn failed(event: &str, error: &str) -> String {
    json(&Message { data: Refusal { success: false, error }, event, status: "Failed" })
}

/// As JSON. None of ours can fail: their keys are texts.
fn json(message: &impl Serialize) -> String {
    serde_json::to_string(message).unwrap_or_default()
}

/// A message that lists rows, made row by row so that it ends before it is longer than a message may be.
pub(crate) struct List {
    text: String,
    most_bytes: usize,
    last: u64,
}

/// What an answer has beside its rows, at most: `event` and `status`, and `next` with a number of 16 digits.
const FRAME: usize = 96;

impl List {
    pub(crate) fn new(most_bytes: usize) -> Self {
        Self { text: r#"{"data":["#.to_owned(), most_bytes, last: 0 }
    }

    /// Adds the row of this number. Whether there was room for it.
    pub(crate) fn add(&mut self, id: u64, row: &impl Serialize) -> bool {
        let row = json(row);
        if self.text.len() + row.len() + FRAME > self.most_bytes {
            return false;
        }
        if self.last > 0 {
            self.text.push(',');
        }
        self.text.push_str(&row);
        self.last = id;
        true
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.last == 0
    }

    /// The message. `cut`: rows were left out that were asked for, and are to be asked for after its last one.
    pub(crate) fn finish(mut self, event: &str, cut: bool) -> String {
        self.text.push_str(&format!(r#"],"event":"{event}","status":"Ok""#));
        if cut {
            self.text.push_str(&format!(r#","next":{}"#, self.last));
        }
        self.text.push('}');
        self.text
    }
}
