//! `callvault redrive`: parked work, opened again.

use std::process::ExitCode;

use callvault_bootstrap::settings::Need;
use callvault_bootstrap::system;
use callvault_pipeline::ledger::Ledger;
use callvault_pipeline::redrive::{Narrowing, Redriven, redrive};

use crate::args::Redrive;
use crate::connect::{Given, open_existing_ledger};
use crate::failure::Failure;
use crate::screen;

pub(crate) async fn run(args: Redrive, given: &Given) -> Result<ExitCode, Failure> {
    let flags = [("ARCHIVE", args.archive.as_deref()), ("LEDGER", args.ledger.as_deref())];
    let settings = given.settings(Need::Nothing, &flags)?;
    let ledger = open_existing_ledger(&settings).await?;
    let Redrive { day, reason, conversation, .. } = args;
    let narrowing = Narrowing { day, reason, conversation };
    let done = redrive(&*ledger, &narrowing, system::clock().now()).await?;
    if done == Redriven::default() {
        known(&*ledger, &narrowing).await?;
    }
    let days: Vec<String> = done.days.iter().map(ToString::to_string).collect();
    screen::line(match done.conversations {
        0 if done.voicemails == 0 => "nothing parked to open again".to_owned(),
        0 => format!("{} voicemails opened again: what moves voicemail goes on with them", done.voicemails),
        n => format!("{n} conversations opened again, of {}: export those days, or let the schedule", days.join(", ")),
    });
    if done.conversations > 0 && done.voicemails > 0 {
        screen::line(format!("{} voicemails opened again: what moves voicemail goes on with them", done.voicemails));
    }
    if done.left > 0 {
        screen::line(format!("{} stay parked: their ids cannot be asked for", done.left));
    }
    Ok(ExitCode::SUCCESS)
}

/// Where nothing was opened: whether the ledger knows what was named. A day may be one of voicemail only, a conversation
/// too.
async fn known(ledger: &dyn Ledger, narrowing: &Narrowing) -> Result<(), Failure> {
    if let Some(id) = &narrowing.conversation
        && ledger.conversation(id).await?.is_empty()
        && ledger.voicemails(id).await?.is_empty()
    {
        let what = format!("the ledger does not know the conversation {id}: has its day been exported?");
        return Err(Failure::usage(what));
    }
    if let (Some(day), None) = (narrowing.day, &narrowing.conversation)
        && ledger.day(day).await?.is_none()
    {
        return Err(Failure::usage(format!("the ledger does not know the day {day}: export it first")));
    }
    Ok(())
}
