//! `jobs-api`: the jobs API behind API Gateway (HTTP API, payload 2.0).
//!
//! Who may ask is API Gateway's business: IAM or a JWT, never nobody (template.yaml). What a request
//! means is that of [`callvault_jobs`]. It plans, and leaves the work to the functions of the stages.

use std::sync::Arc;
use std::time::Duration;

use callvault_bootstrap::lambda::refusal::Refusal;
use callvault_bootstrap::lambda::work::Work;
use callvault_bootstrap::lambda::{Function, http};
use callvault_jobs::{Jobs, problem};
use serde_json::Value;

/// The environment variables it reads.
pub const SETTINGS: &[&str] = &["LEDGER", "ARCHIVE", "ENVIRONMENT", "KEY_LAYOUT", "TIMEZONE", "LOG_LEVEL"];

/// The function.
pub const FUNCTION: Function =
    Function { name: "jobs-api", stages: &[], settings: SETTINGS, source: false, archive: false };

/// Answers one request.
///
/// # Errors
/// [`Refusal`]: the event is no request of API Gateway. What is wrong with a request is an answer.
pub async fn handle(event: &Value, work: &mut Work<'_>) -> Result<Value, Refusal> {
    let request = match http::request(event)? {
        Ok(request) => request,
        Err(http::NoPath) => return Ok(http::answer(&problem::not_found().response())),
    };
    let house = &work.house;
    let jobs =
        Jobs { ledger: Arc::clone(&house.ledger), clock: Arc::clone(&house.clock), calendar: house.calendar.clone() };
    let left = house.shift.map(|shift| shift.ends.duration_since(house.clock.now()));
    let left = left.map_or(Duration::MAX, |left| Duration::try_from(left).unwrap_or_default());
    // An invocation that is cut is a 500 without a word; this one says that asking again is safe.
    let answered = tokio::time::timeout(left, jobs.answer(request)).await;
    Ok(http::answer(&answered.unwrap_or_else(|_| problem::out_of_time().response())))
}
