//! `move-voicemail`: an event becomes a row before anything else, and the timers go on with it.

use std::time::Duration;

use callvault_pipeline::api::Mailbox;
use callvault_pipeline::clock::Clock;
use callvault_pipeline::ledger::Ledger;
use callvault_tests::fakes::{FakeVoicemail, TestClock};
use serde_json::{Value, json};

use super::world::{Name, World};

const CONVERSATION: &str = "2f7bf00a-0fc2-4d6a-9b56-92238191433e";
const QUEUE: &str = "7b1d6c0a-1111-4222-8333-444455556666";

fn fixture(name: &str) -> Value {
    let path = format!("{}/events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The message that the fixtures tell of; listable so many seconds after the test began.
fn message(world: &World, listable_in: u64) -> FakeVoicemail {
    FakeVoicemail {
        conversation: CONVERSATION.to_owned(),
        mailbox: Mailbox::Queue(QUEUE.parse().unwrap()),
        listable: world.clock.now() + Duration::from_secs(listable_in),
        ..FakeVoicemail::new("m", "2026-01-15T16:12:00Z")
    }
}

async fn states(world: &World) -> Vec<String> {
    let rows = world.ledger.voicemails(&CONVERSATION.parse().unwrap()).await.unwrap();
    rows.iter().map(|row| row.state_word().to_owned()).collect()
}

#[test]
fn an_event_moves_its_message_at_once_and_the_same_again_changes_nothing() {
    TestClock::run(async {
        let world = World::with(&[("TIMEZONE", "Asia/Tokyo")]);
        world.mailboxes.leave(message(&world, 0));
        let answer = world.invoke(Name::Voicemail, &fixture("voicemail")).await.answer.unwrap();
        assert_eq!((&answer["stored"], &answer["parked"]), (&json!(1), &json!(0)));
        let keys: Vec<String> = world.archive.objects().into_keys().map(|key| key.to_string()).collect();
        let key = format!("prod/2026-01-16/voicemail/{CONVERSATION}_m");
        assert_eq!(keys, [format!("{key}.json"), format!("{key}.webm")], "the day in TIMEZONE");
        let answer = world.invoke(Name::Voicemail, &fixture("voicemail")).await.answer.unwrap();
        assert_eq!((&answer["stored"], &answer["claimed"]), (&json!(0), &json!(0)));
    });
}

#[test]
fn what_is_listable_only_later_is_left_to_the_timer() {
    TestClock::run(async {
        let world = World::new();
        world.mailboxes.leave(message(&world, 400));
        world.invoke(Name::Voicemail, &fixture("voicemail")).await.answer.unwrap();
        assert_eq!(states(&world).await, ["waiting"]);
        for _ in 0..30 {
            world.clock.sleep(Duration::from_secs(60)).await;
            world.invoke(Name::Voicemail, &fixture("timer")).await.answer.unwrap();
        }
        assert_eq!(states(&world).await, ["found", "stored"]);
    });
}

#[test]
fn a_direct_one_is_out_of_reach_and_nobody_is_asked() {
    TestClock::run(async {
        let world = World::new();
        world.mailboxes.leave(message(&world, 0));
        world.invoke(Name::Voicemail, &fixture("voicemail-direct")).await.answer.unwrap();
        assert_eq!(states(&world).await, ["left-out"]);
    });
}

#[test]
fn a_sweep_moves_what_no_event_told_of() {
    TestClock::run(async {
        let world = World::with(&[("VOICEMAIL_QUEUES", QUEUE), ("DELETE_AFTER_UPLOAD", "true")]);
        world.mailboxes.leave(message(&world, 0));
        world.invoke(Name::Voicemail, &fixture("timer")).await.answer.unwrap();
        assert!(states(&world).await.is_empty());
        let answer = world.invoke(Name::Voicemail, &fixture("timer-sweep")).await.answer.unwrap();
        assert_eq!((&answer["found"], &answer["stored"]), (&json!(1), &json!(1)));
        assert_eq!(states(&world).await, ["stored"]);
        assert!(world.mailboxes.messages()[0].deleted);
    });
}
