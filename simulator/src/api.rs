//! The platform's endpoints: which request is which operation, and who answers it.
//!
//! Owns routing under `/api/v2`. Every endpoint is a plain function from the world and a call to an answer: no
//! awaiting, no connections, no faults but those that change what is said.

pub(crate) mod batches;
pub(crate) mod control;
pub(crate) mod conversations;
pub(crate) mod download;
pub(crate) mod history;
pub(crate) mod oauth;
pub(crate) mod recordings;

use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde_json::Value;

use crate::answer::Answer;
use crate::faults::Struck;
use crate::world::World;

/// One authenticated request to the platform.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) client: &'a str,
    pub(crate) query: &'a str,
    pub(crate) body: &'a Bytes,
    pub(crate) struck: &'a Struck,
}

impl Call<'_> {
    /// The JSON body.
    pub(crate) fn json(&self) -> Result<Value, Answer> {
        serde_json::from_slice(self.body)
            .map_err(|fault| Answer::bad_request(&format!("The request body is not valid JSON: {fault}")))
    }

    /// A query parameter, decoded.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        parameter(self.query, name)
    }
}

/// What a request under `/api/v2` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation<'a> {
    Query,
    Details(&'a str),
    DetailsOfMany,
    HistorySubmit,
    HistoryAvailability,
    HistoryStatus(&'a str),
    HistoryResults(&'a str),
    HistoryDelete(&'a str),
    MetadataList(&'a str),
    Metadata(&'a str, &'a str),
    Recordings(&'a str),
    Recording(&'a str, &'a str),
    Restore(&'a str, &'a str),
    BatchSubmit,
    BatchStatus(&'a str),
    /// Needs a user context, which client credentials do not have.
    NeedsUser,
    Unknown,
}

impl<'a> Operation<'a> {
    /// Reads method and path.
    pub(crate) fn of(method: &Method, path: &'a str) -> Self {
        let Some(rest) = path.strip_prefix("/api/v2/") else {
            return Self::Unknown;
        };
        let segments: Vec<&str> = rest.split('/').collect();
        match (method.as_str(), segments.as_slice()) {
            ("POST", ["analytics", "conversations", "details", "query"]) => Self::Query,
            ("GET", ["analytics", "conversations", "details"]) => Self::DetailsOfMany,
            ("POST", ["analytics", "conversations", "details", "jobs"]) => Self::HistorySubmit,
            ("GET", ["analytics", "conversations", "details", "jobs", "availability"]) => Self::HistoryAvailability,
            ("GET", ["analytics", "conversations", "details", "jobs", id]) => Self::HistoryStatus(id),
            ("DELETE", ["analytics", "conversations", "details", "jobs", id]) => Self::HistoryDelete(id),
            ("GET", ["analytics", "conversations", "details", "jobs", id, "results"]) => Self::HistoryResults(id),
            ("GET", ["analytics", "conversations", id, "details"]) => Self::Details(id),
            ("GET", ["conversations", id, "recordingmetadata"]) => Self::MetadataList(id),
            ("GET", ["conversations", id, "recordingmetadata", one]) => Self::Metadata(id, one),
            ("GET", ["conversations", id, "recordings"]) => Self::Recordings(id),
            ("GET", ["conversations", id, "recordings", one]) => Self::Recording(id, one),
            ("PUT", ["conversations", id, "recordings", one]) => Self::Restore(id, one),
            ("POST", ["recording", "batchrequests"]) => Self::BatchSubmit,
            ("GET", ["recording", "batchrequests", id]) => Self::BatchStatus(id),
            (_, ["voicemail", ..]) | ("GET", ["users", "me"]) => Self::NeedsUser,
            _ => Self::Unknown,
        }
    }

    /// The word in counts and faults.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Query => "conversations-query",
            Self::Details(_) | Self::DetailsOfMany => "conversation-details",
            Self::HistorySubmit => "history-submit",
            Self::HistoryAvailability => "history-availability",
            Self::HistoryStatus(_) => "history-status",
            Self::HistoryResults(_) => "history-results",
            Self::HistoryDelete(_) => "history-delete",
            Self::MetadataList(_) | Self::Metadata(..) => "recordingmetadata",
            Self::Recordings(_) | Self::Recording(..) => "recordings",
            Self::Restore(..) => "recording-restore",
            Self::BatchSubmit => "batch-submit",
            Self::BatchStatus(_) => "batch-status",
            Self::NeedsUser => "needs-user",
            Self::Unknown => "unknown",
        }
    }

    /// Does what the operation does, and answers.
    pub(crate) fn answer(self, world: &World, call: &Call<'_>) -> Answer {
        let answered = match self {
            Self::Query => conversations::query(world, call),
            Self::Details(id) => conversations::details(world, id),
            Self::DetailsOfMany => Ok(conversations::details_of_many(world, call)),
            Self::HistorySubmit => history::submit(world, call),
            Self::HistoryAvailability => Ok(history::availability(world)),
            Self::HistoryStatus(id) => history::status(world, call, id),
            Self::HistoryResults(id) => history::results(world, call, id),
            Self::HistoryDelete(id) => history::delete(world, id),
            Self::MetadataList(id) => recordings::metadata_list(world, id),
            Self::Metadata(id, one) => recordings::metadata(world, id, one),
            Self::Recordings(id) => recordings::list(world, id),
            Self::Recording(id, one) => recordings::one(world, id, one),
            Self::Restore(id, one) => recordings::restore(world, call, id, one),
            Self::BatchSubmit => batches::submit(world, call),
            Self::BatchStatus(id) => batches::status(world, call, id),
            Self::NeedsUser => Err(Answer::error(
                StatusCode::BAD_REQUEST,
                "not.a.user",
                "This request requires a user context. Client credentials cannot be used for requests that require a user context.",
            )),
            Self::Unknown => Err(Answer::not_found("The requested resource was not found.")),
        };
        answered.unwrap_or_else(|refusal| refusal)
    }
}

/// The value of `name` in a query string or a form, decoded.
pub(crate) fn parameter(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key) == name).then(|| decode(value))
    })
}

/// Undoes `application/x-www-form-urlencoded`.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match (first, escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(*first),
        }
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        assert_eq!(parameter("a=1&grant%5Ftype=client+%C3%A9%", "grant_type").unwrap(), "client é%");
        assert_eq!(parameter("a=1", "b"), None);
    }
}
