//! A call's state: the fold of its events, in whatever order they came.
//!
//! Events count in the order of (time, arrival). Only five of them say a state, and the last of those decides: any
//! transition is taken, for outbound calls skip states and abandoned ones end early. Times have whole seconds, so events
//! of one call often share one; the later state of a call's usual life then counts as the later event, whichever
//! arrived first. What is left for arrival to decide are events that say the same.
//!
//! So the fold is a least upper bound: events may be added one by one, in any order, and again, and the state is the same. That is
//! what makes a live projection and a rebuilt one equal.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::Serialize;
use serde::ser::Serializer;

use crate::event::CallId;
use crate::instant;
use crate::store::StoredEvent;

/// The state of a call, in the order of its usual life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// It came, or something of it did: what says no state leaves a call new.
    New,
    /// Answered by the system.
    Standby,
    /// In a queue.
    Waiting,
    /// Somebody talks.
    Ongoing,
    /// Over.
    Finished,
}

impl State {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [Self::New, Self::Standby, Self::Waiting, Self::Ongoing, Self::Finished];

    /// The word that clients know.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Standby => "STANDBY",
            Self::Waiting => "WAITING",
            Self::Ongoing => "ONGOING",
            Self::Finished => "FINISHED",
        }
    }
}

/// Of the words, in upper or lower case.
impl FromStr for State {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.as_str().eq_ignore_ascii_case(text)).ok_or(UnknownState)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected NEW, STANDBY, WAITING, ONGOING or FINISHED")]
pub struct UnknownState;

/// A call, as its events make it. Serializes as the row that websocket clients know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// The number of the event of it that arrived first: so it stays the same when the projection is rebuilt.
    pub id: u64,
    /// The id that the telephony system gave it.
    #[serde(rename = "aggregate_id", serialize_with = "text")]
    pub call: CallId,
    /// Its state.
    pub state: State,
    /// The time of its first event.
    #[serde(serialize_with = "milliseconds")]
    pub created_at: Timestamp,
    /// The time of its last event, also of one that says no state.
    #[serde(serialize_with = "milliseconds")]
    pub updated_at: Timestamp,
    /// When its state was said; `None` while nothing has said one.
    #[serde(skip)]
    pub state_at: Option<Timestamp>,
    /// How many events it is made of. Grows with each of them: of two rows of a call, the one with the greater version is
    /// the newer one.
    #[serde(skip)]
    pub version: u64,
}

impl Call {
    /// A call of which this event is all that is known; `None` for an event of no call.
    pub fn begun(event: &StoredEvent) -> Option<Self> {
        let said = event.kind.state();
        Some(Self {
            id: event.id,
            call: event.call.clone()?,
            state: said.unwrap_or(State::New),
            created_at: event.at,
            updated_at: event.at,
            state_at: said.map(|_| event.at),
            version: 1,
        })
    }

    /// The call with one more event of it. Whether an event is a new one is the store's to know.
    #[must_use]
    pub fn with(&self, event: &StoredEvent) -> Self {
        let before = self.state_at.map(|at| (at, self.state));
        let said = before.max(event.kind.state().map(|state| (event.at, state)));
        Self {
            id: self.id.min(event.id),
            call: self.call.clone(),
            state: said.map_or(State::New, |(_, state)| state),
            created_at: self.created_at.min(event.at),
            updated_at: self.updated_at.max(event.at),
            state_at: said.map(|(at, _)| at),
            version: self.version + 1,
        }
    }

    /// Whether clients see a difference between the two.
    pub fn looks_like(&self, other: &Self) -> bool {
        let seen =
            |call: &Self| (call.id, call.state, instant::written(call.created_at), instant::written(call.updated_at));
        self.call == other.call && seen(self) == seen(other)
    }
}

/// The call that these events make, all of one call; `None` when there are none.
pub fn fold<'a>(events: impl IntoIterator<Item = &'a StoredEvent>) -> Option<Call> {
    events.into_iter().fold(None, |call: Option<Call>, event| match call {
        None => Call::begun(event),
        Some(call) => Some(call.with(event)),
    })
}

fn text<S: Serializer>(call: &CallId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(call.as_str())
}

fn milliseconds<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&instant::written(*at))
}

#[cfg(test)]
#[path = "call_tests.rs"]
mod tests;
