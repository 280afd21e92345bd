//! Sending one API request until it is answered: sign-in, limiter, retries.
//!
//! A retry is a decision about the request: could it have happened? Not sent: again. Answered "not now" (408, 429, 503):
//! again. Outcome unknown (time-out, reset, cut answer, other 5xx): again only if doing it twice is harmless. All of it
//! within the caller's deadline, all of it through the [`Clock`]. What the answer means is for `operations`.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use url::Url;

use super::answer::{self, Answer, BodyFault, Complaint};
use super::given::Bearer;
use super::limiter::{later, until};
use super::{Shared, token};
use crate::api::ApiError;
use crate::clock::Clock;
use crate::region::Endpoints;

/// Attempts at one request, the first included. With full jitter up to 10 s that is up to half a minute.
const ATTEMPTS: u32 = 6;

/// First and longest back-off.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// What an operation is called, needs and tolerates.
#[derive(Debug)]
pub(super) struct Operation {
    /// In words, for errors.
    pub(super) words: &'static str,
    /// The permission it needs (api.md, "Permissions").
    pub(super) permission: &'static str,
    /// Whether doing it twice is harmless.
    pub(super) repeatable: bool,
    /// What a success looks like.
    pub(super) expected: Expected,
    /// Least time between two attempts, where the platform wants one.
    pub(super) least_gap: Duration,
}

/// What a success carries, and what a 202 means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// JSON; a 202 without a body means "ask again".
    Json,
    /// JSON; a 202 means "ask again" whatever it carries.
    JsonNotAccepted,
    /// JSON, or a 202 that tells the caller to come back: an answer without a body.
    JsonOrNotReady,
    /// Nothing that is read: the status says it all.
    Nothing,
}

/// One request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    /// JSON, already written.
    pub(super) body: Option<Vec<u8>>,
}

/// One caller's view of the shared client: its deadline.
pub(super) struct Sender<'a> {
    shared: &'a Shared,
    pub(super) api: &'a reqwest::Client,
    pub(super) endpoints: &'a Endpoints,
    clock: &'a Arc<dyn Clock>,
    deadline: Option<Timestamp>,
}

/// What one attempt came to.
enum Attempt {
    Answered(Answer),
    /// The token was not accepted.
    SignedOut,
    /// It did not happen, or may be repeated anyway: worth another attempt, after at least this long.
    Again(String, Duration),
    /// It may have happened.
    Perhaps(String),
}

impl<'a> Sender<'a> {
    pub(super) fn new(shared: &'a Shared, deadline: Option<Timestamp>) -> Self {
        Self { shared, api: &shared.api, endpoints: &shared.endpoints, clock: &shared.clock, deadline }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Time to the deadline, zero if it has passed; `None` without a deadline.
    pub(super) fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| until(self.now(), deadline))
    }

    /// How long a request that is sent now may take; `None` when there is no time left for one.
    pub(super) fn time_limit(&self) -> Option<Duration> {
        let limit = self.time_left().map_or(self.shared.request_timeout, |left| left.min(self.shared.request_timeout));
        (!limit.is_zero()).then_some(limit)
    }

    pub(super) fn count_request(&self) {
        self.shared.requests.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    /// `path` below `base`; each part is one segment, escaped where needed.
    pub(super) fn endpoint(&self, base: &Url, path: &[&str]) -> Url {
        let mut url = base.clone();
        // Endpoints are http or https, which always have segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// Sends `request` until it is answered with a success.
    ///
    /// # Errors
    /// Any [`ApiError`] but `TooManyResults` for a query that is none: see each kind.
    pub(super) async fn call(&self, operation: &'static Operation, request: &Request) -> Result<Answer, ApiError> {
        let mut backoff = Backoff::new();
        let mut signed_in_again = false;
        loop {
            let (detail, at_least) = match self.attempt(operation, request).await? {
                Attempt::Answered(answer) => return Ok(answer),
                // A user's token that was read anew and is refused all the same: only a person, or the rotation, helps.
                Attempt::SignedOut if signed_in_again && matches!(self.shared.bearer, Bearer::Given(_)) => {
                    let reason =
                        "the user's token is not accepted (401), also when it is read anew: run `callvault login`";
                    return Err(ApiError::SignInRefused { reason: reason.to_owned() });
                }
                Attempt::SignedOut if signed_in_again => {
                    let detail = "401 again with a fresh token".to_owned();
                    return Err(ApiError::Unavailable { operation: operation.words, detail });
                }
                Attempt::SignedOut => {
                    signed_in_again = true;
                    self.clock.sleep(operation.least_gap).await;
                    continue;
                }
                Attempt::Perhaps(detail) if !operation.repeatable => {
                    return Err(ApiError::Unknown { operation: operation.words, detail });
                }
                Attempt::Perhaps(detail) => (detail, Duration::ZERO),
                Attempt::Again(detail, at_least) => (detail, at_least),
            };
            tracing::debug!(operation = operation.words, detail, "asking again: {}", operation.words);
            if self.time_left().is_some_and(|left| !at_least.is_zero() && left <= at_least) {
                return Err(ApiError::OutOfTime { operation: operation.words });
            }
            if let Err(why) = backoff.wait(self, at_least.max(operation.least_gap)).await {
                return Err(ApiError::Unavailable { operation: operation.words, detail: format!("{detail}{why}") });
            }
        }
    }

    async fn attempt(&self, operation: &'static Operation, request: &Request) -> Result<Attempt, ApiError> {
        let no_time = ApiError::OutOfTime { operation: operation.words };
        let pass = || async {
            let pass = self.shared.limiter.pass(self.clock.as_ref(), self.deadline).await;
            pass.map_err(|_| ApiError::OutOfTime { operation: operation.words })
        };
        let mut token = self.token(operation).await?;
        let mut under_way = pass().await?;
        if !token.is_fresh(self.now()) {
            // The wait outlived the token. The place in the limiter is given up too: what it counts is send times.
            drop(under_way);
            token = self.token(operation).await?;
            under_way = pass().await?;
        }
        let limit = self.time_limit().ok_or(no_time)?;
        let mut outgoing = self.api.request(request.method.clone(), request.url.clone()).timeout(limit);
        if let Some(body) = &request.body {
            outgoing = outgoing.header(reqwest::header::CONTENT_TYPE, "application/json").body(body.clone());
        }
        self.count_request();
        let sent = token::signed(outgoing, &token).send().await;
        let response = match sent {
            Ok(response) => response,
            Err(error) if error.is_connect() => {
                return Ok(Attempt::Again(answer::fault(error), Duration::ZERO));
            }
            Err(error) => return Ok(Attempt::Perhaps(answer::fault(error))),
        };
        let now = self.now();
        let wait = answer::retry_after(response.headers(), now);
        // A server in trouble that names a time is left alone by everybody until then, as after a 429.
        let pause = match response.status() {
            StatusCode::TOO_MANY_REQUESTS => Some(answer::pause_of(response.headers(), now)),
            status if status.is_server_error() => wait,
            _ => None,
        };
        if let Some(pause) = pause {
            self.shared.limiter.pause(now, pause);
        }
        self.shared.limiter.answered(now, answer::limits(response.headers()));
        drop(under_way);
        self.judge(operation, response, &token, wait.unwrap_or_default()).await
    }

    /// A token. Trouble with getting one is not the request's fault: only a refused sign-in is told as what it is.
    async fn token(&self, operation: &'static Operation) -> Result<token::Token, ApiError> {
        self.shared.bearer.token(self).await.map_err(|error| match error {
            ApiError::SignInRefused { .. } | ApiError::Unavailable { .. } => error,
            other => ApiError::Unavailable { operation: operation.words, detail: format!("no sign-in: {other}") },
        })
    }

    /// What an answer's status means for the request.
    async fn judge(
        &self,
        operation: &'static Operation,
        response: reqwest::Response,
        token: &token::Token,
        wait: Duration,
    ) -> Result<Attempt, ApiError> {
        let status = response.status();
        if status.is_success() {
            let (expected, accepted) = (operation.expected, status == StatusCode::ACCEPTED);
            if expected == Expected::Nothing || accepted && expected == Expected::JsonOrNotReady {
                return Ok(Attempt::Answered(Answer { body: bytes::Bytes::new() }));
            }
            return match answer::read_body(response).await {
                Ok(body) if accepted && (expected == Expected::JsonNotAccepted || body.is_empty()) => {
                    // "Ask again" to a question; to an order it may mean that it was taken.
                    let detail = "202, not ready yet".to_owned();
                    Ok(if operation.repeatable { Attempt::Again(detail, wait) } else { Attempt::Perhaps(detail) })
                }
                Ok(body) if answer::is_cut(&body) => Ok(Attempt::Perhaps("the answer was cut".to_owned())),
                Ok(body) => Ok(Attempt::Answered(Answer { body })),
                Err(BodyFault::Cut(detail)) => Ok(Attempt::Perhaps(detail)),
                Err(BodyFault::TooLarge) => {
                    Err(ApiError::Unreadable { operation: operation.words, at: "its size, over 32 MiB".to_owned() })
                }
            };
        }
        let complaint = Complaint::read(&answer::read_error(response).await, token.secret());
        let detail = format!("{} {}", status.as_u16(), complaint.code);
        match status.as_u16() {
            401 => {
                self.shared.bearer.forget(token).await;
                Ok(Attempt::SignedOut)
            }
            403 => Err(ApiError::Forbidden {
                operation: operation.words,
                code: complaint.code,
                permission: operation.permission,
            }),
            404 => Err(ApiError::NotFound { operation: operation.words, code: complaint.code }),
            400 if complaint.too_many_results => Err(ApiError::TooManyResults),
            // Answered before it was taken on.
            408 | 429 | 503 => Ok(Attempt::Again(detail, wait)),
            500..=599 => Ok(Attempt::Perhaps(detail)),
            status => Err(ApiError::Refused {
                operation: operation.words,
                status,
                code: complaint.code,
                message: complaint.message,
            }),
        }
    }
}

/// The waits between attempts: exponential with full jitter, so that many clients do not come back together.
pub(super) struct Backoff {
    attempt: u32,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { attempt: 1 }
    }

    /// Waits before the next attempt, at least `at_least`.
    ///
    /// # Errors
    /// Why there is no next attempt, as the end of a sentence: all attempts are used up, or the wait would end after
    /// the deadline.
    pub(super) async fn wait(&mut self, sender: &Sender<'_>, at_least: Duration) -> Result<(), String> {
        if self.attempt >= ATTEMPTS {
            return Err(format!("; gave up after {ATTEMPTS} attempts"));
        }
        let (first, longest) = BACKOFF;
        let ceiling = (first * 2_u32.pow(self.attempt - 1)).min(longest);
        let jitter = (sender.shared.jitter)();
        let share = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 0.5 };
        let span = ceiling.mul_f64(share).max(at_least);
        self.attempt += 1;
        if sender.deadline.is_some_and(|deadline| deadline <= later(sender.now(), span)) {
            return Err("; no time left to try again".to_owned());
        }
        sender.clock.sleep(span).await;
        Ok(())
    }
}
