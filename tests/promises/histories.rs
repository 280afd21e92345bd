//! Random histories of commands, on the ledger in memory and the one in a file side by side: the same answers, and
//! the invariants of the state machine after every command.

use std::collections::BTreeMap;
use std::time::Duration;

use callvault_local::sqlite::SqliteLedger;
use callvault_pipeline::facts::{Facts, Intake, NewConversation};
use callvault_pipeline::ids::{BatchJobId, ConversationId};
use callvault_pipeline::kind::Kind;
use callvault_pipeline::ledger::machine::{
    Closing, Delivered, Delivery, Look, Next, ParkedRecording, Resubmission, Settlement,
};
use callvault_pipeline::ledger::memory::MemoryLedger;
use callvault_pipeline::ledger::{
    ConversationState, Counts, Fact, HolderId, Ledger, Listing, Marker, Outcome, RecordingState, Row, RowKey, Stage,
    StoredObject,
};
use callvault_pipeline::reason::Reason;
use callvault_tests::fakes::TestClock;
use callvault_tests::faulty::PromptLedger;
use jiff::Timestamp;
use proptest::prelude::*;
use rusqlite::Connection;

use super::world::{at, day, in_memory, random};

/// What a worker does with something it holds: which of the answers is chosen by the number.
#[derive(Debug, Clone)]
enum Command {
    Plan(usize),
    Add(usize, Vec<(usize, u8)>),
    Claim(Stage),
    Wait(u64),
    /// The n-th claim ever made: held still, or lost since.
    Settle(usize, u8, Vec<(usize, u32)>),
    Renew(usize),
    /// The n-th and following claims of conversations go into a new job.
    Submit(usize, usize),
}

const DAYS: [&str; 2] = ["2026-01-19", "2026-01-20"];

fn commands() -> impl Strategy<Value = Vec<Command>> {
    let results = || prop::collection::vec((0_usize..3, 0_u32..3), 0..3);
    let command = prop_oneof![
        1 => (0_usize..2).prop_map(Command::Plan),
        3 => (0_usize..2, prop::collection::vec((0_usize..5, 0_u8..8), 1..4)).prop_map(|(d, c)| Command::Add(d, c)),
        8 => prop::sample::select(&Stage::ALL[..]).prop_map(Command::Claim),
        2 => prop_oneof![1_u64..30, 250_u64..700].prop_map(Command::Wait),
        9 => (0_usize..4, any::<u8>(), results()).prop_map(|(n, how, given)| Command::Settle(n, how, given)),
        1 => (0_usize..4).prop_map(Command::Renew),
        5 => (0_usize..3, 1_usize..4).prop_map(|(n, k)| Command::Submit(n, k)),
    ];
    prop::collection::vec(command, 1..60)
}

/// One history, on one ledger.
struct History<'a> {
    ledger: &'a dyn Ledger,
    now: Timestamp,
    claims: Vec<Row>,
    jobs: u32,
}

impl History<'_> {
    /// Does a command and answers what there is to compare.
    async fn step(&mut self, command: &Command) -> String {
        match command {
            Command::Plan(n) => {
                let row = self.ledger.plan_day(day(DAYS[*n]), self.now).await.unwrap();
                format!("{:?}", bare(vec![row]))
            }
            Command::Add(n, conversations) => {
                let found: Vec<_> = conversations.iter().map(|(id, how)| new(*id, *how)).collect();
                format!("{:?}", self.ledger.add_conversations(day(DAYS[*n]), &found, self.now).await)
            }
            Command::Claim(stage) => {
                let lease = Duration::from_secs(300);
                let rows = bare(self.ledger.claim(*stage, 1000, lease, self.now).await.unwrap());
                self.claims.splice(0..0, rows.iter().cloned());
                format!("{rows:?}")
            }
            Command::Wait(seconds) => {
                self.now += Duration::from_secs(*seconds);
                String::new()
            }
            Command::Settle(n, how, given) => match self.claims.get(*n).cloned() {
                Some(row) => self.settle(&row, *how, given).await,
                None => String::new(),
            },
            Command::Renew(n) => match self.claims.get(*n) {
                Some(row) => {
                    let until = self.now + Duration::from_secs(300);
                    format!("{:?}", self.ledger.renew(&row.key, row.attempt, until).await)
                }
                None => String::new(),
            },
            Command::Submit(from, count) => {
                let claims = self.claims.iter().skip(*from).take(*count);
                let claims: Vec<_> = claims
                    .filter_map(|row| match &row.key {
                        RowKey::Conversation(id) => Some((id.clone(), row.attempt)),
                        _ => None,
                    })
                    .collect();
                self.jobs += 1;
                let job: BatchJobId = format!("job-{}", self.jobs).parse().unwrap();
                let first = self.now + Duration::from_secs(2);
                format!("{:?}", self.ledger.submitted(&job, &claims, first, self.now).await)
            }
        }
    }

    /// What the stages would do with the row that was claimed: they know it as it was then.
    async fn settle(&mut self, row: &Row, how: u8, given: &[(usize, u32)]) -> String {
        let due = self.now + Duration::from_secs(u64::from(how) % 60);
        let settlement = match (&row.fact, how % 8) {
            (_, 0) if how >= 192 => Settlement::SourceAway { due },
            (_, 0) => Settlement::Later { due, failed: how >= 128 },
            (Fact::Day(_), _) if row.work.as_ref().is_some_and(|work| work.stage == Stage::Query) => {
                Settlement::Queried
            }
            (Fact::Day(_), _) => {
                let manifest = object("manifest", self.now);
                Settlement::Closed(Box::new(Closing::alone(row.day, 1, Marker::Failure, manifest)))
            }
            (Fact::Batch(_), 1) => Settlement::Running { due, steady: None },
            (Fact::Batch(_), 2) => Settlement::Lost,
            (Fact::Batch(batch), _) => {
                let RowKey::Batch(job) = &row.key else { unreachable!() };
                let deliveries: Vec<_> = batch.conversations.iter().map(|id| delivery(id, how, given)).collect();
                return format!("{:?}", self.ledger.deliver(job, row.attempt, &deliveries, self.now).await);
            }
            (Fact::Conversation(_), 1) if row.work.as_ref().is_some_and(|w| w.stage == Stage::Submit) => {
                Settlement::GivenUp(Reason::SubmitRefused)
            }
            (Fact::Conversation(fact), _) if fact.state == ConversationState::Delivered => {
                Settlement::Looked(Box::new(self.look(row, how, due, given).await))
            }
            (Fact::Conversation(_), _) => Settlement::Later { due, failed: true },
            (Fact::Recording(_), 1) => {
                Settlement::Parked { reason: Reason::DownloadFailed, detail: "x".to_owned(), objects: Vec::new() }
            }
            (Fact::Recording(_), 2 | 3) => Settlement::Refused { detail: "x".to_owned(), objects: Vec::new() },
            (Fact::Notice(_) | Fact::Voicemail(_) | Fact::Notification(_), _) => {
                unreachable!("nobody leaves voicemail here, and nobody is told")
            }
            (Fact::Recording(_), _) => Settlement::Stored(vec![object(&row.key.to_string(), self.now)]),
        };
        format!("{:?}", self.ledger.settle(&row.key, row.attempt, settlement, self.now).await)
    }

    /// A look as the describe stage makes it: it waits for uploads where there are some, and settles otherwise, with
    /// what waits parked.
    async fn look(&self, row: &Row, how: u8, due: Timestamp, given: &[(usize, u32)]) -> Look {
        let family = self.ledger.conversation(row.key.conversation().unwrap()).await.unwrap();
        let uploading = family.iter().any(|row| row.state_word() == "pending");
        let waiting = family.iter().filter_map(|row| match (&row.key, row.state_word()) {
            (RowKey::Recording(_, id), "waiting") => Some(id.clone()),
            _ => None,
        });
        let reason = Reason::SensitiveExcluded;
        let mut park: Vec<_> = waiting
            .map(|recording| ParkedRecording {
                recording,
                kind: Kind::Call,
                state: callvault_pipeline::ledger::RecordingState::Parked(reason),
            })
            .collect();
        let next = match how % 8 {
            1 if !uploading => Next::Resubmit { due, because: Resubmission::Lost },
            2 if !uploading => Next::Resubmit { due, because: Resubmission::Missing },
            3 if !uploading => Next::LookAgain { due },
            _ if uploading => Next::AwaitUploads,
            _ => Next::Settle { outcome: Outcome::Parked(reason), object: None },
        };
        if !matches!(next, Next::Settle { .. }) {
            park.clear();
        } else if let Some((n, _)) = given.first() {
            let recording = format!("hidden{n}").parse().unwrap();
            park.push(ParkedRecording {
                recording,
                kind: Kind::Screen,
                state: callvault_pipeline::ledger::RecordingState::Parked(reason),
            });
        }
        Look { metadata: None, park, next }
    }

    /// All there is to see.
    async fn picture(&self) -> (Vec<Row>, Vec<Counts>, Vec<bool>, Vec<Option<Timestamp>>) {
        let mut rows = self.ledger.days().await.unwrap();
        let (mut counts, mut outstanding, mut due) = (Vec::new(), Vec::new(), Vec::new());
        for text in DAYS {
            rows.extend(self.ledger.list(day(text), Listing::All, None, 1000).await.unwrap());
            let parked = self.ledger.list(day(text), Listing::Parked, None, 1000).await.unwrap();
            assert!(parked.iter().all(|row| row.state_word() == "parked"));
            counts.push(self.ledger.counts(day(text)).await.unwrap());
            outstanding.push(self.ledger.outstanding(day(text)).await.unwrap());
        }
        for stage in Stage::ALL {
            due.push(self.ledger.next_due(stage).await.unwrap());
        }
        (bare(rows), counts, outstanding, due)
    }
}

/// Rows without the holder's name, which differs.
fn bare(mut rows: Vec<Row>) -> Vec<Row> {
    for holder in rows.iter_mut().filter_map(|row| row.work.as_mut()?.holder.as_mut()) {
        *holder = HolderId("somebody".to_owned());
    }
    // Among rows due at the same time any order will do for a claim, so all that is due is claimed.
    rows.sort_by(|a, b| a.key.cmp(&b.key));
    rows
}

fn new(id: usize, how: u8) -> NewConversation {
    let intake = match how {
        0 => Intake::LeftOut(Reason::NoAgent),
        1 => Intake::Parked(Reason::UnreadableId),
        _ => Intake::Export,
    };
    let id = ["a", "a-b", "a0", "b", "c"][id].parse().unwrap();
    NewConversation { id, facts: Facts::default(), intake }
}

fn delivery(id: &ConversationId, how: u8, given: &[(usize, u32)]) -> Delivery {
    let per_recording: BTreeMap<usize, u32> = given.iter().copied().collect();
    let recordings = per_recording.iter().map(|(n, results)| Delivered {
        recording: format!("r{n}").parse().unwrap(),
        kind: Kind::Call,
        results: *results,
        error: None,
        verdict: (how == 77).then_some(RecordingState::LeftOut(Reason::OtherKind)),
    });
    Delivery { conversation: id.clone(), error: None, recordings: recordings.collect() }
}

fn object(key: &str, now: Timestamp) -> StoredObject {
    let key = format!("test/{}", key.trim_end_matches('/')).parse().unwrap();
    StoredObject { key, bytes: 3, sha256: "0".repeat(64), content_type: None, job: None, stored_at: now }
}

/// The invariants at the top of the state machine.
fn invariants(rows: &[Row], running: &[(BatchJobId, Vec<ConversationId>)]) -> Result<(), TestCaseError> {
    for row in rows {
        let Fact::Conversation(fact) = &row.fact else { continue };
        let id = row.key.conversation().unwrap();
        let recordings = || {
            rows.iter().filter_map(move |row| match (&row.key, &row.fact) {
                (RowKey::Recording(of, _), Fact::Recording(fact)) if of == id => Some((row, fact)),
                _ => None,
            })
        };
        match &fact.state {
            ConversationState::Settled(outcome) => {
                let given_up = *outcome == Outcome::Parked(Reason::SubmitRefused);
                for (row, fact) in recordings() {
                    let copied = given_up && fact.state == RecordingState::Pending && row.work.is_some();
                    prop_assert!(
                        fact.state.is_terminal() || copied,
                        "{id} is settled, {} is {:?}",
                        row.key,
                        fact.state
                    );
                }
            }
            ConversationState::Submitted(job) => {
                let listed = running.iter().any(|(running, ids)| running == job && ids.contains(id));
                prop_assert!(listed, "{id} is in {job}, which is over or does not list it");
            }
            ConversationState::Found | ConversationState::Delivered => {
                prop_assert!(row.work.is_some(), "{id} has nothing to do: {row:?}");
            }
        }
        for (row, fact) in recordings() {
            prop_assert_eq!(fact.state == RecordingState::Pending, row.work.is_some(), "{}", row.key);
        }
    }
    Ok(())
}

/// The batches that are running. The port does not list them; the file does.
fn running(file: &Connection) -> Vec<(BatchJobId, Vec<ConversationId>)> {
    let mut statement = file.prepare_cached("SELECT key, fact FROM facts WHERE kind = 'batch'").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap();
    let batches = rows.map(Result::unwrap).filter_map(|(key, fact)| {
        let job = key.trim_start_matches("batch/").parse().unwrap();
        match serde_json::from_str(&fact).unwrap() {
            Fact::Batch(batch) if !batch.done => Some((job, batch.conversations)),
            _ => None,
        }
    });
    batches.collect()
}

proptest! {
    #![proptest_config(random(150))]

    #[test]
    fn memory_and_sqlite_give_the_same_answers_and_keep_the_invariants(commands in commands()) {
        let folder = in_memory();
        let path = folder.path().join("l");
        let now = at("2026-01-21T06:00:00Z");
        let kept = PromptLedger(SqliteLedger::open(&path, HolderId("one".to_owned()), now).unwrap());
        let remembered = MemoryLedger::new();
        let file = Connection::open(&path).unwrap();
        TestClock::run(async {
            let history = |ledger| History { ledger, now, claims: Vec::new(), jobs: 0 };
            let (mut one, mut two) = (history(&remembered), history(&kept));
            for command in &commands {
                prop_assert_eq!(one.step(command).await, two.step(command).await, "{:?}", command);
                let (seen, other) = (one.picture().await, two.picture().await);
                prop_assert_eq!(&seen, &other, "after {:?}", command);
                invariants(&seen.0, &running(&file))?;
            }
            Ok(())
        })?;
    }
}
