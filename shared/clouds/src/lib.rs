//! The archive in Azure Blob Storage and in Google Cloud Storage.
//!
//! | module | owns |
//! |---|---|
//! | [`azure`] | Azure: blobs in one request or in blocks, copies that Azure makes by itself |
//! | [`google`] | Google Cloud: objects in one request or in a resumable upload |
//! | `wire` | requests that are sent, repeated and answered; what is unanswered |
//! | `buffers` | how much of all uploads together is in memory |
//! | `words` | what a store says, cut to what may be shown |
//!
//! Credentials, their renewal and Azure's signatures are `object_store`'s; the requests are ours, since its uploads in
//! parts know neither `create only` nor the stores' checksums. What is written is created under the store's own
//! precondition, and with the store's own check of every byte. Must never put a credential, a signed URL or the address
//! of an upload session into a log or an error, and never ask for HTTP where the host is not this machine.

pub mod azure;
mod buffers;
pub mod google;
mod wire;
mod words;

pub use buffers::Sizes;

use callvault_pipeline::clock::Clock;
use std::sync::Arc;

/// Time and chance, for pauses between repetitions and for names of blocks.
#[derive(Clone)]
pub struct World {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// From 0.0 to below 1.0.
    pub chance: Arc<dyn Fn() -> f64 + Send + Sync>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

/// Settings that no archive can be made of, in words for whoever wrote them; never with a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadSettings(pub String);

impl std::fmt::Display for BadSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadSettings {}
