//! Blobs that are one request, from memory.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use callvault_pipeline::archive::cutter::Checksum;
use callvault_pipeline::archive::{Archive, ArchiveError, Proof, Put, PutError};
use callvault_pipeline::layout::Key;
use http::Method;
use md5::Digest;

use super::errors::{Meaning, meaning};
use super::{AzureArchive, SHA256};
use crate::wire::{Answer, Call, NoAnswer};

/// MD5, which Azure verifies and keeps.
#[derive(Default)]
pub(super) struct Md5(md5::Md5);

impl Md5 {
    /// As headers spell it.
    pub(super) fn text(self) -> String {
        BASE64_STANDARD.encode(self.0.finalize())
    }
}

impl Checksum for Md5 {
    fn see(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

/// MD5 of bytes in memory, as headers spell it.
pub(super) fn md5_of(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(md5::Md5::digest(bytes))
}

impl AzureArchive {
    /// Put Blob: creates or replaces.
    pub(super) fn put_blob(&self, key: &Key, content_type: Option<&str>, content: Bytes, md5: Option<&str>) -> Call {
        let md5 = md5.map_or_else(|| md5_of(&content), str::to_owned);
        let call = self.blob(Method::PUT, key).header("x-ms-blob-type", "BlockBlob").header("content-md5", &md5);
        let call = match content_type {
            Some(content_type) => call.header("x-ms-blob-content-type", content_type),
            None => call,
        };
        if content.is_empty() { call } else { call.body([content]) }
    }

    /// Creates a blob in one request.
    pub(super) async fn put_whole(
        &self,
        key: &Key,
        content_type: Option<&str>,
        content: Bytes,
        (proof, md5): (Proof, Md5),
    ) -> Result<Put, PutError> {
        let md5 = md5.text();
        let call = self.put_blob(key, content_type, content, Some(&md5));
        let call = call.header("if-none-match", "*").header(SHA256, &proof.sha256);
        let answer = self.wire.ask(&call).await;
        if let Ok(answer) = answer.as_ref().map_err(|_| ()).and_then(|one| one.is_success().then_some(one).ok_or(())) {
            if answer.header("content-md5").is_some_and(|kept| kept != md5) {
                let detail = format!("Put Blob {}: Azure keeps another MD5 than it was sent", self.url(key));
                return Err(ArchiveError::Failed { detail }.into());
            }
            return Ok(Put::Stored(proof));
        }
        self.settle("Put Blob", key, proof, answer).await
    }

    /// What an answer other than success means for an offer.
    pub(super) async fn settle(
        &self,
        action: &str,
        key: &Key,
        proof: Proof,
        answer: Result<Answer, NoAnswer>,
    ) -> Result<Put, PutError> {
        let refused = match answer {
            Ok(answer) => match meaning(&answer) {
                Meaning::Exists => return self.compare(key, proof).await,
                // It may have arrived, of us or of another writer. If not even that is answered, this says so.
                Meaning::Unknown | Meaning::BlocksGone if self.head(key).await?.is_some() => {
                    return self.compare(key, proof).await;
                }
                _ => self.refused(action, &self.url(key), &answer),
            },
            Err(NoAnswer::Silence(why)) => {
                if self.head(key).await?.is_some() {
                    return self.compare(key, proof).await;
                }
                // Azure has just answered another question, so only this request failed.
                ArchiveError::Failed { detail: format!("{action} {}: {why}", self.url(key)) }
            }
            Err(none) => self.unanswered(none, action, &self.url(key)),
        };
        Err(refused.into())
    }
}
