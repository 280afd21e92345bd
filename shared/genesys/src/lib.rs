//! The Genesys Cloud client of callvault.
//!
//! | module | owns |
//! |---|---|
//! | [`ids`] | identifiers, parsed once at the door |
//! | [`clock`] | the port through which time comes in |
//! | [`api`] | the calls callvault makes, as traits in our words, with their errors |
//! | [`models`] | what the platform answers: the fields we use, open enums |
//! | [`pages`] | conversations of a window, page by page, split and deduplicated |
//! | [`region`] | the regions of Genesys Cloud and their hosts |
//! | [`redact`] | what must not appear in texts that come from outside |
//! | [`user_secret`] | the JSON document that holds a user's client and tokens |
//! | `http` (feature `http`) | the one implementation of the traits over HTTP |
//!
//! This crate knows HTTP and the platform. It knows no AWS, no archive and no pipeline.

pub mod api;
pub mod clock;
pub mod ids;
pub mod models;
pub mod pages;
pub mod redact;
pub mod region;
pub mod user_secret;

#[cfg(feature = "http")]
pub mod http;
