//! What came back: headers, bodies and the platform's error texts, none of them trusted.
//!
//! Bodies are read up to a limit, decoded with the place of a fault but without its content, and error messages are
//! redacted before anything else sees them. Nothing here sends.

use std::error::Error;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use reqwest::Response;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::de::DeserializeOwned;

use super::limiter::{LONGEST_PAUSE, Limits, until};
use crate::redact::redact;

/// Largest answer that is read. A page of 100 long conversations has a few MiB.
const LARGEST_ANSWER: usize = 32 * 1024 * 1024;

/// Largest error body that is read; the rest says nothing new.
const LARGEST_ERROR: usize = 64 * 1024;

/// What a 429 without a readable `Retry-After` is taken to mean.
const DEFAULT_PAUSE: Duration = Duration::from_secs(5);

/// A complete answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// Whole JSON, or at least not half of it.
    pub(super) body: Bytes,
}

/// Why a body could not be read.
#[derive(Debug)]
pub(super) enum BodyFault {
    /// It ended early or stalled.
    Cut(String),
    /// It is larger than any answer has to be.
    TooLarge,
}

/// Reads a successful answer's body.
pub(super) async fn read_body(mut response: Response) -> Result<Bytes, BodyFault> {
    let declared = response.content_length().unwrap_or_default();
    if declared > LARGEST_ANSWER as u64 {
        return Err(BodyFault::TooLarge);
    }
    let mut body = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > LARGEST_ANSWER => {
                return Err(BodyFault::TooLarge);
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body.freeze()),
            Err(error) => return Err(BodyFault::Cut(fault(error))),
        }
    }
}

/// Reads what there is of an error's body: the status is known, so a cut body changes nothing.
pub(super) async fn read_error(mut response: Response) -> Bytes {
    let mut body = BytesMut::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = LARGEST_ERROR - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == LARGEST_ERROR {
            break;
        }
    }
    body.freeze()
}

/// A transport fault in words: its kind and innermost cause, without the URL and redacted.
pub(super) fn fault(error: reqwest::Error) -> String {
    let error = error.without_url();
    let kind = if error.is_timeout() {
        "timed out"
    } else if error.is_connect() {
        "could not connect"
    } else if error.is_body() || error.is_decode() {
        "the answer was cut"
    } else {
        "the connection broke"
    };
    told(kind, &error)
}

/// A fault in words: what kind of it, and its innermost cause, redacted. The error must not know the URL.
pub(super) fn told(kind: &str, error: &dyn Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    format!("{kind}: {}", redact(&inner.to_string()))
}

/// Whether a time-out is among the causes.
pub(super) fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Whether JSON just ends, as after a connection that was cut where no length was declared.
pub(super) fn is_cut(body: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(body).is_err_and(|error| error.is_eof())
}

/// Decodes JSON.
///
/// # Errors
/// The path inside the answer and the position, never what was there.
pub(super) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value: T = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        place(&path, error.inner())
    })?;
    reader.end().map_err(|error| place(".", &error))?;
    Ok(value)
}

fn place(path: &str, error: &serde_json::Error) -> String {
    format!("`{path}`, line {} column {} ({:?})", error.line(), error.column(), error.classify())
}

/// The platform's ErrorBody, as far as it is used; every field is optional.
#[derive(Debug, Default)]
pub(super) struct Complaint {
    /// `code`, in our alphabet.
    pub(super) code: String,
    /// `message`, redacted.
    pub(super) message: String,
    /// Whether it says that paging ends before the results do.
    pub(super) too_many_results: bool,
}

impl Complaint {
    /// Reads an ErrorBody; a body that is none gives empty texts, and so does one that repeats `secret`.
    pub(super) fn read(body: &[u8], secret: &str) -> Self {
        let body = without(body, secret);
        let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |key: &str| value.get(key).and_then(|text| text.as_str()).unwrap_or_default();
        let raw_message = if text("message").is_empty() { text("messageWithParams") } else { text("message") };
        let code = word(text("code"));
        let all = String::from_utf8_lossy(body).to_ascii_lowercase();
        Self {
            too_many_results: all.contains("pagination may not exceed")
                || code.to_ascii_lowercase().starts_with("pagination"),
            code: if code.is_empty() { "no code".to_owned() } else { code },
            message: if raw_message.is_empty() { "no message".to_owned() } else { redact(raw_message) },
        }
    }
}

/// A body, unless it repeats `secret`: then nothing.
pub(super) fn without<'b>(body: &'b [u8], secret: &str) -> &'b [u8] {
    let repeats =
        !secret.is_empty() && body.windows(secret.len()).any(|part| part.eq_ignore_ascii_case(secret.as_bytes()));
    if repeats { &[] } else { body }
}

/// A code as the platform writes them, so that nothing else can hide in one: letters, digits, `.`, `_`, `-`; at most 64.
pub(super) fn word(text: &str) -> String {
    let legal = text.chars().take(64).all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if legal && text.len() <= 64 && redact(text) == text { text.to_owned() } else { "unreadable-code".to_owned() }
}

/// The rate limit headers.
pub(super) fn limits(headers: &HeaderMap) -> Limits {
    let number = |name: &str| -> Option<u32> { headers.get(name)?.to_str().ok()?.trim().parse().ok() };
    Limits {
        count: number("inin-ratelimit-count"),
        allowed: number("inin-ratelimit-allowed"),
        reset: number("inin-ratelimit-reset").map(|seconds| Duration::from_secs(seconds.into())),
    }
}

/// `Retry-After`, in seconds or as a date; at most 5 minutes.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let span = match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => {
            Duration::from_secs_f64(seconds.min(LONGEST_PAUSE.as_secs_f64()))
        }
        Ok(_) => return None,
        Err(_) => until(now, jiff::fmt::rfc2822::parse(text).ok()?.timestamp()),
    };
    Some(span.min(LONGEST_PAUSE))
}

/// How long a 429 asks everybody to wait.
pub(super) fn pause_of(headers: &HeaderMap, now: Timestamp) -> Duration {
    retry_after(headers, now).unwrap_or(DEFAULT_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::ConversationPage;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(reqwest::header::HeaderName::from_static(name), value.parse().unwrap())])
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now: Timestamp = "2026-01-15T10:00:00Z".parse().unwrap();
        for (text, seconds) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("86400", Some(300)),
            ("Thu, 15 Jan 2026 10:00:42 GMT", Some(42)),
            ("Thu, 15 Jan 2026 09:00:00 GMT", Some(0)),
            ("-5", None),
            ("NaN", None),
            ("soon", None),
        ] {
            let read = retry_after(&headers("retry-after", text), now);
            assert_eq!(read, seconds.map(Duration::from_secs), "{text}");
        }
        assert_eq!(pause_of(&headers("retry-after", "soon"), now), DEFAULT_PAUSE);
        assert_eq!(pause_of(&HeaderMap::new(), now), DEFAULT_PAUSE);
    }

    #[test]
    fn garbage_in_limit_headers_is_nothing() {
        assert_eq!(limits(&headers("inin-ratelimit-allowed", "-3")), Limits::default());
        assert_eq!(limits(&headers("inin-ratelimit-allowed", "99999999999")), Limits::default());
        assert_eq!(limits(&headers("inin-ratelimit-allowed", "300")).allowed, Some(300));
    }

    #[test]
    fn a_decode_fault_says_where_but_not_what() {
        let at = decode::<ConversationPage>(br#"{"totalHits":1,"conversations":"s3cr3t-value"}"#).unwrap_err();
        assert!(at.contains("conversations") && !at.contains("s3cr3t"), "{at}");
        assert!(is_cut(br#"{"totalHits":1,"#) && is_cut(b"") && !is_cut(b"{}") && !is_cut(b"<html>"));
        assert!(decode::<ConversationPage>(b"{} x").is_err());
        assert!(
            decode::<ConversationPage>(br#"{"conversations":[{"x":1}, 7, null]}"#).unwrap().conversations.len() == 3
        );
    }

    #[test]
    fn a_complaint_is_redacted_and_its_code_is_a_word() {
        let complaint =
            Complaint::read(br#"{"message":"no https://h/?sig=1 for tel:+13175550100","code":"a b\n<c>"}"#, "");
        let echo = Complaint::read(br#"{"code":"K3Y","message":"x"}"#, "k3y");
        assert_eq!((echo.code.as_str(), echo.message.as_str()), ("no code", "no message"));
        assert_eq!(complaint.message, "no <url> for <number>");
        assert_eq!(complaint.code, "unreadable-code");
        assert!(!complaint.too_many_results);
        assert!(Complaint::read(b"PAGINATION MAY NOT EXCEED 100000 results", "").too_many_results);
        assert!(Complaint::read(br#"{"code":"pagination.limit"}"#, "").too_many_results);
        assert_eq!(Complaint::read(b"<html>", "").code, "no code");
    }
}
