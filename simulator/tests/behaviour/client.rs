//! A client that trusts nothing and retries nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use callvault_simulator::{Options, Simulator};
use http_body_util::{BodyExt, Full};
use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::SignedDuration;
use jiff::civil::date;
use serde_json::{Value, json};

pub(crate) const QUERY: &str = "/api/v2/analytics/conversations/details/query";
pub(crate) const JOBS: &str = "/api/v2/recording/batchrequests";

pub(crate) struct Client {
    pub(crate) simulator: Simulator,
    pub(crate) authorization: Option<String>,
}

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Client {
    /// Starts an org whose clock stands two days after its only day, and signs in.
    pub(crate) async fn start(options: Options) -> Self {
        let simulator = Simulator::start(options).await.unwrap();
        simulator.set_now("2026-01-17T12:00:00Z".parse().unwrap());
        let mut client = Self { simulator, authorization: None };
        client.sign_in("demo", "demo").await;
        client
    }

    pub(crate) async fn sign_in(&mut self, id: &str, secret: &str) {
        self.authorization = Some(format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))));
        let reply = self.send(Method::POST, "/oauth/token", "grant_type=client_credentials").await;
        let token = reply.unwrap().json()["access_token"].as_str().unwrap().to_owned();
        self.authorization = Some(format!("Bearer {token}"));
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Result<Reply, hyper::Error> {
        let stream = tokio::net::TcpStream::connect(self.simulator.address()).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", "simulator");
        if let Some(value) = self.authorization.as_ref().filter(|_| !path.starts_with("/_media")) {
            request = request.header(AUTHORIZATION, value);
        }
        let response = sender.send_request(request.body(Full::new(body.into())).unwrap()).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Reply { status: parts.status, headers: parts.headers, body })
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, "").await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(Method::POST, path, body.to_string()).await.unwrap()
    }

    pub(crate) async fn page(&self, interval: &str, number: u64) -> Reply {
        let paging = json!({ "pageSize": 25, "pageNumber": number });
        self.post(QUERY, json!({ "interval": interval, "paging": paging })).await
    }

    pub(crate) async fn submit(&self, conversations: &[String]) -> Reply {
        let list: Vec<Value> = conversations.iter().map(|id| json!({ "conversationId": id })).collect();
        self.post(JOBS, json!({ "batchDownloadRequestList": list })).await
    }

    /// Submits, lets the time pass, and reads the whole job.
    pub(crate) async fn finish(&self, conversations: &[String]) -> Value {
        let id = self.submit(conversations).await.json()["id"].as_str().unwrap().to_owned();
        self.simulator.advance(SignedDuration::from_mins(1));
        self.get(&format!("{JOBS}/{id}")).await.json()
    }

    /// Path and query of the first URL that the job of these conversations has.
    pub(crate) async fn url(&self, conversations: &[String]) -> String {
        let job = self.finish(conversations).await;
        let results = job["results"].as_array().unwrap();
        let url = results.iter().find_map(|result| result["resultUrl"].as_str()).unwrap();
        url.strip_prefix(&self.simulator.url()).unwrap().to_owned()
    }
}

pub(crate) fn options(conversations: u32) -> Options {
    Options { conversations, ..Options::new(date(2026, 1, 15)) }
}

pub(crate) const DAY: &str = "2026-01-15T00:00:00.000Z/2026-01-16T00:00:00.000Z";
