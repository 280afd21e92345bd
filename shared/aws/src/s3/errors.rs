//! What S3 says, in the archive's words.
//!
//! Must never repeat a signature, a token or a header of a request: only S3's code, its message, and who did not answer.

use std::error::Error;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use callvault_pipeline::archive::ArchiveError;

/// Longer messages are cut: logs and alarms show them.
const LONGEST_MESSAGE: usize = 400;

/// An action that failed, for the message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Action<'a> {
    /// As IAM and S3's reference name it.
    pub(super) name: &'static str,
    /// What it was done to: `s3://bucket/key`.
    pub(super) target: &'a str,
    /// The key that objects are encrypted with.
    pub(super) kms_key: Option<&'a str>,
}

/// What a refusal means to whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// An object is there already: `If-None-Match` refused.
    Exists,
    /// Somebody else is writing the same key at this moment.
    Conflict,
    /// There is no such object, or no such upload.
    Absent,
    /// It may not be done.
    Denied,
    /// Nobody knows whether it was done.
    Unknown,
    /// Something else.
    Other,
}

/// What a failure means.
pub(super) fn meaning<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Meaning {
    let status = error.raw_response().map(|response| response.status().as_u16());
    match (status, code(error)) {
        (_, Some("NoSuchBucket")) => Meaning::Other,
        (Some(412), _) => Meaning::Exists,
        (Some(409), Some("ConditionalRequestConflict")) => Meaning::Conflict,
        (Some(404), _) => Meaning::Absent,
        (Some(403), _) => Meaning::Denied,
        (Some(500..), _) => Meaning::Unknown,
        (Some(_), Some(_)) => Meaning::Other,
        _ if matches!(error, SdkError::ConstructionFailure(_)) => Meaning::Other,
        _ => Meaning::Unknown,
    }
}

/// A failure in the archive's words.
pub(super) fn archive_error<E: ProvideErrorMetadata + Error>(
    action: Action<'_>,
    error: &SdkError<E, HttpResponse>,
) -> ArchiveError {
    let Action { name, target, .. } = action;
    let Some(response) = error.raw_response() else {
        let detail = format!("{name} {target}: {}", unanswered(error));
        return match error {
            SdkError::ConstructionFailure(_) => ArchiveError::Failed { detail },
            _ => ArchiveError::Unreachable { detail },
        };
    };
    let status = response.status().as_u16();
    let code = code(error).unwrap_or(match status {
        // An answer to HEAD has no body, so S3 cannot say which.
        301 | 307 => "PermanentRedirect",
        403 => "AccessDenied",
        _ => "no code",
    });
    let message: String = error.meta_message().unwrap_or("no message").chars().take(LONGEST_MESSAGE).collect();
    let said = format!("{name} {target}: {code} ({status}): {message}");
    match code {
        _ if code.starts_with("KMS.") || message.contains("kms:") => {
            let key = action.kms_key.unwrap_or("the bucket's own key");
            ArchiveError::Denied { detail: format!("{said}; the KMS key is {key}") }
        }
        "AccessDenied" | "Forbidden" if name == "HeadObject" => {
            ArchiveError::Denied { detail: format!("{said}; without s3:ListBucket S3 says so of absent objects too") }
        }
        "AccessDenied"
        | "Forbidden"
        | "AllAccessDisabled"
        | "AccountProblem"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidToken"
        | "NotSignedUp"
        | "MethodNotAllowed" => ArchiveError::Denied { detail: said },
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
            ArchiveError::Denied { detail: format!("{said}; the AWS credentials have expired: sign in again") }
        }
        "RequestTimeTooSkewed" => ArchiveError::Denied { detail: format!("{said}; this machine's clock is wrong") },
        "NoSuchBucket" => ArchiveError::Unreachable { detail: format!("{said}; there is no such bucket") },
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException"
        | "IncorrectEndpoint" => {
            let region = response.headers().get("x-amz-bucket-region").unwrap_or("another region");
            ArchiveError::Unreachable { detail: format!("{said}; the bucket is in {region}: set AWS_REGION") }
        }
        "InvalidObjectState" => {
            ArchiveError::Failed { detail: format!("{said}; the object is in cold storage: restore it first") }
        }
        _ => ArchiveError::Failed { detail: said },
    }
}

/// S3's code, where it gave one.
fn code<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<&str> {
    // What the SDK makes up for answers without a body is not S3's word.
    error.meta_code().filter(|code| !matches!(*code, "NotFound" | ""))
}

trait Meta {
    fn meta_code(&self) -> Option<&str>;
    fn meta_message(&self) -> Option<&str>;
}

impl<E: ProvideErrorMetadata> Meta for SdkError<E, HttpResponse> {
    fn meta_code(&self) -> Option<&str> {
        self.as_service_error().and_then(|error| error.code())
    }

    fn meta_message(&self) -> Option<&str> {
        self.as_service_error().and_then(|error| error.message())
    }
}

/// Why there is no answer: the innermost cause, which names no header and no query.
fn unanswered<E: Error>(error: &SdkError<E, HttpResponse>) -> String {
    let what = match error {
        SdkError::TimeoutError(_) => "no answer in time",
        SdkError::DispatchFailure(failure) if failure.is_timeout() => "no connection in time",
        SdkError::DispatchFailure(_) => "not sent, or not answered",
        SdkError::ConstructionFailure(_) => "not a request that could be sent",
        _ => "an answer that cannot be read",
    };
    let cause = match error {
        SdkError::DispatchFailure(failure) => failure.as_connector_error().and_then(Error::source),
        _ => None,
    };
    cause.map_or_else(|| what.to_owned(), |cause| format!("{what} ({})", innermost(cause)))
}

/// The cause of all causes.
pub(super) fn innermost<'a>(mut error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    while let Some(cause) = error.source() {
        error = cause;
    }
    error
}
