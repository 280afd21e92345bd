//! The rotation of a user's tokens: the real function under the real runtime protocol, driven as Secrets Manager drives
//! it, with a gate between it and everything it talks to.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests stop the test")]

mod events;
mod faults;
mod moto;
mod scene;
mod steps;
