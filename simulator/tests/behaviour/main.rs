//! The simulator as a client meets it, over real connections: the traps that its users' tests rely on.

#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod client;
mod limits;
mod org;
mod users;
mod voicemail;
