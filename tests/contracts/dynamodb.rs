//! The ledger in DynamoDB, over its stand-in: the contract, two processes at once, and what a recording costs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use callvault_aws::dynamodb::DynamoLedger;
use callvault_pipeline::day::Day;
use callvault_pipeline::facts::{Facts, Intake, NewConversation};
use callvault_pipeline::ids::{BatchJobId, ConversationId};
use callvault_pipeline::kind::Kind;
use callvault_pipeline::ledger::machine::{Delivered, Delivery, Look, Next, Settlement};
use callvault_pipeline::ledger::{HolderId, Ledger, Listing, Outcome, Row, Settled, Stage, StoredObject};
use callvault_pipeline::models::RecordingMetadata;
use callvault_pipeline::reason::Reason;
use callvault_tests::contract_ledger::{Steps, t};
use callvault_tests::ledger_contract;
use callvault_tests::stand_ins::moto::{Moto, unique};
use callvault_tests::stand_ins::table;
use callvault_tests::stand_ins::wire::{Units, Wire};
use futures_util::FutureExt;
use sha2::{Digest, Sha256};

/// A ledger's table, and the wire to it.
pub(crate) struct Scene {
    _moto: Moto,
    pub(crate) wire: Wire,
    pub(crate) sdk: SdkConfig,
    pub(crate) table: String,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let (moto, wire) = (Moto::shared(), Wire::quiet());
        let (sdk, table) = (wire.over(&moto.sdk()), unique("ledger"));
        table::create(&sdk, &table).await;
        wire.take_calls();
        Self { _moto: moto, wire, sdk, table }
    }

    /// A process's ledger.
    pub(crate) fn ledger(&self, holder: &str) -> DynamoLedger {
        DynamoLedger::new(&self.sdk, &self.table, HolderId(holder.to_owned()), Arc::new(|| 0.5))
    }
}

async fn in_a_table() -> (Scene, DynamoLedger) {
    let scene = Scene::new().await;
    let ledger = scene.ledger("one");
    (scene, ledger)
}

ledger_contract!(dynamodb, crate::dynamodb::in_a_table);

fn day() -> Day {
    "2026-01-20".parse().unwrap()
}

/// A UUID for a text, as the platform's ids look.
fn uuid(text: &str) -> String {
    let hex: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

fn ids(n: usize) -> Vec<ConversationId> {
    (0..n).map(|n| uuid(&format!("conversation {n}")).parse().unwrap()).collect()
}

/// A call as analytics describes it.
fn call(id: &ConversationId) -> NewConversation {
    let facts = Facts {
        start: Some("2026-01-20T10:15:30.123Z".parse().unwrap()),
        end: Some("2026-01-20T10:20:31.456Z".parse().unwrap()),
        direction: serde_json::from_str("\"inbound\"").unwrap(),
        media: vec![serde_json::from_str("\"voice\"").unwrap()],
        queues: vec![uuid("queue")],
        divisions: vec![uuid("division")],
        agent: true,
        recorded: true,
        handle_ms: Some(301_333),
    };
    NewConversation { id: id.clone(), facts, intake: Intake::Export }
}

fn one_call(id: &ConversationId) -> Delivery {
    let recording = uuid(&format!("recording of {id}")).parse().unwrap();
    let recording = Delivered { recording, kind: Kind::Call, results: 1, error: None, verdict: None };
    Delivery { conversation: id.clone(), error: None, recordings: vec![recording] }
}

fn object(row: &Row, kind: &str, job: Option<&str>) -> StoredObject {
    let name = row.key.to_string().replace("conversation/", "").replace('/', "_");
    StoredObject {
        key: format!("prod/2026-01-20/10/{kind}/{}.ogg", name.trim_end_matches('_')).parse().unwrap(),
        bytes: 1_234_567,
        sha256: Sha256::digest(name.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect(),
        content_type: Some("audio/ogg".to_owned()),
        job: job.map(|job| job.parse().unwrap()),
        stored_at: t(60),
    }
}

fn look(metadata: Option<Vec<RecordingMetadata>>, next: Next) -> Settlement {
    Settlement::Looked(Box::new(Look { metadata, park: Vec::new(), next }))
}

fn metadata(id: &ConversationId) -> Vec<RecordingMetadata> {
    let text = format!(
        r#"[{{"id":"{}","media":"audio","mediaSubtype":"Trunk","fileState":"AVAILABLE",
        "startTime":"2026-01-20T10:15:31.001Z","endTime":"2026-01-20T10:20:31.001Z","sessionId":"{}",
        "archiveDate":null,"deleteDate":"2027-01-20T10:20:31.001Z"}}]"#,
        uuid(&format!("recording of {id}")),
        uuid(&format!("session of {id}"))
    );
    serde_json::from_str(&text).unwrap()
}

/// A hundred conversations with a recording each, from being found to being settled and listed, as the stages do it.
async fn a_life(full: bool) -> (Units, usize) {
    let (scene, ids) = (Scene::new().await, ids(100));
    let ledger = scene.ledger("a-host-1234-5678abcd");
    let job = uuid("job");
    let job_id = job.parse().unwrap();
    let found: Vec<_> = ids.iter().map(call).collect();
    ledger.known(day(), &ids).await.unwrap();
    assert_eq!(ledger.add_conversations(day(), &found, t(0)).await.unwrap(), 100);
    let claimed = ledger.claimed(Stage::Submit, 1).await;
    let claims: Vec<_> = claimed.iter().map(|row| (row.key.conversation().unwrap().clone(), row.attempt)).collect();
    ledger.submitted(&job_id, &claims, t(12), t(2)).await.unwrap();
    let batch = ledger.claimed_one(Stage::Poll, 12).await;
    let running = Settlement::Running { due: t(22), steady: None };
    ledger.settled(&batch, running, 13).await;
    let batch = ledger.claimed_one(Stage::Poll, 22).await;
    for id in &ids {
        ledger.conversation(id).await.unwrap();
    }
    let given: Vec<_> = ids.iter().map(one_call).collect();
    assert_eq!(ledger.deliver(&job_id, batch.attempt, &given, t(23)).await.unwrap(), Settled::Done);
    for row in ledger.claimed(Stage::Upload, 26).await {
        let stored = Settlement::Stored(vec![object(&row, "call", Some(&job))]);
        assert_eq!(ledger.settled(&row, stored, 30).await, Settled::Done);
    }
    let last = ledger.claimed(Stage::Describe, 31).await;
    assert_eq!(last.len(), 100);
    for row in last {
        let id = row.key.conversation().unwrap();
        ledger.conversation(id).await.unwrap();
        if full {
            // Read again, as copies may have been settled while the source was thinking.
            ledger.conversation(id).await.unwrap();
        }
        let settle = Next::Settle { outcome: Outcome::Stored, object: Some(object(&row, "metadata", None)) };
        ledger.settled(&row, look(full.then(|| metadata(id)), settle), 32).await;
    }
    assert!(!ledger.outstanding(day()).await.unwrap());
    let counts = ledger.counts(day()).await.unwrap();
    assert_eq!((counts.conversations_by_state["stored"], counts.recordings_by_state["stored"]), (100, 100));
    assert_eq!(ledger.list(day(), Listing::All, None, 500).await.unwrap().len(), 200);
    let calls = ledger.consumed().calls;
    assert!(calls > 0);
    (scene.wire.units(), scene.wire.take_calls().len())
}

#[tokio::test]
async fn a_recording_costs_few_units() {
    for full in [false, true] {
        let (units, calls) = a_life(full).await;
        let (read, write) = (units.read / 100.0, units.write / 100.0);
        println!(
            "full {full}: {write} write, {read} read units a recording; largest {} bytes; {calls} calls",
            units.largest
        );
        assert!(write <= 15.0 && read <= 10.0, "{write} write and {read} read units a recording (full: {full})");
        assert!(units.largest <= 1024, "{} bytes: a write of it would be two units", units.largest);
    }
}

/// A stage renews a claim while the work on it waits, unpolled, in the middle of a write.
#[tokio::test]
async fn a_call_that_nobody_polls_keeps_no_other_from_its_end() {
    let (moto, table) = (Moto::shared(), unique("ledger"));
    table::create(&moto.sdk(), &table).await;
    let ledger = DynamoLedger::new(&moto.sdk(), &table, HolderId("one".to_owned()), Arc::new(|| 0.5));
    ledger.add_conversations(day(), &[call(&ids(1)[0])], t(0)).await.unwrap();
    let row = ledger.claimed_one(Stage::Submit, 1).await;
    let later = Settlement::Later { due: t(9), failed: false };
    let mut settling = ledger.settle(&row.key, row.attempt, later, t(2));
    assert!((&mut settling).now_or_never().is_none(), "it is under way");
    let renewed = tokio::time::timeout(Duration::from_secs(60), ledger.renew(&row.key, row.attempt, t(400))).await;
    assert!(renewed.is_ok(), "it waits for what waits for it");
    settling.await.unwrap();
}

#[tokio::test]
async fn two_processes_claim_different_rows() {
    let scene = Scene::new().await;
    let (one, two) = (scene.ledger("one"), scene.ledger("two"));
    let found: Vec<_> = ids(100).iter().map(call).collect();
    one.add_conversations(day(), &found, t(0)).await.unwrap();
    let lease = Duration::from_secs(300);
    let (a, b) = tokio::join!(one.claim(Stage::Submit, 100, lease, t(1)), two.claim(Stage::Submit, 100, lease, t(1)));
    let claimed: Vec<Row> = a.unwrap().into_iter().chain(b.unwrap()).collect();
    let keys: BTreeSet<_> = claimed.iter().map(|row| row.key.clone()).collect();
    assert_eq!((claimed.len(), keys.len()), (100, 100));
    for row in &claimed {
        assert_eq!(one.row(&row.key).await, *row, "the table holds what was answered");
    }
}

#[tokio::test]
async fn a_claim_of_a_hundred_is_three_calls_and_its_writes() {
    let scene = Scene::new().await;
    let found: Vec<_> = ids(150).iter().map(call).collect();
    scene.ledger("one").add_conversations(day(), &found, t(0)).await.unwrap();
    scene.wire.take_calls();
    let two = scene.ledger("two");
    for expected in [100, 50] {
        let claimed = two.claim(Stage::Submit, 100, Duration::from_secs(300), t(1)).await.unwrap();
        assert_eq!(claimed.len(), expected);
        let calls = scene.wire.take_calls();
        let writes = calls.iter().filter(|call| call.operation == "PutItem").count();
        assert_eq!(writes, expected);
        assert!(calls.len() - writes <= 3, "{:?}", calls.iter().map(|call| &call.operation).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn two_recordings_settled_at_once_wake_their_conversation_once() {
    let scene = Scene::new().await;
    let (one, two) = (scene.ledger("one"), scene.ledger("two"));
    let given = ["r", "q"].map(|id| Delivered {
        recording: id.parse().unwrap(),
        kind: Kind::Call,
        results: 1,
        error: None,
        verdict: None,
    });
    one.delivered_one("a", given.to_vec()).await;
    let lease = Duration::from_secs(300);
    let first = one.claim(Stage::Upload, 1, lease, t(11)).await.unwrap().remove(0);
    let second = two.claim(Stage::Upload, 9, lease, t(11)).await.unwrap().remove(0);
    assert_ne!(first.key, second.key);
    let (a, b) = tokio::join!(
        one.settled(&first, Settlement::Stored(vec![object(&first, "call", None)]), 12),
        two.settled(&second, Settlement::Stored(vec![object(&second, "call", None)]), 12)
    );
    assert_eq!((a, b), (Settled::Done, Settled::Done));
    let woken = one.claimed_one(Stage::Describe, 12).await;
    assert_eq!(woken.attempt, 2, "claimed for submit, and now");
    assert!(two.claimed(Stage::Describe, 12).await.is_empty());
    assert_eq!(two.conversation(&"a".parse().unwrap()).await.unwrap().len(), 3);
}

#[tokio::test]
async fn conversations_added_by_two_at_once_are_counted_once() {
    let scene = Scene::new().await;
    let (one, two) = (scene.ledger("one"), scene.ledger("two"));
    let found: Vec<_> = ids(120).iter().map(call).collect();
    let (a, b) = tokio::join!(one.add_conversations(day(), &found, t(0)), two.add_conversations(day(), &found, t(0)));
    assert_eq!(a.unwrap() + b.unwrap(), 120);
    assert_eq!(one.counts(day()).await.unwrap().conversations, 120);
}

#[tokio::test]
async fn what_is_settled_elsewhere_is_found_when_it_is_due() {
    let scene = Scene::new().await;
    let (one, two) = (scene.ledger("one"), scene.ledger("two"));
    one.found(&["a"], 0).await;
    let claim = one.claimed_one(Stage::Submit, 1).await;
    // The other one meets it while it is claimed, and remembers that it is not due.
    assert!(two.claimed(Stage::Submit, 2).await.is_empty());
    assert_eq!(two.next_due(Stage::Submit).await.unwrap(), Some(t(301)));
    one.settled(&claim, Settlement::Later { due: t(3), failed: true }, 2).await;
    assert_eq!(two.next_due(Stage::Submit).await.unwrap(), Some(t(3)));
    assert_eq!(two.claimed_one(Stage::Submit, 3).await.attempt, 2);
}

#[tokio::test]
async fn a_ledger_is_made_for_one_thing() {
    let scene = Scene::new().await;
    let (one, two) = (scene.ledger("one"), scene.ledger("two"));
    let to = |archive: &str| [("ARCHIVE", archive.to_owned()), ("TIMEZONE", "UTC".to_owned())];
    let (here, there) = (to("s3://here"), to("s3://there"));
    let (a, b) = tokio::join!(one.bind(&here), two.bind(&there));
    let differing: Vec<_> = a.unwrap().into_iter().chain(b.unwrap()).collect();
    assert_eq!(differing.len(), 1, "one of them was first: {differing:?}");
    assert_eq!(differing[0].0, "ARCHIVE");
    let first = differing[0].1.clone();
    assert!(one.bind(&to(&first)).await.unwrap().is_empty());
    let more = [("ARCHIVE", first), ("KEY_LAYOUT", "v2".to_owned())];
    assert!(one.bind(&more).await.unwrap().is_empty(), "what is new is written down");
    assert_eq!(two.bind(&[("KEY_LAYOUT", "v1".to_owned())]).await.unwrap(), [("KEY_LAYOUT", "v2".to_owned())]);
}

#[tokio::test]
async fn a_table_is_checked() {
    let scene = Scene::new().await;
    scene.ledger("one").check().await.unwrap();
    let other = DynamoLedger::new(&scene.sdk, "none", HolderId("one".to_owned()), Arc::new(|| 0.5));
    let error = other.check().await.unwrap_err();
    assert!(error.to_string().contains("no table none") && error.to_string().contains("check LEDGER"), "{error}");
    let error = other.plan_day(day(), t(0)).await.unwrap_err();
    assert!(error.to_string().contains("no table none") && error.to_string().contains("eu-west-1"), "{error}");
}

/// Text that cannot be compressed to less than half of its length.
fn noise(of: &str, uuids: usize) -> String {
    (0..uuids).map(|n| uuid(&format!("{of} {n}")).replace('-', "")).collect()
}

/// A call with so many recordings, each with an error that takes room.
fn many(id: &ConversationId, recordings: usize) -> Delivery {
    let one = |n: usize| Delivered {
        recording: uuid(&format!("{id} {n}")).parse().unwrap(),
        kind: Kind::Call,
        results: 0,
        error: Some(noise(&format!("{id} {n}"), 12)),
        verdict: None,
    };
    Delivery { conversation: id.clone(), error: None, recordings: (0..recordings).map(one).collect() }
}

/// Submits these conversations as one job and claims it.
async fn a_job_of(ledger: &DynamoLedger, ids: &[ConversationId]) -> (BatchJobId, Row) {
    ledger.plan_day(day(), t(0)).await.unwrap();
    let calls: Vec<_> = ids.iter().map(call).collect();
    ledger.add_conversations(day(), &calls, t(0)).await.unwrap();
    let claimed = ledger.claim(Stage::Submit, 100, Duration::from_secs(300), t(1)).await.unwrap();
    let claims: Vec<_> = claimed.iter().map(|row| (row.key.conversation().unwrap().clone(), row.attempt)).collect();
    let job: BatchJobId = uuid("job").parse().unwrap();
    ledger.submitted(&job, &claims, t(3), t(2)).await.unwrap();
    let batch = ledger.claim(Stage::Poll, 1, Duration::from_secs(300), t(4)).await.unwrap().remove(0);
    (job, batch)
}

#[tokio::test]
async fn a_conversation_that_does_not_fit_is_parked_and_holds_up_nobody() {
    let (_scene, ledger) = in_a_table().await;
    let ids = ids(3);
    let (job, batch) = a_job_of(&ledger, &ids).await;
    let deliveries = [one_call(&ids[0]), many(&ids[1], 2_500), one_call(&ids[2])];
    let delivered = ledger.deliver(&job, batch.attempt, &deliveries, t(5)).await.unwrap();
    assert_eq!(delivered, Settled::Done);
    let state = async |id: &ConversationId| {
        let row = ledger.conversation(id).await.unwrap().remove(0);
        (row.state_word(), row.reason())
    };
    assert_eq!(state(&ids[0]).await, ("delivered", None));
    assert_eq!(state(&ids[1]).await, ("parked", Some(Reason::TooManyRecordings)));
    assert_eq!(state(&ids[2]).await, ("delivered", None));
    assert_eq!(ledger.next_due(Stage::Poll).await.unwrap(), None, "its batch is over");
    assert_eq!(ledger.counts(day()).await.unwrap().parked, 1);
}

#[tokio::test]
async fn a_conversation_that_outgrows_its_place_later_is_parked_with_what_it_has() {
    let (_scene, ledger) = in_a_table().await;
    let ids = ids(1);
    let (job, batch) = a_job_of(&ledger, &ids).await;
    let two = ["r", "s"].map(|name| Delivered {
        recording: name.parse().unwrap(),
        kind: Kind::Call,
        results: 1,
        error: None,
        verdict: None,
    });
    let two = Delivery { conversation: ids[0].clone(), error: None, recordings: two.to_vec() };
    ledger.deliver(&job, batch.attempt, &[two], t(5)).await.unwrap();
    let copies = ledger.claim(Stage::Upload, 2, Duration::from_secs(300), t(6)).await.unwrap();
    let first = Settlement::Stored(vec![object(&copies[0], "call", Some(job.as_str()))]);
    assert_eq!(ledger.settle(&copies[0].key, copies[0].attempt, first, t(7)).await.unwrap(), Settled::Done);
    // Thousands of objects for one recording: nothing else grows as much.
    let objects = (0..3_000).map(|n| {
        let key = format!("prod/2026-01-20/10/call/{}.ogg", noise(&format!("object {n}"), 3)).parse().unwrap();
        StoredObject { key, sha256: noise(&format!("{n}"), 8), ..object(&copies[1], "call", Some(job.as_str())) }
    });
    let second = Settlement::Stored(objects.collect());
    assert_eq!(ledger.settle(&copies[1].key, copies[1].attempt, second, t(8)).await.unwrap(), Settled::Done);
    let rows = ledger.conversation(&ids[0]).await.unwrap();
    let reasons: Vec<_> = rows.iter().map(|row| (row.key == copies[0].key, row.state_word(), row.reason())).collect();
    assert!(reasons.contains(&(true, "stored", None)), "{reasons:?}");
    let parked = |row: &&Row| row.reason() == Some(Reason::TooManyRecordings);
    assert_eq!(rows.iter().filter(parked).count(), 2, "the conversation and the recording: {reasons:?}");
    assert!(!ledger.outstanding(day()).await.unwrap());
}
