//! Every call to a store goes wrong once, in every way: what was asked for is done all the same, once, and whole.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use callvault_clouds::Sizes;
use callvault_pipeline::archive::{Archive, Offer, Put, prove};
use callvault_tests::contract_archive::{body, key, list, put, read};
use callvault_tests::stand_ins::clouds::StandIn;
use callvault_tests::stand_ins::moto::Moto;
use callvault_tests::stand_ins::s3s::S3sFs;
use callvault_tests::stand_ins::store_gate::{Mishap, StoreGate};
use callvault_tests::stand_ins::verifying_gcs::VerifyingGcs;
use futures_util::FutureExt;

use crate::clouds::{azure, content, google, small};
use crate::s3::{LEAST_PART, archive, new_bucket, options, parts};

/// A day's kinds of writes: small and large objects, a document that is replaced, one that is removed, and looks at all of it.
async fn work(archive: &dyn Archive, large: &Bytes) {
    let said = |put: Put| assert!(matches!(put, Put::Stored(_) | Put::AlreadyThere { same: true, .. }), "{put:?}");
    said(put(archive, "t/small", &content(1000)).await);
    let at = key("t/large");
    let offer = Offer {
        key: &at,
        content_type: Some("audio/ogg"),
        length: Some(large.len() as u64),
        body: body(large, 99_991),
    };
    said(archive.put_new(offer).await.unwrap());
    for text in ["one", "two"] {
        archive.put_document(&key("t/document"), "application/json", text.into()).await.unwrap();
        archive.put_document(&key("t/gone"), "application/json", text.into()).await.unwrap();
    }
    archive.delete(&key("t/gone")).await.unwrap();
    assert_eq!(archive.head(&at).await.unwrap(), Some(large.len() as u64));
    let there = [("t/document", 3), ("t/large", large.len() as u64), ("t/small", 1000)];
    assert_eq!(list(archive, "t/").await, there.map(|(name, bytes)| (name.to_owned(), bytes)).into());
    assert_eq!(read(archive, "t/document").await.unwrap(), "two");
    assert_eq!(read(archive, "t/small").await.unwrap(), content(1000));
    let proof = prove(&read(archive, "t/large").await.unwrap());
    assert_eq!(proof, prove(large));
    assert!(matches!(put(archive, "t/small", &"others".into()).await, Put::AlreadyThere { same: false, .. }));
    assert_eq!(read(archive, "t/small").await.unwrap(), content(1000), "nothing replaces it");
}

/// `make` answers an archive of its own through the gate, empty, each time.
async fn each_call_of<A: Archive>(gate: &StoreGate, large: usize, make: impl AsyncFn() -> A) {
    let large = content(large);
    let archive = make().await;
    gate.mishap(None);
    work(&archive, &large).await;
    let calls = gate.calls();
    assert!(calls.len() > 12, "{calls:#?}");
    for (number, call) in calls.iter().enumerate() {
        for mishap in Mishap::ALL {
            let archive = make().await;
            gate.mishap(Some((number, mishap)));
            let done = AssertUnwindSafe(work(&archive, &large)).catch_unwind().await;
            assert!(done.is_ok(), "as said above, after {mishap:?} of call {number}, {call}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_azure() {
    let azurite = StandIn::azurite();
    let gate = StoreGate::open(azurite.url()).await;
    let sizes: Sizes = small();
    each_call_of(&gate, 3 * sizes.part + 17, async || azure(&gate.url(), sizes)).await;
}

/// The one that believes nothing: the emulator lets different content replace what is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_google() {
    let gcs = VerifyingGcs::start().await;
    let gate = StoreGate::open(&gcs.url()).await;
    let sizes: Sizes = small();
    each_call_of(&gate, 3 * sizes.part + 17, async || google(&gate.url(), "bucket", sizes)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_moto() {
    let moto = Moto::shared();
    let gate = StoreGate::open(moto.url()).await;
    each_call_of(&gate, LEAST_PART + 100_000, async || {
        archive(&gate.url(), &new_bucket(&moto).await, options(parts(LEAST_PART)))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_another_s3() {
    let s3s = S3sFs::start("testing", "testing").await;
    let gate = StoreGate::open(&s3s.url()).await;
    let made = AtomicUsize::new(0);
    each_call_of(&gate, LEAST_PART + 100_000, async || {
        let bucket = format!("bucket{}", made.fetch_add(1, Ordering::Relaxed));
        std::fs::create_dir(s3s.folder().join(&bucket)).unwrap();
        archive(&gate.url(), &bucket, options(parts(LEAST_PART)))
    })
    .await;
}
