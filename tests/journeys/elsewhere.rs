//! Days in Azure, in Google Cloud and in a store that speaks S3: killed and resumed, and by two at once.

use std::time::Duration;

use callvault_simulator::{Options, Profile};
use callvault_tests::binary::elsewhere::{Elsewhere, Store};
use callvault_tests::binary::scene::{Scene, quick};
use callvault_tests::stand_ins::fetching_azure::{FetchFault, FetchingAzure};

/// An org of 60 conversations.
fn org(store: Store, seed: u64) -> Options {
    // The emulator lets a recording's second file replace its first, so there each has one.
    Options { plain: store == Store::GoogleEmulator, seed, ..quick(60) }
}

fn start(store: Store, options: Options) -> (Scene, Elsewhere) {
    let scene = Scene::new(options);
    let elsewhere = scene.block_on(Elsewhere::start(store));
    (elsewhere.scene(scene), elsewhere)
}

#[track_caller]
fn equals_truth(scene: &Scene, elsewhere: &Elsewhere) {
    scene.block_on(elsewhere.bring(scene));
    scene.equals_truth();
}

/// Killed while media is on its way, three times; then it ends, and what is there is proved by `verify` and looked up by
/// `where`. A run more changes nothing. (It may fetch: a result that a fault kept back is given when what is parked is asked for
/// once more. That nothing is fetched where nothing is new is another journey's, without faults.)
fn killed_and_resumed(store: Store, seed: u64) {
    let (scene, elsewhere) = start(store, Options { faults: Profile::Usual, ..org(store, seed) });
    let code = scene.expected().exit_code();
    for n in 1..=3 {
        let mut running = scene.export().start();
        let until = scene.requests().media_requests + 4 * n;
        while scene.requests().media_requests < until && running.is_running() {
            std::thread::sleep(Duration::from_millis(1));
        }
        running.kill();
    }
    scene.export().run().expect_code(code);
    equals_truth(&scene, &elsewhere);
    scene.export().run().expect_code(code);
    equals_truth(&scene, &elsewhere);
    let day = scene.days()[0].to_string();
    scene.command(&["verify", "--from", &day, "--to", &day]).run().expect_code(0);
    let conversation = scene.truth().days[0].recordings.iter().find(|one| one.outcome == "stored").cloned().unwrap();
    let place = scene.command(&["where", &conversation.conversation]).run().expect_code(0).stdout;
    let scheme = match store {
        Store::Azure => "az://devstoreaccount1/recordings/",
        Store::Google => "gs://bucket/",
        Store::GoogleEmulator => "gs://recordings/",
        Store::S3 | Store::S3sFs => "s3://bucket/",
    };
    assert!(place.contains(scheme), "{place}");
    let report = scene.path("report.html");
    scene.command(&["report", "--out", &report.display().to_string()]).run().expect_code(0);
}

/// Over one ledger, and over one each.
fn two_at_once(store: Store, seed: u64) {
    let (scene, elsewhere) = start(store, org(store, seed));
    let code = scene.expected().exit_code();
    let other = format!("sqlite:{}", scene.path("other.sqlite").display());
    let runs = [scene.export().start(), scene.export().start(), scene.export().env("LEDGER", &other).start()];
    for run in runs {
        run.wait().expect_code(code);
    }
    // Each ledger wrote a manifest and a marker of its own; the last run's are its ledger's.
    scene.export().run().expect_code(code);
    scene.block_on(elsewhere.bring(&scene));
    let recordings = callvault_tests::truth::recordings(&scene.archive());
    assert_eq!(recordings.len(), scene.expected().files());
    // What one alone brings into a folder, byte for byte.
    let alone = format!("sqlite:{}", scene.path("alone.sqlite").display());
    let folder = scene.path("alone");
    scene.export().env("LEDGER", &alone).env("ARCHIVE", &folder).run().expect_code(code);
    assert_eq!(recordings, callvault_tests::truth::recordings(&folder));
}

#[test]
fn azure_killed_and_resumed() {
    killed_and_resumed(Store::Azure, 61);
}

#[test]
fn google_killed_and_resumed() {
    killed_and_resumed(Store::Google, 62);
}

#[test]
fn another_s3_killed_and_resumed() {
    killed_and_resumed(Store::S3, 63);
}

#[test]
fn the_emulator_of_google_killed_and_resumed() {
    killed_and_resumed(Store::GoogleEmulator, 67);
}

#[test]
fn s3s_fs_killed_and_resumed() {
    killed_and_resumed(Store::S3sFs, 68);
}

#[test]
fn azure_by_two_at_once() {
    two_at_once(Store::Azure, 64);
}

#[test]
fn google_by_two_at_once() {
    two_at_once(Store::Google, 65);
}

#[test]
fn another_s3_by_two_at_once() {
    two_at_once(Store::S3, 66);
}

#[test]
fn s3s_fs_by_two_at_once() {
    two_at_once(Store::S3sFs, 70);
}

#[test]
fn the_emulator_of_google_by_two_at_once() {
    two_at_once(Store::GoogleEmulator, 69);
}

/// A day that Azure fetches by itself: what it was asked to fetch, and what was sent to it by us instead. Killed in between, if so.
fn fetched(fault: Option<FetchFault>, kill: bool) -> (usize, u64, Scene) {
    let scene = Scene::new(Options { plain: true, media_bytes: Some(20_000), ..quick(40) }).with("COPY", "server");
    let azure = std::sync::Arc::new(scene.block_on(FetchingAzure::start(fault)));
    let elsewhere = Elsewhere::in_azure(&azure.url(), "fetched", ());
    let scene = elsewhere.scene(scene);
    if kill {
        let mut running = scene.export().start();
        while azure.sources().len() < 10 && running.is_running() {
            std::thread::sleep(Duration::from_millis(1));
        }
        running.kill();
    }
    scene.export().run().expect_code(0);
    equals_truth(&scene, &elsewhere);
    // Azure has the digest of each, whoever brought it.
    for (name, (content, sha256)) in azure.blobs() {
        let is_media = name.contains("/call/");
        assert!(!is_media || sha256 == Some(callvault_pipeline::archive::prove(&content).sha256), "{name}");
    }
    (azure.sources().len(), azure.received(), scene)
}

#[test]
fn azure_fetches_a_day_by_itself() {
    let (asked, received, scene) = fetched(None, false);
    let files = scene.expected().files();
    assert_eq!(asked, files, "each once");
    assert!(received < scene.expected().bytes() / 2, "documents only: {received}");
}

#[test]
fn azure_fetches_a_day_though_the_program_is_killed() {
    let (asked, _, scene) = fetched(None, true);
    assert!(asked >= scene.expected().files());
}

#[test]
fn what_azure_cannot_fetch_is_streamed() {
    let (asked, received, scene) = fetched(Some(FetchFault::Refused), false);
    assert!(asked > 0 && received > scene.expected().bytes(), "{asked} {received}");
}
