//! The access token of a secret's file, renewed when it ends.
//!
//! A refresh token can be spent once, and the exchange cannot be undone. So one process at a time does it, under the
//! file's lock; a marker beside the file (`NAME.exchanging`, with the digest of the token that is spent) is on disk
//! before the request is sent and gone only when its outcome is known; the new pair is written at once, or else into
//! the rescue file (`NAME.rescue`), which is looked into first next time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use callvault_pipeline::api::{AccessTokens, ApiError, ExchangeError, RefreshTokens, Refusal, TokenPair};
use callvault_pipeline::archive::prove;
use callvault_pipeline::clock::Clock;
use callvault_pipeline::user_secret::UserSecret;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;

use super::{Locked, SecretFile, SecretFileError, remove};

/// What this is called in errors.
const RENEW: &str = "renew the user's token";

/// A token is renewed this long before its end, when it is asked for: a request may be under way for that long.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// How often, and how many times, a lock that somebody else has is asked for: longer than an exchange takes.
const LOOK: (Duration, u32) = (Duration::from_millis(100), 900);

/// Pauses between attempts to write a new pair; after the last, the rescue file.
const WRITE_AGAIN: [Duration; 3] = [Duration::from_millis(50), Duration::from_millis(500), Duration::from_secs(2)];

/// Reads and renews the tokens of a [`SecretFile`].
#[derive(Clone)]
pub struct FileTokens {
    keeper: Arc<Keeper>,
    /// The token that was handed out last. Held while it is renewed: single flight within a process.
    last: Arc<Mutex<Option<SecretString>>>,
}

struct Keeper {
    file: SecretFile,
    exchange: Arc<dyn RefreshTokens>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for FileTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileTokens").field("file", &self.keeper.file.path()).finish_non_exhaustive()
    }
}

impl FileTokens {
    /// The tokens of `file`, renewed through `exchange`.
    pub fn new(file: SecretFile, exchange: Arc<dyn RefreshTokens>, clock: Arc<dyn Clock>) -> Self {
        Self { keeper: Arc::new(Keeper { file, exchange, clock }), last: Arc::default() }
    }

    /// The file's token, unless it is `refused` or near its end; else a new one.
    ///
    /// The work goes on in a task of its own: whoever asked may stop waiting, and a pair must not be dropped with them.
    async fn token(&self, refused: bool) -> Result<SecretString, ApiError> {
        let (keeper, last) = (Arc::clone(&self.keeper), Arc::clone(&self.last));
        let task = tokio::spawn(async move {
            let mut last = last.lock().await;
            let token = keeper.token(last.as_ref().filter(|_| refused)).await?;
            *last = Some(token.clone());
            Ok(token)
        });
        task.await.unwrap_or_else(|error| Err(unavailable(format!("its task ended: {error}"))))
    }
}

#[async_trait]
impl AccessTokens for FileTokens {
    async fn current(&self) -> Result<SecretString, ApiError> {
        self.token(false).await
    }

    async fn reread(&self) -> Result<SecretString, ApiError> {
        self.token(true).await
    }
}

impl Keeper {
    async fn token(&self, refused: Option<&SecretString>) -> Result<SecretString, ApiError> {
        let there = self.file.read().map_err(|error| unavailable(error.to_string()))?;
        if let Some(token) = there.and_then(|secret| self.usable(&secret, refused)) {
            return Ok(token);
        }
        let _lock = self.lock().await?;
        // Somebody else may have renewed it while we waited, or could not write it where it belongs.
        self.bring_home()?;
        let secret = self.read()?;
        match self.usable(&secret, refused) {
            Some(token) => Ok(token),
            None => self.renew(&secret).await,
        }
    }

    /// The secret's token, if it is good for a while and not the one that was refused.
    fn usable(&self, secret: &UserSecret, refused: Option<&SecretString>) -> Option<SecretString> {
        let token = secret.access_token()?;
        let refused = refused.is_some_and(|refused| refused.expose_secret() == token.expose_secret());
        let ends = secret.expires_at().is_some_and(|end| end.duration_since(self.clock.now()) < MARGIN);
        (!refused && !ends).then_some(token)
    }

    fn read(&self) -> Result<UserSecret, ApiError> {
        let missing = || self.sign_in_needed("there is no such file");
        self.file.read().map_err(|error| unavailable(error.to_string()))?.ok_or_else(missing)
    }

    async fn lock(&self) -> Result<Locked, ApiError> {
        let (pause, times) = LOOK;
        for _ in 0..times {
            if let Some(lock) = self.file.try_lock().map_err(|error| unavailable(error.to_string()))? {
                return Ok(lock);
            }
            self.clock.sleep(pause).await;
        }
        Err(unavailable(format!("{} is locked by another process", self.file.path().display())))
    }

    /// Puts a rescued pair where it belongs. It is the newer one: it was written because the file could not be.
    fn bring_home(&self) -> Result<(), ApiError> {
        let rescue = self.file.rescue();
        let secret = match rescue.read() {
            Ok(None) => return Ok(()),
            Ok(Some(secret)) => secret,
            // Half written by somebody who was killed: of no use to anybody.
            Err(SecretFileError::Useless { .. }) => return Ok(()),
            Err(error) => return Err(unavailable(error.to_string())),
        };
        let home = self.file.write(&secret).and_then(|()| self.file.forget_leftovers());
        home.map_err(|error| unavailable(error.to_string()))
    }

    async fn renew(&self, secret: &UserSecret) -> Result<SecretString, ApiError> {
        let Some(refresh) = secret.refresh_token() else {
            return Err(self.sign_in_needed("it holds no refresh token"));
        };
        let lost = self.mark(&refresh)?;
        let begun = self.clock.now();
        let exchanged = self.exchange.exchange(secret.client_id(), secret.client_secret(), &refresh).await;
        let pair = match exchanged {
            Ok(pair) => pair,
            Err(error) => return Err(self.refused(&error, lost)),
        };
        let renewed = secret.with_tokens(&pair.access, &pair.refresh, end_of(&pair, begun));
        self.keep(&renewed).await;
        Ok(pair.access)
    }

    /// Says on disk which token is about to be spent. Whether an earlier exchange of it has an unknown outcome.
    fn mark(&self, refresh: &SecretString) -> Result<bool, ApiError> {
        let digest = prove(refresh.expose_secret().as_bytes()).sha256;
        let marker = SecretFile::new(self.file.beside(".exchanging"));
        let left = marker.text().ok().flatten();
        let lost = left.is_some_and(|text| text.expose_secret().trim() == digest);
        marker.replace(digest.as_bytes()).map_err(|error| unavailable(marker.unwritable(&error).to_string()))?;
        Ok(lost)
    }

    /// What a failed exchange means; `lost` if an earlier one of the same token has an unknown outcome.
    fn refused(&self, error: &ExchangeError, lost: bool) -> ApiError {
        let settled = match error {
            ExchangeError::NotTaken { .. } => !lost,
            ExchangeError::Refused { .. } => true,
            ExchangeError::Unknown { .. } | ExchangeError::Unreadable { .. } => false,
        };
        if settled {
            self.unmark();
        }
        match error {
            ExchangeError::Refused { reason: Refusal::InvalidGrant } if lost => {
                self.sign_in_needed("the answer to an earlier renewal was lost, and its refresh token is spent")
            }
            ExchangeError::Refused { reason: Refusal::InvalidGrant } => {
                self.sign_in_needed("the refresh token is spent or was withdrawn")
            }
            ExchangeError::Refused { reason } => ApiError::SignInRefused { reason: reason.to_string() },
            other => unavailable(other.to_string()),
        }
    }

    /// Writes a new pair: into the file, or into the rescue file. The token is good even where both refuse.
    async fn keep(&self, renewed: &UserSecret) {
        let mut fault = match self.file.write(renewed) {
            Ok(()) => return self.unmark(),
            Err(fault) => fault,
        };
        // At once, before anything is tried again: a process can be killed while it waits.
        let rescued = self.file.rescue().write(renewed).is_ok();
        for pause in WRITE_AGAIN {
            self.clock.sleep(pause).await;
            match self.file.write(renewed) {
                Ok(()) => {
                    if let Err(error) = self.file.forget_leftovers() {
                        tracing::warn!("{error}");
                    }
                    return;
                }
                Err(again) => fault = again,
            }
        }
        let code = fault.code();
        if rescued {
            let rescue = self.file.rescue();
            tracing::error!(code, "{fault}: the new tokens are in {}", rescue.path().display());
        } else {
            tracing::error!(code, "{fault}: the new tokens are in no file, sign in again with `callvault login`");
        }
    }

    fn unmark(&self) {
        if let Err(error) = remove(&self.file.beside(".exchanging")) {
            tracing::warn!("{}", self.file.unwritable(&error));
        }
    }

    fn sign_in_needed(&self, why: &str) -> ApiError {
        let path = self.file.path().display();
        ApiError::SignInRefused {
            reason: format!("sign-in-needed: {path}: {why}; run `callvault login --file {path}`"),
        }
    }
}

fn end_of(pair: &TokenPair, begun: Timestamp) -> Timestamp {
    SignedDuration::try_from(pair.expires_in).ok().and_then(|life| begun.checked_add(life).ok()).unwrap_or(begun)
}

fn unavailable(detail: String) -> ApiError {
    ApiError::Unavailable { operation: RENEW, detail }
}
