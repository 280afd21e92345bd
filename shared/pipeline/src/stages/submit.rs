//! Submit: puts conversations into batch jobs, and saves every job before the next is posted.
//!
//! Must never post more than the platform takes (100), and never lose a conversation that one bad neighbour keeps
//! out of a batch.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::{Fault, House, MOST_TRIES, Report, concerns_everything};
use crate::api::{ApiError, BatchItem, NextStep, Recordings};
use crate::ids::ConversationId;
use crate::ledger::machine::Settlement;
use crate::ledger::{Row, RowKey, Stage};
use crate::reason::Reason;

/// A job is read for the first time this long after it was posted.
const FIRST_POLL: Duration = Duration::from_secs(2);

/// A job is posted only while there is this much time: from the post to the job's being saved nothing may come between,
/// or the source works for nobody. Both take well under a second where all is well.
const A_POST: Duration = Duration::from_secs(5);

/// The submit stage.
pub struct Submit {
    /// Ports.
    pub house: House,
    /// The source.
    pub source: Arc<dyn Recordings>,
    /// Conversations a job, 1 to 100.
    pub batch_size: usize,
}

impl Submit {
    /// Submits what is due, batch after batch.
    ///
    /// # Errors
    /// [`Fault`] when nothing can be submitted: the sign-in or the permission is refused, or the ledger fails.
    pub async fn run(&self) -> Result<Report, Fault> {
        let mut report = Report::default();
        loop {
            let limit = self.batch_size.clamp(1, 100);
            if self.house.has_less_than(A_POST) {
                return Ok(report);
            }
            let claimed = self.house.claim(Stage::Submit, limit).await?;
            if claimed.is_empty() {
                return Ok(report);
            }
            report.claimed += claimed.len() as u64;
            let before = report.failed + report.given_back;
            self.submit(claimed, &mut report).await?;
            if report.failed + report.given_back > before {
                // The source is not well, or time is up: what is due now waits for the next run.
                return Ok(report);
            }
        }
    }

    /// Submits one batch; one that is refused is cut in halves until what is wrong stands alone.
    async fn submit(&self, rows: Vec<Row>, report: &mut Report) -> Result<(), Fault> {
        let mut batches = VecDeque::from([rows]);
        while let Some(rows) = batches.pop_front() {
            let posted = match self.house.has_less_than(A_POST) {
                true => Err(Fault::OutOfTime),
                // Not cut when the shift ends: the client has a deadline of its own for the post.
                false => self.post(&rows).await,
            };
            match posted {
                Ok(()) => report.settled += rows.len() as u64,
                Err(Fault::OutOfTime | Fault::Source(ApiError::OutOfTime { .. })) => {
                    for row in rows.iter().chain(batches.iter().flatten()) {
                        self.house.hand_over(row).await?;
                        report.given_back += 1;
                    }
                    return Ok(());
                }
                Err(Fault::Source(error)) if concerns_everything(&error) || is_forbidden(&error) => {
                    for row in rows.iter().chain(batches.iter().flatten()) {
                        self.house.give_back(row).await?;
                    }
                    return Err(Fault::Source(error));
                }
                Err(Fault::Source(error)) if error.next_step() == NextStep::GiveUp => {
                    tracing::warn!(code = error.code(), batch = rows.len(), "a batch is refused: {error}");
                    self.cut(rows, &mut batches, report).await?;
                }
                Err(Fault::Source(error)) => {
                    tracing::warn!(code = error.code(), batch = rows.len(), "a batch is put off: {error}");
                    let out_of_reach = rows.iter().any(|row| row.tries + 1 >= MOST_TRIES);
                    self.put_off(&rows, report).await?;
                    if out_of_reach {
                        // The source is away, which is nobody's fault here: nothing is parked for it.
                        for row in batches.iter().flatten() {
                            self.house.give_back(row).await?;
                        }
                        return Err(Fault::Source(error));
                    }
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    async fn post(&self, rows: &[Row]) -> Result<(), Fault> {
        let claims: Vec<(ConversationId, u32)> = rows.iter().filter_map(claim_of).collect();
        let items: Vec<BatchItem> = claims
            .iter()
            .map(|(conversation, _)| BatchItem { conversation: conversation.clone(), recording: None })
            .collect();
        let job = self.source.submit(&items).await?;
        let now = self.house.now();
        self.house.ledger.submitted(&job, &claims, now + FIRST_POLL, now).await?;
        tracing::info!(job = %job, conversations = claims.len(), "submitted {} conversations as {job}", claims.len());
        Ok(())
    }

    async fn cut(
        &self,
        mut rows: Vec<Row>,
        batches: &mut VecDeque<Vec<Row>>,
        report: &mut Report,
    ) -> Result<(), Fault> {
        if let [alone] = &rows[..] {
            report.park(Reason::SubmitRefused);
            self.house.settle(alone, Settlement::GivenUp(Reason::SubmitRefused)).await?;
            return Ok(());
        }
        let half = rows.split_off(rows.len() / 2);
        batches.push_front(half);
        batches.push_front(rows);
        Ok(())
    }

    async fn put_off(&self, rows: &[Row], report: &mut Report) -> Result<(), Fault> {
        // One due time for all: they go into one batch again.
        let due = self.house.next_try(rows.iter().map(|row| row.tries).max().unwrap_or_default());
        for row in rows {
            report.failed += 1;
            self.house.settle(row, Settlement::Later { due, failed: true }).await?;
        }
        Ok(())
    }
}

fn is_forbidden(error: &ApiError) -> bool {
    matches!(error, ApiError::Forbidden { .. })
}

fn claim_of(row: &Row) -> Option<(ConversationId, u32)> {
    match &row.key {
        RowKey::Conversation(id) => Some((id.clone(), row.attempt)),
        _ => None,
    }
}
