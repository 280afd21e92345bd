//! One invocation: the time it has, the stages it runs, what it did.

use std::time::Duration;

use callvault_pipeline::ledger::{LedgerError, Stage};
use callvault_pipeline::stages::{Fault, House, Report, Shift};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::parts::Parts;
use super::refusal::Refusal;
use super::source::Source;
use super::user::User;

/// What is left of an invocation for settling: a tenth of it, but at least and at most this.
const MARGIN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(30));

/// The time an invocation has where the runtime names none that can be believed. AWS always does; stand-ins may not.
const UNKNOWN: Duration = Duration::from_secs(20);

/// The stretch in which an invocation that begins `now` works, and the deadline of its requests to Genesys, which lies
/// in the middle of the rest: a job that is being posted when work ends can still be saved.
pub fn shift_of(now: Timestamp, deadline_ms: u64) -> (Shift, Timestamp) {
    let named = i64::try_from(deadline_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let time = named.and_then(|deadline| Duration::try_from(deadline.duration_since(now)).ok());
    let time = time.filter(|time| !time.is_zero()).unwrap_or(UNKNOWN);
    let margin = (time / 10).clamp(MARGIN.0, MARGIN.1).min(time / 2);
    let ends = now + (time - margin);
    (Shift { begins: now, ends }, ends + margin / 2)
}

/// One invocation.
pub struct Work<'a> {
    parts: &'a Parts,
    /// The ports, and the time there is.
    pub house: House,
    /// What was done so far.
    pub report: Report,
    /// The code of what it could not go on for, where the invocation does not fail for it.
    pub fault: Option<&'static str>,
}

impl<'a> Work<'a> {
    /// An invocation that has done nothing yet.
    pub fn new(parts: &'a Parts, shift: Shift, deadline: Timestamp) -> Self {
        if let Some(source) = &parts.source {
            source.set_deadline(deadline);
        }
        if let Some(user) = &parts.user {
            user.set_deadline(deadline);
        }
        let house = House { shift: Some(shift), ..parts.house.clone() };
        Self { parts, house, report: Report::default(), fault: None }
    }

    /// What the instance keeps.
    pub fn parts(&self) -> &'a Parts {
        self.parts
    }

    /// Genesys.
    ///
    /// # Errors
    /// [`Refusal`] in a function that was not set up with it.
    pub fn source(&self) -> Result<&'a Source, Refusal> {
        let missing = || Refusal::settings("this function was set up without Genesys");
        self.parts.source.as_ref().ok_or_else(missing)
    }

    /// Genesys, in a user's name.
    ///
    /// # Errors
    /// [`Refusal`] in a function that was not set up with it.
    pub fn user(&self) -> Result<&'a User, Refusal> {
        let missing = || Refusal::settings("this function was set up without a signed-in user");
        self.parts.user.as_ref().ok_or_else(missing)
    }

    /// Runs a stage until nothing is due for it, or time is up. Answers whether there was anything to do.
    ///
    /// # Errors
    /// As the stage says; what was done before counts.
    pub async fn repeat(&mut self, run: impl AsyncFn() -> Result<Report, Fault>) -> Result<bool, Refusal> {
        let mut did_something = false;
        loop {
            let report = run().await?;
            self.report += report;
            if !report.did_something() {
                return Ok(did_something);
            }
            did_something = true;
        }
    }

    /// Says what stopped work that the ledger remembers: to people, and to no platform that would send its event again.
    pub fn put_up_with(&mut self, Refusal { code, message }: Refusal) {
        tracing::error!(code, "left to the next run: {message}");
        self.fault = Some(code);
    }

    /// Waits until something is due for one of `stages`, if that is within `patience` and while there is time to do it.
    /// Answers whether it is worth looking again.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn wait_for(&self, stages: &[Stage], patience: Duration) -> Result<bool, LedgerError> {
        let mut next = None;
        for stage in stages {
            next = [next, self.house.ledger.next_due(*stage).await?].into_iter().flatten().min();
        }
        let now = self.house.clock.now();
        let Some(shift) = self.house.shift else { return Ok(false) };
        let latest = (now + patience).min(shift.ends - SignedDuration::from_secs(1));
        // When time is up nothing is claimed any more: what is due stays due, and waiting for it would never end.
        match next.filter(|due| *due < latest && now < latest) {
            Some(due) => {
                let pause = Duration::try_from(due.duration_since(now)).unwrap_or_default();
                // What is due already and was not claimed is another instance's just now.
                self.house.clock.sleep(pause.max(Duration::from_millis(50))).await;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// How long what is due longest has been due, by stage, in seconds. A stage that cannot be asked about is left out.
    pub async fn oldest_due(&self, stages: &[Stage]) -> Vec<(Stage, u64)> {
        let now = self.house.clock.now();
        let mut ages = Vec::new();
        for stage in stages {
            if let Ok(due) = self.house.ledger.next_due(*stage).await {
                ages.push((*stage, due.map_or(0, |due| super::seconds_since(due, now))));
            }
        }
        ages
    }

    /// What was done, as the function answers it.
    pub fn outcome(&self) -> Value {
        let Report { claimed, settled, stored, bytes, parked, failed, found, days_closed, given_back, .. } =
            self.report;
        json!({
            "claimed": claimed, "settled": settled, "stored": stored, "bytes": bytes, "parked": parked,
            "failed": failed, "found": found, "daysClosed": days_closed, "givenBack": given_back,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(seconds: u64) -> (f64, f64) {
        let now: Timestamp = "2026-01-21T06:00:00Z".parse().unwrap();
        let deadline = u64::try_from(now.as_millisecond()).unwrap() + seconds * 1000;
        let (shift, requests) = shift_of(now, deadline);
        assert_eq!(shift.begins, now);
        (shift.ends.duration_since(now).as_secs_f64(), requests.duration_since(now).as_secs_f64())
    }

    #[test]
    fn work_ends_with_time_left_to_settle() {
        assert_eq!(split(60), (54.0, 57.0));
        assert_eq!(split(30), (25.0, 27.5), "at least five seconds");
        assert_eq!(split(900), (870.0, 885.0), "at most thirty");
        assert_eq!(split(4), (2.0, 3.0), "at most half");
    }

    #[test]
    fn a_deadline_that_has_passed_says_nothing() {
        let now: Timestamp = "2026-01-21T06:00:00Z".parse().unwrap();
        for deadline in [0, 600_000, u64::MAX] {
            let (shift, _) = shift_of(now, deadline);
            assert_eq!(shift.ends, now + Duration::from_secs(15), "{deadline}");
        }
    }
}
