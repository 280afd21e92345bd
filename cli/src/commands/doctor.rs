//! `callvault doctor`: checks one by one what callvault needs, and says what is missing and what it is needed for.
//!
//! | module | owns |
//! |---|---|
//! | `report` | checks, how they are shown, the exit code |
//! | `source` | the org: hosts, clock, client, permissions |
//! | `media` | the hosts media come from |
//! | `user` | the signed-in user: secret, token, permissions |
//! | `mailboxes` | the voicemail that the user may list |
//! | `stores` | archive and ledger |
//!
//! Asks the org only what changes nothing there. Renews no token. Must never show a secret.

mod mailboxes;
mod media;
mod report;
mod source;
mod stores;
mod user;

use std::process::ExitCode;

use callvault_bootstrap::settings::{Need, Settings};

use crate::args::Doctor;
use crate::cloud::Cloud;
use crate::connect::Given;
use crate::failure::Failure;
use report::{Check, Report};

pub(crate) async fn run(args: Doctor, given: &Given) -> Result<ExitCode, Failure> {
    let settings = read(given)?;
    let mut report = Report::default();
    report.add(Check::ok("settings", "everything", "all of them can be read"));
    let cloud = match Cloud::of(&settings).await {
        Ok(cloud) => Some(cloud),
        Err(failure) => {
            report.add(
                Check::missing("aws", "what the settings name on AWS", failure.text())
                    .advise("see the README, \"On AWS\""),
            );
            None
        }
    };
    let reached = source::check(&mut report, &settings, cloud.as_ref()).await;
    user::check(&mut report, &settings).await;
    stores::archive(&mut report, &settings, cloud.as_ref()).await;
    stores::ledger(&mut report, &settings, cloud.as_ref()).await;
    report.show(args.json);
    Ok(match (reached, report.is_ok()) {
        (false, _) => ExitCode::from(3),
        (true, ok) => ExitCode::from(u8::from(!ok)),
    })
}

/// The settings. Who has set up nothing but a user's secret has no client that signs in for itself.
fn read(given: &Given) -> Result<Settings, Failure> {
    let has_user = given.is_any_set(&["VOICEMAIL_SECRET_ID"])?;
    let has_client = given.is_any_set(&["GENESYS_CLIENT_ID", "GENESYS_CLIENT_SECRET", "GENESYS_SECRET_ID"])?;
    given.settings(if has_client || !has_user { Need::Source } else { Need::Nothing }, &[])
}
