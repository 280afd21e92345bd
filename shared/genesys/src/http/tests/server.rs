//! A tiny HTTP/1.1 server: one request a connection, answers as told, faults on demand.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard {
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
    pub(super) query: String,
    /// The head, in lower case.
    pub(super) head: String,
    pub(super) body: String,
}

/// An answer, or a fault.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// A complete answer: status, further header lines, body.
    Whole(u16, String, String),
    /// These bytes, as they are.
    Raw(String),
    /// An answer whose body ends early.
    Cut(u16, String),
    /// The connection closes without an answer.
    Nothing,
    /// Nothing happens at all.
    Silence,
    /// A head and half a body, then nothing.
    Stall,
}

impl Reply {
    pub(super) fn json(status: u16, body: &str) -> Self {
        Self::Whole(status, "content-type: application/json\r\n".to_owned(), body.to_owned())
    }

    pub(super) fn status(status: u16) -> Self {
        Self::Whole(status, String::new(), String::new())
    }

    pub(super) fn with(self, header: &str) -> Self {
        match self {
            Self::Whole(status, headers, body) => Self::Whole(status, format!("{headers}{header}\r\n"), body),
            other => other,
        }
    }
}

pub(super) struct Server {
    port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(super) async fn start(answer: impl Fn(&Heard) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let (log, answer) = (heard.clone(), Arc::new(answer));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, answer) = (log.clone(), answer.clone());
                tokio::spawn(async move {
                    let _ = talk(stream, &log, answer.as_ref()).await;
                });
            }
        });
        Self { port, heard, task }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// How many requests came to paths that contain `part`.
    pub(super) fn count(&self, part: &str) -> usize {
        self.heard().iter().filter(|heard| heard.path.contains(part)).count()
    }
}

async fn talk(
    mut stream: TcpStream,
    log: &Mutex<Vec<Heard>>,
    answer: &(impl Fn(&Heard) -> Reply + Send + Sync),
) -> std::io::Result<()> {
    let mut raw = Vec::new();
    let mut buffer = [0_u8; 4096];
    let end = loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        raw.extend_from_slice(&buffer[..read]);
        if let Some(at) = raw.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let head = String::from_utf8_lossy(&raw[..end]).into_owned();
    let length: usize = head
        .to_ascii_lowercase()
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ").map(|text| text.parse().unwrap()))
        .unwrap_or_default();
    while raw.len() < end + length {
        let read = stream.read(&mut buffer).await?;
        raw.extend_from_slice(&buffer[..read]);
    }
    let mut line = head.split(' ');
    let method = line.next().unwrap().to_owned();
    let (path, query) = match line.next().unwrap().split_once('?') {
        Some((path, query)) => (path.to_owned(), query.to_owned()),
        None => (head.split(' ').nth(1).unwrap().to_owned(), String::new()),
    };
    let body = String::from_utf8_lossy(&raw[end..]).into_owned();
    let heard = Heard { method, path, query, head: head.to_ascii_lowercase(), body };
    log.lock().unwrap().push(heard.clone());
    let head = |status: u16, length: usize| {
        format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n")
    };
    match answer(&heard) {
        Reply::Whole(status, headers, body) => {
            stream.write_all(format!("{}{headers}\r\n{body}", head(status, body.len())).as_bytes()).await?;
        }
        Reply::Raw(bytes) => stream.write_all(bytes.as_bytes()).await?,
        Reply::Cut(status, body) => {
            stream.write_all(format!("{}\r\n{body}", head(status, body.len() + 100)).as_bytes()).await?;
        }
        Reply::Nothing => return Ok(()),
        Reply::Silence => std::future::pending().await,
        Reply::Stall => {
            stream.write_all(format!("{}\r\nhalf", head(200, 8)).as_bytes()).await?;
            stream.flush().await?;
            std::future::pending::<()>().await;
        }
    }
    stream.shutdown().await
}
