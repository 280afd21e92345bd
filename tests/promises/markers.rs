//! P4: markers are true, also when something comes late.

use callvault_pipeline::ledger::{DayState, Marker};
use callvault_pipeline::models::FileState;
use callvault_pipeline::reconcile::MetadataMode;
use callvault_tests::fakes::{FakeConversation, FakeOrg, FakeRecording, TestClock};
use callvault_tests::faulty::{Script, kills};

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

/// Recordings that come when the day is closed already: to a conversation that is stored, and to one that had none.
async fn with_late_recordings() -> World {
    let world = World::new(FakeOrg::of(vec![call("a"), empty("b")]), Settings::default());
    world.export(&[DAY]).await;
    assert_eq!(world.closed(DAY).await, (DayState::Closed, 1, Some(Marker::Success)));
    world.clock.until(at("2026-01-22T06:00:00Z")).await;
    world.source.change(|org| {
        for (conversation, bytes) in org.conversations.iter_mut().zip([b"a's late", b"b's late"]) {
            conversation.recordings.push(FakeRecording::audio("late", bytes));
        }
    });
    world
}

fn empty(id: &str) -> FakeConversation {
    FakeConversation { recordings: Vec::new(), recorded: false, ..call(id) }
}

#[test]
fn late_recordings_of_known_conversations_open_the_day_too() {
    TestClock::run(async {
        let world = with_late_recordings().await;
        let script = world.export(&[DAY]).await;
        assert_eq!(world.closed(DAY).await, (DayState::Closed, 2, Some(Marker::Success)));
        let all = ["a: stored", "a/late: stored", "a/r: stored", "b: stored", "b/late: stored"];
        assert_eq!(world.states(DAY).await, all);
        assert_eq!(script.count("source.open"), 2, "what is there is not copied again");
    });
}

#[test]
fn without_metadata_only_what_is_said_to_be_recorded_now_is_asked_for() {
    TestClock::run(async {
        let settings = Settings { mode: MetadataMode::Analytics, ..Settings::default() };
        let world = World::new(FakeOrg::of(vec![call("a"), empty("b")]), settings);
        world.export(&[DAY]).await;
        world.clock.until(at("2026-01-22T06:00:00Z")).await;
        world.source.change(|org| {
            org.conversations[1].recorded = true;
            org.conversations[1].recordings.push(FakeRecording::audio("late", b"late"));
        });
        let script = world.export(&[DAY]).await;
        assert_eq!(world.states(DAY).await, ["a: stored", "a/r: stored", "b: stored", "b/late: stored"]);
        assert_eq!(script.count("source.metadata"), 0);
    });
}

#[test]
fn who_repeats_an_export_at_once_asks_no_more_than_what_is_left_of_it() {
    TestClock::run(async {
        let world = World::new(FakeOrg::of(vec![call("a"), empty("b")]), Settings::default());
        world.export(&[DAY]).await;
        assert_eq!(world.export(&[DAY]).await.count("source.metadata"), 0);
    });
}

#[test]
fn wherever_the_process_dies_of_it_the_marker_goes_before_the_row_comes() {
    // The watch of the world looks after every call; here every call of the second run is the last one once.
    let calls = TestClock::run(async { with_late().await.export(&[DAY]).await.calls() });
    for fault in kills(calls) {
        TestClock::run(async {
            let world = with_late().await;
            world.export_through(&[DAY], &Script::of([fault])).await;
            assert_eq!(world.closed(DAY).await.2, Some(Marker::Success), "{fault:?}");
            assert_eq!(world.recordings().len(), 2);
            assert_eq!(world.json("2026-01-20/_SUCCESS")["counts"]["conversations"], 2);
        });
    }
}

#[test]
fn wherever_the_process_dies_of_a_late_recording_it_comes_all_the_same() {
    let calls = TestClock::run(async { with_late_recordings().await.export(&[DAY]).await.calls() });
    for fault in kills(calls) {
        TestClock::run(async {
            let world = with_late_recordings().await;
            world.export_through(&[DAY], &Script::of([fault])).await;
            assert_eq!(world.closed(DAY).await.2, Some(Marker::Success), "{fault:?}");
            assert_eq!(world.recordings().len(), 3, "{fault:?}");
        });
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
