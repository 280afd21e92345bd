//! What Azure says, in the archive's words.
//!
//! Must never repeat a signature, a token or a header of a request: only Azure's code and its message.

use callvault_pipeline::archive::ArchiveError;

use crate::wire::{Answer, is_passing};
use crate::words::shown;

/// What a refusal means to whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A blob is there already: `If-None-Match` refused, or the container keeps what is there from being overwritten.
    Exists,
    /// There is no such blob.
    Absent,
    /// The blocks that were sent are not there any more: another writer has made the blob, which removes them.
    BlocksGone,
    /// Nobody knows whether it was done.
    Unknown,
    /// Something else.
    Other,
}

/// What an answer that is no success means.
pub(super) fn meaning(answer: &Answer) -> Meaning {
    match (answer.status, code(answer).as_str()) {
        (_, "BlobAlreadyExists" | "UnauthorizedBlobOverwrite" | "BlobImmutableDueToPolicy") | (412, _) => {
            Meaning::Exists
        }
        (_, "InvalidBlockList" | "InvalidBlobOrBlock") => Meaning::BlocksGone,
        (404, "ContainerNotFound" | "ResourceNotFound") => Meaning::Other,
        (404, _) => Meaning::Absent,
        (status, _) if is_passing(status) => Meaning::Unknown,
        _ => Meaning::Other,
    }
}

/// A refusal in the archive's words. `has_identity`: whether roles decide, or a key.
pub(super) fn refusal(action: &str, target: &str, answer: &Answer, has_identity: bool) -> ArchiveError {
    let (status, code) = (answer.status, code(answer));
    let message = element(answer, "Message").map(|message| shown(&message)).unwrap_or_default();
    let named = if code.is_empty() { "no code" } else { &code };
    let mut said = format!("{action} {target}: {named} ({status})");
    if !message.is_empty() {
        said = format!("{said}: {message}");
    }
    let denied = |advice: &str| ArchiveError::Denied { detail: format!("{said}; {advice}") };
    let expired = || {
        let text = format!("{message} {}", element(answer, "AuthenticationErrorDetail").unwrap_or_default());
        let text = text.to_ascii_lowercase();
        text.contains("expired") || text.contains("time frame") || text.contains("lifetime")
    };
    match code.as_str() {
        "ContainerNotFound" => unreachable_there(&said, "there is no such container: create it, or check ARCHIVE"),
        "ResourceNotFound" => unreachable_there(&said, "there is no such account or container: check ARCHIVE"),
        "ContainerBeingDeleted" => unreachable_there(&said, "somebody is deleting the container"),
        "AccountIsDisabled" => denied("the storage account is disabled"),
        "AccountBeingCreated" => unreachable_there(&said, "the storage account is not ready yet"),
        "InvalidUri" | "InvalidResourceName" => unreachable_there(&said, "check the names in ARCHIVE"),
        "AuthenticationFailed" | "InvalidAuthenticationInfo" if expired() => {
            denied("the credential has expired, or is not valid yet (is this machine's clock right?): renew it")
        }
        "AuthenticationFailed" | "InvalidAuthenticationInfo" | "NoAuthenticationInformation" => {
            denied("the credential is not of this storage account, or not valid any more")
        }
        "KeyBasedAuthenticationNotPermitted" => denied("the account takes no keys: sign in with an identity"),
        "AuthorizationPermissionMismatch" | "InsufficientAccountPermissions" if has_identity => {
            denied("give the identity the role `Storage Blob Data Contributor`")
        }
        "AuthorizationPermissionMismatch" | "AuthorizationResourceTypeMismatch" | "AuthorizationServiceMismatch" => {
            denied("the signature allows less: it needs read, create, write, delete and list of container and objects")
        }
        "AuthorizationFailure" => {
            denied("the credential is not of this account, or its firewall keeps this network out")
        }
        "AuthorizationProtocolMismatch" | "AuthorizationSourceIPMismatch" => {
            denied("the signature is for another network or protocol")
        }
        "BlobImmutableDueToPolicy" => denied("a policy of the container keeps it as it is"),
        "LeaseIdMissing" | "LeaseLost" => {
            ArchiveError::Failed { detail: format!("{said}; somebody holds a lease on it") }
        }
        "BlobArchived" | "BlobBeingRehydrated" => {
            ArchiveError::Failed { detail: format!("{said}; it is in the archive tier: rehydrate it first") }
        }
        "QuotaExceeded" | "AccountLimitExceeded" => ArchiveError::Full,
        _ if status == 507 => ArchiveError::Full,
        _ if matches!(status, 401 | 403) => denied("check who may write there"),
        _ if matches!(status, 301 | 302 | 307) => unreachable_there(&said, "it is somewhere else: check ARCHIVE"),
        _ => ArchiveError::Failed { detail: said },
    }
}

fn unreachable_there(said: &str, advice: &str) -> ArchiveError {
    ArchiveError::Unreachable { detail: format!("{said}; {advice}") }
}

/// Azure's code: answers to HEAD have it in a header only.
fn code(answer: &Answer) -> String {
    let code = answer.header("x-ms-error-code").map(str::to_owned).or_else(|| element(answer, "Code"));
    code.unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).take(60).collect()
}

/// The text of an element of an error's document, which has no other elements of its name.
fn element(answer: &Answer, name: &str) -> Option<String> {
    let text = std::str::from_utf8(&answer.body).ok()?;
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner.to_owned())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;

    fn answer(status: u16, code: &str, message: &str) -> Answer {
        let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>");
        Answer { status, headers: HeaderMap::new(), body: Bytes::from(body) }
    }

    #[test]
    fn refusals_say_what_to_do() {
        let cases = [
            (
                404,
                "ContainerNotFound",
                "The specified container does not exist.",
                "archive-unreachable",
                "no such container",
            ),
            (
                403,
                "AuthenticationFailed",
                "Server failed to authenticate the request.",
                "archive-denied",
                "not of this",
            ),
            (
                403,
                "AuthenticationFailed",
                "Signature not valid in the specified time frame",
                "archive-denied",
                "expired",
            ),
            (
                401,
                "InvalidAuthenticationInfo",
                "Lifetime validation failed. The token is expired.",
                "archive-denied",
                "expired",
            ),
            (403, "AuthorizationPermissionMismatch", "This request is not authorized", "archive-denied", "Contributor"),
            (403, "AuthorizationFailure", "This request is not authorized", "archive-denied", "firewall"),
            (
                404,
                "ResourceNotFound",
                "The specified resource does not exist.",
                "archive-unreachable",
                "no such account",
            ),
            (403, "", "", "archive-denied", "who may write"),
            (409, "AccountIsDisabled", "x", "archive-denied", "disabled"),
            (507, "", "", "archive-full", "no room"),
            (400, "Md5Mismatch", "The MD5 value", "archive-failed", "Md5Mismatch (400)"),
            (503, "ServerBusy", "The server is busy.", "archive-failed", "ServerBusy"),
        ];
        for (status, code, message, expected, words) in cases {
            let error = refusal("Put Blob", "az://a/c/k", &answer(status, code, message), true);
            assert_eq!(error.code(), expected, "{code}");
            assert!(error.to_string().contains(words), "{code}: {error}");
        }
    }

    #[test]
    fn what_a_refusal_means() {
        let cases = [
            (409, "BlobAlreadyExists", Meaning::Exists),
            (412, "ConditionNotMet", Meaning::Exists),
            (403, "UnauthorizedBlobOverwrite", Meaning::Exists),
            (400, "InvalidBlockList", Meaning::BlocksGone),
            (404, "BlobNotFound", Meaning::Absent),
            (404, "", Meaning::Absent),
            (404, "ContainerNotFound", Meaning::Other),
            (500, "InternalError", Meaning::Unknown),
            (403, "AuthenticationFailed", Meaning::Other),
        ];
        for (status, code, expected) in cases {
            assert_eq!(meaning(&answer(status, code, "")), expected, "{code}");
        }
    }
}
