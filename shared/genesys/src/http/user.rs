//! Signing in as a user: spending an authorization code or a refresh token.
//!
//! Both work once, and the exchange cannot be undone. So each is sent **once**: nothing here repeats a request, and the
//! error says whether it can have been received. What to do then is the caller's decision. Tokens and secrets never
//! enter an error.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::answer::{self, BodyFault};
use super::limiter::until;
use super::token::{self, Credentials};
use super::{ClientError, base, tls};
use crate::api::{ExchangeError, RefreshTokens, Refusal, TokenPair};
use crate::clock::Clock;
use crate::region::Endpoints;

/// An authorization code with what proves whose it is.
#[derive(Debug, Clone)]
pub struct AuthorizationCode {
    /// The code, as the redirect brought it.
    pub code: SecretString,
    /// The redirect URI of the authorization request, to the letter.
    pub redirect_uri: String,
    /// The PKCE verifier of its challenge.
    pub verifier: Option<SecretString>,
}

/// The token endpoint, for users' grants.
pub struct UserSignIn {
    endpoints: Endpoints,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    timeout: Duration,
}

impl std::fmt::Debug for UserSignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserSignIn").field("login", &self.endpoints.login().as_str()).finish_non_exhaustive()
    }
}

impl UserSignIn {
    /// An endpoint to which nothing was sent yet; a request may take `timeout`.
    ///
    /// # Errors
    /// [`ClientError::Tls`] if there are no root certificates.
    pub fn new(endpoints: Endpoints, clock: Arc<dyn Clock>, timeout: Duration) -> Result<Self, ClientError> {
        let plain = endpoints.loopback().is_some();
        let tls = tls::config().map_err(ClientError::Tls)?;
        let client = if plain { base(true, tls).no_proxy() } else { base(false, tls) };
        // A connection of its own for every exchange: on one that was kept, a request can be lost without anybody
        // knowing whether it was read.
        let client = client.pool_max_idle_per_host(0).build().map_err(ClientError::Http)?;
        Ok(Self { endpoints, client, clock, timeout })
    }

    /// Spends a refresh token, once. No time beyond `deadline`.
    ///
    /// # Errors
    /// See each kind of [`ExchangeError`].
    pub async fn exchange_refresh(
        &self,
        credentials: &Credentials,
        refresh: &SecretString,
        deadline: Option<Timestamp>,
    ) -> Result<TokenPair, ExchangeError> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.expose_secret())];
        self.send_once(credentials, &form, Some(refresh), deadline).await
    }

    /// Spends an authorization code, once. No time beyond `deadline`.
    ///
    /// # Errors
    /// See each kind of [`ExchangeError`].
    pub async fn exchange_code(
        &self,
        credentials: &Credentials,
        code: &AuthorizationCode,
        deadline: Option<Timestamp>,
    ) -> Result<TokenPair, ExchangeError> {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code.code.expose_secret()),
            ("redirect_uri", &code.redirect_uri),
        ];
        form.extend(code.verifier.as_ref().map(|verifier| ("code_verifier", verifier.expose_secret())));
        self.send_once(credentials, &form, None, deadline).await
    }

    async fn send_once(
        &self,
        credentials: &Credentials,
        form: &[(&str, &str)],
        kept: Option<&SecretString>,
        deadline: Option<Timestamp>,
    ) -> Result<TokenPair, ExchangeError> {
        let left = deadline.map_or(self.timeout, |deadline| until(self.clock.now(), deadline).min(self.timeout));
        if left.is_zero() {
            return Err(not_taken("no time left"));
        }
        let mut url = self.endpoints.login().clone();
        // Endpoints are http or https, which always have segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["oauth", "token"]);
        }
        let secret = credentials.client_secret.expose_secret();
        let request = self.client.post(url).basic_auth(&credentials.client_id, Some(secret)).form(form).timeout(left);
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() || error.is_builder() => return Err(not_taken(&answer::fault(error))),
            Err(error) => return Err(ExchangeError::Unknown { detail: answer::fault(error) }),
        };
        if response.status().is_success() {
            return match answer::read_body(response).await {
                Ok(body) if answer::is_cut(&body) => Err(unknown("the answer was cut")),
                Ok(body) => pair(&body, kept),
                Err(BodyFault::Cut(detail)) => Err(ExchangeError::Unknown { detail }),
                Err(BodyFault::TooLarge) => Err(ExchangeError::Unreadable { at: "its size".to_owned() }),
            };
        }
        let secrets = form.iter().skip(1).map(|(_, value)| *value).chain([secret]);
        Err(self.refusal(response, secrets).await)
    }

    /// What an answer that is no success means for the token.
    async fn refusal(&self, response: reqwest::Response, secrets: impl Iterator<Item = &str>) -> ExchangeError {
        let status = response.status().as_u16();
        let wait = answer::retry_after(response.headers(), self.clock.now()).unwrap_or_default();
        match status {
            408 | 429 => return ExchangeError::NotTaken { detail: format!("status {status}"), wait },
            // Also 503: a proxy that gives up says it after the request went on.
            500..=599 => return unknown(&format!("status {status}")),
            _ => {}
        }
        let body = answer::read_error(response).await;
        let body = secrets.fold(&body[..], |body, secret| answer::without(body, secret));
        let word = token::refusal_word(body).unwrap_or_else(|| format!("status {status}"));
        let reason = match word.as_str() {
            "invalid_grant" => Refusal::InvalidGrant,
            "invalid_client" => Refusal::InvalidClient,
            _ => Refusal::Other(word),
        };
        ExchangeError::Refused { reason }
    }
}

#[async_trait]
impl RefreshTokens for UserSignIn {
    async fn exchange(
        &self,
        client_id: &str,
        client_secret: &SecretString,
        refresh: &SecretString,
    ) -> Result<TokenPair, ExchangeError> {
        let credentials = Credentials { client_id: client_id.to_owned(), client_secret: client_secret.clone() };
        self.exchange_refresh(&credentials, refresh, None).await
    }
}

/// Reads the pair; `kept` is the refresh token that was sent.
fn pair(body: &[u8], kept: Option<&SecretString>) -> Result<TokenPair, ExchangeError> {
    /// Not `Debug`: it holds tokens.
    #[derive(Deserialize)]
    struct Pair {
        #[serde(default)]
        refresh_token: Option<String>,
    }
    let unreadable = |at: &str| ExchangeError::Unreadable { at: at.to_owned() };
    let granted = token::Granted::read(body).map_err(|at| unreadable(&at))?;
    let refresh = answer::decode::<Pair>(body).map_err(|at| unreadable(&at))?.refresh_token;
    let refresh = match (refresh.filter(|text| !text.is_empty()), kept) {
        (Some(text), _) if token::is_token(&text) => SecretString::from(text),
        (Some(_), _) => return Err(unreadable("`refresh_token`: not a token")),
        (None, Some(kept)) => kept.clone(),
        (None, None) => return Err(unreadable("`refresh_token`: missing")),
    };
    Ok(TokenPair { access: granted.token, refresh, expires_in: granted.life })
}

fn not_taken(detail: &str) -> ExchangeError {
    ExchangeError::NotTaken { detail: detail.to_owned(), wait: Duration::ZERO }
}

fn unknown(detail: &str) -> ExchangeError {
    ExchangeError::Unknown { detail: detail.to_owned() }
}
