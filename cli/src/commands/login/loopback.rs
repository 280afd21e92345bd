//! The listener on this machine to which the browser comes back.
//!
//! Only 127.0.0.1, only GET of one path, only while a sign-in waits. Whatever else is asked gets a 4xx and changes
//! nothing. The browser's request is answered when it is known how the sign-in ended, so its page tells the truth.

use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use callvault_bootstrap::system;
use http_body_util::Full;
use hyper::header::HOST;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use secrecy::SecretString;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::page;
use super::redirect::Redirect;
use crate::failure::Failure;

/// The path of the redirect URI, where none is given.
const PATH: &str = "/callback";

/// How long the browser is given to read the last page.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// A listener.
pub(super) struct Loopback {
    listener: TcpListener,
    port: u16,
    path: String,
}

/// What the service tells: a redirect, and who brought it.
type News = (Redirect, Browser);

/// The browser that brought the redirect, waiting for its page.
pub(super) struct Browser {
    page: oneshot::Sender<Response<Full<Bytes>>>,
    /// Its other end is dropped with the connection.
    connection: watch::Receiver<()>,
    /// All connections: they end with this.
    connections: JoinSet<()>,
}

impl Loopback {
    /// Listens for a redirect URI on this machine; `uri` where it is not the usual one.
    pub(super) async fn listen(port: u16, uri: Option<&str>) -> Result<Self, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| busy(port, &error))?;
        let port = listener.local_addr().map_or(port, |address| address.port());
        let path =
            uri.and_then(|uri| url::Url::parse(uri).ok()).map_or_else(|| PATH.to_owned(), |uri| uri.path().to_owned());
        Ok(Self { listener, port, path })
    }

    /// The usual redirect URI of this listener.
    pub(super) fn uri(&self) -> String {
        format!("http://127.0.0.1:{}{PATH}", self.port)
    }

    /// Waits for the browser.
    pub(super) async fn wait(self, state: &SecretString) -> Result<(Redirect, Browser), Failure> {
        let (tell, mut told) = mpsc::channel::<News>(1);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                Some((redirect, browser)) = told.recv() => return Ok((redirect, Browser { connections, ..browser })),
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(serve(stream, tell.clone(), (self.port, self.path.clone(), state.clone())));
                    }
                    Err(error) => return Err(Failure::stopped(format!("the listener for the browser failed ({error})"))),
                },
            }
        }
    }
}

/// One connection, for one request.
async fn serve(stream: TcpStream, tell: mpsc::Sender<News>, ours: (u16, String, SecretString)) {
    let (alive, connection) = watch::channel(());
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let asked = judge(&request, ours.0, &ours.1, &ours.2);
        let (tell, connection) = (tell.clone(), connection.clone());
        async move { Ok::<_, Infallible>(answer(asked, &tell, connection).await) }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30)).keep_alive(false);
    // A browser that went away is no fault of the sign-in.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
    drop(alive);
}

impl Browser {
    /// Shows how it ended, and waits until that is sent.
    pub(super) async fn show(mut self, ended: Result<&str, String>) {
        let (status, title, text) = match ended {
            Ok(words) => (StatusCode::OK, "You are signed in", format!("{words} You can close this page.")),
            Err(why) => (StatusCode::BAD_REQUEST, "The sign-in did not work", format!("{why}.")),
        };
        // The browser may be gone.
        let _ = self.page.send(response(status, title, &text));
        let clock = system::clock();
        let sent = async { while self.connection.changed().await.is_ok() {} };
        tokio::select! {
            () = sent => {}
            () = clock.sleep(LAST_WORDS) => {}
        }
        self.connections.shutdown().await;
    }
}

/// A redirect, or what is wrong with a request.
fn judge<B>(
    request: &Request<B>,
    port: u16,
    path: &str,
    state: &SecretString,
) -> Result<Redirect, (StatusCode, &'static str)> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    // A page elsewhere whose name was made to lead here comes with its own name.
    let ours = ["127.0.0.1", "localhost"].iter().any(|name| {
        host.strip_prefix(name).is_some_and(|rest| rest == format!(":{port}") || (rest.is_empty() && port == 80))
    });
    if !ours {
        return Err((StatusCode::MISDIRECTED_REQUEST, "This address belongs to a sign-in of callvault"));
    }
    if request.uri().path() != path {
        return Err((StatusCode::NOT_FOUND, "There is nothing here"));
    }
    if request.method() != Method::GET {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "Only a browser's redirect is answered here"));
    }
    let nothing = (StatusCode::BAD_REQUEST, "This is not the end of a sign-in: go on where it was begun");
    Redirect::read(request.uri().query().unwrap_or_default(), state).ok_or(nothing)
}

async fn answer(
    asked: Result<Redirect, (StatusCode, &'static str)>,
    tell: &mpsc::Sender<News>,
    connection: watch::Receiver<()>,
) -> Response<Full<Bytes>> {
    let redirect = match asked {
        Ok(redirect) => redirect,
        Err((status, text)) => return response(status, "Not a sign-in", &format!("{text}.")),
    };
    let (page, shown) = oneshot::channel();
    let late = || response(StatusCode::GONE, "This sign-in is over", "Look at the terminal where it was begun.");
    let browser = Browser { page, connection, connections: JoinSet::new() };
    match tell.try_send((redirect, browser)) {
        Ok(()) => shown.await.unwrap_or_else(|_| late()),
        Err(_) => late(),
    }
}

fn response(status: StatusCode, title: &str, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(page::html(title, text))));
    *response.status_mut() = status;
    for (name, value) in page::HEADERS {
        response.headers_mut().insert(name, hyper::header::HeaderValue::from_static(value));
    }
    response
}

fn busy(port: u16, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::AddrInUse => Failure::stopped(format!(
            "port {port} on 127.0.0.1 is in use, perhaps by another `callvault login`: end that one, or give another --port and register its redirect URI http://127.0.0.1:PORT{PATH} with the OAuth client, or use --paste"
        )),
        _ => Failure::stopped(format!(
            "cannot listen on 127.0.0.1:{port} ({error}): give another --port, or use --paste"
        )),
    }
}
