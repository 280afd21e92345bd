//! A gate in front of a store of objects, whichever: it numbers the calls, and lets one of them go wrong.
//!
//! What goes through is passed on word for word, `Host` included, so that signatures hold.
#![expect(clippy::unwrap_used, reason = "a harness of tests fails by panicking")]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response};

use super::server::{Server, forward, whole};

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// It has no effect, and is answered with 503.
    FailBefore,
    /// It never arrives.
    LoseCall,
    /// It takes effect, and the connection closes without an answer.
    LoseAnswer,
    /// It takes effect, and is answered with 500.
    FailAfter,
}

impl Mishap {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::FailBefore, Self::LoseCall, Self::LoseAnswer, Self::FailAfter];
}

#[derive(Default)]
struct State {
    calls: Vec<String>,
    mishap: Option<(usize, Mishap)>,
}

/// The gate. It closes when it is dropped.
pub struct StoreGate {
    state: Arc<Mutex<State>>,
    server: Server,
}

impl std::fmt::Debug for StoreGate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreGate").field("server", &self.server).finish_non_exhaustive()
    }
}

impl StoreGate {
    /// Opens one in front of this URL, which has no path.
    pub async fn open(store: &str) -> Self {
        let state = Arc::<Mutex<State>>::default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let (shared, store) = (Arc::clone(&state), store.trim_end_matches('/').to_owned());
        let server = Server::start(move |request| carry(Arc::clone(&shared), http.clone(), store.clone(), request));
        let server = server.await;
        Self { state, server }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Forgets the calls so far; from now on this becomes of the call of this number, from 0.
    pub fn mishap(&self, mishap: Option<(usize, Mishap)>) {
        *locked(&self.state) = State { calls: Vec::new(), mishap };
    }

    /// The calls since then: method, path and query.
    pub fn calls(&self) -> Vec<String> {
        locked(&self.state).calls.clone()
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn carry(
    state: Arc<Mutex<State>>,
    http: reqwest::Client,
    store: String,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, &'static str> {
    let (head, body) = whole(request).await?;
    let path = head.uri.path_and_query().map(|path| path.as_str()).unwrap_or_default();
    let mishap = {
        let mut state = locked(&state);
        let number = state.calls.len();
        state.calls.push(format!("{} {path}", head.method));
        state.mishap.filter(|(harmed, _)| *harmed == number).map(|(_, mishap)| mishap)
    };
    match mishap {
        Some(Mishap::FailBefore) => return Ok(failed(503)),
        Some(Mishap::LoseCall) => return Err("lost"),
        Some(Mishap::LoseAnswer | Mishap::FailAfter) | None => {}
    }
    let answer = forward(&http, &store, &head, body).await.map_err(|_| "the store does not answer")?;
    match mishap {
        Some(Mishap::LoseAnswer) => Err("lost"),
        Some(Mishap::FailAfter) => Ok(failed(500)),
        _ => Ok(answer),
    }
}

fn failed(status: u16) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::new(Bytes::new())).unwrap()
}
