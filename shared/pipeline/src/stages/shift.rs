//! The time there is for working, and what becomes of work that does not fit into it.
//!
//! A run that is ended from outside (a Lambda function by its time-out) would keep its claims until their leases end.
//! So it ends itself, early enough to give them back: they are due at once then, for whoever comes next. Work is cut
//! where it waits, which is no more than a kill at that place would do; the fence keeps it from being settled later.

use futures_util::future::{Either, select};
use jiff::Timestamp;

use super::{Fault, House, LEASE, MOST_TRIES};
use crate::api::ApiError;
use crate::clock::Clock;
use crate::ledger::machine::Settlement;
use crate::ledger::{LedgerError, Row, Stage};

/// From when to when there is time for working. What is left between its end and the run's own is for settling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shift {
    /// When it began.
    pub begins: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
}

impl Shift {
    /// Whether work that is cut at the end had half of the shift at least: then it is the work that is long, not the
    /// shift that was nearly over.
    fn was_long(&self, since: Timestamp) -> bool {
        self.ends.duration_since(since) * 2 >= self.ends.duration_since(self.begins)
    }
}

/// What came of work on a claimed row.
pub(crate) enum Worked<T> {
    /// It was done.
    Done(T),
    /// Somebody else has the claim since: it was dropped.
    Lost,
    /// Time was up: the row is given back.
    GivenBack,
    /// Time was up after the work had much of it: it would be again. Not settled: that is a try that failed.
    TooLong,
}

impl House {
    /// Whether there is less than `span` left of the shift.
    pub(crate) fn has_less_than(&self, span: std::time::Duration) -> bool {
        self.shift.is_some_and(|shift| shift.ends <= self.now() + span)
    }

    /// Claims rows, unless the shift is over.
    pub(crate) async fn claim(&self, stage: Stage, limit: usize) -> Result<Vec<Row>, LedgerError> {
        if self.has_less_than(std::time::Duration::ZERO) {
            return Ok(Vec::new());
        }
        self.ledger.claim(stage, limit, LEASE, self.now()).await
    }

    /// Does `work`, at most until the shift ends, and renews the claim of `row` while that takes long.
    pub(crate) async fn work_on<T>(
        &self,
        row: &Row,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<Worked<T>, Fault> {
        let since = self.now();
        match self.while_claimed(row, work).await {
            Ok(Some(done)) => Ok(Worked::Done(done)),
            Ok(None) => Ok(Worked::Lost),
            Err(Fault::OutOfTime) if self.shift.is_some_and(|shift| shift.was_long(since)) => {
                tracing::warn!(row.key = %row.key, tries = row.tries, "{} is not done when time is up", row.key);
                Ok(Worked::TooLong)
            }
            // Also when the source asks for a pause that goes beyond the shift: that is not the row's fault.
            Err(Fault::OutOfTime | Fault::Source(ApiError::OutOfTime { .. })) => {
                self.hand_over(row).await?;
                Ok(Worked::GivenBack)
            }
            Err(fault) => Err(fault),
        }
    }

    fn is_over(&self) -> bool {
        self.has_less_than(std::time::Duration::ZERO)
    }

    /// Does `work`. `None` when somebody else has the claim: the work is dropped then.
    async fn while_claimed<T>(
        &self,
        row: &Row,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<Option<T>, Fault> {
        let mut work = Box::pin(work);
        let mut renew_at = self.now() + LEASE / 3;
        loop {
            if self.is_over() {
                return Err(Fault::OutOfTime);
            }
            let until = self.shift.map_or(renew_at, |shift| shift.ends.min(renew_at));
            match select(work, Box::pin(sleep_until(&*self.clock, until))).await {
                Either::Left((done, _)) => return done.map(Some),
                Either::Right(((), unfinished)) => work = unfinished,
            }
            if self.now() < renew_at {
                continue;
            }
            if !self.still_ours(row).await? {
                return Ok(None);
            }
            renew_at = self.now() + LEASE / 3;
        }
    }

    /// Gives a claim back to the next shift: due when this one ends, which is mostly now. Earlier, this run would only
    /// meet the same again.
    pub(crate) async fn hand_over(&self, row: &Row) -> Result<(), LedgerError> {
        let now = self.now();
        let due = self.shift.map_or(now, |shift| shift.ends.max(now));
        self.settle(row, Settlement::Later { due, failed: false }).await.map(drop)
    }

    /// A row whose work was too long, of a kind that is never parked: a failed try; after many, a fault that somebody
    /// sees.
    pub(crate) async fn too_long(&self, row: &Row, work: String) -> Result<(), Fault> {
        self.retry_later(row).await?;
        if row.tries + 1 >= MOST_TRIES { Err(Fault::TooLong { work }) } else { Ok(()) }
    }
}

async fn sleep_until(clock: &dyn Clock, instant: Timestamp) {
    let span = instant.duration_since(clock.now());
    if span.is_positive() {
        // Timers count milliseconds: rounded up, so that the instant is there afterwards.
        clock.sleep(span.unsigned_abs() + std::time::Duration::from_millis(1)).await;
    }
}
