//! The archive in a bucket of Google Cloud Storage, by its JSON API.
//!
//! Objects are created under `ifGenerationMatch=0`, so of many writers one wins. What fits a part is one request with
//! its CRC32C; anything else is a resumable upload whose last request carries the CRC32C of the whole, and which is
//! visible only then. Our SHA-256 is kept as the object's metadata: with the object where it is known before, right
//! after it otherwise. Sessions of a process that died are seen by nobody and end after a week.
//!
//! Must never write a recording without the condition, nor any byte without a checksum that Google verifies. The address
//! of an upload session is a permission: it must never be shown, and never lead elsewhere.

mod access;
mod errors;
mod resumable;
mod single;

use async_trait::async_trait;
use bytes::Bytes;
use callvault_pipeline::archive::cutter::Cutter;
use callvault_pipeline::archive::{Archive, ArchiveError, Listed, Offer, Proof, Prover, Put, PutError};
use callvault_pipeline::layout::Key;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use http::Method;
use serde::Deserialize;
use url::Url;

pub use access::GoogleSignIn;
use errors::{Meaning, meaning, refusal};
use single::Crc32c;

use crate::buffers::{Buffers, part_size};
use crate::wire::{Answer, Call, Wire, pieces};
use crate::{BadSettings, Sizes, World};

/// Where the API is.
const PUBLIC: &str = "https://storage.googleapis.com";

/// Google's limit for an object.
const MOST_BYTES: u64 = 5 * 1024 * 1024 * 1024 * 1024;

/// Chunks of a resumable upload are multiples of this, but the last ("Resumable uploads").
const CHUNK_STEP: usize = 256 * 1024;

/// The name of the metadata that holds our SHA-256.
const SHA256: &str = "sha256";

/// Where objects go, and who writes them.
#[derive(Debug, Clone)]
pub struct GoogleOptions {
    /// The bucket.
    pub bucket: String,
    /// Before every key, without slashes at its ends; may be empty.
    pub prefix: String,
    /// Another address of the API: an emulator on this machine.
    pub endpoint: Option<String>,
    /// Who writes.
    pub sign_in: GoogleSignIn,
    /// Sizes. Parts are rounded up to multiples of 256 KiB.
    pub sizes: Sizes,
}

/// An archive in a bucket. Clones share connections and buffers.
#[derive(Clone)]
pub struct GoogleArchive {
    wire: Wire,
    base: Url,
    bucket: String,
    /// Empty, or ends with `/`.
    prefix: String,
    sizes: Sizes,
    buffers: Buffers,
}

/// An object as the API describes it.
#[derive(Debug, Deserialize)]
struct Resource {
    name: String,
    #[serde(default)]
    size: String,
    crc32c: Option<String>,
    generation: Option<String>,
    metadata: Option<std::collections::BTreeMap<String, String>>,
}

impl Resource {
    fn bytes(&self) -> u64 {
        self.size.parse().unwrap_or_default()
    }

    fn sha256(&self) -> Option<&str> {
        self.metadata.as_ref()?.get(SHA256).map(String::as_str)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    items: Vec<Resource>,
    next_page_token: Option<String>,
}

impl GoogleArchive {
    /// An archive below a prefix of a bucket. Sends nothing: [`GoogleArchive::check`] does.
    ///
    /// # Errors
    /// [`BadSettings`]: credentials that cannot be read, an address that is none.
    pub fn new(options: GoogleOptions, world: World) -> Result<Self, BadSettings> {
        let GoogleOptions { bucket, prefix, endpoint, sign_in, mut sizes } = options;
        let base = Url::parse(endpoint.as_deref().unwrap_or(PUBLIC).trim_end_matches('/'));
        let base = base.map_err(|_| BadSettings("STORAGE_EMULATOR_HOST is no address".into()))?;
        let wire = Wire::new(&base, access::authority(sign_in)?, world)?;
        let prefix = if prefix.is_empty() { prefix } else { format!("{prefix}/") };
        sizes.part = sizes.part.next_multiple_of(CHUNK_STEP);
        Ok(Self { wire, base, bucket, prefix, sizes, buffers: Buffers::new(sizes) })
    }

    /// Makes sure that the bucket is there and may be listed.
    ///
    /// # Errors
    /// [`ArchiveError`] that says what is wrong with `ARCHIVE` or with the sign-in.
    pub async fn check(&self) -> Result<(), ArchiveError> {
        let target = format!("ARCHIVE {}", self.place());
        let call = self.page(&self.prefix, None).query("maxResults", "1");
        let answer = self.ask("objects.list", &target, &call).await?;
        match meaning(&answer) {
            _ if answer.is_success() => Ok(()),
            // Only a bucket can be missing from a list.
            Meaning::Absent => {
                let detail = format!("objects.list {target}: there is no such bucket: create it, or check ARCHIVE");
                Err(ArchiveError::Unreachable { detail })
            }
            _ => Err(refusal("objects.list", &target, &answer)),
        }
    }

    fn place(&self) -> String {
        format!("gs://{}/{}", self.bucket, self.prefix)
    }

    fn name(&self, key: &Key) -> String {
        format!("{}{key}", self.prefix)
    }

    fn at(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// A request about an object.
    fn object(&self, method: Method, key: &Key) -> Call {
        Call::new(method, self.at(&["storage", "v1", "b", &self.bucket, "o", &self.name(key)]))
    }

    /// A request that uploads one.
    fn upload(&self, kind: &str, key: &Key) -> Call {
        let url = self.at(&["upload", "storage", "v1", "b", &self.bucket, "o"]);
        Call::new(Method::POST, url).query("uploadType", kind).query("name", &self.name(key))
    }

    async fn ask(&self, action: &str, target: &str, call: &Call) -> Result<Answer, ArchiveError> {
        self.wire.ask(call).await.map_err(|none| none.into_error(action, target))
    }

    async fn look(&self, key: &Key) -> Result<Option<Resource>, ArchiveError> {
        let url = self.url(key);
        let call = self.object(Method::GET, key).query("fields", "name,size,crc32c,generation,metadata");
        let answer = self.ask("objects.get", &url, &call).await?;
        match meaning(&answer) {
            _ if answer.is_success() => read_resource(&answer, "objects.get", &url).map(Some),
            Meaning::Absent => Ok(None),
            _ => Err(refusal("objects.get", &url, &answer)),
        }
    }

    /// Whether what is there is what was offered: by length and the SHA-256 that we left, otherwise by reading it.
    async fn compare(&self, key: &Key, offered: Proof) -> Result<Put, PutError> {
        let gone = || ArchiveError::Failed { detail: format!("{} was there and has been removed", self.url(key)) };
        let found = self.look(key).await?.ok_or_else(gone)?;
        let same = match found.sha256() {
            _ if found.bytes() != offered.bytes => false,
            Some(kept) => kept == offered.sha256,
            None => {
                let mut there = self.read(key).await?.ok_or_else(gone)?;
                let mut prover = Prover::default();
                while let Some(piece) = there.try_next().await? {
                    prover.update(&piece);
                }
                let same = prover.finish(None)? == offered;
                if same {
                    // Whoever wrote it died before it could be left.
                    self.keep_digest(key, &found, &offered).await;
                }
                same
            }
        };
        Ok(Put::AlreadyThere { same, proof: offered })
    }

    fn page(&self, prefix: &str, token: Option<&str>) -> Call {
        let call = Call::new(Method::GET, self.at(&["storage", "v1", "b", &self.bucket, "o"]));
        let call = call.query("fields", "items(name,size),nextPageToken");
        let call = if prefix.is_empty() { call } else { call.query("prefix", prefix) };
        match token {
            Some(token) => call.query("pageToken", token),
            None => call,
        }
    }

    async fn read_page(&self, prefix: &str, token: Option<&str>) -> Result<Page, ArchiveError> {
        let target = self.place();
        let answer = self.ask("objects.list", &target, &self.page(prefix, token)).await?;
        if !answer.is_success() {
            return Err(refusal("objects.list", &target, &answer));
        }
        serde_json::from_slice(&answer.body).map_err(|_| unreadable("objects.list", &target))
    }
}

#[async_trait]
impl Archive for GoogleArchive {
    async fn put_new(&self, offer: Offer<'_>) -> Result<Put, PutError> {
        let part = part_size(self.sizes.part, offer.length, u64::MAX, CHUNK_STEP);
        let mut cutter = Cutter::new(offer.body, offer.length, Crc32c::default());
        let first = offer.length.map_or(part, |length| usize::try_from(length).unwrap_or(part).min(part));
        let first = self.buffers.cut(&mut cutter, first).await?;
        if cutter.is_at_end() || cutter.is_too_long() {
            let (proof, crc32c) = cutter.finish().await?;
            return self.put_whole(offer.key, offer.content_type, first.bytes.clone(), proof, &crc32c).await;
        }
        if let Some(declared) = offer.length.filter(|declared| *declared > MOST_BYTES) {
            drop(first);
            // A source that declares such a length and sends another is what is wrong then.
            cutter.finish().await?;
            let detail = format!("{}: Google takes at most 5 TiB, this is {declared} bytes", self.url(offer.key));
            return Err(ArchiveError::Failed { detail }.into());
        }
        // One question is cheaper than sending all in vain; the condition still stands when it is complete.
        if self.look(offer.key).await?.is_some() {
            drop(first);
            return self.compare(offer.key, cutter.finish().await?.0).await;
        }
        self.put_in_chunks(offer.key, offer.content_type, cutter, first, part).await
    }

    async fn put_document(&self, key: &Key, content_type: &str, content: Bytes) -> Result<(), ArchiveError> {
        let crc32c = Crc32c::of(&content);
        let call = self.multipart(key, Some(content_type), content, None, &crc32c);
        let answer = self.ask("objects.insert", &self.url(key), &call).await?;
        if answer.is_success() { Ok(()) } else { Err(refusal("objects.insert", &self.url(key), &answer)) }
    }

    async fn head(&self, key: &Key) -> Result<Option<u64>, ArchiveError> {
        Ok(self.look(key).await?.map(|found| found.bytes()))
    }

    async fn read(&self, key: &Key) -> Result<Option<BoxStream<'static, Result<Bytes, ArchiveError>>>, ArchiveError> {
        let url = self.url(key);
        let call = self.object(Method::GET, key).query("alt", "media");
        match self.wire.open(&call).await.map_err(|none| none.into_error("objects.get", &url))? {
            Ok(response) => Ok(Some(pieces(response, format!("objects.get {url}")))),
            Err(answer) if meaning(&answer) == Meaning::Absent => Ok(None),
            Err(answer) => Err(refusal("objects.get", &url, &answer)),
        }
    }

    async fn delete(&self, key: &Key) -> Result<(), ArchiveError> {
        let answer = self.ask("objects.delete", &self.url(key), &self.object(Method::DELETE, key)).await?;
        match meaning(&answer) {
            _ if answer.is_success() => Ok(()),
            Meaning::Absent => Ok(()),
            _ => Err(refusal("objects.delete", &self.url(key), &answer)),
        }
    }

    async fn list(&self, folder: &str) -> BoxStream<'static, Result<Listed, ArchiveError>> {
        let (archive, within) = (self.clone(), format!("{}{folder}", self.prefix));
        let pages = stream::unfold(Some(None::<String>), move |token| {
            let (archive, within) = (archive.clone(), within.clone());
            async move {
                let token = token?;
                let (listed, next) = match archive.read_page(&within, token.as_deref()).await {
                    // A token that comes again would go round for ever.
                    Ok(page) if page.next_page_token.is_some() && page.next_page_token == token => {
                        let detail = format!("objects.list {}: the same page token twice", archive.place());
                        (vec![Err(ArchiveError::Failed { detail })], None)
                    }
                    Ok(page) => {
                        let listed = page.items.iter().filter_map(|one| archive.listed(one)).map(Ok).collect();
                        (listed, page.next_page_token.filter(|token| !token.is_empty()).map(Some))
                    }
                    Err(error) => (vec![Err(error)], None),
                };
                Some((stream::iter(listed), next))
            }
        });
        pages.flatten().boxed()
    }

    fn url(&self, key: &Key) -> String {
        format!("{}{key}", self.place())
    }
}

impl GoogleArchive {
    /// An object that is listed; `None` when its name is no key of ours.
    fn listed(&self, object: &Resource) -> Option<Listed> {
        Some(Listed { key: object.name.strip_prefix(&self.prefix)?.parse().ok()?, bytes: object.bytes() })
    }
}

fn read_resource(answer: &Answer, action: &str, target: &str) -> Result<Resource, ArchiveError> {
    serde_json::from_slice(&answer.body).map_err(|_| unreadable(action, target))
}

fn unreadable(action: &str, target: &str) -> ArchiveError {
    ArchiveError::Failed { detail: format!("{action} {target}: an answer that cannot be read") }
}
