//! One copy of one body into the archive, and what its failures mean: shared by every stage that copies media.
//!
//! Must never replace an object, and never hold a body: what is offered goes by as a stream.

use super::Fault;
use crate::api::MediaError;
use crate::archive::{Archive, Body, Offer, Proof, Put, PutError};
use crate::layout::Key;
use crate::reason::Reason;

/// A copy that broke off is tried again at once, this often, before its row is put off.
pub(super) const TRIES_AT_ONCE: u32 = 3;

/// Length of the digest's part that names differing content of one recording.
const VARIANT_DIGITS: usize = 16;

/// Why a copy did not succeed.
pub(super) enum Failed {
    /// The URL is refused.
    Refused(String),
    /// Worth trying again; after too often, the reason.
    Interrupted(Reason, String),
    /// Not worth trying again.
    Hopeless(Reason, String),
    /// Nothing can be copied.
    Fault(Fault),
}

/// A body that is ready to be stored.
pub(super) struct Opened {
    pub(super) content_type: Option<String>,
    /// Declared, in bytes.
    pub(super) length: Option<u64>,
    pub(super) body: Body,
}

/// A body that is in the archive.
pub(super) struct Copied {
    pub(super) key: Key,
    pub(super) proof: Proof,
    pub(super) content_type: Option<String>,
    /// Whether it was not there before.
    pub(super) fresh: bool,
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
    let own = key(content_type.as_deref(), None)?;
    let (key, put) = match put(archive, &own, opened).await? {
        Put::AlreadyThere { same: false, proof } => {
            let variant = proof.sha256.get(..VARIANT_DIGITS).unwrap_or_default();
            let other = key(content_type.as_deref(), Some(variant))?;
            let again = Opened { content_type: content_type.clone(), ..open().await? };
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
    Ok(Copied { key, proof, content_type, fresh })
}

async fn put(archive: &dyn Archive, key: &Key, opened: Opened) -> Result<Put, Failed> {
    let Opened { content_type, length, body } = opened;
    let offer = Offer { key, content_type: content_type.as_deref(), length, body };
    archive.put_new(offer).await.map_err(of_put)
}

pub(super) fn of_media(error: MediaError) -> Failed {
    match error {
        MediaError::NotAllowed { .. } => Failed::Hopeless(Reason::UrlNotAllowed, error.to_string()),
        MediaError::Expired { .. } | MediaError::Gone { .. } => Failed::Refused(error.to_string()),
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
