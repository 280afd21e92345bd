//! The operations: what each asks for, what it is called, and how its answer is read.
//!
//! One function for each call of the traits in [`crate::api`]. Paths and fields are those of api.md. Nothing here decides
//! about retries beyond saying what may be repeated.

use async_trait::async_trait;
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{Answer, decode};
use super::send::{Expected, Operation, Request};
use super::{GenesysClient, media};
use crate::api::{
    ApiError, BatchItem, ConversationQuery, Conversations, Media, MediaError, Recordings, Restore, SignedUrl, Window,
};
use crate::ids::{BatchJobId, ConversationId, HistoryJobId};
use std::time::Duration;

use crate::models::{BatchJob, ConversationPage, HistoryPage, HistoryState, RecordingMetadata};

const ANALYTICS: &str = "analytics:conversationDetail:view";
const RECORDING: &str = "recording:recording:view";
const RETENTION: &str = "recording:recording:editRetention";

pub(super) const fn question(words: &'static str, permission: &'static str) -> Operation {
    Operation { words, permission, repeatable: true, expected: Expected::Json, least_gap: Duration::ZERO }
}

static PAGE: Operation = question("query conversations", ANALYTICS);
/// Repeatable although it is a POST: a query job nobody reads expires.
static START_HISTORY: Operation = question("start a history query", ANALYTICS);
static HISTORY_STATE: Operation = question("read the state of a history query", ANALYTICS);
static HISTORY_PAGE: Operation = question("read the results of a history query", ANALYTICS);
static METADATA: Operation =
    Operation { expected: Expected::JsonNotAccepted, ..question("read recording metadata", RECORDING) };
/// Repeatable: the second one sets the same date.
static RESTORE: Operation =
    Operation { expected: Expected::Nothing, ..question("restore an archived recording", RETENTION) };
static SUBMIT: Operation = Operation { repeatable: false, ..question("submit a batch of recordings", RECORDING) };
/// Polls of one job are at least a second apart, the repeated ones too.
static POLL: Operation =
    Operation { least_gap: Duration::from_millis(1_100), ..question("read a batch of recordings", RECORDING) };

impl GenesysClient {
    pub(super) async fn get(
        &self,
        operation: &'static Operation,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Answer, ApiError> {
        let sender = self.sender();
        let mut url = sender.endpoint(sender.endpoints.api(), path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        sender.call(operation, &Request { method: Method::GET, url, body: None }).await
    }

    async fn post(
        &self,
        operation: &'static Operation,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<Answer, ApiError> {
        self.send_json(operation, Method::POST, path, body).await
    }

    /// A request without a query and without a body.
    pub(super) async fn send_bare(
        &self,
        operation: &'static Operation,
        method: Method,
        path: &[&str],
    ) -> Result<Answer, ApiError> {
        let sender = self.sender();
        let url = sender.endpoint(sender.endpoints.api(), path);
        sender.call(operation, &Request { method, url, body: None }).await
    }

    pub(super) async fn send_json(
        &self,
        operation: &'static Operation,
        method: Method,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<Answer, ApiError> {
        let sender = self.sender();
        let url = sender.endpoint(sender.endpoints.api(), path);
        let body = serde_json::to_vec(body).map_err(|_| ApiError::Refused {
            operation: operation.words,
            status: 0,
            code: "not sent".to_owned(),
            message: "the request could not be written as JSON".to_owned(),
        })?;
        sender.call(operation, &Request { method, url, body: Some(body) }).await
    }
}

pub(super) fn read<T: DeserializeOwned>(operation: &'static Operation, answer: &Answer) -> Result<T, ApiError> {
    decode(&answer.body).map_err(|at| ApiError::Unreadable { operation: operation.words, at })
}

const ANALYTICS_PATH: [&str; 5] = ["api", "v2", "analytics", "conversations", "details"];

fn analytics<'p>(more: &[&'p str]) -> Vec<&'p str> {
    ANALYTICS_PATH.iter().copied().chain(more.iter().copied()).collect()
}

#[async_trait]
impl Conversations for GenesysClient {
    async fn page(&self, query: &ConversationQuery, number: u32) -> Result<ConversationPage, ApiError> {
        let mut body = query_body(query);
        body["paging"] = json!({ "pageSize": query.page_size.clamp(1, 100), "pageNumber": number });
        read(&PAGE, &self.post(&PAGE, &analytics(&["query"]), &body).await?)
    }

    async fn start_history(&self, query: &ConversationQuery) -> Result<HistoryJobId, ApiError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Started {
            job_id: HistoryJobId,
        }
        let answer = self.post(&START_HISTORY, &analytics(&["jobs"]), &query_body(query)).await?;
        Ok(read::<Started>(&START_HISTORY, &answer)?.job_id)
    }

    async fn history_state(&self, job: &HistoryJobId) -> Result<HistoryState, ApiError> {
        #[derive(Deserialize)]
        struct Job {
            state: HistoryState,
        }
        let answer = self.get(&HISTORY_STATE, &analytics(&["jobs", job.as_str()]), &[]).await?;
        Ok(read::<Job>(&HISTORY_STATE, &answer)?.state)
    }

    async fn history_page(
        &self,
        job: &HistoryJobId,
        cursor: Option<&str>,
        page_size: u32,
    ) -> Result<HistoryPage, ApiError> {
        let size = page_size.to_string();
        let mut query = vec![("pageSize", size.as_str())];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        read(&HISTORY_PAGE, &self.get(&HISTORY_PAGE, &analytics(&["jobs", job.as_str(), "results"]), &query).await?)
    }
}

#[async_trait]
impl Recordings for GenesysClient {
    async fn metadata(&self, conversation: &ConversationId) -> Result<Vec<RecordingMetadata>, ApiError> {
        let path = ["api", "v2", "conversations", conversation.as_str(), "recordingmetadata"];
        let answer = match self.get(&METADATA, &path, &[]).await {
            // No recordings: the platform answers either way.
            Err(ApiError::NotFound { .. }) => return Ok(Vec::new()),
            answer => answer?,
        };
        let rows: Option<Vec<Value>> = read(&METADATA, &answer)?;
        Ok(rows.unwrap_or_default().into_iter().filter_map(RecordingMetadata::from_loose).collect())
    }

    async fn restore(&self, conversation: &ConversationId, restore: &Restore) -> Result<(), ApiError> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Retention<'a> {
            archive_date: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            delete_date: Option<&'a str>,
        }
        let Restore { recording, archive_again, delete_date } = restore;
        let path = ["api", "v2", "conversations", conversation.as_str(), "recordings", recording.as_str()];
        let archive_date = archive_again.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
        let body = Retention { archive_date, delete_date: delete_date.as_deref() };
        self.send_json(&RESTORE, Method::PUT, &path, &body).await.map(drop)
    }

    async fn submit(&self, items: &[BatchItem]) -> Result<BatchJobId, ApiError> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Line<'a> {
            conversation_id: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            recording_id: Option<&'a str>,
        }
        #[derive(Deserialize)]
        struct Submitted {
            id: BatchJobId,
        }
        let lines: Vec<Line<'_>> = items
            .iter()
            .map(|item| Line {
                conversation_id: item.conversation.as_str(),
                recording_id: item.recording.as_ref().map(|id| id.as_str()),
            })
            .collect();
        let body = json!({ "batchDownloadRequestList": lines });
        let answer = self.post(&SUBMIT, &["api", "v2", "recording", "batchrequests"], &body).await?;
        Ok(read::<Submitted>(&SUBMIT, &answer)?.id)
    }

    async fn poll(&self, job: &BatchJobId) -> Result<BatchJob, ApiError> {
        let answer = self.get(&POLL, &["api", "v2", "recording", "batchrequests", job.as_str()], &[]).await?;
        read(&POLL, &answer)
    }

    async fn open(&self, url: &SignedUrl) -> Result<Media, MediaError> {
        let Some(answer_within) = self.sender().time_limit() else {
            return Err(MediaError::Unavailable { detail: "no time left".to_owned(), retry_after: None });
        };
        let shared = self.shared();
        media::Opener {
            client: &shared.media,
            rules: &shared.media_rules,
            pauses: &shared.media_pauses,
            clock: &*shared.clock,
            answer_within,
            stall_timeout: shared.stall_timeout,
        }
        .open(url)
        .await
    }
}

/// The parts both forms of the query share. Ended conversations only: a running one would move between pages.
fn query_body(query: &ConversationQuery) -> Value {
    let mut body = json!({
        "interval": interval(&query.window),
        "order": "asc",
        "orderBy": "conversationStart",
        "conversationFilters": [{
            "type": "and",
            "predicates": [{ "type": "dimension", "dimension": "conversationEnd", "operator": "exists" }],
        }],
    });
    if !query.queues.is_empty() {
        let queue = |id| json!({ "type": "dimension", "dimension": "queueId", "operator": "matches", "value": id });
        let predicates: Vec<Value> = query.queues.iter().map(queue).collect();
        body["segmentFilters"] = json!([{ "type": "or", "predicates": predicates }]);
    }
    body
}

/// `start/end` in milliseconds, which is as fine as the platform's times are: rounded outwards, so that nothing inside
/// is left out.
fn interval(window: &Window) -> String {
    let text = |at: Timestamp, mode| {
        let rounded = at.round(TimestampRound::new().smallest(Unit::Millisecond).mode(mode)).unwrap_or(at);
        format!("{rounded:.3}")
    };
    format!("{}/{}", text(window.start, RoundMode::Floor), text(window.end, RoundMode::Ceil))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_what_the_platform_documents() {
        let query = ConversationQuery {
            window: Window {
                start: "2026-01-15T00:00:00+01:00".parse().unwrap(),
                end: "2026-01-15T22:59:59.9991Z".parse().unwrap(),
            },
            queues: vec!["q1".parse().unwrap(), "q2".parse().unwrap()],
            page_size: 100,
        };
        assert_eq!(
            query_body(&query),
            json!({
                "interval": "2026-01-14T23:00:00.000Z/2026-01-15T23:00:00.000Z",
                "order": "asc",
                "orderBy": "conversationStart",
                "conversationFilters": [{"type": "and", "predicates": [
                    {"type": "dimension", "dimension": "conversationEnd", "operator": "exists"}]}],
                "segmentFilters": [{"type": "or", "predicates": [
                    {"type": "dimension", "dimension": "queueId", "operator": "matches", "value": "q1"},
                    {"type": "dimension", "dimension": "queueId", "operator": "matches", "value": "q2"}]}],
            })
        );
        assert!(query_body(&ConversationQuery { queues: vec![], ..query }).get("segmentFilters").is_none());
    }
}
