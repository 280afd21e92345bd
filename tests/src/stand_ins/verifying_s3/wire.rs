//! Requests taken apart and verified, answers put together.

use std::collections::BTreeMap;
use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::http::request::Parts;
use hyper::{Method, Response, Uri};
use sha2::{Digest, Sha256};

use super::Seen;
use super::objects::{Answer, Refusal};

const CRC64: crc::Crc<u64> = crc::Crc::<u64>::new(&crc::CRC_64_NVME);

/// SHA-256 and CRC-64/NVME of bytes, in Base64.
pub(super) fn digests(bytes: &[u8]) -> (String, String) {
    let crc64 = CRC64.checksum(bytes).to_be_bytes();
    (BASE64_STANDARD.encode(Sha256::digest(bytes)), BASE64_STANDARD.encode(crc64))
}

/// S3's name for a request.
pub(super) fn operation(method: &Method, uri: &Uri) -> &'static str {
    let query = uri.query().unwrap_or_default();
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    match *method {
        Method::PUT if has("uploadId") => "UploadPart",
        Method::PUT => "PutObject",
        Method::POST if has("uploads") => "CreateMultipartUpload",
        Method::POST => "CompleteMultipartUpload",
        Method::DELETE if has("uploadId") => "AbortMultipartUpload",
        Method::DELETE => "DeleteObject",
        Method::HEAD => "HeadObject",
        Method::GET if has("list-type") => "ListObjectsV2",
        _ => "GetObject",
    }
}

/// A request whose body has been verified.
pub(super) struct Asked {
    pub(super) operation: &'static str,
    /// Bucket and key.
    pub(super) path: String,
    pub(super) query: BTreeMap<String, String>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) trailers: BTreeMap<String, String>,
    pub(super) body: Bytes,
}

impl Asked {
    pub(super) fn new(operation: &'static str, head: &Parts) -> Self {
        let pairs = head.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let query = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let query = query.map(|(name, value)| (name.to_owned(), decoded(value))).collect();
        let headers = head.headers.iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()));
        let path = decoded(head.uri.path().trim_start_matches('/'));
        Self { operation, path, query, headers: headers.collect(), trailers: BTreeMap::new(), body: Bytes::new() }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(super) fn seen(&self) -> Seen {
        let trailers = self.trailers.keys().cloned().collect();
        Seen { operation: self.operation, path: self.path.clone(), headers: self.headers.clone(), trailers }
    }

    /// Decodes and verifies the body.
    pub(super) fn take_body(&mut self, raw: &Bytes, corrupt: bool) -> Result<(), Refusal> {
        let chunked = self.header("content-encoding").is_some_and(|encoding| encoding.contains("aws-chunked"));
        let mut body = if chunked { self.dechunk(raw)? } else { raw.to_vec() };
        if corrupt && let Some(byte) = body.last_mut() {
            *byte ^= 1;
        }
        self.body = body.into();
        if matches!(self.operation, "PutObject" | "UploadPart") { self.verify() } else { Ok(()) }
    }

    /// One checksum at least, and every one right.
    fn verify(&self) -> Result<(), Refusal> {
        let given = |name: &str| self.header(name).or_else(|| self.trailers.get(name).map(String::as_str));
        let (sha256, crc64) = digests(&self.body);
        let checks = [("x-amz-checksum-sha256", sha256), ("x-amz-checksum-crc64nvme", crc64)];
        let given: Vec<_> = checks.iter().filter_map(|(name, right)| Some((given(name)?, right))).collect();
        if given.is_empty() {
            return Err(Refusal(400, "MissingChecksum"));
        }
        if given.iter().any(|(given, right)| given != right) {
            return Err(Refusal(400, "BadDigest"));
        }
        // The payload's own digest, where the signature covers it.
        let signed = self.header("x-amz-content-sha256").filter(|value| value.len() == 64);
        let hex = Sha256::digest(&self.body).iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        if signed.is_some_and(|signed| signed != hex) { Err(Refusal(400, "XAmzContentSHA256Mismatch")) } else { Ok(()) }
    }

    /// `SIZE[;chunk-signature=...]\r\n BYTES \r\n ... 0[;...]\r\n TRAILERS \r\n`.
    fn dechunk(&mut self, raw: &Bytes) -> Result<Vec<u8>, Refusal> {
        const BAD: Refusal = Refusal(400, "IncompleteBody");
        let (mut body, mut rest) = (Vec::new(), &raw[..]);
        loop {
            let line = take_line(&mut rest).ok_or(BAD)?;
            let size = line.split(';').next().and_then(|size| usize::from_str_radix(size, 16).ok()).ok_or(BAD)?;
            if size == 0 {
                break;
            }
            let (chunk, after) = rest.split_at_checked(size).ok_or(BAD)?;
            body.extend_from_slice(chunk);
            rest = after.strip_prefix(b"\r\n").ok_or(BAD)?;
        }
        while let Some(line) = take_line(&mut rest).filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or(BAD)?;
            self.trailers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        let declared = self.header("x-amz-decoded-content-length").and_then(|length| length.parse().ok());
        let promised = self.header("x-amz-trailer").is_none_or(|name| self.trailers.contains_key(name));
        if declared == Some(body.len()) && promised { Ok(body) } else { Err(BAD) }
    }
}

fn take_line<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let end = rest.windows(2).position(|two| two == b"\r\n")?;
    let line = std::str::from_utf8(&rest[..end]).ok()?;
    *rest = &rest[end + 2..];
    Some(line)
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                u8::from_str_radix(&String::from_utf8_lossy(&digits), 16).unwrap_or(b'%')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(super) fn answered(answer: Answer, corrupt: bool) -> Response<Full<Bytes>> {
    let mut body = answer.body.to_vec();
    if corrupt && let Some(byte) = body.last_mut() {
        *byte ^= 1;
    }
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(Full::new(body.into())).unwrap()
}

pub(super) fn refused(refusal: &Refusal, asked: &Asked, headers: &[(&str, &str)]) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(refusal.0);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    let body = format!("<Error><Code>{}</Code><Message>said by the stand-in</Message></Error>", refusal.1);
    let body = if asked.operation == "HeadObject" { String::new() } else { body };
    response.body(Full::new(body.into())).unwrap()
}
