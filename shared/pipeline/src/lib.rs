//! The domain of callvault: what is to be done, in which order, and what makes it done.
//!
//! Everything is one loop over one ledger: **claim what is due, do it, settle it.**
//!
//! | module | owns |
//! |---|---|
//! | [`day`] | days in a time zone and their windows |
//! | [`facts`] | what is kept of a conversation |
//! | [`kind`] | kinds of recordings, content types, extensions |
//! | [`layout`] | where an object goes in the archive |
//! | [`reason`] | why something is not in the archive |
//! | [`ledger`] | rows, the ledger port, its state machine, the ledger in memory |
//! | [`archive`] | the archive port, the archive in memory |
//! | [`reconcile`] | what the metadata says against what was delivered |
//! | [`chat`] | dropping chat messages that are not wanted |
//! | [`manifest`] | the day's manifest and markers |
//! | [`estimate`] | what exporting days will take |
//! | [`jobs`] | reading batch jobs politely, and the URLs they give |
//! | [`notification`] | telling people of closed days: what is said, and the port |
//! | [`redrive`] | parked work, opened again |
//! | [`report`] | how the days stand, for people |
//! | [`requests`] | how many API requests a day takes |
//! | [`rotation`] | a user's tokens: the four steps that renew them |
//! | [`schedule`] | which days a schedule plans |
//! | [`stages`] | query, submit, poll, describe, upload, close, voicemail |
//! | [`verify`] | source, ledger and archive of a day against each other |
//! | [`volumes`] | what a day holds, by kind |
//!
//! This crate does no I/O of its own: no HTTP, no SQL, no AWS, no environment, no clock. All of that comes in through
//! ports.

pub mod archive;
pub mod chat;
pub mod day;
pub mod estimate;
pub mod facts;
pub mod jobs;
pub mod kind;
pub mod layout;
pub mod ledger;
pub mod manifest;
pub mod notification;
pub mod reason;
pub mod reconcile;
pub mod redrive;
pub mod report;
pub mod requests;
pub mod rotation;
pub mod schedule;
pub mod stages;
pub mod verify;
pub mod volumes;

pub use callvault_genesys::{api, clock, ids, models, redact, user_secret};
