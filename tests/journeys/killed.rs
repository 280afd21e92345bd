//! SIGKILL at growing times, and the same command again, until it ends by itself.

use std::time::Duration;

use callvault_simulator::{Options, Profile, Requests};
use callvault_tests::binary::scene::{Scene, quick};
use callvault_tests::truth;

/// What may be transferred for an archive of one byte, when every kill throws away at most what was under way and
/// faults repeat a part. Large files are a third of the bytes, and a kill can hit several of them.
const MOST_TRANSFERRED: u64 = 4;

fn total(requests: &Requests) -> u64 {
    requests.operations.values().sum()
}

/// Numbers from 0 to below `n` that are the same at every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// Kills `export` after `kills` growing numbers of requests, then lets it end. Answers how often it was killed.
fn export_with_kills(scene: &Scene, kills: u64, seed: u64) -> u64 {
    let mut dice = Dice(seed);
    let mut killed = 0;
    for n in 0..kills {
        let mut running = scene.export().start();
        // By requests, not by time: a slow machine is killed in as many phases as a quick one.
        let until = total(&scene.requests()) + 1 + dice.below(25 * (n + 1));
        while total(&scene.requests()) < until && running.is_running() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(dice.below(60)));
        let output = running.kill();
        match output.signal {
            Some(9) => killed += 1,
            _ => drop(output.expect_code(scene.expected().exit_code())),
        }
    }
    killed
}

fn killed_and_undisturbed_agree(seed: u64) {
    let options = |faults| Options { faults, seed, ..quick(300) };
    let scene = Scene::new(options(Profile::Usual));
    let killed = export_with_kills(&scene, 9, seed);
    assert!(killed >= 5, "it ended after {killed} kills: nothing was tested");
    scene.export_equals_truth();
    let (sent, stored) = (scene.requests().media_bytes, scene.expected().bytes());
    assert!(sent <= stored * MOST_TRANSFERRED, "{sent} bytes sent for an archive of {stored}");
    let undisturbed = Scene::new(options(Profile::None));
    undisturbed.export_equals_truth();
    assert_eq!(truth::recordings(&scene.archive()), truth::recordings(&undisturbed.archive()));
}

#[test]
fn killed_nine_times_gives_the_same_archive() {
    killed_and_undisturbed_agree(31);
}

#[test]
fn killed_nine_other_times_gives_the_same_archive() {
    killed_and_undisturbed_agree(32);
}

/// Kills close together while large files are on their way: nothing half written ever stands under a key.
#[test]
fn killed_in_the_middle_of_large_files_leaves_whole_files_only() {
    let scene = Scene::new(Options { plain: true, media_bytes: Some(6_000_000), seed: 33, ..quick(24) });
    let truth = scene.truth();
    let whole = |sha256: &str| truth.days[0].recordings.iter().any(|recording| recording.sha256 == sha256);
    let mut dice = Dice(33);
    for _ in 0..6 {
        let mut running = scene.export().start();
        let until = scene.requests().media_requests + 1 + dice.below(4);
        while scene.requests().media_requests < until && running.is_running() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(dice.below(40)));
        running.kill();
        for (key, (bytes, sha256)) in truth::recordings(&scene.archive()) {
            // What is half written lies hidden, aside.
            assert!(key.contains(".callvault-tmp") || whole(&sha256), "{key} of {bytes} bytes is not whole");
        }
    }
    scene.export_equals_truth();
}

/// The ledger's file as a kill leaves it can be read by `status` and `where` at once.
#[test]
fn a_killed_export_can_be_looked_at() {
    let scene = Scene::new(Options { seed: 34, ..quick(150) });
    let mut running = scene.export().start();
    while scene.requests().media_requests < 20 && running.is_running() {
        std::thread::sleep(Duration::from_millis(1));
    }
    running.kill();
    let status = scene.status();
    assert_eq!(status["days"][0]["marker"], serde_json::Value::Null);
    assert_eq!(status["days"][0]["conversations"], 150);
    scene.export_equals_truth();
}
