//! Archives and ledgers that are not what they should be, or full.

use callvault_simulator::Options;
use callvault_tests::binary::scene::{Scene, quick};
use rusqlite::Connection;

use crate::mount::Mount;
use crate::refused;

fn plain(conversations: u32, seed: u64) -> Scene {
    Scene::new(Options { plain: true, seed, ..quick(conversations) })
}

#[test]
fn an_archive_that_is_a_file_could_not_go_on() {
    let scene = plain(5, 1);
    std::fs::write(scene.archive(), "something else").unwrap();
    refused("a file", &scene.export().run(), 3, &["archive"]);
    assert_eq!(std::fs::read_to_string(scene.archive()).unwrap(), "something else");
    std::fs::remove_file(scene.archive()).unwrap();
    scene.export_equals_truth();
}

#[test]
fn an_archive_below_a_file_could_not_go_on() {
    let scene = plain(5, 2);
    std::fs::write(scene.path("file"), "x").unwrap();
    let output = scene.export().env("ARCHIVE", scene.path("file").join("archive")).run();
    refused("below a file", &output, 3, &["archive"]);
}

#[test]
fn an_archive_that_cannot_be_written_could_not_go_on() {
    let scene = plain(5, 3);
    let Some(mount) = Mount::new(&scene.archive(), "size=8m,ro") else { return };
    refused("read only", &scene.export().run(), 3, &["archive", "who may write"]);
    mount.remount("rw");
    scene.export_equals_truth();
}

/// Something of somebody else's stands where the day's folder must be.
#[test]
fn a_file_in_the_way_of_the_days_folder_could_not_go_on() {
    let scene = plain(5, 4);
    std::fs::create_dir(scene.archive()).unwrap();
    std::fs::write(scene.archive().join("prod"), "in the way").unwrap();
    refused("in the way", &scene.export().run(), 3, &["archive"]);
    std::fs::remove_file(scene.archive().join("prod")).unwrap();
    scene.export_equals_truth();
}

#[test]
fn a_full_archive_could_not_go_on_and_does_when_there_is_room() {
    let scene = Scene::new(Options { plain: true, media_bytes: Some(60_000), seed: 5, ..quick(60) });
    let Some(mount) = Mount::new(&scene.archive(), "size=1m") else { return };
    for again in 0..2 {
        refused(&format!("full {again}"), &scene.export().run(), 3, &["archive", "no room"]);
        let status = scene.status();
        assert_eq!(status["days"][0]["marker"], serde_json::Value::Null, "{status}");
    }
    mount.remount("size=64m");
    let stored = scene.status()["days"][0]["stored"].as_u64().unwrap();
    assert!(stored > 3, "{stored} stored before it was full");
    let media = scene.requests().media_requests;
    scene.export_equals_truth();
    let fetched = scene.requests().media_requests - media;
    assert_eq!(fetched, 60 - stored, "what was stored was fetched again");
}

#[test]
fn a_ledger_that_is_none_could_not_go_on() {
    let scene = plain(5, 6);
    let other = scene.path("other.sqlite");
    std::fs::create_dir(scene.path("folder")).unwrap();
    std::fs::write(scene.path("text"), "this is not a database, but a letter to my grandmother. ".repeat(20)).unwrap();
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE songs (name TEXT)").unwrap();
    for (name, words) in [("folder", ["LEDGER"]), ("text", ["LEDGER"]), ("other.sqlite", ["not a ledger"])] {
        let ledger = format!("sqlite:{}", scene.path(name).display());
        for args in [&["status"][..], &["where", "c1"]] {
            refused(name, &scene.command(args).env("LEDGER", &ledger).run(), 3, &words);
        }
        refused(name, &scene.export().env("LEDGER", &ledger).run(), 3, &words);
    }
    let songs: i64 = Connection::open(&other)
        .unwrap()
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .unwrap();
    assert_eq!(songs, 1, "somebody else's database was written to");
}

#[test]
fn a_ledger_of_a_newer_callvault_is_left_alone() {
    let scene = plain(5, 7);
    scene.export_equals_truth();
    let connection = || Connection::open(scene.ledger()).unwrap();
    let ours: i64 = connection().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    connection().pragma_update(None, "user_version", 99).unwrap();
    for output in [scene.export().run(), scene.command(&["status"]).run(), scene.command(&["where", "c1"]).run()] {
        refused("newer", &output, 3, &["newer callvault", "99", "update"]);
    }
    connection().pragma_update(None, "user_version", ours).unwrap();
    scene.export_equals_truth();
}

#[test]
fn a_full_ledger_could_not_go_on_and_does_when_there_is_room() {
    let scene = plain(500, 8);
    let Some(mount) = Mount::new(&scene.path("disk"), "size=300k") else { return };
    let scene = scene.with("LEDGER", &format!("sqlite:{}", "disk/ledger.sqlite"));
    for again in 0..2 {
        refused(&format!("full {again}"), &scene.export().run(), 3, &["ledger", "no room"]);
    }
    mount.remount("size=64m");
    scene.export_equals_truth();
}

/// The last words of a ledger that was cut, for instance by copying it while it was written.
#[test]
fn a_damaged_ledger_could_not_go_on() {
    let scene = plain(40, 9);
    scene.export_equals_truth();
    let bytes = std::fs::read(scene.ledger()).unwrap();
    std::fs::write(scene.ledger(), &bytes[..bytes.len() / 2]).unwrap();
    for name in ["ledger.sqlite-wal", "ledger.sqlite-shm"] {
        let _ = std::fs::remove_file(scene.path(name));
    }
    refused("cut", &scene.export().run(), 3, &["ledger"]);
}

#[test]
fn no_ledger_yet_is_told() {
    let scene = plain(5, 10);
    for args in [&["status"][..], &["status", "--json"], &["where", "c1"]] {
        refused(&args.join(" "), &scene.command(args).run(), 3, &["no ledger", "exported"]);
    }
    assert!(!scene.ledger().exists(), "looking made a ledger");
}

/// Its rows would say of the other archive, zone or layout what is not true there: no `_SUCCESS` over an empty folder.
#[test]
fn a_ledger_is_refused_for_anything_but_what_it_was_made_for() {
    let scene = plain(5, 40);
    scene.export_equals_truth();
    let others = [
        ("ARCHIVE", scene.path("other").display().to_string()),
        ("ENVIRONMENT", "elsewhere".to_owned()),
        ("KEY_LAYOUT", "hive".to_owned()),
        ("TIMEZONE", "America/Lima".to_owned()),
    ];
    for (name, value) in others {
        refused(name, &scene.export().env(name, value).run(), 2, &[name, "was made for", "LEDGER of its own"]);
    }
    assert!(!scene.path("other").join("prod").exists(), "nothing may be written into the other archive");
    scene.export_equals_truth();
}
