//! Objects in parts: of more than one PUT's length, or of a length nobody knows.
//!
//! Parts are buffers, so that each can be sent again; how many there are is bounded for all uploads of the archive
//! together. An upload that is not completed is aborted, also when its future is dropped; what an abort cannot reach
//! (a killed process) is left to the bucket's lifecycle rule.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use callvault_pipeline::archive::{Archive, ArchiveError, Offer, Put, PutError};
use callvault_pipeline::layout::Key;
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use tokio::sync::OwnedSemaphorePermit;

use super::cutter::{Cutter, Digests, cut, finish};
use super::errors::{Meaning, archive_error, meaning};
use super::{S3Archive, as_settings_say};

/// S3's limit for an object.
const MOST_BYTES: u64 = 5 * 1024 * 1024 * 1024 * 1024;

/// S3's limit for parts of an object.
const MOST_PARTS: u64 = 10_000;

/// A buffer of a part, and the right to have it.
struct Buffer {
    bytes: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl S3Archive {
    /// Sends a body in parts, or in one PUT when it ends within the first part.
    pub(super) async fn put_in_parts(&self, offer: Offer<'_>) -> Result<Put, PutError> {
        let size = part_size(self.options.sizes.part, offer.length);
        let mut cutter = cut(offer.body, offer.length);
        let first = self.cut(&mut cutter, size).await?;
        if cutter.is_at_end() {
            let proof = finish(cutter).await?.proof;
            return self.put_bytes(offer.key, offer.content_type, first.bytes, proof).await;
        }
        if let Some(declared) = offer.length.filter(|declared| *declared > MOST_BYTES) {
            let detail = format!("{}: S3 takes at most 5 TiB, this is {declared} bytes", self.url(offer.key));
            return Err(ArchiveError::Failed { detail }.into());
        }
        // One question is cheaper than sending all parts in vain; the condition still stands when they are completed.
        if self.head(offer.key).await?.is_some() {
            drop(first);
            return self.compare(offer.key, finish(cutter).await?).await;
        }
        let upload = self.create(offer.key, offer.content_type).await?;
        let sent = self.send_parts(&upload, offer.key, cutter, first, size).await;
        let put = match sent {
            Ok((parts, digests)) => self.complete(&upload, offer.key, parts, digests).await,
            Err(error) => Err(error),
        };
        match &put {
            Ok(Put::Stored(_)) => upload.done(),
            _ => upload.abort().await,
        }
        put
    }

    /// Fills a buffer, when one is free. Large parts take the place of several.
    async fn cut(&self, cutter: &mut Cutter, size: usize) -> Result<Buffer, PutError> {
        let sizes = &self.options.sizes;
        let permits = size.div_ceil(sizes.part.max(1)).min(sizes.part_buffers.max(1));
        let permits = u32::try_from(permits).unwrap_or(u32::MAX);
        let permit = self.part_buffers.clone().acquire_many_owned(permits).await;
        let permit = permit.map_err(|error| ArchiveError::Failed { detail: error.to_string() })?;
        Ok(Buffer { bytes: cutter.next(size).await?, _permit: permit })
    }

    async fn create(&self, key: &Key, content_type: Option<&str>) -> Result<Upload, PutError> {
        let request = self.client.create_multipart_upload().bucket(&self.bucket).key(self.path(key));
        let request = as_settings_say!(request, self, true).set_content_type(content_type.map(str::to_owned));
        let request = request.checksum_algorithm(ChecksumAlgorithm::Crc64Nvme).checksum_type(ChecksumType::FullObject);
        let created = request.send().await;
        let created =
            created.map_err(|error| archive_error(self.action("CreateMultipartUpload", &self.url(key)), &error))?;
        let Some(id) = created.upload_id else {
            let detail = format!("CreateMultipartUpload {}: no upload id", self.url(key));
            return Err(ArchiveError::Failed { detail }.into());
        };
        let (client, bucket, path) = (self.client.clone(), self.bucket.clone(), self.path(key));
        Ok(Upload { client, bucket, path, id, open: true })
    }

    /// Sends parts while the next one is cut.
    async fn send_parts(
        &self,
        upload: &Upload,
        key: &Key,
        mut cutter: Cutter,
        first: Buffer,
        size: usize,
    ) -> Result<(Vec<CompletedPart>, Digests), PutError> {
        let (mut flying, mut parts, mut number) = (FuturesUnordered::new(), Vec::new(), 1);
        flying.push(self.send_part(upload, key, number, first));
        while !cutter.is_at_end() && !cutter.is_too_long() {
            if u64::from(number.unsigned_abs()) >= MOST_PARTS {
                let detail = format!("{}: more than 10,000 parts of {size} bytes", self.url(key));
                return Err(ArchiveError::Failed { detail }.into());
            }
            let mut next = Box::pin(self.cut(&mut cutter, size));
            let buffer = loop {
                // Parts must go on while a buffer is waited for: they are what gives buffers back.
                if flying.is_empty() {
                    break next.await?;
                }
                match select(next, flying.next()).await {
                    Either::Left((buffer, _)) => break buffer?,
                    Either::Right((part, waiting)) => {
                        parts.extend(part.transpose()?);
                        next = waiting;
                    }
                }
            };
            number += 1;
            flying.push(self.send_part(upload, key, number, buffer));
        }
        if cutter.is_too_long() {
            // Only counted from here on; what flies is dropped.
            drop(flying);
            return Ok((parts, finish(cutter).await?));
        }
        while let Some(part) = flying.next().await {
            parts.push(part?);
        }
        parts.sort_by_key(CompletedPart::part_number);
        Ok((parts, finish(cutter).await?))
    }

    async fn send_part(
        &self,
        upload: &Upload,
        key: &Key,
        number: i32,
        buffer: Buffer,
    ) -> Result<CompletedPart, PutError> {
        let request = self.client.upload_part().bucket(&upload.bucket).key(&upload.path).upload_id(&upload.id);
        let request = request.part_number(number).checksum_algorithm(ChecksumAlgorithm::Crc64Nvme);
        let request = request.body(ByteStream::from(buffer.bytes.clone()));
        let sent = request.customize().config_override(self.transfer()).send().await;
        let part = sent.map_err(|error| archive_error(self.action("UploadPart", &self.url(key)), &error))?;
        let completed = CompletedPart::builder().part_number(number).set_e_tag(part.e_tag);
        Ok(completed.set_checksum_crc64_nvme(part.checksum_crc64_nvme).build())
    }

    async fn complete(
        &self,
        upload: &Upload,
        key: &Key,
        parts: Vec<CompletedPart>,
        digests: Digests,
    ) -> Result<Put, PutError> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = self.client.complete_multipart_upload().bucket(&upload.bucket).key(&upload.path);
        let request = request.upload_id(&upload.id).multipart_upload(parts).if_none_match("*");
        let request = request.checksum_type(ChecksumType::FullObject).set_checksum_crc64_nvme(digests.crc64.clone());
        let request = request.mpu_object_size(digests.proof.bytes.cast_signed());
        let Err(error) = request.customize().config_override(self.transfer()).send().await else {
            return Ok(Put::Stored(digests.proof));
        };
        let refused = archive_error(self.action("CompleteMultipartUpload", &self.url(key)), &error);
        match meaning(&error) {
            Meaning::Exists => self.compare(key, digests).await,
            // Another writer was there first, or this one and its answer was lost: what is there decides. S3 wants an
            // upload that met a conflict to be made anew, which is for whoever has the source.
            Meaning::Conflict | Meaning::Absent | Meaning::Unknown if self.head(key).await?.is_some() => {
                self.compare(key, digests).await
            }
            // An upload that is not there any more is none of ours for some stores that speak S3.
            Meaning::Denied if self.head(key).await.is_ok_and(|there| there.is_some()) => {
                self.compare(key, digests).await
            }
            _ => Err(refused.into()),
        }
    }

    async fn compare(&self, key: &Key, offered: Digests) -> Result<Put, PutError> {
        let same = self.is_same(key, &offered).await?;
        Ok(Put::AlreadyThere { same, proof: offered.proof })
    }
}

/// Parts are as large as settings say, or as they must be for the declared length to fit.
fn part_size(least: usize, declared: Option<u64>) -> usize {
    let needed = declared.filter(|declared| *declared <= MOST_BYTES).map_or(0, |bytes| bytes.div_ceil(MOST_PARTS));
    usize::try_from(needed).unwrap_or(usize::MAX).max(least).max(1)
}

/// An upload that is aborted unless it is done.
#[derive(Debug)]
struct Upload {
    client: Client,
    bucket: String,
    path: String,
    id: String,
    open: bool,
}

impl Upload {
    fn done(mut self) {
        self.open = false;
    }

    /// Aborts, and waits for it. Nothing else depends on it: parts that stay cost money, not truth.
    async fn abort(mut self) {
        abort(&self.client, &self.bucket, &self.path, &self.id).await;
        self.open = false;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.open {
            let (client, bucket) = (self.client.clone(), std::mem::take(&mut self.bucket));
            let (path, id) = (std::mem::take(&mut self.path), std::mem::take(&mut self.id));
            runtime.spawn(async move { abort(&client, &bucket, &path, &id).await });
        }
    }
}

async fn abort(client: &Client, bucket: &str, path: &str, id: &str) {
    let aborted = client.abort_multipart_upload().bucket(bucket).key(path).upload_id(id).send().await;
    if let Err(error) = aborted
        && meaning(&error) != Meaning::Absent
    {
        let target = format!("s3://{bucket}/{path}");
        let error =
            archive_error(super::Action { name: "AbortMultipartUpload", target: &target, kms_key: None }, &error);
        tracing::warn!(code = error.code(), "an upload in parts is left to the bucket's lifecycle rule: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_fits_its_parts() {
        const MIB: u64 = 1024 * 1024;
        for declared in [17 * MIB, 80_000 * MIB, 80_000 * MIB + 1, 100 * 1024 * MIB, MOST_BYTES] {
            let size = part_size(8 * 1024 * 1024, Some(declared)) as u64;
            assert!(size >= 8 * MIB && declared.div_ceil(size) <= MOST_PARTS, "{declared}: {size}");
        }
        assert_eq!(part_size(8, None), 8);
        assert_eq!(part_size(8, Some(80_000)), 8);
        assert_eq!(part_size(8, Some(80_001)), 9);
        // Too much for S3: refused when the first part is full, which need not be a large one.
        assert_eq!(part_size(8, Some(u64::MAX)), 8);
    }
}
