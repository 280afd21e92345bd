//! The archives in Azure and Google Cloud: the contract over their emulators, and over a store that believes nothing.
//!
//! The emulator of Google Cloud Storage ignores `ifGenerationMatch`, so nothing that depends on it is proved there: it
//! shows that another's idea of the protocol is ours. azurite looks at conditions and writes in one go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use callvault_clouds::azure::{AzureArchive, AzureOptions, AzureSignIn};
use callvault_clouds::google::{GoogleArchive, GoogleOptions, GoogleSignIn};
use callvault_clouds::{Sizes, World};
use callvault_pipeline::archive::{Archive, Offer, Put, PutError, prove};
use callvault_tests::archive_contract;
use callvault_tests::contract_archive::{self as contract, body, key, list, put, read};
use callvault_tests::fakes::TestClock;
use callvault_tests::stand_ins::clouds::{AZURITE_KEY, StandIn};
use callvault_tests::stand_ins::moto::unique;
use callvault_tests::stand_ins::verifying_gcs::{GcsFault, VerifyingGcs};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;

/// A quarter of a MiB: Google's least chunk.
const PART: usize = 256 * 1024;

pub(crate) fn world() -> World {
    let clock = Arc::new(TestClock::at("2026-01-20T12:00:00Z".parse::<Timestamp>().unwrap()));
    // Blocks of two writers have names of their own.
    static DRAWN: AtomicU64 = AtomicU64::new(0);
    let chance = Arc::new(|| DRAWN.fetch_add(1, Ordering::Relaxed) as f64 / 1_000_000.0);
    World { clock, chance }
}

/// Everything longer than a quarter of a MiB comes in parts.
pub(crate) fn small() -> Sizes {
    Sizes { part: PART, buffered: 4 * PART }
}

pub(crate) fn azure(url: &str, sizes: Sizes) -> AzureArchive {
    let options = AzureOptions {
        account: "devstoreaccount1".to_owned(),
        container: "recordings".to_owned(),
        prefix: unique("pre/fix"),
        endpoint: Some(format!("{url}/devstoreaccount1")),
        sign_in: AzureSignIn::Key(AZURITE_KEY.into()),
        sizes,
    };
    AzureArchive::new(options, world()).unwrap()
}

pub(crate) fn google(url: &str, bucket: &str, sizes: Sizes) -> GoogleArchive {
    let options = GoogleOptions {
        bucket: bucket.to_owned(),
        prefix: unique("pre/fix"),
        endpoint: Some(url.to_owned()),
        sign_in: GoogleSignIn::Nobody,
        sizes,
    };
    GoogleArchive::new(options, world()).unwrap()
}

async fn azurite_default() -> (StandIn, AzureArchive) {
    let azurite = StandIn::azurite();
    let archive = azure(azurite.url(), Sizes::default());
    archive.check().await.unwrap();
    (azurite, archive)
}

async fn azurite_blocks() -> (StandIn, AzureArchive) {
    let azurite = StandIn::azurite();
    let archive = azure(azurite.url(), small());
    (azurite, archive)
}

async fn verifying_default() -> (VerifyingGcs, GoogleArchive) {
    let gcs = VerifyingGcs::start().await;
    let archive = google(&gcs.url(), "bucket", Sizes::default());
    archive.check().await.unwrap();
    (gcs, archive)
}

async fn verifying_chunks() -> (VerifyingGcs, GoogleArchive) {
    let gcs = VerifyingGcs::start().await;
    let archive = google(&gcs.url(), "bucket", small());
    (gcs, archive)
}

archive_contract!(azurite, crate::clouds::azurite_default);
archive_contract!(azurite_in_blocks, crate::clouds::azurite_blocks);
archive_contract!(verifying_gcs, crate::clouds::verifying_default);
archive_contract!(verifying_gcs_in_chunks, crate::clouds::verifying_chunks);

pub(crate) fn content(bytes: usize) -> Bytes {
    (0..bytes as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect()
}

async fn offer(archive: &dyn Archive, at: &str, content: &Bytes, length: Option<u64>) -> Result<Put, PutError> {
    let at = key(at);
    archive.put_new(Offer { key: &at, content_type: Some("audio/ogg"), length, body: body(content, 99_991) }).await
}

/// All of the contract that does not need `ifGenerationMatch`, in one test: the emulator takes one connection at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_emulator_of_google_agrees_about_the_protocol() {
    let gcs = StandIn::gcs();
    let new = || google(gcs.url(), "recordings", small());
    new().check().await.unwrap();
    contract::an_object_is_stored_whole(&new()).await;
    contract::large_objects_come_in_odd_pieces(&new()).await;
    contract::another_length_than_declared_leaves_nothing(&new()).await;
    contract::documents_are_replaced(&new()).await;
    contract::what_is_not_there_is_none(&new()).await;
    contract::lists_are_by_folder(&new()).await;
    contract::a_key_may_be_as_long_as_keys_get(&new()).await;
}

async fn objects_come_in_parts(archive: &dyn Archive) {
    for (at, bytes) in [("t/one", PART), ("t/two", PART + 1), ("t/three", 3 * PART), ("t/four", 3 * PART + 17)] {
        for (declared, there) in [(true, false), (false, true)] {
            let content = content(bytes);
            let proof = prove(&content);
            let put = offer(archive, at, &content, declared.then_some(bytes as u64)).await.unwrap();
            let expected = if there { Put::AlreadyThere { same: true, proof } } else { Put::Stored(proof) };
            assert_eq!(put, expected, "{at}");
            assert_eq!(read(archive, at).await.unwrap(), content, "{at}");
        }
    }
    let before = list(archive, "").await;
    for (declared, bytes) in [(3 * PART, 2 * PART), (2 * PART, 2 * PART + 1), (2 * PART, 5 * PART)] {
        let error = offer(archive, "t/wrong", &content(bytes), Some(declared as u64)).await.unwrap_err();
        assert!(matches!(error, PutError::Length { received, .. } if received == bytes as u64), "{error}");
    }
    let at = key("t/broken");
    let broken = body(&content(2 * PART), 99_991).chain(contract::broken(b"and then"));
    let error = archive.put_new(Offer { key: &at, content_type: None, length: None, body: broken.boxed() }).await;
    assert!(matches!(error, Err(PutError::Body(_))), "{error:?}");
    assert_eq!(list(archive, "").await, before, "nothing of it is to be seen");
}

#[tokio::test]
async fn azurite_takes_blocks() {
    objects_come_in_parts(&azurite_blocks().await.1).await;
}

#[tokio::test]
async fn chunks_are_verified_and_none_is_left() {
    let (gcs, archive) = verifying_chunks().await;
    objects_come_in_parts(&archive).await;
    while gcs.open_uploads() > 0 {
        tokio::task::yield_now().await;
    }
    for (name, (content, metadata)) in gcs.objects() {
        assert_eq!(metadata["sha256"], prove(&content).sha256, "{name}");
    }
}

async fn of_many_large_ones_one_wins(archive: &dyn Archive) {
    let contents: Vec<Bytes> = (0_u8..8).map(|n| Bytes::from(vec![n; 2 * PART + 5])).collect();
    // More uploads than buffers: they take turns, and none waits for ever.
    let puts = contents.iter().map(|content| offer(archive, "t/race", content, None));
    let puts: Vec<Put> = futures_util::future::join_all(puts).await.into_iter().map(Result::unwrap).collect();
    let winners: Vec<usize> = (0..8).filter(|n| matches!(puts[*n], Put::Stored(_))).collect();
    assert_eq!(winners.len(), 1, "{puts:?}");
    assert!(puts.iter().all(|put| !matches!(put, Put::AlreadyThere { same: true, .. })));
    assert_eq!(read(archive, "t/race").await.unwrap(), contents[winners[0]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_block_lists_one_wins() {
    of_many_large_ones_one_wins(&azurite_blocks().await.1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_resumable_uploads_one_wins() {
    of_many_large_ones_one_wins(&verifying_chunks().await.1).await;
}

/// Every call of an upload fails in every way once, and the object is whole: stored, or found there.
#[tokio::test]
async fn an_upload_survives_each_fault_at_each_call() {
    let whole = content(3 * PART + 17);
    let small = content(1000);
    let passing =
        [GcsFault::Refuse(503, "backendError"), GcsFault::Refuse(429, "rateLimitExceeded"), GcsFault::LoseAnswer];
    let mut cases: Vec<(&str, usize, GcsFault, &Bytes)> =
        passing.iter().map(|fault| ("insert", 1, *fault, &small)).collect();
    for fault in passing.into_iter().chain([GcsFault::TakePart]) {
        cases.extend((1..=4).map(|n| ("chunk", n, fault, &whole)));
    }
    cases.extend(passing.iter().flat_map(|fault| [("begin", 1, *fault, &whole), ("patch", 1, *fault, &whole)]));
    for (operation, n, fault, content) in cases {
        let (gcs, archive) = verifying_chunks().await;
        gcs.fail(operation, n, fault);
        let put = offer(&archive, "t/x", content, Some(content.len() as u64)).await;
        let put = put.unwrap_or_else(|error| panic!("{operation} {n} {fault:?}: {error}"));
        assert!(
            matches!(put, Put::Stored(_) | Put::AlreadyThere { same: true, .. }),
            "{operation} {n} {fault:?}: {put:?}"
        );
        assert_eq!(read(&archive, "t/x").await.unwrap(), *content, "{operation} {n} {fault:?}");
    }
}

#[tokio::test]
async fn what_arrives_damaged_is_not_kept() {
    for (operation, n, bytes) in [("insert", 1, 1000), ("chunk", 2, 3 * PART), ("chunk", 3, 3 * PART)] {
        let (gcs, archive) = verifying_chunks().await;
        gcs.fail(operation, n, GcsFault::Corrupt);
        let error = offer(&archive, "t/x", &content(bytes), Some(bytes as u64)).await.unwrap_err();
        assert!(matches!(error, PutError::Store(_)), "{error}");
        assert!(gcs.objects().is_empty(), "{operation} {n}");
        assert!(matches!(put(&archive, "t/x", &content(bytes)).await, Put::Stored(_)));
    }
}

#[tokio::test]
async fn what_others_left_is_compared_by_reading() {
    let (gcs, archive) = verifying_default().await;
    let prefix = archive.url(&key("x")).split_once("bucket/").unwrap().1.trim_end_matches('x').to_owned();
    gcs.plant(&format!("{prefix}t/x"), "theirs".into());
    assert!(matches!(put(&archive, "t/x", &"others".into()).await, Put::AlreadyThere { same: false, .. }));
    assert!(matches!(put(&archive, "t/x", &"theirs".into()).await, Put::AlreadyThere { same: true, .. }));
    // And has our digest from then on.
    assert_eq!(gcs.objects().values().next().unwrap().1["sha256"], prove(b"theirs").sha256);
}

#[tokio::test]
async fn an_upload_nobody_waits_for_is_cancelled() {
    let (gcs, archive) = verifying_chunks().await;
    let endless = body(&content(3 * PART), 50_000).chain(stream::pending());
    let at = key("t/dropped");
    let offer = Offer { key: &at, content_type: None, length: None, body: endless.boxed() };
    {
        let mut put = archive.put_new(offer);
        while gcs.calls("chunk") < 1 {
            let turn = std::pin::pin!(tokio::task::yield_now());
            assert!(matches!(
                futures_util::future::select(&mut put, turn).await,
                futures_util::future::Either::Right(_)
            ));
        }
    }
    while gcs.open_uploads() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(gcs.objects().is_empty());
}
