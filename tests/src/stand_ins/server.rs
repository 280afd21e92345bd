//! A server of HTTP/1.1 in this process, which every stand-in that is not a program of its own is.
#![expect(clippy::unwrap_used, reason = "a harness of tests fails by panicking")]

use std::error::Error;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::http::request;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// A running server on a free port of 127.0.0.1. It and its connections end when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers so. An error closes the connection without an answer.
    pub(crate) async fn start<A, F, E>(answer: A) -> Self
    where
        A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Response<Full<Bytes>>, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>> + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let server = hyper::server::conn::http1::Builder::new();
                connections.spawn(server.serve_connection(TokioIo::new(socket), service_fn(answer.clone())));
            }
        });
        Self { address, task }
    }

    /// `http://` and where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A request's head, and all of its body.
pub(crate) async fn whole(request: Request<Incoming>) -> Result<(request::Parts, Bytes), &'static str> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| "half a request")?;
    Ok((head, body.to_bytes()))
}

/// Passes a request on to this URL, word for word, `Host` included, so that signatures hold; answers what it answers.
pub(crate) async fn forward(
    http: &reqwest::Client,
    base: &str,
    head: &request::Parts,
    body: Bytes,
) -> reqwest::Result<Response<Full<Bytes>>> {
    let path = head.uri.path_and_query().map(|path| path.as_str()).unwrap_or_default();
    let mut asked = http.request(head.method.clone(), format!("{}{path}", base.trim_end_matches('/'))).body(body);
    // What frames the message is for each of the two connections by itself.
    let frames = ["content-length", "transfer-encoding", "connection", "expect"];
    for (name, value) in head.headers.iter().filter(|(name, _)| !frames.contains(&name.as_str())) {
        asked = asked.header(name, value);
    }
    let answer = asked.send().await?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut response = Response::new(Full::new(answer.bytes().await?));
    *response.status_mut() = status;
    // Of an answer to HEAD the length is the object's, and there is no content.
    let is_kept = |name: &str| head.method == "HEAD" || !frames.contains(&name);
    response
        .headers_mut()
        .extend(headers.into_iter().filter(|(name, _)| name.as_ref().is_none_or(|name| is_kept(name.as_str()))));
    Ok(response)
}
