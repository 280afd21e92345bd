//! The archive in S3: the contract over three stores, and objects in parts.
//!
//! moto takes any checksum; s3s-fs verifies signatures and checksums. Both look whether an object is there and write
//! later, so of many writers more than one may win (of sixteen over s3s-fs, all do). What depends on atomicity is proved
//! over the verifying stand-in, which decides in the moment of writing.

use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use bytes::Bytes;
use callvault_aws::s3::{S3Archive, S3Options, S3Sizes};
use callvault_pipeline::archive::{Archive, Offer, Put, PutError, prove};
use callvault_tests::archive_contract;
use callvault_tests::contract_archive::{body, broken, key, list, put, read};
use callvault_tests::fakes::TestClock;
use callvault_tests::stand_ins::moto::{Moto, unique};
use callvault_tests::stand_ins::s3s::S3sFs;
use callvault_tests::stand_ins::verifying_s3::VerifyingS3;
use futures_util::future::ready;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;

/// S3's least part, which moto and s3s-fs insist on.
pub(crate) const LEAST_PART: usize = 5 * 1024 * 1024;

pub(crate) const NOW: &str = "2026-01-20T12:00:00Z";

pub(crate) fn sdk(endpoint: &str) -> SdkConfig {
    let keys = Credentials::new("testing", "testing", None, None, "tests");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .endpoint_url(endpoint)
        .retry_config(RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(1)))
        .build()
}

pub(crate) fn options(sizes: S3Sizes) -> S3Options {
    S3Options { path_style: true, sizes, ..S3Options::default() }
}

pub(crate) fn archive(endpoint: &str, bucket: &str, options: S3Options) -> S3Archive {
    let clock = TestClock::at(NOW.parse::<Timestamp>().unwrap());
    S3Archive::new(&sdk(endpoint), bucket, "pre/fix", options, Arc::new(clock))
}

/// Everything of a declared length is streamed, however short.
pub(crate) fn streaming() -> S3Sizes {
    S3Sizes { buffered: 0, ..S3Sizes::default() }
}

/// Everything longer than a part is sent in parts.
pub(crate) fn parts(part: usize) -> S3Sizes {
    S3Sizes { buffered: 0, single: 0, part, part_buffers: 2 }
}

pub(crate) async fn new_bucket(moto: &Moto) -> String {
    let bucket = unique("archive");
    let admin = aws_sdk_s3::config::Builder::from(&sdk(moto.url())).force_path_style(true).build();
    let place = aws_sdk_s3::types::CreateBucketConfiguration::builder().location_constraint("eu-west-1".into());
    let create = aws_sdk_s3::Client::from_conf(admin).create_bucket().bucket(&bucket);
    create.create_bucket_configuration(place.build()).send().await.unwrap();
    bucket
}

async fn in_moto(sizes: S3Sizes) -> (Moto, S3Archive) {
    let moto = Moto::shared();
    let archive = archive(moto.url(), &new_bucket(&moto).await, options(sizes));
    (moto, archive)
}

async fn in_s3s(sizes: S3Sizes) -> (S3sFs, S3Archive) {
    let s3s = S3sFs::start("testing", "testing").await;
    let archive = archive(&s3s.url(), "bucket", options(sizes));
    (s3s, archive)
}

pub(crate) async fn in_verifying(sizes: S3Sizes) -> (VerifyingS3, S3Archive) {
    let s3 = VerifyingS3::start(0).await;
    let archive = archive(&s3.url(), "bucket", options(sizes));
    (s3, archive)
}

async fn moto_default() -> (Moto, S3Archive) {
    in_moto(S3Sizes::default()).await
}

async fn moto_streaming() -> (Moto, S3Archive) {
    in_moto(streaming()).await
}

async fn s3s_default() -> (S3sFs, S3Archive) {
    in_s3s(S3Sizes::default()).await
}

async fn s3s_streaming() -> (S3sFs, S3Archive) {
    in_s3s(streaming()).await
}

async fn verifying_default() -> (VerifyingS3, S3Archive) {
    in_verifying(S3Sizes::default()).await
}

async fn verifying_streaming() -> (VerifyingS3, S3Archive) {
    in_verifying(streaming()).await
}

async fn verifying_parts() -> (VerifyingS3, S3Archive) {
    in_verifying(parts(64 * 1024)).await
}

archive_contract!(moto, crate::s3::moto_default, one writer at a time);
archive_contract!(moto_streamed, crate::s3::moto_streaming, one writer at a time);
archive_contract!(s3s_fs, crate::s3::s3s_default, one writer at a time);
archive_contract!(s3s_fs_streamed, crate::s3::s3s_streaming, one writer at a time);
archive_contract!(verifying, crate::s3::verifying_default);
archive_contract!(verifying_streamed, crate::s3::verifying_streaming);
archive_contract!(verifying_in_parts, crate::s3::verifying_parts);

fn content(bytes: usize) -> Bytes {
    (0..bytes as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect()
}

/// Offers in pieces that fit no part.
async fn offer(archive: &S3Archive, at: &str, content: &Bytes, length: Option<u64>) -> Result<Put, PutError> {
    let at = key(at);
    archive.put_new(Offer { key: &at, content_type: Some("audio/ogg"), length, body: body(content, 99_991) }).await
}

/// What every store must do with parts of `part` bytes.
async fn objects_come_in_parts(archive: &S3Archive, part: usize) {
    for (at, bytes) in [("t/one", part), ("t/two", part + 1), ("t/three", 2 * part + 17)] {
        for (declared, there) in [(true, false), (false, true)] {
            let content = content(bytes);
            let proof = prove(&content);
            let put = offer(archive, at, &content, declared.then_some(bytes as u64)).await.unwrap();
            let expected = if there { Put::AlreadyThere { same: true, proof } } else { Put::Stored(proof) };
            assert_eq!(put, expected, "{at}");
            assert_eq!(read(archive, at).await.unwrap(), content, "{at}");
        }
    }
    // Nobody declared how long it is.
    let (long, mut other) = (content(part + 100_000), content(part + 100_000).to_vec());
    assert_eq!(offer(archive, "t/undeclared", &long, None).await.unwrap(), Put::Stored(prove(&long)));
    other[part / 2] ^= 1;
    let (other, before) = (Bytes::from(other), list(archive, "").await);
    let put = offer(archive, "t/undeclared", &other, None).await.unwrap();
    assert_eq!(put, Put::AlreadyThere { same: false, proof: prove(&other) });
    assert_eq!(read(archive, "t/undeclared").await.unwrap(), long);
    // Too short, too long, broken off in the second part.
    for (declared, bytes) in [(3 * part, 2 * part), (2 * part, 2 * part + 1), (2 * part, 3 * part)] {
        let error = offer(archive, "t/wrong", &content(bytes), Some(declared as u64)).await.unwrap_err();
        let right =
            matches!(error, PutError::Length { declared: d, received: r } if (d, r) == (declared as u64, bytes as u64));
        assert!(right, "{error}");
    }
    for length in [None, Some(3 * part as u64)] {
        let whole = content(part + 200_000);
        let at = key("t/broken");
        let broken = body(&whole, 99_991).chain(broken(b"and then"));
        let error = archive.put_new(Offer { key: &at, content_type: None, length, body: broken.boxed() }).await;
        assert!(matches!(error, Err(PutError::Body(_))), "{error:?}");
    }
    assert_eq!(list(archive, "").await, before, "nothing of it is to be seen");
}

#[tokio::test]
async fn moto_takes_parts_and_none_is_left() {
    let (moto, archive) = in_moto(parts(LEAST_PART)).await;
    objects_come_in_parts(&archive, LEAST_PART).await;
    let bucket = archive.url(&key("x")).split('/').nth(2).unwrap().to_owned();
    let admin = aws_sdk_s3::config::Builder::from(&sdk(moto.url())).force_path_style(true).build();
    let left = aws_sdk_s3::Client::from_conf(admin).list_multipart_uploads().bucket(bucket).send().await.unwrap();
    assert_eq!(left.uploads(), []);
}

#[tokio::test]
async fn s3s_fs_takes_parts_and_none_is_left() {
    let (s3s, archive) = in_s3s(parts(LEAST_PART)).await;
    objects_come_in_parts(&archive, LEAST_PART).await;
    let files = std::fs::read_dir(s3s.folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(files.filter(|name| name.starts_with(".upload")).collect::<Vec<_>>(), Vec::<String>::new());
}

#[tokio::test]
async fn parts_are_verified_and_none_is_left() {
    let s3 = VerifyingS3::start(LEAST_PART).await;
    let archive = archive(&s3.url(), "bucket", options(parts(LEAST_PART)));
    objects_come_in_parts(&archive, LEAST_PART).await;
    assert_eq!(s3.open_uploads(), 0);
    // What is there already is asked for once, not sent in vain.
    let sent = s3.seen_of("CreateMultipartUpload").len();
    offer(&archive, "t/three", &content(2 * LEAST_PART + 17), None).await.unwrap();
    assert_eq!(s3.seen_of("CreateMultipartUpload").len(), sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_completions_one_wins() {
    let (s3, archive) = in_verifying(parts(10_000)).await;
    let contents: Vec<Bytes> = (0_u8..8).map(|n| Bytes::from(vec![n; 55_555])).collect();
    // More uploads than buffers for parts: they take turns, and none waits for ever.
    let puts = contents.iter().map(|content| offer(&archive, "t/race", content, None));
    let puts: Vec<Put> = futures_util::future::join_all(puts).await.into_iter().map(Result::unwrap).collect();
    let winners: Vec<usize> = (0..8).filter(|n| matches!(puts[*n], Put::Stored(_))).collect();
    assert_eq!(winners.len(), 1, "{puts:?}");
    assert!(puts.iter().all(|put| !matches!(put, Put::AlreadyThere { same: true, .. })));
    assert_eq!(read(&archive, "t/race").await.unwrap(), contents[winners[0]]);
    assert_eq!(s3.open_uploads(), 0);
}

#[tokio::test]
async fn an_upload_nobody_waits_for_is_aborted() {
    let (s3, archive) = in_verifying(parts(1000)).await;
    let endless = body(&content(5000), 500).chain(stream::pending());
    let at = key("t/dropped");
    let offer = Offer { key: &at, content_type: None, length: None, body: endless.boxed() };
    {
        let put = std::pin::pin!(archive.put_new(offer));
        let sent = std::pin::pin!(s3.until(|s3| s3.seen_of("UploadPart").len() == 4));
        // Five parts' worth came; whether the last is the last nobody knows, so four are sent.
        assert!(matches!(futures_util::future::select(put, sent).await, futures_util::future::Either::Right(_)));
        assert_eq!(s3.open_uploads(), 1);
    }
    s3.until(|s3| s3.open_uploads() == 0).await;
    assert_eq!(s3.paths(), Vec::<String>::new());
}

#[tokio::test]
async fn the_end_of_a_body_is_kept_from_s3_until_it_is_the_end() {
    let (s3, archive) = in_verifying(streaming()).await;
    for end in ["breaks off", "is too long"] {
        // All the declared bytes are there, and S3 has had the time to store them, before the body shows what it is; and
        // after that again.
        let asking = archive.clone();
        let pieces = stream::iter(0..2).then(move |_| {
            let archive = asking.clone();
            async move {
                for _ in 0..20 {
                    assert_eq!(archive.head(&key("t/late")).await.unwrap(), None);
                }
                Ok(Bytes::from_static(b"!"))
            }
        });
        let then = match end {
            "is too long" => pieces.boxed(),
            _ => pieces.skip(1).filter(|_| ready(false)).chain(broken(b"")).boxed(),
        };
        let at = key("t/late");
        let body = body(&content(5000), 500).chain(then).boxed();
        let put = archive.put_new(Offer { key: &at, content_type: None, length: Some(5000), body }).await;
        assert!(matches!(put, Err(PutError::Body(_) | PutError::Length { received: 5002, .. })), "{put:?}");
        assert_eq!(s3.paths(), Vec::<String>::new());
    }
    assert!(matches!(put(&archive, "t/late", &"other".into()).await, Put::Stored(_)));
}

#[tokio::test]
async fn too_much_for_s3_is_said_before_it_is_sent() {
    let (s3, archive) = in_verifying(parts(1000)).await;
    let error = offer(&archive, "t/huge", &content(5000), Some(6 << 40)).await.unwrap_err();
    assert!(error.to_string().contains("5 TiB") && matches!(error, PutError::Store(_)), "{error}");
    assert_eq!(s3.seen().len(), 0);
}
