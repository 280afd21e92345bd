//! Objects that are one PUT: streamed from the source, or from memory.

use std::time::Duration;

use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::operation::put_object::{PutObjectError, PutObjectOutput};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumAlgorithm;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use callvault_pipeline::archive::{Archive, ArchiveError, Offer, Proof, Put, PutError};
use callvault_pipeline::layout::Key;
use futures_util::future::{Either, select};

use super::cutter::{Digests, cut, finish};
use super::errors::{Meaning, archive_error, meaning};
use super::feed::feed;
use super::{S3Archive, as_settings_say};

/// How often a PUT is repeated that met another one of the same key.
const MOST_CONFLICTS: u32 = 4;

/// The name under which objects from memory carry their SHA-256, for stores that keep no checksum.
pub(super) const SHA256: &str = "sha256";

/// A PUT's answer.
type Answer = Result<PutObjectOutput, SdkError<PutObjectError, aws_sdk_s3::config::http::HttpResponse>>;

impl S3Archive {
    fn put_request(&self, key: &Key, content_type: Option<&str>) -> PutObjectFluentBuilder {
        let request = self.client.put_object().bucket(&self.bucket).key(self.path(key)).if_none_match("*");
        let request = request.set_content_type(content_type.map(str::to_owned));
        as_settings_say!(request, self, true).checksum_algorithm(ChecksumAlgorithm::Sha256)
    }

    /// Sends a body as it comes: only a few pieces of it are in memory. It can be sent once only.
    pub(super) async fn put_streamed(&self, offer: Offer<'_>, length: u64) -> Result<Put, PutError> {
        let (feeder, fed, answered) = feed(length);
        let body = ByteStream::from_body_1_x(fed);
        let request = self.put_request(offer.key, offer.content_type).content_length(length.cast_signed()).body(body);
        // Moved, so that it is dropped, and the feeder told, as soon as there is an answer.
        let send = Box::pin(async move {
            let _told = answered;
            request.customize().config_override(self.transfer()).send().await
        });
        let feeding = Box::pin(feeder.run(offer.body, length));
        let (proof, answer) = match select(feeding, send).await {
            // Dropping the request closes its connection: S3 never gets the end of the body.
            Either::Left((Err(error), _)) => return Err(error),
            Either::Left((Ok(proof), send)) => (proof, send.await),
            Either::Right((Err(error), _)) if matches!(meaning(&error), Meaning::Other | Meaning::Denied) => {
                return Err(self.refused(offer.key, &error).into());
            }
            // Whatever was offered has to be proved, and a body that is not whole comes before what S3 thinks of it.
            Either::Right((answer, feeding)) => (feeding.await?, answer),
        };
        self.settle(offer.key, proof, answer).await
    }

    /// Sends a small body from memory; the SDK repeats what fails.
    pub(super) async fn put_buffered(&self, offer: Offer<'_>, length: u64) -> Result<Put, PutError> {
        let mut cutter = cut(offer.body, Some(length));
        let size = usize::try_from(length).unwrap_or(usize::MAX);
        let content = cutter.next(size).await?;
        let digests = finish(cutter).await?;
        self.put_bytes(offer.key, offer.content_type, content, digests.proof).await
    }

    /// Sends bytes.
    pub(super) async fn put_bytes(
        &self,
        key: &Key,
        content_type: Option<&str>,
        content: Bytes,
        proof: Proof,
    ) -> Result<Put, PutError> {
        let mut conflicts = 0;
        loop {
            let request = self.put_request(key, content_type).metadata(SHA256, &proof.sha256);
            let request = request.body(ByteStream::from(content.clone()));
            let answer = request.customize().config_override(self.transfer()).send().await;
            match &answer {
                Err(error) if meaning(error) == Meaning::Conflict && conflicts < MOST_CONFLICTS => {
                    conflicts += 1;
                    self.clock.sleep(Duration::from_millis(100 << conflicts)).await;
                }
                _ => return self.settle(key, proof, answer).await,
            }
        }
    }

    /// What an answer means for the offer.
    async fn settle(&self, key: &Key, proof: Proof, answer: Answer) -> Result<Put, PutError> {
        let error = match answer {
            Ok(stored) => return Ok(Put::Stored(self.confirmed(key, proof, &stored)?)),
            Err(error) => error,
        };
        match meaning(&error) {
            Meaning::Exists => {}
            // It may have arrived. If the archive does not even answer that question, this says so.
            Meaning::Conflict | Meaning::Unknown if self.head(key).await?.is_some() => {}
            _ => {
                return Err(match self.refused(key, &error) {
                    // The archive has just answered another question, so only this request failed.
                    ArchiveError::Unreachable { detail } if meaning(&error) == Meaning::Unknown => {
                        ArchiveError::Failed { detail }.into()
                    }
                    refused => refused.into(),
                });
            }
        }
        let same = self.is_same(key, &Digests::from(proof.clone())).await?;
        Ok(Put::AlreadyThere { same, proof })
    }

    fn refused(
        &self,
        key: &Key,
        error: &SdkError<PutObjectError, aws_sdk_s3::config::http::HttpResponse>,
    ) -> ArchiveError {
        archive_error(self.action("PutObject", &self.url(key)), error)
    }

    /// The store says which checksum it keeps: it must be ours.
    fn confirmed(&self, key: &Key, proof: Proof, stored: &PutObjectOutput) -> Result<Proof, ArchiveError> {
        match stored.checksum_sha256() {
            Some(kept) if hex_of_base64(kept).as_deref() != Some(&proof.sha256) => {
                let url = self.url(key);
                Err(ArchiveError::Failed { detail: format!("PutObject {url}: the store keeps another SHA-256") })
            }
            _ => Ok(proof),
        }
    }
}

/// A digest in the spelling of our proofs.
pub(super) fn hex_of_base64(text: &str) -> Option<String> {
    use std::fmt::Write;
    let bytes = BASE64_STANDARD.decode(text).ok()?;
    Some(bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}
