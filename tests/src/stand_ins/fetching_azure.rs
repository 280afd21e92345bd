//! As much of Azure Blob Storage as fetches blobs from a URL by itself, which azurite does not do; and nothing more.
//!
//! Blocks are fetched over HTTP from where a test says media are. It fails by script. It looks at no signature.
#![expect(clippy::unwrap_used, reason = "a harness of tests fails by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use crc::{CRC_64_NVME, Crc};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};

use super::server::Server;

static CRC64: Crc<u64> = Crc::<u64>::new(&CRC_64_NVME);

/// How fetching fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchFault {
    /// It may not read the source.
    Refused,
    /// It fetches less than there is.
    Short,
    /// What it keeps is not what it fetched.
    Corrupt,
    /// Somebody makes the blob before it is listed.
    Overtaken,
}

#[derive(Debug, Default)]
struct State {
    blobs: BTreeMap<String, (Bytes, Option<String>)>,
    blocks: BTreeMap<(String, String), Bytes>,
    fault: Option<FetchFault>,
    sources: Vec<String>,
    received: u64,
}

/// A running Azure with any container. Stops when it is dropped.
#[derive(Debug)]
pub struct FetchingAzure {
    state: Arc<Mutex<State>>,
    server: Server,
}

impl FetchingAzure {
    /// Starts one.
    pub async fn start(fault: Option<FetchFault>) -> Self {
        let state = Arc::new(Mutex::new(State { fault, ..State::default() }));
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| answer(Arc::clone(&shared), request)).await;
        Self { state, server }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Blobs by path, and the SHA-256 that was left with each.
    pub fn blobs(&self) -> BTreeMap<String, (Bytes, Option<String>)> {
        locked(&self.state).blobs.clone()
    }

    /// Where it fetched from.
    pub fn sources(&self) -> Vec<String> {
        locked(&self.state).sources.clone()
    }

    /// Bytes of blobs and blocks that were sent to it.
    pub fn received(&self) -> u64 {
        locked(&self.state).received
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let url = url::Url::parse(&format!("http://h{}", head.uri)).unwrap();
    let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (path, comp) = (url.path().to_owned(), query.get("comp").map(String::as_str));
    if let (Some("block"), Some(source)) = (comp, header("x-ms-copy-source")) {
        return Ok(fetch(&state, &path, &query["blockid"], &source, header("x-ms-source-range")).await);
    }
    let mut state = locked(&state);
    let there = state.blobs.get(&path).cloned();
    let sha256 = header("x-ms-meta-sha256");
    Ok(match (head.method.as_str(), comp) {
        ("PUT", Some("block")) => {
            state.received += body.len() as u64;
            state.blocks.insert((path, query["blockid"].clone()), body);
            say(201, &[], Bytes::new())
        }
        ("GET", Some("list")) => {
            let container = format!("{}/", path.trim_end_matches('/'));
            let prefix = query.get("prefix").cloned().unwrap_or_default();
            let mut list = "<?xml version=\"1.0\"?><EnumerationResults><Blobs>".to_owned();
            for (name, (bytes, _)) in &state.blobs {
                if let Some(name) = name.strip_prefix(&container).filter(|name| name.starts_with(&prefix)) {
                    let length = bytes.len();
                    let properties = format!("<Properties><Content-Length>{length}</Content-Length></Properties>");
                    let _ = write!(list, "<Blob><Name>{name}</Name>{properties}</Blob>");
                }
            }
            list.push_str("</Blobs><NextMarker/></EnumerationResults>");
            say(200, &[], list.into())
        }
        ("GET", Some("blocklist")) => {
            let mut list = "<?xml version=\"1.0\"?><BlockList><UncommittedBlocks>".to_owned();
            for ((_, name), bytes) in state.blocks.iter().filter(|((one, _), _)| *one == path) {
                let _ = write!(list, "<Block><Name>{name}</Name><Size>{}</Size></Block>", bytes.len());
            }
            list.push_str("</UncommittedBlocks></BlockList>");
            say(200, &[], list.into())
        }
        ("PUT", Some("blocklist")) => {
            if state.fault == Some(FetchFault::Overtaken) {
                state.fault = None;
                state.blobs.insert(path.clone(), ("another's".into(), None));
            }
            if state.blobs.contains_key(&path) || header("if-none-match").as_deref() != Some("*") {
                return Ok(refuse(409, "BlobAlreadyExists"));
            }
            let list = String::from_utf8(body.to_vec()).unwrap();
            let names = list.split("<Latest>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned());
            let blocks: Option<Vec<Bytes>> =
                names.map(|name| state.blocks.get(&(path.clone(), name)).cloned()).collect();
            let Some(blocks) = blocks else { return Ok(refuse(400, "InvalidBlockList")) };
            state.blobs.insert(path, (blocks.concat().into(), sha256));
            say(201, &[("etag", "0x1".to_owned())], Bytes::new())
        }
        ("PUT", Some("metadata")) => match state.blobs.get_mut(&path) {
            Some(blob) => {
                blob.1 = sha256;
                say(200, &[], Bytes::new())
            }
            None => refuse(404, "BlobNotFound"),
        },
        ("PUT", _) if there.is_some() && header("if-none-match").is_some() => refuse(409, "BlobAlreadyExists"),
        ("PUT", _) => {
            state.received += body.len() as u64;
            state.blobs.insert(path, (body, sha256));
            say(201, &[], Bytes::new())
        }
        ("DELETE", _) => match state.blobs.remove(&path) {
            Some(_) => say(202, &[], Bytes::new()),
            None => refuse(404, "BlobNotFound"),
        },
        _ => match there {
            Some((content, sha256)) => {
                say(200, &Vec::from_iter(sha256.map(|sha256| ("x-ms-meta-sha256", sha256))), content)
            }
            None => refuse(404, "BlobNotFound"),
        },
    })
}

async fn fetch(
    state: &Mutex<State>,
    path: &str,
    name: &str,
    source: &str,
    range: Option<String>,
) -> Response<Full<Bytes>> {
    let fault = {
        let mut state = locked(state);
        state.sources.push(source.to_owned());
        state.fault
    };
    if fault == Some(FetchFault::Refused) {
        return refuse(403, "CannotVerifyCopySource");
    }
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.get(source);
    let request = range.into_iter().fold(request, |request, range| request.header("range", range));
    let mut content = request.send().await.unwrap().bytes().await.unwrap();
    if fault == Some(FetchFault::Short) {
        content.truncate(content.len() - 1);
    }
    let crc64 = BASE64_STANDARD.encode(CRC64.checksum(&content).to_le_bytes());
    if fault == Some(FetchFault::Corrupt) {
        let mut bytes = content.to_vec();
        bytes[0] ^= 1;
        content = bytes.into();
    }
    locked(state).blocks.insert((path.to_owned(), name.to_owned()), content);
    say(201, &[("x-ms-content-crc64", crc64)], Bytes::new())
}

fn refuse(status: u16, code: &str) -> Response<Full<Bytes>> {
    say(status, &[("x-ms-error-code", code.to_owned())], Bytes::new())
}

fn say(status: u16, headers: &[(&str, String)], body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, value);
    }
    response.body(Full::new(body)).unwrap()
}
