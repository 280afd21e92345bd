//! The calls callvault makes to Genesys Cloud, as traits in our words, with their errors.
//!
//! The pipeline depends on these traits alone; `http` implements them. Nothing here names an HTTP library.

mod access;
mod exchange;
mod voicemails;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

pub use access::AccessTokens;
pub use exchange::{ExchangeError, RefreshTokens, Refusal, TokenPair};
pub use voicemails::{Mailbox, VoicemailFormat, VoicemailMedia, Voicemails};

use crate::ids::{BatchJobId, ConversationId, HistoryJobId, QueueId, RecordingId};
use crate::models::{BatchJob, ConversationPage, HistoryPage, HistoryState, RecordingMetadata};

/// A half-open interval of time: `start` belongs to it, `end` does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First instant inside.
    pub start: Timestamp,
    /// First instant after.
    pub end: Timestamp,
}

impl Window {
    /// Whether `instant` lies inside.
    pub fn contains(&self, instant: Timestamp) -> bool {
        self.start <= instant && instant < self.end
    }
}

/// What conversations are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationQuery {
    /// The interval that is asked for. The platform widens it to whole days; [`crate::pages`] narrows it again.
    pub window: Window,
    /// Only conversations that went through one of these queues; empty for all.
    pub queues: Vec<QueueId>,
    /// Rows a page, 1 to 100.
    pub page_size: u32,
}

/// Conversations, by the analytics API.
#[async_trait]
pub trait Conversations: Send + Sync {
    /// Page `number` (from 1) of the conversations that started in the query's window, oldest first.
    async fn page(&self, query: &ConversationQuery, number: u32) -> Result<ConversationPage, ApiError>;

    /// Starts the asynchronous form of the query, for history that [`Conversations::page`] does not reach.
    async fn start_history(&self, query: &ConversationQuery) -> Result<HistoryJobId, ApiError>;

    /// How far a history job is.
    async fn history_state(&self, job: &HistoryJobId) -> Result<HistoryState, ApiError>;

    /// One page of a history job's results; `cursor` as the page before gave it.
    async fn history_page(
        &self,
        job: &HistoryJobId,
        cursor: Option<&str>,
        page_size: u32,
    ) -> Result<HistoryPage, ApiError>;
}

/// One line of a batch request: a conversation, or one recording of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchItem {
    /// The conversation whose recordings are wanted.
    pub conversation: ConversationId,
    /// Only this recording of it, where set.
    pub recording: Option<RecordingId>,
}

/// An archived recording that is to be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restore {
    /// Which.
    pub recording: RecordingId,
    /// When the platform archives it again.
    pub archive_again: Timestamp,
    /// When the platform deletes it, as its metadata says: that stays so.
    pub delete_date: Option<String>,
}

/// Recordings: metadata, batch downloads and media.
#[async_trait]
pub trait Recordings: Send + Sync {
    /// The metadata of a conversation's recordings; empty when there are none.
    async fn metadata(&self, conversation: &ConversationId) -> Result<Vec<RecordingMetadata>, ApiError>;

    /// Asks for an archived recording to be restored, which takes hours: by a changed `archiveDate`, as the platform wants it.
    /// Asking again changes nothing but that date.
    async fn restore(&self, conversation: &ConversationId, restore: &Restore) -> Result<(), ApiError>;

    /// Posts a batch request of 1 to 100 items. Not idempotent: after [`ApiError::Unknown`] a job may exist that
    /// nobody knows, which is harmless.
    async fn submit(&self, items: &[BatchItem]) -> Result<BatchJobId, ApiError>;

    /// Reads a batch job.
    async fn poll(&self, job: &BatchJobId) -> Result<BatchJob, ApiError>;

    /// Opens a signed media URL. Nothing of our sign-in is sent along.
    async fn open(&self, url: &SignedUrl) -> Result<Media, MediaError>;
}

/// A URL that carries its own permission, and so is a secret: it cannot be printed.
#[derive(Clone)]
pub struct SignedUrl(SecretString);

impl SignedUrl {
    /// Wraps a URL as the platform gave it. It is judged when it is opened.
    pub fn new(url: String) -> Self {
        Self(url.into())
    }

    /// The URL, for the HTTP client only.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What orders the results of one recording the same way at every poll: the URL without its query, which is
    /// where the signature lives and what changes. For comparing only, never for printing.
    pub fn stable_part(&self) -> &str {
        self.expose().split(['?', '#']).next().unwrap_or_default()
    }
}

impl std::fmt::Debug for SignedUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignedUrl(redacted)")
    }
}

/// An open download.
pub struct Media {
    /// `Content-Type` as received.
    pub content_type: Option<String>,
    /// Declared length in bytes; `None` where the server declares none.
    pub length: Option<u64>,
    /// Whether the body's end can be told from a connection that broke: its length is declared, or it comes in chunks.
    /// Where it cannot, the bytes may be fewer than there are, without an error.
    pub has_provable_end: bool,
    /// The bytes. An error, or an end before `length`, means the body was cut.
    pub body: BoxStream<'static, Result<Bytes, MediaError>>,
}

/// Why an API call gave no answer. Each kind has its own next step: see [`ApiError::next_step`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The token endpoint refused the client: nothing will work until someone changes the credentials.
    #[error(
        "Genesys Cloud refused the sign-in ({reason}): check the region, GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET"
    )]
    SignInRefused {
        /// The `error` word of the answer, for instance `invalid_client`.
        reason: String,
    },
    /// The client is signed in and may not do this.
    #[error("the OAuth client may not {operation} (403 {code}): it needs the permission {permission}")]
    Forbidden {
        /// What was asked, in words.
        operation: &'static str,
        /// The platform's error code.
        code: String,
        /// What the client needs for it.
        permission: &'static str,
    },
    /// The thing asked for does not exist, or no longer.
    #[error("{operation}: not found (404 {code})")]
    NotFound {
        /// What was asked, in words.
        operation: &'static str,
        /// The platform's error code.
        code: String,
    },
    /// The query has more results than pages may show: ask in smaller windows.
    #[error("the query has more results than the platform pages through")]
    TooManyResults,
    /// The platform understood the request and refuses it.
    #[error("{operation}: refused ({status} {code}): {message}")]
    Refused {
        /// What was asked, in words.
        operation: &'static str,
        /// HTTP status.
        status: u16,
        /// The platform's error code.
        code: String,
        /// The platform's message, redacted.
        message: String,
    },
    /// Nothing came back, or only errors that pass: worth asking again later.
    #[error("{operation}: Genesys Cloud is not answering ({detail})")]
    Unavailable {
        /// What was asked, in words.
        operation: &'static str,
        /// Status or fault, without URLs.
        detail: String,
    },
    /// A request that is not idempotent may or may not have taken effect.
    #[error("{operation}: sent, but the outcome is unknown ({detail})")]
    Unknown {
        /// What was asked, in words.
        operation: &'static str,
        /// Status or fault, without URLs.
        detail: String,
    },
    /// It was not sent: the platform asks for a pause that goes beyond the caller's deadline.
    #[error("{operation}: not before the deadline")]
    OutOfTime {
        /// What was asked, in words.
        operation: &'static str,
    },
    /// The answer is not what the API documents.
    #[error("{operation}: the answer could not be read at {at}")]
    Unreadable {
        /// What was asked, in words.
        operation: &'static str,
        /// Path inside the answer and what is wrong there; no content.
        at: String,
    },
}

/// What a caller does about an [`ApiError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep {
    /// No call will work until a person changes something.
    Stop,
    /// The same call may work later.
    Later,
    /// The same call will not work; other calls may.
    GiveUp,
}

impl ApiError {
    /// What to do now.
    pub fn next_step(&self) -> NextStep {
        match self {
            Self::SignInRefused { .. } => NextStep::Stop,
            Self::Forbidden { .. } | Self::NotFound { .. } | Self::TooManyResults | Self::Refused { .. } => {
                NextStep::GiveUp
            }
            Self::Unavailable { .. } | Self::Unknown { .. } | Self::OutOfTime { .. } | Self::Unreadable { .. } => {
                NextStep::Later
            }
        }
    }

    /// Stable code, for alarms and recorded reasons.
    pub fn code(&self) -> &'static str {
        match self {
            Self::SignInRefused { .. } => "sign-in-refused",
            Self::Forbidden { .. } => "forbidden",
            Self::NotFound { .. } => "not-found",
            Self::TooManyResults => "too-many-results",
            Self::Refused { .. } => "request-refused",
            Self::Unavailable { .. } => "source-unavailable",
            Self::Unknown { .. } => "outcome-unknown",
            Self::OutOfTime { .. } => "out-of-time",
            Self::Unreadable { .. } => "unreadable-answer",
        }
    }
}

/// Why a download gave no bytes, or stopped. No kind carries the URL.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MediaError {
    /// The URL points where we do not go: not https, not an allowed host, or a private address.
    #[error("the source gave a URL that is not allowed ({why}): if the host is right, add it to MEDIA_HOSTS")]
    NotAllowed {
        /// Which rule, and the host's name; never path or query.
        why: String,
    },
    /// The signature is no longer accepted (401, 403, 410): a fresh URL is needed.
    #[error("the URL is no longer accepted (status {status})")]
    Expired {
        /// HTTP status.
        status: u16,
    },
    /// 404: nothing behind the URL.
    #[error("there is nothing behind the URL (status {status})")]
    Gone {
        /// HTTP status.
        status: u16,
    },
    /// Nothing came back, or only what passes (no connection, a time-out, 408, 429, 5xx): no fault of this URL.
    #[error("the media host is not answering ({detail})")]
    Unavailable {
        /// Status or fault, without URLs.
        detail: String,
        /// How long the host asks to be left alone; at most five minutes.
        retry_after: Option<std::time::Duration>,
    },
    /// An answer that broke off, or is none.
    #[error("the download failed ({detail})")]
    Interrupted {
        /// Status or fault, without URLs.
        detail: String,
    },
}
