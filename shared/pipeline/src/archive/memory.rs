//! The archive in memory: for tests, and for whoever embeds the pipeline.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use super::{Archive, ArchiveError, Listed, Offer, Prover, Put, PutError};
use crate::layout::Key;

/// An archive in memory. Clones share the objects.
#[derive(Debug, Clone, Default)]
pub struct MemoryArchive {
    objects: Arc<Mutex<BTreeMap<Key, Bytes>>>,
}

impl MemoryArchive {
    /// An empty archive.
    pub fn new() -> Self {
        Self::default()
    }

    /// All objects, for comparing.
    pub fn objects(&self) -> BTreeMap<Key, Bytes> {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<Key, Bytes>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Archive for MemoryArchive {
    async fn put_new(&self, mut offer: Offer<'_>) -> Result<Put, PutError> {
        let (mut prover, mut whole) = (Prover::default(), BytesMut::new());
        while let Some(bytes) = offer.body.next().await {
            let bytes = bytes.map_err(PutError::Body)?;
            prover.update(&bytes);
            whole.extend_from_slice(&bytes);
        }
        let proof = prover.finish(offer.length)?;
        let mut objects = self.locked();
        match objects.get(offer.key) {
            Some(there) => Ok(Put::AlreadyThere { same: *there == whole, proof }),
            None => {
                objects.insert(offer.key.clone(), whole.freeze());
                Ok(Put::Stored(proof))
            }
        }
    }

    async fn put_document(&self, key: &Key, _content_type: &str, content: Bytes) -> Result<(), ArchiveError> {
        self.locked().insert(key.clone(), content);
        Ok(())
    }

    async fn head(&self, key: &Key) -> Result<Option<u64>, ArchiveError> {
        Ok(self.locked().get(key).map(|bytes| bytes.len() as u64))
    }

    async fn read(&self, key: &Key) -> Result<Option<BoxStream<'static, Result<Bytes, ArchiveError>>>, ArchiveError> {
        let object = self.locked().get(key).cloned();
        Ok(object.map(|bytes| stream::iter([Ok(bytes)]).boxed()))
    }

    async fn delete(&self, key: &Key) -> Result<(), ArchiveError> {
        self.locked().remove(key);
        Ok(())
    }

    async fn list(&self, folder: &str) -> BoxStream<'static, Result<Listed, ArchiveError>> {
        let objects = self.locked();
        let inside = objects.iter().filter(|(key, _)| key.as_str().starts_with(folder));
        let listed: Vec<_> =
            inside.map(|(key, bytes)| Ok(Listed { key: key.clone(), bytes: bytes.len() as u64 })).collect();
        stream::iter(listed).boxed()
    }

    fn url(&self, key: &Key) -> String {
        format!("memory:///{key}")
    }
}
