//! What is stored, and what every operation does to it.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use super::wire::{Asked, digests};

/// A refusal: status and code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal(pub u16, pub &'static str);

/// An object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its bytes.
    pub content: Bytes,
    /// Headers it was written with, lower case.
    pub headers: BTreeMap<String, String>,
    /// Checksums that are kept: header and value.
    pub checksums: BTreeMap<&'static str, String>,
}

#[derive(Debug)]
struct Upload {
    path: String,
    headers: BTreeMap<String, String>,
    parts: BTreeMap<u32, Bytes>,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
}

impl Answer {
    fn of(headers: Vec<(&'static str, String)>, body: impl Into<Bytes>) -> Self {
        Self { status: 200, headers, body: body.into() }
    }
}

#[derive(Debug, Default)]
pub(super) struct Store {
    least_part: usize,
    objects: BTreeMap<String, Object>,
    uploads: HashMap<String, Upload>,
    next: usize,
}

type Done = Result<Answer, Refusal>;

impl Store {
    pub(super) fn new(least_part: usize) -> Self {
        Self { least_part, ..Self::default() }
    }

    pub(super) fn object(&self, path: &str) -> Option<&Object> {
        self.objects.get(path)
    }

    pub(super) fn paths(&self) -> Vec<String> {
        self.objects.keys().cloned().collect()
    }

    pub(super) fn open_uploads(&self) -> usize {
        self.uploads.len()
    }

    pub(super) fn plant(&mut self, path: &str, content: Bytes) {
        let object = Object { content, headers: BTreeMap::new(), checksums: BTreeMap::new() };
        self.objects.insert(path.to_owned(), object);
    }

    pub(super) fn call(&mut self, asked: &Asked) -> Done {
        if !asked.path.starts_with("bucket") {
            return Err(Refusal(404, "NoSuchBucket"));
        }
        match asked.operation {
            "PutObject" => self.put(asked),
            "HeadObject" => self.get(asked),
            "GetObject" => self.get(asked),
            "DeleteObject" => {
                self.objects.remove(&asked.path);
                Ok(Answer { status: 204, headers: Vec::new(), body: Bytes::new() })
            }
            "ListObjectsV2" => Ok(self.list(asked)),
            "CreateMultipartUpload" => Ok(self.create(asked)),
            "UploadPart" => self.part(asked),
            "CompleteMultipartUpload" => self.complete(asked),
            _ => {
                let id = asked.query.get("uploadId").cloned().unwrap_or_default();
                self.uploads.remove(&id).ok_or(Refusal(404, "NoSuchUpload"))?;
                Ok(Answer { status: 204, headers: Vec::new(), body: Bytes::new() })
            }
        }
    }

    fn free(&self, asked: &Asked) -> Result<(), Refusal> {
        let taken = asked.header("if-none-match") == Some("*") && self.objects.contains_key(&asked.path);
        if taken { Err(Refusal(412, "PreconditionFailed")) } else { Ok(()) }
    }

    fn put(&mut self, asked: &Asked) -> Done {
        self.free(asked)?;
        let (sha256, crc64) = digests(&asked.body);
        let given = |name: &str| asked.headers.contains_key(name) || asked.trailers.contains_key(name);
        let kept = [("x-amz-checksum-sha256", sha256), ("x-amz-checksum-crc64nvme", crc64)];
        let checksums: BTreeMap<_, _> = kept.into_iter().filter(|(name, _)| given(name)).collect();
        let headers = checksums.iter().map(|(name, value)| (*name, value.clone())).collect();
        let object = Object { content: asked.body.clone(), headers: asked.headers.clone(), checksums };
        self.objects.insert(asked.path.clone(), object);
        Ok(Answer::of(headers, ""))
    }

    fn get(&self, asked: &Asked) -> Done {
        let object = self.objects.get(&asked.path).ok_or(Refusal(404, "NoSuchKey"))?;
        let mut headers = vec![("content-length", object.content.len().to_string())];
        if asked.header("x-amz-checksum-mode") == Some("ENABLED") {
            headers.extend(object.checksums.iter().map(|(name, value)| (*name, value.clone())));
            headers.push(("x-amz-checksum-type", "FULL_OBJECT".to_owned()));
        }
        if let Some(sha256) = object.headers.get("x-amz-meta-sha256") {
            headers.push(("x-amz-meta-sha256", sha256.clone()));
        }
        let body = if asked.operation == "HeadObject" { Bytes::new() } else { object.content.clone() };
        Ok(Answer::of(headers, body))
    }

    /// Three a page: lists are always paged.
    fn list(&self, asked: &Asked) -> Answer {
        let value = |name: &str| asked.query.get(name).cloned().unwrap_or_default();
        let (prefix, after) = (format!("bucket/{}", value("prefix")), value("continuation-token"));
        let found: Vec<_> =
            self.objects.iter().filter(|(path, _)| path.starts_with(&prefix) && **path > after).collect();
        let page = &found[..found.len().min(3)];
        let items: String = page
            .iter()
            .map(|(path, object)| {
                let (key, size) = (path.trim_start_matches("bucket/"), object.content.len());
                format!("<Contents><Key>{key}</Key><Size>{size}</Size></Contents>")
            })
            .collect();
        let more = found.len() > page.len();
        let token = page
            .last()
            .filter(|_| more)
            .map_or_else(String::new, |(path, _)| format!("<NextContinuationToken>{path}</NextContinuationToken>"));
        let body = format!("<ListBucketResult><IsTruncated>{more}</IsTruncated>{token}{items}</ListBucketResult>");
        Answer::of(Vec::new(), body)
    }

    fn create(&mut self, asked: &Asked) -> Answer {
        self.next += 1;
        let id = format!("upload-{}", self.next);
        let upload = Upload { path: asked.path.clone(), headers: asked.headers.clone(), parts: BTreeMap::new() };
        self.uploads.insert(id.clone(), upload);
        let body = format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>");
        Answer::of(Vec::new(), body)
    }

    fn part(&mut self, asked: &Asked) -> Done {
        let value = |name: &str| asked.query.get(name).cloned().unwrap_or_default();
        let upload = self.uploads.get_mut(&value("uploadId")).ok_or(Refusal(404, "NoSuchUpload"))?;
        let number = value("partNumber").parse().ok().filter(|n| (1..=10_000).contains(n));
        upload.parts.insert(number.ok_or(Refusal(400, "InvalidArgument"))?, asked.body.clone());
        let (_, crc64) = digests(&asked.body);
        Ok(Answer::of(vec![("etag", format!("\"{crc64}\"")), ("x-amz-checksum-crc64nvme", crc64)], ""))
    }

    fn complete(&mut self, asked: &Asked) -> Done {
        let id = asked.query.get("uploadId").cloned().unwrap_or_default();
        let upload = self.uploads.get(&id).ok_or(Refusal(404, "NoSuchUpload"))?;
        let wanted = listed_parts(&String::from_utf8_lossy(&asked.body));
        let mut whole = Vec::new();
        for (place, (number, crc64)) in wanted.iter().enumerate() {
            let part = upload.parts.get(number).ok_or(Refusal(400, "InvalidPart"))?;
            if place > 0 && wanted[place - 1].0 >= *number {
                return Err(Refusal(400, "InvalidPartOrder"));
            }
            if digests(part).1 != *crc64 {
                return Err(Refusal(400, "InvalidPart"));
            }
            if place + 1 < wanted.len() && part.len() < self.least_part {
                return Err(Refusal(400, "EntityTooSmall"));
            }
            whole.extend_from_slice(part);
        }
        let (_, crc64) = digests(&whole);
        let length = whole.len().to_string();
        if wanted.is_empty() || asked.header("x-amz-mp-object-size") != Some(&length) {
            return Err(Refusal(400, "InvalidRequest"));
        }
        if asked.header("x-amz-checksum-crc64nvme") != Some(&crc64) {
            return Err(Refusal(400, "BadDigest"));
        }
        self.free(asked)?;
        let Some(upload) = self.uploads.remove(&id) else { return Err(Refusal(404, "NoSuchUpload")) };
        let checksums = [("x-amz-checksum-crc64nvme", crc64)].into();
        self.objects.insert(upload.path, Object { content: whole.into(), headers: upload.headers, checksums });
        let body = "<CompleteMultipartUploadResult><ETag>whole</ETag></CompleteMultipartUploadResult>";
        Ok(Answer::of(Vec::new(), body))
    }
}

/// Numbers and checksums of the parts that a completion lists.
fn listed_parts(xml: &str) -> Vec<(u32, String)> {
    let between = |text: &str, tag: &str| {
        let (_, after) = text.split_once(&format!("<{tag}>"))?;
        after.split_once(&format!("</{tag}>")).map(|(value, _)| value.to_owned())
    };
    let parts = xml.split("<Part>").skip(1);
    parts
        .filter_map(|part| Some((between(part, "PartNumber")?.parse().ok()?, between(part, "ChecksumCRC64NVME")?)))
        .collect()
}
