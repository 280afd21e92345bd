//! A body cut into buffers of a given size, proved as it goes by: for stores that take an object in parts.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::{Body, Proof, Prover, PutError};

/// A buffer grows from here when nobody declared how much comes.
const FIRST_BUFFER: usize = 64 * 1024;

/// A checksum of a store's own, computed beside the [`Proof`].
pub trait Checksum: Send {
    /// Takes the next bytes.
    fn see(&mut self, bytes: &[u8]);
}

/// For stores that want none.
impl Checksum for () {
    fn see(&mut self, _: &[u8]) {}
}

/// Cuts a body. Holds one piece of it, as it came, beside the buffer it fills.
pub struct Cutter<C> {
    body: Body,
    declared: Option<u64>,
    prover: Prover,
    checksum: C,
    seen: u64,
    /// What came and is not cut yet.
    rest: Bytes,
    ended: bool,
}

impl<C: Checksum> Cutter<C> {
    /// Cuts `body`, whose source declared this length.
    pub fn new(body: Body, declared: Option<u64>, checksum: C) -> Self {
        Self { body, declared, prover: Prover::default(), checksum, seen: 0, rest: Bytes::new(), ended: false }
    }

    /// Whether nothing more comes.
    pub fn is_at_end(&self) -> bool {
        self.ended && self.rest.is_empty()
    }

    /// Whether more came than was declared: such a body is refused, whatever else comes.
    pub fn is_too_long(&self) -> bool {
        self.declared.is_some_and(|declared| self.seen > declared)
    }

    /// The next `size` bytes, or fewer at the end. Looks one piece ahead, so that [`Cutter::is_at_end`] is right.
    ///
    /// # Errors
    /// [`PutError::Body`].
    pub async fn next(&mut self, size: usize) -> Result<Bytes, PutError> {
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
    pub async fn finish(mut self) -> Result<(Proof, C), PutError> {
        while self.pull().await? {
            self.rest.clear();
        }
        Ok((self.prover.finish(self.declared)?, self.checksum))
    }

    /// Makes sure that something is there to cut; `false` at the end.
    async fn pull(&mut self) -> Result<bool, PutError> {
        while self.rest.is_empty() && !self.ended {
            match self.body.next().await {
                None => self.ended = true,
                Some(piece) => {
                    self.rest = piece.map_err(PutError::Body)?;
                    self.prover.update(&self.rest);
                    self.checksum.see(&self.rest);
                    self.seen += self.rest.len() as u64;
                }
            }
        }
        Ok(!self.rest.is_empty())
    }
}
