//! What differs is found by its code, and mended where it can be, wherever the mending dies.

use std::sync::Arc;

use bytes::Bytes;
use callvault_pipeline::archive::Archive;
use callvault_pipeline::clock::Clock;
use callvault_pipeline::layout::Key;
use callvault_pipeline::ledger::{DayState, Marker};
use callvault_pipeline::models::FileState;
use callvault_pipeline::reason::Reason;
use callvault_pipeline::redrive::{Narrowing, redrive};
use callvault_pipeline::verify::DayReport;
use callvault_tests::fakes::{FakeConversation, FakeOrg, FakeRecording, TestClock};
use callvault_tests::faulty::{FaultyLedger, Script, Stopped, kills};

use super::world::{Settings, World, at, day};

const DAY: &str = "2026-01-20";
const CALL: &str = "2026-01-20/call/a_r.ogg";
const SUCCESS: &str = "2026-01-20/_SUCCESS";
const MANIFEST: &str = "2026-01-20/manifest-0001.jsonl";

fn call(id: &str) -> FakeConversation {
    let recordings = vec![FakeRecording::audio("r", b"bytes"), FakeRecording::audio("s", b"others")];
    FakeConversation::call(id, "2026-01-20T12:00:00Z", recordings)
}

async fn exported() -> World {
    let world = World::new(FakeOrg::of(vec![call("a"), call("b")]), Settings::default());
    world.export(&[DAY]).await;
    assert_eq!(world.closed(DAY).await, (DayState::Closed, 1, Some(Marker::Success)));
    world
}

fn key(text: &str) -> Key {
    format!("test/{text}").parse().unwrap()
}

async fn put(world: &World, text: &str, content: impl Into<Bytes>) {
    world.archive.put_document(&key(text), "", content.into()).await.unwrap();
}

async fn verified(world: &World) -> DayReport {
    world.verify(None, &Script::quiet()).day(day(DAY)).await.unwrap()
}

fn codes(report: &DayReport) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.code.code()).collect()
}

/// Repairs through a script, and works until the day is closed.
async fn mend(world: &World, script: &Script) {
    for _ in 0..20 {
        let verify = world.verify(None, script);
        let report = verified(world).await;
        let mut repair = std::pin::pin!(verify.repair(&report));
        match script.run(repair.as_mut()).await {
            Stopped::Done(Ok(_)) => {
                world.unseen().export(&[DAY]).await;
                return;
            }
            Stopped::Done(Err(_)) | Stopped::Killed => script.revive(),
            Stopped::Frozen => panic!("nobody thaws here"),
        }
    }
    panic!("it died 20 times");
}

#[test]
fn a_day_as_it_was_exported_agrees() {
    TestClock::run(async {
        let world = exported().await;
        let report = verified(&world).await;
        assert_eq!(codes(&report), Vec::<&str>::new());
        assert_eq!((report.archive.objects, report.archive.read, report.ledger.objects), (6, 6, 6));
        let source = serde_json::to_value(&report.source).unwrap();
        assert_eq!(source, serde_json::json!({ "conversations": 2, "metadata": 2, "recordings": 4 }));
    });
}

#[test]
fn a_sample_reads_so_many_and_compares_the_lengths_of_all() {
    TestClock::run(async {
        let world = exported().await;
        put(&world, "2026-01-20/call/b_s.ogg", &b"longer than it was"[..]).await;
        let report = world.verify(Some(2), &Script::quiet()).day(day(DAY)).await.unwrap();
        assert_eq!(codes(&report), ["changed-length", "marker-false"]);
        assert_eq!(report.archive.read, 2);
    });
}

#[test]
fn without_a_source_ledger_and_archive_are_compared() {
    TestClock::run(async {
        let world = exported().await;
        let mut verify = world.verify(None, &Script::quiet());
        verify.source = None;
        let report = verify.day(day(DAY)).await.unwrap();
        assert!(report.is_ok());
        assert_eq!(serde_json::to_value(&report.source).unwrap(), "not asked");
    });
}

/// Each difference, made: the codes that are found, and whether all of it can be mended.
async fn differences(world: &World, which: usize) -> (&'static [&'static str], bool) {
    match which {
        0 => {
            world.archive.delete(&key(CALL)).await.unwrap();
            (&["missing-object", "marker-false"], true)
        }
        1 => {
            put(world, CALL, &b"byte"[..]).await;
            (&["changed-length", "marker-false"], true)
        }
        2 => {
            put(world, CALL, &b"bytez"[..]).await;
            (&["changed-content", "marker-false"], true)
        }
        3 => {
            put(world, "2026-01-20/call/x_y.ogg", &b"whose"[..]).await;
            (&["extra-object"], false)
        }
        4 => {
            put(world, "2026-01-20/metadata/a.json", &b"{}"[..]).await;
            (&["changed-length", "marker-false"], true)
        }
        5 => {
            put(world, MANIFEST, &b"edited\n"[..]).await;
            (&["manifest-edited"], true)
        }
        6 => {
            world.archive.delete(&key(MANIFEST)).await.unwrap();
            (&["manifest-missing"], true)
        }
        7 => {
            world.archive.delete(&key(SUCCESS)).await.unwrap();
            (&["marker-missing"], true)
        }
        8 => {
            put(world, SUCCESS, &b"{\"day\":\"2026-01-20\"}"[..]).await;
            (&["marker-disagrees"], true)
        }
        9 => {
            put(world, "2026-01-20/_FAILURE", &b"{}"[..]).await;
            (&["marker-both"], true)
        }
        10 => {
            world.source.change(|org| org.conversations.push(call("late")));
            (&["new-at-source"], true)
        }
        11 => {
            let late = FakeRecording::audio("late", b"late bytes");
            world.source.change(|org| org.conversations[0].recordings.push(late));
            (&["new-at-source"], true)
        }
        12 => {
            world.ledger.plan_day(day(DAY), at("2026-01-21T07:00:00Z")).await.unwrap();
            (&["day-not-closed"], true)
        }
        _ => (&[], true),
    }
}

const DIFFERENCES: usize = 13;

#[test]
fn each_difference_has_its_code_and_is_mended_where_it_can_be() {
    for which in 0..DIFFERENCES {
        TestClock::run(async {
            let world = exported().await;
            let (expected, mendable) = differences(&world, which).await;
            let report = verified(&world).await;
            assert_eq!(codes(&report), expected, "{which}");
            assert!(!report.is_ok());
            mend(&world, &Script::quiet()).await;
            let again = verified(&world).await;
            assert_eq!(again.is_ok(), mendable, "{which}: {:?}", again.findings);
            let after = report.after_repair(again);
            assert_eq!(after.is_ok(), mendable, "{which}: {:?}", after.findings);
        });
    }
}

#[test]
fn a_chain_that_does_not_hold_is_found_and_not_mended() {
    let two_days = || async {
        let world = exported().await;
        world.export(&["2026-01-21"]).await;
        let verify = world.verify(None, &Script::quiet());
        assert_eq!(codes(&verify.day(day("2026-01-21")).await.unwrap()), [""; 0]);
        world
    };
    TestClock::run(async {
        // The marker of the day before was made anew by hand, with a chain of its own.
        let world = two_days().await;
        let mut marker = world.json(SUCCESS);
        marker["chain"][0]["digest"] = "0".repeat(64).into();
        put(&world, SUCCESS, marker.to_string()).await;
        let verify = world.verify(None, &Script::quiet());
        let report = verify.day(day("2026-01-21")).await.unwrap();
        assert_eq!(codes(&report), ["chain-broken"]);
        assert!(!verify.repair(&report).await.unwrap(), "nothing here can be mended");
        // That day's own comparison finds it too, and its repair ends it.
        assert_eq!(codes(&verified(&world).await), ["marker-disagrees"]);
        mend(&world, &Script::quiet()).await;
        assert_eq!(codes(&verify.day(day("2026-01-21")).await.unwrap()), [""; 0]);
    });
    TestClock::run(async {
        // A manifest of an earlier generation was edited.
        let world = exported().await;
        world.source.change(|org| org.conversations.push(call("late")));
        world.clock.until(at("2026-01-22T06:00:00Z")).await;
        world.export(&[DAY]).await;
        assert_eq!(codes(&verified(&world).await), [""; 0]);
        put(&world, MANIFEST, &b"edited\n"[..]).await;
        assert_eq!(codes(&verified(&world).await), ["chain-broken"]);
        // Or it is gone.
        world.archive.delete(&key(MANIFEST)).await.unwrap();
        let report = verified(&world).await;
        assert_eq!(codes(&report), ["chain-broken"]);
        assert!(report.findings[0].detail.contains("not there any more"), "{:?}", report.findings);
    });
}

#[test]
fn what_is_damaged_is_set_aside_and_not_lost() {
    TestClock::run(async {
        let world = exported().await;
        put(&world, CALL, &b"bytez"[..]).await;
        // The source has it no more: then the damaged one is all there is.
        world.source.change(|org| {
            org.conversations[0].recordings[0].states = vec![(at("2026-01-20T00:00:00Z"), FileState::Deleted)]
        });
        mend(&world, &Script::quiet()).await;
        let objects = world.archive.objects().into_iter();
        let aside: Vec<_> = objects.filter(|(key, _)| key.as_str().starts_with("set-aside/test/2026-01-20/")).collect();
        let [(_, content)] = &aside[..] else { panic!("{aside:?}") };
        assert_eq!(content, &Bytes::from_static(b"bytez"));
        assert_eq!(world.closed(DAY).await.2, Some(Marker::Failure));
        assert!(world.states(DAY).await.contains(&"a/r: parked deleted".to_owned()), "{:?}", world.states(DAY).await);
        assert!(verified(&world).await.is_ok(), "the marker says what is missing");
    });
}

#[test]
fn wherever_the_mending_dies_it_goes_on() {
    for which in [0, 2, 5, 11] {
        let calls = TestClock::run(async {
            let (world, script) = (exported().await, Script::quiet());
            differences(&world, which).await;
            mend(&world, &script).await;
            script.calls()
        });
        for fault in kills(calls) {
            TestClock::run(async {
                let world = exported().await;
                differences(&world, which).await;
                mend(&world, &Script::of([fault])).await;
                let report = verified(&world).await;
                assert!(report.is_ok(), "{which} {fault:?}: {:?}", report.findings);
                assert_eq!(world.object(CALL).unwrap(), Bytes::from_static(b"bytes"));
            });
        }
    }
}

#[test]
fn wherever_redrive_dies_it_may_be_repeated_and_the_marker_is_true() {
    let parked = || async {
        let gone = |id: &str| {
            let recordings = vec![FakeRecording::audio("r", b"bytes").in_state(FileState::Archived)];
            FakeConversation::call(id, "2026-01-20T12:00:00Z", recordings)
        };
        let world = World::new(FakeOrg::of(vec![gone("a"), gone("b")]), Settings::default());
        world.export(&[DAY]).await;
        world.source.change(|org| {
            for conversation in &mut org.conversations {
                conversation.recordings[0].states = vec![(at("2026-01-01T00:00:00Z"), FileState::Available)];
            }
        });
        world.clock.until(at("2026-01-21T12:00:00Z")).await;
        world
    };
    let narrowing = Narrowing { reason: Some(Reason::Archived), ..Narrowing::default() };
    let calls = TestClock::run(async {
        let (world, script) = (parked().await, Script::quiet());
        let ledger = FaultyLedger::new(Arc::clone(&world.ledger), script.clone());
        redrive(&ledger, &narrowing, world.clock.now()).await.unwrap();
        script.calls()
    });
    for fault in kills(calls) {
        TestClock::run(async {
            let world = parked().await;
            let script = Script::of([fault]);
            let ledger = FaultyLedger::new(Arc::clone(&world.ledger), script.clone());
            let mut work = std::pin::pin!(redrive(&ledger, &narrowing, world.clock.now()));
            assert!(matches!(script.run(work.as_mut()).await, Stopped::Killed));
            // Somebody works off what is due before it is repeated.
            let days = [day(DAY)];
            world.process(&Script::quiet()).work(&world, &days).await.unwrap();
            redrive(&*world.ledger, &narrowing, world.clock.now()).await.unwrap();
            world.process(&Script::quiet()).work(&world, &days).await.unwrap();
            assert_eq!(world.closed(DAY).await.2, Some(Marker::Success), "{fault:?}");
            assert_eq!(world.json("2026-01-20/_SUCCESS")["counts"]["stored"], 2, "{fault:?}");
        });
    }
}

#[test]
fn redrive_opens_what_is_named_and_the_marker_follows() {
    TestClock::run(async {
        let in_state = |id: &str, state| {
            let recordings = vec![FakeRecording::audio("r", b"bytes").in_state(state)];
            FakeConversation::call(id, "2026-01-20T12:00:00Z", recordings)
        };
        let org = vec![in_state("archived", FileState::Archived), in_state("deleted", FileState::Deleted)];
        let world = World::new(FakeOrg::of(org), Settings::default());
        world.export(&[DAY]).await;
        assert_eq!(world.closed(DAY).await, (DayState::Closed, 1, Some(Marker::Failure)));
        world.source.change(|org| {
            org.conversations[0].recordings[0].states = vec![(at("2026-01-01T00:00:00Z"), FileState::Available)]
        });
        let now = at("2026-01-21T12:00:00Z");
        world.clock.until(now).await;
        let nobody = Narrowing { reason: Some(Reason::UrlRefused), ..Narrowing::default() };
        assert_eq!(redrive(&*world.ledger, &nobody, now).await.unwrap().conversations, 0);
        assert_eq!(world.closed(DAY).await.0, DayState::Closed, "nothing was named");
        let archived = Narrowing { reason: Some(Reason::Archived), ..Narrowing::default() };
        let done = redrive(&*world.ledger, &archived, now).await.unwrap();
        assert_eq!((done.conversations, done.left, done.days.len()), (1, 0, 1));
        assert!(world.states(DAY).await.contains(&"deleted: parked deleted".to_owned()), "what is not named stays");
        world.export(&[DAY]).await;
        assert_eq!(world.states(DAY).await[..2], ["archived: stored", "archived/r: stored"]);
        assert_eq!(world.closed(DAY).await, (DayState::Closed, 2, Some(Marker::Failure)));
        let one = |id: &str| Narrowing { day: Some(day(DAY)), conversation: id.parse().ok(), ..Narrowing::default() };
        assert_eq!(redrive(&*world.ledger, &one("archived"), now).await.unwrap().conversations, 0, "it is stored");
        assert_eq!(redrive(&*world.ledger, &one("deleted"), now).await.unwrap().conversations, 1);
    });
}
