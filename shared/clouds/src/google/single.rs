//! Objects that are one request, from memory.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use callvault_pipeline::archive::cutter::Checksum;
use callvault_pipeline::archive::{Archive, ArchiveError, Proof, Put, PutError};
use callvault_pipeline::layout::Key;
use crc_fast::{CrcAlgorithm, Digest};
use http::Method;
use serde_json::json;

use super::errors::{Meaning, meaning, refusal};
use super::{GoogleArchive, Resource, SHA256, read_resource};
use crate::wire::{Answer, Call, NoAnswer};

/// Between the parts of a request that has two. Its length is declared, so it need not be a text that no media contains
/// for Google; it is long for those that look for it.
const BOUNDARY: &str = "callvault-8f2b1c7e5a9d4036b1e4f7a2c8d05e93";

/// CRC32C, which Google verifies and keeps.
pub(super) struct Crc32c(Digest);

impl Default for Crc32c {
    fn default() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc32Iscsi))
    }
}

impl Crc32c {
    /// Of bytes in memory.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut crc32c = Self::default();
        crc32c.0.update(bytes);
        crc32c
    }

    /// As the API spells it: Base64 of the highest byte first.
    pub(super) fn text(&self) -> String {
        let narrow = u32::try_from(self.0.finalize() & u64::from(u32::MAX)).unwrap_or_default();
        BASE64_STANDARD.encode(narrow.to_be_bytes())
    }
}

impl Checksum for Crc32c {
    fn see(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

impl GoogleArchive {
    /// objects.insert of a description and content.
    pub(super) fn multipart(
        &self,
        key: &Key,
        content_type: Option<&str>,
        content: Bytes,
        proof: Option<&Proof>,
        crc32c: &Crc32c,
    ) -> Call {
        let content_type = content_type.filter(|text| is_header_text(text)).unwrap_or("application/octet-stream");
        let mut described = json!({"contentType": content_type, "crc32c": crc32c.text()});
        if let Some(proof) = proof {
            described["metadata"] = json!({SHA256: proof.sha256});
        }
        let head = format!(
            "--{BOUNDARY}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{described}\r\n\
             --{BOUNDARY}\r\nContent-Type: {content_type}\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        );
        let tail = format!("\r\n--{BOUNDARY}--\r\n");
        let call = self.upload("multipart", key);
        let call = call.header("content-type", &format!("multipart/related; boundary={BOUNDARY}"));
        call.body([Bytes::from(head), content, Bytes::from(tail)])
    }

    /// Creates an object in one request.
    pub(super) async fn put_whole(
        &self,
        key: &Key,
        content_type: Option<&str>,
        content: Bytes,
        proof: Proof,
        crc32c: &Crc32c,
    ) -> Result<Put, PutError> {
        let call = self.multipart(key, content_type, content, Some(&proof), crc32c);
        let answer = self.wire.ask(&call.query("ifGenerationMatch", "0")).await;
        match answer {
            Ok(answer) if answer.is_success() => {
                self.confirm(key, &answer, &proof, &crc32c.text()).await?;
                Ok(Put::Stored(proof))
            }
            answer => self.settle("objects.insert", key, proof, answer).await,
        }
    }

    /// Google says which checksum it keeps: it must be ours. An object that has another is removed again.
    pub(super) async fn confirm(
        &self,
        key: &Key,
        answer: &Answer,
        proof: &Proof,
        crc32c: &str,
    ) -> Result<Resource, PutError> {
        let url = self.url(key);
        let kept = read_resource(answer, "objects.insert", &url)?;
        if kept.bytes() == proof.bytes && kept.crc32c.as_deref().is_none_or(|kept| kept == crc32c) {
            return Ok(kept);
        }
        if let Some(generation) = &kept.generation {
            let call = self.object(Method::DELETE, key).query("ifGenerationMatch", generation);
            self.ask("objects.delete", &url, &call).await?;
        }
        Err(ArchiveError::Failed { detail: format!("objects.insert {url}: Google keeps other bytes than were sent") }
            .into())
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
                Meaning::Unknown | Meaning::Absent if self.head(key).await?.is_some() => {
                    return self.compare(key, proof).await;
                }
                _ => refusal(action, &self.url(key), &answer),
            },
            Err(NoAnswer::Silence(why)) => {
                if self.head(key).await?.is_some() {
                    return self.compare(key, proof).await;
                }
                // Google has just answered another question, so only this request failed.
                ArchiveError::Failed { detail: format!("{action} {}: {why}", self.url(key)) }
            }
            Err(none) => none.into_error(action, &self.url(key)),
        };
        Err(refused.into())
    }

    /// Leaves our SHA-256 with an object of this generation. Without it the object is as whole, and compared by reading.
    pub(super) async fn keep_digest(&self, key: &Key, object: &Resource, proof: &Proof) {
        let url = self.url(key);
        let described = json!({"metadata": {SHA256: proof.sha256}}).to_string();
        let mut call = self.object(Method::PATCH, key).header("content-type", "application/json");
        if let Some(generation) = &object.generation {
            call = call.query("ifGenerationMatch", generation);
        }
        match self.ask("objects.patch", &url, &call.body([Bytes::from(described)])).await {
            Ok(answer) if answer.is_success() => {}
            Ok(answer) => {
                let error = refusal("objects.patch", &url, &answer);
                tracing::warn!(code = error.code(), "an object is without its SHA-256: {error}");
            }
            Err(error) => tracing::warn!(code = error.code(), "an object is without its SHA-256: {error}"),
        }
    }
}

/// Whether a content type can stand in the head of a part: the source says it, so it may be anything.
fn is_header_text(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_spelt_as_google_spells_it() {
        // The check value of CRC-32C, 0xe3069283, of RFC 3720's polynomial.
        assert_eq!(Crc32c::of(b"123456789").text(), BASE64_STANDARD.encode([0xe3, 0x06, 0x92, 0x83]));
    }

    #[test]
    fn a_content_type_cannot_add_headers() {
        assert!(is_header_text("audio/ogg; codecs=opus"));
        for odd in ["", "a\r\nX: y", "ä"] {
            assert!(!is_header_text(odd), "{odd:?}");
        }
    }
}
