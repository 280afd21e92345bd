//! A service account's key in a file signs in by itself, without asking anybody; another key is refused with what to do.

use callvault_clouds::Sizes;
use callvault_clouds::google::{GoogleArchive, GoogleOptions, GoogleSignIn};
use callvault_pipeline::archive::{Archive as _, ArchiveError, Put};
use callvault_tests::contract_archive::{key, put, read};
use callvault_tests::stand_ins::google_account::{Account, Key};
use callvault_tests::stand_ins::verifying_gcs::VerifyingGcs;

use crate::clouds::{content, world};

fn archive(url: &str, file: &std::path::Path) -> GoogleArchive {
    let options = GoogleOptions {
        bucket: "bucket".to_owned(),
        prefix: "signed".to_owned(),
        endpoint: Some(url.to_owned()),
        sign_in: GoogleSignIn::File(file.to_owned()),
        sizes: Sizes::default(),
    };
    GoogleArchive::new(options, world()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_of_a_service_account_signs_in() {
    let (gcs, known, folder) = (VerifyingGcs::start().await, Key::generate(), tempfile::tempdir().unwrap());
    let account = Account::start(&gcs.url(), &known).await;
    let file = folder.path().join("key.json");
    std::fs::write(&file, known.file()).unwrap();
    let mine = archive(&account.url(), &file);
    mine.check().await.unwrap();
    assert!(matches!(put(&mine, "t/one", &content(1000)).await, Put::Stored(_)));
    assert_eq!(read(&mine, "t/one").await.unwrap(), content(1000));
    assert_eq!(account.tokens().len(), 1, "it signs once in an hour");

    // A key that was removed, or is of another account.
    std::fs::write(&file, Key::generate().file()).unwrap();
    let others = archive(&account.url(), &file);
    for error in [others.check().await.unwrap_err(), others.head(&key("t/one")).await.unwrap_err()] {
        assert!(matches!(error, ArchiveError::Denied { .. }), "{error}");
        assert!(error.to_string().contains("not valid any more"), "{error}");
        for token in account.tokens() {
            assert!(!error.to_string().contains(&token), "{error}");
        }
    }
    assert_eq!(gcs.objects().len(), 1);
}
