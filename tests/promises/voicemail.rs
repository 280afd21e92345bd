//! Voicemail: moved once, whatever comes twice, late or not at all; and never deleted at the source unless its copy
//! proves, whichever call of whichever port fails.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use callvault_pipeline::api::Mailbox;
use callvault_pipeline::archive::memory::MemoryArchive;
use callvault_pipeline::archive::{Archive, ArchiveError, Listed, Offer, Put, PutError, prove};
use callvault_pipeline::clock::Clock;
use callvault_pipeline::day::Calendar;
use callvault_pipeline::layout::{Key, Layout, Template};
use callvault_pipeline::ledger::memory::MemoryLedger;
use callvault_pipeline::ledger::voicemail::{Leg, Notice, Order};
use callvault_pipeline::ledger::{Ledger, Stage};
use callvault_pipeline::stages::{Fault as StageFault, House, LEASE, Voicemail, VoicemailOptions};
use callvault_tests::fakes::{FakeMailboxes, FakeVoicemail, TestClock};
use callvault_tests::faulty::{Fault, FaultyArchive, FaultyLedger, FaultySource, How, Script, Stopped, When};
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::world::at;

const ALL: [Order; 3] = Order::ALL;

/// A ledger, an archive, a clock and mailboxes.
struct World {
    ledger: MemoryLedger,
    objects: MemoryArchive,
    archive: Arc<dyn Archive>,
    clock: Arc<TestClock>,
    source: FakeMailboxes,
    orders: Vec<Order>,
    page_size: u32,
    notices: Vec<Notice>,
    sweeps: bool,
}

impl World {
    fn new(messages: Vec<FakeVoicemail>) -> Self {
        let clock = Arc::new(TestClock::at(at("2026-01-21T06:00:00Z")));
        let objects = MemoryArchive::new();
        let notices = messages.iter().map(notice).collect();
        Self {
            ledger: MemoryLedger::new(),
            archive: Arc::new(objects.clone()),
            objects,
            source: FakeMailboxes::new(messages, Arc::clone(&clock) as Arc<dyn Clock>),
            clock,
            orders: Vec::new(),
            page_size: 100,
            notices,
            sweeps: false,
        }
    }

    /// With all orders, and a look at every deletion: the copy must be in the archive and in the ledger.
    fn that_deletes(messages: Vec<FakeVoicemail>) -> Self {
        let mut world = Self::new(messages);
        world.orders = ALL.to_vec();
        let (objects, ledger) = (world.objects.clone(), world.ledger.clone());
        world.source = world.source.guarded(move |message| {
            let key = key(message, "webm");
            let copy = objects.objects().get(&key).cloned().unwrap_or_else(|| panic!("{key} is deleted and not there"));
            assert_eq!(copy, message.bytes, "{key} is deleted and not whole");
            let rows = ledger.voicemails(&message.conversation.parse().unwrap()).now_or_never().unwrap().unwrap();
            assert!(rows.iter().any(|row| row.state_word() == "stored"), "{key} is deleted and not in the ledger");
        });
        world
    }

    fn stage(&self, script: &Script) -> Voicemail {
        let calendar = Calendar::new(TimeZone::UTC);
        let house = House {
            ledger: Arc::new(FaultyLedger::new(Arc::new(self.ledger.clone()), script.clone())),
            archive: Arc::new(FaultyArchive::new(Arc::clone(&self.archive), script.clone())),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            layout: Arc::new(Layout::new(Template::default(), "test", calendar.clone())),
            calendar,
            chance: Arc::new(|| 0.5),
            shift: None,
        };
        let options = VoicemailOptions {
            format: Default::default(),
            page_size: self.page_size,
            orders: self.orders.iter().copied().collect(),
            queues: vec!["queue".parse().unwrap()],
            groups: Vec::new(),
            concurrency: 2,
        };
        let source = FaultySource::new(Arc::new(self.source.clone()), script.clone());
        Voicemail { house, source: Arc::new(source), options }
    }

    /// Notes what there is, sweeps if told to, and works until nothing is due any more. `sent` keeps what was noted.
    async fn work(&self, script: &Script, sent: &mut usize) -> Result<(), StageFault> {
        let stage = self.stage(script);
        while let Some(notice) = self.notices.get(*sent) {
            // Until it is written down, its sender sends it again.
            stage.house.ledger.note_voicemail(notice, self.clock.now()).await?;
            *sent += 1;
        }
        if self.sweeps {
            // As the next sweep does.
            while stage.sweep().await?.failed > 0 {}
        }
        for _ in 0..2_000 {
            if stage.run().await?.did_something() {
                continue;
            }
            let Some(due) = self.ledger.next_due(Stage::Voicemail).await? else { return Ok(()) };
            self.clock.sleep(Duration::from_millis(1)).await;
            self.clock.until(due).await;
        }
        panic!("it never ends");
    }

    /// The same through the faults of a script, process after process.
    async fn work_through(&self, script: &Script) {
        let mut sent = 0;
        for _ in 0..50 {
            let mut work = std::pin::pin!(self.work(script, &mut sent));
            match script.run(work.as_mut()).await {
                Stopped::Done(Ok(())) => return,
                Stopped::Done(Err(_)) | Stopped::Killed => {}
                Stopped::Frozen => panic!("nobody thaws here"),
            }
            script.revive();
            self.clock.sleep(LEASE + Duration::from_secs(1)).await;
        }
        panic!("a process died 50 times");
    }

    async fn done(&self) {
        self.work_through(&Script::quiet()).await;
    }

    /// Objects, by their names in the day's folder.
    fn files(&self) -> BTreeMap<String, Bytes> {
        let name = |key: Key| key.as_str().trim_start_matches("test/").to_owned();
        self.objects.objects().into_iter().map(|(key, bytes)| (name(key), bytes)).collect()
    }

    /// The states and reasons of a conversation's rows.
    async fn states(&self, conversation: &str) -> Vec<String> {
        let rows = self.ledger.voicemails(&conversation.parse().unwrap()).await.unwrap();
        let word = |word: &str, reason: Option<_>| reason.map_or(word.to_owned(), |reason| format!("{word} {reason}"));
        rows.iter().map(|row| word(row.state_word(), row.reason())).collect()
    }
}

fn notice(message: &FakeVoicemail) -> Notice {
    let queue = match &message.mailbox {
        Mailbox::Queue(id) => Some(id.clone()),
        Mailbox::Group(_) => None,
    };
    let leg = Leg { id: format!("leg-{}", message.id), queue, group: None, user: None, at: message.created };
    let calendar = Calendar::new(TimeZone::UTC);
    Notice { conversation: message.conversation.parse().unwrap(), day: calendar.day_of(message.created), leg }
}

fn key(message: &FakeVoicemail, ext: &str) -> Key {
    let day = Calendar::new(TimeZone::UTC).day_of(message.created);
    format!("test/{day}/voicemail/{}_{}.{ext}", message.conversation, message.id).parse().unwrap()
}

/// A bit of everything that passes: late, not ready, cut, refused once, protected.
fn messages() -> Vec<FakeVoicemail> {
    let one = |id: &str| FakeVoicemail::new(id, "2026-01-21T05:59:00Z");
    vec![
        one("plain"),
        FakeVoicemail { not_ready: 2, ..one("slow") },
        FakeVoicemail { cut: 1, ..one("cut") },
        FakeVoicemail { refused: 1, ..one("refused") },
        FakeVoicemail { listable: at("2026-01-21T06:07:00Z"), ..one("late") },
        FakeVoicemail { protected: true, ..one("protected") },
    ]
}

/// Calls of each method that are made to fail: all, or this many from the first to the last.
const MOST_CALLS: u64 = 40;

fn every_call(calls: &BTreeMap<&'static str, u64>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (&call, &count) in calls {
        let drawn = count.min(MOST_CALLS);
        for number in (0..drawn).map(|n| if drawn < 2 { 1 } else { 1 + n * (count - 1) / (drawn - 1) }) {
            for how in [How::Error, How::Outage, How::Kill] {
                for when in [When::Before, When::After] {
                    faults.push(Fault { call, number, when, how });
                }
            }
        }
    }
    faults
}

async fn everything_is_moved(world: &World, why: &str) {
    let messages = world.source.messages();
    for message in &messages {
        let key = key(message, "webm");
        assert_eq!(world.objects.objects().get(&key), Some(&message.bytes), "{why}: {}", message.id);
        assert_eq!(message.deleted, !message.protected, "{why}: {}", message.id);
        assert_eq!(message.read, !message.protected, "{why}: {}", message.id);
        assert!(message.disconnected, "{why}: {}", message.id);
        let states = world.states(&message.conversation).await;
        assert_eq!(states.last().map(String::as_str), Some("stored"), "{why}: {}", message.id);
    }
    assert_eq!(world.files().len(), 2 * messages.len(), "{why}: one object and one document each");
    assert_eq!(world.ledger.voicemail_counts().await.unwrap().orders_due, 0, "{why}");
}

#[test]
fn whichever_call_fails_each_is_moved_once_and_none_is_deleted_unproved() {
    for sweeps in [false, true] {
        let world = || {
            let mut world = World::that_deletes(messages());
            world.sweeps = sweeps;
            if sweeps {
                // Those that a sweep cannot see yet are told of.
                world.notices.retain(|notice| notice.conversation.as_str() == "c-late");
            }
            world
        };
        let calls = TestClock::run(async {
            let (world, script) = (world(), Script::quiet());
            world.work_through(&script).await;
            everything_is_moved(&world, "undisturbed").await;
            script.calls()
        });
        for call in ["source.list", "source.media", "source.body", "source.delete", "archive.read", "ledger.settle"] {
            assert!(calls[call] > 0, "{call} is not called: {calls:?}");
        }
        for fault in every_call(&calls) {
            TestClock::run(async {
                let (world, script) = (world(), Script::of([fault]));
                world.work_through(&script).await;
                assert_eq!(script.hit(), 1, "{fault:?} did not happen");
                everything_is_moved(&world, &format!("{fault:?}")).await;
            });
        }
    }
}

/// An archive that keeps half of what it is given and says all is well.
struct Forgetful(MemoryArchive);

#[async_trait]
impl Archive for Forgetful {
    async fn put_new(&self, offer: Offer<'_>) -> Result<Put, PutError> {
        let mut all = Vec::new();
        let Offer { key, content_type, mut body, .. } = offer;
        while let Some(bytes) = body.next().await {
            all.extend_from_slice(&bytes.map_err(PutError::Body)?);
        }
        let half = Bytes::copy_from_slice(&all[..all.len() / 2]);
        let body = futures_util::stream::iter([Ok(half)]).boxed();
        self.0.put_new(Offer { key, content_type, length: None, body }).await?;
        Ok(Put::Stored(prove(&all)))
    }

    async fn put_document(&self, key: &Key, content_type: &str, content: Bytes) -> Result<(), ArchiveError> {
        self.0.put_document(key, content_type, content).await
    }

    async fn head(&self, key: &Key) -> Result<Option<u64>, ArchiveError> {
        self.0.head(key).await
    }

    async fn read(&self, key: &Key) -> Result<Option<BoxStream<'static, Result<Bytes, ArchiveError>>>, ArchiveError> {
        self.0.read(key).await
    }

    async fn delete(&self, key: &Key) -> Result<(), ArchiveError> {
        self.0.delete(key).await
    }

    async fn list(&self, folder: &str) -> BoxStream<'static, Result<Listed, ArchiveError>> {
        self.0.list(folder).await
    }

    fn url(&self, key: &Key) -> String {
        self.0.url(key)
    }
}

#[test]
fn what_does_not_read_back_is_not_deleted_and_is_parked() {
    TestClock::run(async {
        let mut world = World::that_deletes(vec![FakeVoicemail::new("m", "2026-01-21T05:00:00Z")]);
        world.archive = Arc::new(Forgetful(world.objects.clone()));
        world.done().await;
        let message = world.source.messages().remove(0);
        assert!(!message.deleted && !message.read && !message.disconnected);
        assert_eq!(world.states("c-m").await, ["found", "parked archive-failed"]);
    });
}

/// The source answers with 503 to everything that changes something, for an hour after the copy; or the archive cannot
/// be read for as long, or for two days.
#[test]
fn trouble_after_the_copy_leaves_no_order_undone() {
    for (calls, hours) in [("source.", 1), ("archive.read", 1), ("archive.read", 48)] {
        TestClock::run(async {
            let mut world = World::that_deletes(vec![FakeVoicemail::new("m", "2026-01-21T05:00:00Z")]);
            let ends = world.clock.now() + Duration::from_secs(hours * 3600);
            let names = ["source.disconnect_callback", "source.mark_read", "source.delete", "archive.read"];
            let failing: Vec<&'static str> = names.into_iter().filter(|name| name.starts_with(calls)).collect();
            let script = Script::quiet().out_of_order(&failing, ends, Arc::clone(&world.clock) as Arc<dyn Clock>);
            world.orders = ALL.to_vec();
            world.work_through(&script).await;
            everything_is_moved(&world, &format!("{calls} for {hours} h")).await;
            let tries: u64 = failing.iter().map(|call| script.count(call)).sum();
            assert!((8..100).contains(&tries), "{calls} for {hours} h: {tries} tries");
        });
    }
}

#[test]
fn an_order_that_never_works_is_given_up_after_a_day_and_the_next_is_given() {
    TestClock::run(async {
        let mut world = World::that_deletes(vec![FakeVoicemail::new("m", "2026-01-21T05:00:00Z")]);
        world.orders = ALL.to_vec();
        let (begun, clock) = (world.clock.now(), Arc::clone(&world.clock) as Arc<dyn Clock>);
        let script = Script::quiet().out_of_order(&["source.disconnect_callback"], Timestamp::MAX, clock);
        world.work_through(&script).await;
        let message = world.source.messages().remove(0);
        assert_eq!((message.disconnected, message.read, message.deleted), (false, true, true));
        let counts = world.ledger.voicemail_counts().await.unwrap();
        assert_eq!(counts.orders_refused, [("disconnect".to_owned(), 1)].into());
        let took = world.clock.now().duration_since(begun).as_hours();
        assert!((24..=26).contains(&took), "{took} h");
    });
}

/// Somebody removes or replaces the copy between its being recorded and the deletion at the source.
#[test]
fn a_copy_that_is_gone_or_changed_before_the_deletion_is_made_again_first() {
    for changed in [false, true] {
        TestClock::run(async {
            let mut world = World::new(vec![FakeVoicemail::new("m", "2026-01-21T05:00:00Z")]);
            world.orders = ALL.to_vec();
            let objects = world.objects.clone();
            world.source = world.source.guarded(move |message| {
                let is_kept = objects.objects().values().any(|copy| *copy == message.bytes);
                assert!(is_kept, "deleted without a copy ({changed})");
            });
            let (objects, key) = (world.objects.clone(), key(&world.source.messages()[0], "webm"));
            let once = std::sync::atomic::AtomicBool::new(true);
            let script = Script::quiet().observe(move |call| {
                if call == "source.mark_read" && once.swap(false, std::sync::atomic::Ordering::Relaxed) {
                    objects.delete(&key).now_or_never().unwrap().unwrap();
                    let other = Bytes::from_static(b"somebody else's");
                    if changed {
                        objects.put_document(&key, "audio/webm", other).now_or_never().unwrap().unwrap();
                    }
                }
            });
            world.work_through(&script).await;
            let message = world.source.messages().remove(0);
            assert!(message.read && message.deleted);
            assert_eq!(script.count("source.disconnect_callback"), 1, "what was done stays done");
            assert_eq!(script.count("source.download"), if changed { 3 } else { 2 }, "copied again ({changed})");
            assert_eq!(world.files().into_values().filter(|copy| *copy == message.bytes).count(), 1);
        });
    }
}

#[test]
fn what_nobody_says_the_end_of_is_kept_and_not_deleted() {
    TestClock::run(async {
        let mut world =
            World::new(vec![FakeVoicemail { endless: true, ..FakeVoicemail::new("m", "2026-01-21T05:00:00Z") }]);
        world.orders = ALL.to_vec();
        world.done().await;
        let message = world.source.messages().remove(0);
        assert_eq!((message.disconnected, message.read, message.deleted), (true, true, false));
        assert_eq!(world.states("c-m").await, ["found", "stored"]);
        let copy = world.objects.objects().remove(&key(&message, "webm")).unwrap();
        assert!(copy.len() < message.bytes.len() && message.bytes.starts_with(&copy));
        assert_eq!(world.ledger.voicemail_counts().await.unwrap().orders_refused, [("delete".to_owned(), 1)].into());
    });
}

#[test]
fn what_stands_in_its_place_stays_and_the_message_gets_a_key_of_its_own() {
    TestClock::run(async {
        let mut world = World::new(vec![FakeVoicemail::new("m", "2026-01-21T05:00:00Z")]);
        world.orders = ALL.to_vec();
        let key = key(&world.source.messages()[0], "webm");
        let body = futures_util::stream::iter([Ok(Bytes::from_static(b"somebody else's"))]).boxed();
        world.objects.put_new(Offer { key: &key, content_type: None, length: None, body }).await.unwrap();
        world.done().await;
        let message = world.source.messages().remove(0);
        let own: Vec<Bytes> = world.files().into_values().filter(|bytes| *bytes == message.bytes).collect();
        assert_eq!((own.len(), message.deleted), (1, true));
        assert_eq!(world.objects.objects()[&key], "somebody else's");
    });
}

#[test]
fn one_event_fifty_times_at_once_moves_it_once() {
    TestClock::run(async {
        let world = World::that_deletes(vec![FakeVoicemail::new("m", "2026-01-21T05:00:00Z")]);
        let one = async || {
            let stage = world.stage(&Script::quiet().pace(vec![1, 0, 3, 2]));
            stage.house.ledger.note_voicemail(&world.notices[0], world.clock.now()).await.unwrap();
            while stage.run().await.unwrap().did_something() {}
        };
        futures_util::future::join_all((0..50).map(|_| one())).await;
        world.done().await;
        everything_is_moved(&world, "fifty times").await;
    });
}

#[test]
fn what_is_never_listed_is_parked_after_a_day_and_asked_for_less_and_less() {
    TestClock::run(async {
        let never = FakeVoicemail { deleted: true, ..FakeVoicemail::new("m", "2026-01-21T05:59:00Z") };
        let world = World::new(vec![never]);
        let script = Script::quiet();
        let begun = world.clock.now();
        world.work_through(&script).await;
        assert_eq!(world.states("c-m").await, ["parked voicemail-not-listed"]);
        let took = world.clock.now().duration_since(begun).as_hours();
        assert!((24..=25).contains(&took), "{took} h");
        assert!((20..80).contains(&script.count("source.list")), "{} pages", script.count("source.list"));
    });
}

/// Nothing ran for a day, or nobody was signed in: the first look is no reason to give up.
#[test]
fn what_lay_untouched_for_a_day_is_looked_for_and_copied_all_the_same() {
    TestClock::run(async {
        let later = at("2026-01-22T07:10:00Z");
        let one = |id: &str| FakeVoicemail::new(id, "2026-01-21T05:59:00Z");
        let slow = FakeVoicemail { not_ready: 3, ..one("slow") };
        let broken = FakeVoicemail { cut: 7, ..one("broken") };
        let world = World::new(vec![slow, broken, FakeVoicemail { listable: later, ..one("late") }]);
        let stage = world.stage(&Script::quiet());
        for notice in &world.notices {
            stage.house.ledger.note_voicemail(notice, world.clock.now()).await.unwrap();
        }
        // One look finds two of the messages. Their media is asked for only much later.
        stage.run().await.unwrap();
        assert_eq!(
            (world.states("c-slow").await, world.states("c-late").await),
            (vec!["found".to_owned(), "waiting".to_owned()], vec!["waiting".to_owned()])
        );
        world.clock.sleep(Duration::from_secs(25 * 3600)).await;
        stage.run().await.unwrap();
        world.clock.until(later).await;
        world.done().await;
        for conversation in ["c-slow", "c-broken", "c-late"] {
            assert_eq!(world.states(conversation).await, ["found", "stored"], "{conversation}");
        }
    });
}

#[test]
fn gone_direct_and_grouped_ones_end_where_they_belong() {
    TestClock::run(async {
        let one = |id: &str| FakeVoicemail::new(id, "2026-01-21T05:59:00Z");
        let grouped = FakeVoicemail { mailbox: Mailbox::Group("group".parse().unwrap()), ..one("grouped") };
        let marked = FakeVoicemail { marked_deleted: true, ..one("marked") };
        let mut world = World::new(vec![grouped, marked]);
        world.source = world.source.in_groups(&["empty", "group"]);
        let mut direct = notice(&one("direct"));
        (direct.leg.queue, direct.leg.user) = (None, Some("user".parse().unwrap()));
        world.notices.push(direct);
        world.done().await;
        assert_eq!(world.states("c-grouped").await, ["found", "stored"]);
        assert_eq!(world.states("c-marked").await, ["parked deleted"]);
        assert_eq!(world.states("c-direct").await, ["left-out direct-voicemail"]);
    });
}

#[test]
fn a_message_that_vanishes_between_listing_and_copying_is_parked_as_deleted() {
    TestClock::run(async {
        let world = World::new(vec![FakeVoicemail { not_ready: 3, ..FakeVoicemail::new("m", "2026-01-21T05:59:00Z") }]);
        let stage = world.stage(&Script::quiet());
        world.ledger.note_voicemail(&world.notices[0], world.clock.now()).await.unwrap();
        stage.run().await.unwrap();
        stage.run().await.unwrap();
        assert_eq!(world.states("c-m").await, ["found", "waiting"], "202 is not nothing");
        callvault_pipeline::api::Voicemails::delete(&world.source, &"m".parse().unwrap()).await.unwrap();
        world.done().await;
        assert_eq!(world.states("c-m").await, ["found", "parked deleted"]);
    });
}

/// A thousand older ones, then those that are looked for.
fn full_mailbox() -> Vec<FakeVoicemail> {
    let old = (0..1_000).map(|n| {
        let created = at("2026-01-10T00:00:00Z") + Duration::from_secs(60 * n);
        FakeVoicemail { created, listable: created, ..FakeVoicemail::new(&format!("old-{n}"), "2026-01-10T00:00:00Z") }
    });
    let new = (0..9).map(|n| FakeVoicemail::new(&format!("new-{n}"), &format!("2026-01-21T05:5{n}:00Z")));
    old.chain(new).collect()
}

#[test]
fn one_pass_serves_all_notices_and_ends_at_the_match_in_either_order() {
    for oldest_first in [false, true] {
        TestClock::run(async {
            let mut world = World::new(full_mailbox());
            world.page_size = 25;
            world.notices.drain(..1_000);
            if oldest_first {
                world.source = world.source.clone().oldest_first();
            }
            let script = Script::quiet();
            world.work_through(&script).await;
            assert_eq!(
                world.ledger.voicemail_counts().await.unwrap().messages,
                9,
                "and nothing that was not asked for"
            );
            // The first page of all, and one from the other end.
            assert_eq!(script.count("source.list"), if oldest_first { 2 } else { 1 });
        });
    }
}

#[test]
fn one_on_page_forty_is_found_and_what_is_not_there_ends_the_pass_early() {
    TestClock::run(async {
        let mut world = World::new(full_mailbox());
        world.page_size = 25;
        let far = world.notices[10].clone();
        let missing = notice(&FakeVoicemail::new("missing", "2026-01-21T05:58:00Z"));
        world.notices = vec![far];
        let script = Script::quiet();
        world.work_through(&script).await;
        assert_eq!(script.count("source.list"), 40);
        assert_eq!(world.states("c-old-10").await, ["found", "stored"]);
        world.notices = vec![missing];
        let (stage, script) = (world.stage(&script), script.clone());
        stage.house.ledger.note_voicemail(&world.notices[0], world.clock.now()).await.unwrap();
        let before = script.count("source.list");
        stage.run().await.unwrap();
        assert!(script.count("source.list") - before <= 2, "what is an hour older than its event is not it");
    });
}

#[test]
fn a_sweep_finds_a_thousand_and_the_next_finds_nothing_new() {
    TestClock::run(async {
        let mut world = World::that_deletes(full_mailbox());
        world.orders.clear();
        world.sweeps = true;
        world.notices.clear();
        world.done().await;
        assert_eq!(world.files().len(), 2 * 1_009);
        let script = Script::quiet();
        world.work_through(&script).await;
        assert_eq!((script.count("source.media"), script.count("archive.put_new")), (0, 0));
    });
}
