//! What becomes of a refresh token or an authorization code, and the port through which a refresh token is spent.
//!
//! Both work once, and spending one cannot be undone: every kind of error says what has become of it. The port is for
//! whoever keeps a user's tokens and may not know HTTP.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;

/// What an exchange gives.
#[derive(Debug, Clone)]
pub struct TokenPair {
    /// The access token.
    pub access: SecretString,
    /// The refresh token for next time. Where the answer of a refresh names none, the one that was sent (RFC 6749,
    /// section 6): it is still good then.
    pub refresh: SecretString,
    /// Life of the access token from when it was asked for.
    pub expires_in: Duration,
}

/// Why the token endpoint said no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The code or refresh token is spent, expired or somebody else's.
    InvalidGrant,
    /// The client id is unknown or the secret is wrong.
    InvalidClient,
    /// Another word, or the status where there is none.
    Other(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::InvalidGrant => "invalid_grant",
            Self::InvalidClient => "invalid_client",
            Self::Other(word) => word,
        })
    }
}

/// Why an exchange gave no tokens, told by what has become of the code or refresh token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// Nothing was spent: there was no connection, or the server put us off (408, 429). Worth sending again.
    #[error("the token request did not go through ({detail})")]
    NotTaken {
        /// Status or fault, without URLs.
        detail: String,
        /// How long the server asked to wait.
        wait: Duration,
    },
    /// It may have been spent, and then its successor is lost: there was no answer, half of one, or a server error.
    #[error("the token request was sent, but its outcome is unknown ({detail})")]
    Unknown {
        /// Status or fault, without URLs.
        detail: String,
    },
    /// The server refused: nothing was spent by this request.
    #[error("Genesys Cloud refused the token request ({reason})")]
    Refused {
        /// Why.
        reason: Refusal,
    },
    /// It was spent, and the answer holds no pair of tokens.
    #[error("the token request succeeded, but its answer could not be read at {at}")]
    Unreadable {
        /// Where; no content.
        at: String,
    },
}

impl ExchangeError {
    /// Stable code, for alarms and recorded reasons.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotTaken { .. } => "exchange-not-taken",
            Self::Unknown { .. } => "exchange-outcome-unknown",
            Self::Refused { reason: Refusal::InvalidGrant } => "grant-refused",
            Self::Refused { reason: Refusal::InvalidClient } => "client-refused",
            Self::Refused { reason: Refusal::Other(_) } => "exchange-refused",
            Self::Unreadable { .. } => "exchange-unreadable",
        }
    }
}

/// Spends refresh tokens.
#[async_trait]
pub trait RefreshTokens: Send + Sync {
    /// Spends a refresh token of a client, once: the request is never repeated in here.
    ///
    /// # Errors
    /// See each kind of [`ExchangeError`].
    async fn exchange(
        &self,
        client_id: &str,
        client_secret: &SecretString,
        refresh: &SecretString,
    ) -> Result<TokenPair, ExchangeError>;
}
