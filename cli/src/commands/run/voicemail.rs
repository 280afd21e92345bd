//! The job that moves voicemail: sweeps the mailboxes of the settings, and does what is due.

use std::sync::Arc;
use std::time::Duration;

use callvault_bootstrap::settings::Need;
use callvault_bootstrap::wiring;
use callvault_pipeline::api::Voicemails;
use callvault_pipeline::ledger::Stage;
use callvault_pipeline::stages::{Fault, Report, Voicemail};
use jiff::Timestamp;

use super::job::{self, Job, Stopping};
use crate::connect::{Given, Opened};
use crate::failure::Failure;
use crate::user;

/// How often the mailboxes are read as a whole. A page of a hundred is a request: small beside what a minute allows.
const SWEEP_EVERY: Duration = Duration::from_secs(300);

/// The same where one could not be read.
const SWEEP_AGAIN: Duration = Duration::from_secs(20);

/// Longest wait before what is due is looked for again, and shortest.
const WAIT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// What is needed for it.
pub(super) struct VoicemailJob {
    stage: Voicemail,
}

impl VoicemailJob {
    /// Opens everything. A refused sign-in, or one that is no user's, is told before anything is begun.
    pub(super) async fn open(given: &Given) -> Result<Self, Failure> {
        let mut settings = given.settings(Need::User, &[])?;
        let client = user::client(&mut settings).await?;
        job::signed_in(client.me().await)?;
        let Opened { settings, house, .. } = Box::pin(Opened::open(settings)).await?;
        Ok(Self { stage: wiring::voicemail(&settings, &house, Arc::new(client)) })
    }

    /// Goes on until it is told to stop.
    pub(super) async fn run(&self, stopping: Stopping) {
        let clock = &self.stage.house.clock;
        let mut sweep_at = clock.now();
        let mut job = Job::new("voicemail is not moved now", &**clock, stopping);
        while job.goes_on() {
            let turn = self.turn(&mut sweep_at).await;
            job.pause_after(turn).await;
        }
    }

    /// Sweeps when it is time for it, does what is due, and answers how long to wait.
    async fn turn(&self, sweep_at: &mut Timestamp) -> Result<Duration, Fault> {
        let (stage, clock) = (&self.stage, &self.stage.house.clock);
        let mut report = Report::default();
        if *sweep_at <= clock.now() {
            let swept = stage.sweep().await?;
            // A mailbox that could not be read to its end is read again soon.
            *sweep_at = clock.now() + if swept.failed == 0 { SWEEP_EVERY } else { SWEEP_AGAIN };
            report += swept;
        }
        report += stage.run().await?;
        if report.stored + report.parked > 0 {
            let Report { stored, parked, bytes, .. } = report;
            tracing::info!(stored, parked, bytes, "moved {stored} voicemails, parked {parked}");
        }
        if report.did_something() {
            return Ok(Duration::ZERO);
        }
        let due = stage.house.ledger.next_due(Stage::Voicemail).await?;
        let until = due.map_or(*sweep_at, |due| due.min(*sweep_at)).duration_since(clock.now());
        Ok(Duration::try_from(until).unwrap_or_default().clamp(WAIT.0, WAIT.1))
    }
}
