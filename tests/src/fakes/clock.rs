//! A clock on tokio's paused time: it moves by itself, at once, when nothing is left to do but wait.

use std::time::Duration;

use async_trait::async_trait;
use callvault_pipeline::clock::Clock;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A clock on tokio's paused time. To be used inside [`TestClock::run`] or `#[tokio::test(start_paused = true)]`.
///
/// Whoever sleeps wakes in the order of their alarms; time passes only while everybody sleeps.
#[derive(Debug)]
pub struct TestClock {
    base: Timestamp,
    started: Instant,
}

impl TestClock {
    /// A clock that shows `now`.
    pub fn at(now: Timestamp) -> Self {
        Self { base: now, started: Instant::now() }
    }

    /// Runs `work` on a runtime whose time is paused.
    pub fn run<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        // Ports in memory never wait, so the scheduler's fairness budget would only make them seem to.
        runtime.block_on(tokio::task::unconstrained(work))
    }

    /// Waits until the clock shows `instant`.
    pub async fn until(&self, instant: Timestamp) {
        let span = instant.duration_since(self.now());
        if span.is_positive() {
            // Timers count milliseconds: rounded up, so that what is due then is due.
            self.sleep(span.unsigned_abs() + Duration::from_millis(1)).await;
        }
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.base + SignedDuration::try_from(self.started.elapsed()).unwrap()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock, and its time is paused")]
    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}
