//! `jobs-api`: requests of API Gateway, the ledger in trouble, and time that runs out.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use callvault_bootstrap::lambda::work::Work;
use callvault_jobs::problem::CODES;
use callvault_jobs::{CHECK, DOWNLOAD, Jobs};
use callvault_pipeline::clock::Clock;
use callvault_pipeline::day::Calendar;
use callvault_pipeline::ledger::Ledger;
use callvault_pipeline::ledger::memory::MemoryLedger;
use callvault_pipeline::stages::Shift;
use callvault_tests::fakes::TestClock;
use callvault_tests::faulty::{Fault, FaultyLedger, How, Script, When};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::world::World;

fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("events/{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Status, headers and body of an answer.
fn opened(answer: &Value) -> (u64, &Value, Value) {
    assert_eq!(answer["isBase64Encoded"], false);
    (
        answer["statusCode"].as_u64().unwrap(),
        &answer["headers"],
        serde_json::from_str(answer["body"].as_str().unwrap()).unwrap(),
    )
}

#[test]
fn requests_of_api_gateway_are_answered() {
    TestClock::run(async {
        let world = World::new();
        let answer = world.jobs(&fixture("http-download")).await.unwrap();
        let (status, headers, body) = opened(&answer);
        assert_eq!((status, body), (202, json!({ "days": ["2026-01-18", "2026-01-19"] })));
        assert_eq!(headers["content-type"], "application/json");
        for (name, outcome) in [("http-check", "planned"), ("http-check-base64", "under-way")] {
            let answer = world.jobs(&fixture(name)).await.unwrap();
            let (status, _, body) = opened(&answer);
            assert_eq!((status, &body["outcome"]), (200, &json!(outcome)), "{name}");
        }
        let answer = world.jobs(&fixture("http-get")).await.unwrap();
        let (status, headers, body) = opened(&answer);
        assert_eq!((status, &headers["allow"], &body["code"]), (405, &json!("POST"), &json!("method-not-allowed")));
        let answer = world.jobs(&fixture("http-elsewhere")).await.unwrap();
        assert_eq!(opened(&answer).0, 404);
        assert_eq!(world.ledger.days().await.unwrap().len(), 3);
    });
}

#[test]
fn what_is_no_request_is_refused_and_shows_nothing_of_it() {
    TestClock::run(async {
        let world = World::new();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
        for file in std::fs::read_dir(folder).unwrap() {
            let name = file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned();
            if name.starts_with("http-") {
                continue;
            }
            let refusal = world.jobs(&fixture(&name)).await.unwrap_err();
            assert_eq!(refusal.code, "event-malformed", "{name}");
            assert!(refusal.message.contains("payload format 2.0"), "{name}: {}", refusal.message);
            assert!(!refusal.message.contains("AKID") && refusal.message.len() < 200, "{name}: {}", refusal.message);
        }
        assert!(world.ledger.days().await.unwrap().is_empty());
    });
}

/// A year of days over a ledger that takes its time: the answer is there before the invocation is cut.
#[test]
fn time_that_runs_out_is_said_and_asking_again_goes_on() {
    TestClock::run(async {
        let clock = Arc::new(TestClock::at("2026-01-21T06:00:00Z".parse().unwrap()));
        let memory = MemoryLedger::new();
        let slow =
            Script::quiet().slow("ledger.plan_day", Duration::from_secs(1), Arc::clone(&clock) as Arc<dyn Clock>);
        let mut world = World::new();
        world.replace_ledger(Arc::new(FaultyLedger::new(Arc::new(memory.clone()), slow)), clock);
        let mut event = fixture("http-download");
        event["body"] = json!(r#"{"startTime":"2025-01-01T00:00:00Z","endTime":"2026-01-01T00:00:00Z"}"#);
        let answer = world.jobs(&event).await.unwrap();
        let (status, headers, body) = opened(&answer);
        assert_eq!((status, &body["code"], &headers["retry-after"]), (503, &json!("out-of-time"), &json!("30")));
        let planned = memory.days().await.unwrap().len();
        assert!((100..365).contains(&planned), "{planned}");
    });
}

/// Each call of the ledger, failing before and after it took effect: 503, and nothing of what the ledger said.
#[test]
fn trouble_with_the_ledger_is_a_503_without_details() {
    TestClock::run(async {
        for (path, body, calls) in [
            (
                DOWNLOAD,
                r#"{"startTime":"2026-01-18T00:00:00Z","endTime":"2026-01-20T00:00:00Z"}"#,
                &["ledger.plan_day"][..],
            ),
            (CHECK, r#"{"recordingDay":"2026-01-18"}"#, &["ledger.day", "ledger.plan_day", "ledger.counts"]),
        ] {
            for (call, when) in calls.iter().flat_map(|call| [(*call, When::Before), (*call, When::After)]) {
                let memory = MemoryLedger::new();
                let script = Script::of([Fault { call, number: 1, when, how: How::Error }]);
                let clock = Arc::new(TestClock::at("2026-01-21T06:00:00Z".parse().unwrap()));
                let ledger = Arc::new(FaultyLedger::new(Arc::new(memory.clone()), script));
                let jobs = Jobs { ledger, clock, calendar: Calendar::new(TimeZone::UTC) };
                let request = || {
                    let request = http::Request::post(path).header("content-type", "application/json");
                    request.body(Bytes::from_static(body.as_bytes())).unwrap()
                };
                let response = jobs.answer(request()).await;
                let problem: Value = serde_json::from_slice(response.body()).unwrap();
                assert_eq!(
                    (response.status().as_u16(), &problem["code"]),
                    (503, &json!("ledger-unusable")),
                    "{call} {when:?}"
                );
                assert!(CODES.contains(&"ledger-unusable") && response.headers().contains_key("retry-after"));
                assert!(!problem.to_string().contains("Fault {"), "{problem}");
                assert!(jobs.answer(request()).await.status().is_success(), "again, {call} {when:?}");
                assert!(!memory.days().await.unwrap().is_empty());
            }
        }
    });
}

impl World {
    async fn jobs(&self, event: &Value) -> Result<Value, callvault_bootstrap::lambda::refusal::Refusal> {
        let begins = self.clock.now();
        let ends = begins + Duration::from_secs(24);
        let mut work = Work::new(self.parts(), Shift { begins, ends }, ends);
        jobs_api::handle(event, &mut work).await
    }
}
