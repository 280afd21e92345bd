//! One copy of one body into the archive, and what its failures mean: shared by every stage that copies media.
//!
//! Must never replace an object, and never hold a body: what is offered goes by as a stream.

use std::time::Duration;

use super::{Fault, House};
use crate::api::{MediaError, SignedUrl};
use crate::archive::{Archive, Body, Fetch, Offer, Proof, Put, PutError};
use crate::layout::Key;
use crate::reason::Reason;

/// A copy that broke off is tried this often within one claim, after a short pause, before its row is put off.
pub(super) const TRIES_AT_ONCE: u32 = 3;

/// Longer pauses than this are not waited for with the claim in hand: the row is put off.
const LONGEST_PAUSE_AT_ONCE: Duration = Duration::from_secs(5);

/// Length of the digest's part that names differing content of one recording.
const VARIANT_DIGITS: usize = 16;

/// Why a copy did not succeed.
pub(super) enum Failed {
    /// The URL is refused.
    Refused(String),
    /// Worth trying again; after too often, the reason.
    Interrupted(Reason, String),
    /// The source does not answer, whatever is asked of it: worth trying again for long.
    Away {
        /// When it was too long.
        reason: Reason,
        detail: String,
        /// How long it asks not to be asked again.
        retry_after: Option<Duration>,
    },
    /// Not worth trying again.
    Hopeless(Reason, String),
    /// Nothing can be copied.
    Fault(Fault),
}

impl Failed {
    /// How long to wait before the same copy is worth another try within this claim, where that is the `repeat`-th
    /// (from 1); `None` where it is not.
    pub(super) fn worth_repeating(&self, house: &House, repeat: u32) -> Option<Duration> {
        let pause = house.short_pause(repeat);
        let pause = match self {
            Self::Interrupted(..) | Self::Away { retry_after: None, .. } => pause,
            Self::Away { retry_after: Some(asked), .. } => pause.max(*asked),
            Self::Refused(_) | Self::Hopeless(..) | Self::Fault(_) => return None,
        };
        (repeat < TRIES_AT_ONCE && pause <= LONGEST_PAUSE_AT_ONCE).then_some(pause)
    }
}

/// A body that is ready to be stored.
pub(super) struct Opened {
    pub(super) content_type: Option<String>,
    /// Declared, in bytes.
    pub(super) length: Option<u64>,
    /// Whether its end can be told from a connection that broke.
    pub(super) has_provable_end: bool,
    pub(super) body: Body,
}

/// A body that is in the archive.
pub(super) struct Copied {
    pub(super) key: Key,
    pub(super) proof: Proof,
    pub(super) content_type: Option<String>,
    /// Whether it was not there before.
    pub(super) fresh: bool,
    /// Whether the source said where it ends: otherwise it may be a part of it.
    pub(super) proved: bool,
}

/// Copies what `open` gives to the key that `key` makes of its content type. Content that differs from what is there
/// gets a key of its own: `key` makes it of the digest, and `open` is asked once more.
pub(super) async fn copy(
    archive: &dyn Archive,
    open: impl AsyncFn() -> Result<Opened, Failed>,
    key: impl Fn(Option<&str>, Option<&str>) -> Result<Key, Failed>,
) -> Result<Copied, Failed> {
    let opened = open().await?;
    let content_type = opened.content_type.clone();
    let mut proved = opened.has_provable_end;
    let own = key(content_type.as_deref(), None)?;
    let (key, put) = match put(archive, &own, opened).await? {
        Put::AlreadyThere { same: false, proof } => {
            let variant = proof.sha256.get(..VARIANT_DIGITS).unwrap_or_default();
            let other = key(content_type.as_deref(), Some(variant))?;
            let again = Opened { content_type: content_type.clone(), ..open().await? };
            proved = again.has_provable_end;
            let put = put(archive, &other, again).await?;
            (other, put)
        }
        put => (own, put),
    };
    let (proof, fresh) = match put {
        Put::Stored(proof) => (proof, true),
        Put::AlreadyThere { same: true, proof } => (proof, false),
        // Another content under a name made of this content's digest: the URL gave two different bodies.
        Put::AlreadyThere { same: false, .. } => {
            let detail = "the source gave different bytes for one URL".to_owned();
            return Err(Failed::Interrupted(Reason::DownloadFailed, detail));
        }
    };
    Ok(Copied { key, proof, content_type, fresh, proved })
}

/// Has the archive's store fetch from `url` by itself. It is opened here first, and closed at once: so it is judged by the
/// same rules, and its headers say what it is and how long. `None` where the bytes have to be copied.
pub(super) async fn fetch(
    archive: &dyn Archive,
    open: impl AsyncFn() -> Result<Opened, Failed>,
    key: impl Fn(Option<&str>, Option<&str>) -> Result<Key, Failed>,
    url: &SignedUrl,
) -> Result<Option<Copied>, Failed> {
    let Opened { content_type, length, body, .. } = open().await?;
    drop(body);
    let Some(length) = length else { return Ok(None) };
    let key = key(content_type.as_deref(), None)?;
    let fetch = Fetch { key: &key, content_type: content_type.as_deref(), length, url };
    let fetched = archive.fetch_new(fetch).await.map_err(of_put)?;
    Ok(fetched.map(|proof| Copied { key, proof, content_type, fresh: true, proved: true }))
}

async fn put(archive: &dyn Archive, key: &Key, opened: Opened) -> Result<Put, Failed> {
    let Opened { content_type, length, body, .. } = opened;
    let offer = Offer { key, content_type: content_type.as_deref(), length, body };
    archive.put_new(offer).await.map_err(of_put)
}

pub(super) fn of_media(error: MediaError) -> Failed {
    match error {
        MediaError::NotAllowed { .. } => Failed::Hopeless(Reason::UrlNotAllowed, error.to_string()),
        MediaError::Expired { .. } | MediaError::Gone { .. } => Failed::Refused(error.to_string()),
        MediaError::Unavailable { retry_after, .. } => {
            Failed::Away { reason: Reason::SourceUnavailable, detail: error.to_string(), retry_after }
        }
        MediaError::Interrupted { .. } => Failed::Interrupted(Reason::DownloadFailed, error.to_string()),
    }
}

pub(super) fn of_put(error: PutError) -> Failed {
    match error {
        PutError::Body(cause) => of_media(cause),
        PutError::Length { .. } => Failed::Interrupted(Reason::DownloadFailed, error.to_string()),
        PutError::Store(error) if error.is_general() => Failed::Fault(Fault::Archive(error)),
        PutError::Store(error) => Failed::Interrupted(Reason::ArchiveFailed, error.to_string()),
    }
}
