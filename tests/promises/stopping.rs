//! A process that has only so much time: it gives back what it holds before it ends, and the next one goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use callvault_pipeline::clock::Clock;
use callvault_pipeline::ledger::{DayState, Listing, Marker, RowKey, Stage};
use callvault_pipeline::stages::{Report, Shift};
use callvault_tests::fakes::{FakeConversation, FakeOrg, FakeRecording, TestClock};
use callvault_tests::faulty::{Fault, How, Script, Stopped, When};

use super::world::{Process, Settings, World, day, differences};

const DAY: &str = "2026-01-20";

fn org() -> FakeOrg {
    let conversations = (0..7).map(|n| {
        let recordings = vec![FakeRecording::audio("r", b"some bytes"), FakeRecording::audio("s", b"others")];
        FakeConversation::call(&format!("c{n}"), &format!("2026-01-20T1{n}:00:00Z"), recordings)
    });
    FakeOrg { chunk: 100, ..FakeOrg::of(conversations.collect()) }
}

fn settings() -> Settings {
    Settings { page_size: 100, ..Settings::default() }
}

fn for_seconds(world: &World, seconds: u64) -> Shift {
    let begins = world.clock.now();
    Shift { begins, ends: begins + Duration::from_secs(seconds) }
}

/// Every call of source and archive takes its time.
fn slowly(world: &World, seconds: u64) -> Script {
    let clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
    let span = Duration::from_secs(seconds);
    Script::quiet().slow("source.", span, Arc::clone(&clock)).slow("archive.", span, clock)
}

/// Nothing is held by anybody: claims that are not given back would be due when their leases end, much later.
async fn nothing_is_held(world: &World, when: &str) {
    for row in world.rows(DAY).await.into_iter().chain(world.ledger.days().await.unwrap()) {
        let held = row.work.as_ref().is_some_and(|work| work.holder.is_some());
        assert!(!held, "{when}: {} is still held", row.key);
    }
    let due = world.ledger.next_due(Stage::Poll).await.unwrap();
    let soon = world.clock.now() + Duration::from_secs(60);
    assert!(due.is_none_or(|due| due <= soon), "{when}: a batch is due only at {due:?}");
}

/// Runs every stage in shifts of `seconds` until the day is closed; answers what each stage gave back.
async fn in_shifts(world: &World, seconds: u64, answers_take: u64) -> BTreeMap<Stage, u64> {
    let mut given_back = BTreeMap::new();
    world.ledger.plan_day(day(DAY), world.clock.now()).await.unwrap();
    for _ in 0..400 {
        for stage in Stage::ALL {
            let shift = for_seconds(world, seconds);
            let process = world.process_in(Some(shift), &slowly(world, answers_take));
            loop {
                let report = process.stage(stage).await.unwrap();
                assert!(world.clock.now() < shift.ends + Duration::from_millis(10), "{stage:?} works on after its end");
                *given_back.entry(stage).or_default() += report.given_back;
                if !report.did_something() || report.given_back > 0 || report.failed > 0 {
                    break;
                }
            }
            nothing_is_held(world, &format!("after {stage:?}")).await;
        }
        if world.all_closed(&[day(DAY)]).await {
            return given_back;
        }
        world.clock.sleep(Duration::from_secs(1)).await;
    }
    panic!("not closed in 400 shifts of {seconds} s: {:?}", world.states(DAY).await);
}

#[test]
fn shifts_of_any_length_do_what_one_without_an_end_does() {
    let expected = TestClock::run(async {
        let world = World::new(org(), settings());
        world.export(&[DAY]).await;
        world.picture()
    });
    let mut given_back: BTreeMap<Stage, u64> = BTreeMap::new();
    for seconds in 23..=45 {
        TestClock::run(async {
            let world = World::new(org(), settings());
            for (stage, n) in in_shifts(&world, seconds, 4).await {
                *given_back.entry(stage).or_default() += n;
            }
            assert_eq!(differences(&world.picture(), &expected), [""; 0], "shifts of {seconds} s");
        });
    }
    assert!(given_back[&Stage::Upload] > 0, "nothing was cut: {given_back:?}");
}

/// The stages in the order in which a recording meets them.
const FLOW: [Stage; 6] = [Stage::Query, Stage::Submit, Stage::Poll, Stage::Upload, Stage::Describe, Stage::Close];

/// Does what the stages before `stage` do, so that there is everything for it to do.
async fn up_to(world: &World, process: &Process, stage: Stage) {
    for _ in 0..6 {
        for before in FLOW.into_iter().take_while(|before| *before != stage) {
            while process.stage(before).await.unwrap().did_something() {}
        }
        world.clock.sleep(Duration::from_secs(20)).await;
    }
}

/// A stage that is given too little time for what it began; how long it has, and what it is in the middle of.
async fn cut(stage: Stage, seconds: u64) -> (World, Report) {
    let world = World::new(org(), settings());
    world.ledger.plan_day(day(DAY), world.clock.now()).await.unwrap();
    let quick = world.process(&Script::quiet());
    up_to(&world, &quick, stage).await;
    // It begins late in its shift, so it is not its own length that it is cut for.
    let now = world.clock.now();
    let shift = Shift { begins: now - Duration::from_secs(600), ends: now + Duration::from_secs(seconds) };
    let report = world.process_in(Some(shift), &slowly(&world, 20)).stage(stage).await.unwrap();
    (world, report)
}

#[test]
fn a_stage_that_is_cut_gives_everything_back_due_at_once_and_counts_no_try() {
    for (stage, held) in
        [(Stage::Query, 1), (Stage::Poll, 3), (Stage::Describe, 7), (Stage::Upload, 2), (Stage::Close, 1)]
    {
        TestClock::run(async {
            let (world, report) = cut(stage, 10).await;
            assert_eq!((report.given_back, report.claimed, report.failed), (held, held, 0), "{stage:?}");
            nothing_is_held(&world, &format!("{stage:?}")).await;
            let due = world.ledger.next_due(stage).await.unwrap().unwrap();
            assert!(due <= world.clock.now(), "{stage:?}: due at {due}, it is {}", world.clock.now());
            for row in world.rows(DAY).await {
                assert_eq!(row.tries, 0, "{stage:?}: {}", row.key);
            }
            world.export(&[DAY]).await;
            assert_eq!(world.closed(DAY).await.2, Some(Marker::Success), "{stage:?}");
        });
    }
}

#[test]
fn a_job_that_is_being_posted_when_time_is_up_is_saved_and_none_is_posted_after_it() {
    TestClock::run(async {
        let (world, report) = cut(Stage::Submit, 10).await;
        assert_eq!((report.settled, report.claimed), (3, 3), "the first batch, and no other was begun");
        assert_eq!(world.source.batches(), [3]);
        assert!(world.ledger.next_due(Stage::Poll).await.unwrap().is_some(), "the job is in the ledger");
        nothing_is_held(&world, "submit").await;
        world.export(&[DAY]).await;
        assert_eq!(world.source.batches(), [3, 3, 1], "nothing was asked for twice");
    });
}

#[test]
fn nothing_is_claimed_when_the_shift_is_over() {
    TestClock::run(async {
        let world = World::new(org(), settings());
        world.ledger.plan_day(day(DAY), world.clock.now()).await.unwrap();
        let script = Script::quiet();
        let process = world.process_in(Some(for_seconds(&world, 0)), &script);
        for stage in Stage::ALL {
            assert_eq!(process.stage(stage).await.unwrap(), Report::default(), "{stage:?}");
        }
        assert_eq!(script.count("ledger.claim"), 0);
    });
}

#[test]
fn what_never_fits_into_a_shift_is_parked_or_told_and_does_not_go_round_for_ever() {
    TestClock::run(async {
        let (world, _) = cut(Stage::Upload, 10).await;
        for _ in 0..70 {
            let process = world.process_in(Some(for_seconds(&world, 30)), &slowly(&world, 40));
            process.stage(Stage::Upload).await.unwrap();
            world.clock.sleep(Duration::from_secs(600)).await;
        }
        let parked = world.ledger.list(day(DAY), Listing::Parked, None, 100).await.unwrap();
        let recordings = parked.iter().filter(|row| matches!(row.key, RowKey::Recording(..)));
        assert_eq!(recordings.filter(|row| row.reason().unwrap().code() == "download-failed").count(), 14);
    });
    TestClock::run(async {
        let world = World::new(org(), settings());
        world.ledger.plan_day(day(DAY), world.clock.now()).await.unwrap();
        let mut codes = Vec::new();
        for _ in 0..10 {
            let process = world.process_in(Some(for_seconds(&world, 30)), &slowly(&world, 40));
            codes.extend(process.stage(Stage::Query).await.err().map(|fault| fault.code()));
            world.clock.sleep(Duration::from_secs(700)).await;
        }
        assert_eq!(codes, ["too-long"; 3]);
    });
}

#[test]
fn a_process_that_is_thawed_settles_nothing_that_another_has_claimed_since() {
    for (call, stage) in
        [("source.open", Stage::Upload), ("archive.put_new", Stage::Upload), ("source.metadata", Stage::Describe)]
    {
        for when in [When::Before, When::After] {
            TestClock::run(async {
                let world = World::new(org(), settings());
                world.ledger.plan_day(day(DAY), world.clock.now()).await.unwrap();
                let quick = world.process(&Script::quiet());
                up_to(&world, &quick, stage).await;
                let script = Script::of([Fault { call, number: 1, when, how: How::Freeze }]);
                let frozen = world.process_in(Some(for_seconds(&world, 60)), &script);
                let mut work = std::pin::pin!(frozen.stage(stage));
                assert!(matches!(script.run(work.as_mut()).await, Stopped::Frozen), "{call}");
                // The next one waits for the leases, and does everything.
                world.clock.sleep(Duration::from_secs(301)).await;
                world.export(&[DAY]).await;
                let (before, rows) = (world.archive.objects(), world.rows(DAY).await);
                script.thaw();
                work.await.unwrap();
                assert_eq!(world.rows(DAY).await, rows, "{call} {when:?}");
                assert_eq!(world.archive.objects(), before, "{call} {when:?}");
                assert_eq!(world.closed(DAY).await, (DayState::Closed, 1, Some(Marker::Success)));
            });
        }
    }
}
