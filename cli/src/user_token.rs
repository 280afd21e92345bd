//! A client that acts for a user by one access token as it is, for commands that ask a question or two.
//!
//! Must never renew a token: a refresh token can be spent once.

use std::sync::Arc;

use async_trait::async_trait;
use callvault_bootstrap::system;
use callvault_genesys::api::{AccessTokens, ApiError};
use callvault_genesys::http::{ClientOptions, GenesysClient};
use callvault_genesys::region::Endpoints;
use secrecy::SecretString;

struct Fixed(SecretString);

#[async_trait]
impl AccessTokens for Fixed {
    async fn current(&self) -> Result<SecretString, ApiError> {
        Ok(self.0.clone())
    }

    /// Asked for only after a 401.
    async fn reread(&self) -> Result<SecretString, ApiError> {
        Err(ApiError::SignInRefused { reason: "401 for the user's token".to_owned() })
    }
}

/// A client with this token.
pub(crate) fn client(endpoints: &Endpoints, token: &SecretString) -> Result<GenesysClient, ApiError> {
    let (tokens, options) = (Arc::new(Fixed(token.clone())), ClientOptions::new(system::chance()));
    GenesysClient::of_user(endpoints.clone(), tokens, system::clock(), options)
        .map_err(|error| ApiError::Unavailable { operation: "set up the client", detail: error.to_string() })
}
