//! Refusals of the jobs API.
//!
//! Must never say anything of the ledger, of settings or of whoever else asks.

pub use callvault_http::Problem;
use callvault_pipeline::ledger::LedgerError;
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

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

/// There is nothing of this path.
pub fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not-found", "there is nothing here: see the API's description for its paths")
}

/// There was no time to finish. What was planned stays planned, and asking again does nothing twice.
pub fn out_of_time() -> Problem {
    let detail = "there was no time for all of it: ask again, or for fewer days; nothing is done twice";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "out-of-time", detail).with_header(RETRY_AFTER, AGAIN)
}

/// What went wrong stays in the log.
pub(crate) fn of_ledger(error: LedgerError) -> Problem {
    tracing::error!(code = error.code(), "the jobs API could not go on: {error}");
    let detail = "the ledger cannot be used now: ask again later; nothing is lost, and nothing is done twice";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.code(), detail).with_header(RETRY_AFTER, AGAIN)
}
