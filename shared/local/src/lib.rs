//! Adapters for one machine: the ledger in a SQLite file, the archive in a folder, a user's tokens in a file.
//!
//! | module | owns |
//! |---|---|
//! | [`sqlite`] | the ledger's file: schema, transactions, whose claims are alive |
//! | [`folder`] | the archive's folder: whole files, created once |
//! | [`secret_file`] | a signed-in user's secret: read, renewed, written for its owner alone |
//!
//! They implement the pipeline's ports and pass its contracts. They decide nothing: what a row becomes is decided by
//! the pipeline's state machine.

pub mod folder;
pub mod secret_file;
pub mod sqlite;
