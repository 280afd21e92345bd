//! The archive in a container of Azure Blob Storage.
//!
//! Blobs are created under `If-None-Match: *`, so of many writers one wins. What fits a part is one Put Blob with its
//! `Content-MD5`; anything else is sent in blocks, each with its own, and becomes visible with the block list, under the
//! same condition. Our SHA-256 is kept as the blob's metadata. Blocks that nobody lists (of a process that died) are
//! seen by nobody and removed by Azure after a week; their names are made by chance, so writers of one blob do not take
//! each other's.
//!
//! Must never write a recording without the condition, nor any byte without a checksum that Azure verifies.

mod access;
mod blocks;
mod errors;
mod fetching;
mod listing;
mod single;

use async_trait::async_trait;
use bytes::Bytes;
use callvault_pipeline::archive::cutter::Cutter;
use callvault_pipeline::archive::{Archive, ArchiveError, Fetch, Listed, Offer, Proof, Prover, Put, PutError};
use callvault_pipeline::layout::Key;
use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use http::Method;
use http::header::{CONTENT_LENGTH, ETAG};
use url::Url;

pub use access::AzureSignIn;
use errors::{Meaning, meaning, refusal};

use crate::buffers::Buffers;
use crate::wire::{Answer, Call, NoAnswer, Wire, pieces};
use crate::{BadSettings, Sizes, World};

/// The metadata that holds our SHA-256.
const SHA256: &str = "x-ms-meta-sha256";

/// Where blobs go, and who writes them.
#[derive(Debug, Clone)]
pub struct AzureOptions {
    /// The storage account.
    pub account: String,
    /// The container.
    pub container: String,
    /// Before every key, without slashes at its ends; may be empty.
    pub prefix: String,
    /// The address of the account's blobs where it is not the public cloud's, without a container.
    pub endpoint: Option<String>,
    /// Who writes.
    pub sign_in: AzureSignIn,
    /// Sizes.
    pub sizes: Sizes,
}

/// An archive in a container. Clones share connections and buffers.
#[derive(Clone)]
pub struct AzureArchive {
    wire: Wire,
    world: World,
    /// Of the container.
    base: Url,
    account: String,
    container: String,
    /// Empty, or ends with `/`.
    prefix: String,
    sizes: Sizes,
    buffers: Buffers,
    has_identity: bool,
}

/// What is known of a blob.
struct Found {
    bytes: u64,
    sha256: Option<String>,
}

impl AzureArchive {
    /// An archive below a prefix of a container. Sends nothing: [`AzureArchive::check`] does.
    ///
    /// # Errors
    /// [`BadSettings`]: a key that is none, an address that is none.
    pub fn new(options: AzureOptions, world: World) -> Result<Self, BadSettings> {
        let AzureOptions { account, container, prefix, endpoint, sign_in, sizes } = options;
        let address = endpoint.unwrap_or_else(|| format!("https://{account}.blob.core.windows.net"));
        let base = format!("{}/{container}", address.trim_end_matches('/'));
        let base = Url::parse(&base).map_err(|_| BadSettings("the address of the storage account is no URL".into()))?;
        let has_identity = sign_in.is_identity();
        let authority = access::authority(&account, sign_in)?;
        let wire = Wire::new(&base, authority, world.clone())?;
        let prefix = if prefix.is_empty() { prefix } else { format!("{prefix}/") };
        let buffers = Buffers::new(sizes);
        Ok(Self { wire, world, base, account, container, prefix, sizes, buffers, has_identity })
    }

    /// Makes sure that the container is there and may be listed.
    ///
    /// # Errors
    /// [`ArchiveError`] that says what is wrong with `ARCHIVE` or with the sign-in.
    pub async fn check(&self) -> Result<(), ArchiveError> {
        let target = format!("ARCHIVE {}", self.place());
        let answer = self.ask("List Blobs", &target, &self.page(&self.prefix, None).query("maxresults", "1")).await?;
        if answer.is_success() { Ok(()) } else { Err(self.refused("List Blobs", &target, &answer)) }
    }

    fn place(&self) -> String {
        format!("az://{}/{}/{}", self.account, self.container, self.prefix)
    }

    /// A request for a blob.
    fn blob(&self, method: Method, key: &Key) -> Call {
        let mut url = self.base.clone();
        // A key's characters need no encoding (`layout::Key`), nor do a prefix's (`settings`).
        url.set_path(&format!("{}/{}{key}", self.base.path().trim_end_matches('/'), self.prefix));
        Call::new(method, url)
    }

    async fn ask(&self, action: &str, target: &str, call: &Call) -> Result<Answer, ArchiveError> {
        self.wire.ask(call).await.map_err(|none| self.unanswered(none, action, target))
    }

    fn unanswered(&self, none: NoAnswer, action: &str, target: &str) -> ArchiveError {
        match none.into_error(action, target) {
            ArchiveError::Unreachable { detail } => {
                ArchiveError::Unreachable { detail: format!("{detail}; is there a storage account {}?", self.account) }
            }
            other => other,
        }
    }

    fn refused(&self, action: &str, target: &str, answer: &Answer) -> ArchiveError {
        refusal(action, target, answer, self.has_identity)
    }

    async fn look(&self, key: &Key) -> Result<Option<Found>, ArchiveError> {
        let url = self.url(key);
        let answer = self.ask("Get Blob Properties", &url, &self.blob(Method::HEAD, key)).await?;
        match meaning(&answer) {
            _ if answer.is_success() => {
                let bytes =
                    answer.header(CONTENT_LENGTH.as_str()).and_then(|text| text.parse().ok()).unwrap_or_default();
                Ok(Some(Found { bytes, sha256: answer.header(SHA256).map(str::to_owned) }))
            }
            Meaning::Absent => Ok(None),
            _ => Err(self.refused("Get Blob Properties", &url, &answer)),
        }
    }

    /// Whether what is there is what was offered: by length and the SHA-256 that we left, otherwise by reading it.
    async fn compare(&self, key: &Key, offered: Proof) -> Result<Put, PutError> {
        let gone = || ArchiveError::Failed { detail: format!("{} was there and has been removed", self.url(key)) };
        let found = self.look(key).await?.ok_or_else(gone)?;
        let same = match found.sha256 {
            _ if found.bytes != offered.bytes => false,
            Some(kept) => kept == offered.sha256,
            None => {
                let mut there = self.read(key).await?.ok_or_else(gone)?;
                let mut prover = Prover::default();
                while let Some(piece) = there.try_next().await? {
                    prover.update(&piece);
                }
                prover.finish(None)? == offered
            }
        };
        Ok(Put::AlreadyThere { same, proof: offered })
    }
}

#[async_trait]
impl Archive for AzureArchive {
    async fn put_new(&self, offer: Offer<'_>) -> Result<Put, PutError> {
        let part = blocks::size(self.sizes.part, offer.length);
        let mut cutter = Cutter::new(offer.body, offer.length, single::Md5::default());
        let first = offer.length.map_or(part, |length| usize::try_from(length).unwrap_or(part).min(part));
        let first = self.buffers.cut(&mut cutter, first).await?;
        if cutter.is_at_end() || cutter.is_too_long() {
            let (proof, md5) = cutter.finish().await?;
            return self.put_whole(offer.key, offer.content_type, first.bytes.clone(), (proof, md5)).await;
        }
        self.put_in_blocks(offer.key, offer.content_type, offer.length, cutter, first, part).await
    }

    async fn fetch_new(&self, fetch: Fetch<'_>) -> Result<Option<Proof>, PutError> {
        self.fetch(fetch).await
    }

    async fn put_document(&self, key: &Key, content_type: &str, content: Bytes) -> Result<(), ArchiveError> {
        let call = self.put_blob(key, Some(content_type), content, None);
        let answer = self.ask("Put Blob", &self.url(key), &call).await?;
        if answer.is_success() { Ok(()) } else { Err(self.refused("Put Blob", &self.url(key), &answer)) }
    }

    async fn head(&self, key: &Key) -> Result<Option<u64>, ArchiveError> {
        Ok(self.look(key).await?.map(|found| found.bytes))
    }

    async fn read(&self, key: &Key) -> Result<Option<BoxStream<'static, Result<Bytes, ArchiveError>>>, ArchiveError> {
        Ok(self.open(key, None).await?.map(|response| pieces(response, format!("Get Blob {}", self.url(key)))))
    }

    async fn delete(&self, key: &Key) -> Result<(), ArchiveError> {
        let answer = self.ask("Delete Blob", &self.url(key), &self.blob(Method::DELETE, key)).await?;
        match meaning(&answer) {
            _ if answer.is_success() => Ok(()),
            Meaning::Absent => Ok(()),
            _ => Err(self.refused("Delete Blob", &self.url(key), &answer)),
        }
    }

    async fn list(&self, folder: &str) -> BoxStream<'static, Result<Listed, ArchiveError>> {
        self.listed(folder)
    }

    fn url(&self, key: &Key) -> String {
        format!("{}{key}", self.place())
    }
}

impl AzureArchive {
    /// Opens a blob for reading: as it is, or only while it has this ETag.
    async fn open(&self, key: &Key, etag: Option<&str>) -> Result<Option<reqwest::Response>, ArchiveError> {
        let url = self.url(key);
        let mut call = self.blob(Method::GET, key);
        if let Some(etag) = etag {
            call = call.header("if-match", etag);
        }
        match self.wire.open(&call).await.map_err(|none| self.unanswered(none, "Get Blob", &url))? {
            Ok(response) => Ok(Some(response)),
            Err(answer) if meaning(&answer) == Meaning::Absent => Ok(None),
            Err(answer) => Err(self.refused("Get Blob", &url, &answer)),
        }
    }
}

fn etag(answer: &Answer) -> Option<&str> {
    answer.header(ETAG.as_str())
}
