//! Reading batch jobs politely, and keeping the URLs they give while they are needed.
//!
//! URLs are secrets with a short life: they are kept in memory only, never in the ledger. Who needs one that is not
//! here reads the job again. One job is never read twice within a second, by whatever stage of whatever process over
//! the same ledger: each read takes a turn there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::api::{Recordings, SignedUrl};
use crate::clock::Clock;
use crate::ids::{BatchJobId, ConversationId, RecordingId};
use crate::ledger::Ledger;
use crate::ledger::turn::{Turn, TurnId};
use crate::models::{BatchJob, BatchResult};
use crate::stages::Fault;

/// Least time between two reads of one job (genesys/api.md: polls at least a second apart), and a little for the way.
pub const LEAST_GAP: Duration = Duration::from_millis(1_100);

/// Shortest wait for somebody else's turn to end.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// URLs of this many jobs are enough to keep copies going: about 1 KB each, 100 to a job.
const ENOUGH_JOBS: usize = 24;

/// Jobs that are known at all. Beyond this, those whose URLs are not needed are forgotten first.
const MOST_JOBS: usize = 256;

/// A result's URL and what the source says is behind it.
#[derive(Debug, Clone)]
pub struct Link {
    /// Where.
    pub url: SignedUrl,
    /// What.
    pub content_type: Option<String>,
}

/// A recording's links, and when the job gave them.
#[derive(Debug, Clone)]
pub struct Links {
    /// The links, each URL once, in an order that is the same at every read.
    pub links: Vec<Link>,
    /// When they were read.
    pub read_at: Timestamp,
}

type Book = HashMap<(ConversationId, RecordingId), Vec<Link>>;

#[derive(Default)]
struct Known {
    read_at: Option<Timestamp>,
    book: Option<Book>,
}

/// Longest time for which a job is not read because others of its time are not finished either.
const LONGEST_PATIENCE: SignedDuration = SignedDuration::from_secs(30);

/// How long jobs take, as seen so far. While nothing is known, one job is asked about and the others of its time wait
/// for what it shows: ten jobs are then not asked about in vain ten times.
#[derive(Debug, Default)]
struct Pace {
    typical: Option<SignedDuration>,
    probe: Option<BatchJobId>,
}

impl Pace {
    fn not_before(&mut self, job: &BatchJobId, submitted_at: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let waited = now.duration_since(submitted_at);
        match (self.typical, &self.probe) {
            (Some(typical), _) => (waited < typical).then(|| submitted_at + typical),
            (None, Some(probe)) if probe == job || waited >= LONGEST_PATIENCE => None,
            (None, Some(_)) => Some(now + LEAST_GAP),
            (None, None) => {
                self.probe = Some(job.clone());
                None
            }
        }
    }

    fn finished(&mut self, took: SignedDuration) {
        // A tenth more than usual: coming once and late costs less than coming twice.
        let took = took + took / 10;
        self.typical = Some(self.typical.map_or(took, |typical| (typical + took) / 2).min(LONGEST_PATIENCE));
    }
}

/// Reads jobs.
pub struct JobReader {
    recordings: Arc<dyn Recordings>,
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    pace: Mutex<Pace>,
    jobs: Mutex<HashMap<BatchJobId, Arc<tokio::sync::Mutex<Known>>>>,
}

impl JobReader {
    /// A reader with nothing read yet.
    pub fn new(recordings: Arc<dyn Recordings>, ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>) -> Self {
        Self { recordings, ledger, clock, pace: Mutex::default(), jobs: Mutex::default() }
    }

    /// When a job that was never read is worth reading, if not now.
    pub fn not_before(&self, job: &BatchJobId, submitted_at: Timestamp, now: Timestamp) -> Option<Timestamp> {
        self.pace().not_before(job, submitted_at, now)
    }

    /// Notes that a job is over: complete after `took`, or lost.
    pub fn over(&self, job: &BatchJobId, took: Option<SignedDuration>) {
        let mut pace = self.pace();
        if pace.probe.as_ref() == Some(job) {
            pace.probe = None;
        }
        if let Some(took) = took {
            pace.finished(took);
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a job now, or as soon as a second has passed since it was last read.
    ///
    /// # Errors
    /// [`Fault::Source`] as the API answers; [`Fault::Ledger`] when it cannot say whose turn it is.
    pub async fn read(&self, job: &BatchJobId) -> Result<BatchJob, Fault> {
        let known = self.known(job);
        let mut known = known.lock().await;
        self.ask(job, &mut known).await
    }

    /// The links of a recording. A job that was read after `newer_than` is not read again.
    ///
    /// # Errors
    /// As [`JobReader::read`].
    pub async fn links(
        &self,
        job: &BatchJobId,
        conversation: &ConversationId,
        recording: &RecordingId,
        newer_than: Option<Timestamp>,
    ) -> Result<Links, Fault> {
        let known = self.known(job);
        let mut known = known.lock().await;
        let fresh = known.book.is_some() && known.read_at.is_some_and(|at| newer_than.is_none_or(|than| at > than));
        if !fresh {
            let answer = self.ask(job, &mut known).await?;
            known.book = Some(book(&answer.results));
        }
        let key = (conversation.clone(), recording.clone());
        let links = known.book.as_ref().and_then(|book| book.get(&key)).cloned().unwrap_or_default();
        Ok(Links { links, read_at: known.read_at.unwrap_or(Timestamp::MIN) })
    }

    /// Notes that a recording's URLs are no longer needed.
    pub async fn done(&self, job: &BatchJobId, conversation: &ConversationId, recording: &RecordingId) {
        let known = self.known(job);
        let mut known = known.lock().await;
        if let Some(book) = &mut known.book {
            book.remove(&(conversation.clone(), recording.clone()));
            if book.is_empty() {
                known.book = None;
            }
        }
    }

    /// Whether more URLs are here than will be needed soon. While copies wait, no more jobs should be read: their URLs
    /// would be forgotten before their turn, and be asked for again.
    pub fn has_enough(&self) -> bool {
        // One that is being read right now is about to have some.
        let with_urls =
            |known: &Arc<tokio::sync::Mutex<Known>>| known.try_lock().is_ok_and(|known| known.book.is_some());
        self.locked().values().filter(|known| with_urls(known)).count() >= ENOUGH_JOBS
    }

    /// Keeps the URLs of a complete job.
    pub async fn keep(&self, job: &BatchJobId, results: &[BatchResult]) {
        let known = self.known(job);
        known.lock().await.book = Some(book(results));
    }

    async fn ask(&self, job: &BatchJobId, known: &mut Known) -> Result<BatchJob, Fault> {
        let turn = self.turn(job).await?;
        let answer = self.recordings.poll(job).await;
        let now = self.clock.now();
        if let Err(error) = self.ledger.end_turn(job, turn, now + LEAST_GAP).await {
            // It ends by itself, and what was read counts.
            tracing::warn!(code = error.code(), job = %job, "the turn at job {job} could not be ended: {error}");
        }
        if answer.is_ok() {
            known.read_at = Some(now);
        }
        Ok(answer?)
    }

    /// Waits for the turn to read a job.
    async fn turn(&self, job: &BatchJobId) -> Result<TurnId, Fault> {
        loop {
            let now = self.clock.now();
            match self.ledger.take_turn(job, now).await? {
                Turn::Yours(id) => return Ok(id),
                // Somebody else's turn mostly ends long before it has to: looked for again soon.
                Turn::NotBefore(free) => {
                    let pause = Duration::try_from(free.duration_since(now)).unwrap_or_default();
                    self.clock.sleep(pause.clamp(SHORTEST_WAIT, LEAST_GAP)).await;
                }
            }
        }
    }

    fn known(&self, job: &BatchJobId) -> Arc<tokio::sync::Mutex<Known>> {
        let mut jobs = self.locked();
        if let Some(known) = jobs.get(job) {
            return Arc::clone(known);
        }
        if jobs.len() >= MOST_JOBS {
            forget_oldest(&mut jobs);
        }
        Arc::clone(jobs.entry(job.clone()).or_default())
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<BatchJobId, Arc<tokio::sync::Mutex<Known>>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops the job that is needed least: one without URLs, then the one that was read longest ago; never one that somebody
/// is reading.
fn forget_oldest(jobs: &mut HashMap<BatchJobId, Arc<tokio::sync::Mutex<Known>>>) {
    let idle = jobs.iter().filter_map(|(id, known)| {
        let known = known.try_lock().ok()?;
        Some((known.book.is_some(), known.read_at, id.clone()))
    });
    if let Some((_, _, least)) = idle.min() {
        jobs.remove(&least);
    }
}

fn book(results: &[BatchResult]) -> Book {
    let mut book = Book::new();
    for (conversation, recording, link) in named(results) {
        let links = book.entry((conversation, recording)).or_default();
        // By the whole URL: what tells two results apart may stand in the query. One that is only signed anew is
        // fetched once more than needed and found to be the same.
        if !links.iter().any(|known| known.url.expose() == link.url.expose()) {
            links.push(link);
        }
    }
    for links in book.values_mut() {
        links.sort_by(in_stable_order);
    }
    book
}

/// The same order at every read of a job, as far as the URLs allow.
fn in_stable_order(a: &Link, b: &Link) -> std::cmp::Ordering {
    (a.url.stable_part(), a.url.expose()).cmp(&(b.url.stable_part(), b.url.expose()))
}

/// The results that have a URL, with the ids their recordings get. A result without a recording id is named by its
/// place among such results of its conversation.
pub fn named(results: &[BatchResult]) -> Vec<(ConversationId, RecordingId, Link)> {
    let mut unnamed: HashMap<ConversationId, Vec<Link>> = HashMap::new();
    let mut all = Vec::new();
    for result in results {
        let Some(url) = result.result_url.clone() else { continue };
        let Some(conversation) = result.conversation_id.as_deref().and_then(|id| id.parse().ok()) else { continue };
        let link = Link { url, content_type: result.content_type.clone() };
        match result.recording_id.as_deref() {
            Some(id) => all.push((conversation, recording_id(id), link)),
            None => unnamed.entry(conversation).or_default().push(link),
        }
    }
    for (conversation, mut links) in unnamed {
        links.sort_by(in_stable_order);
        links.dedup_by(|a, b| a.url.expose() == b.url.expose());
        for (place, link) in links.into_iter().enumerate() {
            if let Ok(id) = format!("unnamed-{}", place + 1).parse() {
                all.push((conversation.clone(), id, link));
            }
        }
    }
    all
}

/// A recording's id, or the one that stands for it.
pub fn recording_id(text: &str) -> RecordingId {
    text.parse().unwrap_or_else(|_| RecordingId::standing_in_for(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(conversation: &str, recording: Option<&str>, url: &str) -> BatchResult {
        BatchResult {
            conversation_id: Some(conversation.to_owned()),
            recording_id: recording.map(str::to_owned),
            result_url: Some(SignedUrl::new(url.to_owned())),
            ..BatchResult::default()
        }
    }

    fn urls(results: &[BatchResult], recording: &str) -> Vec<String> {
        let key = ("c".parse().unwrap(), recording.parse().unwrap());
        let book = book(results);
        book.get(&key).into_iter().flatten().map(|link| link.url.expose().to_owned()).collect()
    }

    #[test]
    fn results_that_differ_only_in_their_query_are_two_and_a_repeated_one_is_one() {
        let results = [
            result("c", Some("r"), "https://h/media?part=2"),
            result("c", Some("r"), "https://h/media?part=1"),
            result("c", Some("r"), "https://h/media?part=2"),
            result("c", Some("s"), "https://h/media?part=1"),
        ];
        assert_eq!(urls(&results, "r"), ["https://h/media?part=1", "https://h/media?part=2"]);
        assert_eq!(urls(&results, "s"), ["https://h/media?part=1"]);
    }

    #[test]
    fn a_panic_that_shows_links_shows_no_url() {
        let results = [result("c", Some("r"), "https://h/planted?Signature=planted")];
        let panic = std::panic::AssertUnwindSafe(|| panic!("{:?} {results:?}", book(&results)));
        let payload = std::panic::catch_unwind(panic).unwrap_err();
        let message = payload.downcast_ref::<String>().unwrap();
        assert!(message.contains("SignedUrl") && !message.contains("planted"), "{message}");
    }

    #[test]
    fn results_without_an_id_are_named_by_their_place_whatever_their_order() {
        let mut results = [result("c", None, "https://h/b?x=1"), result("c", None, "https://h/a?x=2")];
        assert_eq!(urls(&results, "unnamed-1"), ["https://h/a?x=2"]);
        results.reverse();
        assert_eq!(urls(&results, "unnamed-1"), ["https://h/a?x=2"]);
        assert_eq!(urls(&results, "unnamed-2"), ["https://h/b?x=1"]);
    }

    #[test]
    fn one_job_is_asked_about_until_it_shows_how_long_jobs_take() {
        let (one, two): (BatchJobId, BatchJobId) = ("one".parse().unwrap(), "two".parse().unwrap());
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let mut pace = Pace::default();
        assert_eq!(pace.not_before(&one, at(0), at(2)), None, "the first is the probe");
        assert_eq!(pace.not_before(&two, at(0), at(2)), Some(at(2) + LEAST_GAP));
        assert_eq!(pace.not_before(&two, at(0), at(31)), None, "but not for ever");
        pace.finished(SignedDuration::from_secs(10));
        assert_eq!(pace.not_before(&two, at(4), at(6)), Some(at(15)), "11 s after it was submitted");
        assert_eq!(pace.not_before(&two, at(4), at(15)), None);
    }
}
