//! callvault as it runs on AWS: the real function binaries under the real runtime protocol, until a day is closed.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests stop the test")]

mod calls;
mod days;
mod jobs_api;
mod secrets;
mod voicemail;
