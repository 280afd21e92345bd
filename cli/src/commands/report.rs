//! `callvault report`: how everything stands, as one HTML page that needs nothing beside itself.
//!
//! | module | owns |
//! |---|---|
//! | this one | the command, and the file it leaves |
//! | `html` | writing HTML: what is not markup of ours is escaped |
//! | `words` | numbers, times and states, as people read them |
//! | `page` | the page: its head, its summary, its parts |
//! | `calendar` | months as grids |
//! | `tables` | volumes, what is parked, lag, requests, days |

mod calendar;
mod html;
mod page;
mod tables;
mod words;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use callvault_bootstrap::settings::Need;
use callvault_bootstrap::system;
use callvault_pipeline::report::{ReportError, overview};

use crate::args::Report;
use crate::connect::{Given, look_at_ledger};
use crate::failure::Failure;
use crate::screen;
use page::About;

pub(crate) async fn run(args: Report, given: &Given) -> Result<ExitCode, Failure> {
    let settings = given.settings(Need::Nothing, &[("LEDGER", args.ledger.as_deref())])?;
    // Before anything is read: a ledger of years takes its time.
    refuse_place(&args.out)?;
    let ledger = look_at_ledger(&settings).await?;
    let now = system::clock().now();
    let stretch = (args.from, args.to);
    let overview = overview(&*ledger, &settings.calendar, &settings.schedule, stretch, now).await?;
    let about = About {
        calendar: &settings.calendar,
        lag_days: settings.schedule.lag_days,
        page_size: u64::from(settings.page_size),
        batch_size: settings.batch_size as u64,
        metadata: settings.metadata,
    };
    let page = page::html(&overview, &about);
    write(&args.out, page.as_bytes()).map_err(|error| {
        Failure::stopped(format!("cannot write the report to {} ({error}): check --out", args.out.display()))
    })?;
    screen::line(format!("{} days, in {}", overview.days.len(), args.out.display()));
    Ok(ExitCode::SUCCESS)
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Ledger(error) => error.into(),
            other => Self::usage(other.to_string()),
        }
    }
}

fn folder_of(out: &Path) -> &Path {
    out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn refuse_place(out: &Path) -> Result<(), Failure> {
    if out.is_dir() || out.file_name().is_none() {
        return Err(Failure::usage(format!("--out {} is a folder: give a file, such as report.html", out.display())));
    }
    let folder = folder_of(out);
    if !folder.is_dir() {
        return Err(Failure::usage(format!("there is no folder {} for --out: make it first", folder.display())));
    }
    Ok(())
}

/// Under a temporary name first: whoever opens the file sees the old report or the new one, never a half.
fn write(out: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".callvault-report").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // As any file that is made: the umask decides.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder_of(out))?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(out).map(drop).map_err(|refused| refused.error)
}

#[cfg(test)]
mod tests;
