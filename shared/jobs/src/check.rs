//! A day looked at, and run again where it is not complete.

use bytes::Bytes;
use callvault_pipeline::ledger::{DayState, DayStatus, Fact, Marker, Row};
use http::{Response, StatusCode};
use serde::Serialize;

use crate::body::OneDay;
use crate::problem::of_ledger;
use crate::{Jobs, Problem, json};

/// What a check found, and did about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    /// Closed with `_SUCCESS`: nothing to do.
    Complete,
    /// Planned or open: left to whoever works on it.
    UnderWay,
    /// Closed with `_FAILURE`: what is parked was opened again, and the day with it.
    Rerun,
    /// Not known: it is now planned.
    Planned,
}

impl Outcome {
    fn of(row: Option<&Row>) -> Self {
        match row.map(|row| &row.fact) {
            Some(Fact::Day(day)) => match (day.state, day.marker) {
                (DayState::Closed, Some(Marker::Success)) => Self::Complete,
                (DayState::Closed, _) => Self::Rerun,
                (DayState::Planned | DayState::Open, _) => Self::UnderWay,
            },
            _ => Self::Planned,
        }
    }
}

/// The answer.
#[derive(Serialize)]
struct Checked {
    outcome: Outcome,
    /// As it is now: after what was done about it.
    #[serde(flatten)]
    status: DayStatus,
}

impl Jobs {
    /// Looks at a day, and plans it where it was not, or was closed without everything.
    pub(crate) async fn check(&self, wanted: OneDay) -> Result<Response<Bytes>, Problem> {
        let (day, now) = (wanted.recording_day, self.clock.now());
        self.plannable(day, now)?;
        let found = self.ledger.day(day).await.map_err(of_ledger)?;
        let outcome = Outcome::of(found.as_ref());
        let row = match (outcome, found) {
            (Outcome::Complete | Outcome::UnderWay, Some(row)) => row,
            // As the schedule does with the day before: a closed day's parked work is opened with it.
            _ => {
                tracing::info!(%day, "the jobs API planned {day}: it was not complete");
                self.ledger.plan_day(day, now).await.map_err(of_ledger)?
            }
        };
        let counts = self.ledger.counts(day).await.map_err(of_ledger)?;
        Ok(json(StatusCode::OK, &Checked { outcome, status: DayStatus::of(&row, counts) }))
    }
}
