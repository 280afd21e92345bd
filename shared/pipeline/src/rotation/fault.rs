//! Why a step failed: what it means for the tokens, and what to do.

use callvault_genesys::user_secret::UserSecretFault;

use super::ports::{CheckFault, StoreFault};
use crate::ledger::LedgerError;

/// Why a step failed. AWS runs the whole rotation again after each of them, with the same version, and later with a new
/// one; [`RotationFault::is_for_a_person`] tells which of them that does not mend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotationFault {
    /// The secret has no rotation.
    #[error("the secret is not enabled for rotation: nothing was done")]
    NotEnabled,
    /// The secret has no such version.
    #[error("the secret has no version of this ClientRequestToken: nothing was done")]
    UnknownVersion,
    /// The version is not being made.
    #[error("the version of this ClientRequestToken is not AWSPENDING: nothing was done")]
    NotPending,
    /// There is nothing to test or to make current.
    #[error("the pending version has no tokens yet: createSecret comes first")]
    NoValue,
    /// A version is not what we expect.
    #[error("the {which} value of the secret cannot be used ({fault}): sign in with `callvault login --secret ID`")]
    Unreadable {
        /// Which one.
        which: &'static str,
        /// What is wrong; no content.
        fault: UserSecretFault,
    },
    /// The current version is another sign-in than the one that the pending pair comes from.
    #[error(
        "somebody has signed in since this rotation began: its version is given up, and the next rotation starts from the new sign-in"
    )]
    SignedInSince,
    /// The store of secrets failed.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Another rotation of the same secret holds the claim.
    #[error("another rotation of this secret is spending its refresh token: run again")]
    UnderWay,
    /// Nothing was begun, as it could not have ended in time.
    #[error("there is not enough time left for an exchange: run again")]
    OutOfTime,
    /// The token request did not go through.
    #[error("the token request did not go through ({detail}): nothing was spent, run again")]
    NotTaken {
        /// Status or fault.
        detail: String,
    },
    /// The token request was sent, and nobody knows whether the refresh token is spent.
    #[error("the token request was sent, but its outcome is unknown ({detail}): the next run finds out")]
    OutcomeUnknown {
        /// Status or fault.
        detail: String,
    },
    /// The refresh token is spent, and its successor cannot be read.
    #[error(
        "the token request succeeded, but its answer could not be read at {at}: the next run finds out what is left"
    )]
    AnswerUnreadable {
        /// Where; no content.
        at: String,
    },
    /// Genesys Cloud refuses the client, or the request as such.
    #[error(
        "Genesys Cloud refused the token request ({reason}): check clientId and clientSecret in the secret, and that the client has the grant `code authorization`; nothing was spent"
    )]
    ExchangeRefused {
        /// Stable code.
        code: &'static str,
        /// The server's word.
        reason: String,
    },
    /// No refresh token is left that works.
    #[error("no refresh token is left that Genesys Cloud accepts ({tried} tried): run `callvault login --secret ID`")]
    SignInNeeded {
        /// How many were tried.
        tried: usize,
    },
    /// The new pair is not in its version, but in the rescue secret.
    #[error(
        "the new pair of tokens could not be put into the secret ({cause}); it is in the rescue secret: the next run takes it from there"
    )]
    PairInRescue {
        /// Why.
        cause: StoreFault,
    },
    /// The new pair is nowhere.
    #[error(
        "the new pair of tokens could not be put anywhere: not into the secret ({cause}), nor into the rescue secret ({rescue}): run `callvault login --secret ID`"
    )]
    PairNotSaved {
        /// Why.
        cause: Box<StoreFault>,
        /// And why.
        rescue: Box<StoreFault>,
    },
    /// The pending access token is not accepted.
    #[error("Genesys Cloud does not accept the pending access token ({detail})")]
    TokenRefused {
        /// The server's word.
        detail: String,
    },
    /// It may not read voicemail.
    #[error(
        "the pending access token may not read voicemail ({detail}): give the OAuth client the scope `voicemail`, then run `callvault login --secret ID`"
    )]
    NoScope {
        /// The server's word.
        detail: String,
    },
    /// It could not be tried.
    #[error("the pending access token could not be tried ({detail}): run again")]
    NotTried {
        /// Status or fault.
        detail: String,
    },
    /// There is no place to ask.
    #[error("where Genesys Cloud is, is not known ({why}): put `region` into the secret, or set GENESYS_REGION")]
    NoEndpoint {
        /// Why.
        why: String,
    },
}

impl RotationFault {
    /// Stable code, for alarms and Lambda's `errorType`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotEnabled => "rotation-not-enabled",
            Self::UnknownVersion => "unknown-version",
            Self::NotPending => "not-pending",
            Self::NoValue => "pending-has-no-value",
            Self::Unreadable { .. } => "secret-unreadable",
            Self::SignedInSince => "signed-in-since",
            Self::Store(fault) => fault.code(),
            Self::Ledger(error) => error.code(),
            Self::UnderWay => "rotation-under-way",
            Self::OutOfTime => "out-of-time",
            Self::NotTaken { .. } => "exchange-not-taken",
            Self::OutcomeUnknown { .. } => "exchange-outcome-unknown",
            Self::AnswerUnreadable { .. } => "exchange-unreadable",
            Self::ExchangeRefused { code, .. } => code,
            Self::SignInNeeded { .. } => "sign-in-needed",
            Self::PairInRescue { .. } => "pair-in-rescue",
            Self::PairNotSaved { .. } => "pair-not-saved",
            Self::TokenRefused { .. } => "token-refused",
            Self::NoScope { .. } => "voicemail-scope-missing",
            Self::NotTried { .. } => "source-unavailable",
            Self::NoEndpoint { .. } => "region-unknown",
        }
    }

    /// Whether nothing mends it but a person who signs in.
    pub fn is_for_a_person(&self) -> bool {
        matches!(self, Self::SignInNeeded { .. })
    }

    /// Whether a pair that was received is not where it belongs.
    pub fn is_about_a_pair(&self) -> bool {
        matches!(self, Self::PairInRescue { .. } | Self::PairNotSaved { .. })
    }
}

impl From<CheckFault> for RotationFault {
    fn from(fault: CheckFault) -> Self {
        match fault {
            CheckFault::Refused { detail } => Self::TokenRefused { detail },
            CheckFault::NoScope { detail } => Self::NoScope { detail },
            CheckFault::Unavailable { detail } => Self::NotTried { detail },
            CheckFault::NoEndpoint { why } => Self::NoEndpoint { why },
        }
    }
}
