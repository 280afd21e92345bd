//! Ports that fail, by call number, around any implementation of them.
//!
//! A [`Script`] numbers the calls of each method from 1 and says which of them fail, how, and whether before or after
//! the call took effect. One script may serve the ledger, the archive and the source of one process. A script without
//! faults changes nothing, so wrapped ports pass the contracts.
#![expect(clippy::unwrap_used, reason = "a poisoned lock means that a test has failed already")]

mod announcer;
mod archive;
mod ledger;
mod script;
mod source;

pub use announcer::FaultyAnnouncer;
pub use archive::FaultyArchive;
pub use ledger::{FaultyLedger, PromptLedger};
pub use script::{Fault, How, Script, Stopped, When, kills};
pub use source::FaultySource;
