//! Opening a signed media URL.
//!
//! Uses a client of its own that knows no token, follows no redirect by itself and connects to public addresses only.
//! Every redirect is judged by the rules of the first URL. The body is streamed: nothing here holds more than a chunk.
//! The URL never enters an error.

use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Client, Response, StatusCode};
use url::Url;

use super::answer::fault;
use super::hosts::{MediaRules, OnlyPrivate};
use crate::api::{Media, MediaError, SignedUrl};

/// Redirects that are followed. Signed URLs of S3 and the platform need none; one is usual behind a CDN.
const REDIRECTS: usize = 3;

/// What opening needs.
pub(super) struct Opener<'a> {
    pub(super) client: &'a Client,
    pub(super) rules: &'a MediaRules,
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
            let sent = self.client.get(url.clone()).send();
            let response = match tokio::time::timeout(self.answer_within, sent).await {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => {
                    return Err(refused_address(&error).unwrap_or_else(|| interrupted(fault(error))));
                }
                Err(_) => return Err(interrupted("timed out: no answer".to_owned())),
            };
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return self.take(response);
            }
            let target = response.headers().get(LOCATION).and_then(|target| target.to_str().ok());
            url = target
                .and_then(|target| url.join(target).ok())
                .ok_or_else(|| interrupted(format!("status {} to nowhere", response.status().as_u16())))?;
        }
        Err(interrupted(format!("more than {REDIRECTS} redirects")))
    }

    fn take(&self, response: Response) -> Result<Media, MediaError> {
        let status = response.status().as_u16();
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::GONE => {
                return Err(MediaError::Expired { status });
            }
            StatusCode::NOT_FOUND => return Err(MediaError::Gone { status }),
            _ => return Err(interrupted(format!("status {status}"))),
        }
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|text| text.to_str().ok()).map(str::to_owned);
        Ok(Media { content_type, length: response.content_length(), body: body(response, self.stall_timeout) })
    }
}

/// The bytes of a response; a stall longer than `stall` or a cut ends it with an error.
fn body(response: Response, stall: Duration) -> BoxStream<'static, Result<bytes::Bytes, MediaError>> {
    stream::unfold(Some(response), move |response| async move {
        let mut response = response?;
        match tokio::time::timeout(stall, response.chunk()).await {
            Ok(Ok(Some(chunk))) => Some((Ok(chunk), Some(response))),
            Ok(Ok(None)) => None,
            Ok(Err(error)) => Some((Err(interrupted(fault(error))), None)),
            Err(_) => Some((Err(interrupted(format!("stalled for {} s", stall.as_secs_f64()))), None)),
        }
    })
    .boxed()
}

/// The lookup's refusal, if that is what stopped a connection.
fn refused_address(error: &reqwest::Error) -> Option<MediaError> {
    let mut source = std::error::Error::source(error);
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

fn interrupted(detail: String) -> MediaError {
    MediaError::Interrupted { detail }
}
