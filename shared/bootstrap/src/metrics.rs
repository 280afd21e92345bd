//! Metrics in CloudWatch's embedded format: JSON lines on stdout that CloudWatch makes metrics of.
//!
//! The names are fixed: alarms, dashboards and `template.yaml` speak of them. Which dimensions each has:
//!
//! | metric | dimensions | unit | from |
//! |---|---|---|---|
//! | `RecordingsStored` | environment | Count | upload |
//! | `VoicemailsStored` | environment | Count | voicemail |
//! | `BytesStored` | environment | Bytes | upload, voicemail |
//! | `ConversationsFound` | environment | Count | query |
//! | `DaysClosed`, `DaysFailed` | environment | Count | close; failed ones are closed too |
//! | `Parked` | environment; environment and reason | Count | submit, describe, upload, voicemail |
//! | `OldestDueSeconds` | environment and stage | Seconds | every stage |
//! | `ApiBudgetLeft` | environment and stage | Count | functions that talk to Genesys |
//! | `UserTokenSecondsLeft` | environment | Seconds | voicemail, where the token's end is known |
//! | `StageFaults` | environment; environment and stage | Count | every function, 0 where all is well |
//!
//! | `SignInsNeeded`, `PairsNotSaved` | environment | Count | rotate-token, 0 where all is well |
//! | `TokenSecondsLeft` | environment | Seconds | rotate-token; whoever reads the token may too ([`rotation`]) |
//!
//! An invocation writes one line for each of its stages, the first with its counts, and one for each reason.

pub mod rotation;

use callvault_pipeline::ledger::Stage;
use callvault_pipeline::stages::Report;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// The namespace of all.
pub const NAMESPACE: &str = "callvault";
/// Objects that were written.
pub const RECORDINGS_STORED: &str = "RecordingsStored";
/// Bytes of them.
pub const BYTES_STORED: &str = "BytesStored";
/// Voicemails that were written.
pub const VOICEMAILS_STORED: &str = "VoicemailsStored";
/// Recordings, conversations and voicemails that were parked.
pub const PARKED: &str = "Parked";
/// How long what is due longest has been due.
pub const OLDEST_DUE_SECONDS: &str = "OldestDueSeconds";
/// API requests that this instance may still send this minute.
pub const API_BUDGET_LEFT: &str = "ApiBudgetLeft";
/// Conversations that were new.
pub const CONVERSATIONS_FOUND: &str = "ConversationsFound";
/// Days whose marker was written.
pub const DAYS_CLOSED: &str = "DaysClosed";
/// Those of them whose marker is `_FAILURE`.
pub const DAYS_FAILED: &str = "DaysFailed";
/// Invocations that could not go on.
pub const STAGE_FAULTS: &str = "StageFaults";

/// How long the user's token is good for, as far as that is known.
pub const USER_TOKEN_SECONDS_LEFT: &str = "UserTokenSecondsLeft";

/// Every name that stages emit; those of tokens are in [`rotation`].
pub const NAMES: [&str; 11] = [
    RECORDINGS_STORED,
    VOICEMAILS_STORED,
    BYTES_STORED,
    PARKED,
    OLDEST_DUE_SECONDS,
    API_BUDGET_LEFT,
    CONVERSATIONS_FOUND,
    DAYS_CLOSED,
    DAYS_FAILED,
    STAGE_FAULTS,
    USER_TOKEN_SECONDS_LEFT,
];

const ENVIRONMENT: &str = "environment";
const STAGE: &str = "stage";
const REASON: &str = "reason";

/// What an invocation did.
#[derive(Debug)]
pub struct Measured<'a> {
    /// `ENVIRONMENT`.
    pub environment: &'a str,
    /// The function's name, for whoever reads the line.
    pub function: &'a str,
    /// The invocation's id, for whoever reads the line.
    pub request_id: &'a str,
    /// The function's stages, the one that names it first.
    pub stages: &'a [Stage],
    /// What they did.
    pub report: &'a Report,
    /// How long what is due longest has been due, in seconds.
    pub oldest_due: &'a [(Stage, u64)],
    /// API requests left.
    pub budget_left: Option<u32>,
    /// How long the user's token is good for, in seconds.
    pub token_seconds_left: Option<u64>,
    /// The code of what it could not go on for.
    pub fault: Option<&'a str>,
}

/// A line under construction.
struct Line {
    fields: Map<String, Value>,
    directives: Vec<Value>,
}

impl Line {
    fn new(environment: &str, function: &str, request_id: &str) -> Self {
        let mut fields = Map::new();
        for (name, value) in [(ENVIRONMENT, environment), ("function", function), ("request_id", request_id)] {
            fields.insert(name.to_owned(), json!(value));
        }
        Self { fields, directives: Vec::new() }
    }

    fn field(&mut self, name: &str, value: Value) {
        self.fields.insert(name.to_owned(), value);
    }

    /// Metrics that share their dimensions.
    fn metrics(&mut self, dimensions: &[&[&str]], metrics: &[(&str, &str, u64)]) {
        if metrics.is_empty() {
            return;
        }
        let named: Vec<Value> = metrics.iter().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect();
        self.directives.push(json!({ "Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": named }));
        for (name, _, value) in metrics {
            self.field(name, json!(value));
        }
    }

    fn finish(mut self, at: Timestamp) -> Value {
        let directives = std::mem::take(&mut self.directives);
        self.field("_aws", json!({ "Timestamp": at.as_millisecond(), "CloudWatchMetrics": directives }));
        Value::Object(self.fields)
    }
}

/// The lines of an invocation.
pub fn lines(at: Timestamp, measured: &Measured<'_>) -> Vec<Value> {
    let mut lines = Vec::new();
    let new = || Line::new(measured.environment, measured.function, measured.request_id);
    for (place, stage) in measured.stages.iter().enumerate() {
        let mut line = new();
        line.field(STAGE, json!(stage.as_str()));
        if place == 0 {
            line.metrics(&[&[ENVIRONMENT]], &counts(measured));
            let faults = u64::from(measured.fault.is_some());
            line.metrics(&[&[ENVIRONMENT], &[ENVIRONMENT, STAGE]], &[(STAGE_FAULTS, "Count", faults)]);
            if let Some(left) = measured.token_seconds_left {
                line.metrics(&[&[ENVIRONMENT]], &[(USER_TOKEN_SECONDS_LEFT, "Seconds", left)]);
            }
            if let Some(code) = measured.fault {
                line.field("code", json!(code));
            }
        }
        let mut of_stage = Vec::new();
        if let Some((_, age)) = measured.oldest_due.iter().find(|(one, _)| one == stage) {
            of_stage.push((OLDEST_DUE_SECONDS, "Seconds", *age));
        }
        if let (0, Some(left)) = (place, measured.budget_left) {
            of_stage.push((API_BUDGET_LEFT, "Count", u64::from(left)));
        }
        line.metrics(&[&[ENVIRONMENT, STAGE]], &of_stage);
        lines.push(line.finish(at));
    }
    for (reason, count) in measured.report.parked_by.iter() {
        let mut line = new();
        line.field(REASON, json!(reason.code()));
        line.metrics(&[&[ENVIRONMENT, REASON]], &[(PARKED, "Count", count)]);
        lines.push(line.finish(at));
    }
    lines
}

/// The counts that the function's stages can have; also those that are 0, so that alarms see that all is well.
fn counts(measured: &Measured<'_>) -> Vec<(&'static str, &'static str, u64)> {
    let report = measured.report;
    let mut counts = Vec::new();
    for stage in measured.stages {
        match stage {
            Stage::Query => counts.push((CONVERSATIONS_FOUND, "Count", report.found)),
            Stage::Poll | Stage::Notify => {}
            Stage::Submit | Stage::Describe => counts.push((PARKED, "Count", report.parked)),
            Stage::Voicemail => counts.extend([
                (VOICEMAILS_STORED, "Count", report.stored),
                (BYTES_STORED, "Bytes", report.bytes),
                (PARKED, "Count", report.parked),
            ]),
            Stage::Upload => counts.extend([
                (RECORDINGS_STORED, "Count", report.stored),
                (BYTES_STORED, "Bytes", report.bytes),
                (PARKED, "Count", report.parked),
            ]),
            Stage::Close => {
                counts.extend([(DAYS_CLOSED, "Count", report.days_closed), (DAYS_FAILED, "Count", report.days_failed)])
            }
        }
    }
    counts
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use callvault_pipeline::reason::{ByReason, Reason};
    use std::collections::BTreeSet;

    fn measured<'a>(stages: &'a [Stage], report: &'a Report, oldest_due: &'a [(Stage, u64)]) -> Measured<'a> {
        Measured {
            environment: "prod",
            function: "f",
            request_id: "r",
            stages,
            report,
            oldest_due,
            budget_left: Some(17),
            token_seconds_left: Some(3600),
            fault: None,
        }
    }

    /// Holds a line against the specification (CloudWatch user guide, "Embedded metric format specification"); answers
    /// each metric with its dimensions.
    pub(super) fn checked(line: &Value) -> Vec<(String, Vec<String>)> {
        const UNITS: [&str; 4] = ["Count", "Bytes", "Seconds", "None"];
        let root = line.as_object().unwrap();
        assert!(root["_aws"]["Timestamp"].is_u64(), "milliseconds since 1970");
        let mut metrics = Vec::new();
        for directive in root["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
            assert_eq!(directive["Namespace"], "callvault");
            let sets = directive["Dimensions"].as_array().unwrap();
            let named = directive["Metrics"].as_array().unwrap();
            assert!(!sets.is_empty() && (1..=100).contains(&named.len()), "{directive}");
            for set in sets {
                let set: Vec<String> = set.as_array().unwrap().iter().map(|n| n.as_str().unwrap().to_owned()).collect();
                assert!(set.len() <= 30);
                for name in &set {
                    assert!((1..=1024).contains(&root[name].as_str().unwrap().len()), "{name} is a text at the root");
                }
                for metric in named {
                    let name = metric["Name"].as_str().unwrap();
                    assert!(root[name].is_u64() && UNITS.contains(&metric["Unit"].as_str().unwrap()), "{metric}");
                    metrics.push((name.to_owned(), set.clone()));
                }
            }
        }
        assert!(!line.to_string().contains('\n') && line.to_string().len() < 256 * 1024);
        metrics
    }

    #[test]
    fn lines_are_as_specified_and_every_metric_has_its_dimensions() {
        let mut parked_by = ByReason::default();
        parked_by.add(Reason::Deleted);
        parked_by.add(Reason::Archived);
        let report = Report { stored: 3, bytes: 12, parked: 2, parked_by, ..Report::default() };
        let ages: Vec<(Stage, u64)> = Stage::ALL.iter().map(|stage| (*stage, 60)).collect();
        let lines = lines(Timestamp::UNIX_EPOCH, &measured(&Stage::ALL, &report, &ages));
        assert_eq!(lines.len(), Stage::ALL.len() + 2);
        let found: BTreeSet<(String, Vec<String>)> = lines.iter().flat_map(checked).collect();
        let expect = |name: &str, set: &[&str]| (name.to_owned(), set.iter().map(|d| (*d).to_owned()).collect());
        let mut expected: BTreeSet<(String, Vec<String>)> = BTreeSet::new();
        for name in [
            RECORDINGS_STORED,
            VOICEMAILS_STORED,
            BYTES_STORED,
            PARKED,
            CONVERSATIONS_FOUND,
            DAYS_CLOSED,
            DAYS_FAILED,
            STAGE_FAULTS,
            USER_TOKEN_SECONDS_LEFT,
        ] {
            expected.insert(expect(name, &["environment"]));
        }
        for name in [OLDEST_DUE_SECONDS, API_BUDGET_LEFT, STAGE_FAULTS] {
            expected.insert(expect(name, &["environment", "stage"]));
        }
        expected.insert(expect(PARKED, &["environment", "reason"]));
        assert_eq!(found, expected);
        assert_eq!(found.iter().map(|(name, _)| name.as_str()).collect::<BTreeSet<_>>(), BTreeSet::from(NAMES));
    }

    #[test]
    fn a_function_tells_its_own_counts_also_when_they_are_nothing_and_its_faults() {
        let report = Report::default();
        let stages = [Stage::Close];
        let measured = Measured {
            fault: Some("archive-denied"),
            budget_left: None,
            token_seconds_left: None,
            ..measured(&stages, &report, &[])
        };
        let lines = lines(Timestamp::UNIX_EPOCH, &measured);
        let names: Vec<String> = checked(&lines[0]).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, [DAYS_CLOSED, DAYS_FAILED, STAGE_FAULTS, STAGE_FAULTS]);
        assert_eq!((&lines[0][DAYS_CLOSED], &lines[0][STAGE_FAULTS]), (&json!(0), &json!(1)));
        assert_eq!(lines[0]["code"], "archive-denied");
    }

    #[test]
    fn reasons_add_up_to_what_was_parked() {
        let mut parked_by = ByReason::default();
        for reason in [Reason::Deleted, Reason::Deleted, Reason::Archived] {
            parked_by.add(reason);
        }
        let report = Report { parked: 3, parked_by, ..Report::default() };
        let lines = lines(Timestamp::UNIX_EPOCH, &measured(&[Stage::Upload], &report, &[]));
        let by_reason: u64 = lines[1..].iter().map(|line| line[PARKED].as_u64().unwrap()).sum();
        assert_eq!((lines[0][PARKED].as_u64(), by_reason), (Some(3), 3));
    }
}
