//! An S3 in this process that believes nothing: it checks what AWS checks and the other stand-ins do not.
//!
//! Every body must come with a checksum, as header or trailer, that fits what arrived; declared lengths must fit;
//! `If-None-Match` is decided in the moment of writing, so of many writers one wins. It fails by script: corrupts,
//! cuts off, refuses, loses answers. It does not verify signatures.
#![expect(clippy::unwrap_used, reason = "a harness of tests fails by panicking")]

mod objects;
mod wire;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio::sync::Notify;

use super::server::Server;
use objects::Store;
pub use objects::{Object, Refusal};
use wire::{Asked, operation};

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum S3Fault {
    /// A bit of the body is another one when it arrives, or when it leaves.
    Corrupt,
    /// The connection is closed in the middle of the body.
    Cut,
    /// The call is refused before its body is read: status and code.
    Refuse(u16, &'static str),
    /// The call is refused after its body was read: status and code.
    RefuseLate(u16, &'static str),
    /// It is done, and the connection is closed before the answer.
    LoseAnswer,
}

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// S3's name of the operation.
    pub operation: &'static str,
    /// Bucket and key.
    pub path: String,
    /// Headers, lower case.
    pub headers: BTreeMap<String, String>,
    /// Names of the trailers that followed the body.
    pub trailers: Vec<String>,
}

#[derive(Debug, Default)]
struct State {
    store: Store,
    seen: Vec<Seen>,
    counts: BTreeMap<&'static str, usize>,
    faults: Vec<(&'static str, usize, S3Fault)>,
    /// Answered to every call, where the bucket is elsewhere.
    region: Option<&'static str>,
}

/// A running S3. Stops when it is dropped.
#[derive(Debug)]
pub struct VerifyingS3 {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    server: Server,
}

impl VerifyingS3 {
    /// Starts one with the bucket `bucket`, whose parts are at least `least_part` bytes long.
    pub async fn start(least_part: usize) -> Self {
        let state = Arc::new(Mutex::new(State { store: Store::new(least_part), ..State::default() }));
        let changed = Arc::new(Notify::new());
        let (shared, tell) = (Arc::clone(&state), Arc::clone(&changed));
        let server = Server::start(move |request| {
            let (state, tell) = (Arc::clone(&shared), Arc::clone(&tell));
            async move {
                let answered = answer(state, request).await;
                tell.notify_waiters();
                answered
            }
        });
        let server = server.await;
        Self { state, changed, server }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Fails the `n`th call of an operation, counted from 1 and from now.
    pub fn fail(&self, operation: &'static str, n: usize, fault: S3Fault) {
        let mut state = self.locked();
        let n = n + state.counts.get(operation).copied().unwrap_or_default();
        state.faults.push((operation, n, fault));
    }

    /// Waits, from one call to the next, until something is so.
    ///
    /// # Panics
    /// When nothing came for a minute.
    pub async fn until(&self, so: impl Fn(&Self) -> bool) {
        loop {
            let changed = self.changed.notified();
            if so(self) {
                return;
            }
            tokio::time::timeout(std::time::Duration::from_secs(60), changed).await.unwrap();
        }
    }

    /// The bucket is in another region from now on.
    pub fn move_to(&self, region: &'static str) {
        self.locked().region = Some(region);
    }

    /// What came so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.locked().seen.clone()
    }

    /// What came so far of one operation.
    pub fn seen_of(&self, operation: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.operation == operation).collect()
    }

    /// The object of a bucket and key.
    pub fn object(&self, path: &str) -> Option<Object> {
        self.locked().store.object(path).cloned()
    }

    /// Everything that is visible.
    pub fn paths(&self) -> Vec<String> {
        self.locked().store.paths()
    }

    /// Puts an object there that carries no checksum and no metadata, as other tools leave them.
    pub fn plant(&self, path: &str, content: Bytes) {
        self.locked().store.plant(path, content);
    }

    /// Uploads in parts that are neither complete nor aborted.
    pub fn open_uploads(&self) -> usize {
        self.locked().store.open_uploads()
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("closed on purpose")]
struct Closed;

async fn answer(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Closed> {
    let (head, body) = request.into_parts();
    let operation = operation(&head.method, &head.uri);
    let (fault, region) = {
        let mut state = locked(&state);
        let count = state.counts.entry(operation).or_default();
        *count += 1;
        let count = *count;
        let fault = state.faults.iter().find(|(name, n, _)| *name == operation && *n == count).map(|fault| fault.2);
        (fault, state.region)
    };
    let mut asked = Asked::new(operation, &head);
    if let Some(region) = region {
        let refusal = Refusal(301, "PermanentRedirect");
        return Ok(wire::refused(&refusal, &asked, &[("x-amz-bucket-region", region)]));
    }
    if let Some(S3Fault::Refuse(status, code)) = fault {
        locked(&state).seen.push(asked.seen());
        return Ok(wire::refused(&Refusal(status, code), &asked, &[]));
    }
    let body = match fault {
        Some(S3Fault::Cut) => {
            let mut body = body;
            let _: Option<Result<_, _>> = body.frame().await;
            return Err(Closed);
        }
        // A body that is not as long as its Content-Length says ends in an error: nothing of it is looked at.
        _ => body.collect().await.map_err(|_| Closed)?.to_bytes(),
    };
    let corrupt = fault == Some(S3Fault::Corrupt);
    let taken = asked.take_body(&body, corrupt);
    let mut state = locked(&state);
    state.seen.push(asked.seen());
    let done = taken.and_then(|()| match fault {
        Some(S3Fault::RefuseLate(status, code)) => Err(Refusal(status, code)),
        _ => state.store.call(&asked),
    });
    drop(state);
    match done {
        _ if fault == Some(S3Fault::LoseAnswer) => Err(Closed),
        Ok(answer) => Ok(wire::answered(answer, corrupt)),
        Err(refusal) => Ok(wire::refused(&refusal, &asked, &[])),
    }
}

impl From<Infallible> for Closed {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
