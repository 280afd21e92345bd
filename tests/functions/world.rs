//! An instance of each function over one ledger, one archive and one source in memory.

use std::sync::Arc;
use std::time::Duration;

use callvault_bootstrap::lambda::parts::Parts;
use callvault_bootstrap::lambda::refusal::Refusal;
use callvault_bootstrap::lambda::source::Source;
use callvault_bootstrap::lambda::user::User;
use callvault_bootstrap::lambda::work::Work;
use callvault_bootstrap::settings::{Need, Settings};
use callvault_pipeline::archive::memory::MemoryArchive;
use callvault_pipeline::clock::Clock;
use callvault_pipeline::ledger::Ledger;
use callvault_pipeline::ledger::memory::MemoryLedger;
use callvault_pipeline::notification::Announcer;
use callvault_pipeline::stages::{House, Report, Shift};
use callvault_tests::fakes::{FakeConversation, FakeMailboxes, FakeOrg, FakeRecording, FakeSource, TestClock};
use jiff::Timestamp;
use serde_json::Value;

/// The functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Query,
    Submit,
    Poll,
    Upload,
    Close,
    Voicemail,
}

impl Name {
    pub(crate) const ALL: [Self; 6] =
        [Self::Query, Self::Submit, Self::Poll, Self::Upload, Self::Close, Self::Voicemail];
}

pub(crate) struct World {
    pub(crate) ledger: Arc<MemoryLedger>,
    pub(crate) archive: MemoryArchive,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) source: FakeSource,
    pub(crate) mailboxes: FakeMailboxes,
    parts: Parts,
}

/// What an invocation answered, and what it did.
pub(crate) struct Answer {
    pub(crate) answer: Result<Value, Refusal>,
    pub(crate) report: Report,
    /// What it put up with.
    pub(crate) fault: Option<&'static str>,
}

impl World {
    /// The morning of 21 January 2026, in UTC: nothing is done yet.
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(settings: &[(&str, &str)]) -> Self {
        let clock = Arc::new(TestClock::at("2026-01-21T06:00:00Z".parse::<Timestamp>().unwrap()));
        let conversations = (18..=20).flat_map(|day| {
            (0..3).map(move |n| {
                let recordings = vec![FakeRecording::audio("r", b"some bytes")];
                FakeConversation::call(&format!("c{day}-{n}"), &format!("2026-01-{day}T1{n}:00:00Z"), recordings)
            })
        });
        let source = FakeSource::new(FakeOrg::of(conversations.collect()), Arc::clone(&clock) as Arc<dyn Clock>);
        let (ledger, archive) = (Arc::new(MemoryLedger::new()), MemoryArchive::new());
        let lookup = |name: &str| settings.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned());
        let settings = Settings::read(Need::Nothing, lookup).unwrap();
        let house = House {
            ledger: Arc::clone(&ledger) as Arc<dyn Ledger>,
            archive: Arc::new(archive.clone()),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            layout: Arc::new(settings.layout.clone()),
            calendar: settings.calendar.clone(),
            chance: Arc::new(|| 0.5),
            shift: None,
        };
        let genesys = Source::new(Arc::new(source.clone()), Arc::new(source.clone()));
        let mailboxes = FakeMailboxes::new(Vec::new(), Arc::clone(&clock) as Arc<dyn Clock>);
        let user = User::new(Arc::new(mailboxes.clone()));
        let parts = Parts::new(settings, house, Some(genesys)).with_user(user);
        Self { ledger, archive, clock, source, mailboxes, parts }
    }

    /// What an instance keeps.
    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Works with somebody to tell.
    pub(crate) fn tells(&mut self, announcers: Vec<Arc<dyn Announcer>>) {
        self.parts.announcers = announcers;
    }

    /// Works with another ledger and clock.
    pub(crate) fn replace_ledger(&mut self, ledger: Arc<dyn Ledger>, clock: Arc<TestClock>) {
        (self.parts.house.ledger, self.parts.house.clock) = (ledger, Arc::clone(&clock) as Arc<dyn Clock>);
        self.clock = clock;
    }

    /// Invokes a function that has a minute.
    pub(crate) async fn invoke(&self, name: Name, event: &Value) -> Answer {
        self.invoke_for(name, event, Duration::from_secs(54)).await
    }

    /// Invokes a function that has so long for working.
    pub(crate) async fn invoke_for(&self, name: Name, event: &Value, shift: Duration) -> Answer {
        let begins = self.clock.now();
        let ends = begins + shift;
        let mut work = Work::new(&self.parts, Shift { begins, ends }, ends);
        let answer = match name {
            Name::Query => query_conversations::handle(event, &mut work).await,
            Name::Submit => submit_batches::handle(event, &mut work).await,
            Name::Poll => poll_batches::handle(event, &mut work).await,
            Name::Upload => upload_recordings::handle(event, &mut work).await,
            Name::Close => close_days::handle(event, &mut work).await,
            Name::Voicemail => move_voicemail::handle(event, &mut work).await,
        };
        Answer { answer, report: work.report, fault: work.fault }
    }
}
