//! The server: connections, the order in which a request meets its fate, and the faults of the wire.
//!
//! Owns HTTP/1.1. For each request: count, identify, decide faults, refuse or act, then spoil the answer. What a
//! request means is the endpoints' business.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderName, HeaderValue, RANGE, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::answer::{Answer, Body};
use crate::api::download::{self, Download};
use crate::api::{Call, Operation, authorize, control, oauth};
use crate::clock::pause;
use crate::faults::{FaultName, Struck};
use crate::media::Source;
use crate::pieces::{Pieces, Wire, closed, streamed};
use crate::world::{Usage, World};

/// No request of a client is near this.
const LARGEST_REQUEST: usize = 16 << 20;
/// Media up to this goes out as one piece.
const SMALL_MEDIA: u64 = 128 * 1024;
/// What busy media ask for.
const MEDIA_PAUSE: Duration = Duration::from_secs(1);
const HANG: Duration = Duration::from_secs(40);
/// How long a stop waits for answers under way.
const GRACE: Duration = Duration::from_millis(500);

/// Accepts connections until `stop` says so, then closes them all.
pub(crate) async fn serve(world: Arc<World>, listener: TcpListener, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(Arc::clone(&world), stream, stop.clone()));
                }
                // Out of descriptors, most likely: others will close.
                Err(_) => pause(Duration::from_millis(50)).await,
            },
        }
    }
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(GRACE, all).await; // what is left is aborted with the set
}

async fn connection(world: Arc<World>, stream: TcpStream, mut stop: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true); // only costs latency where it fails
    let service = service_fn(move |request| handle(Arc::clone(&world), request));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // Errors here are the faults we made, and clients that went away.
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = stop.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

async fn handle(world: Arc<World>, request: Request<Incoming>) -> Result<Response<Wire>, io::Error> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, LARGEST_REQUEST).collect().await.map_err(|_| closed())?.to_bytes();
    let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
    let authorization = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());

    if path.starts_with("/_sim/") {
        let (method, path, query) = (parts.method.clone(), path.to_owned(), query.to_owned());
        // The truth may cost seconds of hashing.
        let told = tokio::task::spawn_blocking(move || (control::answer(&world, &method, &path, &query, &body), world));
        let (answer, world) = told.await.map_err(io::Error::other)?;
        return send(&world, answer, &Struck::default()).await;
    }
    if path.starts_with("/_media/") {
        world.counters.arrived("media", false);
        world.counters.media(path, authorization.is_some());
        let struck = world.faults.strike("media");
        let answer = if struck.by(FaultName::MediaBusy) {
            world.counters.media_pause(path, MEDIA_PAUSE);
            let message = "Please reduce your request rate.";
            let answer = Answer::store_error(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", message);
            answer.with(RETRY_AFTER, &MEDIA_PAUSE.as_secs().to_string())
        } else if struck.by(FaultName::Unavailable) {
            let message = "Please reduce your request rate.";
            Answer::store_error(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", message)
        } else {
            let range = parts.headers.get(RANGE).and_then(|value| value.to_str().ok());
            let download = Download {
                method: &parts.method,
                path,
                query,
                authorization: authorization.is_some(),
                range,
                expired: struck.by(FaultName::ExpiredUrl),
            };
            download::answer(&world, &download)
        };
        return send(&world, answer, &struck).await;
    }
    if path == "/oauth/token" {
        let form = String::from_utf8_lossy(&body);
        let word = oauth::word(&form);
        world.counters.arrived(word, false);
        let struck = world.faults.strike(word);
        let answer = injected(&struck).unwrap_or_else(|| oauth::token(&world, authorization, &form));
        return send(&world, answer, &struck).await;
    }
    if path == "/oauth/authorize" {
        world.counters.arrived("authorize", false);
        let struck = world.faults.strike("authorize");
        let form = String::from_utf8_lossy(&body);
        let answer = injected(&struck).unwrap_or_else(|| authorize::answer(&world, &parts.method, query, &form));
        return send(&world, answer, &struck).await;
    }
    if path.starts_with("/api/") {
        let operation = Operation::of(&parts.method, path);
        world.counters.arrived(operation.word(), true);
        let struck = world.faults.strike_where(operation.word(), |fault| operation.can_meet(&world, fault));
        let (answer, usage) = platform(&world, operation, authorization, query, &body, &struck);
        return send(&world, platform_headers(&world, answer, usage), &struck).await;
    }
    let answer = Answer::not_found("The requested resource was not found.");
    send(&world, answer, &Struck::default()).await
}

/// A request to the platform: who is it, may they, and what comes of it.
fn platform(
    world: &World,
    operation: Operation<'_>,
    authorization: Option<&str>,
    query: &str,
    body: &Bytes,
    struck: &Struck,
) -> (Answer, Option<Usage>) {
    let unauthorized = |code, message| (Answer::error(StatusCode::UNAUTHORIZED, code, message), None);
    let bearer = authorization.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let Some(token) = bearer else {
        let message = "No authentication bearer token specified in authorization header.";
        return unauthorized("authentication.required", message);
    };
    if struck.by(FaultName::ExpiredToken) {
        world.forget(token);
    }
    let Some(bearer) = world.bearer(token) else {
        return unauthorized("bad.credentials", "Invalid login credentials.");
    };
    let usage = world.count(&bearer.client);
    if usage.count > world.options.rate_per_minute {
        world.counters.refused();
        return (too_many(world, usage.reset_seconds), Some(usage));
    }
    let call = Call { client: &bearer.client, grant: bearer.grant.as_ref(), query, body, struck };
    (injected(struck).unwrap_or_else(|| operation.answer(world, &call)), Some(usage))
}

fn too_many(world: &World, wait_seconds: u64) -> Answer {
    let message =
        format!("Rate limit exceeded the maximum [{}] requests within [60] seconds", world.options.rate_per_minute);
    Answer::error(StatusCode::TOO_MANY_REQUESTS, "too.many.requests", &message)
        .with(RETRY_AFTER, &wait_seconds.to_string())
}

/// The faults that keep a request from taking effect.
fn injected(struck: &Struck) -> Option<Answer> {
    if struck.by(FaultName::Throttled) {
        let message = "Rate limit exceeded the maximum [10] requests within [1] seconds";
        let answer = Answer::error(StatusCode::TOO_MANY_REQUESTS, "too.many.requests", message);
        return Some(answer.with(RETRY_AFTER, "1"));
    }
    struck.by(FaultName::Unavailable).then(|| {
        let message = "Service Unavailable - The server is currently unavailable (because it is overloaded or down for maintenance).";
        Answer::error(StatusCode::SERVICE_UNAVAILABLE, "service.unavailable", message)
    })
}

/// What every answer of the platform carries. Without a client there is no count: nothing was used.
fn platform_headers(world: &World, answer: Answer, usage: Option<Usage>) -> Answer {
    let usage = usage.unwrap_or(Usage { count: 0, reset_seconds: 60 });
    answer
        .with(HeaderName::from_static("inin-correlation-id"), &world.uuid())
        .with(HeaderName::from_static("inin-ratelimit-count"), &usage.count.to_string())
        .with(HeaderName::from_static("inin-ratelimit-allowed"), &world.options.rate_per_minute.to_string())
        .with(HeaderName::from_static("inin-ratelimit-reset"), &usage.reset_seconds.to_string())
}

/// Puts an answer on the wire, or spoils it.
async fn send(world: &Arc<World>, answer: Answer, struck: &Struck) -> Result<Response<Wire>, io::Error> {
    if struck.by(FaultName::Dropped) {
        return Err(closed());
    }
    if struck.by(FaultName::Hang) {
        pause(HANG).await;
        return Err(closed());
    }
    if struck.by(FaultName::Slow) {
        let millis = world.chance(|chance| chance.between(200, 1_000));
        pause(Duration::from_millis(millis)).await;
    }
    // A refusal is no medium.
    let endless = struck.by(FaultName::EndlessBody) && matches!(answer.body, Body::Media { .. });
    let (length, body) = match answer.body {
        Body::Empty => (0, whole(Bytes::new())),
        Body::Whole(bytes) => {
            let length = bytes.len() as u64;
            let cut = struck.by(FaultName::CutJson).then(|| cut_at(world, length));
            (
                length,
                match cut {
                    Some(cut) => streamed(Pieces::of([bytes].into_iter(), 0, length).cut(Some(cut))),
                    None => whole(bytes),
                },
            )
        }
        Body::Media { source, skip, length } => (length, media(world, *source, skip, length, struck)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    if endless {
        // To older servers the end of the connection is the end of the body.
        *response.version_mut() = Version::HTTP_10;
    }
    let headers = response.headers_mut();
    headers.extend(answer.headers);
    if answer.status != StatusCode::NO_CONTENT && !endless {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(response)
}

fn cut_at(world: &World, length: u64) -> u64 {
    world.chance(|chance| chance.below(length))
}

fn whole(bytes: Bytes) -> Wire {
    Full::new(bytes).map_err(|never: Infallible| match never {}).boxed_unsync()
}

fn media(world: &Arc<World>, source: Source, skip: u64, length: u64, struck: &Struck) -> Wire {
    let cut = (struck.by(FaultName::CutBody) && length > 0).then(|| cut_at(world, length));
    let stall = (struck.by(FaultName::StalledBody) && length > 0).then(|| cut_at(world, length));
    let mut pieces = Pieces::of(source, skip, length).cut(cut);
    if cut.is_none() && stall.is_none() && !struck.by(FaultName::EndlessBody) && length <= SMALL_MEDIA {
        let mut all = Vec::with_capacity(length as usize);
        while let Some(piece) = pieces.next() {
            all.extend_from_slice(&piece);
        }
        world.counters.media_sent(all.len());
        return whole(all.into());
    }
    pieces.stall = stall;
    pieces.counted_by = Some(Arc::clone(world));
    streamed(pieces)
}
