//! A source that does not answer for a while: nothing is parked for that, and one that never comes back does not keep
//! the days open for ever.

use callvault_pipeline::clock::Clock;
use callvault_pipeline::ledger::Marker;
use callvault_tests::fakes::{FakeConversation, FakeOrg, FakeRecording, MetadataAnswer, TestClock};
use jiff::{SignedDuration, Timestamp};

use super::world::{Settings, World, at, differences};

const DAY: &str = "2026-01-20";

/// When the world begins.
const MORNING: &str = "2026-01-21T06:00:00Z";

fn org() -> FakeOrg {
    let conversations = (0..5).map(|n| {
        let recordings = vec![FakeRecording::audio("r", b"some bytes"), FakeRecording::audio("s", b"others")];
        FakeConversation::call(&format!("c{n}"), &format!("2026-01-20T1{n}:00:00Z"), recordings)
    });
    FakeOrg::of(conversations.collect())
}

fn one(recording: FakeRecording) -> FakeOrg {
    FakeOrg::of(vec![FakeConversation::call("a", "2026-01-20T12:00:00Z", vec![recording])])
}

fn minutes_from(start: Timestamp, minutes: i64) -> Option<(Timestamp, Timestamp)> {
    Some((start, start + SignedDuration::from_mins(minutes)))
}

async fn exported(org: FakeOrg) -> World {
    let world = World::new(org, Settings::default());
    world.export(&[DAY]).await;
    world
}

/// How long the day was under way.
fn took(world: &World) -> SignedDuration {
    world.clock.now().duration_since(at(MORNING))
}

#[test]
fn ten_minutes_without_an_answer_change_nothing_whenever_they_begin() {
    let undisturbed = TestClock::run(async {
        let world = exported(org()).await;
        (world.picture(), world.source.batches())
    });
    for tenths in (0..80).step_by(5) {
        let start = at(MORNING) + SignedDuration::from_millis(tenths * 100);
        for (api, media) in [(true, false), (false, true), (true, true)] {
            TestClock::run(async {
                let away = minutes_from(start, 10);
                let org = FakeOrg { api_away: away.filter(|_| api), media_away: away.filter(|_| media), ..org() };
                let world = World::new(org, Settings::default());
                world.export(&[DAY]).await;
                let when = format!("after {tenths} tenths of a second, API {api}, media {media}");
                assert_eq!(differences(&world.picture(), &undisturbed.0), [""; 0], "{when}");
                assert_eq!(world.source.batches(), undisturbed.1, "{when}: no job was given up");
            });
        }
    }
}

#[test]
fn media_that_never_answer_are_parked_after_more_than_an_hour_and_the_next_export_goes_on() {
    TestClock::run(async {
        let world = exported(FakeOrg { media_away: Some((Timestamp::MIN, Timestamp::MAX)), ..org() }).await;
        let states = world.states(DAY).await;
        assert_eq!(states[..2], ["c0: parked source-unavailable", "c0/r: parked source-unavailable"]);
        assert_eq!(world.closed(DAY).await.2, Some(Marker::Failure));
        let took = took(&world);
        assert!(SignedDuration::from_hours(1) < took && took < SignedDuration::from_hours(3), "{took:?}");
        world.source.change(|org| org.media_away = None);
        world.export(&[DAY]).await;
        assert_eq!(world.recordings().len(), 10);
        assert_eq!(world.closed(DAY).await.2, Some(Marker::Success));
    });
}

#[test]
fn metadata_that_never_come_are_waited_for_as_long() {
    TestClock::run(async {
        let mut org = one(FakeRecording::audio("r", b"some bytes"));
        org.conversations[0].metadata = MetadataAnswer::Unavailable;
        let world = exported(org).await;
        assert_eq!(world.states(DAY).await, ["a: parked source-unavailable", "a/r: stored"]);
        assert!(took(&world) > SignedDuration::from_hours(1), "{:?}", took(&world));
    });
}

#[test]
fn a_recording_that_is_broken_each_time_is_parked_within_minutes() {
    TestClock::run(async {
        let broken = FakeRecording { whole_from: Timestamp::MAX, ..FakeRecording::audio("r", b"some bytes") };
        let world = exported(one(broken)).await;
        assert_eq!(world.states(DAY).await, ["a: parked download-failed", "a/r: parked download-failed"]);
        // Eight tries in each of four batches.
        assert!(took(&world) < SignedDuration::from_mins(20), "{:?}", took(&world));
    });
}

#[test]
fn an_outage_uses_up_none_of_a_recordings_own_tries() {
    TestClock::run(async {
        let back = at(MORNING) + SignedDuration::from_mins(20);
        let whole_from = back + SignedDuration::from_mins(1);
        let broken = FakeRecording { whole_from, ..FakeRecording::audio("r", b"some bytes") };
        let world = exported(FakeOrg { media_away: Some((Timestamp::MIN, back)), ..one(broken) }).await;
        assert_eq!(world.states(DAY).await, ["a: stored", "a/r: stored"]);
    });
}

#[test]
fn media_are_not_asked_for_before_their_retry_after_is_over() {
    TestClock::run(async {
        for seconds in [3, 90, 280] {
            let back = at(MORNING) + SignedDuration::from_secs(10 + seconds);
            let busy = FakeOrg {
                media_away: Some((Timestamp::MIN, back)),
                says_how_long: true,
                ..one(FakeRecording::audio("r", b"some bytes"))
            };
            let world = World::new(busy, Settings::default());
            let script = world.export(&[DAY]).await;
            assert_eq!(script.count("source.open"), 2, "once to hear it, once when it is over ({seconds} s)");
            assert_eq!(world.states(DAY).await, ["a: stored", "a/r: stored"]);
        }
    });
}

#[test]
fn a_copy_that_breaks_off_is_repeated_after_a_pause() {
    TestClock::run(async {
        let broken = FakeRecording { whole_from: Timestamp::MAX, ..FakeRecording::audio("r", b"some bytes") };
        let opened = exported(one(broken)).await.source.opened();
        let pauses: Vec<SignedDuration> = opened.windows(2).map(|pair| pair[1].duration_since(pair[0])).collect();
        // Chance is a half: three quarters of half a second, of one second, then the row is put off for two.
        let expected = [375, 750, 1_500].map(SignedDuration::from_millis);
        for (pause, expected) in pauses.iter().zip(expected) {
            assert!(*pause >= expected && *pause < expected * 3 / 2, "{pause:?}, expected {expected:?}");
        }
    });
}
