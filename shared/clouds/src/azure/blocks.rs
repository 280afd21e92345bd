//! Blobs in blocks: of more than one part's length, or of a length nobody knows.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use callvault_pipeline::archive::cutter::Cutter;
use callvault_pipeline::archive::{Archive, ArchiveError, Proof, Put, PutError};
use callvault_pipeline::layout::Key;
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use http::Method;

use super::errors::{Meaning, meaning};
use super::single::{Md5, md5_of};
use super::{AzureArchive, SHA256};
use crate::buffers::{Buffer, part_size};
use crate::wire::{Answer, Call, NoAnswer};

/// Azure's limit for blocks of a blob ("Scalability and performance targets for Blob storage").
pub(super) const MOST_BLOCKS: u64 = 50_000;

/// How long blocks are, for a blob whose source declared this length.
pub(super) fn size(least: usize, declared: Option<u64>) -> usize {
    part_size(least, declared, MOST_BLOCKS, 1024 * 1024)
}

/// Names of the blocks of one writer: of equal length, as Azure wants it of all blocks of a blob.
pub(super) struct Names {
    writer: u64,
    given: u64,
}

impl Names {
    pub(super) fn next(&mut self) -> String {
        let name = BASE64_STANDARD.encode(format!("{:016x}{:08x}", self.writer, self.given));
        self.given += 1;
        name
    }
}

impl AzureArchive {
    /// Names that no other writer has.
    pub(super) fn names(&self) -> Names {
        // 2^53: what a number of 64 bits with a fraction can tell apart.
        Names { writer: ((self.world.chance)() * 9_007_199_254_740_992.0) as u64, given: 0 }
    }

    /// Sends a body whose first part is cut already, and makes it visible.
    pub(super) async fn put_in_blocks(
        &self,
        key: &Key,
        content_type: Option<&str>,
        declared: Option<u64>,
        cutter: Cutter<Md5>,
        first: Buffer,
        part: usize,
    ) -> Result<Put, PutError> {
        if declared.is_some_and(|declared| declared.div_ceil(part as u64) > MOST_BLOCKS) {
            let detail = format!("{}: it does not fit into {MOST_BLOCKS} blocks of {part} bytes", self.url(key));
            drop(first);
            // A source that declares such a length and sends another is what is wrong then.
            cutter.finish().await?;
            return Err(ArchiveError::Failed { detail }.into());
        }
        // One question is cheaper than sending all blocks in vain; the condition still stands when they are listed.
        if self.head(key).await?.is_some() {
            drop(first);
            return self.compare(key, cutter.finish().await?.0).await;
        }
        let (names, proof, md5) = self.send_blocks(key, cutter, first, part).await?;
        let answer = self.list_blocks(key, content_type, &names, Some((&proof, &md5))).await;
        match answer {
            Ok(answer) if answer.is_success() => Ok(Put::Stored(proof)),
            answer => self.settle("Put Block List", key, proof, answer).await,
        }
    }

    /// Sends blocks while the next one is cut. Answers their names in order.
    async fn send_blocks(
        &self,
        key: &Key,
        mut cutter: Cutter<Md5>,
        first: Buffer,
        part: usize,
    ) -> Result<(Vec<String>, Proof, String), PutError> {
        let (mut flying, mut names, mut sent) = (FuturesUnordered::new(), self.names(), Vec::new());
        let mut next_name = || {
            let name = names.next();
            sent.push(name.clone());
            name
        };
        flying.push(self.send_block(key, next_name(), first));
        let mut blocks = 1;
        while !cutter.is_at_end() && !cutter.is_too_long() {
            if blocks >= MOST_BLOCKS {
                let detail = format!("{}: more than {MOST_BLOCKS} blocks of {part} bytes", self.url(key));
                return Err(ArchiveError::Failed { detail }.into());
            }
            let mut next = Box::pin(self.buffers.cut(&mut cutter, part));
            let buffer = loop {
                // Blocks must go on while a buffer is waited for: they are what gives buffers back.
                if flying.is_empty() {
                    break next.await?;
                }
                match select(next, flying.next()).await {
                    Either::Left((buffer, _)) => break buffer?,
                    Either::Right((block, waiting)) => {
                        block.transpose()?;
                        next = waiting;
                    }
                }
            };
            flying.push(self.send_block(key, next_name(), buffer));
            blocks += 1;
        }
        if !cutter.is_too_long() {
            while let Some(block) = flying.next().await {
                block?;
            }
        }
        drop(flying);
        let (proof, md5) = cutter.finish().await?;
        Ok((sent, proof, md5.text()))
    }

    async fn send_block(&self, key: &Key, name: String, buffer: Buffer) -> Result<(), PutError> {
        let call = self.block(key, &name).header("content-md5", &md5_of(&buffer.bytes)).body([buffer.bytes.clone()]);
        let answer = self.ask("Put Block", &self.url(key), &call).await?;
        match meaning(&answer) {
            _ if answer.is_success() => Ok(()),
            // A policy lets nobody send blocks for a blob that is there: the list is refused for the same reason, and
            // that is where it is compared.
            Meaning::Exists => Ok(()),
            _ => Err(self.refused("Put Block", &self.url(key), &answer).into()),
        }
    }

    /// Put Block, without its body.
    pub(super) fn block(&self, key: &Key, name: &str) -> Call {
        self.blob(Method::PUT, key).query("comp", "block").query("blockid", name)
    }

    /// Put Block List: makes the blob, if there is none.
    pub(super) async fn list_blocks(
        &self,
        key: &Key,
        content_type: Option<&str>,
        names: &[String],
        known: Option<(&Proof, &str)>,
    ) -> Result<Answer, NoAnswer> {
        let mut list = String::with_capacity(names.len() * 64 + 80);
        list.push_str("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
        for name in names {
            list.push_str("<Latest>");
            list.push_str(name);
            list.push_str("</Latest>");
        }
        list.push_str("</BlockList>");
        let list = Bytes::from(list);
        let mut call = self.blob(Method::PUT, key).query("comp", "blocklist").header("if-none-match", "*");
        call = call.header("content-md5", &md5_of(&list)).header("content-type", "application/xml");
        if let Some(content_type) = content_type {
            call = call.header("x-ms-blob-content-type", content_type);
        }
        if let Some((proof, md5)) = known {
            call = call.header(SHA256, &proof.sha256).header("x-ms-blob-content-md5", md5);
        }
        self.wire.ask(&call.body([list])).await
    }
}
