//! A gate between a program and everything it talks to: Secrets Manager, DynamoDB, Genesys Cloud. It numbers the calls,
//! and lets one of them fail, lose its answer, or be the last of the program that made it.
#![expect(clippy::unwrap_used, reason = "a harness of tests fails by panicking")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::secrets_manager::SecretsManager;
use super::server::{Server, forward, whole};

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// It has no effect, and is answered with a server's error.
    Fail,
    /// It has no effect, and is refused.
    Refuse,
    /// It takes effect, and the connection closes without an answer.
    LoseAnswer,
    /// It takes effect, and there is never an answer.
    Hang,
    /// It takes effect, and the program is killed before the answer.
    Kill,
}

#[derive(Default)]
struct State {
    /// `PutSecretValue`, `PutItem`, `POST /oauth/token`...
    calls: Vec<String>,
    harm: Option<(usize, Harm)>,
    /// Tokens that went through.
    secrets: BTreeSet<String>,
}

struct Inner {
    state: Mutex<State>,
    /// Asked for when the program is to be killed; it answers when it is.
    kill: Notify,
    killed: Notify,
    http: reqwest::Client,
    secrets: Arc<SecretsManager>,
    dynamodb: String,
    genesys: String,
}

/// The gate. It closes when it is dropped.
pub struct Gate {
    inner: Arc<Inner>,
    aws: Server,
    genesys: Server,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("aws", &self.aws).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Aws,
    Genesys,
}

impl Gate {
    /// Opens one. DynamoDB and Genesys Cloud are behind these URLs.
    pub async fn open(secrets: Arc<SecretsManager>, dynamodb: &str, genesys: &str) -> Self {
        let inner = Arc::new(Inner {
            state: Mutex::default(),
            kill: Notify::new(),
            killed: Notify::new(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            secrets,
            dynamodb: dynamodb.to_owned(),
            genesys: genesys.to_owned(),
        });
        let aws = listen(Arc::clone(&inner), Side::Aws).await;
        let genesys = listen(Arc::clone(&inner), Side::Genesys).await;
        Self { inner, aws, genesys }
    }

    /// For `AWS_ENDPOINT_URL`.
    pub fn aws(&self) -> String {
        self.aws.url()
    }

    /// For `GENESYS_URL`.
    pub fn genesys(&self) -> String {
        self.genesys.url()
    }

    /// Forgets the calls so far; from now on this becomes of the call of this number, from 0.
    pub fn harm(&self, harm: Option<(usize, Harm)>) {
        let mut state = self.inner.state();
        state.calls.clear();
        state.harm = harm;
    }

    /// The calls since then.
    pub fn calls(&self) -> Vec<String> {
        self.inner.state().calls.clone()
    }

    /// The tokens that have come through so far.
    pub fn secrets(&self) -> Vec<String> {
        self.inner.state().secrets.iter().cloned().collect()
    }

    /// Returns when the program is to be killed.
    pub async fn to_be_killed(&self) {
        self.inner.kill.notified().await;
    }

    /// It is: the call that was its last is dropped.
    pub fn killed(&self) {
        self.inner.killed.notify_one();
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn carry(&self, side: Side, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, &'static str> {
        let (head, body) = whole(request).await?;
        let target = head.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let of_secrets = target.starts_with("secretsmanager.");
        let name = match side {
            Side::Aws => operation.clone(),
            Side::Genesys => format!("{} {}", head.method, head.uri.path()),
        };
        let harm = {
            let mut state = self.state();
            let number = state.calls.len();
            state.calls.push(name);
            state.harm.filter(|(harmed, _)| *harmed == number).map(|(_, harm)| harm)
        };
        match harm {
            Some(Harm::Fail) => return Ok(failed(side, 500, "InternalServerError")),
            Some(Harm::Refuse) => return Ok(failed(side, 400, "AccessDeniedException")),
            Some(Harm::LoseAnswer | Harm::Hang | Harm::Kill) | None => {}
        }
        let answered = if of_secrets {
            let (status, answer) = self.secrets.answer(&operation, &serde_json::from_slice(&body).unwrap_or_default());
            answer_of(status, "application/x-amz-json-1.1", answer.to_string().into())
        } else {
            let base = if side == Side::Aws { &self.dynamodb } else { &self.genesys };
            self.forward(base, &head, body).await
        };
        match harm {
            None => Ok(answered),
            Some(Harm::Kill) => {
                self.kill.notify_one();
                self.killed.notified().await;
                Err("killed")
            }
            Some(Harm::Hang) => std::future::pending().await,
            Some(_) => Err("lost"),
        }
    }

    async fn forward(&self, base: &str, head: &hyper::http::request::Parts, body: Bytes) -> Response<Full<Bytes>> {
        let (head_of_answer, content) = forward(&self.http, base, head, body).await.unwrap().into_parts();
        let content = content.collect().await.unwrap().to_bytes();
        if let Ok(Value::Object(fields)) = serde_json::from_slice(&content) {
            let tokens = ["access_token", "refresh_token"].iter().filter_map(|name| fields.get(*name)?.as_str());
            self.state().secrets.extend(tokens.map(str::to_owned));
        }
        Response::from_parts(head_of_answer, Full::new(content))
    }
}

/// No effect: as each of them words it.
fn failed(side: Side, status: u16, code: &str) -> Response<Full<Bytes>> {
    let body = match side {
        Side::Aws => json!({ "__type": code, "message": "said by the gate" }),
        Side::Genesys => json!({ "error": "invalid_client", "message": "said by the gate", "code": "not.said" }),
    };
    answer_of(status, "application/x-amz-json-1.1", body.to_string().into())
}

fn answer_of(status: u16, kind: &str, body: Bytes) -> Response<Full<Bytes>> {
    Response::builder().status(status).header("content-type", kind).body(Full::new(body)).unwrap()
}

async fn listen(inner: Arc<Inner>, side: Side) -> Server {
    let answer = move |request| {
        let inner = Arc::clone(&inner);
        async move { inner.carry(side, request).await }
    };
    Server::start(answer).await
}
