//! Bodies in pieces: a stream that skips, ends, stops and breaks where it is told to.
//!
//! Owns how a spoiled body looks on the wire. Must never hold more than one piece.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;

use crate::clock::pause;
use crate::world::World;

/// Any body that goes over the wire.
pub(crate) type Wire = UnsyncBoxBody<Bytes, io::Error>;

const STALL: Duration = Duration::from_secs(60);
/// What was sent before a cut must have left the process, or the client would see no answer at all.
const FLUSH: Duration = Duration::from_millis(20);

/// The connection is to be closed without an answer, or in the middle of one.
pub(crate) fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "closed by a fault")
}

/// A body in pieces: skips, ends, stops and breaks where it is told to.
pub(crate) struct Pieces<I> {
    source: I,
    skip: u64,
    /// Bytes until the end, or until the cut.
    left: u64,
    cut: bool,
    /// Stop for a while after so many more bytes.
    pub(crate) stall: Option<u64>,
    pub(crate) counted_by: Option<Arc<World>>,
}

impl<I: Iterator<Item = Bytes>> Pieces<I> {
    pub(crate) fn of(source: I, skip: u64, length: u64) -> Self {
        Self { source, skip, left: length, cut: false, stall: None, counted_by: None }
    }

    pub(crate) fn cut(self, at: Option<u64>) -> Self {
        Self { left: at.unwrap_or(self.left), cut: at.is_some(), ..self }
    }

    pub(crate) fn next(&mut self) -> Option<Bytes> {
        while self.left > 0 {
            let mut piece = self.source.next()?;
            let skipped = self.skip.min(piece.len() as u64);
            self.skip -= skipped;
            let _ = piece.split_to(skipped as usize);
            piece.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
            if !piece.is_empty() {
                self.left -= piece.len() as u64;
                return Some(piece);
            }
        }
        None
    }

    /// Waits where a stall is due before the next piece.
    async fn stalled(&mut self, sent: u64) {
        match self.stall {
            Some(after) if after < sent => {
                self.stall = None;
                pause(STALL).await;
            }
            Some(after) => self.stall = Some(after - sent),
            None => {}
        }
    }
}

/// The pieces as a body.
pub(crate) fn streamed<I>(pieces: Pieces<I>) -> Wire
where
    I: Iterator<Item = Bytes> + Send + 'static,
{
    let frames = stream::unfold(Some(pieces), |pieces| async move {
        let mut pieces = pieces?;
        if let Some(piece) = pieces.next() {
            let length = piece.len();
            pieces.stalled(length as u64).await;
            if let Some(world) = &pieces.counted_by {
                world.counters.media_sent(length);
            }
            return Some((Ok(Frame::data(piece)), Some(pieces)));
        }
        if pieces.cut {
            pause(FLUSH).await;
            return Some((Err(closed()), None));
        }
        None
    });
    StreamBody::new(frames).boxed_unsync()
}
