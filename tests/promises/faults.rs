//! P5: every call of every port fails once, in every way, and the archive comes out as if nothing had happened.

use std::collections::BTreeMap;
use std::sync::Arc;

use callvault_local::sqlite::SqliteLedger;
use callvault_pipeline::ledger::{HolderId, Ledger};
use callvault_pipeline::models::{FileState, MediaType};
use callvault_tests::fakes::{Batch, FakeConversation, FakeOrg, FakeRecording, File, TestClock};
use callvault_tests::faulty::{Fault, How, PromptLedger, Script, When};

use super::world::{Settings, World, at, differences, in_memory};

const DAYS: [&str; 2] = ["2026-01-19", "2026-01-20"];

/// Of a method that is called more often than this, evenly spread calls are made to fail.
const MOST_OF_ONE: u64 = 100;

/// A bit of everything: two days, batches that are cut, variants, parked and left-out things, a chat, a lost job.
fn org() -> FakeOrg {
    let audio = FakeRecording::audio;
    let chat =
        FakeRecording::new("chat", "chat", "application/json", br#"[{"bodyType":"TYPING"},{"bodyType":"NOTICE"}]"#);
    let twice = FakeRecording { files: vec![File { bytes: "twice".into(), times: 2 }], ..audio("twice", b"") };
    let hidden = FakeRecording { batch: Batch::Silence, ..audio("hidden", b"secret") };
    let cold = audio("cold", b"ice").in_state(FileState::Archived);
    let broken = FakeRecording { batch: Batch::Error("no".to_owned()), ..audio("broken", b"") };
    let written = FakeConversation {
        media: vec![MediaType::Chat],
        ..FakeConversation::call("written", "2026-01-20T10:00:00Z", vec![chat])
    };
    let refused =
        FakeConversation { refused: true, ..FakeConversation::call("refused", "2026-01-20T11:00:00Z", vec![]) };
    let conversations = vec![
        FakeConversation::call("early", "2026-01-19T09:00:00Z", vec![audio("r", b"whole of it"), twice]),
        FakeConversation::call("late", "2026-01-19T23:59:59.999Z", vec![audio("r", b"one").and(b"other").and(b"one")]),
        FakeConversation::call("none", "2026-01-19T12:00:00Z", vec![]),
        FakeConversation::call("sad", "2026-01-20T12:00:00Z", vec![audio("r", b"fine"), hidden, cold, broken]),
        written,
        refused,
    ];
    FakeOrg { forgotten_jobs: 1, ..FakeOrg::of(conversations) }
}

/// Faults for every call that the undisturbed run makes.
fn every_call(calls: &BTreeMap<&'static str, u64>, most: u64) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (&call, &count) in calls {
        let step = count.div_ceil(most).max(1);
        for number in (1..=count).filter(|number| (number - 1) % step == 0) {
            for how in [How::Error, How::Outage, How::Kill] {
                for when in [When::Before, When::After] {
                    faults.push(Fault { call, number, when, how });
                }
            }
        }
    }
    faults
}

#[test]
fn whichever_call_fails_the_archive_is_the_same() {
    let undisturbed = TestClock::run(async {
        let world = World::new(org(), Settings::default());
        let script = world.export(&DAYS).await;
        (world.picture(), script.calls())
    });
    let (expected, calls) = undisturbed;
    for method in
        ["ledger.deliver", "ledger.submitted", "ledger.settle", "archive.put_new", "source.body", "source.open"]
    {
        assert!(calls[method] > 0, "{method} is not called: {calls:?}");
    }
    for fault in every_call(&calls, MOST_OF_ONE) {
        let (picture, hit) = TestClock::run(async {
            let world = World::new(org(), Settings::default());
            let script = Script::of([fault]);
            world.export_through(&DAYS, &script).await;
            (world.picture(), script.hit())
        });
        assert_eq!(hit, 1, "{fault:?} did not happen");
        assert_eq!(differences(&picture, &expected), [""; 0], "{fault:?}");
    }
}

#[test]
fn whichever_call_fails_the_archive_is_the_same_over_sqlite() {
    let run = |script: Script| {
        let folder = in_memory();
        TestClock::run(async {
            let started = at("2026-01-21T06:00:00Z");
            let ledger = SqliteLedger::open(&folder.path().join("l"), HolderId("one".to_owned()), started).unwrap();
            let ledger: Arc<dyn Ledger> = Arc::new(PromptLedger(ledger));
            let world = World::over(ledger, org(), Settings::default());
            world.export_through(&DAYS, &script).await;
            world.picture()
        })
    };
    let script = Script::quiet();
    let expected = run(script.clone());
    for (call, count) in script.calls() {
        for when in [When::Before, When::After] {
            let fault = Fault { call, number: count.div_ceil(2), when, how: How::Kill };
            assert_eq!(differences(&run(Script::of([fault])), &expected), [""; 0], "{fault:?}");
        }
    }
}

#[test]
fn a_run_that_is_repeated_changes_nothing_and_transfers_nothing() {
    TestClock::run(async {
        let mut org = org();
        org.conversations.retain(|conversation| !["sad", "refused"].contains(&conversation.id.as_str()));
        let world = World::new(org, Settings::default());
        world.export(&DAYS).await;
        let (before, closed) = (world.archive.objects(), world.closed(DAYS[0]).await);
        let again = world.export(&DAYS).await;
        assert_eq!(world.archive.objects(), before, "not even a time stamp");
        assert_eq!(world.closed(DAYS[0]).await, closed);
        for call in ["source.submit", "source.open", "source.metadata", "archive.put_new", "archive.put_document"] {
            assert_eq!(again.count(call), 0, "{call}");
        }
    });
}
