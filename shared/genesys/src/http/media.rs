//! Opening a signed media URL.
//!
//! Uses a client of its own that knows no token, follows no redirect by itself and connects to public addresses only.
//! Every redirect is judged by the rules of the first URL. The body is streamed: nothing here holds more than a chunk.
//! A host that asks for a pause gets it, from whatever is copied from there. The URL never enters an error.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_TYPE, LOCATION, TRANSFER_ENCODING};
use hyper::{Response, StatusCode, Uri, Version};
use jiff::Timestamp;
use url::Url;

use super::answer::{is_timeout, retry_after, told};
use super::hosts::{MediaRules, OnlyPrivate};
use super::limiter::{later, until};
use super::media_client::MediaClient;
use crate::api::{Media, MediaError, SignedUrl};
use crate::clock::Clock;

/// Redirects that are followed. Signed URLs of S3 and the platform need none; one is usual behind a CDN.
const REDIRECTS: usize = 3;

/// Which hosts asked to be left alone, and until when. A pause is about the host, not about one URL.
#[derive(Debug, Default)]
pub(super) struct Pauses(Mutex<HashMap<String, Timestamp>>);

impl Pauses {
    fn begin(&self, host: &str, until: Timestamp) {
        let mut hosts = self.locked();
        let known = hosts.entry(host.to_owned()).or_insert(until);
        *known = until.max(*known);
    }

    /// What is left of a host's pause.
    fn left(&self, host: &str, now: Timestamp) -> Option<Duration> {
        let mut hosts = self.locked();
        let left = hosts.get(host).map(|end| until(now, *end)).filter(|left| !left.is_zero());
        if left.is_none() {
            hosts.remove(host);
        }
        left
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<String, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What opening needs.
pub(super) struct Opener<'a> {
    pub(super) client: &'a MediaClient,
    pub(super) rules: &'a MediaRules,
    pub(super) pauses: &'a Pauses,
    pub(super) clock: &'a dyn Clock,
    /// Longest wait for the headers.
    pub(super) answer_within: Duration,
    /// Longest wait for the next bytes.
    pub(super) stall_timeout: Duration,
}

impl Opener<'_> {
    /// Opens `url`, following judged redirects.
    pub(super) async fn open(&self, url: &SignedUrl) -> Result<Media, MediaError> {
        let mut url = Url::parse(url.expose()).map_err(|_| not_allowed("it is not a URL"))?;
        for _ in 0..=REDIRECTS {
            self.rules.judge(&url).map_err(|why| MediaError::NotAllowed { why })?;
            let host = url.host_str().unwrap_or_default().to_owned();
            if let Some(left) = self.pauses.left(&host, self.clock.now()) {
                return Err(unavailable("it asked for a pause that is not over".to_owned(), Some(left)));
            }
            let target: Uri = url.as_str().parse().map_err(|_| not_allowed("it is not a URL"))?;
            let sent = self.client.get(target);
            let response = match tokio::time::timeout(self.answer_within, sent).await {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => {
                    return Err(refused_address(&error).unwrap_or_else(|| unavailable(fault(&error), None)));
                }
                Err(_) => return Err(unavailable("timed out: no answer".to_owned(), None)),
            };
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return self.take(response, &host);
            }
            let target = response.headers().get(LOCATION).and_then(|target| target.to_str().ok());
            url = target
                .and_then(|target| url.join(target).ok())
                .ok_or_else(|| interrupted(format!("status {} to nowhere", response.status().as_u16())))?;
        }
        Err(interrupted(format!("more than {REDIRECTS} redirects")))
    }

    fn take(&self, response: Response<Incoming>, host: &str) -> Result<Media, MediaError> {
        let status = response.status().as_u16();
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::GONE => {
                return Err(MediaError::Expired { status });
            }
            StatusCode::NOT_FOUND => return Err(MediaError::Gone { status }),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => return Err(self.away(&response, host)),
            of_server if of_server.is_server_error() => return Err(self.away(&response, host)),
            _ => return Err(interrupted(format!("status {status}"))),
        }
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|text| text.to_str().ok()).map(str::to_owned);
        let is_in_chunks = is_in_chunks(&response);
        let body = response.into_body();
        let length = body.size_hint().exact();
        let has_provable_end = length.is_some() || is_in_chunks;
        Ok(Media { content_type, length, has_provable_end, body: pieces(body, self.stall_timeout) })
    }

    /// The host has trouble of its own, and says perhaps for how long.
    fn away(&self, response: &Response<Incoming>, host: &str) -> MediaError {
        let now = self.clock.now();
        let pause = retry_after(response.headers(), now);
        if let Some(pause) = pause {
            self.pauses.begin(host, later(now, pause));
        }
        unavailable(format!("status {}", response.status().as_u16()), pause)
    }
}

/// Whether a body says by itself where it ends: in HTTP/1.1 by its last chunk (RFC 9112, 6.3), in HTTP/2 always. Any
/// other body without a length lasts until the connection ends, for whatever reason.
fn is_in_chunks(response: &Response<Incoming>) -> bool {
    let codings = response.headers().get_all(TRANSFER_ENCODING).iter().next_back();
    let last = codings.and_then(|codings| codings.to_str().ok()?.rsplit(',').next());
    let chunked = last.is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"));
    response.version() >= Version::HTTP_2 || (response.version() == Version::HTTP_11 && chunked)
}

/// The bytes of a body; a stall longer than `stall` or a cut ends it with an error.
fn pieces(body: Incoming, stall: Duration) -> BoxStream<'static, Result<bytes::Bytes, MediaError>> {
    stream::unfold(Some(body), move |body| async move {
        let mut body = body?;
        loop {
            match tokio::time::timeout(stall, body.frame()).await {
                // What is no data comes after it, and says nothing to us.
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(piece) => return Some((Ok(piece), Some(body))),
                    Err(_) => continue,
                },
                Ok(None) => return None,
                Ok(Some(Err(error))) => return Some((Err(interrupted(told("the answer was cut", &error))), None)),
                Err(_) => {
                    return Some((Err(interrupted(format!("stalled for {} s", stall.as_secs_f64()))), None));
                }
            }
        }
    })
    .boxed()
}

/// A transport fault in words.
pub(super) fn fault(error: &hyper_util::client::legacy::Error) -> String {
    let kind = if is_timeout(error) {
        "timed out"
    } else if error.is_connect() {
        "could not connect"
    } else {
        "the connection broke"
    };
    told(kind, error)
}

/// The lookup's refusal, if that is what stopped a connection.
fn refused_address(error: &hyper_util::client::legacy::Error) -> Option<MediaError> {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(refusal) = inner.downcast_ref::<OnlyPrivate>() {
            return Some(not_allowed(&refusal.to_string()));
        }
        source = inner.source();
    }
    None
}

fn not_allowed(why: &str) -> MediaError {
    MediaError::NotAllowed { why: why.to_owned() }
}

fn unavailable(detail: String, retry_after: Option<Duration>) -> MediaError {
    MediaError::Unavailable { detail, retry_after }
}

fn interrupted(detail: String) -> MediaError {
    MediaError::Interrupted { detail }
}
