//! Batch download jobs.

use serde::Deserialize;

use super::{count, open_words};
use crate::api::SignedUrl;

open_words! {
    /// Whether a job is finished. Trusted above the counts, which can be equal too early.
    JobStatus {
        /// Still working.
        InProgress = "InProgress",
        /// All results are there.
        Completed = "Completed",
    }
}

/// A batch job. Schema `BatchDownloadJobStatusResult`; every field is optional there.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchJob {
    /// Missing on servers older than 2024-12.
    #[serde(default)]
    pub status: Option<JobStatus>,
    /// How many results the job expects; grows while recordings are discovered.
    #[serde(default, deserialize_with = "counted")]
    pub expected_result_count: u64,
    /// How many results are there.
    #[serde(default, deserialize_with = "counted")]
    pub result_count: u64,
    /// The results so far.
    #[serde(default, deserialize_with = "results")]
    pub results: Vec<BatchResult>,
}

/// One result: a URL, or a reason why there is none. An element that is neither, or no object at all, has neither.
#[derive(Debug, Clone, Default)]
pub struct BatchResult {
    /// The conversation, as the platform wrote it.
    pub conversation_id: Option<String>,
    /// The recording, as the platform wrote it.
    pub recording_id: Option<String>,
    /// Where the media is.
    pub result_url: Option<SignedUrl>,
    /// What the media is.
    pub content_type: Option<String>,
    /// Free text instead of a URL: opaque.
    pub error_msg: Option<String>,
}

fn counted<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<u64, D::Error> {
    Ok(count(reader)?.unwrap_or_default())
}

/// Reads the results field by field, so that a field of an unexpected type is missing rather than the whole job lost.
fn results<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Vec<BatchResult>, D::Error> {
    let elements: Option<Vec<serde_json::Value>> = Deserialize::deserialize(reader)?;
    Ok(elements.unwrap_or_default().iter().map(result).collect())
}

fn result(element: &serde_json::Value) -> BatchResult {
    let text = |key: &str| element.get(key).and_then(|value| value.as_str()).map(str::to_owned);
    BatchResult {
        conversation_id: text("conversationId"),
        recording_id: text("recordingId"),
        result_url: text("resultUrl").filter(|url| !url.is_empty()).map(SignedUrl::new),
        content_type: text("contentType"),
        error_msg: text("errorMsg"),
    }
}
