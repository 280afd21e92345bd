//! `query-conversations`: plans days, and finds the conversations of those that are due.
//!
//! A daily timer plans; a frequent one goes on with what is planned; a person or another program names days. See
//! [`callvault_bootstrap::lambda::event`] for the events, [`callvault_pipeline::schedule`] for which days a schedule plans.

use callvault_bootstrap::lambda::Function;
use callvault_bootstrap::lambda::event::{self, Accepts, Event};
use callvault_bootstrap::lambda::refusal::Refusal;
use callvault_bootstrap::lambda::work::Work;
use callvault_bootstrap::wiring;
use callvault_pipeline::day::Day;
use callvault_pipeline::ledger::Stage;
use serde_json::{Value, json};

/// The environment variables it reads.
pub const SETTINGS: &[&str] = &[
    "LEDGER",
    "ARCHIVE",
    "ENVIRONMENT",
    "KEY_LAYOUT",
    "TIMEZONE",
    "LOG_LEVEL",
    "GENESYS_REGION",
    "GENESYS_SECRET_ID",
    "LAG_DAYS",
    "SKIP_WEEKDAYS",
    "RESCAN_DAYS",
    "QUEUE_IDS",
    "REQUIRE_AGENT",
    "RECORDED_ONLY",
    "METADATA",
    "PAGE_SIZE",
];

/// The function.
pub const FUNCTION: Function =
    Function { name: "query-conversations", stages: &[Stage::Query], settings: SETTINGS, source: true, archive: true };

/// Plans what the event says, then queries day after day until none is due or time is up.
///
/// # Errors
/// [`Refusal`]: the event is malformed, a day is not over, the sign-in is refused, ledger or archive cannot be used.
pub async fn handle(event: &Value, work: &mut Work<'_>) -> Result<Value, Refusal> {
    let planned = match event::read(event, Accepts::Days)? {
        Event::Timer { plan: true } => by_schedule(work).await?,
        Event::Days(days) => over(days, work)?,
        Event::Timer { plan: false } | Event::Stream(_) | Event::Sweep | Event::Voicemail(_) => Vec::new(),
    };
    for day in &planned {
        work.house.ledger.plan_day(*day, work.house.clock.now()).await?;
    }
    if let (Some(first), Some(last)) = (planned.first(), planned.last()) {
        tracing::info!(days = planned.len(), "planned {} days, {first} to {last}", planned.len());
    }
    let source = work.source()?;
    let (conversations, recordings) = (source.conversations.clone(), source.recordings.clone());
    let query = wiring::query(&work.parts().settings, &work.house, conversations, recordings);
    work.repeat(async || query.run().await).await?;
    let mut outcome = work.outcome();
    outcome["planned"] = json!(planned);
    Ok(outcome)
}

/// What the schedule plans now.
async fn by_schedule(work: &Work<'_>) -> Result<Vec<Day>, Refusal> {
    let days = work.house.ledger.days().await?;
    let schedule = &work.parts().settings.schedule;
    let planned = schedule.planned(&work.house.calendar, &days, work.house.clock.now());
    let planned = planned.map_err(|error| Refusal::settings(error.to_string()))?;
    for (day, why) in &planned {
        tracing::info!(%day, why = why.as_str(), "planned {day}: {}", why.as_str());
    }
    Ok(planned.into_iter().map(|(day, _)| day).collect())
}

/// The days, if all of them are over: one that is not cannot be complete.
fn over(days: Vec<Day>, work: &Work<'_>) -> Result<Vec<Day>, Refusal> {
    let (calendar, now) = (&work.house.calendar, work.house.clock.now());
    for day in &days {
        if !calendar.is_over(*day, now).map_err(|error| Refusal::malformed(error.to_string()))? {
            let (zone, today) = (calendar.zone_name(), calendar.day_of(now));
            return Err(Refusal::malformed(format!("the day {day} is not over in {zone}: name days before {today}")));
        }
    }
    Ok(days)
}
