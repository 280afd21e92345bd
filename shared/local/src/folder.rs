//! The archive in a folder.
//!
//! A file is written under a temporary name in a folder of its own, synchronised, and given its name only if nobody
//! else has it; then the folder is synchronised. So a file is whole or absent, also after a power cut. Temporary files
//! are locked while they are written: what is not locked was left by somebody who is gone, and is removed when the
//! archive is opened next.
//!
//! Must never open an existing file for writing.

mod place;

use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use callvault_pipeline::archive::{Archive, ArchiveError, Body, Listed, Offer, Proof, Prover, Put, PutError, prove};
use callvault_pipeline::layout::Key;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Bytes read at a time.
const READ_BYTES: usize = 256 * 1024;

/// Bytes given to the disk at a time: fewer, larger writes.
const WRITE_BYTES: usize = 512 * 1024;

/// Where files are before they have a name. A dot keeps it out of `ls` and of every key (no key's segment begins so).
const TEMPORARY: &str = ".callvault-tmp";

/// An archive in a folder.
#[derive(Debug, Clone)]
pub struct FolderArchive {
    root: PathBuf,
}

impl FolderArchive {
    /// Opens a folder, makes it where there is none, and removes what dead writers left.
    ///
    /// # Errors
    /// [`ArchiveError`] when the folder cannot be made or written.
    pub fn open(root: &Path) -> Result<Self, ArchiveError> {
        let named = |error: io::Error| of_io(&error, root);
        std::fs::create_dir_all(root.join(TEMPORARY)).map_err(named)?;
        let root = root.canonicalize().map_err(named)?;
        place::remove_abandoned(&root.join(TEMPORARY)).map_err(|error| of_io(&error, &root))?;
        Ok(Self { root })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_str())
    }

    async fn blocking<T: Send + 'static>(
        &self,
        key: &Key,
        job: impl FnOnce(&Path, &Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, ArchiveError> {
        let (root, path) = (self.root.clone(), self.path(key));
        let done = tokio::task::spawn_blocking(move || job(&root, &path).map_err(|error| of_io(&error, &path))).await;
        done.unwrap_or_else(|error| Err(ArchiveError::Failed { detail: error.to_string() }))
    }

    async fn temporary(&self) -> Result<NamedTempFile, ArchiveError> {
        let folder = self.root.join(TEMPORARY);
        let made = tokio::task::spawn_blocking(move || place::temporary(&folder).map_err(|e| of_io(&e, &folder))).await;
        made.unwrap_or_else(|error| Err(ArchiveError::Failed { detail: error.to_string() }))
    }

    /// Writes a body to a temporary file and synchronises it.
    async fn write(&self, file: &NamedTempFile, body: Body, declared: Option<u64>) -> Result<Proof, PutError> {
        let store = |error: io::Error| PutError::Store(of_io(&error, &self.root));
        let out = file.as_file().try_clone().map_err(store)?;
        let mut out = tokio::fs::File::from_std(out);
        out.set_max_buf_size(WRITE_BYTES);
        let mut prover = Prover::default();
        let mut body = body.map_err(PutError::Body);
        while let Some(bytes) = body.next().await {
            let bytes = bytes?;
            prover.update(&bytes);
            out.write_all(&bytes).await.map_err(store)?;
        }
        let proof = prover.finish(declared)?;
        out.flush().await.map_err(store)?;
        out.sync_all().await.map_err(store)?;
        Ok(proof)
    }
}

#[async_trait]
impl Archive for FolderArchive {
    async fn put_new(&self, offer: Offer<'_>) -> Result<Put, PutError> {
        let file = self.temporary().await?;
        let proof = self.write(&file, offer.body, offer.length).await?;
        let wanted = proof.clone();
        let put = self.blocking(offer.key, move |root, path| {
            Ok(match place::name(file, root, path)? {
                place::Named::Ours => Put::Stored(wanted),
                place::Named::Taken => {
                    let same = place::has_content(path, wanted.bytes, &wanted.sha256)?;
                    Put::AlreadyThere { same, proof: wanted }
                }
            })
        });
        Ok(put.await?)
    }

    async fn put_document(&self, key: &Key, _content_type: &str, content: Bytes) -> Result<(), ArchiveError> {
        let file = self.temporary().await?;
        let length = Some(prove(&content).bytes);
        let written = self.write(&file, stream::iter([Ok(content)]).boxed(), length).await;
        written.map_err(|error| match error {
            PutError::Store(error) => error,
            other => ArchiveError::Failed { detail: other.to_string() },
        })?;
        self.blocking(key, move |root, path| place::replace(file, root, path)).await
    }

    async fn head(&self, key: &Key) -> Result<Option<u64>, ArchiveError> {
        self.blocking(key, |_, path| match std::fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
            Ok(_) => Err(io::Error::other("it is not a file")),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    async fn read(&self, key: &Key) -> Result<Option<BoxStream<'static, Result<Bytes, ArchiveError>>>, ArchiveError> {
        let path = self.path(key);
        let file = match tokio::fs::File::open(&path).await {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(of_io(&error, &path)),
        };
        let chunks = stream::try_unfold((file, path), |(mut file, path)| async move {
            let mut chunk = Vec::with_capacity(READ_BYTES);
            let read = file.read_buf(&mut chunk).await.map_err(|error| of_io(&error, &path))?;
            Ok((read > 0).then(|| (Bytes::from(chunk), (file, path))))
        });
        Ok(Some(chunks.boxed()))
    }

    async fn delete(&self, key: &Key) -> Result<(), ArchiveError> {
        self.blocking(key, place::remove).await
    }

    async fn list(&self, folder: &str) -> BoxStream<'static, Result<Listed, ArchiveError>> {
        let (root, prefix) = (self.root.clone(), folder.to_owned());
        let first = root.join(&prefix);
        // A stack of folders: memory grows with the depth and breadth of one folder, not with the archive.
        let folders = stream::try_unfold(vec![first], move |mut stack| {
            let root = root.clone();
            async move {
                let Some(folder) = stack.pop() else { return Ok(None) };
                let listed = tokio::task::spawn_blocking(move || {
                    place::list(&root, &folder, TEMPORARY).map_err(|error| of_io(&error, &folder))
                });
                let (files, folders) =
                    listed.await.unwrap_or_else(|error| Err(ArchiveError::Failed { detail: error.to_string() }))?;
                stack.extend(folders);
                Ok(Some((stream::iter(files.into_iter().map(Ok)), stack)))
            }
        });
        folders.try_flatten().boxed()
    }

    fn url(&self, key: &Key) -> String {
        file_url(&self.root, key.as_str())
    }
}

/// The URL of a key in a folder.
pub fn file_url(root: &Path, key: &str) -> String {
    let path = root.canonicalize().unwrap_or_else(|_| root.to_path_buf()).join(key);
    url::Url::from_file_path(&path).map_or_else(|()| path.display().to_string(), String::from)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn of_io(error: &io::Error, path: &Path) -> ArchiveError {
    use io::ErrorKind as Kind;
    let detail = format!("{}: {error}", path.display());
    match error.kind() {
        Kind::StorageFull | Kind::QuotaExceeded => ArchiveError::Full,
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => ArchiveError::Denied { detail },
        Kind::NotFound | Kind::NotADirectory | Kind::StaleNetworkFileHandle => ArchiveError::Unreachable { detail },
        _ => ArchiveError::Failed { detail },
    }
}
