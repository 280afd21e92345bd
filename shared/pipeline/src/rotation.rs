//! The rotation of a signed-in user's tokens, under Secrets Manager's contract of four steps.
//!
//! | module | owns |
//! |---|---|
//! | [`ports`] | the secret's versions, the rescue secret, the lineage, the token endpoint: as traits |
//! | [`holders`] | which refresh token is the newest; pure |
//! | `create` | the one step that spends something |
//! | `adopt` | taking over a pair that is there already |
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
//! A person may sign in while a rotation is half done. A version's value never changes, so the version that is being made
//! can never hold that sign-in: whichever step finds it gives the version up, and the next rotation starts from the sign-in.
//!
//! Must never show a token, and never spend one outside createSecret.

mod adopt;
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
use holders::Fingerprint;
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
            Step::Test => self.test(order, &described, deadline).await,
            Step::Finish => self.finish(order, &described).await,
        }
    }

    /// The pending access token is tried; its refresh token is left alone.
    async fn test(&self, order: &Order, described: &Described, deadline: Timestamp) -> Result<Done, RotationFault> {
        let pending = self.pending(order).await?.ok_or(RotationFault::NoValue)?;
        let pending = parsed(&pending, "pending")?;
        self.see_that_nobody_signed_in(order, described, &pending).await?;
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
        self.see_that_nobody_signed_in(order, described, &pending).await?;
        // From the version that was looked at: where somebody signs in now, the store refuses.
        let from = described.with_stage(CURRENT);
        if let Err(error) = self.secrets.make_current(&order.secret, &order.version, from).await {
            let now = self.secrets.describe(&order.secret).await?;
            match now.with_stage(CURRENT) {
                // The answer was lost, not the move.
                Some(current) if current == order.version => {}
                current if current == from => return Err(error.into()),
                _ => return Err(self.give_up(order).await),
            }
        }
        self.clear_rescue(described, &pending).await;
        Ok(Done { outcome: Outcome::Finished, current_ends: pending.expires_at() })
    }

    /// Whether the current version still holds what the pending pair was made from: where it does not, somebody has signed
    /// in since. Nothing is known of a pair that the lineage does not speak of; it passes.
    async fn see_that_nobody_signed_in(
        &self,
        order: &Order,
        described: &Described,
        pending: &UserSecret,
    ) -> Result<(), RotationFault> {
        let Some(current) = described.with_stage(CURRENT) else { return Ok(()) };
        // By its version, whose value never changes: it is this one that the current stage is moved from.
        let Some(current) = self.secrets.value(&order.secret, Wanted::Version(current)).await? else { return Ok(()) };
        let Ok(current) = parsed(&current, "current") else { return Ok(()) };
        let current = Fingerprint::of_document(&current);
        let lineage = self.lineage.newest(&described.arn).await?;
        let pending = Fingerprint::of_document(pending);
        match lineage {
            Some(entry) if holders::is_overtaken(&entry.generation, &order.version, &pending, &current) => {
                Err(self.give_up(order).await)
            }
            _ => Ok(()),
        }
    }

    /// Ends the rotation of a version that must not become the current one. Secrets Manager would go on with it, and begin
    /// no other, for as long as it is pending. Nothing is lost if this fails: the next step comes here too.
    async fn give_up(&self, order: &Order) -> RotationFault {
        if let Err(error) = self.secrets.end_pending(&order.secret, &order.version).await {
            tracing::warn!(code = error.code(), "the version that was given up is still pending: {error}");
        }
        RotationFault::SignedInSince
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
