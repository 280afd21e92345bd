//! The load: senders that keep to their times, sockets that count.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

/// Connections that send. Each has one event under way: enough for a second's stall at full rate would be a thousand.
const SENDERS: u64 = 100;

/// Calls that go on at the same time.
const CALLS: u64 = 500;

/// After the last answer, sockets are given this long to see the last change.
const LAST: Duration = Duration::from_secs(10);

/// The life of a call.
const LIFE: [&str; 7] =
    ["call.new", "call.standby", "call.waiting", "actor.entered", "call.ongoing", "actor.left", "call.finished"];

/// What is sent.
pub(super) struct Load {
    pub(super) rate: u64,
    pub(super) seconds: u64,
    pub(super) sockets: usize,
}

/// What came of it.
pub(super) struct Measured {
    pub(super) took: Duration,
    pub(super) answered: u64,
    pub(super) seen: u64,
    pub(super) answers: Histogram,
    pub(super) changes: Histogram,
}

/// Times, by tenths of a millisecond, up to ten seconds.
pub(super) struct Histogram(Vec<u32>);

impl Histogram {
    fn new() -> Self {
        Self(vec![0; 100_001])
    }

    fn add(&mut self, time: Duration) {
        let at = (time.as_micros() / 100).min(100_000) as usize;
        if let Some(count) = self.0.get_mut(at) {
            *count += 1;
        }
    }

    fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(sum, count)| *sum += count);
    }

    /// In milliseconds.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        let all: u64 = self.0.iter().map(|count| u64::from(*count)).sum();
        let wanted = ((all as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let at = self.0.iter().position(|count| {
            seen += u64::from(*count);
            seen >= wanted
        });
        at.unwrap_or_default() as f64 / 10.0
    }
}

impl Load {
    pub(super) fn events(&self) -> u64 {
        self.rate * self.seconds
    }

    /// Loads a server.
    pub(super) async fn run(&self, address: &str, secret: &str, token: &str) -> Result<Measured, Box<dyn Error>> {
        // When each event was sent, in microseconds after the start; written before it is.
        let sent: Arc<Vec<AtomicU64>> = Arc::new((0..self.events()).map(|_| AtomicU64::new(0)).collect());
        let begun = Instant::now();
        let mut sockets = JoinSet::new();
        for _ in 0..self.sockets {
            let url = format!("ws://{address}/ws?token={token}");
            let stream = TcpStream::connect(address).await?;
            let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await?;
            // The first message says that it is open.
            socket.next().await.ok_or("no welcome")??;
            let (sent, events) = (Arc::clone(&sent), self.events());
            sockets.spawn(async move {
                let (mut seen, mut times) = (0, Histogram::new());
                while seen < events {
                    let Some(Ok(message)) = socket.next().await else { break };
                    let Message::Text(text) = message else { continue };
                    seen += 1;
                    let at = number(&text).and_then(|n| sent.get(n as usize)).map(|at| at.load(Ordering::Relaxed));
                    if let Some(at) = at {
                        times.add(begun.elapsed().saturating_sub(Duration::from_micros(at)));
                    }
                }
                (seen, times)
            });
        }
        let start = begun.elapsed() + Duration::from_millis(200);
        let mut senders = JoinSet::new();
        for sender in 0..SENDERS {
            let (address, secret, sent) = (address.to_owned(), secret.to_owned(), Arc::clone(&sent));
            let (events, rate) = (self.events(), self.rate);
            senders.spawn(async move {
                let mut line = TcpStream::connect(address).await?;
                line.set_nodelay(true)?;
                let (mut answered, mut times) = (0, Histogram::new());
                for n in (sender..events).step_by(SENDERS as usize) {
                    let due = start + Duration::from_micros(n * 1_000_000 / rate);
                    tokio::time::sleep_until((begun + due).into()).await;
                    // What waits for an answer that is late is late itself: times are taken from when it was due.
                    if let Some(at) = sent.get(n as usize) {
                        at.store(due.as_micros() as u64, Ordering::Relaxed);
                    }
                    answered += u64::from(post(&mut line, &secret, &event(n)).await? == 200);
                    times.add(begun.elapsed().saturating_sub(due));
                }
                Ok::<_, io::Error>((answered, times))
            });
        }
        let (mut answered, mut answers) = (0, Histogram::new());
        while let Some(ended) = senders.join_next().await {
            let (n, times) = ended??;
            answered += n;
            answers.merge(&times);
        }
        let took = begun.elapsed() - start;
        let (mut seen, mut changes) = (0, Histogram::new());
        let counted = async {
            while let Some(ended) = sockets.join_next().await {
                if let Ok((n, times)) = ended {
                    seen += n;
                    changes.merge(&times);
                }
            }
        };
        // Those that still wait have not seen everything: what they saw is not counted, and the figure says so.
        let _ = tokio::time::timeout(LAST, counted).await;
        Ok(Measured { took, answered, seen, answers, changes })
    }
}

/// The n-th event. Its time says which it is: a millisecond for each, and the change of its call shows that time.
fn event(n: u64) -> String {
    let (call, step) = (n / (CALLS * 7) * CALLS + n % CALLS, n / CALLS % 7);
    let kind = LIFE.get(step as usize).copied().unwrap_or("call.new");
    let (hour, minute, second, millisecond) = (n / 3_600_000, n / 60_000 % 60, n / 1000 % 60, n % 1000);
    format!(
        r#"{{"type":"{kind}","call_id":"1463669263.{call}","code":"{call}","direction":"inbound","our_number":"0800000000","their_number":"11999990000","queue":"900","actor":"user.name@example.com","number":"200","timestamp":"2026-01-01T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z"}}"#
    )
}

/// Which event a change shows: the last time in it.
fn number(text: &str) -> Option<u64> {
    let at = text.rfind("2026-01-01T")? + 11;
    let part = |from: usize, to: usize| text.get(at + from..at + to)?.parse::<u64>().ok();
    Some(part(0, 2)? * 3_600_000 + part(3, 5)? * 60_000 + part(6, 8)? * 1000 + part(9, 12)?)
}

/// Sends an event, and reads the whole answer.
async fn post(line: &mut TcpStream, secret: &str, event: &str) -> io::Result<u16> {
    let length = event.len();
    let text = format!(
        "POST /webhook HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {secret}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{event}"
    );
    line.write_all(text.as_bytes()).await?;
    let (mut answer, mut some) = (Vec::new(), [0; 1024]);
    loop {
        match line.read(&mut some).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => answer.extend_from_slice(some.get(..n).unwrap_or_default()),
        }
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if body.len() >= length.unwrap_or_default() {
            let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
            return status.ok_or_else(|| io::ErrorKind::InvalidData.into());
        }
    }
}
