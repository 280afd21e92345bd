//! Every fixture of `tests/events` and what each function answers to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use callvault_tests::fakes::TestClock;
use serde_json::{Value, json};

use super::world::{Name, World};

/// Who takes which fixture. Whoever is not named refuses it.
const TAKEN: [(&str, &[Name]); 15] = [
    ("timer", &Name::ALL),
    ("timer-bare", &Name::ALL),
    ("timer-more-fields", &Name::ALL),
    ("timer-time-not-replaced", &Name::ALL),
    ("timer-plan", &[Name::Query]),
    ("day", &[Name::Query]),
    ("days", &[Name::Query]),
    ("stream", &[Name::Upload]),
    ("stream-more-fields", &[Name::Upload]),
    ("timer-sweep", &[Name::Voicemail]),
    ("voicemail", &[Name::Voicemail]),
    ("voicemail-bare", &[Name::Voicemail]),
    ("voicemail-direct", &[Name::Voicemail]),
    ("voicemail-group", &[Name::Voicemail]),
    ("voicemail-more-fields", &[Name::Voicemail]),
];

/// Fixtures of functions that are no stages: they have tests of their own, and stages refuse them.
const OF_OTHERS: [&str; 11] = [
    "rotation",
    "rotation-assumed-role",
    "http-check",
    "http-check-base64",
    "http-download",
    "http-elsewhere",
    "http-get",
    "http-webhook",
    "websocket-connect",
    "websocket-disconnect",
    "websocket-message",
];

fn fixtures() -> BTreeMap<String, Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap())
        })
        .collect()
}

#[test]
fn every_fixture_is_taken_by_whom_it_is_for_and_refused_by_the_others() {
    let fixtures = fixtures();
    assert!(fixtures.len() > 30, "{}", fixtures.len());
    let missing: Vec<&str> = TAKEN.iter().map(|(name, _)| *name).filter(|name| !fixtures.contains_key(*name)).collect();
    assert_eq!(missing, [""; 0]);
    for (fixture, event) in &fixtures {
        let taken: &[Name] = TAKEN.iter().find(|(name, _)| name == fixture).map_or(&[], |(_, names)| names);
        let refused = fixture.starts_with("malformed-") || OF_OTHERS.contains(&fixture.as_str());
        assert_eq!(refused, taken.is_empty(), "{fixture}");
        for name in Name::ALL {
            let invoked = TestClock::run(async { World::new().invoke(name, event).await });
            match invoked.answer {
                Ok(_) => assert!(taken.contains(&name), "{name:?} takes {fixture}"),
                Err(refusal) => {
                    assert!(!taken.contains(&name), "{name:?} refuses {fixture}: {}", refusal.message);
                    assert_eq!(refusal.code, "event-malformed", "{name:?}, {fixture}: {}", refusal.message);
                    let says_what_to_do = ["expected {\"trigger\":\"timer\"}", "name days before"];
                    assert!(says_what_to_do.iter().any(|text| refusal.message.contains(text)), "{}", refusal.message);
                    assert!(refusal.message.len() < 300, "{}", refusal.message);
                    assert!(!refusal.message.contains("1317555"), "a number: {}", refusal.message);
                }
            }
        }
    }
}

#[test]
fn a_malformed_event_changes_nothing() {
    TestClock::run(async {
        let world = World::new();
        for (fixture, event) in fixtures().iter().filter(|(name, _)| name.starts_with("malformed-")) {
            for name in Name::ALL {
                let invoked = world.invoke(name, event).await;
                assert_eq!(invoked.report, callvault_pipeline::stages::Report::default(), "{name:?}, {fixture}");
            }
        }
        assert!(callvault_pipeline::ledger::Ledger::days(&*world.ledger).await.unwrap().is_empty());
    });
}

#[test]
fn answers_have_the_documented_fields() {
    let counts = ["bytes", "claimed", "daysClosed", "failed", "found", "givenBack", "parked", "settled", "stored"];
    TestClock::run(async {
        let fixtures = fixtures();
        let world = World::new();
        for name in Name::ALL {
            let answer = world.invoke(name, &fixtures["timer"]).await.answer.unwrap();
            let mut expected: BTreeSet<&str> = counts.into();
            if name == Name::Query {
                expected.insert("planned");
            }
            assert_eq!(answer.as_object().unwrap().keys().map(String::as_str).collect::<BTreeSet<_>>(), expected);
        }
        let answer = world.invoke(Name::Upload, &fixtures["stream"]).await.answer.unwrap();
        assert_eq!(answer, json!({ "batchItemFailures": [] }));
    });
}
