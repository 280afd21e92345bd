//! `callvault run`: goes on until it is stopped. Exports days by the schedule, and moves the voicemail of the mailboxes of the
//! settings: whichever of the two the settings are there for.
//!
//! Must never end because something fails that may work later: it says so, and tries again.

pub(super) mod days;
pub(super) mod job;
mod voicemail;

use std::process::ExitCode;
use std::time::Duration;

use callvault_bootstrap::settings::Need;
use callvault_bootstrap::system;
use callvault_pipeline::clock::Clock;

use self::days::{DaysJob, OF_THE_CLIENT, Planning};
use self::job::Stopping;
use self::voicemail::VoicemailJob;
use crate::connect::Given;
use crate::failure::Failure;
use crate::screen;
use crate::signals::interrupted;

/// What is under way when it is told to stop is given this long.
const LAST_WORK: Duration = Duration::from_secs(30);

pub(crate) async fn run(given: &Given) -> Result<ExitCode, Failure> {
    let mailboxes = given.settings(Need::Nothing, &[])?.voicemail;
    let (queues, groups) = (mailboxes.queues.len(), mailboxes.groups.len());
    let (has_client, has_mailboxes) = (given.is_any_set(&OF_THE_CLIENT)?, queues + groups > 0);
    if !has_client && !has_mailboxes {
        return Err(Failure::usage(
            "nothing to do: set GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET for exporting days, or VOICEMAIL_QUEUES (the ids \
             of the queues whose voicemail is to be moved, comma separated) and VOICEMAIL_SECRET_ID",
        ));
    }
    let days = if has_client { Some(DaysJob::open(given).await?) } else { None };
    let voicemail = if has_mailboxes { Some(VoicemailJob::open(given).await?) } else { None };
    // Before it says that it can be stopped.
    let told = interrupted();
    let jobs = [
        days.as_ref().map(|_| "exporting days".to_owned()),
        voicemail.as_ref().map(|_| format!("moving the voicemail of {queues} queues and {groups} groups")),
    ];
    let jobs: Vec<String> = jobs.into_iter().flatten().collect();
    screen::line(format!("{}: stop it with Ctrl-C", jobs.join(", ")));
    let (stop, stopping) = Stopping::channel();
    let work = Box::pin(async {
        let days = async {
            if let Some(job) = &days {
                job.run(Planning::Schedule, stopping.clone()).await;
            }
        };
        let voicemail = async {
            if let Some(job) = &voicemail {
                job.run(stopping.clone()).await;
            }
        };
        tokio::join!(days, voicemail);
    });
    until_stopped(work, &*system::clock(), told, || stop.send_replace(true)).await
}

/// Works until it is told to stop; then ends what is under way. Told again, or after a while, it stops at once: nothing
/// is lost, the next run goes on.
async fn until_stopped(
    work: impl Future<Output = ()>,
    clock: &dyn Clock,
    told: impl Future<Output = ()>,
    stop: impl FnOnce() -> bool,
) -> Result<ExitCode, Failure> {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        () = &mut work => return Ok(ExitCode::SUCCESS),
        () = told => {}
    }
    stop();
    tokio::select! {
        () = &mut work => {}
        () = interrupted() => {}
        () = clock.sleep(LAST_WORK) => {}
    }
    Ok(ExitCode::SUCCESS)
}
