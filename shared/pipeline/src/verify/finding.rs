//! What can differ. The codes are stable: scripts and alarms go by them.

use serde::{Serialize, Serializer};

use super::DayReport;
use crate::ids::{ConversationId, RecordingId};
use crate::layout::Key;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $advice:literal;)+) => {
        /// The kind of a difference.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FindingCode {
            $($(#[$doc])* $variant,)+
        }

        impl FindingCode {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable word for it.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// What to do about it, in one sentence.
            pub fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice,)+ }
            }
        }
    };
}

codes! {
    /// The ledger names it, the archive has it not.
    MissingObject = "missing-object", "--repair copies it again";
    /// Longer or shorter than it was proved to be.
    ChangedLength = "changed-length", "--repair sets it aside and copies it again";
    /// Of the same length, and other bytes.
    ChangedContent = "changed-content", "--repair sets it aside and copies it again";
    /// The archive lists it and cannot read it.
    UnreadableObject = "unreadable-object", "look at the archive's disk or service; callvault leaves it as it is";
    /// The archive has it, neither ledger nor manifest names it.
    ExtraObject = "extra-object", "look at it and move it away; callvault deletes nothing it does not know";
    /// The manifest names it, the ledger does not.
    LedgerRowLost = "ledger-row-lost", "--repair asks the source for it again";
    /// The source has it, the ledger does not.
    NewAtSource = "new-at-source", "--repair exports it, and so does the next export of the day";
    /// The source did not tell of it.
    SourceNotRead = "source-not-read", "verify again later, or give the client recording:recording:view";
    /// The ledger has no such day.
    DayUnknown = "day-unknown", "--repair exports the day";
    /// Something of the day is still to be done.
    DayNotClosed = "day-not-closed", "--repair closes the day, and so does its next export";
    /// The ledger names a manifest, the archive has none.
    ManifestMissing = "manifest-missing", "--repair writes a new one";
    /// The manifest has another digest than ledger or marker say.
    ManifestEdited = "manifest-edited", "--repair sets it aside and writes a new one";
    /// The manifest is as it was written, and the ledger says something else now.
    ManifestOutdated = "manifest-outdated", "--repair writes a new one";
    /// The day is closed and has no marker.
    MarkerMissing = "marker-missing", "--repair writes it";
    /// `_SUCCESS` and `_FAILURE` both stand.
    MarkerBoth = "marker-both", "--repair leaves the true one";
    /// `_SUCCESS` stands, and something is parked, missing or changed.
    MarkerFalse = "marker-false", "--repair removes it, and writes it when it is true";
    /// A link of the chain of manifests does not follow from what it says, or what it follows is another now.
    ChainBroken = "chain-broken", "a marker, an old manifest or the ledger was changed by hand: verify the day it names, and compare with what was notified";
    /// The marker says something else than the ledger.
    MarkerDisagrees = "marker-disagrees", "--repair writes it anew";
}

impl Serialize for FindingCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// A difference. The names are fixed: scripts read them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its kind.
    pub code: FindingCode,
    /// The conversation, where it is about one.
    pub conversation: Option<ConversationId>,
    /// The recording, where it is about one.
    pub recording: Option<RecordingId>,
    /// The object, where it is about one.
    pub key: Option<Key>,
    /// What exactly.
    pub detail: String,
    /// Whether it was mended.
    pub repaired: bool,
}

impl Finding {
    /// A finding about nothing in particular yet.
    pub fn new(code: FindingCode, detail: impl Into<String>) -> Self {
        Self { code, conversation: None, recording: None, key: None, detail: detail.into(), repaired: false }
    }

    /// The same, about an object.
    #[must_use]
    pub fn at(self, key: &Key) -> Self {
        Self { key: Some(key.clone()), ..self }
    }

    /// The same, about a conversation, and one of its recordings.
    #[must_use]
    pub fn of(self, conversation: &ConversationId, recording: Option<&RecordingId>) -> Self {
        Self { conversation: Some(conversation.clone()), recording: recording.cloned(), ..self }
    }

    /// Whether it is about the same as another one.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.code, &self.conversation, &self.recording, &self.key)
            == (other.code, &other.conversation, &other.recording, &other.key)
    }
}

impl DayReport {
    pub(super) fn find(&mut self, code: FindingCode, detail: impl Into<String>) {
        self.findings.push(Finding::new(code, detail));
    }

    pub(super) fn has(&self, codes: &[FindingCode]) -> bool {
        self.findings.iter().any(|finding| codes.contains(&finding.code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_kebab_case_and_come_with_advice() {
        let codes: std::collections::BTreeSet<_> = FindingCode::ALL.iter().map(|code| code.code()).collect();
        assert_eq!(codes.len(), FindingCode::ALL.len());
        for code in FindingCode::ALL {
            assert!(code.code().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code:?}");
            assert!(!code.advice().is_empty());
        }
    }
}
