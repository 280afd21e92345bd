//! The jobs API (`infra/jobs-api/openapi.yaml`): days planned and checked over HTTP, whoever serves it.
//!
//! | module | owns |
//! |---|---|
//! | [`problem`] | refusals, as RFC 9457 wants them |
//! | `body` | the two bodies, read strictly |
//! | `download` | which days a stretch of time is, and planning them |
//! | `check` | a day looked at, and run again where it is not complete |
//!
//! From a request whose body is there to a response: no server, no authentication. Nothing that can be wrong with a
//! request may come out as anything but a 4xx with a [`Problem`]; trouble with the ledger is a 503 that says nothing of
//! the ledger. Must never do the work of a stage: it plans, and whoever runs the stages finds what is due.

mod body;
mod check;
mod download;
pub mod problem;

use std::sync::Arc;

use bytes::Bytes;
use callvault_pipeline::clock::Clock;
use callvault_pipeline::day::{Calendar, Day};
use callvault_pipeline::ledger::Ledger;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use jiff::Timestamp;
use jiff::civil::date;
use serde::Serialize;

pub use problem::Problem;

/// What every path of the API begins with.
pub const PREFIX: &str = "/genesys/scheduled-jobs/";

/// The path that plans the days of a stretch of time.
pub const DOWNLOAD: &str = "/genesys/scheduled-jobs/download_recordings";

/// The path that checks a day.
pub const CHECK: &str = "/genesys/scheduled-jobs/check_recordings";

/// Longest body, in bytes: many times what either of them needs.
pub const MOST_BYTES: usize = 16 * 1024;

/// Most days of one request: a leap year, as many as one event of query-conversations may name.
pub const MOST_DAYS: usize = 366;

/// No day before this one is planned. The vendor's cloud is younger: what is older is a slip of the pen.
pub const EARLIEST: Day = Day::new(date(2000, 1, 1));

/// The jobs API over its ports.
#[derive(Clone)]
pub struct Jobs {
    /// Where days are planned.
    pub ledger: Arc<dyn Ledger>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Days.
    pub calendar: Calendar,
}

impl Jobs {
    /// Answers a request. Whoever may ask must be known already.
    pub async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        self.handle(&request).await.unwrap_or_else(|problem| problem.response())
    }

    async fn handle(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, Problem> {
        let path = request.uri().path();
        if ![DOWNLOAD, CHECK].contains(&path) {
            return Err(problem::not_found());
        }
        if request.method() != Method::POST {
            let problem =
                Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "only POST is allowed here");
            return Err(problem.with_header(ALLOW, HeaderValue::from_static("POST")));
        }
        if request.body().len() > MOST_BYTES {
            return Err(Problem::too_large(MOST_BYTES));
        }
        if !is_json(request.headers()) {
            let (status, code) = (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type");
            return Err(Problem::new(
                status,
                code,
                "send the body as JSON, with the header `content-type: application/json`",
            ));
        }
        match path {
            DOWNLOAD => self.download(body::read(request.body())?).await,
            _ => self.check(body::read(request.body())?).await,
        }
    }

    /// Refuses a day that cannot be planned: one that is not over cannot be complete.
    fn plannable(&self, day: Day, now: Timestamp) -> Result<(), Problem> {
        if day < EARLIEST {
            return Err(Problem::bad(
                "day-too-early",
                format!("the day {day} is before {EARLIEST}, the earliest there is"),
            ));
        }
        // What lies at the end of the calendar is not over either.
        if self.calendar.is_over(day, now).unwrap_or(false) {
            return Ok(());
        }
        let (zone, today) = (self.calendar.zone_name(), self.calendar.day_of(now));
        Err(Problem::bad("day-not-over", format!("the day {day} is not over in {zone}: name days before {today}")))
    }
}

/// Whether the body is said to be JSON, once and clearly. Parameters such as `charset` change nothing: JSON is UTF-8.
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(first), None) = (types.next(), types.next()) else { return false };
    let essence = first.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// An answer that is not a refusal.
fn json(status: StatusCode, content: &impl Serialize) -> Response<Bytes> {
    let text = serde_json::to_vec(content).unwrap_or_default();
    callvault_http::response(status, "application/json", text.into())
}
