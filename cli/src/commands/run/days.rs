//! The job that exports days: works off what is planned, and, where it is to, plans by the schedule whenever a new day
//! begins.
//!
//! Must never plan a day twice in one day: what failed today is run again tomorrow, or by hand.

use std::convert::Infallible;
use std::time::Duration;

use callvault_bootstrap::settings::Need;
use callvault_pipeline::day::Day;
use callvault_pipeline::stages::Fault;

use super::job::{self, Job, Stopping};
use crate::connect::{Connected, Given};
use crate::engine::{self, Stages};
use crate::failure::Failure;
use crate::progress::Progress;

/// How often is looked whether a new day has begun.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// The settings of the client that exports days.
pub(in crate::commands) const OF_THE_CLIENT: [&str; 3] =
    ["GENESYS_CLIENT_ID", "GENESYS_CLIENT_SECRET", "GENESYS_SECRET_ID"];

/// What is needed for it.
pub(in crate::commands) struct DaysJob {
    connected: Connected,
    stages: Stages,
}

/// Who says which days are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum Planning {
    /// The schedule; and whoever plans others.
    Schedule,
    /// Others only.
    Others,
}

impl DaysJob {
    /// Opens everything. A refused sign-in is told before anything is begun.
    pub(in crate::commands) async fn open(given: &Given) -> Result<Self, Failure> {
        let settings = given.settings(Need::Source, &[])?;
        let connected = Box::pin(Connected::open(settings)).await?;
        job::signed_in(connected.client.sign_in().await)?;
        // A schedule that leads nowhere is told, too.
        let (house, schedule) = (&connected.house, &connected.settings.schedule);
        let target = schedule.target(&house.calendar, house.clock.now());
        target.map_err(|error| Failure::usage(error.to_string()))?;
        let stages = connected.stages();
        Ok(Self { connected, stages })
    }

    /// Goes on until it is told to stop. What is under way then is left where it is: whoever comes next goes on with it.
    pub(in crate::commands) async fn run(&self, planning: Planning, mut stopping: Stopping) {
        let progress = Progress::new(true);
        let mut planned_on = None;
        let mut job = Job::new("no days are exported now", &*self.connected.house.clock, stopping.clone());
        while job.goes_on() {
            let until = async {
                tokio::select! {
                    fault = self.plan(planning, &mut planned_on) => fault.map(|never| match never {}),
                    () = stopping.told() => Ok(()),
                }
            };
            match engine::run(&self.stages, &progress, until).await {
                Ok(()) => return,
                Err(fault) => job.pause_after(Err(fault)).await,
            }
        }
    }

    /// Plans when it begins, and whenever a new day has begun since.
    async fn plan(&self, planning: Planning, planned_on: &mut Option<Day>) -> Result<Infallible, Fault> {
        let house = &self.connected.house;
        if planning == Planning::Others {
            return std::future::pending().await;
        }
        loop {
            let now = house.clock.now();
            let today = house.calendar.day_of(now);
            if *planned_on != Some(today) {
                let days = house.ledger.days().await?;
                let planned = self.connected.settings.schedule.planned(&house.calendar, &days, now);
                for (day, why) in planned.map_err(|error| Fault::Settings(error.to_string()))? {
                    house.ledger.plan_day(day, now).await?;
                    tracing::info!(%day, why = why.as_str(), "planned {day}: {}", why.as_str());
                }
                *planned_on = Some(today);
            }
            house.clock.sleep(LOOK_EVERY).await;
        }
    }
}
