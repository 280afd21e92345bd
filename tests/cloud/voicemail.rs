//! `move-voicemail` as it runs on AWS: events of the partner bus, the same ones many times at once, instances that are
//! killed in between, and timers that go on with what is not listable yet.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use callvault_simulator::{NewVoicemails, Options, TruthVoicemail};
use callvault_tests::binary::scene::quick;
use callvault_tests::cloud::{Cloud, timer};
use callvault_tests::stand_ins::lambda::{Instance, log_of};
use callvault_tests::stand_ins::moto::unique;
use futures_util::future::join_all;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const FUNCTION: &str = "move-voicemail";

/// No invocation takes longer; a killed one never answers.
const PATIENCE: Duration = Duration::from_secs(45);

/// An org with somebody signed in, whose secret is in Secrets Manager.
async fn cloud(seed: u64) -> (Cloud, Vec<(String, String)>) {
    let cloud = Cloud::start(Options { seed, ..quick(10) }).await;
    let id = unique("user");
    let secrets = aws_sdk_secretsmanager::Client::new(cloud.sdk());
    secrets.create_secret().name(&id).secret_string(signed_in(&cloud).to_string()).send().await.unwrap();
    let mut settings = cloud.settings();
    for (name, value) in [("VOICEMAIL_SECRET_ID", id.as_str()), ("DELETE_AFTER_UPLOAD", "true")] {
        settings.push((name.to_owned(), value.to_owned()));
    }
    (cloud, settings)
}

/// What somebody who signs in leaves in the secret.
fn signed_in(cloud: &Cloud) -> Value {
    let grant = cloud.simulator().grant();
    json!({
        "clientId": "demo", "clientSecret": "demo", "accessToken": grant["access_token"], "refreshToken": grant["refresh_token"],
    })
}

fn instance(cloud: &Cloud, settings: &[(String, String)], number: usize) -> Instance {
    cloud.lambda().instance(FUNCTION, settings, &log_of(cloud.folder(), FUNCTION, number))
}

fn expected(cloud: &Cloud) -> Vec<TruthVoicemail> {
    cloud.simulator().truth().voicemails.into_iter().filter(|one| one.user.is_none()).collect()
}

/// The events of all that can be reached, and of those that cannot.
fn events(cloud: &Cloud) -> Vec<Value> {
    cloud.simulator().voicemail_events()
}

fn sums(archive: &Path) -> BTreeMap<String, String> {
    let mut sums = BTreeMap::new();
    for day in std::fs::read_dir(archive.join("prod")).into_iter().flatten() {
        for file in std::fs::read_dir(day.unwrap().path().join("voicemail")).into_iter().flatten() {
            let file = file.unwrap();
            let sum = Sha256::digest(std::fs::read(file.path()).unwrap());
            sums.insert(file.file_name().into_string().unwrap(), sum.iter().map(|b| format!("{b:02x}")).collect());
        }
    }
    sums
}

/// Fires timers until all is stored and nothing is left to do at the source.
async fn until_moved(cloud: &Cloud, count: usize) {
    let begun = Instant::now();
    loop {
        cloud.lambda().invoke(FUNCTION, &timer(), PATIENCE).await;
        let voicemail = cloud.status().await["voicemail"].clone();
        let stored = voicemail["messages_by_state"]["stored"].as_u64() == Some(count as u64);
        if stored && voicemail["orders_due"] == 0 && voicemail["notices_by_state"].get("waiting").is_none() {
            return;
        }
        // A lease of five minutes may have to end.
        assert!(begun.elapsed() < Duration::from_secs(420), "not {count}: {voicemail}\n{}", cloud.logs());
    }
}

async fn equals_truth(cloud: &Cloud) {
    let (sums, expected) = (sums(&cloud.download().await), expected(cloud));
    for one in &expected {
        let name = format!("{}_{}", one.conversation, one.message);
        assert_eq!(sums.get(&format!("{name}.webm")), Some(&one.sha256), "{name}");
        assert!(one.deleted, "{name}");
    }
    assert_eq!(sums.len(), 2 * expected.len());
    assert_eq!(cloud.requests().voicemail_delete_all, 0);
    for log in std::fs::read_dir(cloud.folder()).unwrap().map(|entry| entry.unwrap().path()) {
        if log.extension().is_some_and(|ext| ext == "log") {
            let text = std::fs::read_to_string(&log).unwrap();
            assert!(!text.contains("1317555") && !text.contains("/_media/"), "{}", log.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_moved_once_and_one_of_them_fifty_times_at_once() {
    let (cloud, settings) = cloud(401).await;
    let _instances: Vec<Instance> = (0..4).map(|number| instance(&cloud, &settings, number)).collect();
    let events = events(&cloud);
    let fifty = join_all((0..50).map(|_| cloud.lambda().invoke(FUNCTION, &events[0], PATIENCE)));
    for answer in fifty.await {
        let answer = answer.unwrap_or_else(|| panic!("no answer\n{}", cloud.logs()));
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    for event in &events {
        cloud.lambda().invoke(FUNCTION, event, PATIENCE).await.unwrap();
    }
    until_moved(&cloud, expected(&cloud).len()).await;
    equals_truth(&cloud).await;
    let status = cloud.status().await;
    assert_eq!(status["voicemail"]["notices"], events.len(), "one row for each, the direct ones too");
    assert_eq!(status["voicemail"]["by_reason"], json!({ "direct-voicemail": 1 }));
    let malformed = json!({ "detail-type": "v2.detail.events.conversation.{id}.voicemail.end", "detail": {} });
    let refused = cloud.lambda().invoke(FUNCTION, &malformed, PATIENCE).await.unwrap();
    assert_eq!(refused.error_type(), Some("event-malformed"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_listable_later_is_moved_by_the_timers_though_instances_die() {
    let (cloud, settings) = cloud(402).await;
    let late = NewVoicemails { count: Some(12), listable_after_seconds: Some(20), ..NewVoicemails::default() };
    cloud.simulator().leave_voicemails(&late);
    for (number, event) in events(&cloud).iter().enumerate() {
        // Killed while it works, at another moment each time; Lambda sends the event again.
        let one = instance(&cloud, &settings, number);
        if number % 4 == 0 {
            let invoked = cloud.lambda().invoke(FUNCTION, event, Duration::from_millis(300 + 60 * number as u64));
            drop((invoked.await, one));
            let _another = instance(&cloud, &settings, 100 + number);
            cloud.lambda().invoke(FUNCTION, event, PATIENCE).await;
        } else {
            cloud.lambda().invoke(FUNCTION, event, PATIENCE).await;
        }
    }
    let _last = instance(&cloud, &settings, 900);
    until_moved(&cloud, expected(&cloud).len()).await;
    equals_truth(&cloud).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_told_before_anybody_signed_in_is_moved_afterwards() {
    let (cloud, settings) = cloud(403).await;
    let (_, id) = settings.iter().find(|(name, _)| name == "VOICEMAIL_SECRET_ID").unwrap();
    let secrets = aws_sdk_secretsmanager::Client::new(cloud.sdk());
    // As the template makes it.
    secrets.put_secret_value().secret_id(id).secret_string("{}").send().await.unwrap();
    let _instance = instance(&cloud, &settings, 0);
    let events = events(&cloud);
    for event in &events {
        let answer = cloud.lambda().invoke(FUNCTION, event, PATIENCE).await.unwrap();
        assert_eq!((answer.status, answer.error_type()), (200, None), "no dead letter: {answer:?}");
    }
    assert_eq!(cloud.status().await["voicemail"]["notices"], events.len());
    assert!(cloud.logs().contains("\"StageFaults\":1"), "somebody is told: {}", cloud.logs());
    let refused = cloud.lambda().invoke(FUNCTION, &timer(), PATIENCE).await.unwrap();
    assert_eq!(refused.error_type(), Some("sign-in-refused"), "{refused:?}");
    secrets.put_secret_value().secret_id(id).secret_string(signed_in(&cloud).to_string()).send().await.unwrap();
    until_moved(&cloud, expected(&cloud).len()).await;
    equals_truth(&cloud).await;
}
