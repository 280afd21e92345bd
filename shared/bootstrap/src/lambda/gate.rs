//! A gate whose secret is in Secrets Manager: read when an instance starts, and again from time to time.
//!
//! So a secret that is changed opens the gate at once (whoever is refused makes it be read again, at most once a minute), and the one
//! before it no longer than [`LONGEST_KEPT`]. Must never show a secret, nor open while none was read.

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
            Some(kept) if self.clock.now().duration_since(kept.read_at).unsigned_abs() < age => Ok(kept.gate),
            // Who was let in before is let in while Secrets Manager does not answer.
            Some(kept) => Ok(self.read().await.unwrap_or_else(|refusal| {
                tracing::warn!(code = refusal.code, "a secret is used that may have been changed: {}", refusal.message);
                kept.gate
            })),
        }
    }

    async fn read(&self) -> Result<Gate, Refusal> {
        let gate = Gate::new(TokenSecret::read(&self.sdk, &self.secret).await?);
        let kept = Kept { gate: gate.clone(), read_at: self.clock.now() };
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        Ok(gate)
    }
}
