//! What S3 answers, and what goes wrong on the way: over the stand-in that verifies everything and fails by script.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use bytes::Bytes;
use callvault_aws::s3::{LockMode, ObjectLock, S3Archive, S3Options, S3Sizes};
use callvault_pipeline::archive::{Archive, ArchiveError, Offer, Put, PutError, prove};
use callvault_tests::contract_archive::{body, key, list, put, read};
use callvault_tests::fakes::TestClock;
use callvault_tests::stand_ins::verifying_s3::{S3Fault, Seen, VerifyingS3};
use futures_util::future::join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use http_body::Body as _;

use crate::s3::{NOW, archive, in_verifying, options, parts, sdk, streaming};

const AT: &str = "t/a";
const PATH: &str = "bucket/pre/fix/t/a";

/// Long enough for three parts of 1,000 bytes, and three pieces of a stream.
fn content() -> Bytes {
    (0..2500_u32).map(|n| ((n * 7) >> 3) as u8).collect()
}

/// Another content of the same length.
fn other() -> Bytes {
    content().iter().map(|byte| byte ^ 1).collect()
}

/// Ways to write an object: its sizes, and the operation that carries its bytes.
fn ways() -> [(&'static str, S3Sizes, &'static str); 3] {
    let buffered = S3Sizes::default();
    [("buffered", buffered, "PutObject"), ("streamed", streaming(), "PutObject"), ("parts", parts(1000), "UploadPart")]
}

async fn offer(archive: &S3Archive, content: &Bytes) -> Result<Put, PutError> {
    let (at, length) = (key(AT), Some(content.len() as u64));
    archive.put_new(Offer { key: &at, content_type: Some("audio/ogg"), length, body: body(content, 999) }).await
}

fn stored(content: &Bytes) -> Put {
    Put::Stored(prove(content))
}

fn there(same: bool, content: &Bytes) -> Put {
    Put::AlreadyThere { same, proof: prove(content) }
}

fn operations(seen: &[Seen]) -> Vec<&'static str> {
    seen.iter().map(|seen| seen.operation).collect()
}

/// A failure that concerns this object only, so that the stage goes on with others and comes back.
fn is_passing(put: &Result<Put, PutError>) -> bool {
    matches!(put, Err(PutError::Store(error)) if !error.is_general())
}

#[tokio::test]
async fn an_object_is_one_request_and_its_checksum_comes_with_it() {
    let (s3, archive) = in_verifying(streaming()).await;
    assert_eq!(offer(&archive, &content()).await.unwrap(), stored(&content()));
    let seen = s3.seen();
    assert_eq!(operations(&seen), ["PutObject"], "nobody asks before");
    assert_eq!(seen[0].headers["if-none-match"], "*");
    assert_eq!(seen[0].headers["content-type"], "audio/ogg");
    assert_eq!(seen[0].headers["x-amz-decoded-content-length"], "2500");
    assert!(seen[0].trailers.contains(&"x-amz-checksum-sha256".to_owned()), "{seen:?}");
    // Again: the PUT is refused, and what S3 keeps is compared without reading it.
    assert_eq!(offer(&archive, &content()).await.unwrap(), there(true, &content()));
    assert_eq!(offer(&archive, &other()).await.unwrap(), there(false, &other()));
    assert_eq!(operations(&s3.seen()[1..]), ["PutObject", "HeadObject", "PutObject", "HeadObject"]);
}

#[tokio::test]
async fn from_memory_the_checksum_is_a_header_and_the_digest_stays_with_the_object() {
    let (s3, archive) = in_verifying(S3Sizes::default()).await;
    offer(&archive, &content()).await.unwrap();
    let object = s3.object(PATH).unwrap();
    assert_eq!(object.headers["x-amz-meta-sha256"], prove(&content()).sha256);
    assert_eq!(object.headers["x-amz-checksum-sha256"], object.checksums["x-amz-checksum-sha256"]);
}

#[tokio::test]
async fn corrupted_bytes_are_refused_and_nothing_is_to_be_seen() {
    for (way, sizes, operation) in ways() {
        let (s3, archive) = in_verifying(sizes).await;
        s3.fail(operation, 1, S3Fault::Corrupt);
        let put = offer(&archive, &content()).await;
        assert!(is_passing(&put), "{way}: {put:?}");
        assert!(put.unwrap_err().to_string().contains("BadDigest"), "{way}");
        assert_eq!((s3.paths(), s3.open_uploads()), (Vec::<String>::new(), 0), "{way}");
        assert_eq!(offer(&archive, &content()).await.unwrap(), stored(&content()), "{way}");
    }
    // Documents too.
    let (s3, archive) = in_verifying(S3Sizes::default()).await;
    s3.fail("PutObject", 1, S3Fault::Corrupt);
    archive.put_document(&key(AT), "text/plain", content()).await.unwrap_err();
    assert_eq!(s3.paths(), Vec::<String>::new());
}

#[tokio::test]
async fn a_connection_that_is_cut_leaves_nothing_and_memory_is_sent_again() {
    for (way, sizes, operation) in ways() {
        let (s3, archive) = in_verifying(sizes).await;
        s3.fail(operation, 1, S3Fault::Cut);
        let put = offer(&archive, &content()).await;
        if way == "streamed" {
            assert!(is_passing(&put), "{put:?}");
            assert_eq!(s3.paths(), Vec::<String>::new());
        } else {
            assert_eq!(put.unwrap(), stored(&content()), "{way}");
        }
    }
}

#[tokio::test]
async fn busy_stores_are_asked_again() {
    for (way, sizes, operation) in ways() {
        let (s3, archive) = in_verifying(sizes).await;
        s3.fail(operation, 1, S3Fault::Refuse(503, "SlowDown"));
        let put = offer(&archive, &content()).await;
        if way == "streamed" {
            // What went by cannot be sent again: the stage has to fetch it once more.
            assert!(is_passing(&put), "{put:?}");
            assert!(put.unwrap_err().to_string().contains("SlowDown"));
        } else {
            assert_eq!(put.unwrap(), stored(&content()), "{way}");
        }
        for n in 1..=3 {
            s3.fail("HeadObject", n, S3Fault::Refuse(503, "SlowDown"));
        }
        let error = archive.head(&key(AT)).await.unwrap_err();
        assert!(!error.is_general(), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_is_read_back() {
    for (way, sizes, operation) in ways() {
        let (s3, archive) = in_verifying(sizes).await;
        let lost = if operation == "UploadPart" { "CompleteMultipartUpload" } else { operation };
        s3.fail(lost, 1, S3Fault::LoseAnswer);
        assert_eq!(offer(&archive, &content()).await.unwrap(), there(true, &content()), "{way}");
        assert_eq!(s3.object(PATH).unwrap().content, content(), "{way}");
        assert_eq!(s3.open_uploads(), 0, "{way}");
    }
}

#[tokio::test]
async fn an_early_refusal_still_proves_the_whole_offer() {
    let (s3, archive) = in_verifying(streaming()).await;
    s3.plant(PATH, content());
    // More than any buffer on the way: the answer is there long before the body is.
    let long: Bytes = vec![7; 6 * 1024 * 1024].into();
    s3.fail("PutObject", 1, S3Fault::Refuse(412, "PreconditionFailed"));
    assert_eq!(offer(&archive, &long).await.unwrap(), there(false, &long));
    // And an offer that is not whole is that first of all.
    s3.fail("PutObject", 1, S3Fault::Refuse(412, "PreconditionFailed"));
    let at = key(AT);
    let offer = Offer { key: &at, content_type: None, length: Some(9_000_000), body: body(&long, 65_536) };
    let error = archive.put_new(offer).await.unwrap_err();
    assert!(matches!(error, PutError::Length { declared: 9_000_000, received: 6_291_456 }), "{error}");
}

#[tokio::test]
async fn conflicts_are_waited_out_or_left_to_the_stage() {
    for (way, sizes, operation) in ways() {
        let (s3, archive) = in_verifying(sizes).await;
        let operation = if operation == "UploadPart" { "CompleteMultipartUpload" } else { operation };
        s3.fail(operation, 1, S3Fault::RefuseLate(409, "ConditionalRequestConflict"));
        let put = offer(&archive, &content()).await;
        if way == "buffered" {
            assert_eq!(put.unwrap(), stored(&content()), "{way}");
        } else {
            assert!(is_passing(&put), "{way}: {put:?}");
            assert_eq!((s3.paths(), s3.open_uploads()), (Vec::<String>::new(), 0), "{way}");
        }
    }
    // For ever is too long.
    let (s3, archive) = in_verifying(S3Sizes::default()).await;
    (1..=9).for_each(|n| s3.fail("PutObject", n, S3Fault::RefuseLate(409, "ConditionalRequestConflict")));
    assert!(is_passing(&offer(&archive, &content()).await));
    assert_eq!(s3.seen_of("PutObject").len(), 5);
}

#[tokio::test]
async fn who_comes_second_with_parts_learns_it_from_the_completion() {
    for (winner, same) in [(content(), true), (other(), false)] {
        let (s3, archive) = in_verifying(parts(1000)).await;
        // Somebody else writes it after this writer looked, and before it is done.
        let (whole, planted) = (content(), AtomicU64::new(0));
        let s3 = Arc::new(s3);
        let (rival, bytes) = (Arc::clone(&s3), winner.clone());
        let pieces = body(&whole, 500).inspect(move |_| {
            if planted.fetch_add(1, Ordering::Relaxed) == 4 {
                rival.plant(PATH, bytes.clone());
            }
        });
        let at = key(AT);
        let offer = Offer { key: &at, content_type: None, length: Some(2500), body: pieces.boxed() };
        assert_eq!(archive.put_new(offer).await.unwrap(), there(same, &whole));
        assert_eq!(s3.seen_of("CompleteMultipartUpload").len(), 1);
        assert_eq!((s3.object(PATH).unwrap().content, s3.open_uploads()), (winner, 0));
    }
}

#[tokio::test]
async fn what_carries_no_checksum_is_read_and_compared() {
    for (way, sizes, _) in ways() {
        for (planted, same) in [(content(), true), (other(), false)] {
            let (s3, archive) = in_verifying(sizes).await;
            s3.plant(PATH, planted);
            assert_eq!(offer(&archive, &content()).await.unwrap(), there(same, &content()), "{way}");
            assert_eq!(s3.seen_of("GetObject").len(), 1, "{way}");
        }
        // Another length decides without reading.
        let (s3, archive) = in_verifying(sizes).await;
        s3.plant(PATH, "short".into());
        assert_eq!(offer(&archive, &content()).await.unwrap(), there(false, &content()), "{way}");
        assert_eq!(s3.seen_of("GetObject").len(), 0, "{way}");
    }
}

#[tokio::test]
async fn an_object_that_goes_while_it_is_compared_is_tried_again_later() {
    let (s3, archive) = in_verifying(streaming()).await;
    s3.fail("PutObject", 1, S3Fault::RefuseLate(412, "PreconditionFailed"));
    assert!(is_passing(&offer(&archive, &content()).await));
}

#[tokio::test]
async fn what_is_read_is_verified_too() {
    let (s3, archive) = in_verifying(streaming()).await;
    offer(&archive, &content()).await.unwrap();
    s3.fail("GetObject", 1, S3Fault::Corrupt);
    let pieces: Result<Vec<Bytes>, _> = archive.read(&key(AT)).await.unwrap().unwrap().try_collect().await;
    assert!(matches!(pieces, Err(ArchiveError::Failed { .. })), "{pieces:?}");
    assert_eq!(read(&archive, AT).await.unwrap(), content());
}

#[tokio::test]
async fn lists_go_through_all_pages_and_pass_over_what_is_not_ours() {
    let (s3, archive) = in_verifying(streaming()).await;
    for n in 0..8 {
        put(&archive, &format!("t/{n}"), &"x".into()).await;
    }
    for foreign in ["bucket/pre/fix/t/", "bucket/pre/fix/t/not a key", "bucket/pre/fixed/t/1", "bucket/t/9"] {
        s3.plant(foreign, "x".into());
    }
    assert_eq!(list(&archive, "t/").await.len(), 8);
    assert_eq!(list(&archive, "").await.len(), 8);
    // A page that fails is an error, not the end.
    (2..=4).for_each(|n| s3.fail("ListObjectsV2", n, S3Fault::Refuse(503, "SlowDown")));
    let listed: Vec<_> = archive.list("").await.collect().await;
    // The first page: a name that is no key, two objects.
    assert_eq!((listed.len(), listed.iter().filter(|one| one.is_err()).count()), (3, 1));
}

#[tokio::test]
async fn objects_are_written_as_settings_say() {
    for (way, sizes, _) in ways() {
        let lock = ObjectLock { mode: LockMode::Governance, days: 30 };
        let set = S3Options {
            kms_key: Some("alias/recordings".to_owned()),
            storage_class: Some("STANDARD_IA".to_owned()),
            tags: vec![("team".to_owned(), "voice & chat".to_owned()), ("keep".to_owned(), "7y".to_owned())],
            object_lock: Some(lock),
            ..options(sizes)
        };
        let s3 = VerifyingS3::start(0).await;
        let archive = archive(&s3.url(), "bucket", set);
        offer(&archive, &content()).await.unwrap();
        archive.put_document(&key("t/_SUCCESS"), "application/json", "{}".into()).await.unwrap();
        for path in [PATH, "bucket/pre/fix/t/_SUCCESS"] {
            let headers = s3.object(path).unwrap().headers;
            assert_eq!(headers["x-amz-server-side-encryption"], "aws:kms", "{way}");
            assert_eq!(headers["x-amz-server-side-encryption-aws-kms-key-id"], "alias/recordings");
            assert_eq!(headers["x-amz-server-side-encryption-bucket-key-enabled"], "true");
            assert_eq!(headers["x-amz-storage-class"], "STANDARD_IA");
            assert_eq!(headers["x-amz-tagging"], "team=voice%20%26%20chat&keep=7y");
            // What is replaced is not locked, and not written under a condition.
            let locked = (path == PATH).then_some("GOVERNANCE");
            assert_eq!(headers.get("x-amz-object-lock-mode").map(String::as_str), locked, "{path}");
            let until = headers.get("x-amz-object-lock-retain-until-date");
            assert_eq!(until.map(|until| &until[..13]), locked.map(|_| "2026-02-19T12"), "{path}");
        }
        let document = s3.object("bucket/pre/fix/t/_SUCCESS").unwrap().headers;
        assert_eq!((document.get("if-none-match"), document["content-type"].as_str()), (None, "application/json"));
    }
    // Nothing said, nothing sent: the bucket decides.
    let (s3, archive) = in_verifying(streaming()).await;
    offer(&archive, &content()).await.unwrap();
    let headers = s3.object(PATH).unwrap().headers;
    for prefix in ["x-amz-server-side", "x-amz-storage", "x-amz-tagging", "x-amz-object-lock"] {
        assert!(!headers.keys().any(|name| name.starts_with(prefix)), "{prefix}");
    }
}

#[tokio::test]
async fn refusals_say_what_to_do_and_show_no_secret() {
    const CASES: [(u16, &str, &str, &str); 9] = [
        (403, "AccessDenied", "archive-denied", "AccessDenied"),
        (403, "InvalidAccessKeyId", "archive-denied", "InvalidAccessKeyId"),
        (403, "SignatureDoesNotMatch", "archive-denied", "SignatureDoesNotMatch"),
        (400, "ExpiredToken", "archive-denied", "sign in again"),
        (400, "KMS.DisabledException", "archive-denied", "alias/recordings"),
        (404, "NoSuchBucket", "archive-unreachable", "no such bucket"),
        (400, "AuthorizationHeaderMalformed", "archive-unreachable", "AWS_REGION"),
        (403, "InvalidObjectState", "archive-failed", "restore it first"),
        (400, "EntityTooLarge", "archive-failed", "EntityTooLarge"),
    ];
    for (status, code, expected, says) in CASES {
        for (way, sizes, operation) in ways() {
            let s3 = VerifyingS3::start(0).await;
            let set = S3Options { kms_key: Some("alias/recordings".to_owned()), ..options(sizes) };
            let archive = archive(&s3.url(), "bucket", set);
            s3.fail(operation, 1, S3Fault::RefuseLate(status, code));
            let Err(PutError::Store(error)) = offer(&archive, &content()).await else { panic!("{way}: {code}") };
            assert_eq!(error.code(), expected, "{way}: {error}");
            let text = format!("{error} {error:?}");
            assert!(text.contains(says) && text.contains("s3://bucket/pre/fix/t/a"), "{way}: {text}");
            assert!(!text.contains("Signature=") && !text.contains("testing"), "{text}");
            assert_eq!((s3.paths(), s3.open_uploads()), (Vec::<String>::new(), 0), "{way}: {code}");
        }
    }
}

#[tokio::test]
async fn the_check_names_what_is_wrong_with_the_archive() {
    let (s3, archive) = in_verifying(streaming()).await;
    archive.check().await.unwrap();
    s3.fail("ListObjectsV2", 1, S3Fault::Refuse(403, "AccessDenied"));
    let error = archive.check().await.unwrap_err();
    assert!(matches!(error, ArchiveError::Denied { .. }) && error.to_string().contains("ARCHIVE s3://bucket/pre/fix/"));
    s3.fail("ListObjectsV2", 1, S3Fault::Refuse(400, "ExpiredToken"));
    assert!(archive.check().await.unwrap_err().to_string().contains("sign in again"));
    s3.move_to("ap-southeast-2");
    let error = archive.check().await.unwrap_err();
    assert!(matches!(error, ArchiveError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("ap-southeast-2: set AWS_REGION"), "{error}");
    let empty = VerifyingS3::start(0).await;
    let error = crate::s3::archive(&empty.url(), "missing", options(streaming())).check().await.unwrap_err();
    assert!(error.to_string().contains("there is no such bucket"), "{error}");
}

#[tokio::test]
async fn nobody_there_is_out_of_reach_for_every_call() {
    // A port that was free a moment ago, and whose socket is kept without listening.
    let kept = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = kept.local_addr().unwrap();
    drop(kept);
    for (way, sizes, _) in ways() {
        let archive = archive(&format!("http://{address}"), "bucket", options(sizes));
        let Err(PutError::Store(error)) = offer(&archive, &content()).await else { panic!("{way}") };
        assert!(matches!(error, ArchiveError::Unreachable { .. }), "{way}: {error:?}");
        assert!(archive.head(&key(AT)).await.unwrap_err().is_general());
        assert!(archive.check().await.unwrap_err().to_string().contains("ARCHIVE s3://bucket"));
    }
}

/// Takes so much of every body, and then nothing more for ever.
#[derive(Debug, Clone)]
struct Stalling {
    takes: u64,
    taken: Arc<AtomicU64>,
}

impl HttpConnector for Stalling {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { takes, taken } = self.clone();
        HttpConnectorFuture::new(async move {
            let (mut body, mut mine) = (request.into_body(), 0);
            while mine < takes {
                let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await;
                let Some(Ok(frame)) = frame else { break };
                let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                // The rest of a frame that is too long is still in memory.
                taken.fetch_add(bytes.min(takes - mine), Ordering::Relaxed);
                mine += bytes;
            }
            std::future::pending::<()>().await;
            drop(body);
            unreachable!()
        })
    }
}

/// How much of 64 bodies of `bytes` is pulled beyond what a stalling store has taken.
async fn held_by_64(bytes: u64, sizes: S3Sizes, declared: bool) -> u64 {
    let (taken, pulled) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let connector = SharedHttpConnector::new(Stalling { takes: 100_000, taken: Arc::clone(&taken) });
    let sdk = sdk("http://127.0.0.1:1").into_builder();
    let sdk = sdk.http_client(http_client_fn(move |_, _| connector.clone())).build();
    let clock = Arc::new(TestClock::at(NOW.parse().unwrap()));
    let archive = S3Archive::new(&sdk, "bucket", "", options(sizes), clock);
    let keys: Vec<_> = (0..64).map(|n| key(&format!("t/{n}"))).collect();
    let puts = keys.iter().map(|at| {
        let pulled = Arc::clone(&pulled);
        let pieces = stream::iter(0..bytes.div_ceil(16_384)).map(move |_| {
            pulled.fetch_add(16_384, Ordering::Relaxed);
            Ok(Bytes::from_static(&[0; 16_384]))
        });
        let length = declared.then_some(bytes);
        archive.put_new(Offer { key: at, content_type: None, length, body: pieces.boxed() })
    });
    // Time is paused: it passes only when nothing can go on any more.
    assert!(tokio::time::timeout(Duration::from_secs(5), join_all(puts)).await.is_err(), "they stall");
    pulled.load(Ordering::Relaxed).saturating_sub(taken.load(Ordering::Relaxed))
}

#[tokio::test(start_paused = true)]
async fn sixty_four_uploads_hold_little_in_memory() {
    const MIB: u64 = 1024 * 1024;
    let sizes = S3Sizes::default();
    // Streamed: 320 MiB in all, of which each upload holds a few pieces and the SDK's chunk.
    let held = held_by_64(5 * MIB, sizes, true).await;
    println!("64 streams hold {held} bytes");
    assert!(held <= 64 * 192 * 1024, "{held}");
    // Of unknown length, or too long for one PUT: so many buffers for all of them together.
    for (bytes, declared) in [(5 * MIB, false), (20 * MIB, true)] {
        let held = held_by_64(bytes, sizes, declared).await;
        println!("64 uploads in parts hold {held} bytes");
        let buffers = (sizes.part_buffers * sizes.part) as u64;
        assert!(held <= buffers + 4 * 64 * 1024, "{held}");
    }
}
