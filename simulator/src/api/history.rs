//! Analytics history: details jobs, for days the synchronous query no longer reaches.
//!
//! A job returns everything with activity in its interval, so a conversation shows in every interval it touches, but
//! nothing newer than the data that has arrived: a day behind the clock.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Call;
use super::conversations::Interval;
use crate::analytics::{self, iso};
use crate::answer::Answer;
use crate::faults::FaultName;
use crate::filters::Filters;
use crate::lock;
use crate::world::World;

const DEFAULT_PAGE: usize = 1_000;
const LARGEST_PAGE: usize = 10_000;
const LONGEST: SignedDuration = SignedDuration::from_hours(31 * 24);

/// One details job.
#[derive(Debug)]
pub(crate) struct Export {
    submitted: Duration,
    submitted_at: Timestamp,
    lasts: Duration,
    available_until: Timestamp,
    rows: Vec<usize>,
}

/// Data is there until a day before now.
fn available_until(world: &World) -> Timestamp {
    world.clock.now() - SignedDuration::from_hours(24)
}

pub(crate) fn availability(world: &World) -> Answer {
    Answer::ok(&json!({ "dataAvailabilityDate": iso(available_until(world)) }))
}

pub(crate) fn submit(world: &World, call: &Call<'_>) -> Result<Answer, Answer> {
    let body = call.json()?;
    let interval = Interval::read(&body)?;
    if interval.end.duration_since(interval.start) > LONGEST {
        return Err(Answer::bad_request("The interval may not be longer than 31 days"));
    }
    let filters = Filters::read(&body).map_err(|sentence| Answer::bad_request(&sentence))?;
    let available_until = available_until(world);
    let org = &world.org;
    let active = |index: &usize| {
        let conversation = &org.conversations[*index];
        conversation.start < available_until
            && conversation.end.is_none_or(|end| end > interval.start)
            && (filters.is_empty() || filters.accept(&analytics::row(conversation, &org.places)))
    };
    let rows = org.started(Timestamp::MIN, interval.end).filter(active).collect();
    let export = Export {
        submitted: world.clock.age(),
        submitted_at: world.clock.now(),
        lasts: Duration::from_millis(world.chance(|chance| chance.between(1_000, 2_000))),
        available_until,
        rows,
    };
    let id = world.uuid();
    lock(&world.exports).insert(id.clone(), export);
    Ok(Answer::json(StatusCode::ACCEPTED, &json!({ "jobId": id })))
}

fn unknown() -> Answer {
    Answer::not_found("The requested job was not found")
}

impl Export {
    fn state(&self, age: Duration) -> &'static str {
        let passed = age.saturating_sub(self.submitted);
        if passed >= self.lasts {
            "FULFILLED"
        } else if passed >= self.lasts / 3 {
            "PENDING"
        } else {
            "QUEUED"
        }
    }
}

pub(crate) fn status(world: &World, call: &Call<'_>, id: &str) -> Result<Answer, Answer> {
    let mut exports = lock(&world.exports);
    if call.struck.by(FaultName::ForgottenJob) {
        exports.remove(id);
    }
    let export = exports.get(id).ok_or_else(unknown)?;
    let state = export.state(world.clock.age());
    let mut body = json!({ "state": state, "submissionDate": iso(export.submitted_at) });
    if state == "FULFILLED" {
        body["completionDate"] = iso(export.submitted_at + export.lasts).into();
        let expires = export.submitted_at + SignedDuration::from_hours(24);
        body["expirationDate"] = iso(expires).into();
    }
    Ok(Answer::ok(&body))
}

pub(crate) fn results(world: &World, call: &Call<'_>, id: &str) -> Result<Answer, Answer> {
    let exports = lock(&world.exports);
    let export = exports.get(id).ok_or_else(unknown)?;
    if export.state(world.clock.age()) != "FULFILLED" {
        return Err(Answer::bad_request("The job has not completed yet"));
    }
    let size = match call.parameter("pageSize") {
        None => DEFAULT_PAGE,
        Some(text) => match text.parse() {
            Ok(size @ 1..=LARGEST_PAGE) => size,
            _ => return Err(Answer::bad_request(&format!("Invalid pageSize [{text}]"))),
        },
    };
    let from = match call.parameter("cursor") {
        None => 0,
        Some(cursor) => offset(&cursor, id).ok_or_else(|| Answer::bad_request("Invalid cursor"))?,
    };
    let to = from.saturating_add(size).min(export.rows.len());
    let shown: Vec<Value> = export
        .rows
        .get(from..to)
        .unwrap_or_default()
        .iter()
        .map(|&index| analytics::row(&world.org.conversations[index], &world.org.places))
        .collect();
    let mut body = json!({ "dataAvailabilityDate": iso(export.available_until) });
    if !shown.is_empty() {
        body["conversations"] = shown.into();
    }
    if to < export.rows.len() {
        body["cursor"] = URL_SAFE_NO_PAD.encode(format!("{id}/{to}")).into();
    }
    Ok(Answer::ok(&body))
}

/// Cursors belong to their job.
fn offset(cursor: &str, id: &str) -> Option<usize> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    text.strip_prefix(id)?.strip_prefix('/')?.parse().ok()
}

pub(crate) fn delete(world: &World, id: &str) -> Result<Answer, Answer> {
    lock(&world.exports).remove(id).ok_or_else(unknown)?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}
