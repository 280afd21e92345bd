//! Connections, bodies, their limits. HTTP/1.1; what is not HTTP at all is answered by hyper, with a bare 400.
//!
//! Must never hold more of a body than is read of it, nor wait for a slow sender for ever. What a request means is the
//! site's business.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use callvault_calls::Problem;
use callvault_pipeline::clock::Clock;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::EXPECT;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::super::run::job::Stopping;
use super::site::Site;

/// Connections at the same time; more wait in the system's queue. One that has become a websocket no longer counts. Senders
/// keep theirs open between two events, so there may be as many as there are senders.
const MOST_CONNECTIONS: usize = 4096;

/// Bodies that are read or worked on at the same time. Those of senders who may not send are not among them.
const MOST_BODIES: usize = 256;

/// A head must be there this long after its connection, or after the answer before it.
const HEAD_WITHIN: Duration = Duration::from_secs(20);

/// A body must be there this long after its head.
const BODY_WITHIN: Duration = Duration::from_secs(20);

/// Longest head of a request, in bytes.
const LONGEST_HEAD: usize = 64 * 1024;

/// What is read, and thrown away, of a body that is too long: a sender that is cut off while it sends does not see why.
const MOST_DISCARDED: usize = 4 << 20;

/// Somebody who may not send it is listened to for so long: cut off while sending, a client does not see why.
const DISCARDED_WITHIN: Duration = Duration::from_secs(1);

/// Pause after a connection could not be taken: out of descriptors, most likely, and others will close.
const AFTER_A_FAULT: Duration = Duration::from_millis(50);

/// Takes connections until it is told to stop; then ends when those under way are answered.
pub(super) async fn run(listener: TcpListener, site: Arc<Site>, clock: Arc<dyn Clock>, stopping: Stopping) {
    let mut told = stopping.clone();
    let (room, bodies) = (Arc::new(Semaphore::new(MOST_CONNECTIONS)), Arc::new(Semaphore::new(MOST_BODIES)));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&room).acquire_owned().await;
            (listener.accept().await, place)
        };
        tokio::select! {
            () = told.told() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            (accepted, place) = accepted => match accepted {
                Ok((stream, _)) => {
                    let (site, stopping, bodies) = (Arc::clone(&site), stopping.clone(), Arc::clone(&bodies));
                    connections.spawn(async move {
                        connection(stream, site, stopping, bodies).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!("a connection could not be taken ({error})");
                    clock.sleep(AFTER_A_FAULT).await;
                }
            },
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    site.ended().await;
}

async fn connection(stream: TcpStream, site: Arc<Site>, mut stopping: Stopping, bodies: Arc<Semaphore>) {
    let _ = stream.set_nodelay(true); // only costs latency where it fails
    let told = stopping.clone();
    let service = service_fn(move |request| answer(Arc::clone(&site), request, told.clone(), Arc::clone(&bodies)));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(LONGEST_HEAD)
        // Whoever has said all there is to say may still want to hear the answer.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    // Errors here are clients that went away, or speak something else.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stopping.told() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn answer(
    site: Arc<Site>,
    request: Request<Incoming>,
    stopping: Stopping,
    bodies: Arc<Semaphore>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let response = match site.admit(&head) {
        Ok(None) => site.answer(Request::from_parts(head, Bytes::new()), &stopping).await,
        Ok(Some(most_bytes)) => {
            // Held until it is answered: so many bodies are in memory, and no more.
            let _place = bodies.acquire().await;
            let whole = tokio::time::timeout(BODY_WITHIN, whole(body, most_bytes)).await;
            match whole.unwrap_or_else(|_| Err(too_slow())) {
                Ok(body) => site.answer(Request::from_parts(head, body), &stopping).await,
                Err(problem) => problem.response(),
            }
        }
        Err(problem) => {
            // Who asks first whether to send it is told so before it is sent.
            if !head.headers.contains_key(EXPECT) {
                let _ = tokio::time::timeout(DISCARDED_WITHIN, whole(body, 0)).await;
            }
            problem.response()
        }
    };
    Ok(response.map(Full::new))
}

/// The whole body, if it is not too long.
async fn whole(mut body: Incoming, most_bytes: usize) -> Result<Bytes, Problem> {
    let (mut kept, mut seen) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let malformed = || Problem::new(StatusCode::BAD_REQUEST, "body-malformed", "the body breaks off");
        let frame = frame.map_err(|_| malformed())?;
        let Some(data) = frame.data_ref() else { continue };
        seen = seen.saturating_add(data.len());
        if seen <= most_bytes {
            kept.extend_from_slice(data);
        } else if seen > MOST_DISCARDED {
            break;
        } else {
            kept = Vec::new();
        }
    }
    if seen > most_bytes { Err(Problem::too_large(most_bytes)) } else { Ok(kept.into()) }
}

fn too_slow() -> Problem {
    let detail = format!("the body was not there within {} s", BODY_WITHIN.as_secs());
    Problem::new(StatusCode::REQUEST_TIMEOUT, "request-too-slow", detail)
}
