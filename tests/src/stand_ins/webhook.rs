//! A webhook: takes POSTs, answers as it is told, and remembers what came.
#![expect(clippy::unwrap_used, reason = "a harness of tests fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// A request that came.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// Its first line.
    pub request: String,
    /// Its headers, names in small letters.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Value,
}

impl Received {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What becomes of the next requests: a status, or 0 for a connection that ends without an answer.
type Answers = Arc<Mutex<Vec<u16>>>;

/// A webhook on this machine. Ends with the value that stands for it.
pub struct WebhookServer {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    stop: Arc<Mutex<bool>>,
}

impl WebhookServer {
    /// Answers the first requests so, in order, and all others with 204.
    pub fn start(answers: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::<Mutex<Vec<Received>>>::default();
        let (stop, answers): (_, Answers) = (Arc::new(Mutex::new(false)), Arc::new(Mutex::new(answers.to_vec())));
        let (all, stopping) = (Arc::clone(&received), Arc::clone(&stop));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if *stopping.lock().unwrap() {
                    return;
                }
                let (all, answers) = (Arc::clone(&all), Arc::clone(&answers));
                std::thread::spawn(move || stream.map(|stream| answer(stream, &all, &answers)));
            }
        });
        Self { address, received, stop }
    }

    /// Where it listens, with a path and a query that are a secret.
    pub fn url(&self, secret: &str) -> String {
        format!("http://{}/hooks/{secret}?sig={secret}", self.address)
    }

    /// What came, in order.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

impl Drop for WebhookServer {
    fn drop(&mut self) {
        *self.stop.lock().unwrap() = true;
        // Wakes who waits for a connection.
        drop(TcpStream::connect(self.address));
    }
}

/// One request, one answer, and the end of the connection. Who goes away in the middle is not heard.
fn answer(stream: TcpStream, received: &Mutex<Vec<Received>>, answers: &Answers) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        Some(line.trim_end().to_owned())
    };
    let request = line()?;
    let mut headers = Vec::new();
    loop {
        let header = line()?;
        let Some((name, value)) = header.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    received.lock().unwrap().push(Received { request, headers, body });
    let status = {
        let mut answers = answers.lock().unwrap();
        if answers.is_empty() { 204 } else { answers.remove(0) }
    };
    let mut stream = stream;
    if status != 0 {
        let location = "Location: /elsewhere\r\n";
        write!(stream, "HTTP/1.1 {status} Word\r\n{location}Content-Length: 0\r\nConnection: close\r\n\r\n").ok()?;
    }
    stream.shutdown(Shutdown::Both).ok()
}
