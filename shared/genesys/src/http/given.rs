//! Access tokens that somebody else keeps: read, remembered, read anew once the platform refuses them.
//!
//! Must never refresh anything: a refresh token is spent by its first use, which is the rotation's business.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::send::Sender;
use super::token::{self, Token};
use crate::api::{AccessTokens, ApiError};

/// Keeps the token that was read last.
pub(super) struct Given {
    source: Arc<dyn AccessTokens>,
    slot: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    token: Option<Token>,
    issued: u64,
    /// The platform refused the last one.
    refused: bool,
}

impl Given {
    pub(super) fn new(source: Arc<dyn AccessTokens>) -> Self {
        Self { source, slot: Mutex::default() }
    }

    /// The token in use, or what the source has.
    ///
    /// # Errors
    /// The source's, [`ApiError::Unavailable`] when there is no time, [`ApiError::Unreadable`] for what is no token.
    pub(super) async fn token(&self, sender: &Sender<'_>) -> Result<Token, ApiError> {
        match sender.time_left() {
            None => self.read().await,
            Some(left) => tokio::time::timeout(left, self.read())
                .await
                .map_err(|_| token::unavailable("no time left".to_owned()))?,
        }
    }

    /// Single flight: the lock is held while the source is asked.
    async fn read(&self) -> Result<Token, ApiError> {
        let mut slot = self.slot.lock().await;
        if let Some(token) = &slot.token {
            return Ok(token.clone());
        }
        let text = if slot.refused { self.source.reread().await? } else { self.source.current().await? };
        let token = Token::given(&text, slot.issued + 1)?;
        *slot = Slot { token: Some(token.clone()), issued: slot.issued + 1, refused: false };
        Ok(token)
    }

    /// Forgets `token` after the API refused it, unless it was read anew since.
    pub(super) async fn forget(&self, token: &Token) {
        let mut slot = self.slot.lock().await;
        if slot.token.as_ref().is_some_and(|current| current.is(token)) {
            slot.token = None;
            slot.refused = true;
        }
    }
}

/// Where the bearer of a client comes from.
pub(super) enum Bearer {
    /// From a sign-in with the client's own credentials.
    Client(token::SignIn),
    /// From somebody who keeps a user's token.
    Given(Given),
}

impl Bearer {
    /// The current token, or a new one.
    ///
    /// # Errors
    /// See each source.
    pub(super) async fn token(&self, sender: &Sender<'_>) -> Result<Token, ApiError> {
        match self {
            Self::Client(sign_in) => sign_in.token(sender).await,
            Self::Given(given) => given.token(sender).await,
        }
    }

    /// Forgets `token` after the API refused it.
    pub(super) async fn forget(&self, token: &Token) {
        match self {
            Self::Client(sign_in) => sign_in.forget(token).await,
            Self::Given(given) => given.forget(token).await,
        }
    }
}
