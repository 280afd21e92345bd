//! Batch requests: jobs that turn conversations into signed URLs.
//!
//! Owns a job's life: what its results are is settled when it is submitted, how many of them show depends on how much
//! of its time has passed. Counts are honest only at the end, as on the platform.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::Call;
use crate::answer::Answer;
use crate::chance::Chance;
use crate::faults::FaultName;
use crate::lock;
use crate::org::{Conversation, Recording};
use crate::world::{Standing, World};

/// The platform's limit (genesys/api.md, "Recordings").
const MOST_ITEMS: usize = 100;
/// Until this share of a job's time nothing has been discovered: the counts are 0 and 0.
const DISCOVERY: f64 = 0.15;
/// Until this share early counts pretend to be complete.
const EARLY_UNTIL: f64 = 0.7;

/// One batch job.
#[derive(Debug)]
pub(crate) struct Batch {
    client: String,
    submitted: Duration,
    lasts: Duration,
    early_counts: bool,
    statusless: bool,
    rows: Vec<Row>,
}

/// One result: whose it is, and a file or a reason.
#[derive(Debug, Clone)]
struct Row {
    conversation: String,
    recording: Option<String>,
    outcome: Outcome,
}

#[derive(Debug, Clone)]
enum Outcome {
    File {
        part: usize,
        content_type: &'static str,
        /// The row whose URL this one repeats.
        twin: Option<usize>,
    },
    Refused(&'static str),
}

/// `POST /api/v2/recording/batchrequests`.
pub(crate) fn submit(world: &World, call: &Call<'_>) -> Result<Answer, Answer> {
    let body = call.json()?;
    let items = items(&body)?;
    world.counters.batch_of(items.len());
    if items.len() > MOST_ITEMS {
        return Err(Answer::error(
            StatusCode::BAD_REQUEST,
            "batch.download.too.many.items",
            "Too many items requested, max 100 allowed",
        ));
    }
    let mut rows = Vec::new();
    for (conversation, recording) in items {
        results_of(world, conversation, recording, &mut rows);
    }
    if call.struck.by(FaultName::RepeatedResults) {
        world.chance(|chance| repeat_some(chance, &mut rows));
    }
    let stretch = if call.struck.by(FaultName::LateResults) { 3.0 } else { 1.0 };
    let jitter = world.chance(|chance| 0.75 + chance.fraction() / 2.0);
    let statusless = call.struck.by(FaultName::MissingStatus);
    let batch = Batch {
        client: call.client.to_owned(),
        submitted: world.clock.age(),
        lasts: world.options.job_delay.mul_f64(stretch * jitter),
        early_counts: call.struck.by(FaultName::EarlyCounts) && !statusless,
        statusless,
        rows,
    };
    let id = world.uuid();
    lock(&world.batches).insert(id.clone(), batch);
    Ok(Answer::ok(&json!({ "id": id, "selfUri": format!("/api/v2/recording/batchrequests/{id}") })))
}

fn items(body: &Value) -> Result<Vec<(&str, Option<&str>)>, Answer> {
    let bad = || {
        Answer::error(
            StatusCode::BAD_REQUEST,
            "batch.download.bad.request",
            "Request list is required and must not be empty",
        )
    };
    let list = body.get("batchDownloadRequestList").and_then(Value::as_array).ok_or_else(bad)?;
    if list.is_empty() {
        return Err(bad());
    }
    list.iter()
        .map(|item| {
            let conversation = item.get("conversationId").and_then(Value::as_str).ok_or_else(bad)?;
            Ok((conversation, item.get("recordingId").and_then(Value::as_str)))
        })
        .collect()
}

fn results_of(world: &World, id: &str, only: Option<&str>, rows: &mut Vec<Row>) {
    let refused = |message| Row {
        conversation: id.to_owned(),
        recording: only.map(str::to_owned),
        outcome: Outcome::Refused(message),
    };
    let Some(conversation) = world.org.conversation(id) else {
        rows.push(refused("The conversation could not be found."));
        return;
    };
    if let Some(message) = conversation.refusal {
        rows.push(refused(message));
        return;
    }
    let before = rows.len();
    let mut known = false;
    for recording in &conversation.recordings {
        if only.is_none_or(|only| only == recording.id) {
            known = true;
            results_of_one(conversation, recording, world.standing(recording), rows);
        }
    }
    if only.is_some() && !known && rows.len() == before {
        rows.push(refused("The recording could not be found."));
    }
}

fn results_of_one(conversation: &Conversation, recording: &Recording, standing: Standing, rows: &mut Vec<Row>) {
    let mut push = |outcome| {
        rows.push(Row { conversation: conversation.id.clone(), recording: Some(recording.id.clone()), outcome });
    };
    match standing {
        Standing::Available => {
            for (part, file) in recording.files.iter().enumerate() {
                let content_type = file.format.content_type();
                push(Outcome::File { part, content_type, twin: None });
            }
        }
        Standing::Archived => push(Outcome::Refused("The recording is archived.")),
        Standing::Restoring => push(Outcome::Refused("The recording is being restored.")),
        Standing::Deleted { told: true } => {
            push(Outcome::Refused("The recording has been deleted."));
        }
        Standing::UploadingYet | Standing::UploadingForEver => {
            push(Outcome::Refused("The recording is not yet available: upload in progress."));
        }
        // Left out without a word.
        Standing::Deleted { told: false } | Standing::Sensitive => {}
    }
}

/// Lists some of the files again at the end: with the same URL, or with another for the same file.
fn repeat_some(chance: &mut Chance, rows: &mut Vec<Row>) {
    let mut again = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let Outcome::File { part, content_type, .. } = row.outcome else {
            continue;
        };
        if again.is_empty() || chance.happens(0.3) {
            let twin = chance.happens(0.5).then_some(index);
            let outcome = Outcome::File { part, content_type, twin };
            again.push(Row { outcome, ..row.clone() });
        }
    }
    rows.append(&mut again);
}

/// How much of a job is visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Progress {
    done: bool,
    expected: usize,
    shown: usize,
}

impl Batch {
    fn progress(&self, age: Duration) -> Progress {
        let total = self.rows.len();
        let passed = age.saturating_sub(self.submitted);
        if passed >= self.lasts {
            return Progress { done: true, expected: total, shown: total };
        }
        let share = passed.as_secs_f64() / self.lasts.as_secs_f64();
        if share < DISCOVERY {
            return Progress { done: false, expected: 0, shown: 0 };
        }
        if self.early_counts && share < EARLY_UNTIL {
            let half = total.div_ceil(2);
            return Progress { done: false, expected: half, shown: half };
        }
        let discovered = ((share - DISCOVERY) / 0.6).min(1.0);
        let fetched = (share - DISCOVERY) / (1.0 - DISCOVERY);
        let expected = ((total as f64 * discovered).ceil() as usize).min(total);
        let mut shown = ((total as f64 * fetched) as usize).min(expected);
        if self.statusless {
            // Without a status the counts are all a client has: they may not agree before the end.
            shown = shown.min(expected.saturating_sub(1));
        }
        Progress { done: false, expected, shown }
    }
}

/// `GET /api/v2/recording/batchrequests/{jobId}`.
pub(crate) fn status(world: &World, call: &Call<'_>, id: &str) -> Result<Answer, Answer> {
    world.counters.polled(id);
    let mut batches = lock(&world.batches);
    if call.struck.by(FaultName::ForgottenJob) {
        batches.remove(id);
    }
    let Some(batch) = batches.get(id) else {
        return Err(Answer::error(
            StatusCode::NOT_FOUND,
            "batch.download.job.not.found",
            "The requested job is unknown",
        ));
    };
    if batch.client != call.client {
        return Err(Answer::error(
            StatusCode::FORBIDDEN,
            "batch.download.permission.denied",
            "Only user that initiated the job can request results",
        ));
    }
    let progress = batch.progress(world.clock.age());
    let results = results(world, &batch.rows[..progress.shown]);
    let errors = results.iter().filter(|result| result.get("errorMsg").is_some()).count();
    let mut body = json!({
        "id": id,
        "jobId": id,
        "expectedResultCount": progress.expected,
        "resultCount": progress.shown,
        "errorCount": errors,
        "selfUri": format!("/api/v2/recording/batchrequests/{id}"),
    });
    if !batch.statusless {
        body["status"] = if progress.done { "Completed" } else { "InProgress" }.into();
    }
    if !results.is_empty() {
        body["results"] = results.into();
    }
    Ok(Answer::ok(&body))
}

fn results(world: &World, rows: &[Row]) -> Vec<Value> {
    let mut urls: Vec<Option<String>> = Vec::with_capacity(rows.len());
    let mut results = Vec::with_capacity(rows.len());
    for row in rows {
        let mut result = Map::new();
        result.insert("conversationId".into(), row.conversation.clone().into());
        if let Some(recording) = &row.recording {
            result.insert("recordingId".into(), recording.clone().into());
        }
        let url = match &row.outcome {
            Outcome::Refused(message) => {
                result.insert("errorMsg".into(), (*message).into());
                None
            }
            Outcome::File { part, content_type, twin } => {
                result.insert("contentType".into(), (*content_type).into());
                let same = twin.and_then(|index| urls.get(index).cloned().flatten());
                let recording = row.recording.as_deref().unwrap_or_default();
                Some(same.unwrap_or_else(|| world.media_url(recording, *part)))
            }
        };
        if let Some(url) = &url {
            result.insert("resultUrl".into(), url.clone().into());
        }
        urls.push(url);
        results.push(result.into());
    }
    results
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(rows: usize, early_counts: bool, statusless: bool) -> Batch {
        let row = Row { conversation: "c".into(), recording: None, outcome: Outcome::Refused("no") };
        Batch {
            client: "demo".into(),
            submitted: Duration::ZERO,
            lasts: Duration::from_secs(10),
            early_counts,
            statusless,
            rows: vec![row; rows],
        }
    }

    #[test]
    fn a_job_begins_with_nothing_grows_and_ends_whole() {
        let job = batch(40, false, false);
        let mut before = 0;
        for second in 0..10 {
            let now = job.progress(Duration::from_secs(second));
            assert!(!now.done && now.shown >= before && now.shown <= now.expected);
            before = now.shown;
        }
        let first = job.progress(Duration::from_secs(1));
        assert_eq!((first.expected, first.shown), (0, 0));
        let last = job.progress(Duration::from_secs(10));
        assert_eq!(last, Progress { done: true, expected: 40, shown: 40 });
    }

    #[test]
    fn early_counts_agree_before_the_end_and_statusless_ones_never_do() {
        let early = batch(40, true, false).progress(Duration::from_secs(5));
        assert_eq!(early, Progress { done: false, expected: 20, shown: 20 });
        for rows in 1..5 {
            for tenth in 20..100 {
                let now = batch(rows, false, true).progress(Duration::from_millis(tenth * 100));
                assert!(now.shown < now.expected, "{rows} rows after {tenth} tenths: {now:?}");
            }
        }
    }
}
