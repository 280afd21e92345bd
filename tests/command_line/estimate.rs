//! `estimate`: against the simulator's truth, and against what an export then takes.

use callvault_simulator::{Options, Requests};
use callvault_tests::binary::callvault;
use callvault_tests::binary::scene::{Scene, days_ago, quick};
use callvault_tests::binary::tap::Tap;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::refused;

/// `estimate --json` of the scene's days.
fn estimate(scene: &Scene) -> Value {
    let days = scene.days();
    between(scene, &days[0].to_string(), &days[days.len() - 1].to_string())
}

fn between(scene: &Scene, from: &str, to: &str) -> Value {
    scene.command(&["estimate", "--from", from, "--to", to, "--json"]).run().expect_code(0).json()
}

#[track_caller]
fn figure(estimate: &Value, name: &str) -> (u64, String) {
    let figure = &estimate[name];
    (figure["value"].as_u64().unwrap(), figure["basis"].as_str().unwrap().to_owned())
}

#[track_caller]
fn near(what: &str, estimated: u64, real: u64, percent: u64) {
    assert!(
        estimated.abs_diff(real) * 100 <= real * percent,
        "{what}: estimated {estimated}, it was {real}, more than {percent} % apart"
    );
}

fn operation(requests: &Requests, name: &str) -> u64 {
    requests.operations.get(name).copied().unwrap_or_default()
}

#[test]
fn an_export_takes_what_was_estimated() {
    let scene = Scene::new(Options { plain: true, days: 2, seed: 31, media_bytes: Some(20_000), ..quick(350) });
    let (first, second) = (scene.days()[0].to_string(), scene.days()[1].to_string());
    let estimated = estimate(&scene);
    assert_eq!(figure(&estimated, "conversations"), (700, "counted".into()));
    assert_eq!(figure(&estimated, "exported"), (700, "counted".into()));
    assert_eq!(figure(&estimated, "recordings"), (700, "sampled".into()));
    // A recording and a description for each conversation, a manifest and a marker for each day.
    assert_eq!(figure(&estimated, "objects").0, 1_404);
    assert_eq!(estimated["kinds"].as_object().unwrap().keys().collect::<Vec<_>>(), ["call"]);
    assert_eq!(figure(&estimated, "bytes").1, "assumed", "metadata has no bytes");
    // It asked little, and only what changes nothing.
    let asked = scene.requests();
    assert_eq!(asked.operations.values().sum::<u64>(), estimated["asked"].as_u64().unwrap());
    assert_eq!((asked.media_requests, operation(&asked, "batch-submit")), (0, 0));
    assert!(!scene.ledger().exists() && !scene.archive().exists(), "nothing is planned");

    scene.command(&["export", "--from", &first, "--to", &first]).run().expect_code(0);
    scene.command(&["export", "--from", &second, "--to", &second]).run().expect_code(0);
    let taken = scene.requests().api_requests - asked.api_requests;
    near("API requests", estimated["requests"]["total"].as_u64().unwrap(), taken, 10);
}

#[test]
fn what_was_exported_before_is_taken_for_what_is_to_come() {
    let scene = Scene::new(Options { plain: true, days: 2, seed: 32, ..quick(300) });
    let (first, second) = (scene.days()[0].to_string(), scene.days()[1].to_string());
    scene.command(&["export", "--from", &first, "--to", &first]).run().expect_code(0);
    let before = scene.requests();
    let ledger = std::fs::read(scene.ledger()).unwrap();
    let estimated = estimate(&scene);
    assert_eq!((&estimated["days"]["asked"], &estimated["days"]["exported"]), (&2.into(), &1.into()));
    assert_eq!(estimated["profile"], serde_json::json!({ "from": "ledger", "days": 1, "conversations": 300 }));
    assert_eq!(figure(&estimated, "conversations"), (300, "counted".into()), "of the day that is left");
    let truth = scene.truth();
    let of_day = |day: usize| truth.days[day].recordings.iter().map(|one| one.bytes).sum::<u64>();
    // The mean of the ledger's day, for as many conversations: its very bytes, whatever the other day will bring.
    let (bytes, basis) = figure(&estimated, "bytes");
    assert_eq!((bytes, basis.as_str()), (of_day(0), "sampled"));
    let asked = scene.requests();
    assert_eq!(operation(&asked, "recordingmetadata"), operation(&before, "recordingmetadata"), "no need to sample");
    assert_eq!(std::fs::read(scene.ledger()).unwrap(), ledger, "the ledger is only read");
    let text = scene.command(&["estimate", "--from", &second, "--to", &second]).run().expect_code(0).stdout;
    for word in
        ["300", "counted", "sampled", "assumed", "us-east-1", "hours", "list prices as of 20", "Nothing was planned"]
    {
        assert!(text.contains(word), "{word}\n{text}");
    }
}

/// The query knows UTC days only: where a day of the settings is cut out of two of them, the cuts are found.
#[test]
fn conversations_are_counted_in_the_zone_of_the_settings() {
    for (zone, seed) in [("America/Lima", 33), ("Asia/Kathmandu", 34), ("UTC", 35)] {
        let time_zone = TimeZone::get(zone).unwrap();
        let scene = Scene::new(Options { days: 3, seed, time_zone, first_day: days_ago(6), ..quick(450) });
        let estimated = estimate(&scene);
        assert_eq!(figure(&estimated, "conversations"), (1_350, "counted".into()), "{zone}");
        let truth = scene.truth();
        let stored = truth.days.iter().flat_map(|day| &day.recordings).filter(|one| one.outcome == "stored").count();
        // Sixty conversations stand for 1,350.
        near(zone, figure(&estimated, "recordings").0, stored as u64, 25);
        let one = scene.days()[1].to_string();
        assert_eq!(figure(&between(&scene, &one, &one), "conversations").0, 450, "{zone}");
    }
}

#[test]
fn days_beyond_the_reach_of_the_query_are_computed_from_a_few_of_them() {
    let first_day = days_ago(40);
    let scene = Scene::new(Options { plain: true, days: 30, seed: 36, first_day, query_reach_days: 20, ..quick(40) });
    let estimated = estimate(&scene);
    let days = &estimated["days"];
    // The days 20 and more days ago cannot be asked for: the last one that can begins 19 days ago, at midnight.
    assert_eq!([&days["asked"], &days["counted"], &days["computed"], &days["sampled"]], [30, 9, 21, 3]);
    assert_eq!(figure(&estimated, "conversations"), (1_200, "sampled".into()));
    let asked = scene.requests();
    assert_eq!(operation(&asked, "media"), 0);
    // A job, its states, a page and the refused query, for each of 21 days.
    assert!(estimated["requests"]["history"].as_u64().unwrap() >= 21 * 3, "{estimated}");
    assert!(estimated["asked"].as_u64().unwrap() <= 110, "{}", estimated["asked"]);
}

#[test]
fn days_without_conversations_cost_nothing() {
    let scene = Scene::new(Options { plain: true, seed: 37, ..quick(5) });
    let empty = days_ago(9).to_string();
    let estimated = between(&scene, &empty, &empty);
    for name in ["conversations", "exported", "recordings", "bytes"] {
        assert_eq!(figure(&estimated, name), (0, "counted".into()), "{name}");
    }
    assert_eq!(figure(&estimated, "objects").0, 2, "manifest and marker");
    assert_eq!(estimated["requests"]["total"], 1, "the empty page");
    assert_eq!(estimated["profile"]["from"], "nothing");
    assert_eq!(estimated["aws"]["sums"]["each-month-kept"]["us-east-1"], 0.0);
    assert_eq!(estimated["allowed_per_minute"]["basis"], "counted");
}

/// Whoever may not read recording metadata gets an estimate all the same, and is told what it rests on.
#[test]
fn without_the_metadata_the_analytics_are_taken() {
    let scene = Scene::new(Options { plain: true, seed: 40, ..quick(30) });
    let forbidden = "HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\ncontent-length: 30\r\nconnection: close\r\n\r\n\
        {\"code\":\"missing.permissions\"}";
    let tap = Tap::answering(scene.simulator().address(), "GET /api/v2/conversations/", forbidden);
    let day = scene.days()[0].to_string();
    let command = scene.command(&["estimate", "--from", &day, "--to", &day, "--json"]).env("GENESYS_URL", tap.url());
    let estimated = command.run().expect_code(0).json();
    assert_eq!(estimated["profile"], serde_json::json!({ "from": "analytics", "conversations": 30 }));
    assert_eq!(figure(&estimated, "recordings"), (30, "assumed".into()), "each of them says that it was recorded");
    assert_eq!(figure(&estimated, "conversations"), (30, "counted".into()));
}

/// However long the stretch is, the questions are bounded.
#[test]
fn ten_years_are_estimated_with_few_questions() {
    let scene = Scene::new(Options { plain: true, days: 3, seed: 38, first_day: days_ago(9), ..quick(20) });
    let estimated = between(&scene, &days_ago(3_650).to_string(), &days_ago(5).to_string());
    assert_eq!(estimated["days"]["asked"], 3_646);
    assert!(estimated["asked"].as_u64().unwrap() <= 150, "{}", estimated["asked"]);
}

#[test]
fn what_cannot_be_estimated_is_refused() {
    let scene = Scene::new(Options { plain: true, seed: 39, ..quick(1) });
    let run = |from: &str, to: &str| scene.command(&["estimate", "--from", from, "--to", to]).run();
    let (today, yesterday) = (days_ago(0).to_string(), days_ago(1).to_string());
    refused("the wrong way round", &run("2026-02-02", "2026-02-01"), 2, &["--to 2026-02-01", "--from 2026-02-02"]);
    refused("today", &run(&yesterday, &today), 2, &[&today, "not over", "UTC"]);
    let wrong = scene.command(&["estimate", "--from", &yesterday, "--to", &yesterday]);
    refused("a wrong secret", &wrong.clone().env("GENESYS_CLIENT_SECRET", "wrong").run(), 3, &["refused the sign-in"]);
    refused("no client", &wrong.without("GENESYS_CLIENT_ID").run(), 2, &["GENESYS_CLIENT_ID"]);
    let nowhere = callvault(["estimate", "--from", "2026-01-01"]).run();
    refused("no end", &nowhere, 2, &["--to"]);
}

/// It asks nothing but the source: whoever estimates may have no cloud yet.
#[test]
fn an_archive_elsewhere_needs_no_credentials_for_it() {
    let scene = Scene::new(Options { plain: true, seed: 36, ..quick(20) });
    let here = estimate(&scene);
    for archive in ["s3://bucket/recordings", "az://acct1/recordings", "gs://bucket/recordings"] {
        let day = scene.days()[0].to_string();
        let command = scene.command(&["estimate", "--from", &day, "--to", &day, "--json"]).env("ARCHIVE", archive);
        let there = command.run().expect_code(0).json();
        for name in ["conversations", "recordings", "objects", "bytes"] {
            assert_eq!(there[name], here[name], "{archive}: {name}");
        }
    }
}
