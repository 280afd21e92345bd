//! Short words for what the cases do to a ledger.

use std::time::Duration;

use callvault_pipeline::day::Day;
use callvault_pipeline::facts::{Facts, Intake, NewConversation};
use callvault_pipeline::ids::{BatchJobId, ConversationId};
use callvault_pipeline::kind::Kind;
use callvault_pipeline::ledger::machine::{Delivered, Delivery, Look, Next, Settlement};
use callvault_pipeline::ledger::{
    ConversationFact, DayFact, Fact, Ledger, RecordingFact, Row, RowKey, Settled, Stage, StoredObject,
};
use callvault_pipeline::reason::Reason;
use jiff::Timestamp;

pub(super) const LEASE: Duration = Duration::from_secs(300);

/// The instant `second` seconds into the test.
pub fn t(second: i64) -> Timestamp {
    Timestamp::from_second(1_768_900_000 + second).unwrap()
}

pub(super) fn day() -> Day {
    "2026-01-20".parse().unwrap()
}

pub(super) fn id(text: &str) -> ConversationId {
    text.parse().unwrap()
}

pub(super) fn job(number: u32) -> BatchJobId {
    format!("job-{number}").parse().unwrap()
}

pub(super) fn conversation(text: &str) -> RowKey {
    RowKey::Conversation(id(text))
}

/// `a/r`
pub(super) fn recording(text: &str) -> RowKey {
    let (conversation, recording) = text.split_once('/').unwrap();
    RowKey::Recording(id(conversation), recording.parse().unwrap())
}

pub(super) fn new(text: &str, intake: Intake) -> NewConversation {
    NewConversation { id: id(text), facts: Facts { start: Some(t(-9000)), ..Facts::default() }, intake }
}

/// An object of the archive, as it is proved.
pub fn object(key: &str, bytes: u64) -> StoredObject {
    StoredObject {
        key: format!("test/2026-01-20/{key}").parse().unwrap(),
        bytes,
        sha256: format!("{bytes:064x}"),
        content_type: Some("audio/ogg".to_owned()),
        job: Some(job(1)),
        stored_at: t(50),
    }
}

pub(super) fn delivered(recording: &str, results: u32) -> Delivered {
    let error = (results == 0).then(|| "not there".to_owned());
    Delivered { recording: recording.parse().unwrap(), kind: Kind::Call, results, error, verdict: None }
}

pub(super) fn delivery(conversation: &str, recordings: Vec<Delivered>) -> Delivery {
    Delivery { conversation: id(conversation), error: None, recordings }
}

pub(super) fn look(next: Next) -> Settlement {
    Settlement::Looked(Box::new(Look { metadata: None, park: Vec::new(), next }))
}

pub(super) fn parked(reason: Reason) -> Settlement {
    Settlement::Parked { reason, detail: "because".to_owned(), objects: Vec::new() }
}

pub(super) fn refused() -> Settlement {
    Settlement::Refused { detail: "refused".to_owned(), objects: Vec::new() }
}

pub(super) fn day_fact(row: &Row) -> &DayFact {
    let Fact::Day(fact) = &row.fact else { panic!("{} is no day", row.key) };
    fact
}

pub(super) fn conversation_fact(row: &Row) -> &ConversationFact {
    let Fact::Conversation(fact) = &row.fact else { panic!("{} is no conversation", row.key) };
    fact
}

pub(super) fn recording_fact(row: &Row) -> &RecordingFact {
    let Fact::Recording(fact) = &row.fact else { panic!("{} is no recording", row.key) };
    fact
}

/// When a row is due, and for what; `None` when there is nothing to do.
pub(super) fn due(row: &Row) -> Option<(Stage, Timestamp)> {
    row.work.as_ref().map(|work| (work.stage, work.due))
}

/// What a test does with a ledger, step by step.
#[expect(async_fn_in_trait, reason = "for tests on one thread")]
pub trait Steps: Ledger {
    /// Adds conversations to export.
    async fn found(&self, ids: &[&str], now: i64) -> u64 {
        let new: Vec<_> = ids.iter().map(|id| new(id, Intake::Export)).collect();
        self.add_conversations(day(), &new, t(now)).await.unwrap()
    }

    /// Claims all that is due.
    async fn claimed(&self, stage: Stage, now: i64) -> Vec<Row> {
        self.claim(stage, 100, LEASE, t(now)).await.unwrap()
    }

    /// Claims the one row that is due.
    async fn claimed_one(&self, stage: Stage, now: i64) -> Row {
        let rows = self.claimed(stage, now).await;
        let [row] = &rows[..] else { panic!("{} rows are due for {stage:?}: {rows:?}", rows.len()) };
        row.clone()
    }

    /// Settles a claim.
    async fn settled(&self, row: &Row, settlement: Settlement, now: i64) -> Settled {
        self.settle(&row.key, row.attempt, settlement, t(now)).await.unwrap()
    }

    /// Claims what is due for submit and puts all of it into a job.
    async fn submitted_as(&self, number: u32, now: i64) {
        let rows = self.claimed(Stage::Submit, now).await;
        let claims: Vec<_> = rows.iter().map(|row| (row.key.conversation().unwrap().clone(), row.attempt)).collect();
        self.submitted(&job(number), &claims, t(now + 2), t(now)).await.unwrap();
    }

    /// Claims a job and delivers.
    async fn delivers(&self, number: u32, deliveries: &[Delivery], now: i64) {
        let rows = self.claimed(Stage::Poll, now).await;
        let row = rows.iter().find(|row| row.key == RowKey::Batch(job(number))).unwrap();
        let answer = self.deliver(&job(number), row.attempt, deliveries, t(now)).await.unwrap();
        assert_eq!(answer, Settled::Done);
    }

    /// From nothing to one conversation with recordings due for upload, delivered by job 1 at 10.
    async fn delivered_one(&self, conversation: &str, recordings: Vec<Delivered>) {
        self.found(&[conversation], 0).await;
        self.submitted_as(1, 1).await;
        self.delivers(1, &[delivery(conversation, recordings)], 10).await;
    }

    /// A row of a conversation.
    async fn row(&self, key: &RowKey) -> Row {
        let family = self.conversation(key.conversation().unwrap()).await.unwrap();
        family.into_iter().find(|row| row.key == *key).unwrap_or_else(|| panic!("there is no {key}"))
    }

    /// The word for the state of a row.
    async fn state(&self, key: &RowKey) -> &'static str {
        self.row(key).await.state_word()
    }
}

impl<L: Ledger + ?Sized> Steps for L {}
