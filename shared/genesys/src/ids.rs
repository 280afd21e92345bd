//! Identifiers of Genesys Cloud, parsed once at the door.
//!
//! An id becomes part of an archive key, so nothing but letters, digits and hyphens gets in: no slash, no dot, no
//! underscore (which separates the parts of a key). The platform's ids are UUIDs; other words of that alphabet are
//! accepted, since no document promises UUIDs for ever.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Longest id that is accepted. UUIDs have 36 characters; keys have room for two of these and more.
const LONGEST: usize = 64;

/// A text that is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier: expected 1 to 64 letters, digits or hyphens, starting with a letter or digit")]
pub struct NotAnId;

fn check(text: &str) -> Result<(), NotAnId> {
    let first = text.bytes().next().ok_or(NotAnId)?;
    let legal = text.len() <= LONGEST
        && first.is_ascii_alphanumeric()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if legal { Ok(()) } else { Err(NotAnId) }
}

/// A legal id that stands for a text that is not one: `unreadable-` and the start of the text's SHA-256.
/// The same text always gives the same id, so work on it is recorded once.
fn stand_in(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let hex: String = digest.iter().take(12).map(|b| format!("{b:02x}")).collect();
    format!("unreadable-{hex}")
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The id that stands for `text`, which could not be read as one.
            pub fn standing_in_for(text: &str) -> Self {
                Self(stand_in(text).into())
            }

            /// Whether this id stands for a text that could not be read.
            pub fn is_stand_in(&self) -> bool {
                self.0.starts_with("unreadable-")
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAnId;
            fn try_from(text: String) -> Result<Self, NotAnId> {
                check(&text)?;
                Ok(Self(text.into()))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// A conversation: a call, chat, e-mail thread or message thread.
    ConversationId
);
id!(
    /// A recording of a conversation.
    RecordingId
);
id!(
    /// A batch download job (`/api/v2/recording/batchrequests/{jobId}`).
    BatchJobId
);
id!(
    /// An asynchronous conversation query (`/api/v2/analytics/conversations/details/jobs/{jobId}`).
    HistoryJobId
);
id!(
    /// A routing queue.
    QueueId
);
id!(
    /// A group of users.
    GroupId
);
id!(
    /// A user.
    UserId
);
id!(
    /// A voicemail message. That no id is empty matters most here: the path without one deletes every message there is.
    VoicemailId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_and_plain_words_are_ids() {
        for text in ["2f7bf00a-0fc2-4d6a-9b56-92238191433e", "a", "CONV-1"] {
            assert_eq!(ConversationId::from_str(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn nothing_that_could_leave_its_folder_or_blur_two_keys_is_an_id() {
        let long = "a".repeat(65);
        for text in ["", "../x", "a/b", "a_b", "a.b", "-a", "a b", "é", "a\0", long.as_str()] {
            assert_eq!(RecordingId::from_str(text), Err(NotAnId), "{text:?}");
        }
    }

    #[test]
    fn a_stand_in_is_stable_legal_and_distinct() {
        let one = RecordingId::standing_in_for("../../etc/passwd");
        assert_eq!(one, RecordingId::standing_in_for("../../etc/passwd"));
        assert_ne!(one, RecordingId::standing_in_for("../../etc/shadow"));
        assert!(one.is_stand_in() && RecordingId::from_str(one.as_str()).is_ok());
    }
}
