//! The rotation of a signed-in user's tokens, under Secrets Manager's contract of four steps.
//!
//! | module | owns |
//! |---|---|
//! | [`ports`] | the secret's versions, the rescue secret, the lineage, the token endpoint: as traits |
//! | [`holders`] | which refresh token is the newest; pure |
//! | `create` | the one step that spends something |
//! | `save` | putting a pair away, wherever it can be put |
//! | [`fault`] | why a step failed |
//!
//! A refresh token can be spent once, and its successor is told once. So: before it is spent, a row of the ledger says so,
//! under a condition; the request is sent once; its answer is put away at once, into the version that is being made or,
//! where that is refused, into the rescue secret. Whoever comes later looks at all that hold a token before spending one.
//!
//! | it stops | what is known | the next createSecret |
//! |---|---|---|
//! | before the request was sent | the row, claimed | spends the same token, once the claim has ended |
//! | while its answer was on the way | the row, outcome unknown | tries the same token: if the request never arrived, it is good; else the others, else a person signs in |
//! | between answer and write | the same | the same |
//! | after the write | the version has a value | has nothing to do |
//! | after the write into the rescue secret | that | puts the pair from there into its version |
//! | in a later step | an earlier version holds the newest pair | puts that pair into its version |
//!
//! Must never show a token, and never spend one outside createSecret.

mod create;
pub mod fault;
pub mod holders;
pub mod ports;
mod save;
#[cfg(test)]
mod tests;

use std::str::FromStr;
use std::sync::Arc;

use callvault_genesys::clock::Clock;
use callvault_genesys::user_secret::UserSecret;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use crate::ledger::HolderId;
use fault::RotationFault;
use ports::{Described, Lineage, SecretStore, UserTokens, Wanted};

/// The stage of the version that is being made.
pub const PENDING: &str = "AWSPENDING";
/// The stage of the version that everybody reads.
pub const CURRENT: &str = "AWSCURRENT";
/// The stage of the version that was read before.
pub const PREVIOUS: &str = "AWSPREVIOUS";

/// A step of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Make a value for the pending version.
    Create,
    /// Nothing: the pair is known to Genesys Cloud already.
    Set,
    /// See that the pending access token works.
    Test,
    /// Make the pending version the current one.
    Finish,
}

impl Step {
    /// As Secrets Manager sends it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "createSecret",
            Self::Set => "setSecret",
            Self::Test => "testSecret",
            Self::Finish => "finishSecret",
        }
    }
}

impl FromStr for Step {
    type Err = ();

    /// As AWS's own template dispatches, and as its guide prints them.
    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "createSecret" | "create_secret" => Ok(Self::Create),
            "setSecret" | "set_secret" => Ok(Self::Set),
            "testSecret" | "test_secret" => Ok(Self::Test),
            "finishSecret" | "finish_secret" => Ok(Self::Finish),
            _ => Err(()),
        }
    }
}

/// What Secrets Manager orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The step.
    pub step: Step,
    /// Name or ARN of the secret.
    pub secret: String,
    /// The version that is being made: the order's `ClientRequestToken`.
    pub version: String,
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The version is the current one already.
    AlreadyCurrent,
    /// What the step is to do was done before, or there is nothing to do in it.
    NothingToDo,
    /// A refresh token was spent; its successor is in the version.
    Exchanged,
    /// A newer pair was there already; it is in the version.
    Adopted,
    /// The pending access token works.
    Works,
    /// The version is the current one now.
    Finished,
}

impl Outcome {
    /// The word for answers and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AlreadyCurrent => "already-current",
            Self::NothingToDo => "nothing-to-do",
            Self::Exchanged => "exchanged",
            Self::Adopted => "adopted",
            Self::Works => "works",
            Self::Finished => "finished",
        }
    }
}

/// What a step came to, and what is known of the tokens that everybody reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// What it came to.
    pub outcome: Outcome,
    /// When the current access token ends, where the step had to look at it.
    pub current_ends: Option<Timestamp>,
}

impl Done {
    fn new(outcome: Outcome) -> Self {
        Self { outcome, current_ends: None }
    }
}

/// The rotation, over its ports.
#[derive(Clone)]
pub struct Rotation {
    /// The secret's versions, and the rescue secret.
    pub secrets: Arc<dyn SecretStore>,
    /// What was spent, by whom.
    pub lineage: Arc<dyn Lineage>,
    /// Genesys Cloud.
    pub tokens: Arc<dyn UserTokens>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// This process, among those that claim.
    pub holder: HolderId,
}

impl std::fmt::Debug for Rotation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rotation").field("holder", &self.holder).finish_non_exhaustive()
    }
}

impl Rotation {
    /// Does a step. Each can be repeated at any time: what was done is not done again. Nothing is begun that could not
    /// end by `deadline`.
    ///
    /// # Errors
    /// [`RotationFault`]: the order does not fit the secret, a store or Genesys Cloud failed, or a person must sign in.
    pub async fn run(&self, order: &Order, deadline: Timestamp) -> Result<Done, RotationFault> {
        let described = self.secrets.describe(&order.secret).await?;
        if !described.rotation_enabled {
            return Err(RotationFault::NotEnabled);
        }
        // A version may carry several stages.
        let stages = described.versions.get(&order.version).ok_or(RotationFault::UnknownVersion)?;
        let has = |stage: &str| stages.iter().any(|one| one == stage);
        if has(CURRENT) {
            return Ok(Done::new(Outcome::AlreadyCurrent));
        }
        if !has(PENDING) {
            return Err(RotationFault::NotPending);
        }
        match order.step {
            Step::Create => self.create(order, &described, deadline).await,
            Step::Set => Ok(Done::new(Outcome::NothingToDo)),
            Step::Test => self.test(order, deadline).await,
            Step::Finish => self.finish(order, &described).await,
        }
    }

    /// The pending access token is tried; its refresh token is left alone.
    async fn test(&self, order: &Order, deadline: Timestamp) -> Result<Done, RotationFault> {
        let pending = self.pending(order).await?.ok_or(RotationFault::NoValue)?;
        let pending = parsed(&pending, "pending")?;
        if pending.access_token().is_none() {
            return Err(RotationFault::NoValue);
        }
        let user = self.tokens.check(&pending, deadline).await?;
        tracing::info!(user.id = user, "the pending access token works");
        Ok(Done::new(Outcome::Works))
    }

    /// Moves the current stage from wherever it is; then the rescue secret is not needed any more.
    async fn finish(&self, order: &Order, described: &Described) -> Result<Done, RotationFault> {
        let pending = self.pending(order).await?.ok_or(RotationFault::NoValue)?;
        let pending = parsed(&pending, "pending")?;
        let moved = self.secrets.make_current(&order.secret, &order.version, described.with_stage(CURRENT)).await;
        if let Err(error) = moved {
            // The answer may have been lost, not the move.
            let now = self.secrets.describe(&order.secret).await?;
            if now.with_stage(CURRENT) != Some(order.version.as_str()) {
                return Err(error.into());
            }
        }
        self.clear_rescue(described, &pending).await;
        Ok(Done { outcome: Outcome::Finished, current_ends: pending.expires_at() })
    }

    /// A rescue secret that stays is told apart from a newer one later: clearing it may fail.
    async fn clear_rescue(&self, described: &Described, current: &UserSecret) {
        let cleared = async {
            match self.secrets.rescued(described).await? {
                Some(rescued) if holders::is_of_the_past(&rescued, current) => {
                    self.secrets.clear_rescue(described).await?;
                    tracing::info!("the rescue secret is cleared");
                    Ok(())
                }
                _ => Ok::<(), ports::StoreFault>(()),
            }
        };
        if let Err(error) = cleared.await {
            tracing::warn!(code = error.code(), "the rescue secret was not cleared: {error}");
        }
    }

    /// The value of the version that is being made.
    async fn pending(&self, order: &Order) -> Result<Option<SecretString>, RotationFault> {
        Ok(self.secrets.value(&order.secret, Wanted::Pending(&order.version)).await?)
    }
}

fn parsed(text: &SecretString, which: &'static str) -> Result<UserSecret, RotationFault> {
    UserSecret::parse(text.expose_secret()).map_err(|fault| RotationFault::Unreadable { which, fault })
}
