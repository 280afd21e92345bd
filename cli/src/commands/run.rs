//! `callvault run`: goes on until it is stopped. Sweeps the mailboxes of the settings and moves their voicemail.
//!
//! Must never end because something fails that may work later: it says so, and tries again.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use callvault_bootstrap::settings::Need;
use callvault_bootstrap::wiring;
use callvault_pipeline::api::Voicemails;
use callvault_pipeline::clock::Clock;
use callvault_pipeline::ledger::Stage;
use callvault_pipeline::stages::{Fault, Report, Voicemail};
use jiff::Timestamp;

use crate::connect::{Given, Opened};
use crate::failure::Failure;
use crate::screen;
use crate::signals::interrupted;
use crate::user;

/// How often the mailboxes are read as a whole. A page of a hundred is a request: small beside what a minute allows.
const SWEEP_EVERY: Duration = Duration::from_secs(300);

/// The same where one could not be read.
const SWEEP_AGAIN: Duration = Duration::from_secs(20);

/// Longest wait before what is due is looked for again, and shortest.
const WAIT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Shortest and longest pause after a fault.
const AFTER_A_FAULT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// What is under way when it is told to stop is given this long.
const LAST_WORK: Duration = Duration::from_secs(30);

pub(crate) async fn run(given: &Given) -> Result<ExitCode, Failure> {
    let mut settings = given.settings(Need::User, &[])?;
    let (queues, groups) = (settings.voicemail.queues.len(), settings.voicemail.groups.len());
    if queues + groups == 0 {
        return Err(Failure::usage(
            "VOICEMAIL_QUEUES is not set: expected the ids of the queues whose voicemail is to be moved, comma separated",
        ));
    }
    let client = user::client(&mut settings).await?;
    // A refused sign-in, or one that is no user's, is told before anything is begun.
    client.me().await.map_err(Fault::from)?;
    let Opened { settings, house, .. } = Box::pin(Opened::open(settings)).await?;
    let stage = wiring::voicemail(&settings, &house, std::sync::Arc::new(client));
    // Before it says that it can be stopped.
    let told = interrupted();
    screen::line(format!("moving the voicemail of {queues} queues and {groups} groups: stop it with Ctrl-C"));
    until_stopped(&stage, &*house.clock, told).await
}

/// Works until it is told to stop; then ends what is under way. Told again, or after a while, it stops at once: nothing
/// is lost, the next run goes on.
async fn until_stopped(
    stage: &Voicemail,
    clock: &dyn Clock,
    told: impl Future<Output = ()>,
) -> Result<ExitCode, Failure> {
    let stopping = AtomicBool::new(false);
    let mut work = std::pin::pin!(voicemail(stage, clock, &stopping));
    tokio::select! {
        () = &mut work => return Ok(ExitCode::SUCCESS),
        () = told => {}
    }
    stopping.store(true, Ordering::Relaxed);
    tokio::select! {
        () = &mut work => {}
        () = interrupted() => {}
        () = clock.sleep(LAST_WORK) => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// The job that moves voicemail.
async fn voicemail(stage: &Voicemail, clock: &dyn Clock, stopping: &AtomicBool) {
    let (mut sweep_at, mut faults) = (clock.now(), 0);
    while !stopping.load(Ordering::Relaxed) {
        let pause = match turn(stage, clock, &mut sweep_at).await {
            Ok(pause) => {
                faults = 0;
                pause
            }
            Err(fault) => {
                let pause = AFTER_A_FAULT.0.saturating_mul(1 << faults.min(10)).min(AFTER_A_FAULT.1);
                faults += 1;
                let seconds = pause.as_secs();
                tracing::error!(code = fault.code(), "voicemail is not moved now, and again in {seconds} s: {fault}");
                pause
            }
        };
        // In short steps, so that it is soon noticed when it is told to stop.
        let until = clock.now() + pause;
        while !stopping.load(Ordering::Relaxed) && clock.now() < until {
            clock.sleep(pause.min(Duration::from_millis(100))).await;
        }
    }
}

/// Sweeps when it is time for it, does what is due, and answers how long to wait.
async fn turn(stage: &Voicemail, clock: &dyn Clock, sweep_at: &mut Timestamp) -> Result<Duration, Fault> {
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
