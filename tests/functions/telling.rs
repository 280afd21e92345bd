//! `close-days` tells of closed days: also when closing fails, and says what it gave up.

use std::sync::Arc;
use std::time::Duration;

use callvault_pipeline::clock::Clock;
use callvault_pipeline::ledger::notification::Channel;
use callvault_pipeline::ledger::{Ledger, Stage};
use callvault_tests::fakes::{DeafAnnouncer, FakeAnnouncer, TestClock};
use callvault_tests::faulty::{Fault, FaultyLedger, How, Script, When};
use serde_json::{Value, json};

use super::world::{Name, World};

fn timer() -> Value {
    json!({ "trigger": "timer" })
}

fn world() -> (World, FakeAnnouncer) {
    let webhook = FakeAnnouncer::new(Channel::Webhook);
    let mut world = World::with(&[("NOTIFY_URL", "https://hooks.example/T")]);
    world.tells(vec![Arc::new(webhook.clone())]);
    (world, webhook)
}

/// A day is found and exported, and nobody has closed it yet.
async fn exported(world: &World) {
    world.invoke(Name::Query, &json!({ "trigger": "timer", "plan": true })).await.answer.unwrap();
    for _ in 0..5 {
        for name in Name::ALL.into_iter().filter(|name| *name != Name::Close) {
            world.invoke(name, &timer()).await.answer.unwrap();
        }
        world.clock.sleep(Duration::from_secs(60)).await;
    }
}

#[test]
fn who_closes_a_day_tells_of_it_once() {
    TestClock::run(async {
        let (world, webhook) = world();
        exported(&world).await;
        for _ in 0..3 {
            world.invoke(Name::Close, &timer()).await.answer.unwrap();
            world.clock.sleep(Duration::from_secs(60)).await;
        }
        let told = webhook.told();
        assert_eq!(told.len(), 1);
        assert!(told[0].key.ends_with("/2026-01-20/1"), "{}", told[0].key);
    });
}

#[test]
fn what_is_due_is_told_also_when_closing_fails() {
    TestClock::run(async {
        let (mut world, webhook) = world();
        exported(&world).await;
        // Closed by one who could not tell.
        world.tells(Vec::new());
        world.invoke(Name::Close, &timer()).await.answer.unwrap();
        world.clock.sleep(Duration::from_secs(60)).await;
        world.tells(vec![Arc::new(webhook.clone())]);
        let failing = Fault { call: "ledger.claim", number: 1, when: When::Before, how: How::Error };
        let ledger = FaultyLedger::new(Arc::clone(&world.ledger) as Arc<dyn Ledger>, Script::of([failing]));
        let clock = Arc::clone(&world.clock);
        world.replace_ledger(Arc::new(ledger), clock);
        let refusal = world.invoke(Name::Close, &timer()).await.answer.unwrap_err();
        assert_eq!((refusal.code, webhook.told().len()), ("ledger-unusable", 1), "{}", refusal.message);
    });
}

#[test]
fn what_nobody_takes_for_a_day_is_given_up_and_said() {
    TestClock::run(async {
        let (mut world, _) = world();
        world.tells(vec![Arc::new(DeafAnnouncer)]);
        exported(&world).await;
        let mut given_up = Vec::new();
        for hour in 0..40 {
            let answer = world.invoke(Name::Close, &timer()).await;
            answer.answer.unwrap();
            given_up.extend(answer.fault.map(|fault| (hour, fault)));
            world.clock.sleep(Duration::from_secs(3600)).await;
        }
        assert_eq!(given_up.len(), 1, "{given_up:?}");
        assert!(given_up[0].0 >= 24 && given_up[0].1 == "notification-given-up", "{given_up:?}");
        assert_eq!(world.ledger.next_due(Stage::Notify).await.unwrap(), None);
    });
}
