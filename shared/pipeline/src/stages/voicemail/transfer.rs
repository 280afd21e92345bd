//! One message into the archive: its media, proved, and beside it a document with what is known of it.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;

use super::orders::Kept;
use super::{Task, Voicemail, stops_everything};
use crate::api::{ApiError, Media, SignedUrl, VoicemailFormat, VoicemailMedia};
use crate::archive::{Proof, prove};
use crate::day::Day;
use crate::ids::{ConversationId, VoicemailId};
use crate::kind::{extension, is_known};
use crate::layout::{Key, PlacedVoicemail};
use crate::ledger::machine::Settlement;
use crate::ledger::voicemail::{MailboxName, VoicemailFact};
use crate::ledger::{Settled, StoredObject};
use crate::reason::Reason;
use crate::stages::copying::{self, Copied, Failed, Opened, of_media};
use crate::stages::{Fault, Report};

/// The longest pause before media that is being prepared is asked for again.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

impl Voicemail {
    /// Copies a message, records that, and gives the orders.
    pub(super) async fn transfer(&self, task: &Task<'_>) -> Result<Report, Failed> {
        let Task { row, fact, message, .. } = *task;
        let Some(copied) = self.copy(task).await? else {
            let wait = async {
                if self.is_out_of_patience(fact.since, fact.looks + 1) {
                    let detail = "the source prepared its media for a day".to_owned();
                    return self.park(row, Reason::MediaNotReady, detail).await;
                }
                self.not_yet(row, fact.looks, LONGEST_PAUSE, None).await?;
                Ok(Report::default())
            };
            return wait.await.map_err(Failed::Fault);
        };
        let mut report = Report::default();
        if copied.fresh {
            (report.stored, report.bytes) = (1, copied.proof.bytes);
        }
        let Copied { key, proof: Proof { bytes, sha256 }, content_type, proved, .. } = copied;
        let object = StoredObject { key, bytes, sha256, content_type, job: None, stored_at: self.house.now() };
        let metadata = self.describe(task, &object).await?;
        let settlement = Settlement::Copied { object: object.clone(), metadata: metadata.clone(), proved };
        let settled = self.house.settle(row, settlement).await.map_err(|error| Failed::Fault(error.into()))?;
        if settled == Settled::Stale {
            return Ok(report);
        }
        tracing::debug!(voicemail.id = %message, bytes, "stored voicemail {message}");
        let kept = Kept { object: &object, metadata: &metadata, proved };
        report += self.orders(task, &kept).await.map_err(Failed::Fault)?;
        Ok(report)
    }

    /// Copies the media; `None` while the source prepares it.
    async fn copy(&self, task: &Task<'_>) -> Result<Option<Copied>, Failed> {
        let (mut interruptions, mut refreshed) = (0, false);
        loop {
            let Some(url) = self.media(task).await? else { return Ok(None) };
            let open = async || self.open(&url).await;
            let key = |content_type: Option<&str>, variant: Option<&str>| self.key(task, ext(content_type), variant);
            match copying::copy(&*self.house.archive, open, key).await {
                Ok(copied) => return Ok(Some(copied)),
                // A fresh URL, once.
                Err(Failed::Refused(_)) if !refreshed => refreshed = true,
                Err(failed) => {
                    interruptions += 1;
                    let Some(pause) = failed.worth_repeating(&self.house, interruptions) else { return Err(failed) };
                    self.house.clock.sleep(pause).await;
                }
            }
        }
    }

    async fn media(&self, task: &Task<'_>) -> Result<Option<SignedUrl>, Failed> {
        match self.source.media(task.message, self.options.format).await {
            Ok(VoicemailMedia::Ready(url)) => Ok(Some(url)),
            Ok(VoicemailMedia::NotReady) => Ok(None),
            Err(error) if stops_everything(&error) || matches!(error, ApiError::OutOfTime { .. }) => {
                Err(Failed::Fault(Fault::Source(error)))
            }
            Err(ApiError::NotFound { .. }) => {
                Err(Failed::Hopeless(Reason::Deleted, "it is gone at the source".to_owned()))
            }
            Err(error @ ApiError::Forbidden { .. }) => {
                Err(Failed::Interrupted(Reason::VoicemailForbidden, error.to_string()))
            }
            Err(error @ ApiError::Refused { .. }) => Err(Failed::Interrupted(Reason::SourceError, error.to_string())),
            Err(error @ ApiError::Unreadable { .. }) => {
                Err(Failed::Interrupted(Reason::UnreadableAnswer, error.to_string()))
            }
            Err(error) => Err(Failed::Interrupted(Reason::SourceUnavailable, error.to_string())),
        }
    }

    async fn open(&self, url: &SignedUrl) -> Result<Opened, Failed> {
        let media = self.source.download(url).await.map_err(of_media)?;
        let sent = media.content_type.clone().filter(|sent| is_known(Some(sent)));
        let content_type = sent.unwrap_or_else(|| content_type_of(self.options.format).to_owned());
        let Media { length, has_provable_end, body, .. } = media;
        Ok(Opened { content_type: Some(content_type), length, has_provable_end, body })
    }

    fn key(&self, task: &Task<'_>, ext: &str, variant: Option<&str>) -> Result<Key, Failed> {
        let (conversation, message) = (task.conversation, task.message);
        let placed =
            PlacedVoicemail { day: task.row.day, created: task.fact.created, conversation, message, ext, variant };
        self.house.layout.voicemail(&placed).map_err(|error| Failed::Fault(Fault::Settings(error.to_string())))
    }

    /// Writes the document beside the media.
    async fn describe(&self, task: &Task<'_>, object: &StoredObject) -> Result<StoredObject, Failed> {
        let key = self.key(task, "json", None)?;
        let settings = |error: serde_json::Error| Failed::Fault(Fault::Settings(error.to_string()));
        let content = serde_json::to_vec_pretty(&document(task, object)).map_err(settings)?;
        let Proof { bytes, sha256 } = prove(&content);
        let written = self.house.archive.put_document(&key, "application/json", Bytes::from(content)).await;
        written.map_err(|error| match error.is_general() {
            true => Failed::Fault(Fault::Archive(error)),
            false => Failed::Interrupted(Reason::ArchiveFailed, error.to_string()),
        })?;
        let content_type = Some("application/json".to_owned());
        Ok(StoredObject { key, bytes, sha256, content_type, job: None, stored_at: self.house.now() })
    }
}

/// The extension of media. The document beside it is the only one that ends with `json`.
fn ext(content_type: Option<&str>) -> &'static str {
    match extension(content_type) {
        "json" => "bin",
        ext => ext,
    }
}

/// What a format is, where the answer does not say.
fn content_type_of(format: VoicemailFormat) -> &'static str {
    match format {
        VoicemailFormat::Webm => "audio/webm",
        VoicemailFormat::Wav | VoicemailFormat::WavUlaw => "audio/wav",
        VoicemailFormat::OggVorbis | VoicemailFormat::OggOpus => "audio/ogg",
        VoicemailFormat::Mp3 => "audio/mpeg",
    }
}

/// The content of `voicemail/<conversation>_<message>.json`. Field names are stable: others read them. Without when it
/// was copied: the same facts make the same document, whoever writes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    schema: &'static str,
    conversation: &'a ConversationId,
    message: &'a VoicemailId,
    day: Day,
    mailbox: &'a MailboxName,
    created: Option<Timestamp>,
    duration_seconds: Option<u64>,
    caller_address: Option<&'a str>,
    caller_name: Option<&'a str>,
    object: ObjectDocument<'a>,
    /// Where the facts come from.
    source: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectDocument<'a> {
    key: &'a Key,
    bytes: u64,
    sha256: &'a str,
    content_type: Option<&'a str>,
}

fn document<'a>(task: &Task<'a>, object: &'a StoredObject) -> Document<'a> {
    let VoicemailFact { mailbox, created, seconds, caller, .. } = task.fact;
    let StoredObject { key, bytes, sha256, content_type, .. } = object;
    Document {
        schema: "callvault/voicemail/1",
        conversation: task.conversation,
        message: task.message,
        day: task.row.day,
        mailbox,
        created: *created,
        duration_seconds: *seconds,
        caller_address: caller.as_ref().and_then(|caller| caller.address.as_deref()),
        caller_name: caller.as_ref().and_then(|caller| caller.name.as_deref()),
        object: ObjectDocument { key, bytes: *bytes, sha256, content_type: content_type.as_deref() },
        source: "listing",
    }
}
