//! Progress on stderr: bars on a terminal, a plain line now and then otherwise, nothing with `--json`.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use callvault_pipeline::ledger::Stage;
use callvault_pipeline::stages::Report;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

/// How progress is shown.
enum Shown {
    Bar(ProgressBar),
    Lines,
    Nothing,
}

#[derive(Default)]
struct Totals {
    found: u64,
    jobs: u64,
    stored: u64,
    bytes: u64,
    parked: u64,
    said: u64,
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { found, jobs, stored, bytes, parked, .. } = self;
        let bytes = HumanBytes(*bytes);
        write!(
            f,
            "{found} conversations found, {jobs} jobs done, {stored} recordings stored ({bytes}), {parked} parked"
        )
    }
}

/// What has been done so far in this run.
pub(crate) struct Progress {
    shown: Shown,
    totals: Mutex<Totals>,
}

/// A plain line is said after this many more stored recordings.
const A_LINE_EVERY: u64 = 250;

impl Progress {
    /// Shows progress, unless told not to.
    pub(crate) fn new(quiet: bool) -> Self {
        let shown = if quiet {
            Shown::Nothing
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            Shown::Bar(bar)
        } else {
            Shown::Lines
        };
        Self { shown, totals: Mutex::default() }
    }

    /// Adds what a run of stages did.
    pub(crate) fn add(&self, stages: &[Stage], report: &Report) {
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        totals.found += report.found;
        totals.stored += report.stored;
        totals.bytes += report.bytes;
        totals.parked += report.parked;
        if stages.contains(&Stage::Poll) {
            totals.jobs += report.settled;
        }
        self.show(&mut totals);
    }

    /// Recordings stored and bytes transferred in this run.
    pub(crate) fn transferred(&self) -> (u64, u64) {
        let totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        (totals.stored, totals.bytes)
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }

    #[expect(clippy::print_stderr, reason = "progress is for people")]
    fn show(&self, totals: &mut Totals) {
        match &self.shown {
            Shown::Bar(bar) => bar.set_message(totals.to_string()),
            Shown::Lines if totals.stored >= totals.said + A_LINE_EVERY => {
                eprintln!("{totals}");
                totals.said = totals.stored;
            }
            Shown::Lines | Shown::Nothing => {}
        }
    }
}
