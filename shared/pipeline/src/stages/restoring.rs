//! Archived recordings that are to come back: asked for at the source, as many of a day as may be.
//!
//! Which they are, and when they are looked for again, is decided by [`crate::reconcile`]. Must never ask for one that is not
//! counted.

use jiff::SignedDuration;

use super::{Describe, Fault, concerns_everything};
use crate::api::{ApiError, NextStep, Restore};
use crate::ids::{ConversationId, RecordingId};
use crate::ledger::machine;
use crate::ledger::{RecordingState, Row};
use crate::reason::Reason;
use crate::reconcile::{self, Archived};

/// When what was restored is archived again: long after it was given up here.
const ARCHIVE_AGAIN: SignedDuration = SignedDuration::from_hours(10 * 24);

impl Describe {
    /// Has archived recordings restored: those that were counted before, and as many more as the day's limit allows. What
    /// was counted and is not restored is there for others of the day.
    pub(super) async fn restore(
        &self,
        row: &Row,
        id: &ConversationId,
        family: &[Row],
        archived: &[Archived],
    ) -> Result<Restored, Fault> {
        let new = archived.iter().filter(|one| !one.again).count();
        let wanted = u32::try_from(new).unwrap_or(u32::MAX);
        let granted = match wanted {
            0 => 0,
            _ => self.house.ledger.count_restores(row.day, wanted, self.most_restores).await?,
        };
        let mut restored = Restored { granted, is_over: !archived.is_empty(), ..Restored::default() };
        let mut concerning_all = None;
        for one in archived {
            if let Err(error) = self.restore_one(id, family, one, &mut restored).await {
                concerning_all = Some(error);
                break;
            }
        }
        // Whoever dies before this leaves the limit lower than it should be, never higher.
        if let unused @ 1.. = restored.granted {
            self.house.ledger.uncount_restores(row.day, unused).await?;
        }
        concerning_all.map_or(Ok(restored), |error| Err(Fault::Source(error)))
    }

    /// Has one restored, if it may be.
    async fn restore_one(
        &self,
        id: &ConversationId,
        family: &[Row],
        one: &Archived,
        restored: &mut Restored,
    ) -> Result<(), ApiError> {
        // Who may not restore this one may not restore another.
        if let (false, Some(reason)) = (one.again, restored.refusal()) {
            restored.park(one, reason);
            return Ok(());
        }
        let order = Restore {
            recording: one.recording.clone(),
            archive_again: self.house.now() + ARCHIVE_AGAIN,
            delete_date: deleted_on(family, &one.recording),
        };
        match self.source.restore(id, &order).await {
            Ok(()) => {
                tracing::info!(conversation.id = %id, recording.id = %one.recording, "asked for {} to be restored", one.recording);
                restored.is_on_its_way(one);
            }
            Err(error) if concerns_everything(&error) => return Err(error),
            // One that was taken before is waited for: it may only have become something else meanwhile.
            Err(error) if error.next_step() == NextStep::GiveUp && !one.again => {
                let code = error.code();
                tracing::warn!(recording.id = %one.recording, code, "{} is not restored: {error}", one.recording);
                restored.is_forbidden = matches!(error, ApiError::Forbidden { .. });
                restored.park(one, if restored.is_forbidden { Reason::RestoreForbidden } else { Reason::Archived });
            }
            // It is counted; the next look asks again, if it is still archived then.
            Err(error) => {
                tracing::warn!(recording.id = %one.recording, code = error.code(), "to be restored later: {error}");
                restored.is_on_its_way(one);
            }
        }
        Ok(())
    }
}

/// What became of archived recordings.
#[derive(Default)]
pub(super) struct Restored {
    /// What was asked for now, and counted.
    pub(super) asked: Vec<RecordingId>,
    /// What will not come.
    pub(super) park: Vec<machine::ParkedRecording>,
    /// Whether none of them is on its way.
    pub(super) is_over: bool,
    /// How many were counted and not asked for yet.
    granted: u32,
    /// Whether the source says that we may not.
    is_forbidden: bool,
}

impl Restored {
    /// Why no further one is asked for.
    fn refusal(&self) -> Option<Reason> {
        match self {
            Self { is_forbidden: true, .. } => Some(Reason::RestoreForbidden),
            Self { granted: 0, .. } => Some(Reason::RestoreCapped),
            _ => None,
        }
    }

    fn is_on_its_way(&mut self, one: &Archived) {
        self.is_over = false;
        if !one.again {
            self.granted -= 1;
            self.asked.push(one.recording.clone());
        }
    }

    fn park(&mut self, one: &Archived, reason: Reason) {
        let state = RecordingState::Parked(reason);
        self.park.push(machine::ParkedRecording { recording: one.recording.clone(), kind: one.kind, state });
    }
}

/// When the source deletes a recording, as its metadata says.
fn deleted_on(family: &[Row], id: &RecordingId) -> Option<String> {
    let (_, fact) = machine::conversation_of(family)?;
    let metadata = fact.metadata.iter().flatten().find(|metadata| reconcile::id_of(metadata) == *id)?;
    metadata.delete_date.clone()
}
