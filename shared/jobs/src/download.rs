//! Which days a stretch of time is, and planning them.

use bytes::Bytes;
use callvault_pipeline::day::Day;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::{Response, StatusCode};
use jiff::Timestamp;
use serde::Serialize;

use crate::body::Stretch;
use crate::problem::of_ledger;
use crate::{Jobs, MOST_DAYS, Problem, json};

/// Days that are planned at the same time: a year within the time a request has, and no rush on the ledger.
const AT_ONCE: usize = 8;

/// What was planned.
#[derive(Serialize)]
struct Planned {
    days: Vec<Day>,
}

impl Jobs {
    /// Plans every day that the stretch touches. It may be repeated: what is under way goes on, what is closed is looked at
    /// again.
    pub(crate) async fn download(&self, stretch: Stretch) -> Result<Response<Bytes>, Problem> {
        let now = self.clock.now();
        let days = self.days(&stretch, now)?;
        let plan = async |day: Day| self.ledger.plan_day(day, now).await.map_err(of_ledger);
        stream::iter(days.iter().copied()).map(plan).buffer_unordered(AT_ONCE).try_for_each(async |_| Ok(())).await?;
        if let (Some(first), Some(last)) = (days.first(), days.last()) {
            let n = days.len();
            tracing::info!(days = n, %first, %last, "the jobs API planned {n} days, {first} to {last}");
        }
        Ok(json(StatusCode::ACCEPTED, &Planned { days }))
    }

    fn days(&self, stretch: &Stretch, now: Timestamp) -> Result<Vec<Day>, Problem> {
        let (start, end) = (stretch.start_time.0, stretch.end_time.0);
        if start >= end {
            return Err(Problem::bad("window-empty", "`startTime` is not before `endTime`"));
        }
        // One more than allowed shows that there are too many, without walking through centuries.
        let days: Vec<Day> = self.calendar.touched(start, end).take(MOST_DAYS + 1).collect();
        for day in [days.first(), days.last()].into_iter().flatten() {
            self.plannable(*day, now)?;
        }
        if days.len() > MOST_DAYS {
            let detail = format!("`startTime` to `endTime` are more than {MOST_DAYS} days: ask for them in parts");
            return Err(Problem::bad("too-many-days", detail));
        }
        Ok(days)
    }
}
