//! Telephony calls (Teravoz): what their events say, and what is answered about them.
//!
//! | module | owns |
//! |---|---|
//! | [`event`] | a webhook's event: what is read of it, and that it is kept as it was received |
//! | [`identity`] | when two events are the same one, and the UUID that says so |
//! | [`call`] | a call's state: the fold of its events, in whatever order they came |
//! | [`store`] | the port: append-only events and their projection |
//! | [`memory`] | the store in memory |
//! | [`message`] | the websocket's messages, in the shapes that its clients know |
//! | [`desk`] | a message of a websocket, from text to text |
//! | [`webhook`] | a request with an event, from request to response |
//! | [`gate`] | who may send events, and who may look at them |
//! | [`problem`] | refusals over HTTP, as RFC 9457 wants them |
//!
//! No I/O, no clock, no chance: time comes as an argument, and an event's UUID from what identifies the event. The local server
//! and the functions run this same code. Must never log an event or a part of one: they hold telephone numbers and people.

pub mod call;
pub mod desk;
pub mod event;
pub mod gate;
pub mod identity;
mod instant;
pub mod memory;
pub mod message;
pub mod problem;
pub mod store;
pub mod webhook;

pub use problem::Problem;
