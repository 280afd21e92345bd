//! A Google Cloud Storage in this process that believes nothing: it checks what Google checks and the emulator does not.
//!
//! `ifGenerationMatch` is decided in the moment of writing, so of many writers one wins; a new object must come with it
//! and with a CRC32C that fits what arrived. Chunks of a resumable upload must go on where it stands, in multiples of 256
//! KiB. It fails by script: corrupts, refuses, loses answers. It asks for no credentials.
#![expect(clippy::unwrap_used, reason = "a harness of tests fails by panicking")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{Bytes, BytesMut};
use crc::{CRC_32_ISCSI, Crc};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use serde_json::{Value, json};

use super::server::Server;

static CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Chunks but the last are multiples of this.
const STEP: usize = 256 * 1024;

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GcsFault {
    /// A bit of the body is another one when it arrives.
    Corrupt,
    /// Only the first 256 KiB of a chunk are taken.
    TakePart,
    /// The call is refused before anything is done: status and reason.
    Refuse(u16, &'static str),
    /// It is done, and the connection is closed before the answer.
    LoseAnswer,
}

#[derive(Debug, Clone)]
struct Object {
    content: Bytes,
    content_type: String,
    metadata: Value,
    generation: u64,
}

#[derive(Debug)]
struct Session {
    name: String,
    /// `ifGenerationMatch`, as it began.
    asked: Option<String>,
    content_type: String,
    content: BytesMut,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Object>,
    sessions: BTreeMap<u64, Session>,
    last: u64,
    counts: BTreeMap<&'static str, usize>,
    faults: Vec<(&'static str, usize, GcsFault)>,
    page: usize,
    /// Whether who writes must ask for both checks.
    strict: bool,
}

/// A running store with the bucket `bucket`. Stops when it is dropped.
#[derive(Debug)]
pub struct VerifyingGcs {
    state: Arc<Mutex<State>>,
    server: Server,
}

struct Refusal(u16, &'static str);

impl VerifyingGcs {
    /// Starts one, whose lists have pages of three.
    pub async fn start() -> Self {
        Self::with(State { page: 3, strict: true, ..State::default() }).await
    }

    /// One that checks what it is asked to check and no more, as Google does: for programs that ask for less than we do.
    pub async fn lenient() -> Self {
        Self::with(State { page: 1000, ..State::default() }).await
    }

    async fn with(state: State) -> Self {
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| answer(Arc::clone(&shared), request)).await;
        Self { state, server }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Fails the `n`th call of an operation, counted from 1 and from now.
    pub fn fail(&self, operation: &'static str, n: usize, fault: GcsFault) {
        let mut state = locked(&self.state);
        let n = n + state.counts.get(operation).copied().unwrap_or_default();
        state.faults.push((operation, n, fault));
    }

    /// How often an operation was called.
    pub fn calls(&self, operation: &str) -> usize {
        locked(&self.state).counts.get(operation).copied().unwrap_or_default()
    }

    /// Names, content and metadata of everything that is visible.
    pub fn objects(&self) -> BTreeMap<String, (Bytes, Value)> {
        let state = locked(&self.state);
        state.objects.iter().map(|(name, one)| (name.clone(), (one.content.clone(), one.metadata.clone()))).collect()
    }

    /// Uploads that are neither complete nor cancelled.
    pub fn open_uploads(&self) -> usize {
        locked(&self.state).sessions.len()
    }

    /// Puts an object there without metadata, as other tools leave them.
    pub fn plant(&self, name: &str, content: Bytes) {
        locked(&self.state).put(name, content, "text/plain", &Value::Null);
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn crc32c(content: &[u8]) -> String {
    BASE64_STANDARD.encode(CRC32C.checksum(content).to_be_bytes())
}

impl State {
    fn put(&mut self, name: &str, content: Bytes, content_type: &str, metadata: &Value) -> Value {
        self.last += 1;
        let object = Object {
            content,
            content_type: content_type.to_owned(),
            metadata: metadata.clone(),
            generation: self.last,
        };
        let shown = shown(name, &object);
        self.objects.insert(name.to_owned(), object);
        shown
    }

    /// `ifGenerationMatch`: 0 where nothing may be there.
    fn may(&self, name: &str, asked: Option<&str>) -> Result<(), Refusal> {
        let there = self.objects.get(name).map_or(0, |object| object.generation);
        match asked.map(str::parse::<u64>) {
            Some(Ok(wanted)) if there == wanted => Ok(()),
            Some(Ok(_)) => Err(Refusal(412, "conditionNotMet")),
            Some(Err(_)) => Err(Refusal(400, "invalid")),
            None => Ok(()),
        }
    }
}

fn shown(name: &str, object: &Object) -> Value {
    json!({
        "kind": "storage#object", "name": name, "bucket": "bucket", "size": object.content.len().to_string(),
        "crc32c": crc32c(&object.content), "generation": object.generation.to_string(),
        "contentType": object.content_type, "metadata": object.metadata,
    })
}

/// A call as it came.
struct Call {
    operation: &'static str,
    method: String,
    name: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Bytes,
}

impl Call {
    fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("closed on purpose")]
struct Closed;

async fn answer(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Closed> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    let url = url::Url::parse(&format!("http://h{}", head.uri)).unwrap();
    let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    let segments: Vec<&str> = url.path_segments().unwrap().collect();
    let (upload, bucket, name) = match segments.as_slice() {
        ["storage", "v1", "b", bucket, "o"] => (false, *bucket, ""),
        ["storage", "v1", "b", bucket, "o", name] => (false, *bucket, *name),
        ["upload", "storage", "v1", "b", bucket, "o"] => (true, *bucket, ""),
        _ => return Ok(said(&Refusal(404, "notFound"), "Not Found")),
    };
    let name = query.get("name").cloned().unwrap_or_else(|| name.replace("%2F", "/"));
    let method = head.method.to_string();
    let operation = match (method.as_str(), upload, query.get("uploadType").map(String::as_str)) {
        ("POST", true, Some("multipart")) => "insert",
        ("POST", true, Some("resumable")) => "begin",
        // Google's own Go library sends chunks with POST.
        ("PUT" | "POST", true, _) => "chunk",
        ("DELETE", true, _) => "cancel",
        ("GET", false, _) if name.is_empty() => "list",
        ("GET", false, _) if query.get("alt").is_some_and(|alt| alt == "media") => "media",
        ("GET", false, _) => "get",
        ("DELETE", false, _) => "delete",
        ("PATCH", false, _) => "patch",
        _ => return Ok(said(&Refusal(400, "invalid"), "what is that?")),
    };
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap_or("").to_owned()));
    let mut call = Call { operation, method, name, query, headers: headers.collect(), body };
    let mut state = locked(&state);
    let count = state.counts.entry(operation).or_default();
    *count += 1;
    let count = *count;
    let fault = state.faults.iter().find(|(name, n, _)| *name == operation && *n == count).map(|fault| fault.2);
    if bucket != "bucket" && bucket != "forbidden" {
        return Ok(said(&Refusal(404, "notFound"), "The specified bucket does not exist."));
    }
    if bucket == "forbidden" {
        return Ok(said(&Refusal(403, "forbidden"), "anonymous does not have storage.objects.list access"));
    }
    match fault {
        Some(GcsFault::Refuse(status, reason)) => return Ok(said(&Refusal(status, reason), "on purpose")),
        Some(GcsFault::Corrupt) => {
            let mut body = call.body.to_vec();
            let middle = body.len() / 2;
            body[middle] ^= 1;
            call.body = body.into();
        }
        Some(GcsFault::TakePart) => {
            call.body = call.body.slice(..STEP.min(call.body.len()));
            call.headers.insert("take-part".to_owned(), String::new());
        }
        _ => {}
    }
    let done = state.call(&call);
    drop(state);
    if fault == Some(GcsFault::LoseAnswer) {
        return Err(Closed);
    }
    Ok(done.unwrap_or_else(|refusal| said(&refusal, if refusal.0 == 404 { "No such object" } else { "refused" })))
}

fn said(Refusal(status, reason): &Refusal, message: &str) -> Response<Full<Bytes>> {
    let body =
        json!({"error": {"code": status, "message": message, "errors": [{"domain": "global", "reason": reason}]}});
    respond(*status, &[], body.to_string().into())
}

fn respond(status: u16, headers: &[(&str, String)], body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, value);
    }
    response.body(Full::new(body)).unwrap()
}

fn ok(shown: &Value) -> Response<Full<Bytes>> {
    respond(200, &[], shown.to_string().into())
}

impl State {
    fn call(&mut self, call: &Call) -> Result<Response<Full<Bytes>>, Refusal> {
        match call.operation {
            "insert" => self.insert(call),
            "begin" => {
                self.may(&call.name, call.query("ifGenerationMatch"))?;
                let asked = call.query("ifGenerationMatch").map(str::to_owned);
                if self.strict && asked.as_deref() != Some("0") {
                    return Err(Refusal(400, "required"));
                }
                let described: Value = serde_json::from_slice(&call.body).map_err(|_| Refusal(400, "parseError"))?;
                let content_type = described["contentType"].as_str().unwrap_or_default().to_owned();
                self.last += 1;
                let session = Session { name: call.name.clone(), asked, content_type, content: BytesMut::new() };
                self.sessions.insert(self.last, session);
                let host = &call.headers["host"];
                let address = format!("http://{host}/upload/storage/v1/b/bucket/o?upload_id={}", self.last);
                Ok(respond(200, &[("location", address)], Bytes::new()))
            }
            "chunk" => self.chunk(call),
            "cancel" => {
                self.sessions.remove(&id(call)?);
                Ok(respond(499, &[], Bytes::new()))
            }
            "list" => Ok(ok(&self.list(call))),
            "delete" => {
                self.may(&call.name, call.query("ifGenerationMatch"))?;
                self.objects.remove(&call.name).ok_or(Refusal(404, "notFound"))?;
                Ok(respond(204, &[], Bytes::new()))
            }
            _ => {
                if call.method == "PATCH" {
                    self.may(&call.name, call.query("ifGenerationMatch"))?;
                }
                let object = self.objects.get_mut(&call.name).ok_or(Refusal(404, "notFound"))?;
                match call.operation {
                    "media" => return Ok(respond(200, &[], object.content.clone())),
                    "patch" => {
                        let described: Value =
                            serde_json::from_slice(&call.body).map_err(|_| Refusal(400, "parseError"))?;
                        object.metadata = described["metadata"].clone();
                    }
                    _ => {}
                }
                Ok(ok(&shown(&call.name, object)))
            }
        }
    }

    fn insert(&mut self, call: &Call) -> Result<Response<Full<Bytes>>, Refusal> {
        let invalid = Refusal(400, "invalid");
        let (_, boundary) = call.headers["content-type"].split_once("boundary=").ok_or(invalid)?;
        let (described, content_type, content) = two_parts(&call.body, boundary).ok_or(Refusal(400, "parseError"))?;
        let crc_fits = described["crc32c"] == crc32c(&content) || (!self.strict && described["crc32c"].is_null());
        let type_fits = described["contentType"] == content_type || (!self.strict && content_type.is_empty());
        if !crc_fits || !type_fits {
            return Err(Refusal(400, "invalid"));
        }
        self.may(&call.name, call.query("ifGenerationMatch"))?;
        Ok(ok(&self.put(&call.name, content, &content_type, &described["metadata"])))
    }

    fn chunk(&mut self, call: &Call) -> Result<Response<Full<Bytes>>, Refusal> {
        let id = id(call)?;
        let session = self.sessions.get_mut(&id).ok_or(Refusal(404, "notFound"))?;
        let range = call.headers.get("content-range").and_then(|range| range.strip_prefix("bytes "));
        let (bytes, total) = range.and_then(|range| range.split_once('/')).ok_or(Refusal(400, "invalid"))?;
        if let Some((begin, end)) = bytes.split_once('-') {
            let (begin, end): (usize, usize) = (begin.parse().unwrap(), end.parse().unwrap());
            let is_cut = call.headers.contains_key("take-part");
            let aligned = total != "*" || call.body.len().is_multiple_of(STEP);
            if begin != session.content.len() || !aligned || (!is_cut && end + 1 - begin != call.body.len()) {
                return Err(Refusal(400, "invalid"));
            }
            session.content.extend_from_slice(&call.body);
        }
        if total.parse() != Ok(session.content.len()) {
            let last = session.content.len().checked_sub(1).map(|last| ("range", format!("bytes=0-{last}")));
            let mut headers = Vec::from_iter(last);
            // Clients of Google's own Go library ask for it so: others on their way make something else of a 308.
            let status = match call.headers.get("x-guploader-no-308") {
                Some(_) => {
                    headers.push(("x-http-status-code-override", "308".to_owned()));
                    200
                }
                None => 308,
            };
            return Ok(respond(status, &headers, Bytes::new()));
        }
        let session = self.sessions.remove(&id).ok_or(Refusal(404, "notFound"))?;
        let content = session.content.freeze();
        let said = call.headers.get("x-goog-hash");
        if (self.strict || said.is_some()) && said != Some(&format!("crc32c={}", crc32c(&content))) {
            return Err(Refusal(400, "invalid"));
        }
        self.may(&session.name, session.asked.as_deref())?;
        Ok(ok(&self.put(&session.name, content, &session.content_type, &Value::Null)))
    }

    fn list(&self, call: &Call) -> Value {
        let (prefix, after) = (call.query("prefix").unwrap_or(""), call.query("pageToken").unwrap_or(""));
        let mut names = self.objects.iter().filter(|(name, _)| name.starts_with(prefix) && name.as_str() > after);
        let page: Vec<_> = names.by_ref().take(self.page).collect();
        let items: Vec<Value> = page.iter().map(|(name, object)| shown(name, object)).collect();
        let mut listed = json!({"kind": "storage#objects"});
        if !items.is_empty() {
            listed["items"] = items.into();
        }
        if names.next().is_some() {
            listed["nextPageToken"] = page.last().map(|(name, _)| name.as_str()).into();
        }
        listed
    }
}

fn id(call: &Call) -> Result<u64, Refusal> {
    call.query("upload_id").and_then(|id| id.parse().ok()).ok_or(Refusal(400, "invalid"))
}

/// Description, content type (empty where the second part has none) and content of a `multipart/related` body.
fn two_parts(body: &Bytes, boundary: &str) -> Option<(Value, String, Bytes)> {
    let find = |from: usize, what: &str| {
        body[from..].windows(what.len()).position(|window| window == what.as_bytes()).map(|at| from + at)
    };
    let described = find(0, "\r\n\r\n")? + 4;
    let between = find(described, &format!("\r\n--{boundary}"))?;
    let content = find(between, "\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&body[between..content]).ok()?;
    let content_type = head.lines().find_map(|line| line.strip_prefix("Content-Type: ")).unwrap_or_default().to_owned();
    let end = body.len().checked_sub(boundary.len() + 8)?;
    let is_end = &body[end..] == format!("\r\n--{boundary}--\r\n").as_bytes();
    is_end.then_some(())?;
    Some((serde_json::from_slice(&body[described..between]).ok()?, content_type, body.slice(content..end)))
}
