//! A webhook's event: what is read of it, and that it is kept as it was received.
//!
//! Read are only what places an event: its type, its call, its time, its actor. Everything else in it (numbers, queue,
//! code, a recording's URL) is kept and shown as it was sent, and judged by nobody: an event that is refused is lost.
//! Types are open: the vendor's list grows, and what is not on ours is stored like the rest and changes no state.
//!
//! Must never repeat a value of an event in an error: they hold telephone numbers and people's addresses.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::call::State;
use crate::{identity, instant};

/// Deepest nesting of an event. Ours are flat; deeper ones would be recursion for whoever reads them later.
pub const DEEPEST: usize = 32;

/// Longest type, in bytes.
const LONGEST_TYPE: usize = 128;

/// Longest id of a call, in bytes: the keys of some stores are limited.
const LONGEST_CALL: usize = 128;

/// Longest actor that counts as one, in bytes: an e-mail address has at most 254.
const LONGEST_ACTOR: usize = 320;

/// A type of event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventType {
    /// One of [`EventType::KNOWN`].
    Known(&'static str),
    /// A type that is not known here; shown as `unknown`.
    Unknown(String),
}

/// Which call events of a type belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Belongs {
    /// Always one; without its id the event is malformed.
    ACall,
    /// To the call it names, if it names one.
    WhatItNames,
    /// Never one, whatever it names: it is about a person's day.
    NoCall,
}

impl EventType {
    /// Every type that is known, as the vendor's documentation spells them.
    pub const KNOWN: [&str; 24] = [
        "call.new",
        "call.standby",
        "call.waiting",
        "call.ongoing",
        "call.overflow",
        "call.follow-me",
        "call.finished",
        "call.recording-available",
        "call.queue-abandon",
        "call.data-provided",
        "actor.logged-in",
        "actor.logged-out",
        "actor.entered",
        "actor.left",
        "actor.ringing",
        "actor.noanswer",
        "actor.paused",
        "actor.unpaused",
        "peer.ringing",
        "dialer.attempt",
        "dialer.success",
        "dialer.failure",
        "dialer.expired",
        "dialer.exceeded",
    ];

    /// The type of this word.
    pub fn of(word: &str) -> Self {
        match Self::KNOWN.into_iter().find(|known| *known == word) {
            Some(known) => Self::Known(known),
            None => Self::Unknown(word.to_owned()),
        }
    }

    /// The word, as it was sent.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(word) => word,
            Self::Unknown(word) => word,
        }
    }

    /// What it is shown as: an unknown type is `unknown`.
    pub fn shown(&self) -> &'static str {
        match self {
            Self::Known(word) => word,
            Self::Unknown(_) => "unknown",
        }
    }

    /// The state that a call is in when this happened; `None` for what says nothing of it.
    pub fn state(&self) -> Option<State> {
        match self {
            Self::Known("call.new") => Some(State::New),
            Self::Known("call.standby") => Some(State::Standby),
            Self::Known("call.waiting") => Some(State::Waiting),
            Self::Known("call.ongoing") => Some(State::Ongoing),
            Self::Known("call.finished") => Some(State::Finished),
            _ => None,
        }
    }

    fn belongs(&self) -> Belongs {
        match self {
            Self::Known("actor.logged-in" | "actor.logged-out" | "actor.paused" | "actor.unpaused") => Belongs::NoCall,
            Self::Known(word) if word.starts_with("call.") || word.starts_with("actor.") => Belongs::ACall,
            _ => Belongs::WhatItNames,
        }
    }
}

/// The id of a call, as the telephony system gave it; never empty, without control characters, at most 128 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(String);

impl CallId {
    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CallId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let legal = !text.is_empty() && text.len() <= LONGEST_CALL && !text.chars().any(char::is_control);
        if legal { Ok(Self(text.to_owned())) } else { Err(Malformed::CallId) }
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An event before it is stored.
#[derive(Clone)]
pub struct NewEvent {
    /// What says that two events are the same one.
    pub uuid: Uuid,
    /// Its type.
    pub kind: EventType,
    /// The call that it belongs to; `None` for one that belongs to no call.
    pub call: Option<CallId>,
    /// When it happened; `None` where it does not say so.
    pub at: Option<Timestamp>,
    /// Who did it.
    pub actor: Option<String>,
    /// The JSON object, as it was received.
    pub received: Box<RawValue>,
}

/// Without what was received: it holds telephone numbers.
impl fmt::Debug for NewEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { uuid, kind, call, at, .. } = self;
        f.debug_struct("NewEvent")
            .field("uuid", uuid)
            .field("kind", &kind.shown())
            .field("call", call)
            .field("at", at)
            .finish_non_exhaustive()
    }
}

/// Why something is no event. None of them repeats what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Not one JSON object.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// Not JSON.
    #[error("the body is not JSON: it cannot be read at line {line}, column {column}")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// Nested deeper than [`DEEPEST`].
    #[error("the body is nested deeper than {DEEPEST} levels")]
    TooDeep,
    /// No usable type.
    #[error("`type` is not a text of 1 to {LONGEST_TYPE} bytes")]
    Type,
    /// No usable id of a call, where there must be one.
    #[error("`call_id` is not a text of 1 to {LONGEST_CALL} bytes without control characters")]
    CallId,
    /// No usable time.
    #[error("`timestamp` is not a time with an offset as RFC 3339 spells it, such as 2017-01-01T00:00:00Z")]
    Timestamp,
    /// An actor that is not a text.
    #[error("`actor` is not a text of at most {LONGEST_ACTOR} bytes")]
    Actor,
}

/// The fields that are read, as they come.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    call_id: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    actor: Option<&'a RawValue>,
}

impl NewEvent {
    /// Reads an event. Of a type that is not known, only the type must be right: what else is wrong with it counts as
    /// not there.
    ///
    /// # Errors
    /// [`Malformed`]: what is wrong with it.
    pub fn read(body: &[u8]) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(body).map_err(|error| place(body, error.valid_up_to()))?;
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        // A struct would be read from a list of its values too.
        if !text.starts_with('{') {
            return Err(Malformed::NotAnObject);
        }
        if is_too_deep(text) {
            return Err(Malformed::TooDeep);
        }
        let wrong = |error: serde_json::Error| Malformed::NotJson { line: error.line(), column: error.column() };
        let fields: Fields<'_> = serde_json::from_str(text).map_err(wrong)?;
        let kind = fields.kind.and_then(string).filter(|word| !word.is_empty() && word.len() <= LONGEST_TYPE);
        let kind = EventType::of(&kind.ok_or(Malformed::Type)?);
        let (call, at, actor) = match kind {
            EventType::Known(_) => known(&kind, &fields)?,
            EventType::Unknown(_) => unknown(&fields),
        };
        let received = RawValue::from_string(text.to_owned()).map_err(wrong)?;
        let uuid = identity::uuid(call.as_ref(), kind.as_str(), at, actor.as_deref(), received.get());
        Ok(Self { uuid, kind, call, at, actor, received })
    }
}

type Placed = (Option<CallId>, Option<Timestamp>, Option<String>);

/// What places an event of a known type: what is there must be right, and what its type must have must be there.
fn known(kind: &EventType, fields: &Fields<'_>) -> Result<Placed, Malformed> {
    let belongs = kind.belongs();
    let call = match fields.call_id {
        _ if belongs == Belongs::NoCall => None,
        None if belongs == Belongs::ACall => return Err(Malformed::CallId),
        None => None,
        Some(value) => Some(string(value).ok_or(Malformed::CallId)?.parse()?),
    };
    let at = match fields.timestamp {
        // Their documentation does not say what these have.
        None if belongs == Belongs::WhatItNames => None,
        None => return Err(Malformed::Timestamp),
        Some(value) => Some(string(value).and_then(|text| instant::read(&text)).ok_or(Malformed::Timestamp)?),
    };
    let actor = match fields.actor {
        None => None,
        Some(value) => Some(string(value).filter(|text| text.len() <= LONGEST_ACTOR).ok_or(Malformed::Actor)?),
    };
    Ok((call, at, actor))
}

/// What places an event of an unknown type, as far as it can be read.
fn unknown(fields: &Fields<'_>) -> Placed {
    let text = |value: Option<&RawValue>| value.and_then(string);
    (
        text(fields.call_id).and_then(|text| text.parse().ok()),
        text(fields.timestamp).and_then(|text| instant::read(&text)),
        text(fields.actor).filter(|text| text.len() <= LONGEST_ACTOR),
    )
}

/// A JSON string's text.
fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// Whether brackets are open deeper than [`DEEPEST`]. What is inside of strings does not count; whether they match, the
/// reader finds out.
fn is_too_deep(text: &str) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return true;
        }
    }
    false
}

/// Where in a body a byte is.
fn place(body: &[u8], at: usize) -> Malformed {
    let before = body.get(..at).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    Malformed::NotJson { line, column }
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
