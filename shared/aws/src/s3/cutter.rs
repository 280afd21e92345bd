//! A body cut into buffers of a given size, proved as it goes by.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{Bytes, BytesMut};
use callvault_pipeline::archive::{Body, Proof, Prover, PutError};
use futures_util::StreamExt;

/// A buffer grows from here when nobody declared how much comes.
const FIRST_BUFFER: usize = 64 * 1024;

/// A length and digests of a body.
#[derive(Debug, Clone)]
pub(super) struct Digests {
    /// What the ports speak of.
    pub(super) proof: Proof,
    /// CRC-64/NVME in Base64: the only checksum that S3 keeps of a whole object that came in parts.
    pub(super) crc64: Option<String>,
}

impl From<Proof> for Digests {
    fn from(proof: Proof) -> Self {
        Self { proof, crc64: None }
    }
}

/// Cuts a body.
pub(super) struct Cutter {
    body: Body,
    declared: Option<u64>,
    prover: Prover,
    crc64: crc_fast::Digest,
    seen: u64,
    /// What came and is not cut yet.
    rest: Bytes,
    ended: bool,
}

impl Cutter {
    pub(super) fn new(body: Body, declared: Option<u64>) -> Self {
        let crc64 = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
        Self { body, declared, prover: Prover::default(), crc64, seen: 0, rest: Bytes::new(), ended: false }
    }

    /// Whether nothing more comes.
    pub(super) fn is_at_end(&self) -> bool {
        self.ended && self.rest.is_empty()
    }

    /// Whether more came than was declared: such a body is refused, whatever else comes.
    pub(super) fn is_too_long(&self) -> bool {
        self.declared.is_some_and(|declared| self.seen > declared)
    }

    /// The next `size` bytes, or fewer at the end. Looks one piece ahead, so that [`Cutter::is_at_end`] is right.
    ///
    /// # Errors
    /// [`PutError::Body`].
    pub(super) async fn next(&mut self, size: usize) -> Result<Bytes, PutError> {
        let expected = self.declared.map(|declared| declared.saturating_sub(self.seen) + self.rest.len() as u64);
        let expected = expected.and_then(|bytes| usize::try_from(bytes).ok());
        let mut buffer = BytesMut::with_capacity(size.min(expected.unwrap_or(FIRST_BUFFER)));
        while buffer.len() < size && self.pull().await? {
            let taken = self.rest.split_to(self.rest.len().min(size - buffer.len()));
            buffer.extend_from_slice(&taken);
        }
        self.pull().await?;
        Ok(buffer.freeze())
    }

    /// Reads to the end without keeping anything.
    ///
    /// # Errors
    /// [`PutError::Body`]; [`PutError::Length`] when another length was declared.
    pub(super) async fn finish(mut self) -> Result<Digests, PutError> {
        while self.pull().await? {
            self.rest.clear();
        }
        let crc64 = BASE64_STANDARD.encode(self.crc64.finalize().to_be_bytes());
        Ok(Digests { proof: self.prover.finish(self.declared)?, crc64: Some(crc64) })
    }

    /// Makes sure that something is there to cut; `false` at the end.
    async fn pull(&mut self) -> Result<bool, PutError> {
        while self.rest.is_empty() && !self.ended {
            match self.body.next().await {
                None => self.ended = true,
                Some(piece) => {
                    self.rest = piece.map_err(PutError::Body)?;
                    self.prover.update(&self.rest);
                    self.crc64.update(&self.rest);
                    self.seen += self.rest.len() as u64;
                }
            }
        }
        Ok(!self.rest.is_empty())
    }
}
