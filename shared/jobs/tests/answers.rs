//! What the jobs API answers, over a ledger in memory: each right request, each wrong one, and anything at all.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests stop the test")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use callvault_jobs::problem::CODES;
use callvault_jobs::{CHECK, DOWNLOAD, EARLIEST, Jobs, MOST_BYTES, MOST_DAYS};
use callvault_pipeline::clock::Clock;
use callvault_pipeline::day::{Calendar, Day};
use callvault_pipeline::ledger::machine::{Closing, Settlement};
use callvault_pipeline::ledger::memory::MemoryLedger;
use callvault_pipeline::ledger::{Fact, Ledger, Marker, Stage, StoredObject};
use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_json::{Value, json};

/// In Lima it is 09:00 on 21 January 2026.
const NOW: &str = "2026-01-21T14:00:00Z";

#[derive(Debug)]
struct Still;

#[async_trait]
impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW.parse().unwrap()
    }

    async fn sleep(&self, _: Duration) {}
}

struct World {
    ledger: MemoryLedger,
    jobs: Jobs,
}

struct Answer {
    status: u16,
    content_type: String,
    allow: Option<String>,
    body: Value,
}

impl World {
    fn new() -> Self {
        let ledger = MemoryLedger::new();
        let calendar = Calendar::new(TimeZone::get("America/Lima").unwrap());
        let jobs = Jobs { ledger: Arc::new(ledger.clone()), clock: Arc::new(Still), calendar };
        Self { ledger, jobs }
    }

    async fn ask(&self, method: &str, path: &str, content_type: Option<&str>, body: impl Into<Bytes>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(value) = content_type {
            request = request.header("content-type", value);
        }
        read(&self.jobs.answer(request.body(body.into()).unwrap()).await)
    }

    async fn post(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.ask("POST", path, Some("application/json"), body).await
    }

    async fn download(&self, start: &str, end: &str) -> Answer {
        self.post(DOWNLOAD, json!({ "startTime": start, "endTime": end }).to_string()).await
    }

    async fn check(&self, day: &str) -> Answer {
        self.post(CHECK, json!({ "recordingDay": day }).to_string()).await
    }

    async fn days(&self) -> Vec<String> {
        self.ledger.days().await.unwrap().iter().map(|row| row.day.to_string()).collect()
    }

    /// Closes the one day that is planned.
    async fn close(&self, marker: Marker) {
        let now = Still.now();
        for (stage, settlement) in [
            (Stage::Query, Settlement::Queried),
            (
                Stage::Close,
                Settlement::Closed(Box::new(Closing::alone("2026-01-20".parse().unwrap(), 1, marker, manifest()))),
            ),
        ] {
            let rows = self.ledger.claim(stage, 9, Duration::from_secs(60), now).await.unwrap();
            let [row] = &rows[..] else { panic!("{} rows are due", rows.len()) };
            self.ledger.settle(&row.key, row.attempt, settlement, now).await.unwrap();
        }
    }
}

fn manifest() -> StoredObject {
    StoredObject {
        key: "prod/2026-01-20/manifest-0001.jsonl".parse().unwrap(),
        bytes: 1,
        sha256: "0".repeat(64),
        content_type: None,
        job: None,
        stored_at: Still.now(),
    }
}

/// Every answer is JSON; every refusal is a problem with a known code, and says nothing that is only ours.
#[track_caller]
fn read(response: &Response<Bytes>) -> Answer {
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    let status = response.status().as_u16();
    let content_type = header("content-type").unwrap();
    if status >= 400 {
        assert_eq!(content_type, "application/problem+json");
        let mut members: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
        members.sort_unstable();
        assert_eq!(members, ["code", "detail", "status", "title", "type"]);
        assert_eq!((&body["type"], &body["status"]), (&json!("about:blank"), &json!(status)));
        assert_eq!(body["title"], StatusCode::from_u16(status).unwrap().canonical_reason().unwrap());
        assert!(CODES.contains(&body["code"].as_str().unwrap()), "{body}");
        assert!(body["detail"].as_str().unwrap().chars().count() < 400, "{body}");
    }
    Answer { status, content_type, allow: header("allow"), body }
}

#[tokio::test]
async fn a_stretch_plans_every_day_it_touches() {
    let world = World::new();
    let answer = world.download("2026-01-18T00:00:00-05:00", "2026-01-20T00:00:00-05:00").await;
    assert_eq!((answer.status, &answer.content_type[..]), (202, "application/json"));
    assert_eq!(answer.body, json!({ "days": ["2026-01-18", "2026-01-19"] }));
    assert_eq!(world.days().await, ["2026-01-18", "2026-01-19"]);
    let again = world.download("2026-01-18T00:00:00-05:00", "2026-01-20T00:00:00-05:00").await;
    assert_eq!((again.status, again.body), (202, answer.body));
    // The same instants in another zone are the days of ours.
    let answer = world.download("2026-01-20T05:00:00Z", "2026-01-21T05:00:00Z").await;
    assert_eq!(answer.body, json!({ "days": ["2026-01-20"] }));
    assert_eq!(world.days().await.len(), 3);
}

#[tokio::test]
async fn a_day_that_is_not_over_plans_nothing() {
    let world = World::new();
    let answer = world.download("2026-01-19T00:00:00-05:00", "2026-01-21T00:00:00.001-05:00").await;
    assert_eq!((answer.status, &answer.body["code"]), (400, &json!("day-not-over")));
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains("2026-01-21") && detail.contains("America/Lima"), "{detail}");
    for day in ["2026-01-21", "2026-01-22", "9999-12-31"] {
        assert_eq!(world.check(day).await.body["code"], "day-not-over", "{day}");
    }
    let far = world.download("9999-12-30T00:00:00Z", "9999-12-30T22:00:00Z").await;
    assert_eq!(far.body["code"], "day-not-over");
    assert!(world.days().await.is_empty());
}

#[tokio::test]
async fn stretches_have_their_limits() {
    let world = World::new();
    let year = world.download("2024-01-01T00:00:00-05:00", "2025-01-01T00:00:00-05:00").await;
    assert_eq!((year.status, year.body["days"].as_array().unwrap().len()), (202, MOST_DAYS));
    let before = world.days().await.len();
    for (start, end, code) in [
        ("2024-01-01T00:00:00-05:00", "2025-01-01T00:00:01-05:00", "too-many-days"),
        ("2000-01-01T05:00:00Z", "2026-01-21T05:00:00Z", "too-many-days"),
        ("2026-01-20T05:00:00Z", "2026-01-20T05:00:00Z", "window-empty"),
        ("2026-01-20T05:00:00Z", "2026-01-20T00:00:00+01:00", "window-empty"),
        ("1999-12-31T05:00:00Z", "2000-01-02T05:00:00Z", "day-too-early"),
        ("0000-01-01T00:00:00Z", "9999-12-30T00:00:00Z", "day-too-early"),
    ] {
        let answer = world.download(start, end).await;
        assert_eq!((answer.status, answer.body["code"].as_str().unwrap()), (400, code), "{start} {end}");
    }
    assert_eq!(world.days().await.len(), before);
    assert_eq!(world.download("2000-01-01T05:00:00Z", "2000-01-02T05:00:00Z").await.status, 202);
    assert_eq!(EARLIEST.to_string(), "2000-01-01");
}

#[tokio::test]
async fn a_check_plans_what_is_not_known_and_leaves_alone_what_is_under_way() {
    let world = World::new();
    let first = world.check("2026-01-20").await;
    assert_eq!(
        (first.status, &first.body["outcome"], &first.body["state"]),
        (200, &json!("planned"), &json!("planned"))
    );
    let row = world.ledger.day("2026-01-20".parse().unwrap()).await.unwrap();
    let again = world.check("2026-01-20").await;
    assert_eq!((again.status, &again.body["outcome"]), (200, &json!("under-way")));
    assert_eq!(world.ledger.day("2026-01-20".parse().unwrap()).await.unwrap(), row, "nothing is changed");
}

#[tokio::test]
async fn a_check_leaves_alone_what_is_complete_and_runs_again_what_failed() {
    for (marker, outcome, state) in [(Marker::Success, "complete", "closed"), (Marker::Failure, "rerun", "planned")] {
        let world = World::new();
        world.check("2026-01-20").await;
        world.close(marker).await;
        let answer = world.check("2026-01-20").await;
        assert_eq!((answer.status, answer.body["outcome"].as_str().unwrap()), (200, outcome));
        assert_eq!(answer.body["state"], state);
        let day: Day = "2026-01-20".parse().unwrap();
        let row = world.ledger.day(day).await.unwrap().unwrap();
        assert_eq!(row.work.is_some(), marker == Marker::Failure);
        assert!(matches!(row.fact, Fact::Day(_)));
        assert_eq!(answer.body["marker"], if marker == Marker::Success { json!("_SUCCESS") } else { Value::Null });
    }
}

#[tokio::test]
async fn what_is_no_such_request_says_so() {
    let world = World::new();
    for path in
        ["/", "/genesys/scheduled-jobs/", "/genesys/scheduled-jobs/check_recordings/", "/genesys//scheduled-jobs"]
    {
        assert_eq!(world.post(path, "{}").await.status, 404, "{path}");
    }
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "BREW"] {
        for path in [CHECK, DOWNLOAD] {
            let answer = world.ask(method, path, None, "").await;
            assert_eq!((answer.status, answer.allow.as_deref()), (405, Some("POST")), "{method}");
        }
    }
    let day = r#"{"recordingDay":"2026-01-20"}"#;
    for wrong in
        [None, Some(""), Some("text/plain"), Some("application/jsonp"), Some("application/x-www-form-urlencoded")]
    {
        assert_eq!(world.ask("POST", CHECK, wrong, day).await.status, 415, "{wrong:?}");
    }
    for right in ["application/json", "Application/JSON; charset=utf-8", "application/json;charset=UTF-8"] {
        assert_eq!(world.ask("POST", CHECK, Some(right), day).await.status, 200, "{right}");
    }
    let twice = Request::post(CHECK).header("content-type", "application/json").header("content-type", "text/plain");
    let twice = world.jobs.answer(twice.body(Bytes::from_static(day.as_bytes())).unwrap()).await;
    assert_eq!(read(&twice).status, 415, "two types are none");
    let padded = |n: usize| format!("{}{day}", " ".repeat(n - day.len()));
    assert_eq!(world.post(CHECK, padded(MOST_BYTES)).await.status, 200);
    let long = world.post(CHECK, padded(MOST_BYTES + 1)).await;
    assert_eq!((long.status, &long.body["code"]), (413, &json!("body-too-large")));
}

#[tokio::test]
async fn a_body_is_one_object_with_exactly_its_fields() {
    let world = World::new();
    let deep = format!("{{\"recordingDay\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    let surrogate = r#"{"recordingDay":"\ud800"}"#;
    let bodies: Vec<Vec<u8>> = [
        "",
        " ",
        "null",
        "7",
        "\"2026-01-20\"",
        "[]",
        "[\"2026-01-20\"]",
        "{}",
        "{\"recordingDay\":null}",
        "{\"recordingDay\":20260120}",
        "{\"recordingDay\":[\"2026-01-20\"]}",
        "{\"recordingDay\":\"2026-1-20\"}",
        "{\"recordingDay\":\"2026-02-30\"}",
        "{\"recordingDay\":\"2026-01-20T00:00:00Z\"}",
        "{\"recordingDay\":\"2026-01-20\",\"recordingDay\":\"2026-01-20\"}",
        "{\"recordingDay\":\"2026-01-20\",\"more\":1}",
        "{\"recording_day\":\"2026-01-20\"}",
        "{\"RecordingDay\":\"2026-01-20\"}",
        "{\"recordingDay\":\"2026-01-20\"} {}",
        "{\"recordingDay\":\"2026-01-20\"",
        "{'recordingDay':'2026-01-20'}",
        "\u{feff}{\"recordingDay\":\"2026-01-20\"}",
        &deep,
        surrogate,
    ]
    .into_iter()
    .map(|text| text.as_bytes().to_vec())
    .chain([b"{\"recordingDay\":\"\xff\"}".to_vec(), b"\xff\xfe{\0}\0".to_vec()])
    .collect();
    for body in bodies {
        for path in [CHECK, DOWNLOAD] {
            let answer = world.post(path, body.clone()).await;
            let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
            assert_eq!((answer.status, &answer.body["code"]), (400, &json!("body-malformed")), "{shown}");
        }
    }
    assert!(world.days().await.is_empty());
    assert_eq!(world.check("2026-01-20").await.status, 200, "this is how it is done");
}

#[test]
fn the_description_names_every_code_and_limit() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/jobs-api/openapi.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, codes) = text.split_once("description: Stable.\n          enum:\n").unwrap();
    let codes: Vec<&str> = codes.lines().map_while(|line| line.strip_prefix("            - ")).collect();
    assert_eq!(codes, CODES);
    for word in [format!("at most {MOST_DAYS},"), format!("none before {EARLIEST},"), format!("{MOST_BYTES} bytes")] {
        assert!(text.contains(&word), "no `{word}`");
    }
    for path in [CHECK, DOWNLOAD] {
        assert!(text.contains(&format!("\n  {path}:\n")), "{path}");
    }
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        Just("2026-01-20".to_owned()),
        Just("2026-01-20T00:00:00Z".to_owned()),
        "[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,10})?(Z|[+-][0-9]{2}:[0-9]{2}))?",
        ".*",
    ];
    let name = prop_oneof![Just("recordingDay"), Just("startTime"), Just("endTime"), Just("more")];
    let object = proptest::collection::vec((name, text), 0..4).prop_map(|fields| {
        let fields: Vec<String> = fields.iter().map(|(name, text)| format!("\"{name}\":{}", json!(text))).collect();
        format!("{{{}}}", fields.join(",")).into_bytes()
    });
    prop_oneof![object, proptest::collection::vec(any::<u8>(), 0..64)]
}

proptest! {
    /// Whatever is sent is answered with what the description has: nothing of it is our fault, and nothing panics.
    #[test]
    fn anything_is_answered(body in any_body(), method in "[A-Z]{1,7}|POST", kind in "application/json|[ -~]{0,20}", which in 0..3_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let path = [CHECK, DOWNLOAD, "/else"][which];
        let answer = runtime.block_on(async { World::new().ask(&method, path, Some(&kind), body).await });
        prop_assert!([200, 202, 400, 404, 405, 413, 415].contains(&answer.status), "{}", answer.status);
    }
}
