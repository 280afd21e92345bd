//! The access token of a secret's file, renewed when it ends.
//!
//! A refresh token can be spent once, and the exchange cannot be undone. So one process at a time does it, under the
//! file's lock; a marker beside the file (`NAME.exchanging`, with the digest of the token that is spent) is on disk
//! before the request is sent and gone only when its outcome is known; the new pair is written at once, or else into
//! a rescue file (`NAME.rescue`, or one in the folder for temporary files), which is looked into first next time, and
//! kept in the process until the file takes it. A pair is written only over the token that it came for: whoever has
//! signed in since is not undone, neither by a rescue file nor by a renewal that took long.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use callvault_pipeline::api::{AccessTokens, ApiError, ExchangeError, RefreshTokens, Refusal, TokenPair};
use callvault_pipeline::archive::prove;
use callvault_pipeline::clock::Clock;
use callvault_pipeline::rotation::holders::{self, Fingerprint, Other};
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
    /// A new pair that is not in the file yet: it exists nowhere else for certain.
    unsaved: std::sync::Mutex<Option<Unsaved>>,
}

/// A pair that belongs into the file.
#[derive(Clone)]
struct Unsaved {
    secret: UserSecret,
    /// The refresh token that was in the file when it was received. Only over that one it is written.
    came_for: Fingerprint,
}

impl Unsaved {
    /// What is in a rescue file, which says itself what its pair came for.
    fn read(text: &SecretString) -> Option<Self> {
        let rescued = Other::rescued(text)?;
        Some(Self { came_for: rescued.base?, secret: UserSecret::parse(holders::unmarked(text).expose_secret()).ok()? })
    }

    /// A document with its tokens.
    fn on(&self, there: &UserSecret) -> UserSecret {
        match (self.secret.access_token(), self.secret.refresh_token(), self.secret.expires_at()) {
            (Some(access), Some(refresh), Some(ends)) => there.with_tokens(&access, &refresh, ends),
            _ => self.secret.clone(),
        }
    }
}

impl std::fmt::Debug for FileTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileTokens").field("file", &self.keeper.file.path()).finish_non_exhaustive()
    }
}

impl FileTokens {
    /// The tokens of `file`, renewed through `exchange`.
    pub fn new(file: SecretFile, exchange: Arc<dyn RefreshTokens>, clock: Arc<dyn Clock>) -> Self {
        Self {
            keeper: Arc::new(Keeper { file, exchange, clock, unsaved: std::sync::Mutex::default() }),
            last: Arc::default(),
        }
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
        let unsaved = self.unsaved().clone();
        if let Some(pair) = unsaved {
            return self.token_of(&pair, refused).await;
        }
        let there = self.file.read().map_err(|error| unavailable(error.to_string()))?;
        if let Some(token) = there.and_then(|secret| self.usable(&secret, refused)) {
            return Ok(token);
        }
        let _lock = self.lock().await?;
        self.token_of_file(refused).await
    }

    /// Under the lock.
    async fn token_of_file(&self, refused: Option<&SecretString>) -> Result<SecretString, ApiError> {
        // Somebody else may have renewed it while we waited, or could not write it where it belongs.
        self.bring_home()?;
        let secret = self.read()?;
        match self.usable(&secret, refused) {
            Some(token) => Ok(token),
            None => self.renew(&secret, Fingerprint::of_document(&secret)).await,
        }
    }

    /// That of a pair which the file has not taken yet, and may take now.
    async fn token_of(&self, pair: &Unsaved, refused: Option<&SecretString>) -> Result<SecretString, ApiError> {
        let lock = self.lock().await;
        if lock.is_ok() && self.put(pair).is_ok() {
            *self.unsaved() = None;
            return self.token_of_file(refused).await;
        }
        match self.usable(&pair.secret, refused) {
            Some(token) => Ok(token),
            None => {
                let _lock = lock?;
                self.renew(&pair.secret, pair.came_for.clone()).await
            }
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

    /// Puts a rescued pair where it belongs, if it is newer than what is there.
    fn bring_home(&self) -> Result<(), ApiError> {
        for rescue in self.file.rescues() {
            let text = match rescue.text() {
                Ok(Some(text)) => text,
                Ok(None) => continue,
                Err(error) => return Err(unavailable(error.to_string())),
            };
            // Half written by somebody who was killed, or nothing of ours: of no use to anybody.
            let Some(pair) = Unsaved::read(&text) else { continue };
            self.put(&pair).map_err(|error| unavailable(error.to_string()))?;
        }
        Ok(())
    }

    /// Writes a pair over the tokens that it came for, and forgets what was left beside them. Other tokens stay: somebody
    /// has signed in since, or has brought the pair home and renewed it.
    fn put(&self, pair: &Unsaved) -> Result<(), SecretFileError> {
        let there = self.file.read();
        let home = match &there {
            Ok(Some(there)) => {
                let now = Fingerprint::of_document(there);
                if now != pair.came_for {
                    if now != Fingerprint::of_document(&pair.secret) {
                        tracing::info!(
                            "{} was signed in for anew: an older renewal is dropped",
                            self.file.path().display()
                        );
                    }
                    return self.file.forget_leftovers();
                }
                pair.on(there)
            }
            // Gone, or useless: this is all there is.
            _ => pair.secret.clone(),
        };
        self.file.write(&home)?;
        if let Err(error) = self.file.forget_leftovers() {
            // Told apart from a newer one by what it came for.
            tracing::warn!("{error}");
        }
        Ok(())
    }

    /// `came_for` names the refresh token that is in the file.
    async fn renew(&self, secret: &UserSecret, came_for: Fingerprint) -> Result<SecretString, ApiError> {
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
        self.keep(Unsaved { secret: renewed, came_for }).await;
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

    /// Writes a new pair: into the file, or into a rescue file. Until the file has it, it is kept here too, and tried again
    /// whenever somebody asks for a token.
    async fn keep(&self, pair: Unsaved) {
        *self.unsaved() = Some(pair.clone());
        let mut fault = match self.put(&pair) {
            Ok(()) => return *self.unsaved() = None,
            Err(fault) => fault,
        };
        // At once, before anything is tried again: a process can be killed while it waits.
        let mut rescued = self.rescue(&pair);
        for pause in WRITE_AGAIN {
            self.clock.sleep(pause).await;
            match self.put(&pair) {
                Ok(()) => return *self.unsaved() = None,
                Err(again) => fault = again,
            }
            rescued = rescued.or_else(|| self.rescue(&pair));
        }
        let code = fault.code();
        match rescued {
            Some(rescue) => tracing::error!(code, "{fault}: the new tokens are in {}", rescue.path().display()),
            None => tracing::error!(
                code,
                "{fault}: the new tokens are in no file, only in this process, which goes on trying: make room for them before it ends, or sign in again with `callvault login`"
            ),
        }
    }

    /// Writes a pair into the first rescue file that takes it.
    fn rescue(&self, pair: &Unsaved) -> Option<SecretFile> {
        let text = holders::marked(&pair.secret, &pair.came_for);
        self.file.rescues().into_iter().find(|rescue| rescue.replace(text.expose_secret().as_bytes()).is_ok())
    }

    fn unsaved(&self) -> MutexGuard<'_, Option<Unsaved>> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
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
