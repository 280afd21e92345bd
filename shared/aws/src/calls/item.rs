//! Events and calls as items, and back.
//!
//! A call's item holds its row and the event that was folded into it last: see [`super::append`]. What was received is kept as it
//! is, compressed where that saves a write unit. Must never put anything of an event into an error.

use std::io::{Read as _, Write as _};
use std::str::FromStr;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use callvault_calls::call::{Call, State};
use callvault_calls::event::{CallId, EventType};
use callvault_calls::store::{StoreError, StoredEvent};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use jiff::Timestamp;
use serde_json::value::RawValue;

use super::schema;
use crate::dynamodb::item::{Attributes, number, text, version_of};
use crate::dynamodb::place::Place;

/// DynamoDB takes no item over 400 KB, names and keys included, and a call's item holds its last event beside its row.
pub(super) const MOST_BYTES: usize = 390_000;

/// What is longer is compressed: an item of up to a KiB is one write unit.
const LONGEST_PLAIN: usize = 700;

/// Longest event that is decompressed: the webhook takes no longer one.
const LONGEST_EVENT: u64 = 1 << 20;

const TYPE: &str = "type";
const AT: &str = "at";
const RECEIVED: &str = "received";
const DEFLATED: &str = "deflated";
const CREATED: &str = "created";
const UPDATED: &str = "updated";
const STATE_AT: &str = "state_at";
const EVENTS: &str = "events";
const LAST: &str = "last";
const NEWEST: &str = "newest";

/// A call's item, as it is in the table.
#[derive(Debug, Clone)]
pub(super) struct CallItem {
    pub(super) id: CallId,
    /// How often it was written; 0 when it is not there.
    pub(super) version: u64,
    /// The row; none where there is no event yet.
    pub(super) row: Option<Call>,
    /// The greatest number of its events.
    pub(super) last: u64,
    /// The event that was folded last. It may not have an item of its own yet; all before it have.
    pub(super) newest: Option<StoredEvent>,
}

impl CallItem {
    /// One that is not there yet.
    pub(super) fn absent(id: CallId) -> Self {
        Self { id, version: 0, row: None, last: 0, newest: None }
    }

    /// The item with one more event.
    pub(super) fn with(&self, event: &StoredEvent) -> Self {
        let row = self.row.as_ref().map_or_else(|| Call::begun(event), |row| Some(row.with(event)));
        Self { row, last: self.last.max(event.id), newest: Some(event.clone()), ..self.clone() }
    }

    /// Reads one; `None` in place of attributes for one that is not there.
    pub(super) fn read(id: &CallId, attributes: Option<&Attributes>) -> Result<Self, StoreError> {
        let Some(attributes) = attributes else { return Ok(Self::absent(id.clone())) };
        let call = number_of(attributes, schema::ID).unwrap_or_default();
        let unreadable = |what: &str| StoreError::Unreadable { id: call, detail: format!("a call without {what}") };
        let instant = |name| instant(attributes, name);
        let state = text(attributes, schema::STATE).and_then(|word| State::from_str(word).ok());
        let row = Call {
            id: number_of(attributes, schema::ID).ok_or_else(|| unreadable(schema::ID))?,
            call: id.clone(),
            state: state.ok_or_else(|| unreadable(schema::STATE))?,
            created_at: instant(CREATED).ok_or_else(|| unreadable(CREATED))?,
            updated_at: instant(UPDATED).ok_or_else(|| unreadable(UPDATED))?,
            state_at: instant(STATE_AT),
            version: number_of(attributes, EVENTS).ok_or_else(|| unreadable(EVENTS))?,
        };
        let newest = newest(id, attributes)?;
        let last = number_of(attributes, LAST).unwrap_or(row.id);
        Ok(Self { id: id.clone(), version: version_of(attributes), row: Some(row), last, newest })
    }

    /// What is written, but for keys, version and write token. `tell`: whoever reads the stream tells of it.
    pub(super) fn attributes(&self, tell: bool) -> Result<Attributes, StoreError> {
        let mut attributes = Attributes::new();
        let Some(row) = &self.row else { return Ok(attributes) };
        let mut set = |name: &str, value| drop(attributes.insert(name.to_owned(), value));
        set(schema::LIST, string(schema::CALLS));
        set(schema::ID, integer(row.id));
        set(schema::STATE, string(row.state.as_str()));
        set(CREATED, string(row.created_at.to_string()));
        set(UPDATED, string(row.updated_at.to_string()));
        if let Some(at) = row.state_at {
            set(STATE_AT, string(at.to_string()));
        }
        set(EVENTS, integer(row.version));
        set(LAST, integer(self.last));
        if let Some(newest) = &self.newest {
            let mut event = of_event(newest)?;
            event.insert(schema::SORT.to_owned(), string(sort_of(newest)));
            set(NEWEST, AttributeValue::M(event));
        }
        if tell {
            set(schema::TELL, string(schema::TELL_CALL));
        }
        Ok(attributes)
    }
}

/// The event in a call's item.
pub(super) fn newest(id: &CallId, attributes: &Attributes) -> Result<Option<StoredEvent>, StoreError> {
    let newest = attributes.get(NEWEST).and_then(|value| value.as_m().ok());
    newest.map(|newest| event(Some(id), newest)).transpose()
}

/// The row of a call in a new image of the table's stream, whose attributes are as in the table; `None` for other items.
pub(super) fn row(attributes: &Attributes) -> Result<Option<Call>, StoreError> {
    let (Some(partition), Some(schema::ROW)) = (text(attributes, schema::PARTITION), text(attributes, schema::SORT))
    else {
        return Ok(None);
    };
    let id: Option<CallId> = partition.strip_prefix(schema::OF_CALL).and_then(|id| id.parse().ok());
    let Some(id) = id else { return Ok(None) };
    // What was received is not needed.
    let mut attributes = attributes.clone();
    attributes.remove(NEWEST);
    Ok(CallItem::read(&id, Some(&attributes))?.row)
}

/// Where a call's row is.
pub(super) fn place_of_call(call: &CallId) -> Place {
    Place { pk: format!("{}{call}", schema::OF_CALL), sk: schema::ROW.to_owned() }
}

/// Where an event is.
pub(super) fn place_of_event(call: Option<&CallId>, uuid: uuid::Uuid) -> Place {
    let pk = match call {
        Some(call) => format!("{}{call}", schema::OF_CALL),
        None => format!("{}{uuid}", schema::OF_NONE),
    };
    Place { pk, sk: format!("{}{uuid}", schema::EVENT) }
}

/// The call that an item is of; `None` where it is of none.
pub(super) fn call_of(attributes: &Attributes) -> Option<CallId> {
    text(attributes, schema::PARTITION)?.strip_prefix(schema::OF_CALL)?.parse().ok()
}

/// What an event's item holds, but for its keys.
pub(super) fn of_event(event: &StoredEvent) -> Result<Attributes, StoreError> {
    let mut attributes = Attributes::from([
        (TYPE.to_owned(), string(event.kind.as_str())),
        (AT.to_owned(), string(event.at.to_string())),
        received(event.received.get())?,
    ]);
    match event.call {
        Some(_) => drop(attributes.insert(schema::NUMBER.to_owned(), integer(event.id))),
        None => {
            attributes.insert(schema::LIST.to_owned(), string(schema::NONE));
            attributes.insert(schema::ID.to_owned(), integer(event.id));
        }
    }
    Ok(attributes)
}

/// An event's item as it is read.
pub(super) fn event(call: Option<&CallId>, attributes: &Attributes) -> Result<StoredEvent, StoreError> {
    let id = number_of(attributes, schema::NUMBER).or_else(|| number_of(attributes, schema::ID)).unwrap_or_default();
    let unreadable = |what: &str| StoreError::Unreadable { id, detail: format!("an event without {what}") };
    let sort = text(attributes, schema::SORT).and_then(|sort| sort.strip_prefix(schema::EVENT));
    let plain = match (text(attributes, RECEIVED), attributes.get(DEFLATED).and_then(|value| value.as_b().ok())) {
        (Some(text), _) => Some(text.to_owned()),
        (None, Some(bytes)) => inflated(bytes.as_ref()),
        (None, None) => None,
    };
    let received = plain.and_then(|text| RawValue::from_string(text).ok());
    Ok(StoredEvent {
        id,
        uuid: sort.and_then(|uuid| uuid.parse().ok()).ok_or_else(|| unreadable("a UUID"))?,
        kind: EventType::of(text(attributes, TYPE).ok_or_else(|| unreadable(TYPE))?),
        call: call.cloned(),
        at: instant(attributes, AT).ok_or_else(|| unreadable(AT))?,
        received: received.ok_or_else(|| unreadable("what was received"))?,
    })
}

/// What was received, as an attribute.
fn received(text: &str) -> Result<(String, AttributeValue), StoreError> {
    let plain = || (RECEIVED.to_owned(), string(text));
    if text.len() <= LONGEST_PLAIN {
        return Ok(plain());
    }
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    let deflated = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
    let deflated = deflated.map_err(|error| StoreError::Unusable { detail: error.to_string() })?;
    if deflated.len().min(text.len()) > MOST_BYTES {
        return Err(StoreError::TooLarge { most_bytes: MOST_BYTES });
    }
    if deflated.len() >= text.len() {
        return Ok(plain());
    }
    Ok((DEFLATED.to_owned(), AttributeValue::B(Blob::new(deflated))))
}

fn inflated(bytes: &[u8]) -> Option<String> {
    let mut text = String::new();
    DeflateDecoder::new(bytes).take(LONGEST_EVENT).read_to_string(&mut text).ok()?;
    Some(text)
}

fn sort_of(event: &StoredEvent) -> String {
    format!("{}{}", schema::EVENT, event.uuid)
}

/// A whole number that is not negative.
pub(super) fn number_of(attributes: &Attributes, name: &str) -> Option<u64> {
    number(attributes, name).and_then(|number| u64::try_from(number).ok())
}

fn instant(attributes: &Attributes, name: &str) -> Option<Timestamp> {
    text(attributes, name).and_then(|text| text.parse().ok())
}

pub(super) fn string(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(super) fn integer(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}
