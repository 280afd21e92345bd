//! Recording metadata.

use serde::{Deserialize, Serialize};

use super::open_words;

open_words! {
    /// Where a recording's file is at the source.
    FileState {
        /// In cold storage: must be restored first.
        Archived = "ARCHIVED",
        /// Ready.
        Available = "AVAILABLE",
        /// Gone for good.
        Deleted = "DELETED",
        /// Back from cold storage, for a while.
        Restored = "RESTORED",
        /// On its way back.
        Restoring = "RESTORING",
        /// Not yet complete at the source.
        Uploading = "UPLOADING",
        /// Broken at the source.
        Error = "ERROR",
    }
}

/// Metadata of one recording. Schema `RecordingMetadata`. Times are kept as the platform wrote them: they are shown,
/// never computed with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordingMetadata {
    /// The recording, as the platform wrote it.
    #[serde(default)]
    pub id: Option<String>,
    /// `audio`, `chat`, `email`, `message`, `screen`.
    #[serde(default)]
    pub media: Option<String>,
    /// `Trunk`, `Station`, `Consult`, `Screen`, `Snippet`.
    #[serde(default)]
    pub media_subtype: Option<String>,
    /// Where the file is.
    #[serde(default)]
    pub file_state: Option<FileState>,
    /// First instant recorded.
    #[serde(default)]
    pub start_time: Option<String>,
    /// Last instant recorded.
    #[serde(default)]
    pub end_time: Option<String>,
    /// The session it belongs to.
    #[serde(default)]
    pub session_id: Option<String>,
    /// When the source archives it.
    #[serde(default)]
    pub archive_date: Option<String>,
    /// When the source deletes it.
    #[serde(default)]
    pub delete_date: Option<String>,
}

impl RecordingMetadata {
    /// Reads one element of the platform's list, field by field, so that a field of an unexpected type is missing
    /// rather than the whole list lost. `None` for what is not an object.
    #[cfg(feature = "http")]
    pub(crate) fn from_loose(element: serde_json::Value) -> Option<Self> {
        let object = element.as_object()?;
        let text = |key: &str| object.get(key).and_then(|value| value.as_str()).map(str::to_owned);
        Some(Self {
            id: text("id"),
            media: text("media"),
            media_subtype: text("mediaSubtype"),
            file_state: text("fileState").map(FileState::from),
            start_time: text("startTime"),
            end_time: text("endTime"),
            session_id: text("sessionId"),
            archive_date: text("archiveDate"),
            delete_date: text("deleteDate"),
        })
    }
}
