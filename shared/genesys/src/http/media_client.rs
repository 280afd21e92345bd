//! The HTTP client that media is fetched with.
//!
//! It knows no token and no proxy (which would look names up itself, so the rule about addresses could not be kept
//! through one), connects to public addresses only, and follows no redirect. It is hyper's own client, for one setting
//! that `reqwest` does not pass on: how far a connection reads ahead. Must never be used for the API.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, HeaderValue, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;

use super::hosts::PublicOnly;
use super::{LONGEST_CONNECT, LONGEST_IDLE, NAME};

/// A connection reads ahead no more than this. By default it is 400 KiB, and of a recording that comes faster than it
/// is stored there are half a dozen such pieces in memory, each of which keeps its whole buffer, however little is in it.
const READ_AHEAD: usize = 64 * 1024;

/// A peer that is gone without a word is noticed after four times this.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// The client. Clones share connections.
#[derive(Debug, Clone)]
pub(super) struct MediaClient(Client<HttpsConnector<HttpConnector<PublicOnly>>, Empty<Bytes>>);

impl MediaClient {
    /// A client without connections; `plain` allows http, for loopback.
    pub(super) fn new(plain: bool, tls: ClientConfig, names: PublicOnly) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(names);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(LONGEST_CONNECT));
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_keepalive_retries(Some(3));
        let mut connector = HttpsConnector::from((tcp, tls));
        if !plain {
            connector.enforce_https();
        }
        let mut builder = Client::builder(TokioExecutor::new());
        builder.http1_max_buf_size(READ_AHEAD).pool_timer(TokioTimer::new()).pool_idle_timeout(LONGEST_IDLE);
        Self(builder.build(connector))
    }

    /// Asks for `uri`, with nothing of ours but our name.
    ///
    /// # Errors
    /// The transport's.
    pub(super) async fn get(&self, uri: Uri) -> Result<Response<Incoming>, Error> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = uri;
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(NAME));
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("*/*"));
        self.0.request(request).await
    }
}
