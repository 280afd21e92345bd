//! Archived recordings that come back: asked for within the day's limit, waited for in the ledger, exported.

use std::time::Duration;

use callvault_pipeline::clock::Clock;
use callvault_pipeline::kind::Kind;
use callvault_pipeline::ledger::Marker;
use callvault_pipeline::models::FileState;
use callvault_pipeline::reconcile::MetadataMode;
use callvault_tests::fakes::{Batch, FakeConversation, FakeOrg, FakeRecording, TestClock};
use callvault_tests::faulty::{Fault, How, Script, When, kills};
use jiff::SignedDuration;

use super::world::{Settings, World};

const DAY: &str = "2026-01-20";

fn archived(id: &str) -> FakeRecording {
    FakeRecording::audio(id, b"back from the cold").in_state(FileState::Archived)
}

fn call(id: &str, recordings: Vec<FakeRecording>) -> FakeConversation {
    FakeConversation::call(id, "2026-01-20T12:00:00Z", recordings)
}

fn world(most_restores: u32, conversations: Vec<FakeConversation>) -> World {
    // Hours pass: days are looked at less often than elsewhere.
    let recheck = Duration::from_secs(300);
    World::new(FakeOrg::of(conversations), Settings { most_restores, recheck, ..Settings::default() })
}

/// How many recordings are in a state that ends with this word.
fn recordings(states: &[String], word: &str) -> usize {
    states.iter().filter(|state| state.contains('/') && state.ends_with(word)).count()
}

#[test]
fn what_is_archived_is_restored_waited_for_and_exported() {
    TestClock::run(async {
        let world = world(9, vec![call("a", vec![archived("r"), FakeRecording::audio("s", b"there")])]);
        let begun = world.clock.now();
        let script = world.export(&[DAY]).await;
        assert_eq!(world.states(DAY).await, ["a: stored", "a/r: stored", "a/s: stored"]);
        assert_eq!(world.closed(DAY).await.2, Some(Marker::Success));
        assert_eq!(script.count("source.restore"), 1, "asked for once");
        let took = world.clock.now().duration_since(begun);
        assert!(took >= SignedDuration::from_hours(4) && took < SignedDuration::from_hours(7), "{took}");
        assert!(
            script.count("source.metadata") < 12,
            "it is looked for now and then: {}",
            script.count("source.metadata")
        );
    });
}

#[test]
fn without_the_setting_nothing_is_restored() {
    TestClock::run(async {
        let world = world(0, vec![call("a", vec![archived("r")])]);
        let script = world.export(&[DAY]).await;
        assert_eq!(world.states(DAY).await, ["a: parked archived", "a/r: parked archived"]);
        assert_eq!(script.count("source.restore"), 0);
    });
}

#[test]
fn no_more_of_a_day_are_restored_than_may_be() {
    TestClock::run(async {
        let conversations = ["a", "b", "c"].map(|id| call(id, vec![archived("r"), archived("s")]));
        let world = world(3, conversations.to_vec());
        let script = world.export(&[DAY]).await;
        assert_eq!(script.count("source.restore"), 3);
        let states = world.states(DAY).await;
        assert_eq!((recordings(&states, "stored"), recordings(&states, "restore-capped")), (3, 3), "{states:?}");
        assert_eq!(world.closed(DAY).await.2, Some(Marker::Failure));
        // Once more, with the same limit: nothing; with a higher one: the rest.
        let again = world.unseen();
        assert_eq!(again.export(&[DAY]).await.count("source.restore"), 0);
        let more = again.with_most_restores(6);
        assert_eq!(more.export(&[DAY]).await.count("source.restore"), 3);
        assert_eq!(more.closed(DAY).await.2, Some(Marker::Success));
    });
}

#[test]
fn who_may_not_restore_is_told_which_permission_is_missing() {
    TestClock::run(async {
        let world = world(9, vec![call("a", vec![archived("r"), FakeRecording::audio("s", b"there")])]);
        world.source.change(|org| org.restores_forbidden = true);
        world.export(&[DAY]).await;
        let expected = ["a: parked restore-forbidden", "a/r: parked restore-forbidden", "a/s: stored"];
        assert_eq!(world.states(DAY).await, expected);
        // With the permission, the next export gets it.
        world.source.change(|org| org.restores_forbidden = false);
        world.unseen().export(&[DAY]).await;
        assert_eq!(world.states(DAY).await, ["a: stored", "a/r: stored", "a/s: stored"]);
    });
}

#[test]
fn what_others_have_restored_is_waited_for_too_and_not_for_ever() {
    TestClock::run(async {
        let restoring = FakeRecording::audio("r", b"bytes").in_state(FileState::Restoring);
        let world = world(9, vec![call("a", vec![restoring])]);
        let begun = world.clock.now();
        let script = world.export(&[DAY]).await;
        assert_eq!(world.states(DAY).await, ["a: parked restoring", "a/r: parked restoring"]);
        assert!(world.clock.now().duration_since(begun) >= SignedDuration::from_hours(72));
        assert_eq!(script.count("source.restore"), 0, "somebody has asked already");
    });
}

#[test]
fn an_order_that_fails_is_given_again_and_counts_once() {
    TestClock::run(async {
        let world = world(1, vec![call("a", vec![archived("r")])]);
        let fault = Fault { call: "source.restore", number: 1, when: When::Before, how: How::Error };
        world.export_through(&[DAY], &Script::of([fault])).await;
        assert_eq!(world.states(DAY).await, ["a: stored", "a/r: stored"]);
    });
}

#[test]
fn wherever_the_process_dies_it_is_restored_all_the_same() {
    let conversations = || vec![call("a", vec![archived("r"), FakeRecording::audio("s", b"there")])];
    let calls = TestClock::run(async { world(9, conversations()).export(&[DAY]).await.calls() });
    // The rest of an export is killed everywhere by other promises; hours pass here in each.
    let near = ["source.restore", "source.metadata", "ledger.count_restores", "ledger.settle"];
    for fault in kills(calls.into_iter().filter(|(call, _)| near.contains(call))) {
        TestClock::run(async {
            let world = world(9, conversations());
            world.export_through(&[DAY], &Script::of([fault])).await;
            assert_eq!(world.states(DAY).await, ["a: stored", "a/r: stored", "a/s: stored"], "{fault:?}");
        });
    }
}

/// How many recordings the source was made to restore.
fn restored(world: &World) -> usize {
    let mut restored = 0;
    world.source.change(|org| {
        let recordings = org.conversations.iter().flat_map(|one| &one.recordings);
        restored = recordings.filter(|one| one.states.iter().any(|(_, state)| *state == FileState::Restored)).count();
    });
    restored
}

#[test]
fn what_is_refused_uses_nothing_up() {
    TestClock::run(async {
        let conversations = ["a", "b", "c"].map(|id| call(id, vec![archived("r"), archived("s")]));
        let world = world(2, conversations.to_vec());
        world.source.change(|org| org.restores_forbidden = true);
        let script = world.export(&[DAY]).await;
        let states = world.states(DAY).await;
        assert!(states.iter().all(|state| state.ends_with("parked restore-forbidden")), "{states:?}");
        assert_eq!(script.count("source.restore"), 3, "once for each conversation");
        world.source.change(|org| org.restores_forbidden = false);
        world.unseen().export(&[DAY]).await;
        assert_eq!(restored(&world), 2, "the whole limit is there");
    });
}

#[test]
fn what_comes_back_has_a_batch_left_though_something_else_used_them_all_up() {
    TestClock::run(async {
        let silent = FakeRecording { batch: Batch::Silence, ..FakeRecording::audio("s", b"never") };
        let world = world(9, vec![call("a", vec![archived("r"), archived("t"), silent])]);
        let script = world.export(&[DAY]).await;
        let expected = ["a: parked sensitive-excluded", "a/r: stored", "a/s: parked sensitive-excluded", "a/t: stored"];
        assert_eq!(world.states(DAY).await, expected);
        assert_eq!(script.count("source.restore"), 2);
        // Once for all, the ordinary rounds, and one for what came back.
        let rounds = u64::from(callvault_pipeline::ledger::machine::MOST_RESUBMISSIONS);
        assert_eq!(script.count("source.submit"), 1 + rounds + 1);
    });
}

#[test]
fn what_nobody_wants_and_stays_in_the_cold_keeps_nothing_else_waiting() {
    TestClock::run(async {
        let silent = FakeRecording { batch: Batch::Silence, ..FakeRecording::audio("s", b"never") };
        let screen = FakeRecording::new("x", "screen", "video/mp4", b"seen").in_state(FileState::Archived);
        let mut world = world(9, vec![call("a", vec![archived("r"), silent, screen])]);
        world.settings.kinds = vec![Kind::Call];
        world.export(&[DAY]).await;
        let expected = [
            "a: parked sensitive-excluded",
            "a/r: stored",
            "a/s: parked sensitive-excluded",
            "a/x: left-out other-kind",
        ];
        assert_eq!(world.states(DAY).await, expected);
    });
}

#[test]
fn restores_go_with_other_settings() {
    TestClock::run(async {
        // Only conversations that look wrong are asked about: one without an archived recording is not.
        let mut world =
            world(9, vec![call("a", vec![archived("r")]), call("b", vec![FakeRecording::audio("r", b"there")])]);
        world.settings.mode = MetadataMode::Analytics;
        world.export(&[DAY]).await;
        assert_eq!(world.states(DAY).await, ["a: stored", "a/r: stored", "b: stored", "b/r: stored"]);
    });
    TestClock::run(async {
        // What nobody wants stays in the cold.
        let screen = FakeRecording::new("s", "screen", "video/mp4", b"seen").in_state(FileState::Archived);
        let mut world = world(9, vec![call("a", vec![archived("r"), screen])]);
        world.settings.kinds = vec![Kind::Call];
        world.export(&[DAY]).await;
        assert_eq!(world.states(DAY).await, ["a: stored", "a/r: stored", "a/s: left-out other-kind"]);
        assert_eq!(restored(&world), 1);
    });
}

#[test]
fn the_limit_holds_wherever_the_process_dies() {
    let conversations = || ["a", "b"].map(|id| call(id, vec![archived("r")])).to_vec();
    let calls = TestClock::run(async { world(1, conversations()).export(&[DAY]).await.calls() });
    let near = ["source.restore", "ledger.count_restores", "ledger.uncount_restores", "ledger.settle"];
    for fault in kills(calls.into_iter().filter(|(call, _)| near.contains(call))) {
        TestClock::run(async {
            let world = world(1, conversations());
            world.export_through(&[DAY], &Script::of([fault])).await;
            assert!(restored(&world) <= 1, "{fault:?}");
            let states = world.states(DAY).await;
            // Who dies between the counting and the order leaves the limit used up.
            let stored = recordings(&states, "stored");
            assert_eq!(stored, restored(&world), "{fault:?}: {states:?}");
            assert_eq!(stored + recordings(&states, "restore-capped"), 2, "{fault:?}: {states:?}");
        });
    }
}
