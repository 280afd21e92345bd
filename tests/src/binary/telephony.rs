//! `callvault serve` with telephony, its senders and its websocket clients.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

use super::{Callvault, Running, callvault};

/// What opens the webhook.
pub const SECRET: &str = "planted-webhook-0123456789";

/// What opens websockets.
pub const TOKEN: &str = "planted-calls-0123456789";

/// Far more than an answer takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// `callvault serve` in a folder, with both parts on.
pub fn serve(folder: &Path) -> Callvault {
    callvault(["serve"]).folder(folder).env("WEBHOOK_SECRET", SECRET).env("CALLS_TOKEN", TOKEN)
}

/// The address that a server listens on.
pub fn address(running: &Running) -> String {
    let line = running.first_line();
    line.strip_prefix("listening on http://").unwrap_or_else(|| panic!("not the line: {line}")).to_owned()
}

/// A connection that waits for no answer longer than it takes.
pub fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends bytes, ends the sending, and answers all that comes back.
pub fn raw(address: &str, bytes: &[u8]) -> String {
    let mut stream = connect(address);
    // It may close before all of it is sent.
    let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write));
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// A request's status, head and body.
pub fn request(address: &str, head: &str, headers: &[&str], body: &[u8]) -> (u16, String, String) {
    let mut text = format!("{head} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for header in headers {
        text.push_str(&format!("{header}\r\n"));
    }
    text.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    let answer = raw(address, &[text.as_bytes(), body].concat());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    (status, head.to_owned(), body.to_owned())
}

/// Sends an event. Answers the status.
pub fn post(address: &str, event: &str) -> u16 {
    request(address, "POST /webhook", &[&format!("authorization: Bearer {SECRET}")], event.as_bytes()).0
}

/// A sender that keeps its connection.
pub struct Sender(TcpStream);

impl Sender {
    /// Connects.
    pub fn new(address: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// Sends an event. Answers the status, or that the line broke.
    pub fn post(&mut self, event: &str) -> std::io::Result<u16> {
        let length = event.len();
        let text = format!("POST /webhook/{SECRET} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{event}");
        self.0.write_all(text.as_bytes())?;
        let mut answer = Vec::new();
        let broken = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        loop {
            let mut some = [0; 2048];
            match self.0.read(&mut some)? {
                0 => return Err(broken()),
                n => answer.extend_from_slice(&some[..n]),
            }
            let text = String::from_utf8_lossy(&answer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() >= length.unwrap_or_default() {
                return head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(broken);
            }
        }
    }
}

/// A websocket client.
pub struct Client(WebSocket<TcpStream>);

impl Client {
    /// Opens a websocket.
    pub fn open(address: &str) -> Self {
        Self::try_open(address, &format!("/ws?token={TOKEN}"), None).unwrap_or_else(|status| panic!("{status}"))
    }

    /// Opens one of this path and for a page of this origin, or answers the status it was refused with.
    ///
    /// # Errors
    /// The status.
    pub fn try_open(address: &str, path: &str, origin: Option<&str>) -> Result<Self, u16> {
        let stream = connect(address);
        let key = tungstenite::handshake::client::generate_key();
        let mut request = tungstenite::http::Request::get(format!("ws://{address}{path}"))
            .header("host", address)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", key);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let opened: Result<(_, Response), _> = tungstenite::client(request.body(()).unwrap(), stream);
        match opened {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) => {
                Err(response.status().as_u16())
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Says something.
    pub fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).unwrap();
    }

    /// Says something, or finds the line broken.
    pub fn try_say(&mut self, text: &str) -> bool {
        self.0.send(Message::text(text)).is_ok()
    }

    /// The next text.
    pub fn text(&mut self) -> String {
        loop {
            match self.0.read().unwrap() {
                Message::Text(text) => return text.to_string(),
                Message::Close(frame) => panic!("closed: {frame:?}"),
                _ => {}
            }
        }
    }

    /// The next text, as JSON.
    pub fn json(&mut self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    /// Asks and answers.
    pub fn ask(&mut self, text: &str) -> Value {
        self.say(text);
        self.json()
    }

    /// The code it is closed with, whatever comes before; `None` when the line just ends.
    pub fn closed(&mut self) -> Option<u16> {
        loop {
            match self.0.read() {
                Ok(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }
}
