//! What is wrong with an event, or with the store, as a refusal over HTTP.
//!
//! Must never repeat anything of an event, nor say anything of the store or of settings.

pub use callvault_http::Problem;
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

use crate::event::Malformed;
use crate::store::StoreError;

/// When it is worth sending an event again after trouble that is not the sender's, in seconds.
const AGAIN: HeaderValue = HeaderValue::from_static("5");

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
