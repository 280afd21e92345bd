//! `receive-calls`: the webhook of telephony events behind API Gateway (HTTP API, payload 2.0).
//!
//! What a request means is that of [`callvault_calls::webhook`], the same as in `callvault serve`. API Gateway lets everybody in, up
//! to its throttle: the secret is compared here. Must never answer 200 before the event is in the table.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use callvault_bootstrap::lambda::gate::SecretGate;
use callvault_bootstrap::lambda::refusal::Refusal;
use callvault_bootstrap::lambda::{Function, http as gateway, required};
use callvault_bootstrap::{aws, system};
use callvault_calls::Problem;
use callvault_calls::gate::Gate;
use callvault_calls::store::CallStore;
use callvault_calls::webhook::{self, Webhook};
use callvault_pipeline::clock::Clock;
use callvault_pipeline::stages::Shift;
use http::header::RETRY_AFTER;
use http::{HeaderValue, Request, Response, StatusCode};
use serde_json::Value;

/// The environment variables it reads.
pub const SETTINGS: &[&str] = &["CALLS_TABLE", "WEBHOOK_SECRET_ID", "LOG_LEVEL"];

/// The function.
pub const FUNCTION: Function =
    Function { name: "receive-calls", stages: &[], settings: SETTINGS, source: false, archive: false };

/// What an instance keeps.
pub struct Parts {
    /// Who may send events.
    pub gate: SecretGate,
    /// Where they are kept.
    pub store: Arc<dyn CallStore>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl Parts {
    /// Parts as the settings say. Reads the secret.
    ///
    /// # Errors
    /// [`Refusal`]: a setting is missing, the secret cannot be read.
    pub async fn connect(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Refusal> {
        let secret = "the name or ARN of the secret in Secrets Manager that senders prove to be allowed with";
        let names = [("CALLS_TABLE", "the name of the table of calls"), ("WEBHOOK_SECRET_ID", secret)];
        let [table, secret] = required(lookup, names)?;
        let sdk = aws::of_function(system::environment);
        let gate = SecretGate::connect(&sdk, &secret, system::clock()).await?;
        Ok(Self { gate, store: Arc::new(aws::calls(&sdk, &table)), clock: system::clock() })
    }
}

/// Answers one request.
///
/// # Errors
/// [`Refusal`]: the event is no request of API Gateway, or nobody can say who may send events. What is wrong with a request is an answer.
pub async fn handle(event: &Value, parts: &Parts, shift: Shift) -> Result<Value, Refusal> {
    let not_found = || Problem::new(StatusCode::NOT_FOUND, "not-found", "there is nothing here");
    let response = match gateway::request(event)? {
        Ok(request) if webhook::is_path(request.uri().path()) => answer(&request, parts, shift).await?,
        Ok(_) | Err(gateway::NoPath) => not_found().response(),
    };
    Ok(gateway::answer(&response))
}

async fn answer(request: &Request<Bytes>, parts: &Parts, shift: Shift) -> Result<Response<Bytes>, Refusal> {
    let webhook = |gate: &Gate| Webhook::new(gate.clone(), Arc::clone(&parts.store));
    let (method, path, headers) = (request.method(), request.uri().path(), request.headers());
    let known = |gate: &Gate| {
        let admitted = webhook(gate).admit(method, path, headers);
        admitted.err().is_none_or(|problem| problem.status != StatusCode::UNAUTHORIZED)
    };
    let webhook = webhook(&parts.gate.for_whom(known).await?);
    let left = Duration::try_from(shift.ends.duration_since(shift.begins)).unwrap_or_default();
    let answered = tokio::time::timeout(left, webhook.answer(request, parts.clock.now())).await;
    // An invocation that is cut is a 500 without a word; this one says that sending it again is safe.
    Ok(answered.unwrap_or_else(|_| out_of_time().response()))
}

fn out_of_time() -> Problem {
    let detail = "the event could not be stored in time: send it again; one that was stored is not stored twice";
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "out-of-time", detail);
    problem.with_header(RETRY_AFTER, HeaderValue::from_static("5"))
}
