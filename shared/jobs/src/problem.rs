//! Refusals, as RFC 9457 wants them: `application/problem+json`, with a stable `code` beside its members.
//!
//! Must never say anything of the ledger, of settings or of whoever else asks.

use bytes::Bytes;
use callvault_pipeline::ledger::LedgerError;
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

/// Every `code` there is; `openapi.yaml` lists them too.
pub const CODES: [&str; 16] = [
    "body-malformed",
    "body-too-large",
    "day-not-over",
    "day-too-early",
    "jobs-api-off",
    "ledger-full",
    "ledger-unreadable",
    "ledger-unusable",
    "method-not-allowed",
    "not-found",
    "out-of-time",
    "request-too-slow",
    "too-many-days",
    "unauthorized",
    "unsupported-media-type",
    "window-empty",
];

/// When it is worth asking again after trouble that is not the sender's, in seconds.
const AGAIN: HeaderValue = HeaderValue::from_static("30");

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The status.
    pub status: StatusCode,
    /// Stable; one of [`CODES`].
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

    /// The request says something that cannot be done.
    pub fn bad(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// There is nothing of this path.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "there is nothing here: see the API's description for its paths")
    }

    /// The body is longer than [`crate::MOST_BYTES`].
    pub fn too_large() -> Self {
        let detail = format!("the body is longer than {} bytes", crate::MOST_BYTES);
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail)
    }

    /// There was no time to finish. What was planned stays planned, and asking again does nothing twice.
    pub fn out_of_time() -> Self {
        let detail = "there was no time for all of it: ask again, or for fewer days; nothing is done twice";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "out-of-time", detail).with_header(RETRY_AFTER, AGAIN)
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

/// What went wrong stays in the log.
impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        tracing::error!(code = error.code(), "the jobs API could not go on: {error}");
        let detail = "the ledger cannot be used now: ask again later; nothing is lost, and nothing is done twice";
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
