//! What differs between source, ledger and archive is found, and mended where it can be.

use std::path::PathBuf;

use callvault_simulator::Options;
use callvault_tests::binary::Output;
use callvault_tests::binary::scene::{Scene, days_ago, quick};

fn exported() -> Scene {
    let scene = Scene::new(Options { plain: true, ..quick(12) });
    scene.export_equals_truth();
    scene
}

fn verify(scene: &Scene, more: &[&str]) -> Output {
    let day = scene.days()[0].to_string();
    scene.command(&["verify", "--from", &day, "--to", &day]).args(more).run()
}

fn folder(scene: &Scene) -> PathBuf {
    scene.archive().join("prod").join(scene.days()[0].to_string())
}

/// Where repairs put what is damaged.
fn aside(scene: &Scene) -> PathBuf {
    scene.archive().join("set-aside").join("prod").join(scene.days()[0].to_string())
}

/// One recording's file.
fn a_call(scene: &Scene) -> PathBuf {
    let mut calls: Vec<_> = std::fs::read_dir(folder(scene).join("call")).unwrap().map(|e| e.unwrap().path()).collect();
    calls.sort();
    calls.remove(0)
}

fn sql(scene: &Scene, statement: &str) -> usize {
    rusqlite::Connection::open(scene.ledger()).unwrap().execute(statement, []).unwrap()
}

/// The codes of a report, and which of its findings are mended.
fn findings(output: &Output) -> Vec<(String, bool)> {
    let report = output.json();
    let findings = report["days"][0]["findings"].as_array().unwrap();
    findings.iter().map(|f| (f["code"].as_str().unwrap().to_owned(), f["repaired"].as_bool().unwrap())).collect()
}

/// Makes a difference: it has this code and exit code 1; mended, everything is as it was.
fn found_and_mended(scene: &Scene, code: &str, harm: impl FnOnce()) {
    harm();
    let found = verify(scene, &["--json"]).expect_code(1);
    assert!(findings(&found).contains(&(code.to_owned(), false)), "{code}: {}", found.stdout);
    let mended = verify(scene, &["--json", "--repair"]).expect_code(0);
    assert!(findings(&mended).contains(&(code.to_owned(), true)), "{code}: {}", mended.stdout);
    verify(scene, &[]).expect_code(0);
}

#[test]
fn what_is_harmed_is_found_and_mended() {
    let scene = exported();
    let media = scene.requests().media_requests;
    let output = verify(&scene, &["--json"]).expect_code(0);
    assert_eq!(output.json()["ok"], true);
    assert_eq!(scene.requests().media_requests, media, "nothing is downloaded to compare");
    let call = a_call(&scene);
    let bytes = std::fs::read(&call).unwrap();
    found_and_mended(&scene, "missing-object", || std::fs::remove_file(&call).unwrap());
    assert_eq!(std::fs::read(&call).unwrap(), bytes);
    found_and_mended(&scene, "changed-length", || std::fs::write(&call, &bytes[..bytes.len() / 2]).unwrap());
    assert_eq!(std::fs::read(&call).unwrap(), bytes);
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    found_and_mended(&scene, "changed-content", || std::fs::write(&call, &flipped).unwrap());
    assert_eq!(std::fs::read(&call).unwrap(), bytes);
    let aside = std::fs::read_dir(aside(&scene)).unwrap().map(|e| e.unwrap().path());
    assert!(aside.map(|path| std::fs::read(path).unwrap()).any(|content| content == flipped), "it is not lost");
}

#[test]
fn what_the_ledger_lost_is_found_and_mended() {
    let scene = exported();
    let recording = "DELETE FROM facts WHERE rowid = (SELECT min(rowid) FROM facts WHERE kind = 'recording')";
    found_and_mended(&scene, "ledger-row-lost", || assert_eq!(sql(&scene, recording), 1));
    let conversation = "DELETE FROM facts WHERE rowid = (SELECT min(rowid) FROM facts WHERE kind = 'conversation')";
    found_and_mended(&scene, "ledger-row-lost", || assert_eq!(sql(&scene, conversation), 1));
    let day = "DELETE FROM facts WHERE kind = 'day'";
    found_and_mended(&scene, "day-unknown", || assert_eq!(sql(&scene, day), 1));
    scene.equals_truth();
}

#[test]
fn an_edited_manifest_is_found_and_written_anew() {
    let scene = exported();
    let manifest = folder(&scene).join("manifest-0001.jsonl");
    let text = std::fs::read_to_string(&manifest).unwrap();
    // Of the same length: only its digest tells.
    let edited = text.replacen("\"bytes\":1", "\"bytes\":2", 1).replacen("\"bytes\":2", "\"bytes\":3", 1);
    assert_ne!(edited, text);
    found_and_mended(&scene, "manifest-edited", || std::fs::write(&manifest, &edited).unwrap());
    assert!(folder(&scene).join("manifest-0002.jsonl").exists());
    let aside = std::fs::read_dir(aside(&scene)).unwrap().map(|e| std::fs::read_to_string(e.unwrap().path()).unwrap());
    assert_eq!(aside.collect::<Vec<_>>(), [edited]);
    // What is set aside is beside the days: they are as a first export makes them.
    std::fs::remove_dir_all(scene.archive().join("set-aside")).unwrap();
    scene.equals_truth();
}

/// The `detail` of everything that breaks the chain.
fn broken(output: &Output) -> Vec<String> {
    let report = output.json();
    let findings = report["days"].as_array().unwrap().iter().flat_map(|day| day["findings"].as_array().unwrap());
    let broken = findings.filter(|finding| finding["code"] == "chain-broken");
    broken.map(|finding| finding["detail"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_link_that_was_changed_in_the_ledger_is_found() {
    let scene = Scene::new(Options { plain: true, days: 2, first_day: days_ago(4), ..quick(5) });
    scene.export_equals_truth();
    let (from, to) = (scene.days()[0].to_string(), scene.days()[1].to_string());
    let verify = || scene.command(&["verify", "--from", &from, "--to", &to, "--json"]).run();
    assert_eq!(broken(&verify().expect_code(0)), [""; 0]);
    // Which day was closed last is chance; it has a link that another one precedes.
    let following = "kind = 'day' AND json_extract(fact, '$.chain[0].previous.digest') IS NOT NULL";
    let link = format!("SELECT json_extract(fact, '$.chain[0]') FROM facts WHERE {following}");
    let ledger = rusqlite::Connection::open(scene.ledger()).unwrap();
    let link: String = ledger.query_row(&link, [], |row| row.get(0)).unwrap();
    let zeros = "0".repeat(64);
    for (path, words) in [
        ("$.chain[0].digest", "the digest of generation 1 is not its own"),
        ("$.chain[0].previous.digest", "and the ledger has another"),
        ("$.chain[0].manifest", "it has no link for the manifest of generation 1"),
    ] {
        let change = |path: &str, value: &str| {
            format!("UPDATE facts SET fact = json_set(fact, '{path}', {value}) WHERE {following}")
        };
        assert_eq!(sql(&scene, &change(path, &format!("'{zeros}'"))), 1);
        let details = broken(&verify().expect_code(1));
        assert!(details.iter().any(|detail| detail.contains(words)), "{path}: {details:?}");
        assert_eq!(sql(&scene, &change("$.chain[0]", &format!("json('{link}')"))), 1);
    }
    assert_eq!(broken(&verify().expect_code(0)), [""; 0]);
}

#[test]
fn a_day_that_an_older_version_closed_has_no_chain_and_agrees() {
    let scene = exported();
    assert_eq!(sql(&scene, "UPDATE facts SET fact = json_remove(fact, '$.chain') WHERE kind = 'day'"), 1);
    let marker =
        ["_SUCCESS", "_FAILURE"].map(|name| folder(&scene).join(name)).into_iter().find(|path| path.exists()).unwrap();
    let mut content: serde_json::Value = serde_json::from_slice(&std::fs::read(&marker).unwrap()).unwrap();
    assert!(content.as_object_mut().unwrap().remove("chain").is_some());
    std::fs::write(&marker, serde_json::to_vec_pretty(&content).unwrap()).unwrap();
    let report = verify(&scene, &["--json"]).expect_code(0);
    assert_eq!(findings(&report), []);
    // Exported again, nothing of it changed: it has its generation, and a chain that begins with it.
    scene.export_equals_truth();
    assert_eq!(findings(&verify(&scene, &["--json"]).expect_code(0)), []);
    let content: serde_json::Value = serde_json::from_slice(&std::fs::read(&marker).unwrap()).unwrap();
    assert_eq!(content["chain"][0]["generation"], 1);
}

#[test]
fn an_extra_object_is_found_and_left_where_it_is() {
    let scene = exported();
    let extra = folder(&scene).join("call").join("nobody_knows.ogg");
    std::fs::write(&extra, b"whose?").unwrap();
    for more in [&["--json"][..], &["--json", "--repair"]] {
        let found = verify(&scene, more).expect_code(1);
        assert_eq!(findings(&found), [("extra-object".to_owned(), false)], "{}", found.stdout);
    }
    assert!(extra.exists());
    let words = verify(&scene, &[]).expect_code(1).stdout;
    assert!(words.contains("extra-object") && words.contains("callvault deletes nothing"), "{words}");
}

#[test]
fn what_is_wanted_since_is_new_at_the_source() {
    let scene = Scene::new(quick(30));
    let day = scene.days()[0].to_string();
    let only = scene.export().env("REQUIRE_AGENT", "true").run();
    assert!(matches!(only.code, Some(0 | 1)), "{only:?}");
    let found = scene.command(&["verify", "--from", &day, "--to", &day, "--json"]).run().expect_code(1);
    assert!(findings(&found).iter().all(|(code, _)| code == "new-at-source"), "{}", found.stdout);
    let mended = verify(&scene, &["--json", "--repair"]).expect_code(0);
    assert!(findings(&mended).iter().all(|(_, repaired)| *repaired), "{}", mended.stdout);
    scene.equals_truth();
}

#[test]
fn without_the_source_ledger_and_archive_are_compared() {
    let scene = exported();
    let day = scene.days()[0].to_string();
    let alone = scene.command(&["verify", "--from", &day, "--to", &day, "--json"]);
    let alone = alone.without("GENESYS_CLIENT_ID").without("GENESYS_CLIENT_SECRET").without("GENESYS_URL");
    let requests = scene.requests();
    let report = alone.run().expect_code(0).json();
    assert_eq!(report["days"][0]["source"], "not asked");
    assert_eq!(report["requests"], 0);
    assert_eq!(scene.requests().worst_minute, requests.worst_minute);
    std::fs::remove_file(a_call(&scene)).unwrap();
    alone.run().expect_code(1);
    alone.args(["--repair"]).run().expect_code(2);
}

#[test]
fn redrive_wants_to_be_told_what() {
    let scene = Scene::new(Options { seed: 21, ..quick(60) });
    scene.export_equals_truth();
    let said = scene.command(&["redrive"]).run().expect_code(2).stderr;
    assert!(said.contains("--day") && said.contains("--reason") && said.contains("--conversation"), "{said}");
    let said = scene.command(&["redrive", "--reason", "sadness"]).run().expect_code(2).stderr;
    assert!(said.contains("sensitive-excluded") && said.contains("url-refused"), "{said}");
    let parked = scene.status()["days"][0]["parked"].as_u64().unwrap();
    assert!(parked > 0);
    let day = scene.days()[0].to_string();
    let said = scene.command(&["redrive", "--day", &day]).run().expect_code(0).stdout;
    assert!(said.contains("conversations opened again") && said.contains(&day), "{said}");
    scene.export_equals_truth();
}
