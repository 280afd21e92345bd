//! The archive in S3, or in a store that speaks its protocol.
//!
//! Recordings are created under `If-None-Match: *`, so of many writers one wins, and with a checksum that the store
//! verifies before anything is visible. A body of known length up to 16 MiB is one streamed PUT with its SHA-256 as a
//! trailer; anything else is sent in parts with CRC-64/NVME over the whole. S3 keeps these checksums, so what is there
//! can be compared without reading it.
//!
//! Must never write a recording without a condition, nor anything without a checksum, and never ask before a PUT
//! whether an object is there: S3 answers that with the PUT itself.

mod compare;
mod cutter;
mod errors;
mod feed;
mod multipart;
mod options;
mod single;

pub use options::{LockMode, ObjectLock, S3Options, S3Sizes};

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumAlgorithm;
use bytes::Bytes;
use callvault_pipeline::archive::{Archive, ArchiveError, Listed, Offer, Put, PutError};
use callvault_pipeline::clock::Clock;
use callvault_pipeline::layout::Key;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::sync::Semaphore;

use errors::{Action, Meaning, archive_error, innermost, meaning};

/// One attempt at a request without a body of ours takes no longer.
const LONGEST_QUESTION: Duration = Duration::from_secs(30);

/// One attempt at sending a body takes no longer, however slow the source is. What stalls on the way to S3 is noticed
/// earlier, by [`LONGEST_STALL`].
const LONGEST_TRANSFER: Duration = Duration::from_secs(600);

/// A transfer may move nothing for so long.
const LONGEST_STALL: Duration = Duration::from_secs(20);

/// Sets on a request what objects are written with. PUT and multipart uploads take the same, but share no type.
macro_rules! as_settings_say {
    ($request:expr, $archive:expr, $lock:expr) => {{
        let (options, request) = (&$archive.options, $request);
        let lock = if $lock { options.object_lock } else { None };
        request
            .set_server_side_encryption(options.encryption())
            .set_ssekms_key_id(options.kms_key.clone())
            // One call of KMS for many objects, instead of one for each.
            .set_bucket_key_enabled(options.kms_key.as_ref().map(|_| true))
            .set_storage_class(options.class())
            .set_tagging(options.tagging())
            .set_object_lock_mode(lock.map(|lock| lock.mode()))
            .set_object_lock_retain_until_date(lock.map(|lock| lock.until($archive.clock.now())))
    }};
}
use as_settings_say;

/// An archive in a bucket. Clones share connections and part buffers.
#[derive(Debug, Clone)]
pub struct S3Archive {
    client: Client,
    bucket: String,
    /// Empty, or ends with `/`.
    prefix: String,
    options: Arc<S3Options>,
    clock: Arc<dyn Clock>,
    part_buffers: Arc<Semaphore>,
}

impl S3Archive {
    /// An archive below `prefix` of a bucket. Sends nothing: [`S3Archive::check`] does.
    pub fn new(sdk: &SdkConfig, bucket: &str, prefix: &str, options: S3Options, clock: Arc<dyn Clock>) -> Self {
        let mut config = aws_sdk_s3::config::Builder::from(sdk)
            .force_path_style(options.path_style)
            // Also where the environment says `when_required`: nothing is written that the store cannot verify.
            .request_checksum_calculation(RequestChecksumCalculation::WhenSupported)
            .stalled_stream_protection(StalledStreamProtectionConfig::enabled().grace_period(LONGEST_STALL).build())
            .timeout_config(timeouts(sdk, LONGEST_QUESTION));
        if let Some(endpoint) = &options.endpoint {
            config = config.endpoint_url(endpoint);
        }
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let part_buffers = Arc::new(Semaphore::new(options.sizes.part_buffers.max(1)));
        let (client, options) = (Client::from_conf(config.build()), Arc::new(options));
        Self { client, bucket: bucket.to_owned(), prefix, options, clock, part_buffers }
    }

    /// Makes sure that the bucket is there, in this region, and may be listed.
    ///
    /// # Errors
    /// [`ArchiveError`] that says what is wrong with `ARCHIVE` or with the sign-in.
    pub async fn check(&self) -> Result<(), ArchiveError> {
        // Not HeadBucket: its answers have no body, so they do not say what is wrong.
        let asked = self.client.list_objects_v2().bucket(&self.bucket).prefix(&self.prefix).max_keys(1).send().await;
        let target = format!("ARCHIVE s3://{}/{}", self.bucket, self.prefix);
        asked.map(drop).map_err(|error| archive_error(self.action("ListBucket", &target), &error))
    }

    fn path(&self, key: &Key) -> String {
        format!("{}{key}", self.prefix)
    }

    fn action<'a>(&'a self, name: &'static str, target: &'a str) -> Action<'a> {
        Action { name, target, kms_key: self.options.kms_key.as_deref() }
    }

    /// Time-outs and stall protection for a request with a body.
    fn transfer(&self) -> aws_sdk_s3::config::Builder {
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(LONGEST_TRANSFER).build();
        aws_sdk_s3::config::Builder::new().timeout_config(timeouts)
    }
}

fn timeouts(sdk: &SdkConfig, attempt: Duration) -> TimeoutConfig {
    let given = sdk.timeout_config().map_or_else(TimeoutConfig::builder, TimeoutConfig::to_builder);
    // A read time-out would count the time a body takes to send.
    given.operation_attempt_timeout(attempt).disable_read_timeout().disable_operation_timeout().build()
}

#[async_trait]
impl Archive for S3Archive {
    async fn put_new(&self, offer: Offer<'_>) -> Result<Put, PutError> {
        let sizes = &self.options.sizes;
        match offer.length {
            Some(length) if length > 0 && length > sizes.buffered && length <= sizes.single => {
                self.put_streamed(offer, length).await
            }
            Some(length) if length <= sizes.single => self.put_buffered(offer, length).await,
            // A body of unknown length may turn out to fit a part: then it is one PUT too.
            _ => self.put_in_parts(offer).await,
        }
    }

    async fn put_document(&self, key: &Key, content_type: &str, content: Bytes) -> Result<(), ArchiveError> {
        let request = self.client.put_object().bucket(&self.bucket).key(self.path(key));
        let request = request.content_type(content_type).checksum_algorithm(ChecksumAlgorithm::Sha256);
        let request = as_settings_say!(request, self, false).body(ByteStream::from(content));
        let sent = request.customize().config_override(self.transfer()).send().await;
        sent.map(drop).map_err(|error| archive_error(self.action("PutObject", &self.url(key)), &error))
    }

    async fn head(&self, key: &Key) -> Result<Option<u64>, ArchiveError> {
        match self.client.head_object().bucket(&self.bucket).key(self.path(key)).send().await {
            Ok(head) => Ok(Some(head.content_length().unwrap_or_default().unsigned_abs())),
            Err(error) if meaning(&error) == Meaning::Absent => Ok(None),
            Err(error) => Err(archive_error(self.action("HeadObject", &self.url(key)), &error)),
        }
    }

    async fn read(&self, key: &Key) -> Result<Option<BoxStream<'static, Result<Bytes, ArchiveError>>>, ArchiveError> {
        let url = self.url(key);
        let body = match self.client.get_object().bucket(&self.bucket).key(self.path(key)).send().await {
            Ok(object) => object.body,
            Err(error) if meaning(&error) == Meaning::Absent => return Ok(None),
            Err(error) => return Err(archive_error(self.action("GetObject", &url), &error)),
        };
        let pieces = stream::try_unfold((body, url), |(mut body, url)| async move {
            match body.try_next().await {
                Ok(piece) => Ok(piece.map(|piece| (piece, (body, url)))),
                Err(error) => {
                    let detail = format!("GetObject {url} broke off: {error} ({})", innermost(&error));
                    Err(ArchiveError::Failed { detail })
                }
            }
        });
        Ok(Some(pieces.boxed()))
    }

    async fn delete(&self, key: &Key) -> Result<(), ArchiveError> {
        match self.client.delete_object().bucket(&self.bucket).key(self.path(key)).send().await {
            Ok(_) => Ok(()),
            Err(error) if meaning(&error) == Meaning::Absent => Ok(()),
            Err(error) => Err(archive_error(self.action("DeleteObject", &self.url(key)), &error)),
        }
    }

    async fn list(&self, folder: &str) -> BoxStream<'static, Result<Listed, ArchiveError>> {
        let within = format!("{}{folder}", self.prefix);
        let pages = self.client.list_objects_v2().bucket(&self.bucket).prefix(within).into_paginator().send();
        let archive = self.clone();
        let pages = stream::unfold(Some((pages, archive)), |state| async move {
            let (mut pages, archive) = state?;
            match pages.next().await? {
                Ok(page) => {
                    let listed: Vec<_> = page.contents().iter().filter_map(|object| archive.listed(object)).collect();
                    Some((stream::iter(listed), Some((pages, archive))))
                }
                Err(error) => {
                    let target = format!("s3://{}/{}", archive.bucket, archive.prefix);
                    let error = archive_error(archive.action("ListBucket", &target), &error);
                    Some((stream::iter(vec![Err(error)]), None))
                }
            }
        });
        pages.flatten().boxed()
    }

    fn url(&self, key: &Key) -> String {
        format!("s3://{}/{}{key}", self.bucket, self.prefix)
    }
}

impl S3Archive {
    /// An object that is listed; `None` when its name is no key of ours.
    fn listed(&self, object: &aws_sdk_s3::types::Object) -> Option<Result<Listed, ArchiveError>> {
        let key = object.key()?.strip_prefix(&self.prefix)?.parse().ok()?;
        Some(Ok(Listed { key, bytes: object.size().unwrap_or_default().unsigned_abs() }))
    }
}
