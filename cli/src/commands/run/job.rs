//! What every job of `run` has in common: it ends when it is told to, and a fault only makes it wait.

use std::time::Duration;

use callvault_pipeline::api::{ApiError, NextStep};
use callvault_pipeline::clock::Clock;
use callvault_pipeline::stages::Fault;
use tokio::sync::watch;

use crate::failure::Failure;

/// Shortest and longest pause after a fault.
const AFTER_A_FAULT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// What came of the first sign-in. Only one that is refused ends the program: that, a person has to change.
pub(super) fn signed_in<T>(answer: Result<T, ApiError>) -> Result<(), Failure> {
    match answer {
        Err(error) if error.next_step() == NextStep::Stop => Err(Fault::from(error).into()),
        Err(error) => {
            tracing::warn!(code = error.code(), "the source cannot be asked just now, and is again later: {error}");
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

/// Says whether it is time to stop.
#[derive(Clone)]
pub(in crate::commands) struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// What tells, and what is told.
    pub(in crate::commands) fn channel() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Ends when it is time to stop.
    pub(in crate::commands) async fn told(&mut self) {
        // Nobody left who could tell: that is time to stop, too.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    fn is_told(&self) -> bool {
        *self.0.borrow()
    }
}

/// A job's life.
pub(super) struct Job<'a> {
    /// What a fault keeps from happening.
    trouble: &'static str,
    clock: &'a dyn Clock,
    stopping: Stopping,
    faults: u32,
}

impl<'a> Job<'a> {
    pub(super) fn new(trouble: &'static str, clock: &'a dyn Clock, stopping: Stopping) -> Self {
        Self { trouble, clock, stopping, faults: 0 }
    }

    pub(super) fn goes_on(&self) -> bool {
        !self.stopping.is_told()
    }

    /// Waits as long as the turn says; after a fault longer each time, and says so. Not longer than until it is told to
    /// stop.
    pub(super) async fn pause_after(&mut self, turn: Result<Duration, Fault>) {
        let pause = match turn {
            Ok(pause) => {
                self.faults = 0;
                pause
            }
            Err(fault) => {
                let pause = AFTER_A_FAULT.0.saturating_mul(1 << self.faults.min(10)).min(AFTER_A_FAULT.1);
                self.faults += 1;
                let (seconds, trouble) = (pause.as_secs(), self.trouble);
                tracing::error!(code = fault.code(), "{trouble}, and again in {seconds} s: {fault}");
                pause
            }
        };
        tokio::select! {
            () = self.clock.sleep(pause) => {}
            () = self.stopping.told() => {}
        }
    }
}
