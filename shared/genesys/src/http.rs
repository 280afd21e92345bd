//! The one implementation of the traits in [`crate::api`] over HTTP.
//!
//! | module | owns |
//! |---|---|
//! | `operations` | what each call asks and how its answer is read |
//! | `send` | sending until answered: sign-in, limiter, retries, deadline |
//! | `voicemails` | the same for voicemail, which needs a user's token |
//! | `own` | whether a user's token may read voicemail |
//! | `probes` | questions that change nothing, for login and doctor |
//! | `token` | the client's access token, single flight |
//! | `given` | a user's access token, kept by somebody else |
//! | `user` | spending a user's code or refresh token, once |
//! | `limiter` | when the next request may go |
//! | `answer` | bodies, headers and error texts, none of them trusted |
//! | `media`, `media_client`, `hosts` | signed URLs: where they may lead, and opening them |
//! | `tls` | whom the connections trust |
//!
//! One client is built in a program and cloned; clones share connections, token and limiter. TLS is always verified
//! (there is no switch), http is for loopback only, redirects are not followed. Nothing here prints a token, a secret
//! or a URL.

mod answer;
mod given;
mod hosts;
mod limiter;
mod media;
mod media_client;
mod operations;
mod own;
mod probes;
mod send;
#[cfg(test)]
mod tests;
mod tls;
mod token;
mod user;
mod voicemails;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::{ClientBuilder, redirect, retry};

pub use limiter::Budget;
pub use probes::{Service, SignedInUser};
pub use token::Credentials;
pub use user::{AuthorizationCode, UserSignIn};

use crate::api::{AccessTokens, ApiError};
pub use crate::api::{ExchangeError, Refusal, TokenPair};
use crate::clock::Clock;
use crate::region::Endpoints;
use given::{Bearer, Given};
use hosts::{MediaRules, PublicOnly};
use limiter::Limiter;
use media_client::MediaClient;
use send::Sender;
use token::SignIn;

/// How the client behaves.
#[derive(Clone)]
pub struct ClientOptions {
    /// Hosts media may come from, beside the region's own: exact, or `*.example.com` for everything below.
    pub media_hosts: Vec<String>,
    /// Longest time one API request may take, and longest wait for the headers of a download.
    pub request_timeout: Duration,
    /// Longest time a download may pass without a byte.
    pub stall_timeout: Duration,
    /// Chance, from 0.0 to 1.0, for the back-off.
    pub jitter: Arc<dyn Fn() -> f64 + Send + Sync>,
}

impl ClientOptions {
    /// The defaults: no further media hosts, 30 s for each limit.
    pub fn new(jitter: Arc<dyn Fn() -> f64 + Send + Sync>) -> Self {
        Self {
            media_hosts: Vec::new(),
            request_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(30),
            jitter,
        }
    }
}

impl std::fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientOptions")
            .field("media_hosts", &self.media_hosts)
            .field("request_timeout", &self.request_timeout)
            .field("stall_timeout", &self.stall_timeout)
            .finish_non_exhaustive()
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// An entry of the media hosts is not a host.
    #[error("`{entry}` is not a media host: expected a host name or `*.` and a domain, without scheme, port and path")]
    MediaHost {
        /// The entry.
        entry: String,
    },
    /// There is nobody to trust.
    #[error("TLS could not be set up: are the system's root certificates installed?")]
    Tls(#[source] rustls::Error),
    /// The connection pool could not be set up.
    #[error("the HTTP client could not be set up")]
    Http(#[source] reqwest::Error),
}

/// What all clones of a client share.
struct Shared {
    endpoints: Endpoints,
    clock: Arc<dyn Clock>,
    jitter: Arc<dyn Fn() -> f64 + Send + Sync>,
    request_timeout: Duration,
    stall_timeout: Duration,
    api: reqwest::Client,
    media: MediaClient,
    media_rules: MediaRules,
    media_pauses: media::Pauses,
    bearer: Bearer,
    limiter: Limiter,
    requests: AtomicU64,
}

/// A client of one org. Cheap to clone.
#[derive(Clone)]
pub struct GenesysClient {
    shared: Arc<Shared>,
    deadline: Option<Timestamp>,
}

impl std::fmt::Debug for GenesysClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GenesysClient")
            .field("api", &self.shared.endpoints.api().as_str())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl GenesysClient {
    /// A client that signs in with its own credentials, and has sent nothing yet.
    ///
    /// # Errors
    /// [`ClientError::MediaHost`] for an entry that is not a host, [`ClientError::Tls`] if there are no root
    /// certificates.
    pub fn new(
        endpoints: Endpoints,
        credentials: Credentials,
        clock: Arc<dyn Clock>,
        options: ClientOptions,
    ) -> Result<Self, ClientError> {
        Self::build(endpoints, Bearer::Client(SignIn::new(credentials)), clock, options)
    }

    /// A client that acts for a user, by an access token that somebody else keeps. It never refreshes one: after a 401
    /// it asks `tokens` once more, then gives up.
    ///
    /// # Errors
    /// As [`GenesysClient::new`].
    pub fn of_user(
        endpoints: Endpoints,
        tokens: Arc<dyn AccessTokens>,
        clock: Arc<dyn Clock>,
        options: ClientOptions,
    ) -> Result<Self, ClientError> {
        Self::build(endpoints, Bearer::Given(Given::new(tokens)), clock, options)
    }

    fn build(
        endpoints: Endpoints,
        bearer: Bearer,
        clock: Arc<dyn Clock>,
        options: ClientOptions,
    ) -> Result<Self, ClientError> {
        let patterns = endpoints.media_hosts().iter().chain(&options.media_hosts).map(String::as_str);
        let media_rules = MediaRules::new(patterns, endpoints.loopback().cloned())
            .map_err(|entry| ClientError::MediaHost { entry })?;
        let plain = endpoints.loopback().is_some();
        let tls = tls::config().map_err(ClientError::Tls)?;
        let api = if plain { base(true, tls.clone()).no_proxy() } else { base(false, tls.clone()) };
        Ok(Self {
            shared: Arc::new(Shared {
                api: api.build().map_err(ClientError::Http)?,
                media: MediaClient::new(plain, tls, PublicOnly::new(media_rules.clone())),
                media_rules,
                media_pauses: media::Pauses::default(),
                endpoints,
                clock,
                jitter: options.jitter,
                request_timeout: options.request_timeout,
                stall_timeout: options.stall_timeout,
                bearer,
                limiter: Limiter::default(),
                requests: AtomicU64::new(0),
            }),
            deadline: None,
        })
    }

    /// The same client with a deadline: no request, retry or wait goes past it; what would is
    /// [`ApiError::OutOfTime`] at once, what was tried before [`ApiError::Unavailable`]. A download that is open when it comes goes on: its reader decides.
    #[must_use]
    pub fn with_deadline(&self, deadline: Timestamp) -> Self {
        Self { shared: Arc::clone(&self.shared), deadline: Some(deadline) }
    }

    /// Requests sent so far by all clones: to the API, retries included, and for tokens; not for media.
    pub fn requests_sent(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// How the platform's budget of requests stands; `None` before its first answer.
    pub fn budget(&self) -> Option<Budget> {
        self.shared.limiter.budget(self.shared.clock.now())
    }

    /// Signs in, unless that is already done.
    ///
    /// # Errors
    /// [`ApiError::SignInRefused`] if the credentials are wrong, [`ApiError::Unavailable`] if there is no answer,
    /// [`ApiError::Unreadable`] if it is not a token.
    pub async fn sign_in(&self) -> Result<(), ApiError> {
        self.shared.bearer.token(&self.sender()).await.map(drop)
    }

    fn sender(&self) -> Sender<'_> {
        Sender::new(&self.shared, self.deadline)
    }

    fn shared(&self) -> &Shared {
        &self.shared
    }
}

/// What we call ourselves.
const NAME: &str = concat!("callvault/", env!("CARGO_PKG_VERSION"));

/// A connection that is not there after this is not waited for.
const LONGEST_CONNECT: Duration = Duration::from_secs(10);

/// Under the idle limit of the load balancers in front (60 s), and short enough that a Lambda function which was frozen
/// between two invocations does not wake up with dead connections.
const LONGEST_IDLE: Duration = Duration::from_secs(20);

/// A client for what is not Genesys Cloud, under the same rules: TLS is verified, no redirect is followed, nothing is
/// repeated, and http goes to `loopback` only.
///
/// # Errors
/// [`ClientError`] when there is no TLS to be had.
pub fn other_client(loopback: bool) -> Result<reqwest::Client, ClientError> {
    let client = base(loopback, tls::config().map_err(ClientError::Tls)?);
    let client = if loopback { client.no_proxy() } else { client };
    client.build().map_err(ClientError::Http)
}

/// What the clients of the API and of the sign-in have in common. Retries are ours to decide, so the library's own are off.
fn base(plain: bool, tls: rustls::ClientConfig) -> ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(NAME)
        // Also where another crate of the program switches HTTP/2 on.
        .http1_only()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .https_only(!plain)
        .connect_timeout(LONGEST_CONNECT)
        .pool_idle_timeout(LONGEST_IDLE)
}
