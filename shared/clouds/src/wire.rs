//! Requests on their way to a store, and back.
//!
//! What a store could not do just now is asked again, a few times, with growing pauses; nothing that is sent here does
//! harm when it arrives twice: what creates has a precondition. Must never follow a redirect, and never show a URL: it
//! may be signed.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use callvault_pipeline::archive::ArchiveError;
use futures_util::stream::{self, BoxStream, StreamExt};
use http::header::{CONTENT_LENGTH, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::{Client, Response};
use url::Url;

use crate::{BadSettings, World};

/// Attempts at one request, the first included. What fails more often waits in the ledger.
const MOST_ATTEMPTS: u32 = 5;

/// The first pause is about so long; every further one twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// A store that asks for a longer pause is not waited for.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// A connection takes no longer.
const LONGEST_CONNECT: Duration = Duration::from_secs(10);

/// An answer takes no longer to begin, beside the time its request takes to send.
const LONGEST_ANSWER: Duration = Duration::from_secs(60);

/// What is sent is sent at this rate or faster, in bytes a second.
const SLOWEST: u64 = 64 * 1024;

/// The bytes of an answer may stall for so long.
const LONGEST_STALL: Duration = Duration::from_secs(30);

/// Longest answer that is read whole: a page of a list.
const LONGEST_TEXT: usize = 16 * 1024 * 1024;

/// A request, before it is authorised.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    /// The body, in pieces that are not copied.
    pub(crate) body: Vec<Bytes>,
    /// How long its answer may take beside what is usual.
    pub(crate) patience: Duration,
}

impl Call {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: Vec::new(), patience: Duration::ZERO }
    }

    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }

    /// Sets a header whose value is ours: one that cannot be sent is left out, and the store refuses what lacks it.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// The same for what must not be shown.
    pub(crate) fn secret_header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(mut value) = HeaderValue::from_str(value) {
            value.set_sensitive(true);
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    pub(crate) fn body(mut self, pieces: impl Into<Vec<Bytes>>) -> Self {
        self.body = pieces.into();
        self
    }

    fn length(&self) -> u64 {
        self.body.iter().map(|piece| piece.len() as u64).sum()
    }
}

/// Puts the permission into a request.
#[async_trait]
pub(crate) trait Authority: Send + Sync {
    async fn authorise(&self, call: &mut Call) -> Result<(), ArchiveError>;
}

/// An answer, with all of its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// It was not sent: there is no permission.
    NotAllowed(ArchiveError),
    /// Nobody knows whether it arrived.
    Silence(String),
}

impl NoAnswer {
    /// In the archive's words, for an action on something.
    pub(crate) fn into_error(self, action: &str, target: &str) -> ArchiveError {
        match self {
            Self::NotAllowed(error) => error,
            Self::Silence(why) => ArchiveError::Unreachable { detail: format!("{action} {target}: {why}") },
        }
    }
}

/// The way to one store.
#[derive(Clone)]
pub(crate) struct Wire {
    http: Client,
    authority: Arc<dyn Authority>,
    world: World,
}

impl Wire {
    /// A way to `base`: over TLS, unless it is on this machine.
    ///
    /// # Errors
    /// [`BadSettings`].
    pub(crate) fn new(base: &Url, authority: Arc<dyn Authority>, world: World) -> Result<Self, BadSettings> {
        let plain = base.scheme() == "http";
        if plain && !is_loopback(base) {
            return Err(BadSettings("an archive is asked over https; http is for this machine only".to_owned()));
        }
        let mut client = Client::builder()
            .https_only(!plain)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(LONGEST_CONNECT)
            .pool_idle_timeout(Duration::from_secs(30))
            // One connection for each transfer: windows shared by many would have to be as large as all of them.
            .http1_only()
            .user_agent(concat!("callvault/", env!("CARGO_PKG_VERSION")));
        if plain {
            client = client.no_proxy();
        }
        let http = client.build().map_err(|error| BadSettings(format!("no HTTP client: {}", innermost(&error))))?;
        Ok(Self { http, authority, world })
    }

    /// Sends a request until it is answered for good, and reads the answer.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub(crate) async fn ask(&self, call: &Call) -> Result<Answer, NoAnswer> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let answered = match self.send(call).await {
                Ok(response) => whole(response).await,
                Err(none) => Err(none),
            };
            let pause = match &answered {
                Ok(answer) if is_passing(answer.status) => self.pause(attempt, answer.header(RETRY_AFTER.as_str())),
                Err(NoAnswer::Silence(_)) => self.pause(attempt, None),
                _ => None,
            };
            match pause {
                Some(pause) => self.world.clock.sleep(pause).await,
                None => return answered,
            }
        }
    }

    /// The same, but the body of a success is left to the caller.
    ///
    /// # Errors
    /// [`NoAnswer`]; an answer that is no success as `Ok(Err(..))`.
    pub(crate) async fn open(&self, call: &Call) -> Result<Result<Response, Answer>, NoAnswer> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let opened = match self.send(call).await {
                Ok(response) if response.status().is_success() => return Ok(Ok(response)),
                Ok(response) => whole(response).await,
                Err(none) => Err(none),
            };
            let pause = match &opened {
                Ok(answer) if is_passing(answer.status) => self.pause(attempt, answer.header(RETRY_AFTER.as_str())),
                Err(NoAnswer::Silence(_)) => self.pause(attempt, None),
                _ => None,
            };
            match pause {
                Some(pause) => self.world.clock.sleep(pause).await,
                None => return opened.map(Err),
            }
        }
    }

    /// Sends once.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub(crate) async fn once(&self, call: &Call) -> Result<Answer, NoAnswer> {
        whole(self.send(call).await?).await
    }

    /// The pause before another attempt; `None` when there were enough.
    pub(crate) fn pause(&self, attempt: u32, asked: Option<&str>) -> Option<Duration> {
        if attempt >= MOST_ATTEMPTS {
            return None;
        }
        let asked = asked.and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs).unwrap_or_default();
        // From half of it to one and a half: many that were refused together do not come back together.
        let own =
            (FIRST_PAUSE * 2_u32.saturating_pow(attempt - 1)).mul_f64(0.5 + (self.world.chance)().clamp(0.0, 1.0));
        (asked <= LONGEST_PAUSE).then_some(own.max(asked))
    }

    pub(crate) async fn sleep(&self, pause: Duration) {
        self.world.clock.sleep(pause).await;
    }

    async fn send(&self, call: &Call) -> Result<Response, NoAnswer> {
        let mut call = call.clone();
        let length = call.length();
        if length > 0 || matches!(call.method, Method::PUT | Method::POST | Method::PATCH) {
            call.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        self.authority.authorise(&mut call).await.map_err(NoAnswer::NotAllowed)?;
        let within = LONGEST_ANSWER + Duration::from_secs(length / SLOWEST) + call.patience;
        let request = self.http.request(call.method, call.url).headers(call.headers);
        let request = match call.body.len() {
            0 => request,
            1 => request.body(call.body.remove(0)),
            _ => request
                .body(reqwest::Body::wrap_stream(stream::iter(call.body.into_iter().map(Ok::<_, std::io::Error>)))),
        };
        match tokio::time::timeout(within, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(NoAnswer::Silence(unanswered(&error))),
            Err(_) => Err(NoAnswer::Silence(format!("no answer within {} s", within.as_secs()))),
        }
    }
}

/// Reads all of an answer.
async fn whole(mut response: Response) -> Result<Answer, NoAnswer> {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = BytesMut::new();
    loop {
        match tokio::time::timeout(LONGEST_STALL, response.chunk()).await {
            Ok(Ok(Some(piece))) if body.len() + piece.len() <= LONGEST_TEXT => body.extend_from_slice(&piece),
            Ok(Ok(Some(_))) => return Err(NoAnswer::Silence("an answer that is too long".to_owned())),
            Ok(Ok(None)) => return Ok(Answer { status, headers, body: body.freeze() }),
            Ok(Err(error)) => return Err(NoAnswer::Silence(format!("the answer was cut ({})", innermost(&error)))),
            Err(_) => return Err(NoAnswer::Silence("the answer stalled".to_owned())),
        }
    }
}

/// The bytes of an object as they come.
pub(crate) fn pieces(response: Response, what: String) -> BoxStream<'static, Result<Bytes, ArchiveError>> {
    stream::try_unfold((response, what), |(mut response, what)| async move {
        let broke = |why: &str| ArchiveError::Failed { detail: format!("{what} broke off: {why}") };
        match tokio::time::timeout(LONGEST_STALL, response.chunk()).await {
            Ok(Ok(piece)) => Ok(piece.map(|piece| (piece, (response, what)))),
            Ok(Err(error)) => Err(broke(&innermost(&error))),
            Err(_) => Err(broke("it stalled")),
        }
    })
    .boxed()
}

/// Whether a store only could not do it just now.
pub(crate) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// Whether a URL leads to this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn unanswered(error: &reqwest::Error) -> String {
    let what = if error.is_connect() {
        "no connection"
    } else if error.is_timeout() {
        "no answer in time"
    } else {
        "not sent, or not answered"
    };
    format!("{what} ({})", innermost(error))
}

/// The cause of all causes, which names no URL.
pub(crate) fn innermost(error: &reqwest::Error) -> String {
    let Some(mut cause) = error.source() else { return "no cause".to_owned() };
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
