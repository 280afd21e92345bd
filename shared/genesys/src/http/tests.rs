//! The client against a tiny server on loopback, with a clock that waits by moving on.

mod api;
mod media;
mod probes;
mod server;
mod sign_in;
mod user;
mod voicemails;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::*;
use crate::clock::Clock;
use server::{Heard, Reply, Server};

/// Planted as the client's secret and as token; must never show.
const SECRET: &str = "pl4nted-cl13nt-s3cret";
const TOKEN: &str = "pl4nted-acc3ss-t0ken";

/// A clock whose waits take no time.
#[derive(Debug)]
struct Quick {
    now: Mutex<Timestamp>,
    waits: Mutex<Vec<Duration>>,
}

impl Quick {
    fn new() -> Arc<Self> {
        let now = Mutex::new("2026-01-15T10:00:00Z".parse().unwrap());
        Arc::new(Self { now, waits: Mutex::default() })
    }

    fn advance(&self, span: Duration) {
        let mut now = self.now.lock().unwrap();
        *now += span;
    }

    fn waited(&self) -> Duration {
        self.waits.lock().unwrap().iter().sum()
    }
}

#[async_trait]
impl Clock for Quick {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    async fn sleep(&self, span: Duration) {
        self.advance(span);
        self.waits.lock().unwrap().push(span);
        tokio::task::yield_now().await;
    }
}

/// A client of `server`, with its clock.
fn client_of(server: &Server) -> (GenesysClient, Arc<Quick>) {
    // Longer than any busy machine takes: only faults that are meant may time out.
    client_with(server, Duration::from_secs(20))
}

/// A client that does not wait long for a server that says nothing.
fn hasty_client_of(server: &Server) -> (GenesysClient, Arc<Quick>) {
    client_with(server, Duration::from_millis(300))
}

fn client_with(server: &Server, patience: Duration) -> (GenesysClient, Arc<Quick>) {
    let clock = Quick::new();
    let credentials = Credentials { client_id: "demo".to_owned(), client_secret: SECRET.to_owned().into() };
    let mut options = ClientOptions::new(Arc::new(|| 1.0));
    options.request_timeout = patience;
    options.stall_timeout = patience;
    let endpoints = Endpoints::of_base(&server.url()).unwrap();
    (GenesysClient::new(endpoints, credentials, clock.clone(), options).unwrap(), clock)
}

/// A server that signs everybody in and answers the rest by `answer`, which is told how many API requests came before.
async fn serve(answer: impl Fn(&Heard, usize) -> Reply + Send + Sync + 'static) -> Server {
    let calls = std::sync::atomic::AtomicUsize::new(0);
    Server::start(move |heard| {
        if heard.path == "/oauth/token" {
            return Reply::json(
                200,
                &format!(r#"{{"access_token":"{TOKEN}","token_type":"bearer","expires_in":86400}}"#),
            );
        }
        answer(heard, calls.fetch_add(1, Ordering::SeqCst))
    })
    .await
}

/// Everything an error says, in both forms and through all of its causes.
fn all_words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = format!("{error:?} {error:#?}");
    let mut cause = Some(error);
    while let Some(error) = cause {
        words.push_str(&format!(" {error} {error:?}"));
        cause = error.source();
    }
    words
}
