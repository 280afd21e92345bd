//! A body on its way from the source into one request, a piece at a time.
//!
//! The last piece is held back until the source has ended with exactly the declared length. So a request whose body
//! is too short, too long or broken is never complete, and S3 keeps nothing of it. Must never hold more than the piece
//! in hand, the one held back, and the one waiting to be sent.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use callvault_pipeline::archive::{Body, Proof, Prover, PutError};
use futures_util::StreamExt;
use http_body::{Frame, SizeHint};
use tokio::sync::{mpsc, oneshot};

/// What the request was cut off for. The error that counts is the one of whoever cut it off.
#[derive(Debug, thiserror::Error)]
#[error("the source's body is not whole")]
pub(super) struct CutOff;

/// The body of the request.
#[derive(Debug)]
pub(super) struct FedBody {
    pieces: mpsc::Receiver<Bytes>,
    left: u64,
}

impl http_body::Body for FedBody {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        match self.pieces.poll_recv(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(piece)) => match self.left.checked_sub(piece.len() as u64) {
                Some(left) => {
                    self.left = left;
                    Poll::Ready(Some(Ok(Frame::data(piece))))
                }
                None => Poll::Ready(Some(Err(CutOff))),
            },
            Poll::Ready(None) if self.left == 0 => Poll::Ready(None),
            Poll::Ready(None) => Poll::Ready(Some(Err(CutOff))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Feeds a request from the source.
#[derive(Debug)]
pub(super) struct Feeder {
    pieces: Option<mpsc::Sender<Bytes>>,
    answered: oneshot::Receiver<()>,
}

/// Tells the feeder, by being dropped, that the request has its answer and takes nothing more.
#[derive(Debug)]
pub(super) struct Answered {
    _sender: oneshot::Sender<()>,
}

/// A request's body of `length` bytes, and who feeds it.
pub(super) fn feed(length: u64) -> (Feeder, FedBody, Answered) {
    let (sender, pieces) = mpsc::channel(1);
    let (told, answered) = oneshot::channel();
    (Feeder { pieces: Some(sender), answered }, FedBody { pieces, left: length }, Answered { _sender: told })
}

impl Feeder {
    /// Sends the whole body, and proves it. Goes on proving when the request takes no more of it.
    ///
    /// # Errors
    /// [`PutError::Body`] and [`PutError::Length`]; the request is cut off then.
    pub(super) async fn run(mut self, mut body: Body, declared: u64) -> Result<Proof, PutError> {
        let (mut prover, mut seen, mut held) = (Prover::default(), 0_u64, None);
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(PutError::Body)?;
            if piece.is_empty() {
                continue;
            }
            prover.update(&piece);
            seen += piece.len() as u64;
            if seen > declared {
                // Nothing that is too long gets to its end: the rest is only counted.
                self.pieces = None;
            }
            if let Some(before) = held.replace(piece) {
                self.send(before).await;
            }
        }
        let proof = prover.finish(Some(declared))?;
        if let Some(last) = held {
            self.send(last).await;
        }
        Ok(proof)
    }

    async fn send(&mut self, piece: Bytes) {
        let Some(pieces) = &self.pieces else { return };
        // An answer that comes early leaves nobody to take pieces: do not wait for them.
        let taken = tokio::select! {
            biased;
            _ = &mut self.answered => false,
            sent = pieces.send(piece) => sent.is_ok(),
        };
        if !taken {
            self.pieces = None;
        }
    }
}
