//! P4: markers are true, also when something comes late.

use callvault_pipeline::ledger::{DayState, Marker};
use callvault_pipeline::models::FileState;
use callvault_tests::fakes::{FakeConversation, FakeOrg, FakeRecording, TestClock};
use callvault_tests::faulty::{Fault, How, Script, When};

use super::world::{Settings, World, at};

const DAY: &str = "2026-01-20";

fn call(id: &str) -> FakeConversation {
    FakeConversation::call(id, "2026-01-20T12:00:00Z", vec![FakeRecording::audio("r", b"bytes")])
}

/// A conversation that analytics reports only when the day is closed already.
fn late() -> FakeConversation {
    FakeConversation { appears: at("2026-01-22T00:00:00Z"), ..call("late") }
}

async fn with_late() -> World {
    let world = World::new(FakeOrg::of(vec![call("a"), late()]), Settings::default());
    world.export(&[DAY]).await;
    assert_eq!(world.closed(DAY).await, (DayState::Closed, 1, Some(Marker::Success)));
    world.clock.until(at("2026-01-22T06:00:00Z")).await;
    world
}

#[test]
fn a_late_conversation_opens_the_day_and_the_next_generation_closes_it() {
    TestClock::run(async {
        let world = with_late().await;
        let script = world.export(&[DAY]).await;
        assert_eq!(world.closed(DAY).await, (DayState::Closed, 2, Some(Marker::Success)));
        let marker = world.json("2026-01-20/_SUCCESS");
        assert_eq!((&marker["generation"], &marker["counts"]["stored"]), (&2.into(), &2.into()));
        assert_eq!(marker["manifest"]["key"], "test/2026-01-20/manifest-0002.jsonl");
        assert!(world.object("2026-01-20/manifest-0001.jsonl").is_some(), "the old one stays");
        assert_eq!(script.count("source.open"), 1, "what is there is not copied again");
    });
}

#[test]
fn wherever_the_process_dies_of_it_the_marker_goes_before_the_row_comes() {
    // The watch of the world looks after every call; here every call of the second run is the last one once.
    let calls = TestClock::run(async { with_late().await.export(&[DAY]).await.calls() });
    for (call, count) in calls {
        for number in 1..=count {
            for when in [When::Before, When::After] {
                TestClock::run(async {
                    let world = with_late().await;
                    let script = Script::of([Fault { call, number, when, how: How::Kill }]);
                    world.export_through(&[DAY], &script).await;
                    assert_eq!(world.closed(DAY).await.2, Some(Marker::Success), "{call} {number} {when:?}");
                    assert_eq!(world.recordings().len(), 2);
                    assert_eq!(world.json("2026-01-20/_SUCCESS")["counts"]["conversations"], 2);
                });
            }
        }
    }
}

#[test]
fn an_unchanged_day_keeps_generation_and_marker() {
    TestClock::run(async {
        let world = World::new(FakeOrg::of(vec![call("a")]), Settings::default());
        world.export(&[DAY]).await;
        let before = world.archive.objects();
        world.clock.until(at("2026-01-23T06:00:00Z")).await;
        world.export(&[DAY]).await;
        assert_eq!(world.archive.objects(), before);
        assert_eq!(world.closed(DAY).await, (DayState::Closed, 1, Some(Marker::Success)));
    });
}

#[test]
fn a_marker_that_somebody_removed_is_written_again() {
    use callvault_pipeline::archive::Archive;
    TestClock::run(async {
        let world = World::new(FakeOrg::of(vec![call("a")]), Settings::default());
        world.export(&[DAY]).await;
        world.archive.delete(&"test/2026-01-20/_SUCCESS".parse().unwrap()).await.unwrap();
        world.export(&[DAY]).await;
        assert_eq!(world.json("2026-01-20/_SUCCESS")["generation"], 1);
    });
}

#[test]
fn a_failure_becomes_a_success_when_the_source_has_it_again() {
    TestClock::run(async {
        let mut cold = call("a");
        cold.recordings.push(FakeRecording::audio("cold", b"ice").in_state(FileState::Archived));
        let world = World::new(FakeOrg::of(vec![cold]), Settings::default());
        world.export(&[DAY]).await;
        assert_eq!(world.closed(DAY).await, (DayState::Closed, 1, Some(Marker::Failure)));
        world.export(&[DAY]).await;
        assert_eq!(world.closed(DAY).await, (DayState::Closed, 1, Some(Marker::Failure)), "nothing has changed");
        world.source.change(|org| org.conversations[0].recordings[1].states[0].1 = FileState::Restored);
        world.export(&[DAY]).await;
        assert_eq!(world.states(DAY).await, ["a: stored", "a/cold: stored", "a/r: stored"]);
        assert_eq!(world.closed(DAY).await, (DayState::Closed, 2, Some(Marker::Success)));
        assert!(world.object("2026-01-20/_FAILURE").is_none());
    });
}

#[test]
fn what_vanishes_at_the_source_later_stays() {
    TestClock::run(async {
        let world = World::new(FakeOrg::of(vec![call("a")]), Settings::default());
        world.export(&[DAY]).await;
        let before = world.archive.objects();
        world.source.change(|org| org.conversations.clear());
        world.export(&[DAY]).await;
        assert_eq!(world.archive.objects(), before);
    });
}
