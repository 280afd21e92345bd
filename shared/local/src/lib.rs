//! Adapters for one machine: ledger and calls in SQLite files, the archive in a folder, a user's tokens in a file.
//!
//! | module | owns |
//! |---|---|
//! | [`sqlite`] | the ledger's file: schema, transactions, whose claims are alive |
//! | [`calls`] | telephony's events and calls: a file beside the ledger's |
//! | `connection`, `schema` | any SQLite file: its thread, its transactions, its versions |
//! | [`folder`] | the archive's folder: whole files, created once |
//! | [`secret_file`] | a signed-in user's secret: read, renewed, written for its owner alone |
//!
//! They implement the ports of the pipeline and of calls, and pass their contracts. They decide nothing: what a row becomes is
//! decided by the pipeline's state machine, and what a call is by the fold of its events.

pub mod calls;
mod connection;
pub mod folder;
mod schema;
pub mod secret_file;
pub mod sqlite;
