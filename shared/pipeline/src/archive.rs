//! The archive port: whole objects under keys, written once.
//!
//! Recordings are only ever created ([`Archive::put_new`]): different content never replaces an object that is there.
//! Documents about a day or conversation (markers, metadata) may be replaced, whole for whole. What an archive must do
//! is held by one contract that every implementation passes.

pub mod cutter;
pub mod memory;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use sha2::{Digest, Sha256};

use crate::api::{MediaError, SignedUrl};
use crate::layout::Key;

/// A body on its way into an archive.
pub type Body = BoxStream<'static, Result<Bytes, MediaError>>;

/// An object offered to an archive.
pub struct Offer<'a> {
    /// Where it goes.
    pub key: &'a Key,
    /// What it is, for stores that keep that.
    pub content_type: Option<&'a str>,
    /// How long the source says it is, in bytes.
    pub length: Option<u64>,
    /// The bytes.
    pub body: Body,
}

/// An object that a store is to fetch from the source by itself.
pub struct Fetch<'a> {
    /// Where it goes.
    pub key: &'a Key,
    /// What it is.
    pub content_type: Option<&'a str>,
    /// How long the source says it is, in bytes.
    pub length: u64,
    /// Where it is. A secret: for the store only, and judged before by whoever offers it.
    pub url: &'a SignedUrl,
}

/// What was computed while a body went by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256 in lower-case hex.
    pub sha256: String,
}

/// What became of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// It is in the archive, whole.
    Stored(Proof),
    /// An object was there already and stays as it is; the proof is of what was offered.
    AlreadyThere {
        /// Whether it has the same bytes.
        same: bool,
        /// Of the offered body.
        proof: Proof,
    },
}

/// An object of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: Key,
    /// Its length.
    pub bytes: u64,
}

/// Keeps objects.
#[async_trait]
pub trait Archive: Send + Sync {
    /// Creates an object, whole or not at all. Nothing is visible under the key before length and checksum of what
    /// was written are known to be right.
    ///
    /// # Errors
    /// [`PutError`]; nothing is left under the key then.
    async fn put_new(&self, offer: Offer<'_>) -> Result<Put, PutError>;

    /// Has the store create an object out of what it fetches from the source by itself, so that the bytes do not pass
    /// through us on their way there. The proof is of what the store has then, read back from it. `None` where it cannot
    /// be done this way (most stores, an object that is there already, a source that the store cannot read): offer the
    /// bytes with [`Archive::put_new`] then.
    ///
    /// # Errors
    /// [`PutError`]; nothing is left under the key then.
    async fn fetch_new(&self, _fetch: Fetch<'_>) -> Result<Option<Proof>, PutError> {
        Ok(None)
    }

    /// Creates or replaces a small document, whole for whole.
    ///
    /// # Errors
    /// [`ArchiveError`]; the old document stays then.
    async fn put_document(&self, key: &Key, content_type: &str, content: Bytes) -> Result<(), ArchiveError>;

    /// The length of an object; `None` when there is none.
    ///
    /// # Errors
    /// [`ArchiveError`].
    async fn head(&self, key: &Key) -> Result<Option<u64>, ArchiveError>;

    /// An object's bytes; `None` when there is none.
    ///
    /// # Errors
    /// [`ArchiveError`].
    async fn read(&self, key: &Key) -> Result<Option<BoxStream<'static, Result<Bytes, ArchiveError>>>, ArchiveError>;

    /// Removes an object; one that is not there is removed already.
    ///
    /// # Errors
    /// [`ArchiveError`].
    async fn delete(&self, key: &Key) -> Result<(), ArchiveError>;

    /// Every object whose key begins with `folder` (a text that ends with `/`, or nothing), in no particular order.
    async fn list(&self, folder: &str) -> BoxStream<'static, Result<Listed, ArchiveError>>;

    /// The key as a URL that a person can follow.
    fn url(&self, key: &Key) -> String;
}

/// Why an archive refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// No room left.
    #[error("the archive has no room left: free some and run again, nothing is lost")]
    Full,
    /// We may not do that there.
    #[error("the archive may not be written ({detail}): check who may write to it")]
    Denied {
        /// What the store said.
        detail: String,
    },
    /// It is not there, or does not answer.
    #[error("the archive cannot be reached ({detail}): check ARCHIVE")]
    Unreachable {
        /// What the store said.
        detail: String,
    },
    /// It failed at this object.
    #[error("the archive failed ({detail})")]
    Failed {
        /// What the store said.
        detail: String,
    },
}

impl ArchiveError {
    /// Whether every other write would fail too.
    pub fn is_general(&self) -> bool {
        match self {
            Self::Full | Self::Denied { .. } | Self::Unreachable { .. } => true,
            Self::Failed { .. } => false,
        }
    }

    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full => "archive-full",
            Self::Denied { .. } => "archive-denied",
            Self::Unreachable { .. } => "archive-unreachable",
            Self::Failed { .. } => "archive-failed",
        }
    }
}

/// Why an object was not created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PutError {
    /// The body broke off.
    #[error("the body broke off")]
    Body(#[source] MediaError),
    /// The body has another length than declared.
    #[error("the source declared {declared} bytes and sent {received}")]
    Length {
        /// What was declared.
        declared: u64,
        /// What came.
        received: u64,
    },
    /// The archive refused.
    #[error(transparent)]
    Store(#[from] ArchiveError),
}

/// Computes a [`Proof`] while a body goes by. Every archive uses it, so that all prove the same.
#[derive(Debug, Default)]
pub struct Prover {
    bytes: u64,
    sha256: Sha256,
}

impl Prover {
    /// Counts and digests the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.sha256.update(bytes);
    }

    /// The proof.
    ///
    /// # Errors
    /// [`PutError::Length`] when the source declared another length.
    pub fn finish(self, declared: Option<u64>) -> Result<Proof, PutError> {
        match declared {
            Some(declared) if declared != self.bytes => Err(PutError::Length { declared, received: self.bytes }),
            _ => Ok(Proof { bytes: self.bytes, sha256: hex(&self.sha256.finalize()) }),
        }
    }
}

/// The proof of bytes in memory.
pub fn prove(bytes: &[u8]) -> Proof {
    Proof { bytes: bytes.len() as u64, sha256: hex(&Sha256::digest(bytes)) }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
