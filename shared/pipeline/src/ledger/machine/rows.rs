//! Making, claiming and planning a single row.

use super::{MOST_LOOKS, MOST_RESUBMISSIONS, RECENT};
use crate::day::Day;
use crate::facts::Intake;
use crate::facts::NewConversation;
use crate::ledger::RowKey;
use crate::ledger::row::{
    ConversationFact, ConversationState, DayFact, DayState, Fact, HolderId, Outcome, Row, Stage, Work,
};
use crate::reason::Reason;
use jiff::Timestamp;
use std::time::Duration;

/// Claims a row that is due for `stage`, or answers `None`.
pub fn claim(row: &Row, stage: Stage, holder: &HolderId, lease: Duration, now: Timestamp) -> Option<Row> {
    let work = row.work.as_ref()?;
    (work.stage == stage && work.due <= now).then(|| Row {
        attempt: row.attempt.saturating_add(1),
        work: Some(Work { stage, due: now + lease, holder: Some(holder.clone()) }),
        ..row.clone()
    })
}

/// Makes a claim last until `until`.
pub fn renew(row: &Row, attempt: u32, until: Timestamp) -> Option<Row> {
    let work = row.work.as_ref().filter(|work| row.attempt == attempt && work.holder.is_some())?;
    Some(Row { work: Some(Work { due: until, ..work.clone() }), ..row.clone() })
}

/// Ends a dead holder's claim: the row is due now, and its attempt no longer settles.
pub fn release(row: &Row, now: Timestamp) -> Row {
    let work = row.work.clone().map(|work| Work { due: now, holder: None, ..work });
    Row { work, attempt: row.attempt.saturating_add(1), ..row.clone() }
}

/// A new day, or an old one planned again.
pub fn plan(day: Day, existing: Option<&Row>, now: Timestamp) -> Row {
    let due = |stage| Some(Work { stage, due: now, holder: None });
    match existing {
        None => Row {
            key: RowKey::Day(day),
            day,
            attempt: 0,
            tries: 0,
            work: due(Stage::Query),
            fact: Fact::Day(DayFact {
                state: DayState::Planned,
                generation: 0,
                marker: None,
                manifest: None,
                queried_at: None,
                compared: None,
                closed_at: None,
                restored: 0,
                chain: Vec::new(),
            }),
        },
        Some(row) => {
            let anew = is_found_anew(row, now);
            let mut row = row.clone();
            if let Fact::Day(fact) = &mut row.fact {
                if anew {
                    fact.state = DayState::Planned;
                    fact.compared = None;
                    row.tries = 0;
                    row.work = due(Stage::Query);
                } else if let Some(work) = row.work.as_mut().filter(|work| work.holder.is_none()) {
                    work.due = work.due.min(now);
                    row.tries = 0;
                }
            }
            row
        }
    }
}

/// Whether planning a day has its conversations found anew, and what is parked of them opened again: it is closed, or it
/// waits to be closed and was queried longer than [`RECENT`] ago.
pub fn is_found_anew(row: &Row, now: Timestamp) -> bool {
    let Fact::Day(fact) = &row.fact else { return false };
    match fact.state {
        DayState::Planned => false,
        DayState::Closed => true,
        DayState::Open => {
            let free = row.work.as_ref().is_none_or(|work| work.holder.is_none());
            free && fact.queried_at.is_none_or(|queried| now.duration_since(queried) > RECENT)
        }
    }
}

/// Counts archived recordings of a day as restored, up to `most` in all: the day's row, if it changes, and how many they are.
pub fn count_restores(row: &Row, wanted: u32, most: u32) -> (Option<Row>, u32) {
    let Fact::Day(fact) = &row.fact else { return (None, 0) };
    let granted = wanted.min(most.saturating_sub(fact.restored));
    let fact = DayFact { restored: fact.restored.saturating_add(granted), ..fact.clone() };
    ((granted > 0).then(|| Row { fact: Fact::Day(fact), ..row.clone() }), granted)
}

/// Takes back restores that were counted and did not happen: the day's row, if it changes.
pub fn uncount_restores(row: &Row, unused: u32) -> Option<Row> {
    let Fact::Day(fact) = &row.fact else { return None };
    let fact = DayFact { restored: fact.restored.saturating_sub(unused), ..fact.clone() };
    (unused > 0).then(|| Row { fact: Fact::Day(fact), ..row.clone() })
}

/// A parked conversation, due to be looked at once more; `None` for one that is not parked, or that cannot be asked
/// for.
pub fn reopen(row: &Row, now: Timestamp) -> Option<Row> {
    let Fact::Conversation(fact) = &row.fact else { return None };
    let ConversationState::Settled(Outcome::Parked(reason)) = fact.state else { return None };
    if reason == Reason::UnreadableId {
        return None;
    }
    let mut fact = fact.clone();
    // One look and one more batch, not the whole patience again.
    fact.looks = MOST_LOOKS;
    fact.resubmissions = MOST_RESUBMISSIONS.saturating_sub(1);
    fact.losses = 0;
    fact.restores = None;
    // What was never in a batch goes there; the rest is looked at first.
    let never_delivered = reason == Reason::SubmitRefused;
    let (state, stage) = match never_delivered {
        true => (ConversationState::Found, Stage::Submit),
        false => (ConversationState::Delivered, Stage::Describe),
    };
    fact.state = state;
    Some(Row {
        tries: 0,
        work: Some(Work { stage, due: now, holder: None }),
        fact: Fact::Conversation(fact),
        ..row.clone()
    })
}

/// A new conversation of `day`.
pub fn add(day: Day, new: &NewConversation, now: Timestamp) -> Row {
    let (state, work) = match new.intake {
        Intake::Export => (ConversationState::Found, Some(Work { stage: Stage::Submit, due: now, holder: None })),
        Intake::LeftOut(reason) => (ConversationState::Settled(Outcome::LeftOut(reason)), None),
        Intake::Parked(reason) => (ConversationState::Settled(Outcome::Parked(reason)), None),
    };
    Row {
        key: RowKey::Conversation(new.id.clone()),
        day,
        attempt: 0,
        tries: 0,
        work,
        fact: Fact::Conversation(Box::new(ConversationFact {
            state,
            facts: new.facts.clone(),
            resubmissions: 0,
            losses: 0,
            looks: 0,
            batch_error: None,
            metadata: None,
            object: None,
            restores: None,
            outages: 0,
        })),
    }
}

/// Whether a conversation that earlier settings left out is wanted by today's.
pub fn is_wanted_now(existing: &Row, new: &NewConversation) -> bool {
    is_left_out(existing) && new.intake == Intake::Export
}

/// Whether settings left a conversation out when it was found. One of which only recordings were left out has a metadata
/// object, and stays as it is.
pub fn is_left_out(row: &Row) -> bool {
    match &row.fact {
        Fact::Conversation(fact) => {
            matches!(fact.state, ConversationState::Settled(Outcome::LeftOut(_))) && fact.object.is_none()
        }
        _ => false,
    }
}
