//! One notification for each generation of a day, whatever fails, and the chain of manifests behind it.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use callvault_pipeline::clock::Clock;
use callvault_pipeline::ledger::chain::Link;
use callvault_pipeline::ledger::notification::{Channel, NotificationFact};
use callvault_pipeline::ledger::{Carried, DayFact, DayState, Fact, Marker, Stage};
use callvault_pipeline::stages::LEASE;
use callvault_tests::fakes::{DeafAnnouncer, FakeAnnouncer, FakeConversation, FakeOrg, FakeRecording, TestClock};
use callvault_tests::faulty::{Fault, How, Script, Stopped, When, kills};
use proptest::prelude::*;

use super::world::{Settings, World, at, day, random};

const DAYS: [&str; 3] = ["2026-01-18", "2026-01-19", "2026-01-20"];

/// A conversation of a day, which analytics reports from an hour of 21 January on.
fn call(n: usize, day: usize, appears: u8) -> FakeConversation {
    let start = format!("{}T12:00:00Z", DAYS[day]);
    let recording = FakeRecording::audio("r", b"bytes");
    let appears = at(&format!("2026-01-21T{appears:02}:00:00Z"));
    FakeConversation { appears, ..FakeConversation::call(&format!("c{n}"), &start, vec![recording]) }
}

fn told_world(org: FakeOrg) -> (World, [FakeAnnouncer; 2]) {
    let all = [FakeAnnouncer::new(Channel::Webhook), FakeAnnouncer::new(Channel::Topic)];
    let world = World::new(org, Settings::default());
    (world.with_announcers(all.iter().map(|one| Arc::new(one.clone()) as _).collect()), all)
}

fn times(announcer: &FakeAnnouncer) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    announcer.told().into_iter().for_each(|message| *times.entry(message.key).or_default() += 1);
    times
}

async fn fact(world: &World, text: &str) -> DayFact {
    match world.ledger.day(day(text)).await.unwrap().unwrap().fact {
        Fact::Day(fact) => fact,
        other => panic!("{other:?} is no day"),
    }
}

async fn notifications(world: &World, text: &str) -> Vec<NotificationFact> {
    let rows = world.ledger.notifications(day(text)).await.unwrap();
    let facts = rows.into_iter().filter_map(|row| match row.fact {
        Fact::Notification(fact) => Some(*fact),
        _ => None,
    });
    facts.collect()
}

/// Works, undisturbed, until everybody was told.
async fn until_told(world: &World) {
    let process = world.process(&Script::quiet());
    while world.ledger.next_due(Stage::Notify).await.unwrap().is_some() {
        process.tell().await.unwrap();
        world.clock.sleep(Duration::from_secs(60)).await;
    }
}

/// Every generation that was ever closed, each told once by each channel, plus `again` at most.
async fn judge(world: &World, announcers: &[FakeAnnouncer; 2], again: usize) -> Result<(), TestCaseError> {
    let mut expected = Vec::new();
    for text in DAYS {
        let fact = fact(world, text).await;
        let generations: Vec<u32> = fact.chain.iter().map(|link| link.generation).collect();
        prop_assert!(generations.is_sorted() && generations.last() == Some(&fact.generation), "{:?}", generations);
        expected.extend(generations.iter().map(|generation| format!("callvault/test/{text}/{generation}")));
        for link in &fact.chain {
            prop_assert!(link.holds(day(text)), "{:?}", link);
        }
    }
    for announcer in announcers {
        let times = times(announcer);
        prop_assert_eq!(times.keys().cloned().collect::<Vec<_>>(), expected.clone());
        let more: usize = times.values().map(|times| times - 1).sum();
        prop_assert!(more <= again, "{:?}", times);
    }
    Ok(())
}

/// What happens between a closing and the record that everybody was told of it.
const CALLS: [&str; 6] =
    ["announcer.send", "ledger.settle", "ledger.claim", "ledger.renew", "archive.put_document", "archive.delete"];

fn faults() -> impl Strategy<Value = Vec<Fault>> {
    let fault = (
        prop::sample::select(&CALLS[..]),
        1_u64..40,
        prop::sample::select(vec![When::Before, When::After]),
        prop::sample::select(vec![How::Error, How::Outage, How::Kill]),
    );
    prop::collection::vec(fault.prop_map(|(call, number, when, how)| Fault { call, number, when, how }), 0..8)
}

proptest! {
    #![proptest_config(random(96))]

    #[test]
    fn each_generation_is_told_of_once_whatever_comes_late_and_whatever_fails(
        conversations in prop::collection::vec((0_usize..3, 0_u8..24), 0..7),
        rounds in prop::collection::vec((1_u8..24, faults()), 1..4),
    ) {
        TestClock::run(async {
            let calls = conversations.iter().enumerate().map(|(n, (day, appears))| call(n, *day, *appears));
            let (world, announcers) = told_world(FakeOrg::of(calls.collect()));
            let mut again = 0;
            for (hours, faults) in rounds {
                // A message that arrived, and of which nobody could say so, is sent again: no other one.
                again += faults.len();
                world.export_through(&DAYS, &Script::of(faults)).await;
                world.clock.sleep(Duration::from_secs(u64::from(hours) * 3600)).await;
            }
            until_told(&world).await;
            judge(&world, &announcers, again).await
        })?;
    }
}

#[test]
fn without_faults_nobody_is_told_twice() {
    TestClock::run(async {
        let (world, announcers) = told_world(FakeOrg::of(vec![call(0, 0, 0), call(1, 1, 0), call(2, 1, 20)]));
        world.export(&DAYS).await;
        world.clock.until(at("2026-01-22T06:00:00Z")).await;
        world.export(&DAYS).await;
        until_told(&world).await;
        judge(&world, &announcers, 0).await.unwrap();
        let told = announcers[0].told();
        let of = |key: &str| told.iter().find(|message| message.key.ends_with(key)).unwrap();
        assert!(of("2026-01-20/1").text.contains("there were no conversations"), "an empty day is told of, too");
        assert!(of("2026-01-19/1").text.contains("1 conversations, 1 recordings, 1 stored"));
        assert!(of("2026-01-19/2").text.contains("closed for the 2. time"));
        assert_eq!(told.len(), 4);
    });
}

#[test]
fn wherever_a_process_dies_of_it_everybody_is_told_and_only_by_the_same_key_again() {
    let org = || FakeOrg::of(vec![call(0, 0, 0)]);
    let calls = TestClock::run(async { told_world(org()).0.export(&DAYS).await.calls() });
    for fault in kills(calls) {
        TestClock::run(async {
            let (world, announcers) = told_world(org());
            world.export_through(&DAYS, &Script::of([fault])).await;
            until_told(&world).await;
            let again = usize::from(matches!(fault.call, "announcer.send" | "ledger.settle"));
            judge(&world, &announcers, again).await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        });
    }
}

#[test]
fn a_channel_that_takes_nothing_is_given_up_after_a_day_and_keeps_no_other_one_waiting() {
    TestClock::run(async {
        let (world, [_, topic]) = told_world(FakeOrg::of(vec![call(0, 2, 0)]));
        // Every first send is the webhook's: the topic is tried after it.
        let deaf = Arc::new(DeafAnnouncer);
        let world = world.with_announcers(vec![deaf, Arc::new(topic.clone())]);
        world.export(&["2026-01-20"]).await;
        assert_eq!(times(&topic).len(), 1, "it is told at once");
        let begun = world.clock.now();
        until_told(&world).await;
        assert!(world.clock.now().duration_since(begun) >= jiff::SignedDuration::from_hours(24));
        let [fact] = &notifications(&world, "2026-01-20").await[..] else { panic!("not one") };
        assert_eq!(fact.told[&Channel::Webhook], Carried::GivenUp("deaf".to_owned()));
        assert_eq!(
            (fact.state.word(), &fact.told[&Channel::Topic], times(&topic).len()),
            ("given-up", &Carried::Done, 1)
        );
    });
}

#[test]
fn a_notification_that_nobody_here_can_send_waits_for_who_can() {
    TestClock::run(async {
        let (world, [webhook, topic]) = told_world(FakeOrg::of(vec![]));
        // Whoever closes the day wants it told, and dies before it is.
        let fault = Fault { call: "announcer.send", number: 1, when: When::Before, how: How::Kill };
        let script = Script::of([fault]);
        world.ledger.plan_day(day("2026-01-20"), world.clock.now()).await.unwrap();
        let process = world.process(&script);
        let days = [day("2026-01-20")];
        let mut work = pin!(process.work(&world, &days));
        assert!(matches!(script.run(work.as_mut()).await, Stopped::Killed));
        assert_eq!((times(&webhook).len(), times(&topic).len()), (0, 0));
        world.clock.sleep(LEASE + Duration::from_secs(1)).await;
        let silent = world.unseen().with_announcers(Vec::new());
        silent.process(&Script::quiet()).tell().await.unwrap();
        let [fact] = &notifications(&world, "2026-01-20").await[..] else { panic!("not one") };
        assert_eq!((fact.state.word(), fact.told.len()), ("due", 0), "it is left alone");
        until_told(&world).await;
        assert_eq!((times(&webhook).into_values().collect::<Vec<_>>(), times(&topic).len()), (vec![1], 1));
    });
}

#[test]
fn who_has_to_stop_sends_no_other_message_and_gives_the_rest_back() {
    TestClock::run(async {
        let (world, [webhook, topic]) = told_world(FakeOrg::of(vec![]));
        let silent = world.unseen();
        for text in DAYS {
            silent.ledger.plan_day(day(text), world.clock.now()).await.unwrap();
        }
        let process = world.process(&Script::quiet());
        for stage in [Stage::Query, Stage::Close] {
            while process.stage(stage).await.unwrap().did_something() {}
        }
        let report = process.tell_while(|| times(&webhook).is_empty()).await.unwrap();
        assert_eq!((report.told, report.given_back), (1, 2));
        assert_eq!((times(&webhook).len(), times(&topic).len()), (1, 0));
        assert_eq!(process.tell_while(|| false).await.unwrap().claimed, 0);
        until_told(&world).await;
        judge(&world, &[webhook, topic], 0).await.unwrap();
    });
}

#[test]
fn a_success_that_becomes_a_failure_is_told_of() {
    TestClock::run(async {
        let (world, [webhook, _]) = told_world(FakeOrg::of(vec![call(0, 2, 0)]));
        world.export(&[DAYS[2]]).await;
        world.clock.until(at("2026-01-22T06:00:00Z")).await;
        // Analytics has one more, and no batch takes it.
        world.source.change(|org| org.conversations.push(FakeConversation { refused: true, ..call(1, 2, 0) }));
        world.export(&[DAYS[2]]).await;
        assert_eq!(world.closed(DAYS[2]).await, (DayState::Closed, 2, Some(Marker::Failure)));
        assert!(world.object("2026-01-20/_SUCCESS").is_none());
        let keys: Vec<_> = webhook.told().into_iter().map(|message| message.key).collect();
        assert_eq!(keys, ["callvault/test/2026-01-20/1", "callvault/test/2026-01-20/2"]);
    });
}

#[test]
fn each_closing_follows_the_one_before_it_whatever_day_that_was_of() {
    TestClock::run(async {
        let (world, _) = told_world(FakeOrg::of(vec![call(0, 0, 0), call(1, 2, 20)]));
        for text in [DAYS[0], DAYS[2], DAYS[1]] {
            world.export(&[text]).await;
            world.clock.sleep(Duration::from_secs(60)).await;
        }
        world.clock.until(at("2026-01-22T06:00:00Z")).await;
        world.export(&[DAYS[2]]).await;
        let [first, between, last] =
            [fact(&world, DAYS[0]).await, fact(&world, DAYS[1]).await, fact(&world, DAYS[2]).await];
        let previous =
            |link: &Link| link.previous.as_ref().map(|previous| (previous.day.to_string(), previous.generation));
        assert_eq!(previous(&first.chain[0]), None);
        assert_eq!(previous(&last.chain[0]), Some((DAYS[0].to_owned(), 1)), "the day between was not there");
        assert_eq!(previous(&between.chain[0]), Some((DAYS[2].to_owned(), 1)), "closed after the later day");
        assert_eq!(previous(&last.chain[1]), Some((DAYS[1].to_owned(), 1)));
        let marker = world.json("2026-01-20/_SUCCESS");
        assert_eq!(marker["chain"][1]["digest"], last.chain[1].digest.as_str());
        assert_eq!(marker["chain"][1]["manifest"], marker["manifest"]["sha256"]);
        assert_eq!(marker["chain"][1]["previous"]["digest"], between.chain[0].digest.as_str());
    });
}
