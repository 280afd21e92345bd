//! Adapters for one machine: the ledger in a SQLite file, the archive in a folder.
//!
//! | module | owns |
//! |---|---|
//! | [`sqlite`] | the ledger's file: schema, transactions, whose claims are alive |
//! | [`folder`] | the archive's folder: whole files, created once |
//!
//! They implement the pipeline's ports and pass its contracts. They decide nothing: what a row becomes is decided by
//! the pipeline's state machine.

pub mod folder;
pub mod sqlite;
