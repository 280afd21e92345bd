//! Copies that Azure makes by itself: whole and proved, or nothing, whatever goes wrong; and its URL in no error.

use std::sync::Arc;

use bytes::Bytes;
use callvault_clouds::azure::{AzureArchive, AzureOptions, AzureSignIn};
use callvault_clouds::{Sizes, World};
use callvault_pipeline::api::SignedUrl;
use callvault_pipeline::archive::{Archive, Fetch, Proof, PutError, prove};
use callvault_tests::contract_archive::key;
use callvault_tests::fakes::TestClock;
use callvault_tests::stand_ins::fetching_azure::{FetchFault, FetchingAzure};

const CONTENT: &[u8] = b"OggS and what follows it";

/// An Azure, and what it makes of a source that has [`CONTENT`] and is said to be `declared` bytes long.
async fn fetched(fault: Option<FetchFault>, declared: usize) -> (FetchingAzure, Result<Option<Proof>, PutError>) {
    let azure = FetchingAzure::start(fault).await;
    // The source is a blob like any other: the stand-in answers whoever asks.
    let source = format!("{}/source?sig=planted", azure.url());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.put(&source).body(CONTENT).send().await.unwrap();
    let options = AzureOptions {
        account: "acct1".to_owned(),
        container: "con".to_owned(),
        prefix: String::new(),
        endpoint: Some(azure.url()),
        sign_in: AzureSignIn::Key("a2V5".into()),
        sizes: Sizes::default(),
    };
    let clock = Arc::new(TestClock::at(jiff::Timestamp::UNIX_EPOCH));
    let archive = AzureArchive::new(options, World { clock, chance: Arc::new(|| 0.5) }).unwrap();
    let (at, url) = (key("t/x.ogg"), SignedUrl::new(source));
    let fetch = Fetch { key: &at, content_type: Some("audio/ogg"), length: declared as u64, url: &url };
    let done = archive.fetch_new(fetch).await;
    (azure, done)
}

#[tokio::test]
async fn what_azure_fetched_is_proved_and_has_our_digest() {
    let (azure, done) = fetched(None, CONTENT.len()).await;
    assert_eq!(done.unwrap(), Some(prove(CONTENT)));
    let expected = (Bytes::from_static(CONTENT), Some(prove(CONTENT).sha256));
    assert_eq!(azure.blobs()["/con/t/x.ogg"], expected);
    assert_eq!(azure.received(), CONTENT.len() as u64, "nothing but the source was sent by us");
    assert!(azure.sources()[0].ends_with("?sig=planted"));
}

#[tokio::test]
async fn another_length_is_seen_before_anything_is_visible() {
    for (fault, declared) in [(Some(FetchFault::Short), CONTENT.len()), (None, CONTENT.len() + 1)] {
        let (azure, done) = fetched(fault, declared).await;
        let error = done.unwrap_err();
        assert!(matches!(error, PutError::Length { .. }), "{error}");
        assert_eq!(azure.blobs().len(), 1, "only the source");
    }
}

#[tokio::test]
async fn a_copy_that_differs_from_what_was_fetched_is_removed() {
    let (azure, done) = fetched(Some(FetchFault::Corrupt), CONTENT.len()).await;
    let error = done.unwrap_err();
    assert!(error.to_string().contains("differs") && !error.to_string().contains("planted"), "{error}");
    assert_eq!(azure.blobs().len(), 1, "only the source");
}

#[tokio::test]
async fn what_azure_cannot_do_is_left_to_whoever_streams() {
    for fault in [FetchFault::Refused, FetchFault::Overtaken] {
        let (azure, done) = fetched(Some(fault), CONTENT.len()).await;
        assert_eq!(done.unwrap(), None, "{fault:?}");
        let there = azure.blobs().get("/con/t/x.ogg").map(|blob| blob.0.clone());
        assert_eq!(there, (fault == FetchFault::Overtaken).then(|| Bytes::from("another's")));
    }
    let (_, empty) = fetched(None, 0).await;
    assert_eq!(empty.unwrap(), None);
}
