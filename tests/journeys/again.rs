//! What is done is not done again: a second export transfers nothing and changes nothing.

use std::collections::BTreeMap;
use std::path::Path;

use callvault_simulator::{Options, Profile};
use callvault_tests::binary::scene::{Scene, days_ago, quick};
use callvault_tests::truth::archive::Archive;

/// Every file's content, by key.
fn content(archive: &Path) -> BTreeMap<String, Vec<u8>> {
    let archive = Archive::read(archive);
    archive.files.keys().map(|key| (key.clone(), archive.content(key).unwrap())).collect()
}

fn second_run_changes_nothing(scene: &Scene, code: i32) {
    let first = scene.export_equals_truth();
    let (before, media) = (content(&scene.archive()), scene.requests().media_requests);
    let second = scene.export().run().expect_code(code);
    assert_eq!(first.code, second.code);
    assert_eq!(scene.requests().media_requests, media, "media was asked for again");
    let after = content(&scene.archive());
    let changed: Vec<_> = after.iter().filter(|(key, bytes)| before.get(*key) != Some(bytes)).map(|(k, _)| k).collect();
    assert_eq!(changed, Vec::<&String>::new(), "written again");
    assert_eq!(before.len(), after.len());
    scene.equals_truth();
    let (first, second) = (first.json(), second.json());
    assert_eq!(first["days"], second["days"]);
}

#[test]
fn a_second_run_of_a_success_transfers_nothing() {
    second_run_changes_nothing(&Scene::new(Options { plain: true, ..quick(60) }), 0);
}

#[test]
fn a_second_run_of_a_failure_transfers_nothing() {
    second_run_changes_nothing(&Scene::new(Options { faults: Profile::None, seed: 21, ..quick(120) }), 1);
}

#[test]
fn a_second_run_says_so() {
    let scene = Scene::new(Options { plain: true, ..quick(10) });
    let day = scene.days()[0].to_string();
    let export = scene.command(&["export", "--from", &day, "--to", &day]);
    assert!(export.run().expect_code(0).stdout.contains("10 objects transferred"));
    assert!(export.run().expect_code(0).stdout.contains("nothing transferred"));
}

/// A new ledger over an archive that is complete: everything is compared, nothing is written twice.
#[test]
fn a_lost_ledger_is_made_again_from_the_source_and_the_archive() {
    let scene = Scene::new(Options { seed: 22, ..quick(80) });
    scene.export_equals_truth();
    let before = callvault_tests::truth::recordings(&scene.archive());
    for name in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm", "ledger.sqlite.lock"] {
        let _ = std::fs::remove_file(scene.path(name));
    }
    scene.export_equals_truth();
    assert_eq!(before, callvault_tests::truth::recordings(&scene.archive()));
}

/// What was parked is looked at again: a day that failed succeeds when the source has what it lacked.
#[test]
fn what_was_still_uploading_is_fetched_by_a_later_run() {
    let slow = std::time::Duration::from_secs(3 * 60 * 60);
    let scene = Scene::new(Options { uploading_delay: slow, seed: 23, ..quick(60) });
    scene.export().run().expect_code(1);
    let first = scene.status()["days"][0]["parked"].as_u64().unwrap();
    scene.simulator().advance(jiff::SignedDuration::from_hours(4));
    scene.export_equals_truth();
    let second = scene.status()["days"][0]["parked"].as_u64().unwrap();
    assert!(second < first, "{second} parked after {first}");
}

/// The state of each day, and when its conversations were last found.
fn days_of(scene: &Scene) -> Vec<(String, Option<String>)> {
    let ledger = rusqlite::Connection::open(scene.ledger()).unwrap();
    let sql = "SELECT state, json_extract(fact, '$.queried_at') FROM facts WHERE kind = 'day' ORDER BY day";
    let mut statement = ledger.prepare(sql).unwrap();
    let days = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    days.collect::<Result<_, _>>().unwrap()
}

/// What is not closed comes first: an export that ends in the middle of it has not looked at what is.
#[test]
fn days_that_are_not_closed_come_first() {
    let scene = Scene::new(Options { plain: true, days: 3, first_day: days_ago(5), ..quick(20) });
    let days: Vec<String> = scene.days().iter().map(ToString::to_string).collect();
    for day in [&days[0], &days[2]] {
        scene.command(&["export", "--from", day, "--to", day]).run().expect_code(0);
    }
    let before = days_of(&scene);
    // Where the day between would go stands a file.
    let folder = scene.archive().join("prod").join(&days[1]);
    std::fs::write(&folder, "in the way").unwrap();
    assert_ne!(scene.export().run().code, Some(0));
    let after = days_of(&scene);
    assert_eq!([&after[0], &after[2]], [&before[0], &before[1]], "as they were");
    assert_eq!(after[1].0, "open");
    std::fs::remove_file(&folder).unwrap();
    scene.export_equals_truth();
    let last = days_of(&scene);
    assert!(last.iter().all(|(state, _)| state == "closed"));
    assert!(last[0].1 > after[0].1 && last[2].1 > after[2].1, "and they are looked at in the end");
}
