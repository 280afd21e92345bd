//! Open websockets: what is said on them, how long, and what becomes of those that do not listen.
//!
//! Every change of a call is made into a message once, and goes through one ring that all sockets read at their own pace. A
//! socket that falls a ring behind is closed, and so is one that takes nothing or says nothing for too long: its client
//! comes back and lists the calls again. So nobody waits for anybody, and memory is bounded by the number of sockets.
//!
//! Must never wait for a socket outside of its own task.

use std::sync::Arc;
use std::time::Duration;

use callvault_calls::call::Call;
use callvault_calls::desk::{Desk, LOCAL_ANSWER, LONGEST_MESSAGE};
use callvault_calls::message;
use callvault_pipeline::clock::Clock;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};

use super::super::run::job::Stopping;

/// Websockets at the same time. They hold no place of those that requests have.
const MOST_SOCKETS: u32 = 512;

/// Changes that a socket may be behind: eight seconds of a thousand a second, under 2 MB for all sockets together.
const RING: usize = 8192;

/// After a change, others are waited for this long: a thousand a second would be a thousand writes a second to each socket.
const GATHER: Duration = Duration::from_millis(10);

/// Messages that are written at a time, at most.
const MOST_TOGETHER: usize = 1024;

/// What is written must be taken within this time.
const WRITE_WITHIN: Duration = Duration::from_secs(20);

/// How often a socket is asked whether anybody is there. Proxies close what is silent for a minute.
const PING_EVERY: Duration = Duration::from_secs(25);

/// A client that has said nothing for this long, not even in answer to a ping, is gone.
const SILENT_FOR: Duration = Duration::from_secs(80);

/// How long a socket is given to hear why it is closed, and to answer.
const FAREWELL: Duration = Duration::from_secs(2);

/// All open websockets.
#[derive(Clone)]
pub(super) struct Sockets {
    changes: Changes,
    room: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
}

/// Where changes of calls are told.
#[derive(Clone)]
pub(super) struct Changes(broadcast::Sender<Utf8Bytes>);

impl Changes {
    pub(super) fn new() -> Self {
        Self(broadcast::channel(RING).0)
    }

    /// Tells every socket of a call. Waits for nobody.
    pub(super) fn tell(&self, call: &Call) {
        if self.0.receiver_count() > 0 {
            // Nobody there any more: nobody to tell.
            let _ = self.0.send(message::data_changed(call).into());
        }
    }
}

/// Why a socket ends.
enum Ending {
    /// The client left, or the line broke.
    Left,
    /// The program stops.
    Stopped,
    /// It does not keep up, or does not answer.
    Behind(&'static str),
    /// It said what must not be said.
    Wrong(CloseCode, &'static str),
}

impl Sockets {
    pub(super) fn new(changes: Changes, clock: Arc<dyn Clock>) -> Self {
        Self { changes, room: Arc::new(Semaphore::new(MOST_SOCKETS as usize)), clock }
    }

    /// A place for one more; `None` when all are taken.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// Talks on a connection as soon as it is a websocket.
    pub(super) fn open(&self, upgrade: OnUpgrade, place: OwnedSemaphorePermit, desk: Desk, stopping: Stopping) {
        let (sockets, changes) = (self.clone(), self.changes.0.subscribe());
        tokio::spawn(async move {
            // It may go away before.
            if let Ok(upgraded) = upgrade.await {
                sockets.serve(TokioIo::new(upgraded), desk, changes, stopping).await;
            }
            drop(place);
        });
    }

    /// Ends when the last of them has.
    pub(super) async fn ended(&self) {
        let _ = self.room.acquire_many(MOST_SOCKETS).await;
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        desk: Desk,
        changes: broadcast::Receiver<Utf8Bytes>,
        mut stopping: Stopping,
    ) {
        let config = WebSocketConfig::default()
            .read_buffer_size(8 * 1024)
            .write_buffer_size(32 * 1024)
            .max_write_buffer_size(2 * LOCAL_ANSWER)
            .max_message_size(Some(LONGEST_MESSAGE))
            .max_frame_size(Some(LONGEST_MESSAGE));
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        let mut talk = Talk { socket: &mut socket, changes, clock: &*self.clock, heard: self.clock.now() };
        let ending = tokio::select! {
            ending = talk.run(&desk) => ending,
            () = stopping.told() => Ending::Stopped,
        };
        farewell(&mut socket, ending).await;
    }
}

/// What goes on on one socket.
struct Talk<'a, S> {
    socket: &'a mut WebSocketStream<S>,
    changes: broadcast::Receiver<Utf8Bytes>,
    clock: &'a dyn Clock,
    heard: Timestamp,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<'_, S> {
    async fn run(&mut self, desk: &Desk) -> Ending {
        let Err(ending) = self.go_on(desk).await;
        ending
    }

    async fn go_on(&mut self, desk: &Desk) -> Result<std::convert::Infallible, Ending> {
        self.say(message::welcome().into()).await?;
        let clock = self.clock;
        let mut ping = clock.sleep(PING_EVERY);
        loop {
            tokio::select! {
                said = self.socket.next() => self.hear(said, desk).await?,
                change = self.changes.recv() => match change {
                    Ok(change) => self.pass_on(change).await?,
                    Err(RecvError::Lagged(_)) => return Err(BEHIND),
                    Err(RecvError::Closed) => return Err(Ending::Stopped),
                },
                () = &mut ping => {
                    if self.clock.now().duration_since(self.heard).unsigned_abs() > SILENT_FOR {
                        return Err(Ending::Behind("no answer to pings"));
                    }
                    self.write(Message::Ping(Bytes::new())).await?;
                    ping = clock.sleep(PING_EVERY);
                }
            }
        }
    }

    /// What a client says. Pings are answered below, closing is too.
    async fn hear(&mut self, said: Option<Result<Message, Error>>, desk: &Desk) -> Result<(), Ending> {
        let message = match said {
            None => return Err(Ending::Left),
            Some(Err(error)) => return Err(ending(&error)),
            Some(Ok(message)) => message,
        };
        self.heard = self.clock.now();
        match message {
            Message::Text(text) => self.say(desk.answer(text.as_bytes()).await.into()).await,
            Message::Binary(_) => self.say(message::invalid_message().into()).await,
            // What answers a ping or a closing lies ready, and goes with this.
            _ => self.flush().await,
        }
    }

    /// Passes a change on, and those that have come until it is written.
    async fn pass_on(&mut self, change: Utf8Bytes) -> Result<(), Ending> {
        self.clock.sleep(GATHER).await;
        let mut next = Some(change);
        for _ in 0..MOST_TOGETHER {
            let Some(change) = next.take() else { break };
            self.feed(Message::Text(change)).await?;
            next = match self.changes.try_recv() {
                Ok(change) => Some(change),
                Err(TryRecvError::Lagged(_)) => return Err(BEHIND),
                Err(TryRecvError::Empty | TryRecvError::Closed) => None,
            };
        }
        if let Some(change) = next {
            self.feed(Message::Text(change)).await?;
        }
        self.flush().await
    }

    async fn say(&mut self, text: Utf8Bytes) -> Result<(), Ending> {
        self.write(Message::Text(text)).await
    }

    async fn write(&mut self, message: Message) -> Result<(), Ending> {
        self.feed(message).await?;
        self.flush().await
    }

    async fn feed(&mut self, message: Message) -> Result<(), Ending> {
        in_time(self.socket.feed(message)).await
    }

    async fn flush(&mut self) -> Result<(), Ending> {
        in_time(self.socket.flush()).await
    }
}

const BEHIND: Ending = Ending::Behind("too slow: list the calls again");

async fn in_time(written: impl Future<Output = Result<(), Error>>) -> Result<(), Ending> {
    match tokio::time::timeout(WRITE_WITHIN, written).await {
        Ok(written) => written.map_err(|error| ending(&error)),
        Err(_) => Err(BEHIND),
    }
}

/// What an error of the line means.
fn ending(error: &Error) -> Ending {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => Ending::Wrong(CloseCode::Size, "message too long"),
        Error::Utf8(_) => Ending::Wrong(CloseCode::Invalid, "not UTF-8"),
        Error::Protocol(_) => Ending::Wrong(CloseCode::Protocol, "not the websocket protocol"),
        _ => Ending::Left,
    }
}

/// Says why it ends, and waits a moment for the client to have heard it.
async fn farewell<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>, ending: Ending) {
    let is_cut = matches!(ending, Ending::Wrong(..));
    let (code, reason) = match ending {
        Ending::Left => return,
        Ending::Stopped => (CloseCode::Away, "the server stops: come back later"),
        Ending::Behind(reason) => (CloseCode::Again, reason),
        Ending::Wrong(code, reason) => (code, reason),
    };
    let heard = async {
        socket.close(Some(CloseFrame { code, reason: reason.into() })).await?;
        while let Some(said) = socket.next().await {
            said?;
        }
        // What is wrong is not read to its end: closed over what is unread, the line would be reset, and the reason with it.
        let mut unread = [0; 4096];
        while is_cut && socket.get_mut().read(&mut unread).await? > 0 {}
        Ok::<(), Error>(())
    };
    // Whoever does not listen does not hear that either.
    let _ = tokio::time::timeout(FAREWELL, heard).await;
}

#[cfg(test)]
#[path = "sockets_tests.rs"]
mod tests;
