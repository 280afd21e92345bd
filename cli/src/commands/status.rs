//! `callvault status`: what the ledger knows of days.

use std::process::ExitCode;

use callvault_bootstrap::settings::Need;
use callvault_pipeline::ledger::Counts;
use serde::Serialize;

use crate::args::Status;
use crate::connect::{Given, look_at_ledger};
use crate::failure::Failure;
use crate::screen::{self, DayLine};

#[derive(Serialize)]
struct Shown {
    days: Vec<DayShown>,
}

#[derive(Serialize)]
struct DayShown {
    #[serde(flatten)]
    line: DayLine,
    counts: Counts,
}

pub(crate) async fn run(args: Status, given: &Given) -> Result<ExitCode, Failure> {
    let settings = given.settings(Need::Nothing, &[("LEDGER", args.ledger.as_deref())])?;
    let ledger = look_at_ledger(&settings).await?;
    let mut rows = ledger.days().await?;
    if let Some(day) = args.day {
        rows.retain(|row| row.day == day);
        if rows.is_empty() {
            return Err(Failure::usage(format!("the ledger does not know the day {day}: export it first")));
        }
    }
    let mut shown = Shown { days: Vec::new() };
    for row in &rows {
        let counts = ledger.counts(row.day).await?;
        shown.days.push(DayShown { line: DayLine::of(row, &counts), counts });
    }
    if args.json {
        screen::json(&shown);
    } else if shown.days.is_empty() {
        screen::line("no days yet");
    } else {
        for day in &shown.days {
            day.line.show(&day.counts);
            show_unfinished(day);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What a day that is not closed waits for.
fn show_unfinished(day: &DayShown) {
    if day.line.marker.is_some() {
        return;
    }
    let unfinished = |states: &std::collections::BTreeMap<String, u64>, words: &[&str]| {
        let named: Vec<String> =
            words.iter().filter_map(|word| states.get(*word).map(|n| format!("{n} {word}"))).collect();
        if named.is_empty() { "none".to_owned() } else { named.join(", ") }
    };
    screen::line(format!(
        "            under way: conversations {}; recordings {}",
        unfinished(&day.counts.conversations_by_state, &["found", "submitted", "delivered"]),
        unfinished(&day.counts.recordings_by_state, &["pending", "waiting"]),
    ));
}
