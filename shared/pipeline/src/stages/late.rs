//! What came late: recordings that the source lists now of conversations that were settled when it did not.
//!
//! Analytics shows conversations that are new. A recording that comes late to one that is known shows in nothing but
//! its metadata, so with `METADATA=full` that is read again of every settled conversation of a day that is queried
//! again. With `analytics` nobody asks: there, only a conversation that had no recording and is said to be recorded now is
//! opened again.
//!
//! Must never open a conversation while the day's `_SUCCESS` stands.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use super::{Fault, House, concerns_everything};
use crate::api::{ApiError, NextStep, Recordings};
use crate::facts::NewConversation;
use crate::ids::{ConversationId, RecordingId};
use crate::ledger::machine::{RECENT, Reopening, conversation_of};
use crate::ledger::{ConversationState, DayFact, Fact, Listing, Outcome, Row, RowKey};
use crate::models::RecordingMetadata;
use crate::reconcile::{MetadataMode, id_of, is_unnamed};

/// Metadata read at the same time.
const AT_ONCE: usize = 4;

/// Rows read at a time.
const A_PAGE: usize = 100;

/// Asks the source about conversations that are known.
#[derive(Clone)]
pub struct Late {
    /// The source.
    pub source: Arc<dyn Recordings>,
    /// How much is asked about each conversation.
    pub mode: MetadataMode,
}

/// A page of a day's settled conversations, compared.
pub(crate) struct Compared {
    /// Those of which the source lists a recording that the ledger does not have.
    pub(crate) late: Vec<ConversationId>,
    /// The last row of the page; `None` after the last page.
    pub(crate) last: Option<RowKey>,
}

impl Late {
    /// Whether a day is compared that was last queried then.
    pub(crate) fn is_wanted(day: &DayFact, now: Timestamp) -> bool {
        day.queried_at.is_some_and(|queried| now.duration_since(queried) > RECENT)
    }

    /// Compares the day's settled conversations after `after`, a page of them.
    pub(crate) async fn compare(&self, house: &House, row: &Row, after: Option<&RowKey>) -> Result<Compared, Fault> {
        if self.mode == MetadataMode::Analytics {
            return Ok(Compared { late: Vec::new(), last: None });
        }
        let rows = house.ledger.list(row.day, Listing::All, after, A_PAGE).await?;
        let last = rows.last().map(|row| row.key.clone());
        let settled = rows.iter().filter(|row| is_settled(row)).filter_map(|row| row.key.conversation().cloned());
        let mut asked = stream::iter(settled).map(|id| self.is_late(house, id)).buffered(AT_ONCE);
        let mut late = Vec::new();
        while let Some(one) = asked.next().await {
            late.extend(one?);
        }
        Ok(Compared { late, last })
    }

    /// The conversation, if a recording came late to it.
    async fn is_late(&self, house: &House, id: ConversationId) -> Result<Option<ConversationId>, Fault> {
        let listed = match self.source.metadata(&id).await {
            Ok(listed) => listed,
            // Out of order: the day is compared later. What is refused for this one alone stays as it was settled.
            Err(error) if concerns_everything(&error) || is_trouble(&error) => return Err(Fault::Source(error)),
            Err(error) => {
                let code = error.code();
                tracing::warn!(conversation.id = %id, code, "what came late to {id} is not known: {error}");
                return Ok(None);
            }
        };
        let family = house.ledger.conversation(&id).await?;
        Ok((!unknown(&family, &listed).is_empty()).then_some(id))
    }

    /// Those of a page of conversations that had no recording when they were settled and are said to be recorded now.
    pub(crate) async fn recorded_since(
        &self,
        house: &House,
        page: &[NewConversation],
    ) -> Result<Vec<ConversationId>, Fault> {
        let mut late = Vec::new();
        if self.mode == MetadataMode::Full {
            return Ok(late);
        }
        for new in page.iter().filter(|new| new.facts.recorded) {
            let family = house.ledger.conversation(&new.id).await?;
            let without = |state| state == ConversationState::Settled(Outcome::NoRecordings);
            if conversation_of(&family).is_some_and(|(_, fact)| !fact.facts.recorded && without(fact.state.clone())) {
                late.push(new.id.clone());
            }
        }
        Ok(late)
    }
}

/// How a conversation with a late recording is opened again: into a batch, with all its recordings. What is stored is
/// found to be the same.
pub(crate) fn reopening() -> Reopening {
    Reopening::Mend { broken: Vec::new(), batch: true }
}

/// The recordings on the source's list that have no row. Where as many were stored without their id, those are they.
pub(crate) fn unknown(family: &[Row], listed: &[RecordingMetadata]) -> Vec<RecordingId> {
    let known: Vec<&RecordingId> = family
        .iter()
        .filter_map(|row| match &row.key {
            RowKey::Recording(_, id) => Some(id),
            _ => None,
        })
        .collect();
    let unknown: Vec<RecordingId> = listed.iter().map(id_of).filter(|id| !known.contains(&id)).collect();
    match known.iter().filter(|id| is_unnamed(id)).count() {
        unnamed if unnamed >= unknown.len() => Vec::new(),
        _ => unknown,
    }
}

fn is_settled(row: &Row) -> bool {
    match &row.fact {
        Fact::Conversation(fact) => {
            matches!(fact.state, ConversationState::Settled(Outcome::Stored | Outcome::NoRecordings))
        }
        _ => false,
    }
}

fn is_trouble(error: &ApiError) -> bool {
    error.next_step() == NextStep::Later || matches!(error, ApiError::OutOfTime { .. })
}
