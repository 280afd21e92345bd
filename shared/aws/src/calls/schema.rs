//! The names of the table of calls, as the template and whoever makes a table for tests must write them.
//!
//! | item | partition key | sort key |
//! |---|---|---|
//! | a call: its row, with the event that was folded last | `call/ID` | `call` |
//! | an event of a call | `call/ID` | `event/UUID` |
//! | an event of no call | `none/UUID` | `event/UUID` |
//! | the numbers that were given out | `numbers` | `numbers` |
//! | an open websocket | `connections` | `connection/ID` |
//!
//! Keys, version and write token are called as in the ledger's table ([`crate::dynamodb::schema`]). The table keeps new images
//! in its stream; [`TELL`] is what a filter on it looks at.

pub use crate::dynamodb::schema::{EXPIRES, PARTITION, SORT, VERSION, WRITE};

/// The number of a call's event, number; sort key of [`EVENTS_INDEX`].
pub const NUMBER: &str = "n";
/// The number of a call, or of an event of no call, number; sort key of [`LIST_INDEX`] and [`STATE_INDEX`].
pub const ID: &str = "id";
/// [`CALLS`] or [`NONE`]; partition key of [`LIST_INDEX`].
pub const LIST: &str = "list";
/// A call's state, text; partition key of [`STATE_INDEX`].
pub const STATE: &str = "state";
/// What whoever reads the stream tells of it: [`TELL_CALL`] or [`TELL_CONNECTION`], text.
pub const TELL: &str = "tell";

/// Local secondary index over [`NUMBER`], with everything: a call's events in the order of their numbers, as they are now.
pub const EVENTS_INDEX: &str = "events";
/// Global secondary index over [`LIST`] and [`ID`], keys only.
pub const LIST_INDEX: &str = "list-id";
/// Global secondary index over [`STATE`] and [`ID`], keys only.
pub const STATE_INDEX: &str = "state-id";

/// All calls.
pub const CALLS: &str = "calls";
/// All events of no call.
pub const NONE: &str = "none";
/// A call's row that has a new event.
pub const TELL_CALL: &str = "call";
/// A connection that was opened.
pub const TELL_CONNECTION: &str = "connection";

/// The partition of a call begins like this.
pub const OF_CALL: &str = "call/";
/// The partition of an event of no call begins like this.
pub const OF_NONE: &str = "none/";
/// The sort key of a call's row.
pub const ROW: &str = "call";
/// The sort key of an event begins like this.
pub const EVENT: &str = "event/";
/// Both keys of the item that says which numbers were given out.
pub const NUMBERS: &str = "numbers";
/// The partition of all open connections.
pub const CONNECTIONS: &str = "connections";
/// The sort key of a connection begins like this.
pub const CONNECTION: &str = "connection/";
