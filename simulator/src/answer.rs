//! Answers: status, headers and a body, in the platform's forms, before they go to the wire.
//!
//! Owns the shape of errors. Knows nothing of connections: cutting and dropping is the server's.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::{Value, json};

use crate::media::Source;

/// An answer on its way out.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Body,
}

#[derive(Debug)]
pub(crate) enum Body {
    Empty,
    Whole(Bytes),
    /// A media file, from `skip` on, `length` bytes.
    Media {
        source: Box<Source>,
        skip: u64,
        length: u64,
    },
}

impl Answer {
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Body::Empty }
    }

    pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Self {
        // Values and our own structs always serialize.
        let text = serde_json::to_vec(body).unwrap_or_default();
        Self { body: Body::Whole(text.into()), ..Self::empty(status) }.with(CONTENT_TYPE, "application/json")
    }

    pub(crate) fn ok(body: &impl Serialize) -> Self {
        Self::json(StatusCode::OK, body)
    }

    /// The platform's ErrorBody.
    pub(crate) fn error(status: StatusCode, code: &str, message: &str) -> Self {
        let body: Value = json!({
            "message": message,
            "code": code,
            "status": status.as_u16(),
            "messageParams": {},
            "details": [],
            "errors": [],
        });
        Self::json(status, &body)
    }

    pub(crate) fn bad_request(message: &str) -> Self {
        Self::error(StatusCode::BAD_REQUEST, "bad.request", message)
    }

    pub(crate) fn not_found(message: &str) -> Self {
        Self::error(StatusCode::NOT_FOUND, "not.found", message)
    }

    /// An error of the object store that holds the media.
    pub(crate) fn store_error(status: StatusCode, code: &str, message: &str) -> Self {
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        );
        Self { body: Body::Whole(text.into()), ..Self::empty(status) }.with(CONTENT_TYPE, "application/xml")
    }

    /// Adds a header; a value that is no header value is left out.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }
}
