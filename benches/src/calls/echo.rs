//! The bare stack: answers every POST, and passes its body on to every websocket. No secret, no store, no projection.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::Outcome;

/// Serves until it is killed.
pub(crate) fn serve() -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on http://{}", listener.local_addr()?);
        let (tell, _) = broadcast::channel(8192);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let tell = tell.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(request, tell.clone()));
                let connection =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                let _ = connection.with_upgrades().await;
            });
        }
    })
}

async fn answer(
    mut request: Request<Incoming>,
    tell: broadcast::Sender<Utf8Bytes>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY) {
        let accept = derive_accept_key(key.as_bytes());
        let upgrade = hyper::upgrade::on(&mut request);
        let changes = tell.subscribe();
        tokio::spawn(async move {
            if let Ok(upgraded) = upgrade.await {
                let _ = pass_on(TokioIo::new(upgraded), changes).await;
            }
        });
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        if let Ok(accept) = HeaderValue::from_str(&accept) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        return Ok(response);
    }
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    if let Ok(text) = Utf8Bytes::try_from(body) {
        let _ = tell.send(text);
    }
    Ok(Response::new(Full::from(r#"{"status":"ok"}"#)))
}

async fn pass_on(
    upgraded: TokioIo<hyper::upgrade::Upgraded>,
    mut changes: broadcast::Receiver<Utf8Bytes>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut socket = WebSocketStream::from_raw_socket(upgraded, Role::Server, None).await;
    socket.send(Message::text("welcome")).await?;
    loop {
        tokio::select! {
            said = socket.next() => drop(said.ok_or("gone")??),
            change = changes.recv() => {
                socket.feed(Message::Text(change?)).await?;
                while let Ok(change) = changes.try_recv() {
                    socket.feed(Message::Text(change)).await?;
                }
                socket.flush().await?;
            }
        }
    }
}
