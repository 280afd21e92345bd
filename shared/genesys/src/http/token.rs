//! The access token: asked for once, shared by everybody, renewed before it ends.
//!
//! Owns the client's credentials and the one place they are sent to, `POST /oauth/token` (api.md, "OAuth"). However
//! many callers wait, one request is made (single flight): the lock is held across it. Neither token nor secret is
//! ever printed: the types here have no text form.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::answer::{self, BodyFault};
use super::limiter::later;
use super::send::{Backoff, Sender};
use crate::api::ApiError;

/// What sign-in is called in errors.
const SIGN_IN: &str = "sign in";

/// Longest life the platform gives a token (api.md: 300..172800 s); what is said beyond is not believed.
const LONGEST_LIFE: Duration = Duration::from_secs(172_800);

/// Life of a token whose answer names none: the shortest the platform gives.
const SHORTEST_LIFE: Duration = Duration::from_secs(300);

/// Renewal comes at most this long before the end.
const EARLIEST_RENEWAL: Duration = Duration::from_secs(60);

/// Who signs in.
#[derive(Clone)]
pub struct Credentials {
    /// The OAuth client's id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// A token in use.
#[derive(Clone)]
pub(super) struct Token {
    /// `Bearer ...`, marked sensitive.
    pub(super) header: HeaderValue,
    /// Which of the tokens of this client it is.
    serial: u64,
    renew_at: Timestamp,
    ends_at: Timestamp,
}

impl Token {
    /// The token itself, for comparing only.
    pub(super) fn secret(&self) -> &str {
        self.header.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default()
    }

    /// A token that somebody else keeps. Nobody here knows when it ends: it is used until the platform refuses it.
    ///
    /// # Errors
    /// [`ApiError::Unreadable`] if it is no token.
    pub(super) fn given(text: &SecretString, serial: u64) -> Result<Self, ApiError> {
        let header = header(text.expose_secret()).ok_or_else(|| unreadable("the stored access token"))?;
        Ok(Self { header, serial, renew_at: Timestamp::MAX, ends_at: Timestamp::MAX })
    }

    /// Whether it is the same one.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.serial == other.serial
    }

    /// Whether it can be sent at `now`.
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        now < self.renew_at
    }
}

#[derive(Default)]
struct Slot {
    token: Option<Token>,
    issued: u64,
    /// Why the last sign-in was refused, for those who waited for it.
    refusal: Option<String>,
}

/// Keeps the token.
pub(super) struct SignIn {
    credentials: Credentials,
    slot: Mutex<Slot>,
    refusals: AtomicU64,
}

impl SignIn {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self { credentials, slot: Mutex::default(), refusals: AtomicU64::new(0) }
    }

    /// The current token, or a new one.
    ///
    /// # Errors
    /// [`ApiError::SignInRefused`], [`ApiError::Unavailable`] after retries, [`ApiError::Unreadable`].
    pub(super) async fn token(&self, sender: &Sender<'_>) -> Result<Token, ApiError> {
        let refusals_before = self.refusals.load(Ordering::Acquire);
        let waiting = self.slot.lock();
        let mut slot = match sender.time_left() {
            None => waiting.await,
            // Another caller's sign-in may take longer than this caller has.
            Some(left) => {
                tokio::time::timeout(left, waiting).await.map_err(|_| unavailable("no time left".to_owned()))?
            }
        };
        if let Some(token) = slot.token.as_ref().filter(|token| token.is_fresh(sender.now())) {
            return Ok(token.clone());
        }
        // Those who queued behind a refused sign-in share its answer instead of knocking again one by one.
        if self.refusals.load(Ordering::Acquire) > refusals_before
            && let Some(reason) = slot.refusal.clone()
        {
            return Err(ApiError::SignInRefused { reason });
        }
        match self.ask(sender, slot.issued + 1).await {
            Ok(token) => {
                slot.issued = token.serial;
                slot.token = Some(token.clone());
                Ok(token)
            }
            Err(ApiError::Unavailable { detail, .. }) => match slot.token.as_ref() {
                // Renewal is early; the old token still works for a while.
                Some(token) if sender.now() < token.ends_at => Ok(token.clone()),
                _ => Err(unavailable(detail)),
            },
            Err(error) => {
                if let ApiError::SignInRefused { reason } = &error {
                    slot.refusal = Some(reason.clone());
                    self.refusals.fetch_add(1, Ordering::Release);
                }
                Err(error)
            }
        }
    }

    /// Forgets `token` after the API refused it, unless somebody has renewed it since.
    pub(super) async fn forget(&self, token: &Token) {
        let mut slot = self.slot.lock().await;
        if slot.token.as_ref().is_some_and(|current| current.is(token)) {
            slot.token = None;
        }
    }

    /// One sign-in with its retries. Sign-in is idempotent: a token nobody knows of does no harm.
    async fn ask(&self, sender: &Sender<'_>, serial: u64) -> Result<Token, ApiError> {
        let mut backoff = Backoff::new();
        loop {
            let (detail, at_least) = match self.ask_once(sender, serial).await? {
                Asked::Token(token) => return Ok(token),
                Asked::Trouble(detail, at_least) => (detail, at_least),
            };
            if let Err(why) = backoff.wait(sender, at_least).await {
                return Err(unavailable(format!("{detail}{why}")));
            }
        }
    }

    async fn ask_once(&self, sender: &Sender<'_>, serial: u64) -> Result<Asked, ApiError> {
        let Some(limit) = sender.time_limit() else {
            return Ok(Asked::Trouble("no time left".to_owned(), Duration::ZERO));
        };
        let (id, secret) = (&self.credentials.client_id, self.credentials.client_secret.expose_secret());
        let request = sender
            .api
            .post(sender.endpoint(sender.endpoints.login(), &["oauth", "token"]))
            .basic_auth(id, Some(secret))
            .form(&[("grant_type", "client_credentials")])
            .timeout(limit);
        let asked_at = sender.now();
        sender.count_request();
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Ok(Asked::Trouble(answer::fault(error), Duration::ZERO)),
        };
        let status = response.status();
        if status.is_success() {
            return match answer::read_body(response).await {
                Ok(body) => read_token(&body, asked_at, serial).map(Asked::Token),
                Err(BodyFault::Cut(detail)) => Ok(Asked::Trouble(detail, Duration::ZERO)),
                Err(BodyFault::TooLarge) => Err(unreadable("the answer's size")),
            };
        }
        let at_least = if status == StatusCode::TOO_MANY_REQUESTS {
            answer::pause_of(response.headers(), sender.now())
        } else {
            answer::retry_after(response.headers(), sender.now()).unwrap_or_default()
        };
        let body = answer::read_error(response).await;
        let refusal = refusal_word(answer::without(&body, secret));
        match status.as_u16() {
            408 | 429 | 500..=599 => Ok(Asked::Trouble(format!("sign-in answered {}", status.as_u16()), at_least)),
            code => Err(match refusal {
                Some(reason) if matches!(code, 400 | 401 | 403) => ApiError::SignInRefused { reason },
                None if matches!(code, 400 | 401) => ApiError::SignInRefused { reason: format!("status {code}") },
                reason => ApiError::Refused {
                    operation: SIGN_IN,
                    status: code,
                    code: reason.unwrap_or_else(|| "no code".to_owned()),
                    message: "the sign-in address does not answer as Genesys Cloud's does".to_owned(),
                },
            }),
        }
    }
}

enum Asked {
    Token(Token),
    /// Passing trouble, and how long the server asked to wait.
    Trouble(String, Duration),
}

/// The `error` word of a refusal's body, if there is one.
pub(super) fn refusal_word(body: &[u8]) -> Option<String> {
    #[derive(Deserialize, Default)]
    struct Refusal {
        #[serde(default)]
        error: Option<String>,
    }
    let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
    refusal.error.as_deref().map(answer::word).filter(|word| !word.is_empty())
}

/// What a granted token request has in all grants.
pub(super) struct Granted {
    pub(super) token: SecretString,
    /// From when it was asked for.
    pub(super) life: Duration,
}

impl Granted {
    /// Reads an answer of the token endpoint.
    ///
    /// # Errors
    /// Where it is not what it should be; no content.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        /// Not `Debug`: it holds the token.
        #[derive(Deserialize)]
        struct Answer {
            access_token: String,
            #[serde(default)]
            token_type: Option<String>,
            #[serde(default)]
            expires_in: Option<f64>,
        }
        let granted: Answer = answer::decode(body)?;
        if granted.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return Err("`token_type`: not bearer".to_owned());
        }
        if !is_token(&granted.access_token) {
            return Err("`access_token`: not a token".to_owned());
        }
        let life = match granted.expires_in {
            None => SHORTEST_LIFE,
            Some(seconds) if seconds >= 1.0 => Duration::from_secs_f64(seconds.min(LONGEST_LIFE.as_secs_f64())),
            Some(_) => return Err("`expires_in`: not a life time".to_owned()),
        };
        Ok(Self { token: granted.access_token.into(), life })
    }
}

/// Whether a text can be a token: printable ASCII, and something.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

fn header(token: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(&format!("Bearer {token}")).ok().filter(|_| is_token(token))?;
    header.set_sensitive(true);
    Some(header)
}

fn read_token(body: &[u8], asked_at: Timestamp, serial: u64) -> Result<Token, ApiError> {
    let Granted { token, life } = Granted::read(body).map_err(|at| unreadable(&at))?;
    let header = header(token.expose_secret()).ok_or_else(|| unreadable("`access_token`: not a token"))?;
    let margin = EARLIEST_RENEWAL.min(life / 10);
    Ok(Token { header, serial, renew_at: later(asked_at, life - margin), ends_at: later(asked_at, life) })
}

/// Puts the token on a request.
pub(super) fn signed(request: reqwest::RequestBuilder, token: &Token) -> reqwest::RequestBuilder {
    request.header(AUTHORIZATION, token.header.clone())
}

pub(super) fn unavailable(detail: String) -> ApiError {
    ApiError::Unavailable { operation: SIGN_IN, detail }
}

fn unreadable(at: &str) -> ApiError {
    ApiError::Unreadable { operation: SIGN_IN, at: at.to_owned() }
}
