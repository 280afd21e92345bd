//! What the functions do with what they are woken for.

use std::time::Duration;

use callvault_pipeline::clock::Clock;
use callvault_pipeline::ledger::{Ledger, Stage};
use callvault_tests::fakes::TestClock;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::world::{Name, World};

fn timer() -> Value {
    json!({ "trigger": "timer" })
}

async fn days(world: &World) -> Vec<String> {
    world.ledger.days().await.unwrap().iter().map(|row| format!("{} {}", row.day, row.state_word())).collect()
}

#[test]
fn timers_alone_bring_a_planned_day_to_its_end() {
    TestClock::run(async {
        let world = World::new();
        let planned = world.invoke(Name::Query, &json!({ "trigger": "timer", "plan": true })).await.answer.unwrap();
        assert_eq!((&planned["planned"], &planned["found"]), (&json!(["2026-01-20"]), &json!(3)));
        for _ in 0..5 {
            for name in Name::ALL {
                world.invoke(name, &timer()).await.answer.unwrap();
            }
            world.clock.sleep(Duration::from_secs(60)).await;
        }
        assert_eq!(days(&world).await, ["2026-01-20 closed"]);
        let objects = world.archive.objects();
        assert!(objects.keys().any(|key| key.as_str().ends_with("2026-01-20/_SUCCESS")), "{:?}", objects.keys());
        assert_eq!(objects.keys().filter(|key| key.as_str().contains("/call/")).count(), 3);
    });
}

#[test]
fn a_day_a_stretch_and_a_lag_plan_what_they_say() {
    TestClock::run(async {
        let world = World::new();
        let planned = world.invoke(Name::Query, &json!({ "from": "2026-01-18", "to": "2026-01-20" })).await;
        assert_eq!(planned.answer.unwrap()["planned"], json!(["2026-01-18", "2026-01-19", "2026-01-20"]));
        assert_eq!(planned.report.found, 9, "all of them were queried in one invocation");
        let lagging = World::with(&[("LAG_DAYS", "3"), ("TIMEZONE", "America/Lima")]);
        let planned = lagging.invoke(Name::Query, &json!({ "trigger": "timer", "plan": true })).await.answer.unwrap();
        // 06:00 UTC is 01:00 of the same day in Lima.
        assert_eq!(planned["planned"], json!(["2026-01-18"]));
        lagging.clock.sleep(Duration::from_secs(2 * 86_400)).await;
        let planned = lagging.invoke(Name::Query, &json!({ "trigger": "timer", "plan": true })).await.answer.unwrap();
        assert_eq!(planned["planned"], json!(["2026-01-19", "2026-01-20"]), "the schedule stood still for a day");
        let again = lagging.invoke(Name::Query, &json!({ "trigger": "timer", "plan": true })).await.answer.unwrap();
        assert_eq!(again["planned"], json!([]), "the same timer twice plans nothing twice");
    });
}

#[test]
fn a_closed_day_is_done_again_only_when_somebody_names_it() {
    TestClock::run(async {
        let world = World::new();
        world.invoke(Name::Query, &json!({ "day": "2026-01-20" })).await.answer.unwrap();
        for _ in 0..5 {
            for name in Name::ALL {
                world.invoke(name, &timer()).await.answer.unwrap();
            }
            world.clock.sleep(Duration::from_secs(60)).await;
        }
        assert_eq!(days(&world).await, ["2026-01-20 closed"]);
        world.invoke(Name::Query, &json!({ "trigger": "timer", "plan": true })).await.answer.unwrap();
        assert_eq!(days(&world).await, ["2026-01-20 closed"]);
        let named = world.invoke(Name::Query, &json!({ "day": "2026-01-20" })).await.report;
        assert_eq!((named.settled, named.found), (1, 0));
        assert_eq!(days(&world).await, ["2026-01-20 open"]);
    });
}

#[test]
fn a_closed_day_is_looked_at_again_when_its_time_has_come() {
    TestClock::run(async {
        let world = World::new();
        let plan = json!({ "trigger": "timer", "plan": true });
        world.invoke(Name::Query, &plan).await.answer.unwrap();
        for _ in 0..5 {
            for name in Name::ALL {
                world.invoke(name, &timer()).await.answer.unwrap();
            }
            world.clock.sleep(Duration::from_secs(60)).await;
        }
        assert_eq!(days(&world).await, ["2026-01-20 closed"]);
        world.clock.sleep(Duration::from_secs(86_400)).await;
        let next = world.invoke(Name::Query, &plan).await;
        assert_eq!(next.answer.unwrap()["planned"], json!(["2026-01-20", "2026-01-21"]), "two days after the 20th");
        assert_eq!(days(&world).await[0], "2026-01-20 open");
        let again = world.invoke(Name::Query, &plan).await.answer.unwrap();
        assert_eq!(again["planned"], json!([]), "one look for each time");
    });
}

#[test]
fn one_poll_waits_for_jobs_that_are_due_soon_and_reads_none_twice_within_a_second() {
    TestClock::run(async {
        let world = World::new();
        world.source.change(|org| org.job_takes = Duration::from_secs(10));
        world.invoke(Name::Query, &json!({ "day": "2026-01-20" })).await.answer.unwrap();
        world.invoke(Name::Submit, &timer()).await.answer.unwrap();
        let begun = world.clock.now();
        let polled = world.invoke(Name::Poll, &timer()).await.report;
        assert_eq!(polled.settled, 1, "the job, in one invocation");
        assert!(world.clock.now().duration_since(begun) < SignedDuration::from_secs(54));
        // The upload function is another process: it reads the job again.
        let uploaded = world.invoke(Name::Upload, &timer()).await.report;
        assert_eq!(uploaded.stored, 3);
        assert!(world.source.closest_reads().unwrap() >= SignedDuration::from_secs(1));
    });
}

#[test]
fn a_job_that_takes_longer_is_left_to_the_next_timer() {
    TestClock::run(async {
        let world = World::new();
        world.source.change(|org| org.job_takes = Duration::from_secs(600));
        world.invoke(Name::Query, &json!({ "day": "2026-01-20" })).await.answer.unwrap();
        world.invoke(Name::Submit, &timer()).await.answer.unwrap();
        let begun = world.clock.now();
        world.invoke(Name::Poll, &timer()).await.answer.unwrap();
        let took = world.clock.now().duration_since(begun);
        assert!(took < SignedDuration::from_secs(54), "{took}");
        let due = world.ledger.next_due(Stage::Poll).await.unwrap().unwrap();
        assert!(due <= world.clock.now() + Duration::from_secs(30), "nobody holds it");
    });
}

#[test]
fn what_another_instance_holds_is_left_to_it() {
    TestClock::run(async {
        let world = World::new();
        world.invoke(Name::Query, &json!({ "day": "2026-01-20" })).await.answer.unwrap();
        let lease = Duration::from_secs(300);
        let held = world.ledger.claim(Stage::Submit, 2, lease, world.clock.now()).await.unwrap();
        let submitted = world.invoke(Name::Submit, &timer()).await.report;
        assert_eq!((held.len(), submitted.claimed, world.source.batches()), (2, 1, vec![1]));
    });
}

#[test]
fn an_invocation_ends_when_time_is_up_also_while_something_is_due() {
    TestClock::run(async {
        let world = World::new();
        world.invoke(Name::Query, &json!({ "day": "2026-01-20" })).await.answer.unwrap();
        world.invoke(Name::Submit, &timer()).await.answer.unwrap();
        world.clock.sleep(Duration::from_secs(60)).await;
        for name in Name::ALL {
            let begun = world.clock.now();
            let ended = world.invoke_for(name, &timer(), Duration::ZERO).await;
            assert!(ended.answer.is_ok());
            assert_eq!(ended.report.claimed, 0, "{name:?}");
            assert_eq!(world.clock.now(), begun, "{name:?} waits for nothing");
        }
        assert!(
            world.ledger.next_due(Stage::Poll).await.unwrap().unwrap() <= world.clock.now(),
            "the job is due still"
        );
    });
}
