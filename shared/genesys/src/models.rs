//! What the platform answers: the fields callvault uses, and no others.
//!
//! Every field may be missing, as the documents say. Words from a list keep what we do not know (`Unknown`), so next
//! year's answers are still read. One unreadable row never spoils its page: it becomes [`Found::Unreadable`], which
//! the pipeline records. Nothing here decides anything.

mod analytics;
mod batch;
mod metadata;
mod voicemail;

pub use analytics::{
    Conversation, ConversationPage, Direction, Found, HistoryPage, HistoryState, MediaType, Metric, Participant,
    Segment, Session,
};
pub use batch::{BatchJob, BatchResult, JobStatus};
pub use metadata::{FileState, RecordingMetadata};
pub use voicemail::{Me, Personal, UserState, Voicemail, VoicemailPage};

/// Declares an enum of the platform's words that keeps the ones it does not know.
macro_rules! open_words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
            /// A word that is newer than this program, kept as it came.
            Unknown(String),
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                match word.as_str() {
                    $($word => Self::$variant,)+
                    _ => Self::Unknown(word),
                }
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> String {
                match word {
                    $($name::$variant => $word.to_owned(),)+
                    $name::Unknown(word) => word,
                }
            }
        }
    };
}
pub(crate) use open_words;

/// Reads a JSON `null` as the type's default: the platform writes either.
pub(crate) fn null_is_default<'de, D, T>(reader: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + serde::Deserialize<'de>,
{
    Ok(<Option<T> as serde::Deserialize>::deserialize(reader)?.unwrap_or_default())
}

/// Reads a whole number; anything else counts as missing, since no count is worth an answer.
pub(crate) fn count<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Option<u64>, D::Error> {
    Ok(<serde_json::Value as serde::Deserialize>::deserialize(reader)?.as_u64())
}

/// Reads a time; anything else counts as missing.
pub(crate) fn time<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Option<jiff::Timestamp>, D::Error> {
    let value = <serde_json::Value as serde::Deserialize>::deserialize(reader)?;
    Ok(value.as_str().and_then(|text| text.parse().ok()))
}

#[cfg(test)]
mod tests;
