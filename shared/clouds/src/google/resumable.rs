//! Objects in a resumable upload: of more than one part's length, or of a length nobody knows.
//!
//! The next chunk is cut while one is sent. An unanswered chunk is asked about before it is sent again, since Google
//! takes each byte once. An upload that is not completed is cancelled, also when its future is dropped; what that cannot
//! reach (a killed process) ends after a week.

use bytes::Bytes;
use callvault_pipeline::archive::cutter::Cutter;
use callvault_pipeline::archive::{Archive, ArchiveError, Put, PutError};
use callvault_pipeline::layout::Key;
use futures_util::future::{Either, select};
use http::Method;
use http::header::{LOCATION, RANGE, RETRY_AFTER};
use serde_json::json;
use url::Url;

use super::errors::{Meaning, meaning, refusal};
use super::single::Crc32c;
use super::{GoogleArchive, MOST_BYTES};
use crate::buffers::Buffer;
use crate::wire::{Answer, Call, NoAnswer, Wire, is_passing};

/// Google's answer to a chunk that is not the last.
const GO_ON: u16 = 308;

/// An upload that is cancelled unless it is done.
struct Session {
    wire: Wire,
    /// A permission: never shown.
    address: Url,
    open: bool,
}

/// Where an upload stands.
enum Standing {
    /// So many bytes are there.
    Has(u64),
    /// It is over: an object, or a refusal.
    Over(Answer),
}

impl GoogleArchive {
    /// Sends a body whose first part is cut already, and makes it visible.
    pub(super) async fn put_in_chunks(
        &self,
        key: &Key,
        content_type: Option<&str>,
        mut cutter: Cutter<Crc32c>,
        first: Buffer,
        part: usize,
    ) -> Result<Put, PutError> {
        let mut session = match self.begin(key, content_type).await? {
            Some(session) => session,
            None => {
                drop(first);
                return self.compare(key, cutter.finish().await?.0).await;
            }
        };
        let (mut sent, mut buffer) = (0_u64, first);
        // All but the last chunk: whether one is the last is known when the next one is cut.
        while !cutter.is_at_end() && !cutter.is_too_long() {
            let length = buffer.bytes.len() as u64;
            if sent + length > MOST_BYTES {
                let detail = format!("{}: Google takes at most 5 TiB", self.url(key));
                return Err(ArchiveError::Failed { detail }.into());
            }
            let sending = Box::pin(session.send_chunk(buffer.bytes.clone(), sent));
            let cutting = Box::pin(self.buffers.cut(&mut cutter, part));
            let (answered, next) = match select(sending, cutting).await {
                Either::Left((answered, cutting)) => {
                    // What was sent is given back before another is waited for.
                    drop(buffer);
                    (answered, cutting.await?)
                }
                Either::Right((next, sending)) => (sending.await, next?),
            };
            match answered {
                Ok(Standing::Has(_)) => sent += length,
                Ok(Standing::Over(answer)) => return self.over(key, cutter, Ok(answer)).await,
                Err(none) => return self.over(key, cutter, Err(none)).await,
            }
            buffer = next;
        }
        let (proof, crc32c) = cutter.finish().await?;
        let crc32c = crc32c.text();
        let total = sent + buffer.bytes.len() as u64;
        let answer = session.send_last(&buffer.bytes, sent, total, &crc32c).await;
        match answer {
            Ok(answer) if answer.is_success() => {
                session.open = false;
                let object = self.confirm(key, &answer, &proof, &crc32c).await?;
                self.keep_digest(key, &object, &proof).await;
                Ok(Put::Stored(proof))
            }
            answer => self.settle("objects.insert", key, proof, answer).await,
        }
    }

    /// An upload that ended before its last chunk.
    async fn over(&self, key: &Key, cutter: Cutter<Crc32c>, answer: Result<Answer, NoAnswer>) -> Result<Put, PutError> {
        match answer {
            Ok(answer) if answer.is_success() => {
                let detail = format!("objects.insert {}: it was complete before its end", self.url(key));
                Err(ArchiveError::Failed { detail }.into())
            }
            Ok(answer) if !matches!(meaning(&answer), Meaning::Exists | Meaning::Absent | Meaning::Unknown) => {
                Err(refusal("objects.insert", &self.url(key), &answer).into())
            }
            // Somebody may have been first: the rest is only digested, to compare.
            answer => self.settle("objects.insert", key, cutter.finish().await?.0, answer).await,
        }
    }

    /// Begins an upload; `None` when an object is there.
    async fn begin(&self, key: &Key, content_type: Option<&str>) -> Result<Option<Session>, PutError> {
        let url = self.url(key);
        let content_type = content_type.unwrap_or("application/octet-stream");
        let described = json!({"contentType": content_type}).to_string();
        let call = self.upload("resumable", key).query("ifGenerationMatch", "0");
        let call = call.header("content-type", "application/json; charset=UTF-8").body([Bytes::from(described)]);
        let answer = self.ask("objects.insert", &url, &call.header("x-upload-content-type", content_type)).await?;
        match meaning(&answer) {
            _ if answer.is_success() => {}
            Meaning::Exists => return Ok(None),
            _ => return Err(refusal("objects.insert", &url, &answer).into()),
        }
        let address = answer.header(LOCATION.as_str()).and_then(|address| self.base.join(address).ok());
        match address.filter(|address| address.origin() == self.base.origin()) {
            Some(address) => Ok(Some(Session { wire: self.wire.clone(), address, open: true })),
            None => {
                let detail = format!("objects.insert {url}: the upload would go somewhere else");
                Err(ArchiveError::Failed { detail }.into())
            }
        }
    }
}

impl Session {
    /// Sends a chunk that is not the last.
    async fn send_chunk(&self, chunk: Bytes, begin: u64) -> Result<Standing, NoAnswer> {
        self.send(&chunk, begin, None, None).await
    }

    /// Sends the last chunk, which makes the object.
    async fn send_last(&self, chunk: &Bytes, begin: u64, total: u64, crc32c: &str) -> Result<Answer, NoAnswer> {
        match self.send(chunk, begin, Some(total), Some(crc32c)).await? {
            Standing::Over(answer) => Ok(answer),
            Standing::Has(bytes) => {
                Err(NoAnswer::Silence(format!("it has {bytes} of {total} bytes and makes no object")))
            }
        }
    }

    /// Sends a chunk until all of it is there, from where the upload stands.
    async fn send(
        &self,
        chunk: &Bytes,
        begin: u64,
        total: Option<u64>,
        crc32c: Option<&str>,
    ) -> Result<Standing, NoAnswer> {
        let end = begin + chunk.len() as u64;
        let (mut has, mut attempt) = (begin, 0);
        loop {
            attempt += 1;
            let left = chunk.slice(usize::try_from(has - begin).unwrap_or(chunk.len()).min(chunk.len())..);
            let mut call = Call::new(Method::PUT, self.address.clone());
            let of = total.map_or_else(|| "*".to_owned(), |total| total.to_string());
            let range = if left.is_empty() { format!("bytes */{of}") } else { format!("bytes {has}-{}/{of}", end - 1) };
            call = call.header("content-range", &range);
            if let Some(crc32c) = crc32c {
                call = call.header("x-goog-hash", &format!("crc32c={crc32c}"));
            }
            if !left.is_empty() {
                call = call.body([left]);
            }
            let answered = match self.wire.once(&call).await {
                Ok(answer) => self.standing(answer),
                Err(none) => Err(none),
            };
            let asked = match &answered {
                Ok(Standing::Over(answer)) if is_passing(answer.status) => answer.header(RETRY_AFTER.as_str()),
                Ok(Standing::Over(_)) => return answered,
                Ok(Standing::Has(bytes)) if *bytes == end && total.is_none() => return answered,
                Ok(Standing::Has(bytes)) if (has + 1..=end).contains(bytes) => {
                    // Only a part of it was taken: the rest at once.
                    (has, attempt) = (*bytes, 0);
                    continue;
                }
                // Less than we know it has: it is not the upload we began.
                Ok(Standing::Has(bytes)) if *bytes < begin => {
                    return Err(NoAnswer::Silence("the upload has lost what it had".to_owned()));
                }
                Ok(Standing::Has(_)) | Err(NoAnswer::Silence(_)) => None,
                Err(NoAnswer::NotAllowed(_)) => return answered,
            };
            let Some(pause) = self.wire.pause(attempt, asked) else { return answered };
            self.wire.sleep(pause).await;
            match self.ask_standing().await? {
                Standing::Has(bytes) if (begin..=end).contains(&bytes) => {
                    if bytes == end && total.is_none() {
                        return Ok(Standing::Has(bytes));
                    }
                    has = bytes;
                }
                Standing::Has(_) => return Err(NoAnswer::Silence("the upload has lost what it had".to_owned())),
                over => return Ok(over),
            }
        }
    }

    /// Asks where the upload stands.
    async fn ask_standing(&self) -> Result<Standing, NoAnswer> {
        let call = Call::new(Method::PUT, self.address.clone()).header("content-range", "bytes */*");
        self.standing(self.wire.ask(&call).await?)
    }

    fn standing(&self, answer: Answer) -> Result<Standing, NoAnswer> {
        if answer.status != GO_ON {
            return Ok(Standing::Over(answer));
        }
        // `bytes=0-LAST`; without it nothing is there yet.
        let range = answer.header(RANGE.as_str());
        let last = range.and_then(|range| range.rsplit('-').next()).and_then(|last| last.trim().parse::<u64>().ok());
        match (range, last) {
            (None, _) => Ok(Standing::Has(0)),
            (Some(_), Some(last)) => Ok(Standing::Has(last + 1)),
            (Some(_), None) => Err(NoAnswer::Silence("an answer that cannot be read".to_owned())),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.open {
            let (wire, address) = (self.wire.clone(), self.address.clone());
            // Nothing depends on it: what is not cancelled ends by itself.
            runtime.spawn(async move { drop(wire.once(&Call::new(Method::DELETE, address)).await) });
        }
    }
}
