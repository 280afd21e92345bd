//! The Genesys client with the deadline of the invocation that runs.
//!
//! An instance runs one invocation at a time, and keeps what it knows of jobs and of the rate limit from one to the
//! next: so there is one client, and only its deadline changes.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use callvault_genesys::http::GenesysClient;
use callvault_pipeline::api::{
    ApiError, BatchItem, ConversationQuery, Conversations, Media, MediaError, Recordings, Restore, SignedUrl,
};
use callvault_pipeline::ids::{BatchJobId, ConversationId, HistoryJobId};
use callvault_pipeline::models::{BatchJob, ConversationPage, HistoryPage, HistoryState, RecordingMetadata};
use jiff::Timestamp;

/// What functions ask Genesys through.
#[derive(Clone)]
pub struct Source {
    /// Conversations.
    pub conversations: Arc<dyn Conversations>,
    /// Recordings.
    pub recordings: Arc<dyn Recordings>,
    client: Option<Arc<TimedClient>>,
}

impl Source {
    /// Any implementation of the traits; deadlines are its own affair.
    pub fn new(conversations: Arc<dyn Conversations>, recordings: Arc<dyn Recordings>) -> Self {
        Self { conversations, recordings, client: None }
    }

    /// The real client.
    pub fn of(client: GenesysClient) -> Self {
        let client = Arc::new(TimedClient { client, deadline: Mutex::default() });
        let (conversations, recordings) = (Arc::clone(&client), Arc::clone(&client));
        Self { conversations, recordings, client: Some(client) }
    }

    /// No request goes past this from now on.
    pub fn set_deadline(&self, deadline: Timestamp) {
        if let Some(client) = &self.client {
            *client.deadline.lock().unwrap_or_else(PoisonError::into_inner) = Some(deadline);
        }
    }

    /// API requests that may still be sent this minute; `None` before anything is known.
    pub fn budget_left(&self) -> Option<u32> {
        self.client.as_ref().and_then(|client| client.client.budget()).map(|budget| budget.left)
    }
}

struct TimedClient {
    client: GenesysClient,
    deadline: Mutex<Option<Timestamp>>,
}

impl TimedClient {
    fn client(&self) -> GenesysClient {
        match *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(deadline) => self.client.with_deadline(deadline),
            None => self.client.clone(),
        }
    }
}

#[async_trait]
impl Conversations for TimedClient {
    async fn page(&self, query: &ConversationQuery, number: u32) -> Result<ConversationPage, ApiError> {
        self.client().page(query, number).await
    }

    async fn start_history(&self, query: &ConversationQuery) -> Result<HistoryJobId, ApiError> {
        self.client().start_history(query).await
    }

    async fn history_state(&self, job: &HistoryJobId) -> Result<HistoryState, ApiError> {
        self.client().history_state(job).await
    }

    async fn history_page(
        &self,
        job: &HistoryJobId,
        cursor: Option<&str>,
        page_size: u32,
    ) -> Result<HistoryPage, ApiError> {
        self.client().history_page(job, cursor, page_size).await
    }
}

#[async_trait]
impl Recordings for TimedClient {
    async fn metadata(&self, conversation: &ConversationId) -> Result<Vec<RecordingMetadata>, ApiError> {
        self.client().metadata(conversation).await
    }

    async fn restore(&self, conversation: &ConversationId, restore: &Restore) -> Result<(), ApiError> {
        self.client().restore(conversation, restore).await
    }

    async fn submit(&self, items: &[BatchItem]) -> Result<BatchJobId, ApiError> {
        self.client().submit(items).await
    }

    async fn poll(&self, job: &BatchJobId) -> Result<BatchJob, ApiError> {
        self.client().poll(job).await
    }

    async fn open(&self, url: &SignedUrl) -> Result<Media, MediaError> {
        self.client().open(url).await
    }
}
