//! Contracts: what every implementation of a port must do, over each of them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests stop the test")]

mod folder;
mod ledgers;
mod sqlite;
