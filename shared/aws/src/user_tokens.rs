//! The access token of a signed-in user, from a secret that is rotated by somebody else.
//!
//! Reads the current version (`AWSCURRENT`) only, and never spends a refresh token: that can be done once, and is the
//! rotation's business alone. Must never show content: not in an error, not in a log, not in Debug.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use callvault_pipeline::api::{AccessTokens, ApiError};
use callvault_pipeline::clock::Clock;
use callvault_pipeline::user_secret::UserSecret;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use crate::secrets::{SecretError, of_sdk};

/// What this is called in errors.
const READ: &str = "read the user's token";

/// A token that ends sooner is not taken from memory: a newer one may have been stored since.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// The tokens of one secret. Remembers the last it read.
pub struct UserTokens {
    client: Client,
    id: String,
    clock: Arc<dyn Clock>,
    last: Mutex<Option<Known>>,
}

#[derive(Clone)]
struct Known {
    token: Option<SecretString>,
    expires_at: Option<Timestamp>,
}

impl std::fmt::Debug for UserTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserTokens").field("secret", &self.id).finish_non_exhaustive()
    }
}

impl UserTokens {
    /// The tokens of the secret `id`, its name or ARN. Sends nothing.
    pub fn new(sdk: &SdkConfig, id: &str, clock: Arc<dyn Clock>) -> Self {
        Self { client: Client::new(sdk), id: id.to_owned(), clock, last: Mutex::default() }
    }

    /// Reads the secret, and answers the region it names, if it does.
    ///
    /// # Errors
    /// [`SecretError`], which says what to do and shows no content.
    pub async fn read(&self) -> Result<Option<String>, SecretError> {
        let answer = self.client.get_secret_value().secret_id(&self.id).version_stage("AWSCURRENT").send().await;
        let answer = answer.map_err(|error| of_sdk(&self.id, &error))?;
        let unreadable = |detail: String| SecretError::Unreadable { id: self.id.clone(), detail };
        let text = answer.secret_string().ok_or_else(|| unreadable("it is binary".to_owned()))?;
        let secret = UserSecret::parse(text).map_err(|fault| unreadable(fault.to_string()))?;
        let known = Known { token: secret.access_token(), expires_at: secret.expires_at() };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
        Ok(secret.region())
    }

    /// How long the token that was read last is good for, in seconds; `None` where its end is not known.
    pub fn seconds_left(&self) -> Option<u64> {
        let ends = self.known()?.expires_at?;
        Some(u64::try_from(ends.duration_since(self.clock.now()).as_secs()).unwrap_or_default())
    }

    fn known(&self) -> Option<Known> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn token(&self) -> Result<SecretString, ApiError> {
        let token = self.known().and_then(|known| known.token);
        let reason = || format!("secret {} has no access token: run `callvault login`", self.id);
        token.ok_or_else(|| ApiError::SignInRefused { reason: reason() })
    }
}

#[async_trait]
impl AccessTokens for UserTokens {
    async fn current(&self) -> Result<SecretString, ApiError> {
        let is_good = |known: &Known| {
            let lasts = |end: Timestamp| end.duration_since(self.clock.now()) >= MARGIN;
            known.token.is_some() && known.expires_at.is_none_or(lasts)
        };
        if self.known().is_some_and(|known| is_good(&known)) {
            return self.token();
        }
        self.reread().await
    }

    async fn reread(&self) -> Result<SecretString, ApiError> {
        self.read().await.map_err(|error| match error {
            // A person must see to it.
            SecretError::Missing { .. } | SecretError::Denied { .. } | SecretError::Unreadable { .. } => {
                ApiError::SignInRefused { reason: error.to_string() }
            }
            error => ApiError::Unavailable { operation: READ, detail: error.to_string() },
        })?;
        self.token()
    }
}
