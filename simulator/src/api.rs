//! The platform's endpoints: which request is which operation, and who answers it.
//!
//! Owns routing under `/api/v2`. Every endpoint is a plain function from the world and a call to an answer: no
//! awaiting, no connections, no faults but those that change what is said.

pub(crate) mod authorize;
pub(crate) mod batches;
pub(crate) mod control;
pub(crate) mod conversations;
pub(crate) mod download;
pub(crate) mod history;
pub(crate) mod oauth;
pub(crate) mod recordings;
pub(crate) mod users;
pub(crate) mod voicemail;

use bytes::Bytes;
use hyper::Method;
use serde_json::Value;

use crate::answer::Answer;
use crate::faults::{FaultName, Struck};
use crate::grants::Grant;
use crate::world::World;
use voicemail::Listing;

/// One authenticated request to the platform.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) client: &'a str,
    /// What a user allowed the client, where it acts for one.
    pub(crate) grant: Option<&'a Grant>,
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
    UsersMe,
    VoicemailList(Listing<'a>),
    VoicemailSome,
    Voicemail(&'a str),
    VoicemailMedia(&'a str),
    VoicemailChange(&'a str),
    VoicemailDelete(&'a str),
    VoicemailDeleteAll,
    CallbackDisconnect(&'a str),
    /// Needs a user context, and is not simulated.
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
            ("GET", ["users", "me"]) => Self::UsersMe,
            ("PATCH", ["conversations", "callbacks", id]) => Self::CallbackDisconnect(id),
            (method, ["voicemail", rest @ ..]) => Self::of_voicemail(method, rest),
            _ => Self::Unknown,
        }
    }

    fn of_voicemail(method: &str, segments: &[&'a str]) -> Self {
        match (method, segments) {
            ("GET", ["queues", id, "messages"]) => Self::VoicemailList(Listing::Queue(id)),
            ("GET", ["groups", id, "messages"]) => Self::VoicemailList(Listing::Group(id)),
            ("GET", ["me", "messages"]) => Self::VoicemailList(Listing::Mine),
            ("GET", ["messages"]) => Self::VoicemailSome,
            // A path that ends in a slash names no message: what servers make of that is what must never happen.
            ("DELETE", ["messages"] | ["messages", ""]) => Self::VoicemailDeleteAll,
            ("GET", ["messages", id]) => Self::Voicemail(id),
            ("GET", ["messages", id, "media"]) => Self::VoicemailMedia(id),
            ("PATCH", ["messages", id]) => Self::VoicemailChange(id),
            ("DELETE", ["messages", id]) => Self::VoicemailDelete(id),
            _ => Self::NeedsUser,
        }
    }

    /// Whether a fault that concerns the operation makes a difference to this call.
    pub(crate) fn can_meet(self, world: &World, fault: FaultName) -> bool {
        match (self, fault) {
            (Self::MetadataList(id), FaultName::MissingMetadata) => {
                world.org.conversation(id).is_some_and(|found| found.recordings.is_empty())
            }
            _ => true,
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
            Self::UsersMe => "users-me",
            Self::VoicemailList(_) | Self::VoicemailSome => "voicemail-list",
            Self::Voicemail(_) => "voicemail-get",
            Self::VoicemailMedia(_) => "voicemail-media",
            Self::VoicemailChange(_) => "voicemail-read",
            Self::VoicemailDelete(_) => "voicemail-delete",
            Self::VoicemailDeleteAll => "voicemail-delete-all",
            Self::CallbackDisconnect(_) => "callback-disconnect",
            Self::NeedsUser => "needs-user",
            Self::Unknown => "unknown",
        }
    }

    /// The permission that the fault `forbidden` takes from a client.
    fn permission(self) -> Option<&'static str> {
        match self {
            Self::Query => Some("analytics:conversationDetail:view"),
            Self::MetadataList(_) | Self::Metadata(..) | Self::BatchSubmit => Some("recording:recording:view"),
            _ => None,
        }
    }

    /// Does what the operation does, and answers.
    pub(crate) fn answer(self, world: &World, call: &Call<'_>) -> Answer {
        if let Some(permission) = self.permission().filter(|_| call.struck.by(FaultName::Forbidden)) {
            return users::not_permitted(permission);
        }
        let answered = match self {
            Self::Query => conversations::query(world, call),
            Self::Details(id) => conversations::details(world, id),
            Self::DetailsOfMany => Ok(conversations::details_of_many(world, call)),
            Self::HistorySubmit => history::submit(world, call),
            Self::HistoryAvailability => Ok(history::availability(world)),
            Self::HistoryStatus(id) => history::status(world, call, id),
            Self::HistoryResults(id) => history::results(world, call, id),
            Self::HistoryDelete(id) => history::delete(world, id),
            Self::MetadataList(id) => recordings::metadata_list(world, id, call),
            Self::Metadata(id, one) => recordings::metadata(world, id, one),
            Self::Recordings(id) => recordings::list(world, id),
            Self::Recording(id, one) => recordings::one(world, id, one),
            Self::Restore(id, one) => recordings::restore(world, call, id, one),
            Self::BatchSubmit => batches::submit(world, call),
            Self::BatchStatus(id) => batches::status(world, call, id),
            Self::UsersMe => users::me(world, call),
            Self::VoicemailList(listing) => voicemail::list(world, call, listing),
            Self::VoicemailSome => voicemail::some(world, call),
            Self::Voicemail(id) => voicemail::one(world, call, id),
            Self::VoicemailMedia(id) => voicemail::media(world, call, id),
            Self::VoicemailChange(id) => voicemail::change(world, call, id),
            Self::VoicemailDelete(id) => voicemail::delete(world, call, id),
            Self::VoicemailDeleteAll => voicemail::delete_all(world, call),
            Self::CallbackDisconnect(id) => users::disconnect(world, call, id),
            Self::NeedsUser => users::user(call, None).and(Err(unknown())),
            Self::Unknown => Err(unknown()),
        };
        answered.unwrap_or_else(|refusal| refusal)
    }
}

fn unknown() -> Answer {
    Answer::not_found("The requested resource was not found.")
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
