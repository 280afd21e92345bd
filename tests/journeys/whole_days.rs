//! A day of a thousand conversations with every oddity the org knows, exported once.

use std::time::Duration;

use callvault_simulator::{Options, Profile};
use callvault_tests::binary::scene::{Scene, quick};

/// Ten times the usual faults take six to eight minutes, nearly all of it the pauses that the source asks for and those
/// before another try. Less than `.config/nextest.toml` allows, so that a hang shows what the command said.
const LONGEST_DAY: Duration = Duration::from_secs(18 * 60);

fn a_day(conversations: u32, faults: Profile, seed: u64) {
    // More copies at a time than usual: those that wait for another try do not keep others from starting.
    let scene = Scene::new(Options { faults, seed, ..quick(conversations) }).with("UPLOAD_CONCURRENCY", "32");
    let expected = scene.expected();
    scene.export().at_most(LONGEST_DAY).run().expect_code(expected.exit_code());
    scene.equals(&expected);
    let requests = scene.requests();
    assert_eq!(requests.media_with_credentials, 0);
    assert!(requests.max_batch_items <= 100);
}

#[test]
fn nothing_goes_wrong() {
    a_day(1_000, Profile::None, 11);
}

#[test]
fn the_usual_goes_wrong() {
    a_day(1_000, Profile::Usual, 12);
}

#[test]
fn everything_goes_wrong() {
    a_day(1_000, Profile::Hostile, 13);
}

#[test]
fn a_day_without_conversations_succeeds() {
    let scene = Scene::new(Options { plain: true, ..quick(0) });
    let output = scene.export_equals_truth();
    assert_eq!(output.code, Some(0));
}

#[test]
fn a_plain_day_succeeds() {
    let scene = Scene::new(Options { plain: true, ..quick(30) });
    let output = scene.export_equals_truth();
    assert_eq!(output.code, Some(0));
    assert_eq!(output.json()["days"][0]["marker"], "_SUCCESS");
}
