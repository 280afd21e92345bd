//! A gate whose secret is in Secrets Manager: read when an instance starts, and again from time to time.
//!
//! So a secret that is changed opens the gate within a minute (whoever is refused makes it be read again, at most that often), and the
//! one before it no longer than [`LONGEST_KEPT`], as long as Secrets Manager answers. Must never show a secret, nor open while none was read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use callvault_aws::config::SdkConfig;
use callvault_aws::secrets::TokenSecret;
use callvault_calls::gate::Gate;
use callvault_pipeline::clock::Clock;
use jiff::Timestamp;

use super::refusal::Refusal;

/// How long a secret is used without being read again.
pub const LONGEST_KEPT: Duration = Duration::from_secs(300);

/// How long it is used however many are refused: each reading is paid for, and nobody who knocks shall decide how often.
pub const SHORTEST_KEPT: Duration = Duration::from_secs(60);

/// Reading it again takes no longer: whoever knocks waits for it.
const LONGEST_READING: Duration = Duration::from_secs(2);

/// A gate, and where its secret is.
pub struct SecretGate {
    sdk: SdkConfig,
    secret: String,
    clock: Arc<dyn Clock>,
    kept: Mutex<Option<Kept>>,
}

#[derive(Clone)]
struct Kept {
    gate: Gate,
    read_at: Timestamp,
    /// When it was last tried to read it, in vain or not.
    tried_at: Timestamp,
}

impl std::fmt::Debug for SecretGate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretGate").field("secret", &self.secret).finish_non_exhaustive()
    }
}

impl SecretGate {
    /// A gate that the secret of this name or ARN opens. Reads it.
    ///
    /// # Errors
    /// [`Refusal`]: it cannot be read, or is no token.
    pub async fn connect(sdk: &SdkConfig, secret: &str, clock: Arc<dyn Clock>) -> Result<Self, Refusal> {
        let gate = Self { sdk: sdk.clone(), secret: secret.to_owned(), clock, kept: Mutex::default() };
        gate.read().await?;
        Ok(gate)
    }

    /// The gate for somebody who knocks: where it is not opened, it is read again, since the secret may have been changed.
    ///
    /// # Errors
    /// [`Refusal`]: the secret was never read and cannot be.
    pub async fn for_whom(&self, opens: impl Fn(&Gate) -> bool) -> Result<Gate, Refusal> {
        let gate = self.gate(LONGEST_KEPT).await?;
        if opens(&gate) { Ok(gate) } else { self.gate(SHORTEST_KEPT).await }
    }

    /// The gate as it was within `age`, or as it is now.
    async fn gate(&self, age: Duration) -> Result<Gate, Refusal> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match kept {
            None => self.read().await,
            Some(kept) if self.is_within(kept.read_at, age) || self.is_within(kept.tried_at, SHORTEST_KEPT) => {
                Ok(kept.gate)
            }
            // Who was let in before is let in while Secrets Manager does not answer.
            Some(kept) => Ok(self.read_again().await.unwrap_or_else(|why| {
                tracing::warn!("a secret is used that may have been changed: {why}");
                kept.gate
            })),
        }
    }

    fn is_within(&self, then: Timestamp, age: Duration) -> bool {
        self.clock.now().duration_since(then).unsigned_abs() < age
    }

    /// Reads it, for somebody who waits: not for long, and after one time in vain nobody else waits for a while.
    async fn read_again(&self) -> Result<Gate, String> {
        if let Some(kept) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            kept.tried_at = self.clock.now();
        }
        match tokio::time::timeout(LONGEST_READING, self.read()).await {
            Ok(read) => read.map_err(|refusal| refusal.message),
            Err(_) => Err(format!("Secrets Manager did not answer within {} s", LONGEST_READING.as_secs())),
        }
    }

    async fn read(&self) -> Result<Gate, Refusal> {
        let gate = Gate::new(TokenSecret::read(&self.sdk, &self.secret).await?);
        let (read_at, tried_at) = (self.clock.now(), self.clock.now());
        let kept = Kept { gate: gate.clone(), read_at, tried_at };
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        Ok(gate)
    }
}
