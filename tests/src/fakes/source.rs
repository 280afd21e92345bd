//! The source: an org behind the traits of the Genesys client.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use callvault_pipeline::api::{
    ApiError, BatchItem, ConversationQuery, Conversations, Media, MediaError, Recordings, Restore, SignedUrl, Window,
};
use callvault_pipeline::clock::Clock;
use callvault_pipeline::ids::{BatchJobId, ConversationId, HistoryJobId};
use callvault_pipeline::models::{
    BatchJob, BatchResult, ConversationPage, FileState, HistoryPage, HistoryState, JobStatus, RecordingMetadata,
};
use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::org::{Batch, Completion, FakeConversation, FakeOrg, FakeRecording, MetadataAnswer, Readability};

/// An org behind the traits of the Genesys client. Clones share everything.
#[derive(Debug, Clone)]
pub struct FakeSource {
    org: Arc<Mutex<FakeOrg>>,
    clock: Arc<dyn Clock>,
    jobs: Arc<Mutex<Vec<Job>>>,
    opened: Arc<Mutex<Vec<Timestamp>>>,
}

/// A batch job as the source keeps it.
#[derive(Debug, Clone)]
struct Job {
    conversations: Vec<String>,
    posted: Timestamp,
    read: Vec<Timestamp>,
}

impl FakeSource {
    /// The source of an org.
    pub fn new(org: FakeOrg, clock: Arc<dyn Clock>) -> Self {
        Self { org: Arc::new(Mutex::new(org)), clock, jobs: Arc::default(), opened: Arc::default() }
    }

    /// Changes the org.
    pub fn change(&self, change: impl FnOnce(&mut FakeOrg)) {
        change(&mut self.org());
    }

    /// How many conversations each job had.
    pub fn batches(&self) -> Vec<usize> {
        self.jobs.lock().unwrap().iter().map(|job| job.conversations.len()).collect()
    }

    /// The shortest pause between two reads of one job.
    pub fn closest_reads(&self) -> Option<SignedDuration> {
        let jobs = self.jobs.lock().unwrap();
        jobs.iter().flat_map(|job| job.read.windows(2)).map(|pair| pair[1].duration_since(pair[0])).min()
    }

    /// The pauses between the reads of each job.
    pub fn pauses_between_reads(&self) -> Vec<Vec<SignedDuration>> {
        let pauses = |job: &Job| job.read.windows(2).map(|pair| pair[1].duration_since(pair[0])).collect();
        self.jobs.lock().unwrap().iter().map(pauses).collect()
    }

    /// When media were asked for.
    pub fn opened(&self) -> Vec<Timestamp> {
        self.opened.lock().unwrap().clone()
    }

    /// Whether the API answers at all.
    fn answers(&self, operation: &'static str) -> Result<(), ApiError> {
        let now = self.clock.now();
        match self.org().api_away {
            Some((from, until)) if from <= now && now < until => {
                Err(ApiError::Unavailable { operation, detail: "could not connect".to_owned() })
            }
            _ => Ok(()),
        }
    }

    fn org(&self) -> MutexGuard<'_, FakeOrg> {
        self.org.lock().unwrap()
    }

    fn find(&self, id: &str) -> Option<FakeConversation> {
        self.org().conversations.iter().find(|conversation| conversation.id == id).cloned()
    }

    /// What a query reports: everything that started on a UTC day which the window touches, oldest first.
    fn reported(&self, query: &ConversationQuery) -> Vec<FakeConversation> {
        let now = self.clock.now();
        let wide = widened(query.window);
        let org = self.org();
        let in_queue = |c: &&FakeConversation| {
            query.queues.is_empty() || query.queues.iter().any(|queue| c.queues.iter().any(|q| q == queue.as_str()))
        };
        let known = org.conversations.iter().filter(|c| c.appears <= now && wide.contains(c.start));
        let mut rows: Vec<_> = known.filter(in_queue).cloned().collect();
        rows.sort_by(|a, b| (a.start, &a.id).cmp(&(b.start, &b.id)));
        rows
    }

    fn result(&self, conversation: &FakeConversation, recording: &FakeRecording, now: Timestamp) -> Vec<BatchResult> {
        let bare = BatchResult {
            conversation_id: Some(conversation.id.clone()),
            recording_id: recording.id.clone(),
            ..BatchResult::default()
        };
        let ready = matches!(recording.state(now), FileState::Available | FileState::Restored);
        match if ready { &recording.batch } else { &recording.otherwise } {
            Batch::Silence => Vec::new(),
            Batch::Error(text) => vec![BatchResult { error_msg: Some(text.clone()), ..bare }],
            Batch::Urls => {
                let name = recording.id.clone().unwrap_or_else(|| recording.media.clone());
                let url = |place: usize| {
                    let path = hex(&format!("{}\n{name}\n{place}", conversation.id));
                    SignedUrl::new(format!("https://media.test/{path}?at={}", now.as_millisecond()))
                };
                let files = recording.files.iter().enumerate();
                files
                    .flat_map(|(place, file)| std::iter::repeat_n(place, file.times))
                    .map(|place| BatchResult {
                        result_url: Some(url(place)),
                        content_type: recording.content_type.clone(),
                        ..bare.clone()
                    })
                    .collect()
            }
        }
    }
}

#[async_trait]
impl Conversations for FakeSource {
    async fn page(&self, query: &ConversationQuery, number: u32) -> Result<ConversationPage, ApiError> {
        self.answers("query conversations")?;
        let rows = self.reported(query);
        let size = query.page_size as usize;
        let page: Vec<_> = rows.iter().skip((number as usize - 1) * size).take(size).map(row).collect();
        let mut answer = json!({ "totalHits": rows.len() });
        if !page.is_empty() {
            answer["conversations"] = page.into();
        }
        // By way of its text, as the platform's answers come.
        Ok(serde_json::from_str(&answer.to_string()).unwrap())
    }

    async fn start_history(&self, _: &ConversationQuery) -> Result<HistoryJobId, ApiError> {
        Err(not_here("start history"))
    }

    async fn history_state(&self, _: &HistoryJobId) -> Result<HistoryState, ApiError> {
        Err(not_here("history state"))
    }

    async fn history_page(&self, _: &HistoryJobId, _: Option<&str>, _: u32) -> Result<HistoryPage, ApiError> {
        Err(not_here("history page"))
    }
}

#[async_trait]
impl Recordings for FakeSource {
    async fn metadata(&self, conversation: &ConversationId) -> Result<Vec<RecordingMetadata>, ApiError> {
        let operation = "read recording metadata";
        self.answers(operation)?;
        let code = "not.found".to_owned();
        let Some(found) = self.find(conversation.as_str()) else {
            return Err(ApiError::NotFound { operation, code });
        };
        match found.metadata {
            MetadataAnswer::List => {}
            // As the client does (its port says: empty when there are none).
            MetadataAnswer::NotFound => return Ok(Vec::new()),
            MetadataAnswer::Forbidden => {
                let permission = "recording:recording:view";
                return Err(ApiError::Forbidden { operation, code: "missing.permission".to_owned(), permission });
            }
            MetadataAnswer::Unavailable => {
                return Err(ApiError::Unavailable { operation, detail: "status 503".to_owned() });
            }
        }
        let now = self.clock.now();
        let listed = found.recordings.iter().filter(|recording| recording.listed && recording.appears <= now);
        Ok(listed
            .map(|recording| RecordingMetadata {
                id: recording.id.clone(),
                media: Some(recording.media.clone()),
                media_subtype: None,
                file_state: Some(recording.state(now)),
                start_time: None,
                end_time: None,
                session_id: None,
                archive_date: None,
                delete_date: None,
            })
            .collect())
    }

    async fn restore(&self, conversation: &ConversationId, restore: &Restore) -> Result<(), ApiError> {
        let operation = "restore an archived recording";
        self.answers(operation)?;
        let now = self.clock.now();
        let mut org = self.org();
        if org.restores_forbidden {
            let permission = "recording:recording:editRetention";
            return Err(ApiError::Forbidden { operation, code: "missing.permissions".to_owned(), permission });
        }
        let found = org.conversations.iter_mut().find(|found| found.id == conversation.as_str());
        let mut recordings = found.into_iter().flat_map(|found| found.recordings.iter_mut());
        match recordings.find(|one| one.id.as_deref() == Some(restore.recording.as_str())) {
            // Asked again, it goes on as it is.
            Some(recording) if recording.state(now) == FileState::Archived => {
                let (hours, restored) = (SignedDuration::from_hours(4), FileState::Restored);
                recording.states.extend([(now, FileState::Restoring), (now + hours, restored)]);
                Ok(())
            }
            Some(_) => Ok(()),
            None => Err(ApiError::NotFound { operation, code: "not.found".to_owned() }),
        }
    }

    async fn submit(&self, items: &[BatchItem]) -> Result<BatchJobId, ApiError> {
        let operation = "submit a batch";
        self.answers(operation)?;
        let refused = |code: &str| {
            Err(ApiError::Refused { operation, status: 400, code: code.to_owned(), message: "no".to_owned() })
        };
        if items.is_empty() || items.len() > 100 {
            return refused("batch.download.too.many.items");
        }
        let conversations: Vec<String> = items.iter().map(|item| item.conversation.to_string()).collect();
        if conversations.iter().any(|id| self.find(id).is_none_or(|found| found.refused)) {
            return refused("batch.download.bad.request");
        }
        let mut jobs = self.jobs.lock().unwrap();
        jobs.push(Job { conversations, posted: self.clock.now(), read: Vec::new() });
        Ok(format!("job-{}", jobs.len()).parse().unwrap())
    }

    async fn poll(&self, job: &BatchJobId) -> Result<BatchJob, ApiError> {
        self.answers("read a batch")?;
        let now = self.clock.now();
        let number: usize = job.as_str().trim_start_matches("job-").parse().unwrap();
        let (org, job) = {
            let mut jobs = self.jobs.lock().unwrap();
            jobs[number - 1].read.push(now);
            (self.org().clone(), jobs[number - 1].clone())
        };
        if number as u64 <= org.forgotten_jobs {
            let code = "batch.download.job.not.found".to_owned();
            return Err(ApiError::NotFound { operation: "read a batch", code });
        }
        let mut results = Vec::new();
        for id in &job.conversations {
            let Some(conversation) = org.conversations.iter().find(|c| c.id == *id) else { continue };
            if let Some(error) = &conversation.batch_error {
                results.push(BatchResult {
                    conversation_id: Some(id.clone()),
                    error_msg: Some(error.clone()),
                    ..BatchResult::default()
                });
                continue;
            }
            let there = conversation.recordings.iter().filter(|recording| recording.appears <= now);
            results.extend(there.flat_map(|one| self.result(conversation, one, now)));
        }
        if number as u64 <= org.nameless_jobs {
            results.iter_mut().for_each(|result| result.conversation_id = None);
        }
        let all = results.len() as u64;
        let done = now.duration_since(job.posted) >= SignedDuration::try_from(org.job_takes).unwrap();
        let answer = |status, expected, there: u64, results: Vec<_>| BatchJob {
            status,
            expected_result_count: expected,
            result_count: there,
            results: results.into_iter().take(there as usize).collect(),
        };
        Ok(match (org.completion, done) {
            (Completion::NoStatus, true) => answer(None, all, all, results),
            (Completion::NoStatus, false) => answer(None, all, 0, results),
            (_, true) => answer(Some(JobStatus::Completed), all, all, results),
            (Completion::Status, false) => answer(Some(JobStatus::InProgress), all, all / 2, results),
            (Completion::EqualTooEarly, false) => {
                let there = if job.read.len() == 1 { 0 } else { all / 2 };
                answer(Some(JobStatus::InProgress), there, there, results)
            }
        })
    }

    async fn open(&self, url: &SignedUrl) -> Result<Media, MediaError> {
        let (path, at) = url.expose().trim_start_matches("https://media.test/").split_once("?at=").unwrap();
        let given = Timestamp::from_millisecond(at.parse().unwrap()).unwrap();
        let (org, now) = (self.org().clone(), self.clock.now());
        self.opened.lock().unwrap().push(now);
        if let Some((_, until)) = org.media_away.filter(|(from, until)| *from <= now && now < *until) {
            let left = std::time::Duration::try_from(until.duration_since(now)).unwrap();
            let retry_after = org.says_how_long.then_some(left);
            return Err(MediaError::Unavailable { detail: "status 503".to_owned(), retry_after });
        }
        if self.clock.now().duration_since(given) > SignedDuration::try_from(org.url_life).unwrap() {
            return Err(MediaError::Expired { status: 403 });
        }
        let text = unhex(path);
        let [conversation, name, place] = text.split('\n').collect::<Vec<_>>()[..] else {
            return Err(MediaError::Gone { status: 404 });
        };
        let place: usize = place.parse().unwrap();
        let found = org.conversations.iter().find(|c| c.id == conversation);
        let named = |one: &&FakeRecording| one.id.as_deref().unwrap_or(&one.media) == name;
        let recording = found.and_then(|found| found.recordings.iter().find(named));
        let Some(recording) = recording.filter(|one| place < one.files.len()) else {
            return Err(MediaError::Gone { status: 404 });
        };
        let bytes = recording.files[place].bytes.clone();
        let mut pieces = pieces(&bytes, org.chunk);
        if now < recording.whole_from {
            pieces.pop();
        }
        Ok(Media {
            content_type: recording.content_type.clone(),
            length: Some(bytes.len() as u64),
            has_provable_end: true,
            body: stream::iter(pieces).boxed(),
        })
    }
}

/// Bytes in pieces of `chunk`.
fn pieces(bytes: &Bytes, chunk: usize) -> Vec<Result<Bytes, MediaError>> {
    (0..bytes.len()).step_by(chunk).map(|from| Ok(bytes.slice(from..bytes.len().min(from + chunk)))).collect()
}

/// The platform widens an interval to the UTC days it touches (api.md, "Analytics").
fn widened(window: Window) -> Window {
    let a_day = 24 * 3600;
    let floor = |second: i64| second - second.rem_euclid(a_day);
    Window {
        start: Timestamp::from_second(floor(window.start.as_second())).unwrap(),
        end: Timestamp::from_second(floor(window.end.as_second() - 1) + a_day).unwrap(),
    }
}

fn row(conversation: &FakeConversation) -> serde_json::Value {
    if conversation.readability == Readability::OnlyId {
        return json!({ "conversationId": conversation.id, "conversationStart": conversation.start.to_string(),
            "participants": 17 });
    }
    let purpose = if conversation.agent { "agent" } else { "ivr" };
    let queues: BTreeSet<&String> = conversation.queues.iter().collect();
    let segments: Vec<_> = queues.iter().map(|queue| json!({ "queueId": queue })).collect();
    let session = |media| {
        json!({ "mediaType": String::from(media), "recording": conversation.recorded, "segments": segments,
            "metrics": [{ "name": "tHandle", "value": 60000 }] })
    };
    let sessions: Vec<_> = conversation.media.iter().cloned().map(session).collect();
    json!({ "conversationId": conversation.id, "conversationStart": conversation.start.to_string(),
        "conversationEnd": (conversation.start + SignedDuration::from_secs(60)).to_string(),
        "participants": [{ "purpose": purpose, "sessions": sessions }] })
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> String {
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    String::from_utf8((0..text.len()).step_by(2).map(byte).collect()).unwrap()
}

fn not_here(operation: &'static str) -> ApiError {
    ApiError::Refused { operation, status: 400, code: "not.here".to_owned(), message: String::new() }
}
