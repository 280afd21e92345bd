//! `callvault export`: the recordings of days, until each of them is closed.

use std::collections::HashSet;
use std::process::ExitCode;
use std::time::Duration;

use callvault_bootstrap::settings::{Need, Settings};
use callvault_pipeline::day::{Calendar, Day};
use callvault_pipeline::ledger::{Counts, DayLine, Marker};
use callvault_pipeline::stages::{Fault, House};
use jiff::Timestamp;
use serde::Serialize;

use crate::args::Export;
use crate::connect::{Connected, Given};
use crate::engine::run_until_closed;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::screen;
use crate::signals::interrupted;

/// What an export did. The names are fixed: scripts read them.
#[derive(Debug, Serialize)]
pub(crate) struct Exported {
    pub(crate) days: Vec<DayLine>,
    /// API requests sent, retries included.
    pub(crate) requests: u64,
    /// How long it took.
    pub(crate) seconds: f64,
    #[serde(skip)]
    pub(crate) counts: Vec<Counts>,
    /// Recordings and bytes transferred by this run.
    #[serde(skip)]
    pub(crate) transferred: (u64, u64),
}

impl Exported {
    /// Whether every day's marker is `_SUCCESS`.
    pub(crate) fn is_success(&self) -> bool {
        self.days.iter().all(|day| day.marker == Some(Marker::Success))
    }
}

pub(crate) async fn run(args: Export, given: &Given) -> Result<ExitCode, Failure> {
    let flags = [
        ("GENESYS_URL", args.genesys_url.as_deref()),
        ("ARCHIVE", args.archive.as_deref()),
        ("LEDGER", args.ledger.as_deref()),
    ];
    let settings = given.settings(Need::Source, &flags)?;
    let exported = export(settings, args.from, args.to, args.json).await?;
    if args.json {
        screen::json(&exported);
    } else {
        show(&exported);
    }
    Ok(ExitCode::from(u8::from(!exported.is_success())))
}

/// Exports the days `from` to `to`, both included.
pub(crate) async fn export(settings: Settings, from: Day, to: Day, quiet: bool) -> Result<Exported, Failure> {
    if to < from {
        return Err(Failure::usage(format!("--to {to} is before --from {from}")));
    }
    let days = from.through(to);
    let connected = Box::pin(Connected::open(settings)).await?;
    let begun = connected.house.clock.now();
    refuse_unfinished(&connected.house, to)?;
    let progress = Progress::new(quiet);
    let ended = tokio::select! {
        ended = work(&connected, &days, begun, &progress) => ended,
        () = interrupted() => Err(Failure::stopped("interrupted: run it again and it goes on where it was")),
    };
    progress.finish();
    ended?;
    summary(&connected, &days, begun, progress.transferred()).await
}

async fn work(connected: &Connected, days: &[Day], begun: Timestamp, progress: &Progress) -> Result<(), Failure> {
    // A refused sign-in is told before anything is planned.
    connected.client.sign_in().await.map_err(Fault::from)?;
    let (stages, ledger) = (connected.stages(), &connected.house.ledger);
    let (unfinished, closed) = by_state(&connected.house, days).await?;
    // One after the other: a process that is killed again and again would else look at closed days each time it begins, and
    // never come to the others.
    for days in [unfinished, closed].iter().filter(|days| !days.is_empty()) {
        for day in days {
            ledger.plan_day(*day, begun).await?;
        }
        run_until_closed(&stages, days, progress).await?;
    }
    Ok(())
}

/// The days that are not closed yet, and those that are: they are looked at once more.
async fn by_state(house: &House, days: &[Day]) -> Result<(Vec<Day>, Vec<Day>), Failure> {
    let known = house.ledger.days().await?;
    let closed: HashSet<Day> = known.iter().filter(|row| row.is_terminal()).map(|row| row.day).collect();
    Ok(days.iter().partition(|day| !closed.contains(day)))
}

/// A day that is not over cannot be complete.
pub(super) fn refuse_unfinished(house: &House, last: Day) -> Result<(), Failure> {
    refuse_unfinished_at(&house.calendar, house.clock.now(), last)
}

/// The same where there is no house.
pub(super) fn refuse_unfinished_at(calendar: &Calendar, now: Timestamp, last: Day) -> Result<(), Failure> {
    if !calendar.is_over(last, now).map_err(|error| Failure::usage(error.to_string()))? {
        let zone = calendar.zone_name();
        return Err(Failure::usage(format!(
            "the day {last} is not over in {zone}: give --to a day before {}",
            calendar.day_of(now)
        )));
    }
    Ok(())
}

async fn summary(
    connected: &Connected,
    days: &[Day],
    begun: Timestamp,
    transferred: (u64, u64),
) -> Result<Exported, Failure> {
    let ledger = &connected.house.ledger;
    let (mut lines, mut all_counts) = (Vec::new(), Vec::new());
    for day in days {
        let counts = ledger.counts(*day).await?;
        if let Some(row) = ledger.day(*day).await? {
            lines.push(DayLine::of(&row, &counts));
            all_counts.push(counts);
        }
    }
    let took = connected.house.clock.now().duration_since(begun);
    let seconds = Duration::try_from(took).unwrap_or_default().as_secs_f64();
    Ok(Exported {
        days: lines,
        requests: connected.client.requests_sent(),
        seconds: (seconds * 1000.0).round() / 1000.0,
        counts: all_counts,
        transferred,
    })
}

pub(crate) fn show(exported: &Exported) {
    for (day, counts) in exported.days.iter().zip(&exported.counts) {
        screen::day(day, counts);
    }
    let (stored, bytes) = exported.transferred;
    let moved = match stored {
        0 => "nothing transferred".to_owned(),
        n => format!("{n} objects transferred ({})", indicatif::HumanBytes(bytes)),
    };
    screen::line(format!("{moved}, {} API requests, {:.1} s", exported.requests, exported.seconds));
}
