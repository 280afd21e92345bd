//! Taking over a pair that an earlier rotation received and could not finish with: nothing is spent for it.

use std::time::Duration;

use callvault_genesys::user_secret::UserSecret;
use jiff::Timestamp;

use super::create::Known;
use super::fault::RotationFault;
use super::holders::Candidate;
use super::ports::{CheckFault, Described, Generation, Spending};
use super::{Order, Outcome, Rotation};

/// A pair that is there already is taken as it is where its access token lasts at least one rotation (12 h) and an hour
/// longer: spending a token that need not be spent is a risk for nothing.
const FRESH: Duration = Duration::from_secs(13 * 3600);

/// How long such a token may be tried before it is taken untried: testSecret tries it again.
const TRYING: Duration = Duration::from_secs(5);

impl Rotation {
    /// Whether a newer pair can be taken as it is.
    pub(super) async fn is_good(&self, document: &UserSecret, deadline: Timestamp) -> bool {
        let now = self.clock.now();
        if document.access_token().is_none() || document.expires_at().is_none_or(|ends| ends < now + FRESH) {
            return false;
        }
        let tried = self.tokens.check(document, deadline.min(now + TRYING)).await;
        // What another token of the same sign-in would meet as well is testSecret's to say.
        !matches!(tried, Err(CheckFault::Refused { .. }))
    }

    /// Takes a pair over; `None` when somebody else has claimed since we looked.
    pub(super) async fn adopt(
        &self,
        order: &Order,
        described: &Described,
        known: &Known,
        candidate: &Candidate,
        deadline: Timestamp,
    ) -> Result<Option<Outcome>, RotationFault> {
        let (Some(access), Some(ends)) = (candidate.document.access_token(), candidate.document.expires_at()) else {
            return Err(RotationFault::NoValue);
        };
        if !self.is_recorded(order, described, known, candidate).await? {
            return Ok(None);
        }
        tracing::info!(place = ?candidate.place, "a newer pair of tokens is there already: it is taken over");
        let document = known.current.with_tokens(&access, &candidate.refresh, ends);
        self.carry_over(order, &document, deadline).await?;
        Ok(Some(Outcome::Adopted))
    }

    /// Says in the row from which sign-in a pair comes that is taken over, where the row does not say so already: by that
    /// the later steps see whether somebody has signed in since. `false` when somebody else was faster.
    async fn is_recorded(
        &self,
        order: &Order,
        described: &Described,
        known: &Known,
        candidate: &Candidate,
    ) -> Result<bool, RotationFault> {
        let row = known.entry.as_ref().map(|entry| &entry.generation);
        if row.is_some_and(|row| row.got.as_ref() == Some(&candidate.fingerprint) && row.base == known.base) {
            return Ok(true);
        }
        let now = self.clock.now();
        let generation = Generation {
            number: row.map_or(1, |row| row.number),
            base: known.base.clone(),
            // Of which nothing is known, if its exchange has left no row: then it is what was current.
            spent: row.filter(|row| row.base == known.base).map_or_else(|| known.base.clone(), |row| row.spent.clone()),
            got: Some(candidate.fingerprint.clone()),
            state: Spending::Done,
            version: order.version.clone(),
            from: candidate.place.version().cloned(),
            holder: self.holder.clone(),
            since: now,
            until: now,
        };
        let revision = known.entry.as_ref().map_or(0, |entry| entry.revision);
        Ok(self.lineage.write(&described.arn, revision, &generation).await?.is_some())
    }
}
