//! The source's ports, faulty: its calls, and the bodies it sends.

use std::sync::Arc;

use async_trait::async_trait;
use callvault_pipeline::api::{
    ApiError, BatchItem, ConversationQuery, Conversations, Mailbox, Media, MediaError, Recordings, Restore, SignedUrl,
    VoicemailFormat, VoicemailMedia, Voicemails,
};
use callvault_pipeline::archive::Body;
use callvault_pipeline::ids::{BatchJobId, ConversationId, GroupId, HistoryJobId, VoicemailId};
use callvault_pipeline::models::{
    BatchJob, ConversationPage, HistoryPage, HistoryState, Me, RecordingMetadata, VoicemailPage,
};
use futures_util::{StreamExt, stream};

use super::script::{Fault, How, Script, When};

/// A source that fails by script. Its calls are `source.` and the method's name; every piece of a body, and the end of
/// it, is a call `source.body`.
pub struct FaultySource<S: ?Sized> {
    script: Script,
    inner: Arc<S>,
}

impl<S: ?Sized> FaultySource<S> {
    /// Wraps a source.
    pub fn new(inner: Arc<S>, script: Script) -> Self {
        Self { script, inner }
    }
}

fn error(fault: Fault) -> ApiError {
    match fault.how {
        How::Outage => ApiError::SignInRefused { reason: format!("{fault:?}") },
        _ => ApiError::Unavailable { operation: fault.call, detail: format!("{fault:?}") },
    }
}

fn submit_error(fault: Fault) -> ApiError {
    match (fault.how, fault.when) {
        (How::Error, When::After) => ApiError::Unknown { operation: fault.call, detail: format!("{fault:?}") },
        _ => error(fault),
    }
}

fn media_error(fault: Fault) -> MediaError {
    match fault.how {
        How::Outage => MediaError::Expired { status: 403 },
        _ => MediaError::Interrupted { detail: format!("{fault:?}") },
    }
}

#[async_trait]
impl<S: Conversations + ?Sized> Conversations for FaultySource<S> {
    async fn page(&self, query: &ConversationQuery, number: u32) -> Result<ConversationPage, ApiError> {
        self.script.call("source.page", error, self.inner.page(query, number)).await
    }

    async fn start_history(&self, query: &ConversationQuery) -> Result<HistoryJobId, ApiError> {
        self.script.call("source.start_history", error, self.inner.start_history(query)).await
    }

    async fn history_state(&self, job: &HistoryJobId) -> Result<HistoryState, ApiError> {
        self.script.call("source.history_state", error, self.inner.history_state(job)).await
    }

    async fn history_page(
        &self,
        job: &HistoryJobId,
        cursor: Option<&str>,
        page_size: u32,
    ) -> Result<HistoryPage, ApiError> {
        self.script.call("source.history_page", error, self.inner.history_page(job, cursor, page_size)).await
    }
}

#[async_trait]
impl<S: Recordings + ?Sized> Recordings for FaultySource<S> {
    async fn metadata(&self, conversation: &ConversationId) -> Result<Vec<RecordingMetadata>, ApiError> {
        self.script.call("source.metadata", error, self.inner.metadata(conversation)).await
    }

    async fn restore(&self, conversation: &ConversationId, restore: &Restore) -> Result<(), ApiError> {
        self.script.call("source.restore", error, self.inner.restore(conversation, restore)).await
    }

    async fn submit(&self, items: &[BatchItem]) -> Result<BatchJobId, ApiError> {
        self.script.call("source.submit", submit_error, self.inner.submit(items)).await
    }

    async fn poll(&self, job: &BatchJobId) -> Result<BatchJob, ApiError> {
        self.script.call("source.poll", error, self.inner.poll(job)).await
    }

    async fn open(&self, url: &SignedUrl) -> Result<Media, MediaError> {
        let media = self.script.call("source.open", media_error, self.inner.open(url)).await?;
        let body = faulty(media.body, self.script.clone());
        Ok(Media { body, ..media })
    }
}

#[async_trait]
impl<S: Voicemails + ?Sized> Voicemails for FaultySource<S> {
    async fn list(&self, mailbox: &Mailbox, number: u32, page_size: u32) -> Result<VoicemailPage, ApiError> {
        self.script.call("source.list", error, self.inner.list(mailbox, number, page_size)).await
    }

    async fn media(&self, message: &VoicemailId, format: VoicemailFormat) -> Result<VoicemailMedia, ApiError> {
        self.script.call("source.media", error, self.inner.media(message, format)).await
    }

    async fn download(&self, url: &SignedUrl) -> Result<Media, MediaError> {
        let media = self.script.call("source.download", media_error, self.inner.download(url)).await?;
        let body = faulty(media.body, self.script.clone());
        Ok(Media { body, ..media })
    }

    async fn mark_read(&self, message: &VoicemailId) -> Result<(), ApiError> {
        self.script.call("source.mark_read", error, self.inner.mark_read(message)).await
    }

    async fn delete(&self, message: &VoicemailId) -> Result<(), ApiError> {
        self.script.call("source.delete", error, self.inner.delete(message)).await
    }

    async fn disconnect_callback(&self, conversation: &ConversationId) -> Result<(), ApiError> {
        self.script.call("source.disconnect_callback", error, self.inner.disconnect_callback(conversation)).await
    }

    async fn me(&self) -> Result<Me, ApiError> {
        self.script.call("source.me", error, self.inner.me()).await
    }

    async fn groups(&self) -> Result<Vec<GroupId>, ApiError> {
        self.script.call("source.groups", error, self.inner.groups()).await
    }
}

/// A body that breaks off by script.
fn faulty(body: Body, script: Script) -> Body {
    let broken = |fault: Fault| match fault.how {
        How::Outage => None,
        _ => Some(media_error(fault)),
    };
    stream::unfold(Some(body), move |body| {
        let script = script.clone();
        async move {
            let mut body = body?;
            match script.call("source.body", broken, async { Ok(body.next().await) }).await {
                Ok(piece) => piece.map(|piece| (piece, Some(body))),
                Err(broken) => broken.map(|error| (Err(error), None)),
            }
        }
    })
    .boxed()
}
