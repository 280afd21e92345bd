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
    /// Has archived recordings restored: those that were counted before, and as many more as the day's limit allows.
    pub(super) async fn restore(
        &self,
        row: &Row,
        id: &ConversationId,
        family: &[Row],
        archived: &[Archived],
    ) -> Result<Restored, Fault> {
        let new = archived.iter().filter(|one| !one.again).count();
        let wanted = u32::try_from(new).unwrap_or(u32::MAX);
        let mut left = match wanted {
            0 => 0,
            _ => self.house.ledger.count_restores(row.day, wanted, self.most_restores).await?,
        };
        let mut restored = Restored { is_over: !archived.is_empty(), ..Restored::default() };
        for one in archived {
            if !one.again && left == 0 {
                restored.park(one, Reason::RestoreCapped);
                continue;
            }
            left -= u32::from(!one.again);
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
                Err(error) if concerns_everything(&error) => return Err(Fault::Source(error)),
                // One that was taken before is waited for: it may only have become something else meanwhile.
                Err(error) if error.next_step() == NextStep::GiveUp && !one.again => {
                    let code = error.code();
                    tracing::warn!(recording.id = %one.recording, code, "{} is not restored: {error}", one.recording);
                    let forbidden = matches!(error, ApiError::Forbidden { .. });
                    restored.park(one, if forbidden { Reason::RestoreForbidden } else { Reason::Archived });
                }
                // It is counted; the next look asks again, if it is still archived then.
                Err(error) => {
                    tracing::warn!(recording.id = %one.recording, code = error.code(), "to be restored later: {error}");
                    restored.is_on_its_way(one);
                }
            }
        }
        Ok(restored)
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
}

impl Restored {
    fn is_on_its_way(&mut self, one: &Archived) {
        self.is_over = false;
        self.asked.extend((!one.again).then(|| one.recording.clone()));
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
