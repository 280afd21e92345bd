//! Poll: reads batch jobs until they are complete, and records what they delivered.
//!
//! Must never take a job for complete because its counts are equal while it says otherwise, never drop a result that
//! carries only an error, and never write a URL down.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use jiff::SignedDuration;

use super::shift::Worked;
use super::{Blame, Fault, House, Report, concerns_everything};
use crate::api::{ApiError, NextStep};
use crate::ids::{BatchJobId, ConversationId, RecordingId};
use crate::jobs::{JobReader, LEAST_GAP, named, recording_id};
use crate::kind::Kind;
use crate::ledger::machine::{Delivered, Delivery, Settlement};
use crate::ledger::{BatchFact, Fact, RecordingState, Row, RowKey, Stage, Steady};
use crate::models::{BatchJob, BatchResult, JobStatus, MediaType};
use crate::reason::Reason;
use crate::redact::redact;

/// Jobs read at the same time. The limiter spaces the requests; this only keeps a slow answer from blocking others.
const AT_ONCE: usize = 4;

/// The pause between two reads of one job grows up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A job that is not complete after this is given up and its conversations submitted again. Jobs take minutes.
const LONGEST_JOB: SignedDuration = SignedDuration::from_hours(4);

/// Without a status: this many equal, non-zero counts in a row mean complete.
const EQUAL_POLLS: u32 = 3;

/// Without a status: zero counts mean complete only after this.
const ZERO_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// The poll stage.
pub struct Poll {
    /// Ports.
    pub house: House,
    /// Reads jobs and keeps their URLs.
    pub reader: Arc<JobReader>,
    /// Kinds that are exported; empty for all.
    pub kinds: Vec<Kind>,
    /// Where the copies are made.
    pub uploads: Uploads,
}

/// Where the upload stage runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uploads {
    /// In this process, with the same reader: the URLs are kept for it, and no more than it needs.
    Here,
    /// In another one, which reads the job again for its URLs: not before that may be done.
    Elsewhere,
}

impl Poll {
    /// Reads the jobs that are due.
    ///
    /// # Errors
    /// [`Fault`] when no job can be read: the sign-in is refused, or the ledger fails.
    pub async fn run(&self) -> Result<Report, Fault> {
        let now = self.house.now();
        if self.reader.has_enough() && self.house.ledger.next_due(Stage::Upload).await?.is_some_and(|due| due <= now) {
            return Ok(Report::default());
        }
        let claimed = self.house.claim(Stage::Poll, AT_ONCE).await?;
        let mut report = Report { claimed: claimed.len() as u64, ..Report::default() };
        let mut polls = futures_util::stream::iter(claimed.iter().map(|row| self.one(row))).buffer_unordered(AT_ONCE);
        let mut fault = None;
        while let Some(polled) = polls.next().await {
            match polled {
                Ok(one) => report += one,
                Err(one) => fault = Some(one),
            }
        }
        fault.map_or(Ok(report), Err)
    }

    async fn one(&self, row: &Row) -> Result<Report, Fault> {
        let (RowKey::Batch(job), Fact::Batch(batch)) = (&row.key, &row.fact) else { return Ok(Report::default()) };
        match self.house.work_on(row, self.poll(row, job, batch)).await? {
            Worked::Done(report) => Ok(report),
            Worked::Lost => Ok(Report::default()),
            Worked::GivenBack => Ok(Report { given_back: 1, ..Report::default() }),
            Worked::TooLong => {
                let detail = "it was not read within the time of one run".to_owned();
                let error = ApiError::Unavailable { operation: "read a batch job", detail };
                self.unread(row, job, Blame::Row, error).await
            }
        }
    }

    async fn poll(&self, row: &Row, job: &BatchJobId, batch: &BatchFact) -> Result<Report, Fault> {
        let wait = if batch.polls == 0 && row.tries == 0 {
            self.reader.not_before(job, batch.submitted_at, self.house.now())
        } else {
            None
        };
        if let Some(due) = wait {
            self.house.settle(row, Settlement::Later { due, failed: false }).await?;
            return Ok(Report::default());
        }
        match self.reader.read(job).await {
            Ok(answer) => self.judge(row, job, batch, &answer).await,
            Err(Fault::Source(error)) if !matches!(error, ApiError::OutOfTime { .. }) => {
                self.unread(row, job, Blame::of(&error), error).await
            }
            Err(fault) => Err(fault),
        }
    }

    async fn judge(&self, row: &Row, job: &BatchJobId, batch: &BatchFact, answer: &BatchJob) -> Result<Report, Fault> {
        let now = self.house.now();
        let steady = steady(batch.steady, answer, now);
        let complete = match &answer.status {
            Some(JobStatus::Completed) => true,
            Some(JobStatus::InProgress) => false,
            Some(JobStatus::Unknown(word)) if word.eq_ignore_ascii_case("completed") => true,
            // A word that says nothing to us: the counts have to.
            Some(JobStatus::Unknown(_)) | None => is_steady(steady, now),
        };
        if complete {
            self.reader.over(job, Some(now.duration_since(batch.submitted_at)));
            let due = match self.uploads {
                Uploads::Here => {
                    self.reader.keep(job, &answer.results).await;
                    now
                }
                Uploads::Elsewhere => now + LEAST_GAP,
            };
            let deliveries = self.deliveries(batch, &answer.results).await?;
            self.house.ledger.deliver(job, row.attempt, &deliveries, due).await?;
            let results = answer.results.len();
            tracing::info!(job = %job, results, polls = batch.polls + 1, "job {job} is complete: {results} results");
            return Ok(Report { settled: 1, ..Report::default() });
        }
        if now.duration_since(batch.submitted_at) > LONGEST_JOB {
            self.reader.over(job, None);
            tracing::warn!(job = %job, "job {job} is not complete after hours: its conversations are submitted again");
            self.house.settle(row, Settlement::Lost).await?;
            return Ok(Report { settled: 1, ..Report::default() });
        }
        let due = now + pause(batch.polls);
        let steady = (answer.status != Some(JobStatus::InProgress)).then_some(steady);
        self.house.settle(row, Settlement::Running { due, steady }).await?;
        Ok(Report::default())
    }

    async fn unread(&self, row: &Row, job: &BatchJobId, blame: Blame, error: ApiError) -> Result<Report, Fault> {
        let code = error.code();
        if concerns_everything(&error) {
            self.house.give_back(row).await?;
            return Err(Fault::Source(error));
        }
        // Forgotten, or another client's: nobody will ever read it. The same when it stays unreadable.
        let lost = error.next_step() == NextStep::GiveUp || self.house.gives_up(row, blame);
        if lost {
            self.reader.over(job, None);
            tracing::warn!(job = %job, code, "job {job} is lost ({error}): its conversations are submitted again");
            self.house.settle(row, Settlement::Lost).await?;
            Ok(Report { settled: 1, ..Report::default() })
        } else {
            tracing::warn!(job = %job, code, "job {job} could not be read: {error}");
            self.house.put_off(row, blame).await?;
            Ok(Report { failed: 1, ..Report::default() })
        }
    }

    /// What the job gave, for every conversation that was asked for: also for those it says nothing about.
    async fn deliveries(&self, batch: &BatchFact, results: &[BatchResult]) -> Result<Vec<Delivery>, Fault> {
        let mut given = Given::read(results);
        let mut deliveries: Vec<Delivery> = Vec::with_capacity(batch.conversations.len());
        for id in &batch.conversations {
            let media = self.media(id).await?;
            let (recordings, error) = given.take(id);
            deliveries.push(Delivery {
                conversation: id.clone(),
                error,
                recordings: recordings.into_iter().map(|(id, one)| self.delivered(id, one, &media)).collect(),
            });
        }
        let strays = given.strays();
        if strays > 0 {
            tracing::warn!(strays, "{strays} results belong to no conversation that was asked for");
            // They were meant for some of these, nobody knows which: the metadata of each says what it should have.
            let detail = "the job has results that name no conversation it was asked for";
            for delivery in &mut deliveries {
                delivery.error.get_or_insert_with(|| detail.to_owned());
            }
        }
        Ok(deliveries)
    }

    fn delivered(&self, recording: RecordingId, given: GivenRecording, media: &[MediaType]) -> Delivered {
        let kind = Kind::of(given.content_type.as_deref(), media);
        let unwanted = !self.kinds.is_empty() && !self.kinds.contains(&kind);
        let verdict = match (recording.is_stand_in(), unwanted) {
            (true, _) => Some(RecordingState::Parked(Reason::UnreadableId)),
            // Without a URL its kind is a guess: the metadata decides first.
            (false, true) if given.urls > 0 => Some(RecordingState::LeftOut(Reason::OtherKind)),
            (false, _) => None,
        };
        Delivered { recording, kind, results: given.urls, error: given.error, verdict }
    }

    async fn media(&self, id: &ConversationId) -> Result<Vec<MediaType>, Fault> {
        let family = self.house.ledger.conversation(id).await?;
        let fact = crate::ledger::machine::conversation_of(&family).map(|(_, fact)| fact.facts.media.clone());
        Ok(fact.unwrap_or_default())
    }
}

#[derive(Default)]
struct GivenRecording {
    urls: u32,
    content_type: Option<String>,
    error: Option<String>,
}

type PerRecording = Vec<(RecordingId, GivenRecording)>;

/// A job's results, by conversation.
#[derive(Default)]
struct Given {
    recordings: HashMap<ConversationId, PerRecording>,
    errors: HashMap<ConversationId, String>,
    nowhere: usize,
}

impl Given {
    fn read(results: &[BatchResult]) -> Self {
        let mut given = Self::default();
        let mut seen = HashSet::new();
        for (conversation, recording, link) in named(results) {
            let known = !seen.insert((conversation.clone(), recording.clone(), link.url.expose().to_owned()));
            let one = given.recording(conversation, recording);
            one.content_type = one.content_type.take().or(link.content_type);
            one.urls += u32::from(!known);
        }
        for result in results.iter().filter(|result| result.result_url.is_none()) {
            given.error(result);
        }
        let unnamed = |result: &&BatchResult| result.result_url.is_some() && conversation_id(result).is_none();
        given.nowhere += results.iter().filter(unnamed).count();
        given
    }

    fn error(&mut self, result: &BatchResult) {
        let text = redact(result.error_msg.as_deref().unwrap_or("the source gave neither a URL nor a reason"));
        match (conversation_id(result), result.recording_id.as_deref()) {
            (Some(conversation), Some(id)) => {
                self.recording(conversation, recording_id(id)).error.get_or_insert(text);
            }
            (Some(conversation), None) => {
                self.errors.entry(conversation).or_insert(text);
            }
            (None, _) => self.nowhere += 1,
        }
    }

    fn recording(&mut self, conversation: ConversationId, id: RecordingId) -> &mut GivenRecording {
        let recordings = self.recordings.entry(conversation).or_default();
        let place = recordings.iter().position(|(known, _)| *known == id).unwrap_or_else(|| {
            recordings.push((id, GivenRecording::default()));
            recordings.len() - 1
        });
        &mut recordings[place].1
    }

    fn take(&mut self, id: &ConversationId) -> (PerRecording, Option<String>) {
        (self.recordings.remove(id).unwrap_or_default(), self.errors.remove(id))
    }

    /// What is left: results nobody asked for.
    fn strays(&self) -> usize {
        self.nowhere + self.recordings.len() + self.errors.len()
    }
}

fn conversation_id(result: &BatchResult) -> Option<ConversationId> {
    result.conversation_id.as_deref().and_then(|id| id.parse().ok())
}

fn steady(before: Option<Steady>, answer: &BatchJob, now: jiff::Timestamp) -> Steady {
    let counts = (answer.expected_result_count, answer.result_count);
    match before {
        Some(before) if before.counts == counts => Steady { polls: before.polls + 1, ..before },
        _ => Steady { counts, polls: 1, since: now },
    }
}

fn is_steady(steady: Steady, now: jiff::Timestamp) -> bool {
    let (expected, there) = steady.counts;
    let long_enough = expected > 0 || now.duration_since(steady.since) >= ZERO_AFTER;
    expected == there && steady.polls >= EQUAL_POLLS && long_enough
}

/// 2, 4, 8, 16, then 30 seconds.
fn pause(polls: u32) -> Duration {
    Duration::from_secs(2 << polls.min(8)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_between_two_reads_doubles_up_to_half_a_minute() {
        let pauses: Vec<u64> = (0..6).chain([1_000, u32::MAX]).map(|polls| pause(polls).as_secs()).collect();
        assert_eq!(pauses, [2, 4, 8, 16, 30, 30, 30, 30]);
    }
}
