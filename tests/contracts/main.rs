//! Contracts: what every implementation of a port must do, over each of them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests stop the test")]

mod calls;
mod calls_dynamodb;
mod calls_mishaps;
mod clouds;
mod dynamodb;
mod dynamodb_answers;
mod dynamodb_cold;
mod fetched;
mod folder;
mod google_account;
mod ledgers;
mod s3;
mod s3_answers;
mod secret_file;
mod secret_versions;
mod secrets;
mod sqlite;
mod store_mishaps;
mod topic;
