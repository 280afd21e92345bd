//! The versions of a rotated secret, and the lineage beside them: what the adapters make of AWS's answers.

use aws_sdk_secretsmanager::Client;
use callvault_aws::dynamodb::DynamoLedger;
use callvault_aws::secrets::SecretVersions;
use callvault_pipeline::ledger::HolderId;
use callvault_pipeline::rotation::holders::Fingerprint;
use callvault_pipeline::rotation::ports::{Generation, Lineage, SecretStore, Spending, StoreFault, Wanted};
use callvault_tests::stand_ins::moto::{Moto, unique};
use callvault_tests::stand_ins::table;
use callvault_tests::stand_ins::wire::{Step, Wire};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use std::sync::Arc;

use crate::s3::sdk;

fn text(value: Option<secrecy::SecretString>) -> Option<String> {
    value.map(|value| value.expose_secret().to_owned())
}

#[tokio::test]
async fn a_secret_is_described_read_put_and_moved() {
    let moto = Moto::shared();
    let (sdk, name) = (sdk(moto.url()), unique("rotated"));
    let made = Client::new(&sdk).create_secret().name(&name).secret_string("first").send().await.unwrap();
    let store = SecretVersions::new(&sdk, None);
    let described = store.describe(made.arn().unwrap()).await.unwrap();
    assert_eq!((described.name.as_str(), described.arn.as_str()), (name.as_str(), made.arn().unwrap()));
    assert!(!described.rotation_enabled);
    let first = described.with_stage("AWSCURRENT").unwrap().to_owned();
    let version = "a-version-in-the-contract-000001";
    for _ in 0..2 {
        store.put_pending(&name, version, &"second".into()).await.unwrap();
    }
    let pending = store.value(&name, Wanted::Pending(version)).await.unwrap();
    assert_eq!(text(pending).as_deref(), Some("second"));
    assert_eq!(text(store.value(&name, Wanted::Stage("AWSCURRENT")).await.unwrap()).as_deref(), Some("first"));
    assert_eq!(text(store.value(&name, Wanted::Stage("AWSPREVIOUS")).await.unwrap()), None);
    assert_eq!(text(store.value(&name, Wanted::Version("a-version-that-never-was-0000001")).await.unwrap()), None);
    store.make_current(&name, version, Some(&first)).await.unwrap();
    assert_eq!(text(store.value(&name, Wanted::Version(&first)).await.unwrap()).as_deref(), Some("first"));
    let described = store.describe(&name).await.unwrap();
    assert_eq!(described.with_stage("AWSCURRENT"), Some(version));
    // The move again, as after a lost answer: refused, and a look tells that it is done.
    let again = store.make_current(&name, version, Some(&first)).await.unwrap_err();
    assert!(again.is_final(), "{again}");
    assert_eq!(store.versions(&name).await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_rescue_secret_is_called_like_the_secret_or_as_it_is_said() {
    let moto = Moto::shared();
    let (sdk, name) = (sdk(moto.url()), unique("saved"));
    let client = Client::new(&sdk);
    client.create_secret().name(&name).secret_string("first").send().await.unwrap();
    let store = SecretVersions::new(&sdk, None);
    let described = store.describe(&name).await.unwrap();
    assert_eq!(text(store.rescued(&described).await.unwrap()), None);
    store.rescue(&described, &"a pair".into()).await.unwrap();
    assert_eq!(text(store.rescued(&described).await.unwrap()).as_deref(), Some("a pair"));
    let found = client.get_secret_value().secret_id(format!("{name}-rescue")).send().await.unwrap();
    assert_eq!(found.secret_string(), Some("a pair"));
    store.clear_rescue(&described).await.unwrap();
    assert_eq!(text(store.rescued(&described).await.unwrap()).as_deref(), Some("{}"));
    let elsewhere = SecretVersions::new(&sdk, Some(unique("elsewhere")));
    elsewhere.rescue(&described, &"another".into()).await.unwrap();
    assert_eq!(text(elsewhere.rescued(&described).await.unwrap()).as_deref(), Some("another"));
    assert_eq!(text(store.rescued(&described).await.unwrap()).as_deref(), Some("{}"));
}

#[tokio::test]
async fn what_is_not_there_and_who_does_not_answer_say_so() {
    let moto = Moto::shared();
    let store = SecretVersions::new(&sdk(moto.url()), None);
    let missing = store.describe(&unique("nothing")).await.unwrap_err();
    assert!(matches!(missing, StoreFault::Missing { .. }) && missing.is_final(), "{missing:?}");
    let nobody = SecretVersions::new(&sdk("http://127.0.0.1:1"), None);
    let fault = nobody.put_pending("s", "v", &"planted-value".into()).await.unwrap_err();
    assert_eq!((fault.code(), fault.is_final()), ("secret-unreachable", false));
    assert!(!format!("{fault} {fault:?}").contains("planted-value"));
}

fn generation(number: u64, state: Spending) -> Generation {
    let at = |second: i64| Timestamp::from_second(1_768_900_000 + second).unwrap();
    Generation {
        number,
        base: Fingerprint::of(&"base".into()),
        spent: Fingerprint::default(),
        got: (number > 1).then(|| Fingerprint::of(&"got".into())),
        state,
        version: "v".to_owned(),
        from: (number > 1).then(|| "w".to_owned()),
        holder: HolderId("h".to_owned()),
        since: at(0),
        until: at(9),
    }
}

#[tokio::test]
async fn a_generation_is_kept_as_it_is_and_written_once() {
    let moto = Moto::shared();
    let (sdk, name) = (sdk(moto.url()), unique("lineage"));
    table::create(&sdk, &name).await;
    let wire = Wire::quiet();
    let ledger = DynamoLedger::new(&wire.over(&sdk), &name, HolderId("h".to_owned()), Arc::new(|| 0.5));
    assert_eq!(ledger.newest("arn").await.unwrap(), None);
    let mut revision = 0;
    for (number, state) in (1..).zip(Spending::ALL) {
        let row = generation(number, state);
        let written = ledger.write("arn", revision, &row).await.unwrap().unwrap();
        assert_eq!(ledger.write("arn", revision, &row).await.unwrap(), None, "somebody else was first");
        let entry = ledger.newest("arn").await.unwrap().unwrap();
        assert_eq!((entry.revision, &entry.generation), (written, &row));
        revision = written;
    }
    assert_eq!(ledger.newest("another").await.unwrap(), None);
    // A lost answer is found out.
    wire.first("PutItem", 3, || Step::LoseAnswer);
    let row = generation(9, Spending::Exchanging);
    let written = ledger.write("arn", revision, &row).await.unwrap().unwrap();
    wire.script(|_| Step::Pass);
    assert_eq!(ledger.newest("arn").await.unwrap().unwrap().revision, written);
}
