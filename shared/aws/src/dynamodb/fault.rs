//! The SDK's errors in the ledger's words: what went wrong, and what to do. Never a credential, never a request.

use std::error::Error as _;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use callvault_pipeline::ledger::LedgerError;

/// Whether a failed call may have taken effect all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It was refused, or never sent.
    None,
    /// Nobody knows: the answer was lost.
    Unknown,
}

/// Whether the call may have taken effect. The SDK has tried several times: one attempt may have, though the last one
/// was refused for the pace.
pub(crate) fn effect<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Effect {
    match error {
        SdkError::ConstructionFailure(_) => Effect::None,
        SdkError::ServiceError(service) => match service.err().code() {
            Some("ValidationException" | "ResourceNotFoundException" | "AccessDeniedException")
            | Some("UnrecognizedClientException" | "ExpiredTokenException" | "MissingAuthenticationTokenException")
            | Some("ItemCollectionSizeLimitExceededException") => Effect::None,
            _ => Effect::Unknown,
        },
        _ => Effect::Unknown,
    }
}

/// What failed.
pub(crate) struct Of<'a> {
    pub(crate) operation: &'a str,
    pub(crate) table: &'a str,
    pub(crate) region: &'a str,
    /// The setting that names the table.
    pub(crate) setting: &'static str,
}

/// A call failed.
pub(crate) fn fault<E, R>(error: &SdkError<E, R>, of: &Of<'_>) -> LedgerError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let Of { operation, region, .. } = of;
    let detail = match error {
        SdkError::ServiceError(service) => refused(service.err(), of),
        SdkError::TimeoutError(_) => format!("DynamoDB in {region} did not answer {operation} in time: run again"),
        SdkError::ConstructionFailure(_) | SdkError::DispatchFailure(_) => {
            format!(
                "DynamoDB in {region} cannot be reached: {}: check AWS credentials, region and network",
                cause(error)
            )
        }
        _ => format!("DynamoDB in {region} answered {operation} with something unreadable: run again"),
    };
    LedgerError::Unusable { detail }
}

fn refused(error: &impl ProvideErrorMetadata, of: &Of<'_>) -> String {
    let Of { operation, table, region, setting } = of;
    let code = error.code().unwrap_or("an unknown error");
    let message = error.message().unwrap_or_default();
    match code {
        "ResourceNotFoundException" => {
            format!("there is no table {table} with its indexes in {region}: check {setting} and the region")
        }
        "AccessDeniedException" => format!("AWS does not allow dynamodb:{operation} on table {table}: check the role"),
        "UnrecognizedClientException" | "ExpiredTokenException" | "MissingAuthenticationTokenException" => {
            format!("AWS does not accept the credentials ({code}): sign in again")
        }
        "ProvisionedThroughputExceededException" | "ThrottlingException" | "RequestLimitExceeded" => {
            format!("DynamoDB asks for a slower pace on table {table} ({code}): it goes on by itself later")
        }
        _ => format!("DynamoDB refused {operation} on table {table}: {code}: {message}"),
    }
}

/// The innermost cause, which is the one that says something.
fn cause<E, R>(error: &SdkError<E, R>) -> String
where
    E: std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let mut last: Option<&dyn std::error::Error> = error.source();
    while let Some(next) = last.and_then(std::error::Error::source) {
        last = Some(next);
    }
    last.map_or_else(|| "no cause given".to_owned(), ToString::to_string)
}
