//! Why something is not in the archive. Closed words of ours: they stand in ledgers, markers and alarms for years.

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $advice:literal;)+) => {
        /// A recorded reason. [`Reason::code`] is stable; [`Reason::advice`] says what to do about it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Reason {
            $($(#[$doc])* #[serde(rename = $code)] $variant,)+
        }

        impl Reason {
            /// Every reason there is.
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

reasons! {
    /// In the source's cold storage.
    Archived = "archived", "restore it at the source, then export the day again";
    /// In the source's cold storage, and as many of its day were restored as may be.
    RestoreCapped = "restore-capped", "raise RESTORE_ARCHIVED, then export the day again";
    /// In the source's cold storage, and the client may not have it restored.
    RestoreForbidden = "restore-forbidden", "give the client recording:recording:editRetention, then export the day again";
    /// On its way back from cold storage.
    Restoring = "restoring", "export the day again when the restore is done";
    /// Deleted at the source before it could be copied.
    Deleted = "deleted", "it is gone at the source: nothing can be done";
    /// Not yet complete at the source.
    Uploading = "uploading", "export the day again later";
    /// The metadata says it is available, and the batch never delivers it: what the platform does with sensitive
    /// recordings where the client lacks `recording:recording:viewSensitiveData`.
    SensitiveExcluded = "sensitive-excluded", "give the client recording:recording:viewSensitiveData, then export the day again";
    /// The source reports an error instead of the recording.
    SourceError = "source-error", "look at the recording in Genesys Cloud, then export the day again";
    /// The source gives URLs and refuses them.
    UrlRefused = "url-refused", "export the day again; if it stays, ask the vendor";
    /// The source gives a URL that we do not open.
    UrlNotAllowed = "url-not-allowed", "if the host is right, add it to MEDIA_HOSTS and export the day again";
    /// The download broke off too often.
    DownloadFailed = "download-failed", "check the network, then export the day again";
    /// The archive failed at this object too often.
    ArchiveFailed = "archive-failed", "look at the archive's disk or service, then export the day again";
    /// The source refuses to take the conversation into a batch.
    SubmitRefused = "submit-refused", "look at the conversation in Genesys Cloud";
    /// The client may not read the conversation's recording metadata, so nobody can say whether it is complete.
    MetadataForbidden = "metadata-forbidden", "give the client recording:recording:view in the conversation's division, or set METADATA=analytics";
    /// The source, or the host of its media, did not answer for long.
    SourceUnavailable = "source-unavailable", "export the day again later";
    /// The source's answer about it could not be read.
    UnreadableAnswer = "unreadable-answer", "update callvault, or report the answer's shape";
    /// What the source gave as its id cannot be one.
    UnreadableId = "unreadable-id", "report it: the id is not one";
    /// It has more recordings than the ledger has room for in one place (DynamoDB: thousands).
    TooManyRecordings = "too-many-recordings", "export its day on one machine with a ledger in a file: LEDGER=sqlite:PATH";
    /// An event told of a voicemail, and for a day no mailbox listed it.
    NotListed = "voicemail-not-listed", "it was deleted before it could be copied, or lies in a mailbox that the signed-in user does not see";
    /// An event told of a voicemail and named neither a queue nor a user, and the signed-in user is in no group.
    NoMailbox = "no-mailbox", "put the signed-in user into the group, or name the group in VOICEMAIL_GROUPS";
    /// The signed-in user may not list or read it.
    VoicemailForbidden = "voicemail-forbidden", "give the signed-in user voicemail:acdvoicemail:view and the scope voicemail; the sweep tries again after a day";
    /// The source prepares its file for ever.
    MediaNotReady = "media-not-ready", "listen to it in Genesys Cloud; the sweep tries again after a day";
    /// A voicemail that was left for one user: no other user can read it.
    DirectVoicemail = "direct-voicemail", "nothing: only the user it was left for can reach it";
    /// Left out by `REQUIRE_AGENT`.
    NoAgent = "no-agent", "nothing: REQUIRE_AGENT leaves it out";
    /// Left out by `RECORDED_ONLY`.
    NotRecorded = "not-recorded", "nothing: RECORDED_ONLY leaves it out";
    /// Left out by `QUEUE_IDS`.
    OtherQueue = "other-queue", "nothing: QUEUE_IDS leaves it out";
    /// Left out by `MEDIA_KINDS`.
    OtherKind = "other-kind", "nothing: MEDIA_KINDS leaves it out";
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

/// How many of each reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ByReason([u64; Reason::ALL.len()]);

impl ByReason {
    /// Counts one.
    pub fn add(&mut self, reason: Reason) {
        if let Some(count) = self.0.get_mut(reason as usize) {
            *count += 1;
        }
    }

    /// The reasons that there are, each with its number.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.iter().copied().zip(self.0).filter(|(_, count)| *count > 0)
    }
}

impl std::ops::AddAssign for ByReason {
    fn add_assign(&mut self, other: Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_survive_storage() {
        let codes: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|r| r.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            let stored = serde_json::to_string(reason).unwrap();
            assert_eq!(stored, format!("\"{}\"", reason.code()));
            assert_eq!(serde_json::from_str::<Reason>(&stored).unwrap(), *reason);
        }
    }

    #[test]
    fn reasons_are_counted_one_by_one() {
        let mut counts = ByReason::default();
        for reason in Reason::ALL {
            counts.add(*reason);
        }
        counts.add(Reason::OtherKind);
        let mut twice = counts;
        twice += counts;
        let expected = Reason::ALL.iter().map(|reason| (*reason, if *reason == Reason::OtherKind { 4 } else { 2 }));
        assert!(twice.iter().eq(expected));
    }
}
