//! P1: what becomes of each sort of recording and conversation.

use callvault_pipeline::ledger::{DayState, Marker};
use callvault_pipeline::models::FileState;
use callvault_pipeline::reconcile::MetadataMode;
use callvault_tests::fakes::{
    Batch, Completion, FakeConversation, FakeOrg, FakeRecording, File, MetadataAnswer, Readability, TestClock,
};

use super::world::{Settings, World, at};

const DAY: &str = "2026-01-20";
const NOON: &str = "2026-01-20T12:00:00Z";

fn audio(id: &str) -> FakeRecording {
    FakeRecording::audio(id, b"OggS and some bytes")
}

fn call(recordings: Vec<FakeRecording>) -> FakeConversation {
    FakeConversation::call("a", NOON, recordings)
}

async fn exported(org: FakeOrg) -> World {
    let world = World::new(org, Settings::default());
    world.export(&[DAY]).await;
    world
}

async fn states(conversation: FakeConversation) -> Vec<String> {
    exported(FakeOrg::of(vec![conversation])).await.states(DAY).await
}

#[test]
fn a_recording_is_stored_and_its_day_succeeds() {
    TestClock::run(async {
        let world = exported(FakeOrg::of(vec![call(vec![audio("r")])])).await;
        assert_eq!(world.states(DAY).await, ["a: stored", "a/r: stored"]);
        assert_eq!(world.recordings(), ["2026-01-20/call/a_r.ogg"]);
        assert_eq!(world.object("2026-01-20/call/a_r.ogg").unwrap(), "OggS and some bytes");
        assert_eq!(world.closed(DAY).await, (DayState::Closed, 1, Some(Marker::Success)));
        let metadata = world.json("2026-01-20/metadata/a.json");
        assert_eq!((&metadata["outcome"], &metadata["handleMs"]), (&"stored".into(), &60_000.into()));
    });
}

#[test]
fn a_conversation_without_recordings_and_an_empty_day_succeed() {
    TestClock::run(async {
        assert_eq!(states(call(vec![])).await, ["a: no-recordings"]);
        let nobody = exported(FakeOrg::of(vec![])).await;
        assert_eq!(nobody.closed(DAY).await, (DayState::Closed, 1, Some(Marker::Success)));
        assert_eq!(nobody.json("2026-01-20/_SUCCESS")["counts"]["conversations"], 0);
    });
}

#[test]
fn an_empty_recording_is_stored() {
    TestClock::run(async {
        let world = exported(FakeOrg::of(vec![call(vec![FakeRecording::audio("r", b"")])])).await;
        assert_eq!(world.object("2026-01-20/call/a_r.ogg").unwrap(), "");
    });
}

#[test]
fn what_is_not_available_is_parked_with_its_reason_whether_the_batch_says_so_or_not() {
    TestClock::run(async {
        for (state, reason) in [
            (FileState::Archived, "archived"),
            (FileState::Deleted, "deleted"),
            (FileState::Uploading, "uploading"),
            (FileState::Restoring, "restoring"),
            (FileState::Error, "source-error"),
        ] {
            for otherwise in [Batch::Silence, Batch::Error("not available".to_owned())] {
                let mut gone = audio("gone").in_state(state.clone());
                gone.otherwise = otherwise;
                let world = exported(FakeOrg::of(vec![call(vec![audio("r"), gone])])).await;
                let expected =
                    [format!("a: parked {reason}"), format!("a/gone: parked {reason}"), "a/r: stored".into()];
                assert_eq!(world.states(DAY).await, expected);
                assert_eq!(world.closed(DAY).await.2, Some(Marker::Failure));
                assert_eq!(world.json("2026-01-20/_FAILURE")["parked"][0]["reason"], reason);
            }
        }
    });
}

#[test]
fn what_the_batch_leaves_out_silently_is_taken_for_sensitive() {
    TestClock::run(async {
        let hidden = FakeRecording { batch: Batch::Silence, ..audio("s") };
        let expected = ["a: parked sensitive-excluded", "a/r: stored", "a/s: parked sensitive-excluded"];
        assert_eq!(states(call(vec![audio("r"), hidden.clone()])).await, expected);
        assert_eq!(
            states(call(vec![hidden])).await,
            ["a: parked sensitive-excluded", "a/s: parked sensitive-excluded"]
        );
    });
}

#[test]
fn a_result_that_is_only_an_error_is_kept_with_its_words() {
    TestClock::run(async {
        let broken = FakeRecording { batch: Batch::Error("Error in https://x.test/?sig=1".to_owned()), ..audio("r") };
        for listed in [true, false] {
            let world = exported(FakeOrg::of(vec![call(vec![FakeRecording { listed, ..broken.clone() }])])).await;
            assert_eq!(world.states(DAY).await, ["a: parked source-error", "a/r: parked source-error"]);
            let rows = world.rows(DAY).await;
            let detail = format!("{:?}", rows.last().unwrap().fact);
            assert!(detail.contains("Error in") && !detail.contains("sig=1"), "{detail}");
        }
    });
}

#[test]
fn an_error_about_the_whole_conversation_is_looked_into() {
    TestClock::run(async {
        let troubled = FakeConversation { batch_error: Some("no".to_owned()), ..call(vec![audio("r")]) };
        let parked = states(troubled).await;
        assert_eq!(parked, ["a: parked sensitive-excluded", "a/r: parked sensitive-excluded"]);
        let empty = FakeConversation { batch_error: Some("no recordings".to_owned()), ..call(vec![]) };
        assert_eq!(states(empty).await, ["a: no-recordings"]);
    });
}

#[test]
fn a_conversation_that_no_batch_takes_does_not_keep_its_neighbours_out() {
    TestClock::run(async {
        let many = |n: usize| FakeConversation::call(&format!("c{n}"), NOON, vec![audio("r")]);
        let mut conversations: Vec<_> = (0..7).map(many).collect();
        conversations[2].refused = true;
        let world = exported(FakeOrg::of(conversations)).await;
        let states = world.states(DAY).await;
        assert_eq!(states.iter().filter(|state| state.ends_with("/r: stored")).count(), 6);
        assert!(states.contains(&"c2: parked submit-refused".to_owned()), "{states:?}");
    });
}

#[test]
fn metadata_404_means_none_and_403_or_silence_means_that_nobody_can_say() {
    TestClock::run(async {
        let with = |metadata| FakeConversation { metadata, ..call(vec![audio("r")]) };
        assert_eq!(states(with(MetadataAnswer::NotFound)).await, ["a: stored", "a/r: stored"]);
        assert_eq!(states(with(MetadataAnswer::Forbidden)).await, ["a: parked metadata-forbidden", "a/r: stored"]);
        assert_eq!(states(with(MetadataAnswer::Unavailable)).await, ["a: parked source-unavailable", "a/r: stored"]);
    });
}

#[test]
fn ids_that_are_none_are_parked_and_rows_that_cannot_be_read_are_exported() {
    TestClock::run(async {
        let stand_in = |text: &str| callvault_pipeline::ids::ConversationId::standing_in_for(text);
        let evil = FakeConversation { id: "../x".to_owned(), ..call(vec![audio("r")]) };
        assert_eq!(states(evil).await, [format!("{}: parked unreadable-id", stand_in("../x"))]);
        let half = FakeConversation { readability: Readability::OnlyId, ..call(vec![audio("r")]) };
        assert_eq!(states(half).await, ["a: stored", "a/r: stored"]);
        let world = exported(FakeOrg::of(vec![call(vec![audio("r"), audio("../../etc")])])).await;
        let name = stand_in("../../etc");
        let expected =
            ["a: parked unreadable-id".to_owned(), "a/r: stored".to_owned(), format!("a/{name}: parked unreadable-id")];
        assert_eq!(world.states(DAY).await, expected);
        assert_eq!(world.recordings(), ["2026-01-20/call/a_r.ogg"]);
    });
}

#[test]
fn unknown_content_types_are_stored_as_bin_and_results_without_an_id_get_one() {
    TestClock::run(async {
        let odd = FakeRecording::new("odd", "audio", "application/x-genesys-proprietary", b"?");
        let none = FakeRecording { content_type: None, ..FakeRecording::audio("none", b"!") };
        let unnamed = FakeRecording { id: None, listed: false, ..FakeRecording::audio("", b"...").and(b"....") };
        let world = exported(FakeOrg::of(vec![call(vec![odd, none, unnamed])])).await;
        let folder = "2026-01-20/call/a_";
        let expected = ["none.bin", "odd.bin", "unnamed-1.ogg", "unnamed-2.ogg"].map(|name| format!("{folder}{name}"));
        assert_eq!(world.recordings(), expected);
        assert_eq!(world.closed(DAY).await.2, Some(Marker::Success));
    });
}

#[test]
fn one_object_for_equal_bytes_and_two_for_different_ones() {
    TestClock::run(async {
        let twice = FakeRecording { files: vec![File { bytes: "x".into(), times: 2 }], ..audio("twice") };
        let equal = FakeRecording::audio("equal", b"same").and(b"same");
        let different = FakeRecording::audio("two", b"one").and(b"other").and(b"one");
        let world = exported(FakeOrg::of(vec![call(vec![twice, equal, different])])).await;
        let keys = world.recordings();
        assert_eq!(keys.len(), 4, "{keys:?}");
        assert_eq!(keys[0], "2026-01-20/call/a_equal.ogg");
        assert_eq!(keys[1], "2026-01-20/call/a_twice.ogg");
        assert_eq!(world.object("2026-01-20/call/a_two.ogg").unwrap(), "one");
        let variant = &callvault_pipeline::archive::prove(b"other").sha256[..16];
        assert_eq!(world.object(&format!("2026-01-20/call/a_two_{variant}.ogg")).unwrap(), "other");
        let manifest = String::from_utf8(world.object("2026-01-20/manifest-0001.jsonl").unwrap().to_vec()).unwrap();
        assert_eq!(manifest.lines().filter(|line| line.contains(r#""recording":"two""#)).count(), 2);
    });
}

#[test]
fn jobs_are_believed_by_their_status_and_by_steady_counts_where_they_have_none() {
    TestClock::run(async {
        for completion in [Completion::Status, Completion::EqualTooEarly, Completion::NoStatus] {
            let conversations = vec![
                call(vec![audio("r"), FakeRecording::audio("q", b"q")]),
                FakeConversation::call("b", NOON, vec![audio("r")]),
                FakeConversation::call("empty", "2026-01-20T13:00:00Z", vec![]),
            ];
            let mut org = FakeOrg { completion, ..FakeOrg::of(conversations) };
            org.job_takes = std::time::Duration::from_secs(25);
            let world = exported(org).await;
            assert_eq!(world.recordings().len(), 3, "{completion:?}");
            assert!(world.source.closest_reads().unwrap() >= jiff::SignedDuration::from_secs(1));
            assert_eq!(world.source.batches(), [3], "{completion:?}: nothing was asked for twice");
        }
    });
}

#[test]
fn a_job_without_status_and_recordings_ends_after_a_minute_and_not_before() {
    TestClock::run(async {
        let org = FakeOrg { completion: Completion::NoStatus, ..FakeOrg::of(vec![call(vec![])]) };
        let world = World::new(org, Settings::default());
        let script = world.export(&[DAY]).await;
        assert_eq!(world.states(DAY).await, ["a: no-recordings"]);
        assert!(script.count("source.poll") >= 3);
        let Some(closed) = world.json("2026-01-20/_SUCCESS")["closedAt"].as_str().map(at) else { panic!("no time") };
        assert!(closed >= at("2026-01-21T06:01:02Z"), "{closed}");
    });
}

#[test]
fn a_recording_that_is_uploading_is_waited_for() {
    TestClock::run(async {
        for otherwise in [Batch::Silence, Batch::Error("uploading".to_owned())] {
            for beside in [vec![], vec![audio("r")]] {
                let mut late = FakeRecording { otherwise: otherwise.clone(), ..FakeRecording::audio("late", b"late") };
                late.states.push((at("2026-01-21T06:00:00Z"), FileState::Uploading));
                late.states.push((at("2026-01-21T06:00:12Z"), FileState::Available));
                let recordings: Vec<_> = beside.iter().cloned().chain([late]).collect();
                let states = states(call(recordings)).await;
                assert!(states.contains(&"a/late: stored".to_owned()), "{otherwise:?}, {}: {states:?}", beside.len());
                assert_eq!(states[0], "a: stored");
            }
        }
    });
}

#[test]
fn forgotten_jobs_and_dead_urls_lose_nothing() {
    TestClock::run(async {
        let conversations = vec![call(vec![audio("r")]), FakeConversation::call("b", NOON, vec![audio("r")])];
        let world = exported(FakeOrg { forgotten_jobs: 3, ..FakeOrg::of(conversations) }).await;
        assert_eq!(world.recordings().len(), 2);
        assert_eq!(world.source.batches(), [2, 2, 2, 2]);
    });
}

#[test]
fn jobs_that_are_always_lost_park_the_conversation() {
    TestClock::run(async {
        let world = exported(FakeOrg { forgotten_jobs: u64::MAX, ..FakeOrg::of(vec![call(vec![audio("r")])]) }).await;
        let states = world.states(DAY).await;
        assert!(states.iter().all(|state| state.contains("parked")), "{states:?}");
    });
}

/// A recording that nobody knows of until so many seconds after the morning's begin.
fn late_by(seconds: i64) -> FakeOrg {
    let appears = at("2026-01-21T06:00:00Z") + jiff::SignedDuration::from_secs(seconds);
    FakeOrg::of(vec![call(vec![FakeRecording { appears, ..audio("r") }])])
}

#[test]
fn a_recorded_conversation_whose_list_is_still_empty_is_looked_at_again() {
    TestClock::run(async {
        for mode in [MetadataMode::Full, MetadataMode::Analytics] {
            let world = World::new(late_by(10), Settings { mode, ..Settings::default() });
            world.export(&[DAY]).await;
            assert_eq!(world.states(DAY).await, ["a: stored", "a/r: stored"], "{mode:?}");
        }
    });
}

#[test]
fn an_empty_list_is_believed_in_the_end() {
    TestClock::run(async {
        let world = World::new(late_by(24 * 3600), Settings::default());
        let script = world.export(&[DAY]).await;
        assert_eq!(world.states(DAY).await, ["a: no-recordings"]);
        assert_eq!(script.count("source.metadata"), 3, "once, and two looks more");
        let unrecorded = World::new(FakeOrg::of(vec![call(vec![])]), Settings::default());
        assert_eq!(unrecorded.export(&[DAY]).await.count("source.metadata"), 1, "nobody said there is any");
    });
}

#[test]
fn results_that_name_no_conversation_are_found_by_the_metadata() {
    TestClock::run(async {
        for nameless_jobs in [1, u64::MAX] {
            let conversations = vec![call(vec![audio("r")]), FakeConversation::call("b", NOON, vec![audio("r")])];
            // Analytics says nothing of a recording: only the nameless results do.
            let conversations = conversations.into_iter().map(|one| FakeConversation { recorded: false, ..one });
            let org = FakeOrg { nameless_jobs, ..FakeOrg::of(conversations.collect()) };
            let world = World::new(org, Settings { mode: MetadataMode::Analytics, ..Settings::default() });
            world.export(&[DAY]).await;
            let states = world.states(DAY).await;
            match nameless_jobs {
                1 => assert_eq!(states, ["a: stored", "a/r: stored", "b: stored", "b/r: stored"]),
                _ => assert!(states.iter().all(|state| state.contains("parked")), "{states:?}"),
            }
        }
    });
}

#[test]
fn a_job_of_ten_minutes_is_read_at_pauses_that_grow() {
    TestClock::run(async {
        let job_takes = std::time::Duration::from_secs(600);
        let world = exported(FakeOrg { job_takes, ..FakeOrg::of(vec![call(vec![audio("r")])]) }).await;
        let pauses = &world.source.pauses_between_reads()[0];
        let seconds: Vec<i64> = pauses.iter().map(|pause| pause.as_secs()).collect();
        assert_eq!(seconds[..4], [2, 4, 8, 16]);
        assert!(seconds[4..].iter().all(|seconds| *seconds == 30), "{seconds:?}");
        // 2 + 2 + 4 + 8 + 16 = 32 s, then 19 more until 600 s are over.
        assert_eq!(seconds.len() + 1, 5 + 19);
    });
}
