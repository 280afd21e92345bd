//! The simulator's clock: real time plus an offset that `POST /_sim/clock` moves.
//!
//! Owns the only reads of real time in this crate; nothing else may ask the system what time it is, so that moving
//! this clock moves everything that depends on time: token life, URL life, job progress, rate windows.
//! Request spacing (`worst_minute`, `closest_polls_ms`) is deliberately not on it: that is measured in real time.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::lock;

/// Real time plus an offset, and an age that never runs backwards.
#[derive(Debug)]
pub(crate) struct Clock {
    born: Instant,
    moved: Mutex<Moved>,
}

#[derive(Debug, Clone, Copy)]
struct Moved {
    offset: SignedDuration,
    /// The sum of all moves forward.
    forward: Duration,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let moved = Moved { offset: SignedDuration::ZERO, forward: Duration::ZERO };
        Self { born: Instant::now(), moved: Mutex::new(moved) }
    }

    /// The moment it is in the simulated org.
    pub(crate) fn now(&self) -> Timestamp {
        let offset = lock(&self.moved).offset;
        real_now().checked_add(offset).unwrap_or(Timestamp::MAX)
    }

    /// Time since the start plus every move forward. A test that sets the clock back to an old day must not freeze
    /// the jobs that are running, so what takes time is measured by this.
    pub(crate) fn age(&self) -> Duration {
        self.born.elapsed().saturating_add(lock(&self.moved).forward)
    }

    /// Moves the clock by `by`, which may be negative.
    pub(crate) fn advance(&self, by: SignedDuration) {
        let mut moved = lock(&self.moved);
        moved.offset = moved.offset.saturating_add(by);
        if let Ok(forward) = Duration::try_from(by) {
            moved.forward = moved.forward.saturating_add(forward);
        }
    }

    /// Moves the clock so that it is `now`.
    pub(crate) fn set(&self, now: Timestamp) {
        self.advance(now.duration_since(self.now()));
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that the others take")]
fn real_now() -> Timestamp {
    Timestamp::now()
}

/// Waits in real time: network faults are real pauses whatever the org's clock says.
#[expect(clippy::disallowed_methods, reason = "faults on the wire take real time")]
pub(crate) async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn going_back_moves_now_and_not_the_age() {
        let clock = Clock::new();
        clock.advance(SignedDuration::from_hours(10));
        let (now, age) = (clock.now(), clock.age());
        clock.advance(SignedDuration::from_hours(-5));
        assert!(clock.now() < now);
        assert!(clock.age() >= age && age >= Duration::from_secs(36_000));
    }
}
