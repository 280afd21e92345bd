//! What `export`, `status` and `where` print.

use std::collections::BTreeSet;
use std::path::Path;

use callvault_simulator::Options;
use callvault_tests::binary::scene::{Scene, quick};
use serde_json::Value;

use crate::refused;

fn fields(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

const DAY: [&str; 8] = ["bytes", "conversations", "day", "marker", "parked", "recordings", "state", "stored"];

#[test]
fn export_prints_one_object_with_the_documented_fields() {
    let scene = Scene::new(Options { plain: true, days: 2, seed: 1, ..quick(7) });
    let output = scene.export().args(["--log", "info"]).run().expect_code(0);
    let json = output.json();
    assert_eq!(fields(&json), ["days", "requests", "seconds"].into());
    let days = json["days"].as_array().unwrap();
    assert_eq!(days.len(), 2);
    for (day, date) in days.iter().zip(scene.days()) {
        assert_eq!(fields(day), DAY.into());
        assert_eq!(day["day"], date.to_string().as_str());
        assert_eq!((&day["state"], &day["marker"]), (&"closed".into(), &"_SUCCESS".into()));
        assert_eq!(["conversations", "recordings", "stored"].map(|name| day[name].as_u64()), [Some(7); 3]);
        assert_eq!(day["parked"], 0);
    }
    let bytes: u64 = days.iter().map(|day| day["bytes"].as_u64().unwrap()).sum();
    assert_eq!(bytes, scene.expected().bytes());
    let requests = scene.requests();
    // Requests of the API and for tokens: all but those for media.
    let told: u64 = requests.operations.values().sum::<u64>() - requests.media_requests;
    assert_eq!(json["requests"].as_u64(), Some(told));
    assert!(json["seconds"].is_number());
    assert!(!output.stderr.is_empty(), "logs are on stderr");
}

#[test]
fn a_quiet_export_says_nothing_on_stderr() {
    let scene = Scene::new(Options { plain: true, seed: 2, ..quick(5) });
    assert_eq!(scene.export().run().expect_code(0).stderr, "");
}

#[test]
fn the_log_is_json_when_asked_for() {
    let scene = Scene::new(Options { plain: true, seed: 3, ..quick(5) });
    let output = scene.export().args(["--log", "info", "--log-json"]).run().expect_code(0);
    assert!(output.stderr.lines().count() > 1);
    for line in output.stderr.lines() {
        let record: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(record["level"].is_string() && record["timestamp"].is_string(), "{line}");
    }
}

#[test]
fn status_shows_days_and_one_day() {
    let scene = Scene::new(Options { plain: true, days: 2, seed: 4, ..quick(6) });
    scene.export().run().expect_code(0);
    let all = scene.status();
    assert_eq!(fields(&all), ["days"].into());
    let days = all["days"].as_array().unwrap();
    assert_eq!(days.len(), 2);
    let mut wanted: BTreeSet<&str> = DAY.into();
    wanted.insert("counts");
    assert_eq!(fields(&days[0]), wanted);
    let second = scene.days()[1].to_string();
    let one = scene.command(&["status", "--day", &second, "--json"]).run().expect_code(0).json();
    assert_eq!(one["days"].as_array().unwrap(), &days[1..]);
    let text = scene.command(&["status"]).run().expect_code(0).stdout;
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.contains(&second) && text.contains("_SUCCESS") && text.contains("6 conversations"), "{text}");
    let output = scene.command(&["status", "--day", "2020-01-01"]).run();
    refused("an unknown day", &output, 2, &["2020-01-01", "export it first"]);
}

#[test]
fn where_shows_every_object_of_a_conversation() {
    let scene = Scene::new(Options { seed: 5, ..quick(16) });
    scene.export_equals_truth();
    let truth = scene.truth().days.remove(0);
    for id in &truth.conversations {
        let answer = scene.command(&["where", id, "--json"]).run().expect_code(0).json();
        assert_eq!(
            fields(&answer),
            ["conversation", "day", "link", "metadata", "reason", "recordings", "state"].into()
        );
        assert_eq!((&answer["conversation"], &answer["day"]), (&id.as_str().into(), &truth.day.to_string().into()));
        let mut found = BTreeSet::new();
        for recording in answer["recordings"].as_array().unwrap() {
            for object in recording["objects"].as_array().unwrap() {
                let path = object["url"].as_str().unwrap().strip_prefix("file://").unwrap();
                assert_eq!(std::fs::metadata(Path::new(path)).unwrap().len(), object["bytes"].as_u64().unwrap());
                found.insert(object["sha256"].as_str().unwrap().to_owned());
            }
        }
        let mine = truth.recordings.iter().filter(|recording| recording.conversation == *id);
        let wanted: BTreeSet<String> =
            mine.clone().filter(|r| r.outcome == "stored").map(|r| r.sha256.clone()).collect();
        assert_eq!(found, wanted, "{id}");
        for parked in mine.filter(|recording| recording.outcome != "stored") {
            let told =
                answer["recordings"].as_array().unwrap().iter().find(|r| r["recording"] == parked.recording.as_str());
            assert_eq!(told.unwrap()["state"], "parked", "{id}");
        }
        let text = scene.command(&["where", id]).run().expect_code(0).stdout;
        assert!(text.contains(id) && wanted.iter().all(|sha256| text.contains(sha256)), "{text}");
    }
    let unknown = scene.command(&["where", "2f7bf00a-0fc2-4d6a-9b56-92238191433e"]).run();
    refused("unknown", &unknown, 2, &["2f7bf00a-0fc2-4d6a-9b56-92238191433e", "exported"]);
}
