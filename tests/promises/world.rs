//! A house with its source, the loop that works in it, and what is in its archive in the end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use callvault_pipeline::archive::memory::MemoryArchive;
use callvault_pipeline::archive::prove;
use callvault_pipeline::chat::BodyTypes;
use callvault_pipeline::clock::Clock;
use callvault_pipeline::day::{Calendar, Day};
use callvault_pipeline::facts::Wanted;
use callvault_pipeline::jobs::JobReader;
use callvault_pipeline::kind::Kind;
use callvault_pipeline::layout::{Key, Layout, Template};
use callvault_pipeline::ledger::memory::MemoryLedger;
use callvault_pipeline::ledger::{DayState, Fact, Ledger, Listing, Marker, Row, Stage};
use callvault_pipeline::notification::{Announcer, Wording};
use callvault_pipeline::reconcile::MetadataMode;
use callvault_pipeline::stages::{
    Close, Describe, Fault as StageFault, House, LEASE, Late, Notify, Poll, Query, Report, Shift, Submit, Upload,
    UploadOptions, Uploads,
};
use callvault_pipeline::verify::{Source, Verify};
use callvault_tests::fakes::{FakeOrg, FakeSource, TestClock};
use callvault_tests::faulty::{FaultyAnnouncer, FaultyArchive, FaultyLedger, FaultySource, Script, Stopped};
use futures_util::FutureExt;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

/// Rounds after which a loop that has not closed its days never will.
const MOST_ROUNDS: usize = 3_000;

/// What the settings say.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) mode: MetadataMode,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) wanted: Wanted,
    pub(crate) batch_size: usize,
    pub(crate) page_size: u32,
    pub(crate) concurrency: usize,
    pub(crate) chat: BodyTypes,
    pub(crate) zone: &'static str,
    pub(crate) most_restores: u32,
    /// How long until an unfinished day is looked at again.
    pub(crate) recheck: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: MetadataMode::Full,
            kinds: Vec::new(),
            wanted: Wanted::default(),
            batch_size: 3,
            page_size: 2,
            concurrency: 2,
            chat: BodyTypes::default(),
            zone: "UTC",
            most_restores: 0,
            recheck: Duration::from_secs(15),
        }
    }
}

/// A ledger, an archive, a clock and a source.
pub(crate) struct World {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) archive: MemoryArchive,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) source: FakeSource,
    pub(crate) settings: Settings,
    announcers: Vec<Arc<dyn Announcer>>,
    watch: Arc<Watch>,
}

/// The stages of one process.
pub(crate) struct Process {
    query: Query,
    submit: Submit,
    poll: Poll,
    describe: Describe,
    upload: Upload,
    close: Close,
    notify: Notify,
}

pub(crate) fn day(text: &str) -> Day {
    text.parse().unwrap()
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

impl World {
    /// A world with nothing done yet, on the morning of 21 January 2026.
    pub(crate) fn new(org: FakeOrg, settings: Settings) -> Self {
        Self::over(Arc::new(MemoryLedger::new()), org, settings)
    }

    pub(crate) fn over(ledger: Arc<dyn Ledger>, org: FakeOrg, settings: Settings) -> Self {
        let clock = Arc::new(TestClock::at(at("2026-01-21T06:00:00Z")));
        let archive = MemoryArchive::new();
        let source = FakeSource::new(org, Arc::clone(&clock) as Arc<dyn Clock>);
        let watch = Watch {
            ledger: Arc::clone(&ledger),
            archive: archive.clone(),
            layout: layout(settings.zone),
            seen: Mutex::default(),
        };
        Self { ledger, archive, clock, source, settings, announcers: Vec::new(), watch: Arc::new(watch) }
    }

    /// The same world, in which so many archived recordings of a day may be restored.
    pub(crate) fn with_most_restores(mut self, most_restores: u32) -> Self {
        self.settings.most_restores = most_restores;
        self
    }

    /// The same world, with somebody to tell.
    pub(crate) fn with_announcers(self, announcers: Vec<Arc<dyn Announcer>>) -> Self {
        Self { announcers, ..self }
    }

    /// A process that works here. Every one of its calls is followed by a look at what must always be true.
    pub(crate) fn process(&self, script: &Script) -> Process {
        self.process_in(None, script)
    }

    /// The same for a process that has only so much time.
    pub(crate) fn process_in(&self, shift: Option<Shift>, script: &Script) -> Process {
        let watch = Arc::clone(&self.watch);
        let script = script.clone().observe(move |call| watch.look(call));
        let source = Arc::new(FaultySource::new(Arc::new(self.source.clone()), script.clone()));
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let house = House {
            ledger: Arc::new(FaultyLedger::new(Arc::clone(&self.ledger), script.clone())),
            archive: Arc::new(FaultyArchive::new(Arc::new(self.archive.clone()), script.clone())),
            clock: Arc::clone(&clock),
            layout: Arc::new(layout(self.settings.zone)),
            calendar: calendar(self.settings.zone),
            chance: Arc::new(|| 0.5),
            shift,
        };
        let reader = Arc::new(JobReader::new(source.clone(), Arc::clone(&house.ledger), clock));
        let Settings { mode, kinds, wanted, batch_size, page_size, concurrency, chat, most_restores, .. } =
            self.settings.clone();
        Process {
            query: Query {
                house: house.clone(),
                source: source.clone(),
                wanted,
                page_size,
                late: Late { source: source.clone(), mode },
            },
            submit: Submit { house: house.clone(), source: source.clone(), batch_size },
            poll: Poll {
                house: house.clone(),
                reader: Arc::clone(&reader),
                kinds: kinds.clone(),
                uploads: Uploads::Here,
            },
            describe: Describe { house: house.clone(), source: source.clone(), mode, kinds, most_restores },
            upload: Upload {
                house: house.clone(),
                source,
                reader,
                options: UploadOptions { concurrency, chat, by_store: false },
            },
            close: Close {
                house: house.clone(),
                recheck: self.settings.recheck,
                announces: !self.announcers.is_empty(),
            },
            notify: Notify { house, wording: Arc::new(wording()), org: None, announcers: self.announcers(&script) },
        }
    }

    fn announcers(&self, script: &Script) -> Vec<Arc<dyn Announcer>> {
        let faulty = |one: &Arc<dyn Announcer>| Arc::new(FaultyAnnouncer::new(Arc::clone(one), script.clone())) as _;
        self.announcers.iter().map(faulty).collect()
    }

    /// The comparing of days, by a process whose calls fail by script. Nobody watches: here the archive is damaged.
    pub(crate) fn verify(&self, sample: Option<u64>, script: &Script) -> Verify {
        let source = Arc::new(FaultySource::new(Arc::new(self.source.clone()), script.clone()));
        let Settings { mode, wanted, page_size, zone, .. } = self.settings.clone();
        let house = House {
            ledger: Arc::new(FaultyLedger::new(Arc::clone(&self.ledger), script.clone())),
            archive: Arc::new(FaultyArchive::new(Arc::new(self.archive.clone()), script.clone())),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            layout: Arc::new(layout(zone)),
            calendar: calendar(zone),
            chance: Arc::new(|| 0.0),
            shift: None,
        };
        let source = Source { conversations: source.clone(), recordings: source, wanted, page_size, metadata: mode };
        Verify { house, source: Some(source), sample }
    }

    /// The same world, of which nobody has seen anything yet.
    pub(crate) fn unseen(&self) -> Self {
        let watch = Watch {
            ledger: Arc::clone(&self.ledger),
            archive: self.archive.clone(),
            layout: layout(self.settings.zone),
            seen: Mutex::default(),
        };
        Self {
            ledger: Arc::clone(&self.ledger),
            archive: self.archive.clone(),
            clock: Arc::clone(&self.clock),
            source: self.source.clone(),
            settings: self.settings.clone(),
            announcers: self.announcers.clone(),
            watch: Arc::new(watch),
        }
    }

    /// Plans the days and works until they are closed, undisturbed.
    pub(crate) async fn export(&self, days: &[&str]) -> Script {
        let script = Script::quiet();
        self.export_through(days, &script).await;
        script
    }

    /// The same through the faults of a script: whenever a process dies of one, the next goes on where it was.
    pub(crate) async fn export_through(&self, days: &[&str], script: &Script) {
        let days: Vec<Day> = days.iter().map(|text| day(text)).collect();
        let mut done = false;
        for _ in 0..200 {
            let process = self.process(script);
            let mut work = std::pin::pin!(process.plan_and_work(self, &days, &mut done));
            match script.run(work.as_mut()).await {
                Stopped::Done(Ok(())) => return,
                Stopped::Done(Err(_)) | Stopped::Killed => {}
                Stopped::Frozen => panic!("nobody thaws here"),
            }
            script.revive();
            // Whatever the dead one held is free again.
            self.clock.sleep(LEASE + Duration::from_secs(1)).await;
        }
        panic!("a process died 200 times");
    }

    pub(crate) async fn all_closed(&self, days: &[Day]) -> bool {
        for day in days {
            let row = self.ledger.day(*day).await.unwrap();
            if !row.is_some_and(|row| row.is_terminal()) {
                return false;
            }
        }
        true
    }

    /// Waits until something is due.
    pub(crate) async fn wait(&self) {
        let mut next = None;
        for stage in Stage::ALL {
            let due = self.ledger.next_due(stage).await.unwrap();
            next = [next, due].into_iter().flatten().min();
        }
        self.clock.sleep(Duration::from_millis(1)).await;
        self.clock.until(next.unwrap_or_else(|| panic!("nothing will ever be due"))).await;
    }

    /// All rows of a day.
    pub(crate) async fn rows(&self, text: &str) -> Vec<Row> {
        self.ledger.list(day(text), Listing::All, None, usize::MAX >> 1).await.unwrap()
    }

    /// The state of every conversation and recording of a day: `a: stored`, `a/r1: parked archived`.
    pub(crate) async fn states(&self, text: &str) -> Vec<String> {
        let name = |row: &Row| row.key.to_string().trim_start_matches("conversation/").trim_end_matches('/').to_owned();
        let state =
            |row: &Row| row.reason().map_or(row.state_word().to_owned(), |r| format!("{} {r}", row.state_word()));
        self.rows(text).await.iter().map(|row| format!("{}: {}", name(row), state(row))).collect()
    }

    /// A day's state, generation and marker as the ledger has them.
    pub(crate) async fn closed(&self, text: &str) -> (DayState, u32, Option<Marker>) {
        let row = self.ledger.day(day(text)).await.unwrap().unwrap();
        let Fact::Day(fact) = row.fact else { panic!("{} is no day", row.key) };
        (fact.state, fact.generation, fact.marker)
    }

    /// Keys of recordings in the archive.
    pub(crate) fn recordings(&self) -> Vec<String> {
        let keys = self.archive.objects().into_keys();
        keys.filter(is_recording).map(|key| key.to_string().trim_start_matches("test/").to_owned()).collect()
    }

    /// The bytes of one object.
    pub(crate) fn object(&self, key: &str) -> Option<Bytes> {
        self.archive.objects().get(&format!("test/{key}").parse::<Key>().unwrap()).cloned()
    }

    pub(crate) fn json(&self, key: &str) -> Value {
        serde_json::from_slice(&self.object(key).unwrap_or_else(|| panic!("there is no {key}"))).unwrap()
    }

    /// What the archive says, without what may differ between two runs that did the same: when, by which job, and in
    /// which generation.
    pub(crate) fn picture(&self) -> BTreeMap<String, String> {
        let objects = self.archive.objects();
        let mut picture = BTreeMap::new();
        for (key, bytes) in &objects {
            let name = key.file_name();
            if is_recording(key) {
                picture.insert(key.to_string(), prove(bytes).sha256);
            } else if name.starts_with('_') {
                let mut marker: Value = serde_json::from_slice(bytes).unwrap();
                let manifest = marker["manifest"].take();
                let text = objects.get(&manifest["key"].as_str().unwrap().parse().unwrap()).unwrap();
                assert_eq!(manifest["sha256"], prove(text).sha256, "{key}");
                (marker["generation"], marker["closedAt"], marker["chain"]) = (Value::Null, Value::Null, Value::Null);
                picture.insert(key.to_string(), marker.to_string());
                let folder = key.as_str().trim_end_matches(name);
                picture.insert(format!("{folder}manifest"), lines(text).join("\n"));
            } else if !name.starts_with("manifest-") {
                picture.insert(key.to_string(), String::from_utf8(bytes.to_vec()).unwrap());
            }
        }
        picture
    }
}

impl Process {
    /// `planned` is kept over the lives of processes: a day that is closed is not opened again by a restart.
    async fn plan_and_work(&self, world: &World, days: &[Day], planned: &mut bool) -> Result<(), StageFault> {
        if !(*planned && world.all_closed(days).await) {
            for day in days {
                self.close.house.ledger.plan_day(*day, world.clock.now()).await?;
            }
            *planned = true;
        }
        self.work(world, days).await
    }

    /// Works until the days are closed.
    pub(crate) async fn work(&self, world: &World, days: &[Day]) -> Result<(), StageFault> {
        for _ in 0..MOST_ROUNDS {
            if world.all_closed(days).await {
                return self.tell().await;
            }
            if !self.round().await?.did_something() && !world.all_closed(days).await {
                world.wait().await;
            }
        }
        let mut states = Vec::new();
        for day in days {
            states.extend(world.states(&day.to_string()).await);
        }
        panic!("not closed after {MOST_ROUNDS} rounds: {states:#?}");
    }

    /// Tells what is due, as far as anybody takes it.
    pub(crate) async fn tell(&self) -> Result<(), StageFault> {
        while self.notify.run().await?.told > 0 {}
        Ok(())
    }

    /// Tells some of what is due, as long as that is wanted.
    pub(crate) async fn tell_while(&self, is_wanted: impl Fn() -> bool) -> Result<Report, StageFault> {
        self.notify.run_while(is_wanted).await
    }

    /// One stage, once.
    pub(crate) async fn stage(&self, stage: Stage) -> Result<Report, StageFault> {
        match stage {
            Stage::Query => self.query.run().await,
            Stage::Submit => self.submit.run().await,
            Stage::Poll => self.poll.run().await,
            Stage::Describe => self.describe.run().await,
            Stage::Upload => self.upload.run().await,
            Stage::Close => self.close.run().await,
            Stage::Notify => self.notify.run().await,
            // Has a world of its own: see `voicemail`.
            Stage::Voicemail => Ok(Report::default()),
        }
    }

    /// Every stage once.
    pub(crate) async fn round(&self) -> Result<Report, StageFault> {
        let mut report = self.query.run().await?;
        report += self.submit.run().await?;
        report += self.poll.run().await?;
        report += self.describe.run().await?;
        report += self.upload.run().await?;
        report += self.close.run().await?;
        report += self.notify.run().await?;
        Ok(report)
    }
}

fn wording() -> Wording {
    let title = || "{environment} {day}".parse().unwrap();
    Wording { title: title(), subject: title(), priority: "p".to_owned(), message: None, to: Vec::new() }
}

/// Looks, after every call of every process, at what must be true at every moment.
struct Watch {
    ledger: Arc<dyn Ledger>,
    archive: MemoryArchive,
    layout: Layout,
    /// Recordings as they were seen first.
    seen: Mutex<BTreeMap<Key, Bytes>>,
}

impl Watch {
    fn look(&self, call: &str) {
        if !matches!(
            call,
            "archive.put_new"
                | "archive.put_document"
                | "archive.delete"
                | "ledger.add_conversations"
                | "ledger.settle"
                | "ledger.deliver"
                | "ledger.plan_day"
        ) {
            return;
        }
        let objects = self.archive.objects();
        let mut seen = self.seen.lock().unwrap();
        for (key, bytes) in &*seen {
            assert_eq!(objects.get(key), Some(bytes), "P2: after {call}, {key} is another or gone");
        }
        let new: Vec<_> = objects.iter().filter(|(key, _)| is_recording(key) && !seen.contains_key(*key)).collect();
        seen.extend(new.into_iter().map(|(key, bytes)| (key.clone(), bytes.clone())));
        for row in now(self.ledger.days()) {
            self.look_at_day(&row, &objects, call);
        }
    }

    fn look_at_day(&self, row: &Row, objects: &BTreeMap<Key, Bytes>, call: &str) {
        let day = row.day;
        let marker = |marker: Marker| objects.get(&self.layout.of_day(day, marker.file_name()).unwrap());
        let (success, failure) = (marker(Marker::Success), marker(Marker::Failure));
        assert!(success.is_none() || failure.is_none(), "P4: after {call}, {day} has both markers");
        let Some(success) = success else { return };
        assert!(!now(self.ledger.outstanding(day)), "P4: after {call}, {day} has _SUCCESS and something outstanding");
        let rows = now(self.ledger.list(day, Listing::All, None, usize::MAX >> 1));
        let marker: Value = serde_json::from_slice(success).unwrap();
        let manifest = &objects[&marker["manifest"]["key"].as_str().unwrap().parse::<Key>().unwrap()];
        let listed = String::from_utf8(manifest.to_vec()).unwrap();
        for row in &rows {
            assert_ne!(row.state_word(), "parked", "P4: after {call}, {day} has _SUCCESS and {} is parked", row.key);
            let Fact::Recording(recording) = &row.fact else { continue };
            assert!(recording.results as usize == 0 || !recording.objects.is_empty() || row.state_word() == "left-out");
            for object in &recording.objects {
                assert!(listed.contains(object.key.as_str()), "P4: {day}: the manifest does not list {}", object.key);
                assert_eq!(prove(&objects[&object.key]).sha256, object.sha256, "P3: {}", object.key);
            }
        }
    }
}

fn now<T, E: std::fmt::Debug>(work: impl Future<Output = Result<T, E>>) -> T {
    work.now_or_never().unwrap().unwrap()
}

pub(crate) fn is_recording(key: &Key) -> bool {
    let name = key.file_name();
    !name.starts_with('_') && !name.starts_with("manifest-") && !key.as_str().contains("/metadata/")
}

/// A manifest's lines, comparable.
fn lines(text: &Bytes) -> Vec<String> {
    let text = std::str::from_utf8(text).unwrap();
    text.lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            (line["storedAt"], line["sourceJob"]) = (Value::Null, Value::Null);
            line.to_string()
        })
        .collect()
}

fn calendar(zone: &str) -> Calendar {
    Calendar::new(TimeZone::get(zone).unwrap())
}

fn layout(zone: &str) -> Layout {
    Layout::new(Template::default(), "test", calendar(zone))
}

/// A folder that is not on a disk where there is such a place: what is synchronised ten thousand times is slow there.
pub(crate) fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Properties of so many cases. A failure shows its smallest input, found within seconds; no file remembers it.
pub(crate) fn random(cases: u32) -> proptest::test_runner::Config {
    proptest::test_runner::Config { cases, max_shrink_time: 15_000, failure_persistence: None, ..Default::default() }
}

/// Where two pictures differ, line by line: what one has and the other has not.
pub(crate) fn differences(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> Vec<String> {
    let lines = |picture: &BTreeMap<String, String>| -> Vec<String> {
        let lines = picture.iter().flat_map(|(key, text)| {
            std::iter::once(format!("{key} is there")).chain(text.lines().map(move |line| format!("{key}: {line}")))
        });
        lines.collect()
    };
    let (one, other) = (lines(one), lines(other));
    let more = one.iter().filter(|line| !other.contains(line)).map(|line| format!("+ {line}"));
    more.chain(other.iter().filter(|line| !one.contains(line)).map(|line| format!("- {line}"))).collect()
}
