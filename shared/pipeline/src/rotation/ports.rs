//! What the rotation needs of the world, as traits in our words.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use callvault_genesys::user_secret::UserSecret;
use jiff::Timestamp;
use secrecy::SecretString;

use super::holders::Fingerprint;
use crate::ledger::{HolderId, LedgerError};

/// A secret, as its store describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// What names it for ever.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// Whether it is rotated.
    pub rotation_enabled: bool,
    /// Every version that has a stage, with all its stages.
    pub versions: BTreeMap<String, Vec<String>>,
}

impl Described {
    /// The version that has a stage.
    pub fn with_stage(&self, stage: &str) -> Option<&str> {
        let found = self.versions.iter().find(|(_, stages)| stages.iter().any(|one| one == stage));
        found.map(|(version, _)| version.as_str())
    }
}

/// Which value is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// The one with this stage.
    Stage(&'a str),
    /// That of a version, whatever its stages.
    Version(&'a str),
    /// That of a version, which must be pending.
    Pending(&'a str),
}

/// The secret's versions, and the rescue secret beside it.
#[async_trait]
pub trait SecretStore: Send + Sync {
    /// The versions and their stages.
    async fn describe(&self, secret: &str) -> Result<Described, StoreFault>;

    /// A value; `None` only where the store says that there is none.
    async fn value(&self, secret: &str, wanted: Wanted<'_>) -> Result<Option<SecretString>, StoreFault>;

    /// Puts the value of a pending version. Sent once: whoever calls repeats it, which does no harm.
    async fn put_pending(&self, secret: &str, version: &str, value: &SecretString) -> Result<(), StoreFault>;

    /// Moves [`super::CURRENT`] from one version to another.
    async fn make_current(&self, secret: &str, version: &str, from: Option<&str>) -> Result<(), StoreFault>;

    /// Takes [`super::PENDING`] from a version. Its value stays where it is.
    async fn end_pending(&self, secret: &str, version: &str) -> Result<(), StoreFault>;

    /// Every version that may still have a value, those without a stage included, newest first.
    async fn versions(&self, secret: &str) -> Result<Vec<String>, StoreFault>;

    /// What is in the rescue secret of a secret; `None` also where there is no rescue secret.
    async fn rescued(&self, of: &Described) -> Result<Option<SecretString>, StoreFault>;

    /// Puts a value into the rescue secret.
    async fn rescue(&self, of: &Described, value: &SecretString) -> Result<(), StoreFault>;

    /// Takes it out again.
    async fn clear_rescue(&self, of: &Described) -> Result<(), StoreFault>;
}

/// Why the store of secrets did not do something. No kind carries a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreFault {
    /// There is no such secret.
    #[error("there is no secret {id} ({detail})")]
    Missing {
        /// Which.
        id: String,
        /// What the store said.
        detail: String,
    },
    /// It refuses, and will go on to: permissions, keys, limits.
    #[error("secret {id}: {action} is refused ({detail})")]
    Refused {
        /// Which.
        id: String,
        /// What was asked, in the store's words.
        action: &'static str,
        /// What the store said.
        detail: String,
    },
    /// No answer, or one that passes. It may have taken effect.
    #[error("secret {id}: {action} got no answer ({detail}): run again")]
    Unreachable {
        /// Which.
        id: String,
        /// What was asked.
        action: &'static str,
        /// What happened.
        detail: String,
    },
}

impl StoreFault {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "secret-missing",
            Self::Refused { .. } => "secret-denied",
            Self::Unreachable { .. } => "secret-unreachable",
        }
    }

    /// Whether asking again is of no use.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Unreachable { .. })
    }
}

/// How far an exchange has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spending {
    /// Claimed: the request may be sent until the claim ends, or may have been.
    Exchanging,
    /// The successor was put away.
    Done,
    /// The request was sent; nobody knows what became of it.
    Unknown,
    /// Nothing was spent: refused, or never sent.
    Refused,
}

impl Spending {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Exchanging, Self::Done, Self::Unknown, Self::Refused];

    /// The word it is kept as.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exchanging => "exchanging",
            Self::Done => "done",
            Self::Unknown => "unknown",
            Self::Refused => "refused",
        }
    }
}

/// The newest exchange of a secret's refresh token. Digests only, never a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Counts the exchanges, from 1.
    pub number: u64,
    /// The refresh token that was in the current version then.
    pub base: Fingerprint,
    /// The one that was spent.
    pub spent: Fingerprint,
    /// The one that came for it.
    pub got: Option<Fingerprint>,
    /// How far it has come.
    pub state: Spending,
    /// The version it was made for.
    pub version: String,
    /// The version that held what was spent, where it was not the current one.
    pub from: Option<String>,
    /// Who does it.
    pub holder: HolderId,
    /// Since when.
    pub since: Timestamp,
    /// Nobody else may begin before this.
    pub until: Timestamp,
}

/// A generation as it was read: what a write is conditional on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Changes with every write.
    pub revision: u64,
    /// The newest generation.
    pub generation: Generation,
}

/// The rows of the ledger that say which refresh token was spent.
#[async_trait]
pub trait Lineage: Send + Sync {
    /// The newest generation of a secret.
    async fn newest(&self, secret: &str) -> Result<Option<Entry>, LedgerError>;

    /// Writes a generation if the row still has `revision` (0: if there is none). Answers the new revision; `None` if
    /// somebody else was first. An answer that was lost is found out, not guessed.
    async fn write(&self, secret: &str, revision: u64, generation: &Generation) -> Result<Option<u64>, LedgerError>;
}

/// A pair of tokens.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The access token.
    pub access: SecretString,
    /// The refresh token for next time.
    pub refresh: SecretString,
    /// When the access token ends.
    pub expires_at: Timestamp,
}

/// Genesys Cloud, as far as a rotation asks it.
#[async_trait]
pub trait UserTokens: Send + Sync {
    /// Spends a refresh token with the client of `client`, **once**, with no time beyond `deadline`.
    async fn exchange(
        &self,
        client: &UserSecret,
        refresh: &SecretString,
        deadline: Timestamp,
    ) -> Result<Pair, ExchangeFault>;

    /// Sees that the access token of a document is a user's and may read voicemail. Answers the user's id.
    async fn check(&self, document: &UserSecret, deadline: Timestamp) -> Result<String, CheckFault>;
}

/// What has become of a refresh token that was to be spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExchangeFault {
    /// It was not: there was no connection, or the server put us off.
    NotTaken {
        /// Status or fault.
        detail: String,
        /// How long the server asked to wait.
        wait: Duration,
    },
    /// Nobody knows.
    Unknown {
        /// Status or fault.
        detail: String,
    },
    /// It was spent, and the answer holds no pair.
    Unreadable {
        /// Where; no content.
        at: String,
    },
    /// It was spent before, has expired, or is somebody else's.
    GrantRefused,
    /// Refused for another reason, which other tokens would meet too.
    Refused {
        /// Stable code.
        code: &'static str,
        /// The server's word.
        reason: String,
    },
    /// There is no place to send it to.
    NoEndpoint {
        /// Why.
        why: String,
    },
}

/// Why an access token does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckFault {
    /// It is not accepted.
    Refused {
        /// The server's word.
        detail: String,
    },
    /// It is a user's, who may not read voicemail with it.
    NoScope {
        /// The server's word.
        detail: String,
    },
    /// Nobody knows.
    Unavailable {
        /// Status or fault.
        detail: String,
    },
    /// There is nobody to ask.
    NoEndpoint {
        /// Why.
        why: String,
    },
}
