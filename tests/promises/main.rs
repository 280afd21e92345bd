//! The promises (design, section 3), held by the stages themselves over ledgers, archives and a source in memory.
//!
//! One small loop runs query, submit, poll, describe, upload and close until the days are closed. Time is paused and
//! moves by itself, so nothing here waits and everything happens in the same order each time.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests stop the test")]

mod days;
mod faults;
mod histories;
mod markers;
mod notifications;
mod outages;
mod outcomes;
mod properties;
mod reading;
mod restores;
mod settings;
mod stopping;
mod verifying;
mod voicemail;
mod world;
