//! Which part answers a request, and who may ask it.
//!
//! Must never show a token, nor answer anybody who does not have it: also not what there is and what there is not. The page's
//! files are the exception: they are the same for everybody, and show nothing without the token.

use std::sync::Arc;

use bytes::Bytes;
use callvault_bootstrap::settings::{LedgerPlace, Settings};
use callvault_calls::desk::{Desk, LOCAL_ANSWER};
use callvault_calls::gate::Gate;
use callvault_calls::store::CallStore;
use callvault_calls::webhook::{self, Webhook};
use callvault_jobs::{Jobs, PREFIX, Problem};
use callvault_local::calls::{SqliteCalls, beside};
use callvault_pipeline::clock::Clock;
use callvault_pipeline::stages::House;
use hyper::header::{HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use secrecy::SecretString;

use super::super::run::job::Stopping;
use super::sockets::{Changes, Sockets};
use super::{handshake, page};
use crate::failure::Failure;

/// The websocket's path.
const SOCKET: &str = "/ws";

/// Everything that is answered.
pub(super) struct Site {
    jobs: Option<Guarded<Jobs>>,
    webhook: Option<Webhook>,
    live: Option<Live>,
    clock: Arc<dyn Clock>,
}

/// A part, and the token that opens it.
struct Guarded<T> {
    part: T,
    gate: Gate,
}

/// Websockets and their page.
struct Live {
    gate: Gate,
    desk: Desk,
    sockets: Sockets,
}

impl Site {
    /// What the settings switch on.
    ///
    /// # Errors
    /// When the calls' file cannot be used.
    pub(super) fn of(settings: &Settings, house: &House) -> Result<Self, Failure> {
        let jobs = on("JOBS_TOKEN", "the jobs API is off", &settings.jobs_token).map(|gate| Guarded {
            part: Jobs { ledger: house.ledger.clone(), clock: house.clock.clone(), calendar: house.calendar.clone() },
            gate,
        });
        let mut site = Self { jobs, webhook: None, live: None, clock: house.clock.clone() };
        let webhook = on("WEBHOOK_SECRET", "the webhook is off", &settings.webhook_secret);
        let live = on("CALLS_TOKEN", "the websocket and the page of calls are off", &settings.calls_token);
        if webhook.is_none() && live.is_none() {
            return Ok(site);
        }
        let LedgerPlace::Sqlite(ledger) = &settings.ledger else {
            tracing::warn!(
                "LEDGER is in DynamoDB, and calls are kept beside one in SQLite: webhook and websocket are off"
            );
            return Ok(site);
        };
        let changes = Changes::new();
        let tell = changes.clone();
        let store = SqliteCalls::open(&beside(ledger))?.watched_by(Arc::new(move |call| tell.tell(call)));
        let store: Arc<dyn CallStore> = Arc::new(store);
        site.webhook = webhook.map(|gate| Webhook::new(gate, store.clone()));
        site.live = live.map(|gate| Live {
            gate,
            desk: Desk::new(store, LOCAL_ANSWER),
            sockets: Sockets::new(changes, house.clock.clone()),
        });
        Ok(site)
    }

    /// How long a request's body may be, by its head; `None` where it has none that matters. Nobody is listened to for long who
    /// may not say it.
    ///
    /// # Errors
    /// Why its body does not matter.
    pub(super) fn admit(&self, head: &Parts) -> Result<Option<usize>, Problem> {
        let path = head.uri.path();
        if path.starts_with(PREFIX) {
            return self.jobs(&head.headers).map(|_| Some(callvault_jobs::MOST_BYTES));
        }
        match &self.webhook {
            _ if !webhook::is_path(path) => Ok(None),
            None => Err(off("webhook-off", "the webhook is off: set WEBHOOK_SECRET")),
            Some(webhook) => {
                webhook.admit(&head.method, path, &head.headers)?;
                Ok(Some(webhook::MOST_BYTES))
            }
        }
    }

    /// Answers a request.
    pub(super) async fn answer(&self, request: Request<Bytes>, stopping: &Stopping) -> Response<Bytes> {
        let path = request.uri().path();
        if path.starts_with(PREFIX) {
            return match self.jobs(request.headers()) {
                Ok(jobs) => jobs.answer(request).await,
                Err(problem) => problem.response(),
            };
        }
        if let (Some(webhook), true) = (&self.webhook, webhook::is_path(path)) {
            return webhook.answer(&request, self.clock.now()).await;
        }
        match &self.live {
            None if path == SOCKET || page::file(path).is_some() => {
                off("calls-off", "the websocket and the page of calls are off: set CALLS_TOKEN").response()
            }
            Some(live) if path == SOCKET => live.open(request, stopping).unwrap_or_else(|problem| problem.response()),
            Some(_) if let Some(file) = page::file(path) => file.answer(&request),
            _ => callvault_jobs::problem::not_found().response(),
        }
    }

    /// Ends when no websocket is open any more.
    pub(super) async fn ended(&self) {
        if let Some(live) = &self.live {
            live.sockets.ended().await;
        }
    }

    /// The jobs API, for whoever has its token.
    fn jobs(&self, headers: &HeaderMap) -> Result<&Jobs, Problem> {
        let jobs = self.jobs.as_ref().ok_or_else(|| off("jobs-api-off", "the jobs API is off: set JOBS_TOKEN"))?;
        if jobs.gate.is_open_to(headers) {
            return Ok(&jobs.part);
        }
        let detail = "send the header `Authorization: Bearer TOKEN`, with the value of JOBS_TOKEN";
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail);
        Err(problem.with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"callvault\"")))
    }
}

impl Live {
    /// Makes the connection a websocket.
    fn open(&self, request: Request<Bytes>, stopping: &Stopping) -> Result<Response<Bytes>, Problem> {
        let (mut head, _) = request.into_parts();
        let headers = handshake::accept(&head, &self.gate)?;
        let place = self.sockets.place().ok_or_else(|| {
            let detail = "as many websockets are open as there may be: try again later";
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-websockets", detail);
            problem.with_header(RETRY_AFTER, HeaderValue::from_static("30"))
        })?;
        let upgrade = head.extensions.remove::<hyper::upgrade::OnUpgrade>().ok_or_else(|| {
            Problem::new(StatusCode::UPGRADE_REQUIRED, "not-a-websocket", "this is a websocket: open it as one")
        })?;
        self.sockets.open(upgrade, place, self.desk.clone(), stopping.clone());
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().extend(headers);
        Ok(response)
    }
}

/// The gate of a part, where its setting is there.
fn on(setting: &str, otherwise: &str, token: &Option<SecretString>) -> Option<Gate> {
    if token.is_none() {
        tracing::warn!("{setting} is not set: {otherwise}");
    }
    token.clone().map(Gate::new)
}

/// A part that is off.
fn off(code: &'static str, detail: &str) -> Problem {
    let detail = format!("{detail} where `callvault serve` runs, and start it again");
    Problem::new(StatusCode::NOT_FOUND, code, detail)
}
