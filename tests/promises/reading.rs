//! Reading of batch jobs by processes that share a ledger: never two at once, and never twice within a second.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use callvault_pipeline::api::{ApiError, BatchItem, Media, MediaError, Recordings, Restore, SignedUrl};
use callvault_pipeline::clock::Clock;
use callvault_pipeline::ids::{BatchJobId, ConversationId};
use callvault_pipeline::jobs::JobReader;
use callvault_pipeline::ledger::memory::MemoryLedger;
use callvault_pipeline::models::{BatchJob, RecordingMetadata};
use callvault_tests::fakes::TestClock;
use jiff::{SignedDuration, Timestamp};

/// A source that takes its time for an answer, now more and now less, and notes when it was asked and when it answered.
struct Slow {
    clock: Arc<dyn Clock>,
    reads: Mutex<Vec<(Timestamp, Option<Timestamp>)>>,
}

#[async_trait]
impl Recordings for Slow {
    async fn poll(&self, _job: &BatchJobId) -> Result<BatchJob, ApiError> {
        let number = {
            let mut reads = self.reads.lock().unwrap();
            reads.push((self.clock.now(), None));
            reads.len() - 1
        };
        self.clock.sleep(Duration::from_millis(300 * (number as u64 % 7))).await;
        self.reads.lock().unwrap()[number].1 = Some(self.clock.now());
        Ok(BatchJob { status: None, expected_result_count: 0, result_count: 0, results: Vec::new() })
    }

    async fn metadata(&self, _: &ConversationId) -> Result<Vec<RecordingMetadata>, ApiError> {
        panic!("only jobs are read")
    }

    async fn restore(&self, _: &ConversationId, _: &Restore) -> Result<(), ApiError> {
        panic!("only jobs are read")
    }

    async fn submit(&self, _: &[BatchItem]) -> Result<BatchJobId, ApiError> {
        panic!("only jobs are read")
    }

    async fn open(&self, _: &SignedUrl) -> Result<Media, MediaError> {
        panic!("only jobs are read")
    }
}

fn job() -> BatchJobId {
    "job-1".parse().unwrap()
}

/// A source, and readers of so many processes over one ledger.
fn readers(count: usize) -> (Arc<Slow>, Arc<dyn Clock>, Vec<JobReader>) {
    let clock: Arc<dyn Clock> = Arc::new(TestClock::at("2026-01-22T03:00:00Z".parse().unwrap()));
    let source = Arc::new(Slow { clock: Arc::clone(&clock), reads: Mutex::default() });
    let ledger = MemoryLedger::new();
    let reader = |_| JobReader::new(Arc::clone(&source) as _, Arc::new(ledger.clone()), Arc::clone(&clock));
    let readers = (0..count).map(reader).collect();
    (source, clock, readers)
}

async fn read_five_times(reader: &JobReader) {
    for _ in 0..5 {
        reader.read(&job()).await.unwrap();
    }
}

#[test]
fn one_job_is_read_by_one_process_at_a_time_with_a_second_in_between() {
    TestClock::run(async {
        let (source, _, readers) = readers(3);
        futures_util::future::join_all(readers.iter().map(read_five_times)).await;
        let reads = source.reads.lock().unwrap();
        assert_eq!(reads.len(), 15);
        for pair in reads.windows(2) {
            let answered = pair[0].1.expect("nobody begins while another is reading");
            assert!(pair[1].0.duration_since(answered) >= SignedDuration::from_secs(1), "{pair:?}");
        }
    });
}

#[test]
fn who_dies_reading_keeps_nobody_waiting_for_long() {
    TestClock::run(async {
        let (source, clock, readers) = readers(2);
        // The third read takes 600 ms: dropped in its middle.
        let job = job();
        for _ in 0..2 {
            readers[0].read(&job).await.unwrap();
        }
        let (dying, killed) = (readers[0].read(&job), clock.sleep(Duration::from_millis(1_400)));
        futures_util::future::select(std::pin::pin!(dying), killed).await;
        assert_eq!(source.reads.lock().unwrap().iter().filter(|(_, answered)| answered.is_none()).count(), 1);
        let begun = clock.now();
        readers[1].read(&job).await.unwrap();
        let waited = clock.now().duration_since(begun);
        assert!(waited < SignedDuration::from_secs(35), "{waited:#}");
    });
}
