//! The port through which a user's access token comes in.
//!
//! Whoever keeps the token (a secret store, a file) implements it. The client only reads: spending a refresh token is
//! the rotation's business alone, since it can be done once.

use async_trait::async_trait;
use secrecy::SecretString;

use super::ApiError;

/// Hands out the access token of a signed-in user.
#[async_trait]
pub trait AccessTokens: Send + Sync {
    /// The token, as far as is known. May come from memory.
    ///
    /// # Errors
    /// [`ApiError::Unavailable`] if it cannot be read now, [`ApiError::SignInRefused`] if a person has to sign in.
    async fn current(&self) -> Result<SecretString, ApiError>;

    /// The token, read anew: the one from before was answered 401, perhaps because it was rotated.
    ///
    /// # Errors
    /// As [`AccessTokens::current`].
    async fn reread(&self) -> Result<SecretString, ApiError>;
}
