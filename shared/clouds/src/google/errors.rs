//! What Google says, in the archive's words.
//!
//! Must never repeat a token or the address of an upload session: only Google's reason and its message.

use callvault_pipeline::archive::ArchiveError;
use serde::Deserialize;

use crate::wire::{Answer, is_passing};
use crate::words::shown;

/// What a refusal means to whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// An object is there already: `ifGenerationMatch` refused.
    Exists,
    /// There is no such object.
    Absent,
    /// Nobody knows whether it was done.
    Unknown,
    /// Something else.
    Other,
}

#[derive(Deserialize, Default)]
struct Said {
    #[serde(default)]
    error: Reasons,
}

#[derive(Deserialize, Default)]
struct Reasons {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<Reason>,
}

#[derive(Deserialize, Default)]
struct Reason {
    #[serde(default)]
    reason: String,
}

fn said(answer: &Answer) -> (String, String) {
    let said: Said = serde_json::from_slice(&answer.body).unwrap_or_default();
    let reason = said.error.errors.first().map(|first| first.reason.clone()).unwrap_or_default();
    let reason = reason.chars().filter(char::is_ascii_alphanumeric).take(60).collect();
    (reason, shown(&said.error.message))
}

/// What an answer that is no success means.
pub(super) fn meaning(answer: &Answer) -> Meaning {
    match answer.status {
        412 => Meaning::Exists,
        404 if is_about_bucket(&said(answer).1) => Meaning::Other,
        404 | 410 => Meaning::Absent,
        status if is_passing(status) => Meaning::Unknown,
        _ => Meaning::Other,
    }
}

/// An absent bucket and an absent object have the same reason; the message tells them apart.
fn is_about_bucket(message: &str) -> bool {
    message.to_ascii_lowercase().contains("bucket does not exist")
}

/// A refusal in the archive's words.
pub(super) fn refusal(action: &str, target: &str, answer: &Answer) -> ArchiveError {
    let (reason, message) = said(answer);
    let status = answer.status;
    let named = if reason.is_empty() { "no reason" } else { &reason };
    let mut text = format!("{action} {target}: {named} ({status})");
    if !message.is_empty() {
        text = format!("{text}: {message}");
    }
    let denied = |advice: &str| ArchiveError::Denied { detail: format!("{text}; {advice}") };
    let lower = message.to_ascii_lowercase();
    match (status, reason.as_str()) {
        (404, _) if is_about_bucket(&message) => {
            ArchiveError::Unreachable { detail: format!("{text}; create it, or check ARCHIVE") }
        }
        (401, _) => denied("the credential has expired or is not valid any more: sign in again"),
        (403, "retentionPolicyNotMet" | "objectUnderActiveHold") => denied("the bucket keeps it as it is"),
        (403, "accountDisabled" | "billingNotEnabled" | "userAccountDisabled") => {
            denied("the project's billing or account is switched off")
        }
        (403, "insufficientPermissions") if lower.contains("scope") => {
            denied("the machine's access scopes leave storage out: give it the scope `devstorage.read_write`")
        }
        (403, "rateLimitExceeded" | "userRateLimitExceeded") => ArchiveError::Failed { detail: text },
        (403, "quotaExceeded") => ArchiveError::Full,
        (403, _) => denied("give the service account the role `Storage Object User` on the bucket"),
        (400, "required") if lower.contains("user project") => {
            denied("the bucket's reader pays, which callvault does not support")
        }
        (301 | 302 | 307, _) => ArchiveError::Unreachable { detail: format!("{text}; it is somewhere else") },
        _ => ArchiveError::Failed { detail: text },
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;

    fn answer(status: u16, reason: &str, message: &str) -> Answer {
        let body = format!(
            r#"{{"error":{{"code":{status},"message":"{message}","errors":[{{"domain":"global","reason":"{reason}"}}]}}}}"#
        );
        Answer { status, headers: HeaderMap::new(), body: Bytes::from(body) }
    }

    #[test]
    fn refusals_say_what_to_do() {
        let cases = [
            (404, "notFound", "The specified bucket does not exist.", "archive-unreachable", "check ARCHIVE"),
            (401, "authError", "Invalid Credentials", "archive-denied", "expired"),
            (
                403,
                "forbidden",
                "x does not have storage.objects.create access",
                "archive-denied",
                "Storage Object User",
            ),
            (
                403,
                "insufficientPermissions",
                "Request had insufficient authentication scopes",
                "archive-denied",
                "scope",
            ),
            (403, "accountDisabled", "The account is disabled in state absent", "archive-denied", "billing"),
            (403, "retentionPolicyNotMet", "Object is subject to retention", "archive-denied", "keeps it"),
            (503, "backendError", "Backend Error", "archive-failed", "backendError"),
            (400, "invalid", "Provided CRC32C does not match", "archive-failed", "CRC32C"),
        ];
        for (status, reason, message, expected, words) in cases {
            let error = refusal("objects.insert", "gs://b/k", &answer(status, reason, message));
            assert_eq!(error.code(), expected, "{reason}");
            assert!(error.to_string().contains(words), "{reason}: {error}");
        }
    }

    #[test]
    fn what_a_refusal_means() {
        let cases = [
            (412, "conditionNotMet", "", Meaning::Exists),
            (404, "notFound", "No such object: b/k", Meaning::Absent),
            (404, "notFound", "The specified bucket does not exist.", Meaning::Other),
            (503, "backendError", "", Meaning::Unknown),
            (403, "forbidden", "", Meaning::Other),
        ];
        for (status, reason, message, expected) in cases {
            assert_eq!(meaning(&answer(status, reason, message)), expected, "{reason}");
        }
    }
}
