//! Checks and how they are shown.

use serde::Serialize;

use crate::screen;

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// It is there.
    Ok,
    /// It is not there, and something will not work.
    Missing,
    /// Nobody could tell.
    Unknown,
    /// It was not looked at, or is not needed.
    Skipped,
}

/// One check. The names of the fields are fixed: scripts read them.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    name: &'static str,
    outcome: Outcome,
    needed_for: &'static str,
    detail: String,
    /// What to do; empty where there is nothing to do.
    advice: String,
}

impl Check {
    fn new(name: &'static str, outcome: Outcome, needed_for: &'static str, detail: impl Into<String>) -> Self {
        Self { name, outcome, needed_for, detail: detail.into(), advice: String::new() }
    }

    pub(super) fn ok(name: &'static str, needed_for: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, Outcome::Ok, needed_for, detail)
    }

    pub(super) fn missing(name: &'static str, needed_for: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, Outcome::Missing, needed_for, detail)
    }

    pub(super) fn unknown(name: &'static str, needed_for: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, Outcome::Unknown, needed_for, detail)
    }

    pub(super) fn skipped(name: &'static str, needed_for: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, Outcome::Skipped, needed_for, detail)
    }

    /// Says what to do.
    pub(super) fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: advice.into(), ..self }
    }
}

/// All checks.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    checks: Vec<Check>,
}

impl Report {
    pub(super) fn add(&mut self, check: Check) {
        self.checks.push(check);
    }

    /// Whether nothing is missing.
    pub(super) fn is_ok(&self) -> bool {
        self.checks.iter().all(|check| check.outcome != Outcome::Missing)
    }

    /// Shows everything: a table for people, or one JSON object.
    pub(super) fn show(&self, json: bool) {
        if json {
            return screen::json(&serde_json::json!({ "checks": self.checks, "ok": self.is_ok() }));
        }
        let width = self.checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
        for check in &self.checks {
            let word = match check.outcome {
                Outcome::Ok => "ok",
                Outcome::Missing => "MISSING",
                Outcome::Unknown => "unknown",
                Outcome::Skipped => "skipped",
            };
            screen::line(format!("{word:<8} {:<width$}  {}", check.name, one_line(&check.detail)));
            if check.outcome == Outcome::Missing {
                screen::line(format!("{:<8} {:<width$}  needed for {}", "", "", check.needed_for));
            }
            if !check.advice.is_empty() {
                screen::line(format!("{:<8} {:<width$}  -> {}", "", "", one_line(&check.advice)));
            }
        }
        let missing = self.checks.iter().filter(|check| check.outcome == Outcome::Missing).count();
        screen::line(match missing {
            0 => "nothing is missing".to_owned(),
            1 => "1 thing is missing".to_owned(),
            n => format!("{n} things are missing"),
        });
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
