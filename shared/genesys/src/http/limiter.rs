//! When the next API request may be sent.
//!
//! The platform counts requests per token and minute and says so in three headers of every answer
//! (`inin-ratelimit-count`, `-allowed`, `-reset`). [`Gate`] is the arithmetic: pure, told the time. [`Limiter`] is the
//! door in front of it: it waits by the [`Clock`] and lets one request through at a time. Token and media requests do
//! not pass here; retries do.
//!
//! What must stay true: in any 62 s at most 95 % of `allowed` requests go out, and none while a `Retry-After` runs.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::clock::Clock;

/// The platform's minute, and 2 s for requests that are faster on their way than the ones before them.
const WINDOW: Duration = Duration::from_secs(62);

/// What is assumed where a server answers without the headers: the lowest figure that has been seen (api.md, "Errors
/// and limits"). Gives way to the first header.
const ASSUMED_ALLOWED: u32 = 180;

/// A `reset` or `Retry-After` beyond this is not believed.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How the budget of API requests stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Requests the platform allows a minute.
    pub allowed: u32,
    /// Requests that may still be sent before `resets_at`.
    pub left: u32,
    /// When the platform's count starts again.
    pub resets_at: Timestamp,
}

/// The rate limit headers of one answer. A header that is missing or cannot be read is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) count: Option<u32>,
    pub(super) allowed: Option<u32>,
    pub(super) reset: Option<Duration>,
}

/// When the next request may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Now.
    Now,
    /// Not before this time.
    At(Timestamp),
    /// Not before an answer to one of the requests under way.
    AfterAnAnswer,
}

/// The arithmetic of the limiter.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Send times inside the window, oldest first.
    sent: VecDeque<Timestamp>,
    in_flight: u32,
    /// Whether an answer has told enough to send more than one request at a time.
    learned: bool,
    allowed: Option<u32>,
    /// The platform's count, and until when it holds. Others may use the same token's budget.
    count: Option<(u32, Timestamp)>,
    paused_until: Option<Timestamp>,
}

impl Gate {
    fn allowed(&self) -> u32 {
        self.allowed.unwrap_or(ASSUMED_ALLOWED)
    }

    /// How many requests may be sent within [`WINDOW`].
    fn cap(&self) -> usize {
        (u64::from(self.allowed()) * 95 / 100).max(1) as usize
    }

    fn forget_old(&mut self, now: Timestamp) {
        // A clock that was set back must not leave sends in the future, which would block for as long.
        self.sent.iter_mut().for_each(|at| *at = (*at).min(now));
        let longest = later(now, LONGEST_PAUSE);
        self.paused_until = self.paused_until.filter(|until| *until <= longest);
        self.count = self.count.filter(|(_, until)| *until <= longest);
        while self.sent.front().is_some_and(|at| later(*at, WINDOW) <= now) {
            self.sent.pop_front();
        }
    }

    /// Forgets the platform's count once its window has ended. Where much of the budget was used, the next request goes
    /// alone again: whoever used it (a run before this one, another program) may still be at it.
    fn forget_count(&mut self, now: Timestamp) {
        if let Some((count, until)) = self.count
            && until <= now
        {
            self.count = None;
            self.learned = self.learned && u64::from(count) * 2 < u64::from(self.allowed());
        }
    }

    /// Whether a request may be sent now, and if not, what to wait for.
    pub(super) fn turn(&mut self, now: Timestamp) -> Turn {
        self.forget_old(now);
        if let Some(until) = self.paused_until.filter(|until| now < *until) {
            return Turn::At(until);
        }
        self.forget_count(now);
        // Nothing is known before the first answer, so only one request goes to find out.
        if !self.learned && self.in_flight > 0 {
            return Turn::AfterAnAnswer;
        }
        if let Some((count, until)) = self.count {
            let wall = |used: u32| u64::from(used) * 100 >= u64::from(self.allowed()) * 95;
            if wall(count) {
                return Turn::At(until);
            }
            if self.in_flight > 0 && wall(count.saturating_add(self.in_flight)) {
                return Turn::AfterAnAnswer;
            }
        }
        match self.spaced() {
            Some(at) if now < at => Turn::At(at),
            _ => Turn::Now,
        }
    }

    /// The earliest time our own log allows. The first half of the allowance is free, so that small work is fast; the
    /// rest is spread over what is left of the window, so that large work never stands still for long.
    fn spaced(&self) -> Option<Timestamp> {
        let (cap, used) = (self.cap(), self.sent.len());
        let (oldest, newest) = (*self.sent.front()?, *self.sent.back()?);
        let free_again = later(oldest, WINDOW);
        if used >= cap {
            // `allowed` may have shrunk: then more than one has to leave the window first.
            return self.sent.get(used - cap).map(|at| later(*at, WINDOW));
        }
        if used < cap.div_ceil(2) {
            return None;
        }
        let places = u32::try_from(cap - used + 1).unwrap_or(u32::MAX);
        let even = WINDOW / u32::try_from(cap).unwrap_or(u32::MAX);
        Some(later(newest, (until(newest, free_again) / places).max(even)).min(free_again))
    }

    /// Takes note of a request that is sent now.
    pub(super) fn sent(&mut self, now: Timestamp) {
        self.sent.push_back(now);
        self.in_flight += 1;
    }

    /// Takes note that a request is no longer under way, answered or not.
    pub(super) fn ended(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Learns from an answer's headers.
    pub(super) fn answered(&mut self, now: Timestamp, limits: Limits) {
        self.learned = true;
        if let Some(allowed) = limits.allowed {
            self.allowed = Some(allowed);
        }
        if let Some(count) = limits.count {
            let reset = limits.reset.unwrap_or(Duration::from_secs(60)).min(LONGEST_PAUSE);
            self.count = Some((count, later(now, reset)));
        }
    }

    /// Nobody sends for `span` from now.
    pub(super) fn pause(&mut self, now: Timestamp, span: Duration) {
        let until = later(now, span.min(LONGEST_PAUSE));
        self.paused_until = Some(self.paused_until.map_or(until, |other| other.max(until)));
    }

    /// How the budget stands; `None` before the first headers.
    pub(super) fn budget(&mut self, now: Timestamp) -> Option<Budget> {
        let allowed = self.allowed?;
        self.forget_old(now);
        let counted = self.count.filter(|(_, until)| now < *until);
        let ours = u32::try_from(self.sent.len()).unwrap_or(u32::MAX);
        let used = counted.map_or(ours, |(count, _)| count.max(ours));
        let cap = u32::try_from(self.cap()).unwrap_or(u32::MAX);
        let resets_at = counted.map(|(_, until)| until).or_else(|| self.sent.front().map(|at| later(*at, WINDOW)));
        Some(Budget { allowed, left: cap.saturating_sub(used), resets_at: resets_at.unwrap_or(now) })
    }
}

/// `span` after `at`, or the end of time.
pub(super) fn later(at: Timestamp, span: Duration) -> Timestamp {
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}

/// The time from `now` to `then`; zero if that has passed.
pub(super) fn until(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or(Duration::ZERO)
}

/// The wait would go past the caller's deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoTimeLeft;

/// The door in front of the API, shared by all clones of a client.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    gate: Mutex<Gate>,
    changed: Notify,
}

impl Limiter {
    /// The gate. Its state is valid after every call, so a poisoned lock is taken as it is.
    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a request may be sent, and counts it as sent.
    ///
    /// # Errors
    /// [`NoTimeLeft`], at once, if that would be after `deadline`.
    pub(super) async fn pass(
        &self,
        clock: &dyn Clock,
        deadline: Option<Timestamp>,
    ) -> Result<UnderWay<'_>, NoTimeLeft> {
        loop {
            // Listening starts before the look, so that an answer in between is not missed.
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            let now = clock.now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Err(NoTimeLeft);
            }
            let turn = {
                let mut gate = self.gate();
                let turn = gate.turn(now);
                if turn == Turn::Now {
                    gate.sent(now);
                }
                turn
            };
            match turn {
                Turn::Now => return Ok(UnderWay { limiter: self }),
                Turn::At(at) if deadline.is_some_and(|deadline| deadline <= at) => {
                    return Err(NoTimeLeft);
                }
                Turn::At(at) => clock.sleep(until(now, at)).await,
                // Ends: each request under way has a time limit of its own.
                Turn::AfterAnAnswer => changed.await,
            }
        }
    }

    /// Learns from an answer's headers.
    pub(super) fn answered(&self, now: Timestamp, limits: Limits) {
        self.gate().answered(now, limits);
        self.changed.notify_waiters();
    }

    /// Nobody sends for `span` from now.
    pub(super) fn pause(&self, now: Timestamp, span: Duration) {
        self.gate().pause(now, span);
    }

    /// How the budget stands.
    pub(super) fn budget(&self, now: Timestamp) -> Option<Budget> {
        self.gate().budget(now)
    }
}

/// A request under way; dropping it says that it is over, also when its future is dropped.
#[derive(Debug)]
pub(super) struct UnderWay<'a> {
    limiter: &'a Limiter,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.limiter.gate().ended();
        self.limiter.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
