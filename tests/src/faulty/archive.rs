//! The archive's port, faulty.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use callvault_pipeline::archive::{Archive, ArchiveError, Listed, Offer, Put, PutError};
use callvault_pipeline::layout::Key;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use super::script::{Fault, How, Script};

/// An archive that fails by script. Its calls are `archive.` and the method's name.
pub struct FaultyArchive<A: ?Sized = dyn Archive> {
    script: Script,
    inner: Arc<A>,
}

impl<A: Archive + ?Sized> FaultyArchive<A> {
    /// Wraps an archive.
    pub fn new(inner: Arc<A>, script: Script) -> Self {
        Self { script, inner }
    }
}

fn error(fault: Fault) -> ArchiveError {
    let detail = format!("{fault:?}");
    match fault.how {
        How::Outage => ArchiveError::Unreachable { detail },
        _ => ArchiveError::Failed { detail },
    }
}

#[async_trait]
impl<A: Archive + ?Sized> Archive for FaultyArchive<A> {
    async fn put_new(&self, offer: Offer<'_>) -> Result<Put, PutError> {
        self.script.call("archive.put_new", |fault| PutError::Store(error(fault)), self.inner.put_new(offer)).await
    }

    async fn put_document(&self, key: &Key, content_type: &str, content: Bytes) -> Result<(), ArchiveError> {
        self.script.call("archive.put_document", error, self.inner.put_document(key, content_type, content)).await
    }

    async fn head(&self, key: &Key) -> Result<Option<u64>, ArchiveError> {
        self.script.call("archive.head", error, self.inner.head(key)).await
    }

    async fn read(&self, key: &Key) -> Result<Option<BoxStream<'static, Result<Bytes, ArchiveError>>>, ArchiveError> {
        self.script.call("archive.read", error, self.inner.read(key)).await
    }

    async fn delete(&self, key: &Key) -> Result<(), ArchiveError> {
        self.script.call("archive.delete", error, self.inner.delete(key)).await
    }

    async fn list(&self, folder: &str) -> BoxStream<'static, Result<Listed, ArchiveError>> {
        let list = async { Ok(self.inner.list(folder).await) };
        match self.script.call("archive.list", error, list).await {
            Ok(listed) => listed,
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    fn url(&self, key: &Key) -> String {
        self.inner.url(key)
    }
}
