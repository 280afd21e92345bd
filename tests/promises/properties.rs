//! P1, P2, P4 and P5 over random orgs, random faults, and two processes at once.
//!
//! P2 and P4 are looked at by the world's watch after every call; here the rest is.

use std::collections::BTreeSet;

use callvault_pipeline::archive::prove;
use callvault_pipeline::clock::Clock;
use callvault_pipeline::ids::{ConversationId, RecordingId};
use callvault_pipeline::ledger::Marker;
use callvault_pipeline::models::{FileState, MediaType};
use callvault_pipeline::stages::LEASE;
use callvault_tests::fakes::{
    Batch, Completion, FakeConversation, FakeOrg, FakeRecording, File, MetadataAnswer, Readability, TestClock,
};
use callvault_tests::faulty::{Fault, How, Script, Stopped, When};
use proptest::prelude::*;

use super::world::{Settings, World, day, differences, is_recording, random};

const DAYS: [&str; 2] = ["2026-01-19", "2026-01-20"];

fn batch() -> impl Strategy<Value = Batch> {
    prop_oneof![5 => Just(Batch::Urls), 1 => Just(Batch::Error("no".to_owned())), 1 => Just(Batch::Silence)]
}

fn recording() -> impl Strategy<Value = FakeRecording> {
    let files =
        prop::collection::vec((prop::sample::select(&["", "one", "two", "a longer one"][..]), 1_usize..3), 1..4);
    let state = prop_oneof![
        6 => Just(FileState::Available),
        1 => prop::sample::select(vec![
            FileState::Archived, FileState::Deleted, FileState::Error, FileState::Restored, FileState::Restoring,
            FileState::Uploading, FileState::Unknown("NEW".to_owned()),
        ]),
    ];
    let types = [Some("audio/ogg"), Some("video/webm"), Some("application/json"), Some("application/x-new"), None];
    (files, state, batch(), batch(), prop::sample::select(types.to_vec()), prop::bool::weighted(0.9)).prop_map(
        |(files, state, batch, otherwise, content_type, listed)| FakeRecording {
            files: files.into_iter().map(|(text, times)| File { bytes: text.into(), times }).collect(),
            content_type: content_type.map(str::to_owned),
            batch,
            otherwise: if otherwise == Batch::Urls { Batch::Silence } else { otherwise },
            listed,
            ..FakeRecording::audio("", b"").in_state(state)
        },
    )
}

fn conversation() -> impl Strategy<Value = FakeConversation> {
    let rare = || prop::bool::weighted(0.07);
    let metadata = prop_oneof![
        8 => Just(MetadataAnswer::List),
        1 => prop::sample::select(vec![MetadataAnswer::NotFound, MetadataAnswer::Forbidden]),
    ];
    let media = prop::sample::select(vec![MediaType::Voice, MediaType::Chat, MediaType::Email]);
    let recordings = prop::collection::vec((recording(), rare()), 0..4);
    (0_u8..48, recordings, metadata, media, (rare(), rare(), rare(), rare())).prop_map(
        |(hour, recordings, metadata, media, (refused, error, half, evil))| {
            let start = format!("2026-01-{}T{:02}:59:59.999Z", 19 + hour / 24, hour % 24);
            let named = recordings.into_iter().enumerate().map(|(n, (recording, evil))| {
                let id = if evil { format!("../{n}") } else { format!("r{n}") };
                FakeRecording { id: Some(id), ..recording }
            });
            let call = FakeConversation::call(if evil { "../" } else { "" }, &start, named.collect());
            FakeConversation {
                refused,
                metadata,
                media: vec![media],
                batch_error: error.then(|| "no".to_owned()),
                readability: if half { Readability::OnlyId } else { Readability::Whole },
                ..call
            }
        },
    )
}

fn org() -> impl Strategy<Value = FakeOrg> {
    let completion = prop::sample::select(vec![Completion::Status, Completion::EqualTooEarly, Completion::NoStatus]);
    (prop::collection::vec(conversation(), 0..6), completion, 0_u64..3, 1_usize..9).prop_map(
        |(mut conversations, completion, forgotten_jobs, chunk)| {
            for (n, conversation) in conversations.iter_mut().enumerate() {
                // One id begins like another.
                conversation.id = format!("{}c{}", conversation.id, ["", "-1", "0", "00", "-", "-z"][n]);
            }
            FakeOrg { completion, forgotten_jobs, chunk, ..FakeOrg::of(conversations) }
        },
    )
}

/// Calls of the stages, by how they may fail without counting as the row's own trouble.
const CALLS: [&str; 20] = [
    "ledger.plan_day",
    "ledger.known",
    "ledger.add_conversations",
    "ledger.claim",
    "ledger.renew",
    "ledger.settle",
    "ledger.submitted",
    "ledger.deliver",
    "ledger.conversation",
    "ledger.counts",
    "ledger.outstanding",
    "ledger.list",
    "archive.put_new",
    "archive.put_document",
    "archive.head",
    "archive.delete",
    "source.page",
    "source.submit",
    "source.poll",
    "source.body",
];

fn faults() -> impl Strategy<Value = Vec<Fault>> {
    let fault = (
        prop::sample::select(&CALLS[..]),
        1_u64..40,
        prop::sample::select(vec![When::Before, When::After]),
        prop::sample::select(vec![How::Error, How::Outage, How::Kill]),
    );
    prop::collection::vec(fault.prop_map(|(call, number, when, how)| Fault { call, number, when, how }), 0..8)
}

/// P1 and P2: what has become of everything the org has.
async fn judge(world: &World, org: &FakeOrg) -> Result<(), TestCaseError> {
    let objects = world.archive.objects();
    let mut expected = BTreeSet::new();
    let mut parked = [false; 2];
    for conversation in &org.conversations {
        let n = usize::from(conversation.start >= super::world::at("2026-01-20T00:00:00Z"));
        let rows = world.rows(DAYS[n]).await;
        let id = conversation.id.parse().unwrap_or_else(|_| ConversationId::standing_in_for(&conversation.id));
        let family: Vec<_> = rows.iter().filter(|row| row.key.conversation() == Some(&id)).collect();
        prop_assert!(!family.is_empty(), "P1: {} is nowhere", id);
        prop_assert!(family.iter().all(|row| row.is_terminal()), "P1: {} is not done", id);
        parked[n] |= family.iter().any(|row| row.state_word() == "parked");
        let in_batches = !id.is_stand_in() && !conversation.refused;
        for recording in conversation.recordings.iter().filter(|_| in_batches) {
            let text = recording.id.clone().unwrap();
            let name = text.parse().unwrap_or_else(|_| RecordingId::standing_in_for(&text));
            let key = format!("conversation/{id}/{name}");
            let row = family.iter().find(|row| row.key.to_string() == key);
            let ready = matches!(recording.state(world.clock.now()), FileState::Available | FileState::Restored);
            let given = if ready { &recording.batch } else { &recording.otherwise };
            let has_urls = *given == Batch::Urls && conversation.batch_error.is_none();
            if has_urls && !name.is_stand_in() {
                prop_assert_eq!(row.map(|row| row.state_word()), Some("stored"), "P1: {}", key);
                let contents: BTreeSet<_> = recording.files.iter().map(|file| prove(&file.bytes).sha256).collect();
                expected.extend(contents.into_iter().map(|sha256| (id.clone(), name.clone(), sha256)));
            } else if recording.listed && conversation.metadata == MetadataAnswer::List {
                prop_assert_eq!(row.map(|row| row.state_word()), Some("parked"), "P1: {}", key);
            } else if matches!(given, Batch::Error(_)) && conversation.batch_error.is_none() {
                prop_assert_eq!(row.map(|row| row.state_word()), Some("parked"), "P1: {}", key);
            }
        }
    }
    let mut stored = BTreeSet::new();
    for (key, bytes) in objects.iter().filter(|(key, _)| is_recording(key)) {
        let (id, rest) = key.file_name().split_once('_').unwrap();
        let name = rest.split(['_', '.']).next().unwrap();
        let one = (id.parse().unwrap(), name.parse().unwrap(), prove(bytes).sha256);
        prop_assert!(stored.insert(one), "P2: {} is there twice", key);
    }
    prop_assert_eq!(stored, expected, "P1, P2: the objects");
    for (n, text) in DAYS.iter().enumerate() {
        let marker = if parked[n] { Marker::Failure } else { Marker::Success };
        prop_assert_eq!(world.closed(text).await.2, Some(marker), "P4: {}", text);
    }
    Ok(())
}

/// Two processes at once, taking turns at every call as the numbers say; the second one stands still at one of its
/// calls until the first has done all there is to do, and longer than any lease.
async fn two_at_once(world: &World, paces: [Vec<u8>; 2], freeze: Option<Fault>) {
    let [one, two] = paces;
    let (one, two) = (Script::quiet().pace(one), Script::of(freeze).pace(two));
    let days = DAYS.map(day);
    for day in days {
        world.ledger.plan_day(day, world.clock.now()).await.unwrap();
    }
    let (first, second) = (world.process(&one), world.process(&two));
    let mut ahead = Box::pin(first.work(world, &days));
    let mut behind = Box::pin(second.work(world, &days));
    let both = futures_util::future::join(one.run(ahead.as_mut()), two.run(behind.as_mut()));
    let (first_ended, second_ended) = both.await;
    assert!(matches!(first_ended, Stopped::Done(Ok(()))), "the first is undisturbed");
    if matches!(second_ended, Stopped::Frozen) {
        world.clock.until(world.clock.now() + LEASE * 2).await;
        two.thaw();
        let ended = two.run(behind.as_mut()).await;
        assert!(matches!(ended, Stopped::Done(Ok(()))), "the thawed one ends");
    }
}

proptest! {
    #![proptest_config(random(200))]

    #[test]
    fn nothing_is_lost_and_nothing_doubled_whatever_fails(org in org(), faults in faults()) {
        let expected = TestClock::run(async {
            let world = World::new(org.clone(), Settings::default());
            world.export(&DAYS).await;
            judge(&world, &org).await?;
            Ok::<_, TestCaseError>(world.picture())
        })?;
        TestClock::run(async {
            let world = World::new(org.clone(), Settings::default());
            world.export_through(&DAYS, &Script::of(faults.clone())).await;
            judge(&world, &org).await?;
            prop_assert_eq!(differences(&world.picture(), &expected), [""; 0]);
            // And once more, from the end: nothing that is there changes.
            let before = world.recordings();
            world.export(&DAYS).await;
            prop_assert_eq!(world.recordings(), before);
            prop_assert_eq!(differences(&world.picture(), &expected), [""; 0]);
            Ok(())
        })?;
    }

    #[test]
    fn two_processes_at_once_do_what_one_does(
        org in org(),
        one in prop::collection::vec(0_u8..4, 1..20),
        two in prop::collection::vec(0_u8..4, 1..20),
        frozen in prop::option::weighted(0.8, (prop::sample::select(&CALLS[3..]), 1_u64..12, any::<bool>())),
    ) {
        let expected = TestClock::run(async {
            let world = World::new(org.clone(), Settings::default());
            world.export(&DAYS).await;
            world.picture()
        });
        TestClock::run(async {
            let world = World::new(org.clone(), Settings::default());
            let freeze = frozen.map(|(call, number, before)| {
                let when = if before { When::Before } else { When::After };
                Fault { call, number, when, how: How::Freeze }
            });
            two_at_once(&world, [one.clone(), two.clone()], freeze).await;
            judge(&world, &org).await?;
            prop_assert_eq!(differences(&world.picture(), &expected), [""; 0]);
            Ok(())
        })?;
    }
}
