//! Copies that Azure makes by itself, from a signed URL of the source: the bytes do not pass through us on their way there.
//!
//! Azure fetches blocks (Put Block From URL), whose lengths are compared with the declared one before anything is
//! visible; then the block list makes the blob, if there is none. Our SHA-256 cannot be had without the bytes, so the
//! blob is read back once: its checksum must be the one Azure computed while it fetched. What differs is removed again.
//! The URL is a secret: it is put into a header and nowhere else, and Azure's words about it are not repeated.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use callvault_pipeline::archive::{Archive, ArchiveError, Fetch, Proof, Prover, PutError};
use callvault_pipeline::layout::Key;
use crc_fast::{CrcAlgorithm, Digest};
use futures_util::StreamExt;
use http::Method;
use serde::Deserialize;
use std::time::Duration;

use super::blocks::MOST_BLOCKS;
use super::errors::{Meaning, meaning};
use super::{AzureArchive, SHA256, etag};
use crate::wire::pieces;

/// What Azure fetches at a time. It takes up to 4,000 MiB; what is shorter is sooner asked for again.
const FETCHED: u64 = 64 * 1024 * 1024;

/// How long a block may take beside what is usual.
const PATIENCE: Duration = Duration::from_secs(240);

/// A block that Azure has fetched.
struct Fetched {
    name: String,
    /// CRC-64/NVME as Azure computed it, where it says so.
    crc64: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BlockList {
    uncommitted_blocks: Option<Blocks>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Blocks {
    #[serde(default)]
    block: Vec<Block>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Block {
    name: String,
    size: u64,
}

impl AzureArchive {
    pub(super) async fn fetch(&self, fetch: Fetch<'_>) -> Result<Option<Proof>, PutError> {
        let Fetch { key, content_type, length, url } = fetch;
        let fits = (1..=FETCHED * MOST_BLOCKS).contains(&length);
        if !fits || self.head(key).await?.is_some() {
            return Ok(None);
        }
        let Some(blocks) = self.fetch_blocks(key, length, url.expose()).await? else { return Ok(None) };
        let Some(received) = self.fetched_bytes(key, &blocks).await? else { return Ok(None) };
        if received != length {
            return Err(PutError::Length { declared: length, received });
        }
        let names: Vec<String> = blocks.iter().map(|block| block.name.clone()).collect();
        let answer = self.list_blocks(key, content_type, &names, None).await;
        let made = match answer {
            Ok(answer) if answer.is_success() => answer,
            Ok(answer) => match meaning(&answer) {
                // Somebody was first, or it was us and the answer was lost: whoever streams finds out what is there.
                Meaning::Exists | Meaning::BlocksGone | Meaning::Unknown => return Ok(None),
                _ => return Err(self.refused("Put Block List", &self.url(key), &answer).into()),
            },
            Err(none) => return Err(self.unanswered(none, "Put Block List", &self.url(key)).into()),
        };
        let etag = etag(&made).map(str::to_owned);
        match self.prove(key, etag.as_deref(), length, &blocks).await? {
            Some(proof) => {
                self.keep_digest(key, etag.as_deref(), &proof).await;
                Ok(Some(proof))
            }
            None => {
                self.take_back(key, etag.as_deref()).await?;
                let detail = format!("{}: Azure's own copy differs from what it fetched", self.url(key));
                Err(ArchiveError::Failed { detail }.into())
            }
        }
    }

    /// `None` when Azure cannot read the source.
    async fn fetch_blocks(&self, key: &Key, length: u64, source: &str) -> Result<Option<Vec<Fetched>>, PutError> {
        let (mut names, mut blocks) = (self.names(), Vec::new());
        for begin in (0..length).step_by(FETCHED as usize) {
            let name = names.next();
            let mut call = self.block(key, &name).secret_header("x-ms-copy-source", source);
            call.patience = PATIENCE;
            if length > FETCHED {
                let end = length.min(begin + FETCHED) - 1;
                call = call.header("x-ms-source-range", &format!("bytes={begin}-{end}"));
            }
            let answer = self.ask("Put Block From URL", &self.url(key), &call).await?;
            if !answer.is_success() {
                // Its message may repeat the URL, so it is not shown. If it is Azure that refuses us, streaming says so.
                let status = answer.status;
                tracing::warn!(status, "Azure could not fetch {} by itself: it is streamed", self.url(key));
                return Ok(None);
            }
            blocks.push(Fetched { name, crc64: answer.header("x-ms-content-crc64").map(str::to_owned) });
        }
        Ok(Some(blocks))
    }

    /// How long the blocks are together; `None` when another writer has removed them by making the blob.
    async fn fetched_bytes(&self, key: &Key, blocks: &[Fetched]) -> Result<Option<u64>, PutError> {
        let call = self.blob(Method::GET, key).query("comp", "blocklist").query("blocklisttype", "uncommitted");
        let answer = self.ask("Get Block List", &self.url(key), &call).await?;
        if !answer.is_success() {
            return match meaning(&answer) {
                Meaning::Absent => Ok(None),
                _ => Err(self.refused("Get Block List", &self.url(key), &answer).into()),
            };
        }
        let text = String::from_utf8_lossy(&answer.body);
        let list: BlockList = quick_xml::de::from_str(text.trim_start_matches('\u{feff}')).map_err(|_| {
            let detail = format!("Get Block List {}: an answer that cannot be read", self.url(key));
            ArchiveError::Failed { detail }
        })?;
        let there = list.uncommitted_blocks.map(|blocks| blocks.block).unwrap_or_default();
        let size = |name: &str| there.iter().find(|block| block.name == name).map(|block| block.size);
        Ok(blocks.iter().map(|block| size(&block.name)).sum())
    }

    /// Reads the blob back; `None` when it is not what Azure fetched.
    async fn prove(
        &self,
        key: &Key,
        etag: Option<&str>,
        length: u64,
        blocks: &[Fetched],
    ) -> Result<Option<Proof>, PutError> {
        let Some(response) = self.open(key, etag).await? else { return Ok(None) };
        let mut there = pieces(response, format!("Get Blob {}", self.url(key)));
        let (mut prover, mut at) = (Prover::default(), 0_u64);
        let (mut crc64, mut sums) = (Digest::new(CrcAlgorithm::Crc64Nvme), Vec::new());
        while let Some(piece) = there.next().await {
            let mut piece = piece?;
            prover.update(&piece);
            while !piece.is_empty() {
                let left = FETCHED - at % FETCHED;
                let taken = piece.split_to(usize::try_from(left).unwrap_or(usize::MAX).min(piece.len()));
                crc64.update(&taken);
                at += taken.len() as u64;
                if at.is_multiple_of(FETCHED) || at == length {
                    sums.push(written(&crc64));
                    crc64 = Digest::new(CrcAlgorithm::Crc64Nvme);
                }
            }
        }
        let agree = |(block, sum): (&Fetched, &String)| block.crc64.as_ref().is_none_or(|told| told == sum);
        let same = at == length && sums.len() == blocks.len() && blocks.iter().zip(&sums).all(agree);
        Ok(if same { Some(prover.finish(Some(length))?) } else { None })
    }

    /// Leaves our SHA-256 with the blob. Without it the blob is as whole, and compared by reading it.
    async fn keep_digest(&self, key: &Key, etag: Option<&str>, proof: &Proof) {
        let call = self.blob(Method::PUT, key).query("comp", "metadata").header(SHA256, &proof.sha256);
        let call = etag.map_or(call.clone(), |etag| call.header("if-match", etag));
        match self.ask("Set Blob Metadata", &self.url(key), &call).await {
            Ok(answer) if answer.is_success() => {}
            Ok(answer) => {
                let error = self.refused("Set Blob Metadata", &self.url(key), &answer);
                tracing::warn!(code = error.code(), "a blob is without its SHA-256: {error}");
            }
            Err(error) => tracing::warn!(code = error.code(), "a blob is without its SHA-256: {error}"),
        }
    }

    /// Removes what we have just made, unless it is another one's by now.
    async fn take_back(&self, key: &Key, etag: Option<&str>) -> Result<(), ArchiveError> {
        let call = self.blob(Method::DELETE, key);
        let call = etag.map_or(call.clone(), |etag| call.header("if-match", etag));
        let answer = self.ask("Delete Blob", &self.url(key), &call).await?;
        match meaning(&answer) {
            _ if answer.is_success() => Ok(()),
            Meaning::Absent | Meaning::Exists => Ok(()),
            _ => Err(self.refused("Delete Blob", &self.url(key), &answer)),
        }
    }
}

/// A checksum as Azure writes it: base64 of its bytes, the lowest first.
fn written(crc64: &Digest) -> String {
    BASE64_STANDARD.encode(crc64.finalize().to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of Azure's own client library.
    #[test]
    fn the_checksum_is_azures() {
        for (content, expected) in [("", "AAAAAAAAAAA="), ("Hello Azure!", "DtjZpL9/o8c=")] {
            let mut crc64 = Digest::new(CrcAlgorithm::Crc64Nvme);
            crc64.update(content.as_bytes());
            assert_eq!(written(&crc64), expected);
        }
    }
}
