//! Upload: copies recordings from the source into the archive and proves each copy.
//!
//! Intent, bytes, proof, done: the claim comes first, the copy next; only when length and checksum are right is the
//! row settled. Must never hold a whole recording in memory (a chat that is filtered is the exception, and bounded),
//! and never replace an object.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};

use super::copying::{self, Copied, Failed, Opened, of_media, of_put};
use super::shift::Worked;
use super::{Blame, Fault, House, Report, concerns_everything};
use crate::api::{ApiError, Media, NextStep, Recordings};
use crate::archive::{Body, Proof, PutError};
use crate::chat::{self, BodyTypes};
use crate::ids::{BatchJobId, ConversationId, RecordingId};
use crate::jobs::{JobReader, Link, Links};
use crate::kind::{Kind, extension, is_known};
use crate::layout::{Key, Placed};
use crate::ledger::machine::Settlement;
use crate::ledger::{Fact, RecordingFact, Row, RowKey, Stage, StoredObject};
use crate::reason::Reason;

/// Settings of the upload stage.
#[derive(Debug, Clone)]
pub struct UploadOptions {
    /// Copies at the same time.
    pub concurrency: usize,
    /// Which chat messages are kept.
    pub chat: BodyTypes,
    /// Whether the archive's store fetches by itself what it can. Chats are filtered, so they always pass through us.
    pub by_store: bool,
}

/// The upload stage.
pub struct Upload {
    /// Ports.
    pub house: House,
    /// The source.
    pub source: Arc<dyn Recordings>,
    /// Gives URLs.
    pub reader: Arc<JobReader>,
    /// Settings.
    pub options: UploadOptions,
}

struct Task<'a> {
    row: &'a Row,
    fact: &'a RecordingFact,
    conversation: &'a ConversationId,
    recording: &'a RecordingId,
    job: &'a BatchJobId,
}

impl Upload {
    /// Copies what is due until nothing is, as many at a time as the settings say.
    ///
    /// # Errors
    /// [`Fault`] when nothing can be copied: the archive is full or gone, the sign-in is refused, the ledger fails.
    pub async fn run(&self) -> Result<Report, Fault> {
        self.run_reporting(|_| ()).await
    }

    /// The same, and tells of each copy as it is done.
    ///
    /// # Errors
    /// As [`Upload::run`].
    pub async fn run_reporting(&self, each: impl Fn(&Report)) -> Result<Report, Fault> {
        let concurrency = self.options.concurrency.max(1);
        // What is claimed and not settled: given back when nothing can be copied any more.
        let held: Mutex<HashMap<RowKey, Row>> = Mutex::default();
        let copies = self.claims(concurrency, &held).map(|row| async {
            let row = row?;
            let copied = self.one(&row).await;
            if copied.is_ok() {
                locked(&held).remove(&row.key);
            }
            copied.map(|report| Report { claimed: 1, ..report })
        });
        let mut copies = std::pin::pin!(copies.buffer_unordered(concurrency));
        let mut report = Report::default();
        while let Some(copied) = copies.next().await {
            match copied {
                Ok(one) => {
                    each(&one);
                    report += one;
                }
                Err(fault) => {
                    // The others would fail the same way: their claims are given back, not waited for.
                    let rows: Vec<Row> = locked(&held).values().cloned().collect();
                    self.give_back(&rows).await;
                    return Err(fault);
                }
            }
        }
        Ok(report)
    }

    /// Claims rows as they are needed, so that a long copy keeps no other from starting.
    fn claims<'a>(
        &'a self,
        at_once: usize,
        held: &'a Mutex<HashMap<RowKey, Row>>,
    ) -> impl Stream<Item = Result<Row, Fault>> + 'a {
        let pages = stream::unfold((), move |()| async move {
            let claimed = self.house.claim(Stage::Upload, at_once).await;
            let rows: Vec<Result<Row, Fault>> = match claimed {
                Ok(rows) if rows.is_empty() => return None,
                Ok(rows) => {
                    locked(held).extend(rows.iter().map(|row| (row.key.clone(), row.clone())));
                    rows.into_iter().map(Ok).collect()
                }
                Err(error) => vec![Err(Fault::Ledger(error))],
            };
            Some((stream::iter(rows), ()))
        });
        pages.flatten()
    }

    async fn give_back(&self, rows: &[Row]) {
        for row in rows {
            if let Err(error) = self.house.give_back(row).await {
                // The lease ends by itself.
                tracing::warn!(code = error.code(), "a claim could not be given back: {error}");
                return;
            }
        }
    }

    async fn one(&self, row: &Row) -> Result<Report, Fault> {
        let (RowKey::Recording(conversation, recording), Fact::Recording(fact)) = (&row.key, &row.fact) else {
            return Ok(Report::default());
        };
        let Some(job) = &fact.job else {
            let detail = "no job can give its URL".to_owned();
            return self.settle(row, Settlement::Refused { detail, objects: Vec::new() }).await;
        };
        let task = Task { row, fact, conversation, recording, job };
        match self.house.work_on(row, self.upload(&task)).await? {
            Worked::Done(report) => Ok(report),
            Worked::Lost => Ok(Report::default()),
            Worked::GivenBack => Ok(Report { given_back: 1, ..Report::default() }),
            Worked::TooLong => {
                let detail = "it was not copied within the time of one run: give it more time".to_owned();
                let failed = Failed::Interrupted(Reason::DownloadFailed, detail);
                self.fail(&task, failed, Vec::new()).await
            }
        }
    }

    async fn upload(&self, task: &Task<'_>) -> Result<Report, Fault> {
        let Task { row, conversation, recording, job, .. } = *task;
        let mut done = Vec::new();
        let mut report = Report::default();
        match self.copy_all(task, &mut done, &mut report).await {
            Ok(()) => {
                tracing::debug!(recording.id = %recording, objects = done.len(), "stored recording {recording}");
                report += self.settle(row, Settlement::Stored(done)).await?;
                self.reader.done(job, conversation, recording).await;
            }
            Err(failed) => report += self.fail(task, failed, done).await?,
        }
        Ok(report)
    }

    async fn copy_all(&self, task: &Task<'_>, done: &mut Vec<StoredObject>, report: &mut Report) -> Result<(), Failed> {
        let links = self.links(task, None).await?;
        if links.links.is_empty() {
            return Err(Failed::Refused("its job no longer lists it".to_owned()));
        }
        let count = links.links.len();
        let mut links = links;
        for place in 0..count {
            let (mut interruptions, mut refreshed) = (0, false);
            let object = loop {
                let Some(link) = links.links.get(place) else {
                    return Err(Failed::Refused("its job lists fewer results than before".to_owned()));
                };
                match self.copy(task, link, report).await {
                    Ok(object) => break object,
                    // A fresh URL, once; refused again, its conversation needs a new job.
                    Err(Failed::Refused(_)) if !refreshed => {
                        links = self.links(task, Some(links.read_at)).await?;
                        refreshed = true;
                    }
                    Err(failed) => {
                        interruptions += 1;
                        let Some(pause) = failed.worth_repeating(&self.house, interruptions) else {
                            return Err(failed);
                        };
                        self.house.clock.sleep(pause).await;
                    }
                }
            };
            if !done.iter().any(|known: &StoredObject| known.key == object.key) {
                done.push(object);
            }
        }
        Ok(())
    }

    async fn links(&self, task: &Task<'_>, newer_than: Option<jiff::Timestamp>) -> Result<Links, Failed> {
        let links = self.reader.links(task.job, task.conversation, task.recording, newer_than).await;
        links.map_err(|fault| match fault {
            Fault::Source(error) if concerns_everything(&error) || matches!(error, ApiError::OutOfTime { .. }) => {
                Failed::Fault(Fault::Source(error))
            }
            Fault::Source(error) if error.next_step() == NextStep::GiveUp => {
                Failed::Refused(format!("its job is lost ({})", error.code()))
            }
            Fault::Source(error) => {
                let detail = error.to_string();
                match Blame::of(&error) {
                    Blame::Row => Failed::Interrupted(Reason::UnreadableAnswer, detail),
                    Blame::Source { retry_after } => {
                        Failed::Away { reason: Reason::SourceUnavailable, detail, retry_after }
                    }
                }
            }
            fault => Failed::Fault(fault),
        })
    }

    /// Copies one result. Content that differs from what is under the recording's key gets a key of its own.
    async fn copy(&self, task: &Task<'_>, link: &Link, report: &mut Report) -> Result<StoredObject, Failed> {
        let open = async || self.open(task, link).await;
        let key = |content_type: Option<&str>, variant: Option<&str>| self.key(task, content_type, variant);
        let archive = &*self.house.archive;
        let fetched = match self.options.by_store && task.fact.kind != Kind::Chat {
            true => copying::fetch(archive, open, key, &link.url).await?,
            false => None,
        };
        let copied = match fetched {
            Some(copied) => copied,
            None => copying::copy(archive, open, key).await?,
        };
        let Copied { key, proof, content_type, fresh, .. } = copied;
        if fresh {
            report.stored += 1;
            report.bytes += proof.bytes;
        }
        let Proof { bytes, sha256 } = proof;
        Ok(StoredObject { key, bytes, sha256, content_type, job: Some(task.job.clone()), stored_at: self.house.now() })
    }

    fn key(&self, task: &Task<'_>, content_type: Option<&str>, variant: Option<&str>) -> Result<Key, Failed> {
        let placed = Placed {
            day: task.row.day,
            start: task.fact.start,
            kind: task.fact.kind,
            conversation: task.conversation,
            recording: task.recording,
            ext: extension(content_type),
            variant,
        };
        self.house.layout.recording(&placed).map_err(|error| Failed::Fault(Fault::Settings(error.to_string())))
    }

    async fn open(&self, task: &Task<'_>, link: &Link) -> Result<Opened, Failed> {
        let media = self.source.open(&link.url).await.map_err(of_media)?;
        let content_type = match link.content_type.as_deref() {
            Some(named) if is_known(Some(named)) => Some(named.to_owned()),
            named => media.content_type.clone().filter(|sent| is_known(Some(sent))).or(named.map(str::to_owned)),
        };
        let has_provable_end = media.has_provable_end;
        let (length, body) = self.body(task.fact.kind, content_type.as_deref(), media).await?;
        Ok(Opened { content_type, length, has_provable_end, body })
    }

    /// The body as it is stored: a chat with only the messages that are kept, anything else as it comes.
    async fn body(&self, kind: Kind, content_type: Option<&str>, media: Media) -> Result<(Option<u64>, Body), Failed> {
        let Media { length, mut body, .. } = media;
        let is_chat = kind == Kind::Chat && extension(content_type) == "json";
        let long = length.is_some_and(|length| length > chat::LONGEST_FILTERED);
        if !is_chat || long || self.options.chat == BodyTypes::All {
            return Ok((length, body));
        }
        let mut whole = BytesMut::new();
        while let Some(bytes) = body.next().await {
            whole.extend_from_slice(&bytes.map_err(of_media)?);
            if whole.len() as u64 > chat::LONGEST_FILTERED {
                // Its length was not declared: what is here and what is to come go on as they are.
                let begun = stream::iter([Ok(whole.freeze())]);
                return Ok((length, begun.chain(body).boxed()));
            }
        }
        let received = whole.len() as u64;
        if let Some(declared) = length.filter(|declared| *declared != received) {
            return Err(of_put(PutError::Length { declared, received }));
        }
        let kept: Bytes = chat::filter(&whole.freeze(), &self.options.chat);
        Ok((Some(kept.len() as u64), stream::iter([Ok(kept)]).boxed()))
    }

    async fn fail(&self, task: &Task<'_>, failed: Failed, objects: Vec<StoredObject>) -> Result<Report, Fault> {
        let row = task.row;
        match failed {
            Failed::Fault(fault) => Err(fault),
            Failed::Refused(detail) => {
                tracing::warn!(recording.id = %task.recording, "recording {} needs a new job: {detail}", task.recording);
                self.settle(row, Settlement::Refused { detail, objects }).await
            }
            Failed::Hopeless(reason, detail) => {
                tracing::warn!(recording.id = %task.recording, %reason, "parked recording {}: {detail}", task.recording);
                self.settle(row, Settlement::Parked { reason, detail, objects }).await
            }
            Failed::Interrupted(reason, detail) => self.put_off(task, Blame::Row, (reason, detail), objects).await,
            Failed::Away { reason, detail, retry_after } => {
                self.put_off(task, Blame::Source { retry_after }, (reason, detail), objects).await
            }
        }
    }

    /// Due again later, or parked where patience ends.
    async fn put_off(
        &self,
        task: &Task<'_>,
        blame: Blame,
        (reason, detail): (Reason, String),
        objects: Vec<StoredObject>,
    ) -> Result<Report, Fault> {
        if self.house.gives_up(task.row, blame) {
            tracing::warn!(recording.id = %task.recording, %reason, "parked recording {}: {detail}", task.recording);
            return self.settle(task.row, Settlement::Parked { reason, detail, objects }).await;
        }
        tracing::info!(recording.id = %task.recording, "recording {} is put off: {detail}", task.recording);
        self.house.put_off(task.row, blame).await?;
        Ok(Report { failed: 1, ..Report::default() })
    }

    async fn settle(&self, row: &Row, settlement: Settlement) -> Result<Report, Fault> {
        let mut report = Report { settled: 1, ..Report::default() };
        if let Settlement::Parked { reason, .. } = &settlement {
            report.park(*reason);
        }
        self.house.settle(row, settlement).await?;
        Ok(report)
    }
}

fn locked(held: &Mutex<HashMap<RowKey, Row>>) -> MutexGuard<'_, HashMap<RowKey, Row>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
