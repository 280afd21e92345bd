//! The bare stack, an axum server: answers every POST, and passes its body on to every websocket. No secret, no store, no
//! projection.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::Outcome;

type Tell = broadcast::Sender<Utf8Bytes>;

/// Serves until it is killed.
pub(crate) fn serve() -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on http://{}", listener.local_addr()?);
        let (tell, _): (Tell, _) = broadcast::channel(8192);
        let site = Router::new().route("/webhook", post(receive)).route("/ws", get(open)).with_state(tell);
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, site).await?;
        Ok(())
    })
}

async fn receive(State(tell): State<Tell>, body: String) -> &'static str {
    let _ = tell.send(body.into());
    r#"{"status":"ok"}"#
}

/// By tungstenite itself, as callvault does it: axum's own websockets are another version of it.
async fn open(State(tell): State<Tell>, headers: HeaderMap, mut request: Request) -> Response {
    let Some(key) = headers.get(SEC_WEBSOCKET_KEY) else { return StatusCode::UPGRADE_REQUIRED.into_response() };
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).unwrap_or(HeaderValue::from_static(""));
    let (upgrade, changes) = (hyper::upgrade::on(&mut request), tell.subscribe());
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let _ = pass_on(TokioIo::new(upgraded), changes).await;
        }
    });
    let upgraded = [
        (UPGRADE, HeaderValue::from_static("websocket")),
        (CONNECTION, HeaderValue::from_static("Upgrade")),
        (SEC_WEBSOCKET_ACCEPT, accept),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, upgraded).into_response()
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
