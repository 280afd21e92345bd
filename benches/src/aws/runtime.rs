//! Lambda's runtime API for one instance: as much of it as a benchmark needs, with real deadlines.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant, SystemTime};

/// What the instance asked.
pub(crate) enum Asked {
    /// For the first event, then.
    Next(Instant),
    /// It answered the event, with success or not.
    Answered(bool),
}

/// The API; it gives one event, and lets the instance wait for the second one.
pub(crate) struct RuntimeApi {
    pub(crate) address: String,
    asked: Receiver<Asked>,
}

impl RuntimeApi {
    /// Listens; `event` is what the first request for an event gets.
    pub(crate) fn start(event: Option<&str>) -> Result<Self, std::io::Error> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let (tell, asked) = channel();
        let mut event = event.map(str::to_owned);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let (tell, event) = (tell.clone(), event.take());
                std::thread::spawn(move || serve(stream, &tell, event));
            }
        });
        Ok(Self { address, asked })
    }

    /// The next thing it asks.
    pub(crate) fn asked(&self, patience: Duration) -> Result<Asked, Box<dyn std::error::Error>> {
        Ok(self.asked.recv_timeout(patience)?)
    }
}

fn serve(mut stream: TcpStream, tell: &Sender<Asked>, mut event: Option<String>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let path = request(&mut reader)?;
        if path.contains("/invocation/next") {
            tell.send(Asked::Next(Instant::now())).ok()?;
            // Without an event the instance waits, as on AWS.
            let event = event.take()?;
            let deadline = SystemTime::UNIX_EPOCH.elapsed().ok()?.as_millis() + 600_000;
            let headers = format!(
                "lambda-runtime-aws-request-id: 1\r\nlambda-runtime-deadline-ms: {deadline}\r\nlambda-runtime-invoked-function-arn: arn\r\n"
            );
            answer(&mut stream, "200 OK", &headers, &event).ok()?;
        } else {
            tell.send(Asked::Answered(path.ends_with("/response"))).ok()?;
            answer(&mut stream, "202 Accepted", "", "{}").ok()?;
        }
    }
}

/// Reads a request; answers its path.
fn request(reader: &mut impl BufRead) -> Option<String> {
    let (mut path, mut length) = (None, 0_u64);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let line = line.trim_end();
        if path.is_none() {
            path = line.split(' ').nth(1).map(str::to_owned);
        } else if line.is_empty() {
            std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok()?;
            return path;
        } else if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
}

fn answer(stream: &mut TcpStream, status: &str, headers: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{headers}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}
