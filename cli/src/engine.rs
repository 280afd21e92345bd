//! The stages as loops in one process: until the wanted days are closed, or for as long as it is let.
//!
//! Each loop runs its stage; when there was nothing to do it waits until something is due or another stage has done
//! something. A fault in one loop ends them all. Must never decide what a stage does.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use callvault_pipeline::clock::Clock;
use callvault_pipeline::day::Day;
use callvault_pipeline::ledger::{DayState, Fact, Ledger, Stage};
use callvault_pipeline::stages::{Close, Describe, Fault, Notify as Tell, Poll, Query, Report, Submit, Upload};
use tokio::sync::Notify;

use crate::progress::Progress;

/// Longest wait before a loop looks again by itself.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// All stages.
pub(crate) struct Stages {
    pub(crate) query: Query,
    pub(crate) submit: Submit,
    pub(crate) poll: Poll,
    pub(crate) describe: Describe,
    pub(crate) upload: Upload,
    pub(crate) close: Close,
    pub(crate) notify: Tell,
}

struct Loops<'a> {
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    progress: &'a Progress,
    news: Notify,
}

/// Runs the stages until every one of `days` is closed.
///
/// # Errors
/// The first [`Fault`] of any stage.
pub(crate) async fn run_until_closed(stages: &Stages, days: &[Day], progress: &Progress) -> Result<(), Fault> {
    let loops = Loops::of(stages, progress);
    let work = Box::pin(async {
        tokio::select! {
            fault = loops.all_but_close(stages) => fault.map(|never| match never {}),
            closed = loops.close_until(&stages.close, days) => closed,
        }
    });
    Box::pin(loops.while_telling(&stages.notify, Rest::IsTold, work)).await
}

/// Runs the stages until `until` ends, or one of them cannot go on.
///
/// # Errors
/// The first [`Fault`] of any stage, or that of `until`.
pub(crate) async fn run(
    stages: &Stages,
    progress: &Progress,
    until: impl Future<Output = Result<(), Fault>>,
) -> Result<(), Fault> {
    let loops = Loops::of(stages, progress);
    let work = Box::pin(async {
        tokio::select! {
            fault = loops.all_but_close(stages) => fault.map(|never| match never {}),
            fault = loops.repeat(&[Stage::Close], || stages.close.run()) => fault.map(|never| match never {}),
            ended = until => ended,
        }
    });
    Box::pin(loops.while_telling(&stages.notify, Rest::Waits, work)).await
}

/// What becomes of due notifications when the work has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// Each is sent once more, at least: nobody comes after this process.
    IsTold,
    /// It is left to the next process: this one was asked to stop.
    Waits,
}

impl<'a> Loops<'a> {
    fn of(stages: &Stages, progress: &'a Progress) -> Self {
        let house = &stages.close.house;
        Self { ledger: Arc::clone(&house.ledger), clock: Arc::clone(&house.clock), progress, news: Notify::new() }
    }

    /// The loops of every stage before the last. They end only with a fault.
    async fn all_but_close(&self, stages: &Stages) -> Result<Infallible, Fault> {
        // Query and submit take turns: batches are filled from a whole day, not from the page that came last.
        let front = async || {
            let mut report = stages.query.run().await?;
            report += stages.submit.run().await?;
            Ok(report)
        };
        // Each copy is told of as it is done: one run of the stage may last as long as the export.
        let upload = async || {
            let done = stages.upload.run_reporting(|report| self.progress.add(&[Stage::Upload], report)).await?;
            Ok(Report { claimed: done.claimed, ..Report::default() })
        };
        tokio::select! {
            fault = self.repeat(&[Stage::Query, Stage::Submit], front) => fault,
            fault = self.repeat(&[Stage::Poll], || stages.poll.run()) => fault,
            fault = self.repeat(&[Stage::Describe], || stages.describe.run()) => fault,
            fault = self.repeat(&[Stage::Upload], upload) => fault,
        }
    }

    /// Does `work`, and tells of closed days beside it. A message that is on its way when the work ends is waited for:
    /// dropped, nobody would know whether it arrived, and it would be sent again. A fault of telling ends the work.
    async fn while_telling(
        &self,
        notify: &Tell,
        rest: Rest,
        work: impl Future<Output = Result<(), Fault>>,
    ) -> Result<(), Fault> {
        // What is due stays due here, and waiting for it would be waiting for nothing.
        if notify.announcers.is_empty() {
            return work.await;
        }
        let ended = Cell::new(false);
        let work = async {
            let worked = work.await;
            ended.set(true);
            self.news.notify_waiters();
            worked
        };
        let telling = async {
            loop {
                let report = notify.run_while(|| rest == Rest::IsTold || !ended.get()).await?;
                self.progress.add(&[Stage::Notify], &report);
                let told_some = report.told > 0;
                if ended.get() && !(told_some && rest == Rest::IsTold) {
                    return Ok(());
                }
                if !told_some {
                    self.wait(&[Stage::Notify]).await?;
                }
            }
        };
        let (mut work, mut telling) = (pin!(work), pin!(telling));
        tokio::select! {
            worked = &mut work => worked.and(telling.await),
            told = &mut telling => match told {
                Ok(()) => work.await,
                Err(fault) => Err(fault),
            },
        }
    }

    async fn repeat(
        &self,
        stages: &[Stage],
        run: impl AsyncFn() -> Result<Report, Fault>,
    ) -> Result<Infallible, Fault> {
        loop {
            let report = run().await?;
            self.progress.add(stages, &report);
            if report.did_something() {
                self.news.notify_waiters();
            } else {
                self.wait(stages).await?;
            }
        }
    }

    async fn close_until(&self, close: &Close, days: &[Day]) -> Result<(), Fault> {
        loop {
            let report = close.run().await?;
            self.progress.add(&[Stage::Close], &report);
            if self.all_closed(days).await? {
                return Ok(());
            }
            self.wait(&[Stage::Close]).await?;
        }
    }

    async fn all_closed(&self, days: &[Day]) -> Result<bool, Fault> {
        for day in days {
            let row = self.ledger.day(*day).await?;
            let closed = row.is_some_and(|row| matches!(row.fact, Fact::Day(fact) if fact.state == DayState::Closed));
            if !closed {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Waits for news, or until something is due, but not long.
    async fn wait(&self, stages: &[Stage]) -> Result<(), Fault> {
        let now = self.clock.now();
        let mut pause = LONGEST_WAIT;
        for stage in stages {
            if let Some(due) = self.ledger.next_due(*stage).await? {
                let until = Duration::try_from(due.duration_since(now)).unwrap_or_default();
                pause = pause.min(until.max(Duration::from_millis(10)));
            }
        }
        tokio::select! {
            () = self.news.notified() => {}
            () = self.clock.sleep(pause) => {}
        }
        Ok(())
    }
}
