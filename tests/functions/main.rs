//! The functions' handlers over ports in memory: every event has its documented answer or its code, and stages stop in
//! time. The same functions as binaries, under the real runtime, are in `cloud`.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop the test")]

mod events;
mod jobs_api;
mod pipeline;
mod push_calls;
mod settings;
mod telling;
mod voicemail;
mod world;
