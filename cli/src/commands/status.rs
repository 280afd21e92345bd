//! `callvault status`: what the ledger knows of days.

use std::collections::BTreeMap;
use std::process::ExitCode;

use callvault_bootstrap::settings::Need;
use callvault_pipeline::ledger::notification::{Channel, NotificationFact, NotificationState};
use callvault_pipeline::ledger::voicemail::VoicemailCounts;
use callvault_pipeline::ledger::{Carried, DayStatus, Fact, Row};
use indicatif::HumanBytes;
use serde::Serialize;

use crate::args::Status;
use crate::connect::{Given, look_at_ledger};
use crate::failure::Failure;
use crate::screen;

#[derive(Serialize)]
struct Shown {
    days: Vec<ShownDay>,
    /// All voicemail; none where only a day is asked for, or there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    voicemail: Option<VoicemailCounts>,
}

#[derive(Serialize)]
struct ShownDay {
    #[serde(flatten)]
    day: DayStatus,
    /// None where nobody was to be told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notifications: Vec<ShownNotification>,
}

#[derive(Serialize)]
struct ShownNotification {
    generation: u32,
    state: &'static str,
    told: BTreeMap<Channel, Carried>,
    tries: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl ShownNotification {
    fn of(row: Row) -> Option<Self> {
        let (state, tries) = (row.state_word(), row.tries);
        let Fact::Notification(fact) = row.fact else { return None };
        let NotificationFact { summary, told, detail, .. } = *fact;
        Some(Self { generation: summary.generation, state, told, tries, detail })
    }
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
    let voicemail = match args.day {
        None => Some(ledger.voicemail_counts().await?).filter(|counts| *counts != VoicemailCounts::default()),
        Some(_) => None,
    };
    let mut shown = Shown { days: Vec::new(), voicemail };
    for row in &rows {
        let counts = ledger.counts(row.day).await?;
        let notifications = ledger.notifications(row.day).await?;
        let notifications = notifications.into_iter().filter_map(ShownNotification::of).collect();
        shown.days.push(ShownDay { day: DayStatus::of(row, counts), notifications });
    }
    if args.json {
        screen::json(&shown);
    } else {
        if shown.days.is_empty() {
            screen::line("no days yet");
        }
        for ShownDay { day, notifications } in &shown.days {
            screen::day(&day.line, &day.counts);
            show_unfinished(day);
            notifications.iter().for_each(show_untold);
        }
        if let Some(counts) = &shown.voicemail {
            show_voicemail(counts);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A notification that somebody did not get, or not yet.
fn show_untold(notification: &ShownNotification) {
    let ShownNotification { generation, state, tries, detail, .. } = notification;
    if *state != NotificationState::Sent.word() {
        let why = detail.as_deref().unwrap_or("not tried yet");
        screen::line(format!("            notification of generation {generation} {state} after {tries} tries: {why}"));
    }
}

fn show_voicemail(counts: &VoicemailCounts) {
    let listed = |by: &BTreeMap<String, u64>| {
        let all: Vec<String> = by.iter().map(|(word, n)| format!("{n} {word}")).collect();
        if all.is_empty() { "none".to_owned() } else { all.join(", ") }
    };
    screen::line(format!(
        "voicemail   {} messages: {} ({})",
        counts.messages,
        listed(&counts.messages_by_state),
        HumanBytes(counts.bytes)
    ));
    screen::line(format!("            {} notices: {}", counts.notices, listed(&counts.notices_by_state)));
    if counts.orders_due > 0 {
        screen::line(format!("            {} wait for something to be done at the source", counts.orders_due));
    }
    if !counts.orders_refused.is_empty() {
        screen::line(format!("            not done at the source: {}", listed(&counts.orders_refused)));
    }
    screen::reasons(&counts.by_reason);
}

/// What a day that is not closed waits for.
fn show_unfinished(day: &DayStatus) {
    if day.line.marker.is_some() {
        return;
    }
    let unfinished = |states: &BTreeMap<String, u64>, words: &[&str]| {
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
