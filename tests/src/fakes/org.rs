//! The description of an org: conversations, their recordings, and how the source behaves about them.

use std::time::Duration;

use bytes::Bytes;
use callvault_pipeline::models::{FileState, MediaType};
use jiff::Timestamp;

/// How a batch job comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// `InProgress`, then `Completed` with all results.
    Status,
    /// `InProgress` with counts that are equal at every read: 0 == 0 first, half == half next. Then `Completed`.
    EqualTooEarly,
    /// No `status` at all: only the counts.
    NoStatus,
}

/// The source: what it holds and how it answers.
#[derive(Debug, Clone)]
pub struct FakeOrg {
    /// Its conversations.
    pub conversations: Vec<FakeConversation>,
    /// A job is complete this long after it was posted.
    pub job_takes: Duration,
    /// How that shows.
    pub completion: Completion,
    /// URLs are refused this long after they were given.
    pub url_life: Duration,
    /// The first so many jobs are forgotten by the source.
    pub forgotten_jobs: u64,
    /// The first so many jobs have results that name no conversation.
    pub nameless_jobs: u64,
    /// Bytes of a body come in pieces of this length.
    pub chunk: usize,
    /// The API does not answer from an instant on, until another.
    pub api_away: Option<(Timestamp, Timestamp)>,
    /// The same of the host of media.
    pub media_away: Option<(Timestamp, Timestamp)>,
    /// Whether the client may not have anything restored.
    pub restores_forbidden: bool,
    /// Whether the host of media says with `Retry-After` for how long it is away.
    pub says_how_long: bool,
}

impl FakeOrg {
    /// An org that behaves.
    pub fn of(conversations: Vec<FakeConversation>) -> Self {
        Self {
            conversations,
            job_takes: Duration::from_secs(3),
            completion: Completion::Status,
            url_life: Duration::from_secs(3600),
            forgotten_jobs: 0,
            nameless_jobs: 0,
            chunk: 7,
            api_away: None,
            media_away: None,
            restores_forbidden: false,
            says_how_long: false,
        }
    }
}

/// Whether a conversation's row can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readability {
    /// Yes.
    Whole,
    /// Only its id, if that is one, and its start.
    OnlyId,
}

/// What asking for a conversation's recording metadata gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataAnswer {
    /// The list.
    List,
    /// 404.
    NotFound,
    /// 403.
    Forbidden,
    /// Never an answer.
    Unavailable,
}

/// A conversation.
#[derive(Debug, Clone)]
pub struct FakeConversation {
    /// Its id, as the source writes it.
    pub id: String,
    /// When it started.
    pub start: Timestamp,
    /// The media of its sessions.
    pub media: Vec<MediaType>,
    /// Its queues.
    pub queues: Vec<String>,
    /// Whether an agent took part.
    pub agent: bool,
    /// Whether analytics says it was recorded.
    pub recorded: bool,
    /// Whether its row can be read.
    pub readability: Readability,
    /// Analytics does not report it before.
    pub appears: Timestamp,
    /// About its metadata.
    pub metadata: MetadataAnswer,
    /// An error of the batch about the whole conversation.
    pub batch_error: Option<String>,
    /// A batch with it is refused.
    pub refused: bool,
    /// Its recordings.
    pub recordings: Vec<FakeRecording>,
}

impl FakeConversation {
    /// A recorded call with an agent.
    pub fn call(id: &str, start: &str, recordings: Vec<FakeRecording>) -> Self {
        Self {
            id: id.to_owned(),
            start: start.parse().unwrap(),
            media: vec![MediaType::Voice],
            queues: vec!["queue-1".to_owned()],
            agent: true,
            recorded: !recordings.is_empty(),
            readability: Readability::Whole,
            appears: Timestamp::MIN,
            metadata: MetadataAnswer::List,
            batch_error: None,
            refused: false,
            recordings,
        }
    }
}

/// What a batch gives for a recording that it could give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Batch {
    /// Its URLs.
    Urls,
    /// An error instead.
    Error(String),
    /// Nothing: as with sensitive recordings.
    Silence,
}

/// A file of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its bytes.
    pub bytes: Bytes,
    /// How often the batch lists it, always under the same URL.
    pub times: usize,
}

/// A recording.
#[derive(Debug, Clone)]
pub struct FakeRecording {
    /// Its id, as the source writes it; `None` for results without one.
    pub id: Option<String>,
    /// `media` of its metadata.
    pub media: String,
    /// The content type of results and downloads.
    pub content_type: Option<String>,
    /// Its files: a result each.
    pub files: Vec<File>,
    /// Its state from an instant on, in order.
    pub states: Vec<(Timestamp, FileState)>,
    /// What a batch gives while it is available.
    pub batch: Batch,
    /// What a batch gives while it is not.
    pub otherwise: Batch,
    /// Whether the metadata lists it.
    pub listed: bool,
    /// Neither metadata nor batches know of it before.
    pub appears: Timestamp,
    /// Its body ends early before that.
    pub whole_from: Timestamp,
}

impl FakeRecording {
    /// Audio of one file, available.
    pub fn audio(id: &str, bytes: &'static [u8]) -> Self {
        Self::new(id, "audio", "audio/ogg", bytes)
    }

    /// One file, available.
    pub fn new(id: &str, media: &str, content_type: &str, bytes: &'static [u8]) -> Self {
        Self {
            id: Some(id.to_owned()),
            media: media.to_owned(),
            content_type: Some(content_type.to_owned()),
            files: vec![File { bytes: Bytes::from_static(bytes), times: 1 }],
            states: vec![(Timestamp::MIN, FileState::Available)],
            batch: Batch::Urls,
            otherwise: Batch::Error("recording is not available".to_owned()),
            listed: true,
            appears: Timestamp::MIN,
            whole_from: Timestamp::MIN,
        }
    }

    /// The same with another file.
    pub fn and(mut self, bytes: &'static [u8]) -> Self {
        self.files.push(File { bytes: Bytes::from_static(bytes), times: 1 });
        self
    }

    /// The same in one state for ever.
    pub fn in_state(mut self, state: FileState) -> Self {
        self.states = vec![(Timestamp::MIN, state)];
        self
    }

    /// Its state at an instant.
    pub fn state(&self, now: Timestamp) -> FileState {
        let latest = self.states.iter().rfind(|(since, _)| *since <= now);
        latest.map_or(FileState::Uploading, |(_, state)| state.clone())
    }
}
