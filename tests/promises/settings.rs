//! What the settings leave out, and what they cost.

use callvault_pipeline::chat::BodyTypes;
use callvault_pipeline::facts::Wanted;
use callvault_pipeline::kind::Kind;
use callvault_pipeline::ledger::Marker;
use callvault_pipeline::models::MediaType;
use callvault_pipeline::reconcile::MetadataMode;
use callvault_tests::fakes::{Batch, FakeConversation, FakeOrg, FakeRecording, TestClock};

use super::world::{Settings, World};

const DAY: &str = "2026-01-20";
const NOON: &str = "2026-01-20T12:00:00Z";
const CHAT: &[u8] = br#"[{"bodyType":"STANDARD","body":"hi"},{"bodyType":"TYPING"},{"body":"untyped"}]"#;

fn call(id: &str) -> FakeConversation {
    FakeConversation::call(id, NOON, vec![FakeRecording::audio("r", b"bytes")])
}

fn chat() -> FakeConversation {
    let transcript = FakeRecording::new("t", "chat", "application/json", CHAT);
    FakeConversation { media: vec![MediaType::Chat], ..FakeConversation::call("chat", NOON, vec![transcript]) }
}

#[test]
fn require_agent_and_queues_leave_out_with_their_reason() {
    TestClock::run(async {
        let alone = FakeConversation { agent: false, ..call("alone") };
        let elsewhere = FakeConversation { queues: vec!["queue-2".to_owned()], ..call("elsewhere") };
        let org = FakeOrg::of(vec![call("a"), alone, elsewhere]);
        let wanted = Wanted { queues: Vec::new(), require_agent: true, recorded_only: false };
        let world = World::new(org.clone(), Settings { wanted, ..Settings::default() });
        world.export(&[DAY]).await;
        let states = world.states(DAY).await;
        assert_eq!(
            states,
            ["a: stored", "a/r: stored", "alone: left-out no-agent", "elsewhere: stored", "elsewhere/r: stored"]
        );
        assert_eq!(world.closed(DAY).await.2, Some(Marker::Success), "what is left out is not missing");
        let wanted = Wanted { queues: vec!["queue-1".parse().unwrap()], require_agent: false, recorded_only: false };
        let world = World::new(org, Settings { wanted, ..Settings::default() });
        world.export(&[DAY]).await;
        // The source filters by queue itself.
        assert_eq!(world.states(DAY).await, ["a: stored", "a/r: stored", "alone: stored", "alone/r: stored"]);
    });
}

/// What analytics says decides, until it says something else.
#[test]
fn what_is_not_recorded_is_left_out_until_it_is() {
    TestClock::run(async {
        let silent = FakeConversation { recorded: false, recordings: Vec::new(), ..call("silent") };
        let wanted = Wanted { recorded_only: true, ..Wanted::default() };
        let world = World::new(FakeOrg::of(vec![call("a"), silent]), Settings { wanted, ..Settings::default() });
        let script = world.export(&[DAY]).await;
        assert_eq!(world.states(DAY).await, ["a: stored", "a/r: stored", "silent: left-out not-recorded"]);
        assert_eq!(script.count("source.metadata"), 1, "nobody asks about what is left out");
        world.source.change(|org| {
            org.conversations[1].recorded = true;
            org.conversations[1].recordings.push(FakeRecording::audio("late", b"late"));
        });
        world.export(&[DAY]).await;
        assert_eq!(world.states(DAY).await, ["a: stored", "a/r: stored", "silent: stored", "silent/late: stored"]);
        assert_eq!(world.closed(DAY).await.2, Some(Marker::Success));
    });
}

#[test]
fn other_kinds_are_left_out_and_their_bytes_not_fetched() {
    TestClock::run(async {
        let screen = FakeRecording::new("s", "screen", "video/webm", b"pictures");
        let both = FakeConversation::call("a", NOON, vec![FakeRecording::audio("r", b"bytes"), screen]);
        let settings = Settings { kinds: vec![Kind::Call], ..Settings::default() };
        let world = World::new(FakeOrg::of(vec![both, chat()]), settings);
        let script = world.export(&[DAY]).await;
        let expected = [
            "a: stored",
            "a/r: stored",
            "a/s: left-out other-kind",
            "chat: left-out other-kind",
            "chat/t: left-out other-kind",
        ];
        assert_eq!(world.states(DAY).await, expected);
        assert_eq!((script.count("source.open"), world.recordings().len()), (1, 1));
        assert_eq!(world.closed(DAY).await.2, Some(Marker::Success));
    });
}

#[test]
fn chats_are_filtered_to_the_letter_and_proved_as_they_are_stored() {
    TestClock::run(async {
        let key = "2026-01-20/chat/chat_t.json";
        let world = World::new(FakeOrg::of(vec![chat()]), Settings::default());
        world.export(&[DAY]).await;
        assert_eq!(world.object(key).unwrap(), r#"[{"bodyType":"STANDARD","body":"hi"},{"body":"untyped"}]"#);
        let settings = Settings { chat: BodyTypes::All, ..Settings::default() };
        let world = World::new(FakeOrg::of(vec![chat()]), settings);
        world.export(&[DAY]).await;
        assert_eq!(world.object(key).unwrap(), CHAT);
    });
}

#[test]
fn kinds_decide_the_folder() {
    TestClock::run(async {
        let one = |id: &str, media: MediaType, recording| FakeConversation {
            media: vec![media],
            ..FakeConversation::call(id, NOON, vec![recording])
        };
        let zip = FakeRecording::new("z", "email", "application/zip", b"PK");
        let text = FakeRecording::new("t", "message", "application/json", b"[]");
        let wav = FakeRecording::new("w", "audio", "Audio/X-WAV; rate=8000", b"RIFF");
        let org = FakeOrg::of(vec![
            one("mail", MediaType::Email, zip),
            one("sms", MediaType::Message, text),
            one("call", MediaType::Voice, wav),
            chat(),
        ]);
        let world = World::new(org, Settings::default());
        world.export(&[DAY]).await;
        let expected = ["call/call_w.wav", "chat/chat_t.json", "email/mail_z.zip", "message/sms_t.json"];
        assert_eq!(world.recordings(), expected.map(|name| format!("{DAY}/{name}")));
    });
}

#[test]
fn analytics_mode_asks_only_about_what_looks_wrong() {
    TestClock::run(async {
        let broken = FakeRecording { batch: Batch::Error("no".to_owned()), ..FakeRecording::audio("r", b"") };
        let recorded_but_empty = FakeConversation { recorded: true, ..FakeConversation::call("odd", NOON, vec![]) };
        let conversations = vec![
            call("a"),
            call("b"),
            FakeConversation::call("none", NOON, vec![]),
            recorded_but_empty,
            FakeConversation::call("wrong", NOON, vec![broken]),
        ];
        let org = FakeOrg::of(conversations);
        let settings =
            Settings { mode: MetadataMode::Analytics, batch_size: 100, page_size: 100, ..Settings::default() };
        let world = World::new(org.clone(), settings.clone());
        let script = world.export(&[DAY]).await;
        let expected = [
            "a: stored",
            "a/r: stored",
            "b: stored",
            "b/r: stored",
            "none: no-recordings",
            "odd: no-recordings",
            "wrong: parked source-error",
            "wrong/r: parked source-error",
        ];
        assert_eq!(world.states(DAY).await, expected);
        // Three times for `odd`, before its empty list is believed; for `wrong` once after each of its batches, and those
        // are four.
        assert_eq!(script.count("source.metadata"), 7);
        let healthy = FakeOrg { conversations: org.conversations[..3].to_vec(), ..org.clone() };
        let world = World::new(healthy.clone(), settings.clone());
        let script = world.export(&[DAY]).await;
        let calls = ["source.page", "source.submit", "source.poll", "source.metadata", "source.open"];
        assert_eq!(calls.map(|call| script.count(call)), [1, 1, 2, 0, 2], "{:?}", script.calls());
        assert_eq!(world.json("2026-01-20/metadata/a.json")["recordingMetadata"], serde_json::Value::Null);
        // In full mode it is once for each.
        let world = World::new(healthy, Settings { mode: MetadataMode::Full, ..settings });
        assert_eq!(world.export(&[DAY]).await.count("source.metadata"), 3);
    });
}
