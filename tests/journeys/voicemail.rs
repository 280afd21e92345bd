//! `callvault run`: the voicemail of a simulated org, moved by the real program, until the archive equals the truth.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use callvault_simulator::{Fault, FaultName, NewVoicemails, Options, TruthVoicemail};
use callvault_tests::binary::scene::{Scene, quick};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// An org in whose name somebody has signed in, with all its queues and groups swept.
fn scene(options: Options) -> Scene {
    let scene = Scene::new(options);
    let grant = scene.simulator().grant();
    let secret = serde_json::json!({
        "owner": "quality", "clientId": "demo", "clientSecret": "demo",
        "accessToken": grant["access_token"], "refreshToken": grant["refresh_token"],
    });
    let path = scene.path("user.json");
    write_secret(&scene, &secret);
    let (queues, groups) = (scene.simulator().queues().join(","), scene.simulator().groups().join(","));
    // No client: days are not exported beside it.
    scene
        .with("GENESYS_CLIENT_ID", "")
        .with("GENESYS_CLIENT_SECRET", "")
        .with("VOICEMAIL_SECRET_ID", &format!("file:{}", path.display()))
        .with("VOICEMAIL_QUEUES", &queues)
        .with("VOICEMAIL_GROUPS", &groups)
}

fn write_secret(scene: &Scene, secret: &Value) {
    std::fs::write(scene.path("user.json"), secret.to_string()).unwrap();
}

fn read_secret(scene: &Scene) -> Value {
    serde_json::from_str(&std::fs::read_to_string(scene.path("user.json")).unwrap()).unwrap()
}

/// What goes wrong and passes. A token that is forgotten does not: whoever keeps it has to renew it.
fn what_passes() -> Vec<Fault> {
    let often = [
        (FaultName::Throttled, 0.01),
        (FaultName::Unavailable, 0.02),
        (FaultName::Dropped, 0.02),
        (FaultName::CutBody, 0.03),
        (FaultName::CutJson, 0.02),
        (FaultName::ExpiredUrl, 0.02),
        (FaultName::MediaNotReady, 0.02),
    ];
    often.into_iter().map(|(name, probability)| Fault::new(name).probability(probability)).collect()
}

/// What a perfect copy holds: all that is not one user's alone.
fn expected(scene: &Scene) -> Vec<TruthVoicemail> {
    scene.truth().voicemails.into_iter().filter(|one| one.user.is_none()).collect()
}

/// Sums of the voicemail in an archive, by the file's name.
fn sums(archive: &Path) -> BTreeMap<String, String> {
    let mut sums = BTreeMap::new();
    for day in std::fs::read_dir(archive.join("prod")).into_iter().flatten() {
        for file in std::fs::read_dir(day.unwrap().path().join("voicemail")).into_iter().flatten() {
            let file = file.unwrap();
            let sum = Sha256::digest(std::fs::read(file.path()).unwrap());
            let sum = sum.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(sums.insert(file.file_name().into_string().unwrap(), sum), None);
        }
    }
    sums
}

fn stored(scene: &Scene) -> u64 {
    let status = scene.command(&["status", "--json"]).run();
    // Before the ledger is there, there is nothing to look at.
    let counts = (status.code == Some(0)).then(|| status.json()["voicemail"]["messages_by_state"]["stored"].clone());
    counts.and_then(|counts| counts.as_u64()).unwrap_or_default()
}

/// Waits until `count` are in the archive, and nothing of them is left to do.
fn wait_for(scene: &Scene, count: usize) {
    let begun = Instant::now();
    loop {
        let status = scene.command(&["status", "--json"]).run();
        let voicemail = if status.code == Some(0) { status.json()["voicemail"].clone() } else { Value::Null };
        let stored = voicemail["messages_by_state"]["stored"].as_u64() == Some(count as u64);
        if stored && voicemail["orders_due"] == 0 {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(400), "not {count} are stored: {voicemail}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Each is there once, whole, with a document beside it, and nothing else is.
fn equals_truth(scene: &Scene) {
    let (sums, expected) = (sums(&scene.archive()), expected(scene));
    assert!(!expected.is_empty());
    for one in &expected {
        let name = format!("{}_{}", one.conversation, one.message);
        assert_eq!(sums.get(&format!("{name}.webm")), Some(&one.sha256), "{name}");
        assert!(sums.contains_key(&format!("{name}.json")), "{name}");
    }
    assert_eq!(sums.len(), 2 * expected.len());
    assert_eq!(scene.requests().voicemail_delete_all, 0);
}

#[test]
fn a_thousand_in_one_sweep_through_what_passes() {
    let scene = scene(Options { seed: 71, ..quick(30) });
    scene.simulator().set_faults(what_passes());
    let many = NewVoicemails { count: Some(1_000), listable_after_seconds: Some(0), ..NewVoicemails::default() };
    assert_eq!(scene.simulator().leave_voicemails(&many).len(), 1_000);
    let all = expected(&scene).len();
    let run = scene.command(&["run"]).env("DELETE_AFTER_UPLOAD", "true").start();
    assert!(run.first_line().contains("stop it with Ctrl-C"));
    wait_for(&scene, all);
    run.signal("TERM");
    let ended = run.wait().expect_code(0);
    equals_truth(&scene);
    assert!(expected(&scene).iter().all(|one| one.deleted && !one.read && !one.callback_disconnected));
    assert!(!ended.stderr.contains("1317555") && !ended.stdout.contains("1317555"), "a caller's number is said");
    // Not one of those that are one user's alone.
    assert!(scene.truth().voicemails.iter().filter(|one| one.user.is_some()).all(|one| !one.deleted));
}

#[test]
fn killed_again_and_again_it_ends_like_one_that_was_not() {
    let scene = scene(Options { seed: 72, ..quick(30) });
    scene.simulator().set_faults(what_passes());
    let many = NewVoicemails { count: Some(120), listable_after_seconds: Some(0), ..NewVoicemails::default() };
    scene.simulator().leave_voicemails(&many);
    let all = expected(&scene).len();
    let command = || scene.command(&["run"]).env("DELETE_AFTER_UPLOAD", "true").env("DISCONNECT_CALLBACK", "true");
    for kill in 1..=6_u64 {
        let run = command().start();
        let begun = Instant::now();
        while stored(&scene) < kill * all as u64 / 7 && begun.elapsed() < Duration::from_secs(60) {}
        run.kill();
    }
    let run = command().start();
    wait_for(&scene, all);
    run.signal("INT");
    run.wait().expect_code(0);
    equals_truth(&scene);
    assert!(expected(&scene).iter().all(|one| one.deleted));
}

#[test]
fn a_refused_deletion_is_recorded_and_the_copy_stays() {
    let scene = scene(Options { user_permissions: vec!["voicemail:acdvoicemail:view".into()], seed: 73, ..quick(20) });
    scene.simulator().set_faults([
        Fault::new(FaultName::MediaNotReady).times(3),
        Fault::new(FaultName::Forbidden).operation("voicemail-media").times(2),
        Fault::new(FaultName::CutBody).times(3),
        Fault::new(FaultName::ExpiredUrl).times(2),
    ]);
    let queues = expected(&scene).iter().filter(|one| one.queue.is_some()).count();
    let run = scene.command(&["run"]).env("VOICEMAIL_GROUPS", "").env("DELETE_AFTER_UPLOAD", "true").start();
    wait_for(&scene, queues);
    run.signal("TERM");
    run.wait().expect_code(0);
    let status = scene.status();
    assert_eq!(status["voicemail"]["orders_refused"]["delete"], queues);
    assert!(scene.truth().voicemails.iter().all(|one| !one.deleted));
    let one = expected(&scene).into_iter().find(|one| one.queue.is_some()).unwrap();
    let found = scene.command(&["where", &one.conversation, "--json"]).run().expect_code(0).json();
    let voicemail = &found["voicemails"][0];
    assert_eq!((&voicemail["message"], &voicemail["state"]), (&one.message.as_str().into(), &"stored".into()));
    assert_eq!(voicemail["orders"]["delete"]["refused"], "missing.any.permissions");
    assert_eq!(voicemail["objects"][0]["sha256"], one.sha256.as_str());
    let shown = scene.command(&["where", &one.conversation]).run().expect_code(0).stdout;
    assert!(shown.contains("delete at the source: refused by the source (missing.any.permissions)"), "{shown}");
    let shown = scene.command(&["status"]).run().expect_code(0).stdout;
    assert!(shown.contains(&format!("not done at the source: {queues} delete")), "{shown}");
}
/// Everything that a person may mend: a permission that was missing, and media whose end nobody tells.
#[test]
fn what_was_refused_is_done_after_a_redrive_and_what_is_not_proved_is_never_deleted() {
    let scene = scene(Options { seed: 75, ..quick(20) }).with("DELETE_AFTER_UPLOAD", "true");
    let forbidden = Fault::new(FaultName::Forbidden).operation("voicemail-delete");
    scene.simulator().set_faults([Fault::new(FaultName::EndlessBody).calls(&[1, 2]), forbidden]);
    let all = expected(&scene).len();
    let run = scene.command(&["run"]).start();
    wait_for(&scene, all);
    assert_eq!(scene.status()["voicemail"]["orders_refused"]["delete"], all);
    assert!(scene.truth().voicemails.iter().all(|one| !one.deleted));
    scene.simulator().set_faults([]);
    let nothing = scene.command(&["redrive", "--reason", "voicemail-not-listed"]).run().expect_code(0).stdout;
    assert!(nothing.contains("nothing parked"), "{nothing}");
    let one = expected(&scene)[0].clone();
    let said = scene.command(&["redrive", "--conversation", &one.conversation]).run().expect_code(0).stdout;
    assert!(said.contains("voicemails opened again"), "{said}");
    for day in scene.days() {
        scene.command(&["redrive", "--day", &day.to_string()]).run().expect_code(0);
    }
    wait_for(&scene, all);
    run.signal("TERM");
    run.wait().expect_code(0);
    let kept = expected(&scene).iter().filter(|one| !one.deleted).count();
    assert_eq!(kept, 2, "those two whose media had no end");
    assert_eq!(scene.status()["voicemail"]["orders_refused"]["delete"], 2);
    let unknown = scene.command(&["redrive", "--day", "2001-01-01"]).run().expect_code(2);
    assert!(unknown.stderr.contains("does not know the day"), "{}", unknown.stderr);
}

#[test]
fn what_cannot_work_is_said_at_once() {
    let scene = scene(quick(5));
    let without = scene.command(&["run"]).without("VOICEMAIL_SECRET_ID").run().expect_code(2);
    assert!(without.stderr.contains("VOICEMAIL_SECRET_ID is not set"), "{}", without.stderr);
    let nothing = scene.command(&["run"]).without("VOICEMAIL_QUEUES").without("VOICEMAIL_GROUPS").run().expect_code(2);
    assert!(
        nothing.stderr.contains("nothing to do") && nothing.stderr.contains("VOICEMAIL_QUEUES"),
        "{}",
        nothing.stderr
    );
    let missing = scene.command(&["run"]).env("VOICEMAIL_SECRET_ID", "file:nowhere.json").run().expect_code(2);
    assert!(missing.stderr.contains("nowhere.json"), "{}", missing.stderr);
    let region = scene.command(&["run"]).without("GENESYS_URL").run().expect_code(2);
    assert!(region.stderr.contains("GENESYS_REGION"), "{}", region.stderr);
    std::fs::write(scene.path("old.json"), r#"{"clientId":"demo","clientSecret":"demo","accessToken":"planted"}"#)
        .unwrap();
    let refused = scene.command(&["run"]).env("VOICEMAIL_SECRET_ID", "file:old.json").run().expect_code(3);
    assert!(!refused.stderr.contains("planted"), "{}", refused.stderr);
}

#[test]
fn tokens_are_renewed_by_whoever_uses_them_and_never_spent_twice() {
    let scene = scene(Options { seed: 74, ..quick(30) });
    let mut before = read_secret(&scene);
    // One that has ended is renewed before it is used; one that is refused, when that is seen.
    before["expiresAt"] = "2020-01-01T00:00:00Z".into();
    write_secret(&scene, &before);
    let forgotten = Fault::new(FaultName::ExpiredToken).operation("voicemail-media").calls(&[3, 20]);
    scene.simulator().set_faults([forgotten]);
    let all = expected(&scene).len();
    let runs = [scene.command(&["run"]).start(), scene.command(&["run"]).start()];
    wait_for(&scene, all);
    for run in runs {
        run.signal("TERM");
        run.wait().expect_code(0);
    }
    equals_truth(&scene);
    let after = read_secret(&scene);
    assert_eq!((&after["owner"], &after["clientId"]), (&before["owner"], &before["clientId"]));
    assert!(after["accessToken"] != before["accessToken"] && after["refreshToken"] != before["refreshToken"]);
    // What is in the file works: the next run begins with it, and with nobody.
    scene.simulator().set_faults([]);
    let run = scene.command(&["run"]).start();
    assert!(run.first_line().contains("stop it with Ctrl-C"));
    run.signal("TERM");
    run.wait().expect_code(0);
    assert!(!scene.path("user.json.exchanging").exists() && !scene.path("user.json.rescue").exists());
}
