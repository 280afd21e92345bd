//! Two processes at once.

use callvault_simulator::{Options, Profile};
use callvault_tests::binary::scene::{Scene, quick};
use callvault_tests::truth;

#[test]
fn two_over_one_ledger_and_archive_do_what_one_does() {
    let scene = Scene::new(Options { faults: Profile::Usual, seed: 41, ..quick(300) });
    let code = scene.expected().exit_code();
    let (one, two) = (scene.export().start(), scene.export().start());
    let (one, two) = (one.wait().expect_code(code), two.wait().expect_code(code));
    scene.equals_truth();
    assert_eq!(one.json()["days"], two.json()["days"]);
}

#[test]
fn one_of_two_is_killed_and_the_other_ends_its_work() {
    let scene = Scene::new(Options { seed: 42, ..quick(200) });
    let one = scene.export().start();
    let mut two = scene.export().start();
    while scene.requests().media_requests < 15 && two.is_running() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    two.kill();
    // What the dead one held is free again when its claim ends or the next run opens the ledger.
    drop(one);
    scene.export_equals_truth();
}

#[test]
fn two_with_a_ledger_each_over_one_archive_agree() {
    let scene = Scene::new(Options { faults: Profile::Usual, seed: 43, ..quick(300) });
    let expected = scene.expected();
    let other = format!("sqlite:{}", scene.path("other.sqlite").display());
    let (one, two) = (scene.export().start(), scene.export().env("LEDGER", &other).start());
    one.wait().expect_code(expected.exit_code());
    two.wait().expect_code(expected.exit_code());
    let status = scene.command(&["status", "--json"]).env("LEDGER", &other).run().expect_code(0).json();
    // Each wrote its own manifest and marker; the marker that stands is one of them and true for the archive.
    let recordings = truth::recordings(&scene.archive());
    assert_eq!(recordings.len(), expected.files());
    // Once both have run again, they agree about everything.
    scene.export().run().expect_code(expected.exit_code());
    assert_eq!(status["days"][0]["stored"], scene.status()["days"][0]["stored"]);
    assert_eq!(recordings, truth::recordings(&scene.archive()));
}
