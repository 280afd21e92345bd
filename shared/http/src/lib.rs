//! What the HTTP interfaces have in common, whatever they are about.
//!
//! | module | owns |
//! |---|---|
//! | [`problem`] | refusals, as RFC 9457 wants them |
//! | [`instant`] | what a time looks like in a request |
//!
//! No server, no client, no clock. Must never know what a request is about.

pub mod instant;
pub mod problem;

pub use problem::{Problem, response};
