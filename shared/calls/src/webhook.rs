//! A request with an event, from request to response.
//!
//! An event is answered with 200 once it is stored, and again with 200 when it comes again. Anything else is a [`Problem`]: 4xx
//! for what is the sender's to change, 503 for what sending it again later will mend. Must never answer 200 before
//! the store has answered.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use jiff::Timestamp;

use crate::Problem;
use crate::event::NewEvent;
use crate::gate::Gate;
use crate::store::{Appended, CallStore};

/// The path that takes events. The secret may follow it, as `/webhook/SECRET`.
pub const PATH: &str = "/webhook";

/// Longest body, in bytes: a thousand times what an event has.
pub const MOST_BYTES: usize = 1 << 20;

/// The answer to an event.
const STORED: &[u8] = br#"{"status":"ok"}"#;

/// Takes events.
#[derive(Clone)]
pub struct Webhook {
    gate: Gate,
    store: Arc<dyn CallStore>,
}

/// Whether a path is one of the webhook's.
pub fn is_path(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Webhook {
    /// A webhook for senders with the gate's secret.
    pub fn new(gate: Gate, store: Arc<dyn CallStore>) -> Self {
        Self { gate, store }
    }

    /// Whether a request may have its body read, by its head: only a sender with the secret is listened to.
    ///
    /// # Errors
    /// [`Problem`], with status 401 or 405.
    pub fn admit(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<(), Problem> {
        let open = match path.strip_prefix(PATH).and_then(|rest| rest.strip_prefix('/')) {
            Some(secret) if !secret.is_empty() => self.gate.is_opened_by(secret),
            _ => self.gate.is_open_to(headers),
        };
        if !open {
            let detail = "send the header `Authorization: Bearer SECRET`, or the secret as the last part of the path, \
                          with the value of WEBHOOK_SECRET";
            let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail);
            return Err(problem.with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"callvault\"")));
        }
        if method != Method::POST {
            let problem =
                Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "only POST is allowed here");
            return Err(problem.with_header(ALLOW, HeaderValue::from_static("POST")));
        }
        Ok(())
    }

    /// Answers a request, received at `now`.
    pub async fn answer(&self, request: &Request<Bytes>, now: Timestamp) -> Response<Bytes> {
        let admitted = self.admit(request.method(), request.uri().path(), request.headers());
        let answered = match admitted {
            Ok(()) => self.receive(request.body(), now).await,
            Err(problem) => Err(problem),
        };
        match answered {
            Ok(_) => callvault_http::response(StatusCode::OK, "application/json", Bytes::from_static(STORED)),
            Err(problem) => problem.response(),
        }
    }

    /// Stores the event of a body. Whoever may send it must be known already.
    ///
    /// # Errors
    /// [`Problem`]: what is wrong with it, or that the store cannot be used.
    pub async fn receive(&self, body: &[u8], now: Timestamp) -> Result<Appended, Problem> {
        if body.len() > MOST_BYTES {
            return Err(Problem::too_large(MOST_BYTES));
        }
        let event = NewEvent::read(body)?;
        Ok(self.store.append(event, now).await?)
    }
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
