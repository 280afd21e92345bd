//! The part of API Gateway that sends to open websockets: `POST` and `DELETE /STAGE/@connections/ID`.
//!
//! It answers 410 for connections that are not open, as AWS does, fails or hangs for those it is told to, and takes no request
//! that is not signed for it.
#![expect(clippy::unwrap_used, reason = "a harness of tests fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use serde_json::Value;

use super::server::Server;

/// What becomes of messages to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ill {
    /// They are answered with a server's error.
    Fails,
    /// They are refused for the pace.
    Limited,
    /// They are never answered.
    Hangs,
}

#[derive(Default)]
struct State {
    open: BTreeMap<String, Vec<String>>,
    ill: BTreeMap<String, Ill>,
    ended: BTreeSet<String>,
    unsigned: usize,
}

/// The gateway. It closes when it is dropped.
pub struct WebSockets {
    state: Arc<Mutex<State>>,
    server: Server,
}

impl std::fmt::Debug for WebSockets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSockets").field("server", &self.server).finish_non_exhaustive()
    }
}

impl WebSockets {
    /// Opens one, with no connection.
    pub async fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| answer(Arc::clone(&shared), request)).await;
        Self { state, server }
    }

    /// For `CALLS_SOCKETS_URL`.
    pub fn url(&self) -> String {
        format!("{}/live", self.server.url())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client opens a connection.
    pub fn open(&self, connection: &str) {
        self.state().open.insert(connection.to_owned(), Vec::new());
    }

    /// A client is gone without a word.
    pub fn vanish(&self, connection: &str) {
        self.state().open.remove(connection);
    }

    /// From now on this becomes of messages to a connection; `None`: they arrive.
    pub fn make_ill(&self, connection: &str, ill: Option<Ill>) {
        let mut state = self.state();
        match ill {
            Some(ill) => drop(state.ill.insert(connection.to_owned(), ill)),
            None => drop(state.ill.remove(connection)),
        }
    }

    /// The messages that a connection got since it was last asked.
    pub fn take(&self, connection: &str) -> Vec<String> {
        self.state().open.get_mut(connection).map(std::mem::take).unwrap_or_default()
    }

    /// Whether a connection was ended by the other side.
    pub fn was_ended(&self, connection: &str) -> bool {
        self.state().ended.contains(connection)
    }

    /// Requests that were not signed.
    pub fn unsigned(&self) -> usize {
        self.state().unsigned
    }
}

async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let signature = head.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let signed = signature.starts_with("AWS4-HMAC-SHA256 Credential=")
        && signature.contains("/eu-west-1/execute-api/aws4_request");
    let ill = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = head.uri.path().strip_prefix("/live/").and_then(name);
        let (true, Some(connection)) = (signed, connection) else {
            state.unsigned += 1;
            return Ok(refused(403, "ForbiddenException"));
        };
        match (state.ill.get(&connection).copied(), head.method) {
            (None, Method::DELETE) | (Some(_), Method::DELETE) => {
                state.open.remove(&connection);
                state.ended.insert(connection);
                return Ok(Response::builder().status(204).body(Full::default()).unwrap());
            }
            (None, Method::POST) => {
                let Some(messages) = state.open.get_mut(&connection) else {
                    return Ok(refused(410, "GoneException"));
                };
                messages.push(String::from_utf8_lossy(&body).into_owned());
                return Ok(Response::new(Full::default()));
            }
            (Some(ill), Method::POST) => ill,
            _ => return Ok(refused(403, "ForbiddenException")),
        }
    };
    Ok(match ill {
        Ill::Fails => refused(500, "InternalServerErrorException"),
        Ill::Limited => refused(429, "LimitExceededException"),
        Ill::Hangs => std::future::pending().await,
    })
}

/// The connection of a path, whose name may be encoded.
fn name(path: &str) -> Option<String> {
    let name = path.strip_prefix("@connections/").or_else(|| path.strip_prefix("%40connections/"))?;
    Some(name.replace("%3D", "="))
}

fn refused(status: u16, code: &str) -> Response<Full<Bytes>> {
    let body = serde_json::json!({ "message": Value::Null }).to_string();
    let response = Response::builder().status(status).header("x-amzn-errortype", code);
    response.header("content-type", "application/json").body(Full::new(body.into())).unwrap()
}
