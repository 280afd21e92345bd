//! Analytics: the synchronous query, with its rules and its pages, and single conversations.
//!
//! Owns what an interval means here: whole UTC days touched by it, whatever its hours (genesys/api.md). Only with a
//! `result_limit` below the default does a shorter interval narrow the answer, see `Options::result_limit`.

use std::sync::Arc;

use hyper::StatusCode;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde_json::{Value, json};

use super::Call;
use crate::analytics;
use crate::answer::Answer;
use crate::faults::FaultName;
use crate::filters::Filters;
use crate::lock;
use crate::options::DEFAULT_RESULT_LIMIT;
use crate::world::World;

const DEFAULT_PAGE: u64 = 25;
const LARGEST_PAGE: u64 = 100;
const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Queries whose rows are kept for their next pages.
const KEPT_QUERIES: usize = 64;

/// Where an interval begins and ends, the end not included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Interval {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
}

impl Interval {
    /// Reads `interval` of a query's body.
    pub(crate) fn read(body: &Value) -> Result<Self, Answer> {
        let Some(text) = body.get("interval").and_then(Value::as_str) else {
            return Err(Answer::bad_request("Missing required field [interval]"));
        };
        let malformed = || {
            Answer::error(
                StatusCode::BAD_REQUEST,
                "invalid.date",
                &format!(
                    "Invalid interval [{text}]. Intervals must be ISO-8601 strings, for example yyyy-MM-ddTHH:mm:ss.SSSZ/yyyy-MM-ddTHH:mm:ss.SSSZ"
                ),
            )
        };
        let (start, end) = text.split_once('/').ok_or_else(malformed)?;
        let (start, end) = (moment(start).ok_or_else(malformed)?, moment(end).ok_or_else(malformed)?);
        if end <= start {
            return Err(malformed());
        }
        Ok(Self { start, end })
    }

    /// The whole UTC days touched.
    fn days(self) -> Option<Self> {
        let start = self.start.to_zoned(TimeZone::UTC).start_of_day().ok()?;
        let last = (self.end - 1.millisecond()).to_zoned(TimeZone::UTC).start_of_day().ok()?;
        let end = last.checked_add(1.day()).ok()?;
        Some(Self { start: start.timestamp(), end: end.timestamp() })
    }
}

/// A time with an offset, or without one, which then is UTC.
fn moment(text: &str) -> Option<Timestamp> {
    text.parse::<Timestamp>().ok().or_else(|| {
        let local: jiff::civil::DateTime = text.parse().ok()?;
        Some(local.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })
}

/// `POST /api/v2/analytics/conversations/details/query`.
pub(crate) fn query(world: &World, call: &Call<'_>) -> Result<Answer, Answer> {
    let body = call.json()?;
    let interval = Interval::read(&body)?;
    let length = interval.end.duration_since(interval.start);
    if length > LONGEST {
        return Err(Answer::bad_request("The interval may not be longer than 7 days"));
    }
    let reach = SignedDuration::from_hours(24 * world.options.query_reach_days);
    if world.clock.now().duration_since(interval.start) > reach {
        return Err(Answer::error(
            StatusCode::BAD_REQUEST,
            "date.range.too.old",
            &format!("The interval may not start more than {} days ago", world.options.query_reach_days),
        ));
    }
    let (size, number) = paging(&body)?;
    let limit = world.options.result_limit;
    if size.saturating_mul(number) > limit {
        return Err(Answer::bad_request(&format!(
            "Pagination may not exceed {limit} results. Tip: Query analytics in smaller intervals"
        )));
    }
    let short = limit < DEFAULT_RESULT_LIMIT && length < SignedDuration::from_hours(24);
    let range = if short { Some(interval) } else { interval.days() };
    let rows = rows(world, &body, range.unwrap_or(interval))?;
    Ok(page(world, call, &rows, size as usize, number as usize))
}

fn paging(body: &Value) -> Result<(u64, u64), Answer> {
    let paging = body.get("paging").cloned().unwrap_or(Value::Null);
    let field = |name: &str, default: u64| match paging.get(name) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => match value.as_u64() {
            Some(number) if number > 0 => Ok(number),
            _ => Err(Answer::bad_request(&format!("Value [{value}] is not valid for field [{name}]"))),
        },
    };
    let (size, number) = (field("pageSize", DEFAULT_PAGE)?, field("pageNumber", 1)?);
    if size > LARGEST_PAGE {
        return Err(Answer::bad_request(&format!("The page size may not exceed {LARGEST_PAGE}")));
    }
    Ok((size, number))
}

/// Indexes of the matching conversations, in the wanted order.
fn rows(world: &World, body: &Value, range: Interval) -> Result<Arc<Vec<usize>>, Answer> {
    let filters = Filters::read(body).map_err(|sentence| Answer::bad_request(&sentence))?;
    let word = |name: &str, default: &'static str| body.get(name).and_then(Value::as_str).unwrap_or(default).to_owned();
    let (order, by) = (word("order", "asc"), word("orderBy", "conversationStart"));
    if !["asc", "desc", "unordered"].contains(&order.as_str()) {
        return Err(Answer::bad_request(&format!("Unknown order [{order}]")));
    }
    let by_end = match by.as_str() {
        "conversationStart" | "segmentStart" => false,
        "conversationEnd" | "segmentEnd" => true,
        _ => return Err(Answer::bad_request(&format!("Unknown orderBy [{by}]"))),
    };
    let mut key = body.clone();
    if let Some(fields) = key.as_object_mut() {
        fields.remove("paging");
    }
    let key = key.to_string();
    if let Some(known) = lock(&world.rows).get(&key) {
        return Ok(Arc::clone(known));
    }
    let org = &world.org;
    let mut rows: Vec<usize> = org.started(range.start, range.end).collect();
    if !filters.is_empty() {
        rows.retain(|&index| filters.accept(&analytics::row(&org.conversations[index], &org.places)));
    }
    if by_end {
        rows.sort_by_key(|&index| org.conversations[index].end.unwrap_or(Timestamp::MAX));
    }
    if order == "desc" {
        rows.reverse();
    }
    let rows = Arc::new(rows);
    let mut kept = lock(&world.rows);
    if kept.len() >= KEPT_QUERIES {
        kept.clear();
    }
    kept.insert(key, Arc::clone(&rows));
    Ok(rows)
}

fn page(world: &World, call: &Call<'_>, rows: &[usize], size: usize, number: usize) -> Answer {
    let first = size.saturating_mul(number - 1);
    let (mut from, mut total) = (first, rows.len());
    let mut to = first.saturating_add(size);
    if number > 1 && first < rows.len() && call.struck.by(FaultName::ShiftingPages) {
        if world.chance(|chance| chance.happens(0.5)) {
            // A row has appeared before this page: the last row of the page before comes again.
            (from, to, total) = (first - 1, to - 1, total + 1);
        } else {
            // A row has vanished before this page: everything moves up, and one row is on no page.
            (from, to, total) = (first + 1, to + 1, total - 1);
        }
    }
    let shown = rows.get(from.min(rows.len())..to.min(rows.len())).unwrap_or_default();
    let shown: Vec<Value> =
        shown.iter().map(|&index| analytics::row(&world.org.conversations[index], &world.org.places)).collect();
    let mut body = json!({ "totalHits": total });
    if !shown.is_empty() {
        body["conversations"] = shown.into();
    }
    Answer::ok(&body)
}

/// `GET /api/v2/analytics/conversations/{id}/details`.
pub(crate) fn details(world: &World, id: &str) -> Result<Answer, Answer> {
    let found = world.org.conversation(id).ok_or_else(|| Answer::not_found("Conversation not found"))?;
    Ok(Answer::ok(&analytics::row(found, &world.org.places)))
}

/// `GET /api/v2/analytics/conversations/details?id=a,b`: unknown ids are left out.
pub(crate) fn details_of_many(world: &World, call: &Call<'_>) -> Answer {
    let ids = call.parameter("id").unwrap_or_default();
    let found: Vec<Value> = ids
        .split(',')
        .filter_map(|id| world.org.conversation(id.trim()))
        .map(|conversation| analytics::row(conversation, &world.org.places))
        .collect();
    Answer::ok(&json!({ "conversations": found }))
}
