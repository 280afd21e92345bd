//! Refusals over HTTP, as RFC 9457 wants them: `application/problem+json`, with a stable `code` beside its members.
//!
//! Must never repeat anything of an event, nor say anything of the store or of settings.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

use crate::event::Malformed;
use crate::store::StoreError;

/// When it is worth sending an event again after trouble that is not the sender's, in seconds.
const AGAIN: HeaderValue = HeaderValue::from_static("5");

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The status.
    pub status: StatusCode,
    /// Stable.
    pub code: &'static str,
    /// What to do about it, for people.
    pub detail: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), header: None }
    }

    /// The body is longer than it may be.
    pub fn too_large(most_bytes: usize) -> Self {
        let detail = format!("the body is longer than {most_bytes} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail)
    }

    /// The same with a header.
    #[must_use]
    pub fn with_header(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { header: Some((name, value)), ..self }
    }

    /// The response.
    pub fn response(&self) -> Response<Bytes> {
        let body = json!({
            // RFC 9457, section 4.2.1: with this type the title is the status's own phrase.
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Unknown"),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
        });
        let mut response = response(self.status, "application/problem+json", body.to_string().into());
        if let Some((name, value)) = &self.header {
            response.headers_mut().insert(name, value.clone());
        }
        response
    }
}

impl From<Malformed> for Problem {
    fn from(malformed: Malformed) -> Self {
        let code = match malformed {
            Malformed::NotAnObject | Malformed::NotJson { .. } | Malformed::TooDeep => "body-malformed",
            Malformed::Type | Malformed::CallId | Malformed::Timestamp | Malformed::Actor => "event-malformed",
        };
        Self::new(StatusCode::BAD_REQUEST, code, malformed.to_string())
    }
}

/// What went wrong stays in the log.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if let StoreError::TooLarge { most_bytes } = error {
            let detail = format!("the event is longer than {most_bytes} bytes, and cannot be stored");
            return Self::new(StatusCode::PAYLOAD_TOO_LARGE, error.code(), detail);
        }
        tracing::error!(code = error.code(), "an event could not be stored: {error}");
        let detail = "the event could not be stored: send it again later; one that was stored is not stored twice";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.code(), detail).with_header(RETRY_AFTER, AGAIN)
    }
}

/// A response with a body of this type.
pub(crate) fn response(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
