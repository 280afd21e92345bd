//! A Genesys Cloud org in a process: an HTTP server that answers as the platform does, over a seeded org whose truth
//! is known, with request counts, faults and a clock that can be moved.
//!
//! It knows the platform from its document (genesys/api.md, genesys/openapi.json) and nothing of callvault's own
//! crates: that independence is what makes it a check of them.
//!
//! The map: `options` say what org to make; `cast` makes its conversations, `org` holds them, `media` generates their
//! files, `analytics` shows them; `voicemail` is what callers left, `grants` what users allowed; `world` is everything that changes; `api` has the endpoints, `filters` the query's
//! filters; `server` is the wire, with `answer` what goes over it and `pieces` how; `faults`, `requests`, `truth` and `clock` are what
//! tests hold on to, over HTTP under `/_sim/` or through [`Simulator`].

mod analytics;
mod answer;
mod api;
mod cast;
mod chance;
mod clock;
mod faults;
mod filters;
mod grants;
mod media;
mod options;
mod org;
mod pieces;
mod requests;
mod server;
mod simulator;
mod truth;
mod voicemail;
mod world;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use faults::{Fault, FaultName, Profile};
pub use options::Options;
pub use requests::Requests;
pub use simulator::Simulator;
pub use truth::{Truth, TruthDay, TruthFile, TruthRecording, TruthVoicemail};
pub use voicemail::NewVoicemails;

/// Locks; a thread that panicked elsewhere does not take the simulator down with it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
