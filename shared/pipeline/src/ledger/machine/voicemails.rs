//! Rows about voicemail: made by events and listings, and what a settlement does to them. Each row is decided on by
//! itself; there is no family.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::mending::Narrowing;
use super::words::Settlement;
use crate::ledger::RowKey;
use crate::ledger::row::{Fact, Row, Stage, Work};
use crate::ledger::voicemail::{
    Carried, FoundVoicemail, Leg, Notice, NoticeFact, NoticeState, VoicemailFact, VoicemailState,
};
use crate::reason::Reason;

/// Legs of one conversation that are told apart. No conversation has so many; a sender that makes ids up may.
const MOST_LEGS: usize = 32;

/// A message that was parked and is still listed is tried once more after this.
const AGAIN_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The row to write for a notice, if it says anything new: a leg that was not known, or one whose messages were looked
/// for in vain, since whoever sends it again wants it looked for again.
pub fn note(existing: Option<&Row>, notice: &Notice, now: Timestamp) -> Option<Row> {
    let due = Some(Work { stage: Stage::Voicemail, due: now, holder: None });
    let Some(row) = existing else {
        let fact = begun(vec![notice.leg.clone()], now);
        let work = if fact.state == NoticeState::Waiting { due } else { None };
        let key = RowKey::Notice(notice.conversation.clone());
        return Some(Row { key, day: notice.day, attempt: 0, tries: 0, work, fact: Fact::Notice(fact) });
    };
    let Fact::Notice(old) = &row.fact else { return None };
    let known = old.legs.iter().any(|leg| leg.id == notice.leg.id);
    if known && !matches!(old.state, NoticeState::Parked(_)) {
        return None;
    }
    let mut legs = old.legs.clone();
    if !known && legs.len() < MOST_LEGS {
        legs.push(notice.leg.clone());
    } else if !known {
        return None;
    }
    let fact = begun(legs, now);
    // Whoever looks at this moment does so for fewer legs: that look must not settle it.
    let attempt = row.attempt.saturating_add(1);
    let work = if fact.state == NoticeState::Waiting { due } else { None };
    Some(Row { attempt, tries: 0, work, fact: Fact::Notice(fact), ..row.clone() })
}

fn begun(legs: Vec<Leg>, now: Timestamp) -> NoticeFact {
    let state = match legs.iter().all(Leg::is_direct) {
        true => NoticeState::LeftOut(Reason::DirectVoicemail),
        false => NoticeState::Waiting,
    };
    NoticeFact { state, legs, since: now, looks: 0, detail: None }
}

/// The row to write for a message that was listed, if there is any: a new one, or one that was parked a day ago and is
/// still there.
pub fn meet(existing: Option<&Row>, found: &FoundVoicemail, now: Timestamp) -> Option<Row> {
    let work = Some(Work { stage: Stage::Voicemail, due: now, holder: None });
    let FoundVoicemail { conversation, message, day, mailbox, created, seconds, caller } = found.clone();
    let Some(row) = existing else {
        let fact = VoicemailFact {
            state: VoicemailState::Waiting,
            mailbox,
            created,
            seconds,
            caller,
            since: now,
            looks: 0,
            copies: 0,
            object: None,
            metadata: None,
            unproved: false,
            orders: BTreeMap::new(),
            settled_at: None,
            detail: None,
        };
        let key = RowKey::Voicemail(conversation, message);
        return Some(Row { key, day, attempt: 0, tries: 0, work, fact: Fact::Voicemail(Box::new(fact)) });
    };
    let Fact::Voicemail(old) = &row.fact else { return None };
    let long_ago = old.settled_at.is_none_or(|at| at + AGAIN_AFTER <= now);
    if !matches!(old.state, VoicemailState::Parked(_)) || !long_ago {
        return None;
    }
    let fact =
        VoicemailFact { state: VoicemailState::Waiting, caller, since: now, looks: 0, copies: 0, ..(**old).clone() };
    Some(Row { tries: 0, work, fact: Fact::Voicemail(Box::new(fact)), ..row.clone() })
}

/// The row to write when a notice or a message is opened again: one that is parked, with the whole patience; of one that
/// is stored, orders that were refused or given up. None where there is nothing of that, or it is under way.
pub fn reopen_voicemail(row: &Row, narrowing: &Narrowing, now: Timestamp) -> Option<Row> {
    if row.work.is_some() || !narrowing.is_of(row) {
        return None;
    }
    let fact = match &row.fact {
        Fact::Notice(old) => match old.state {
            NoticeState::Parked(reason) if narrowing.is_for(reason) => {
                Fact::Notice(NoticeFact { state: NoticeState::Waiting, since: now, looks: 0, ..old.clone() })
            }
            _ => return None,
        },
        Fact::Voicemail(old) => {
            let mut new = VoicemailFact { since: now, looks: 0, ..(**old).clone() };
            match old.state {
                VoicemailState::Parked(reason) if narrowing.is_for(reason) => {
                    (new.state, new.copies, new.settled_at) = (VoicemailState::Waiting, 0, None);
                }
                VoicemailState::Stored => new.orders.retain(|_, carried| match carried {
                    Carried::Done => true,
                    Carried::Refused(code) | Carried::GivenUp(code) => {
                        narrowing.reason.is_some_and(|reason| reason.code() != code)
                    }
                }),
                VoicemailState::Waiting | VoicemailState::Parked(_) => return None,
            }
            if new.state == VoicemailState::Stored && new.orders.len() == old.orders.len() {
                return None;
            }
            Fact::Voicemail(Box::new(new))
        }
        _ => return None,
    };
    let work = Some(Work { stage: Stage::Voicemail, due: now, holder: None });
    Some(Row { tries: 0, work, fact, ..row.clone() })
}

/// What a settlement makes of a notice; nothing where it is not one for notices.
pub(super) fn settle_notice(row: &Row, fact: &NoticeFact, settlement: &Settlement) -> Vec<Row> {
    let mut fact = fact.clone();
    let mut work = None;
    match settlement {
        Settlement::Found => {
            fact.state = NoticeState::Found;
            fact.detail = None;
        }
        Settlement::NotYet { due, detail } => {
            fact.looks = fact.looks.saturating_add(1);
            fact.detail.clone_from(detail);
            work = row.work.clone().map(|work| Work { due: *due, holder: None, ..work });
        }
        Settlement::Parked { reason, detail, .. } => {
            fact.state = NoticeState::Parked(*reason);
            fact.detail = Some(detail.clone());
        }
        _ => return Vec::new(),
    }
    vec![Row { tries: 0, work, fact: Fact::Notice(fact), ..row.clone() }]
}

/// What a settlement makes of a message; nothing where it is not one for messages.
pub(super) fn settle_voicemail(row: &Row, fact: &VoicemailFact, settlement: &Settlement, now: Timestamp) -> Vec<Row> {
    let mut fact = fact.clone();
    let mut work = None;
    let mut tries = 0;
    match settlement {
        Settlement::NotYet { due, detail } => {
            fact.looks = fact.looks.saturating_add(1);
            fact.detail.clone_from(detail);
            work = row.work.clone().map(|work| Work { due: *due, holder: None, ..work });
        }
        // The claim goes on: orders at the source follow, and each of them is only given once this is written.
        Settlement::Copied { object, metadata, proved } => {
            fact.state = VoicemailState::Stored;
            fact.object = Some(object.clone());
            fact.metadata = Some(metadata.clone());
            fact.unproved = !proved;
            fact.copies = fact.copies.saturating_add(1);
            (fact.looks, fact.detail, fact.settled_at) = (0, None, Some(now));
            work.clone_from(&row.work);
        }
        // The copy that was recorded is not there any more, or is another: it is copied again, with the whole patience.
        Settlement::CopyLost { orders, due, detail } => {
            fact.orders.extend(orders.clone());
            fact.state = VoicemailState::Waiting;
            (fact.since, fact.looks) = (now, 0);
            (fact.object, fact.metadata, fact.settled_at) = (None, None, None);
            fact.detail = Some(detail.clone());
            work = row.work.clone().map(|work| Work { due: *due, holder: None, ..work });
        }
        Settlement::Moved { orders } => {
            fact.orders.extend(orders.clone());
            // It is in the archive, and the copy is not made again.
            (fact.caller, fact.detail) = (None, None);
        }
        Settlement::OrdersDue { orders, tried, due, detail } => {
            fact.orders.extend(orders.clone());
            fact.detail = Some(detail.clone());
            // One that was carried out, or given up, begins the patience with the next anew.
            tries = if orders.is_empty() { row.tries } else { 0 } + u32::from(*tried);
            fact.looks = if *tried || !orders.is_empty() { 0 } else { fact.looks.saturating_add(1) };
            work = row.work.clone().map(|work| Work { due: *due, holder: None, ..work });
        }
        Settlement::Parked { reason, detail, .. } => {
            fact.state = VoicemailState::Parked(*reason);
            fact.detail = Some(detail.clone());
            (fact.object, fact.metadata, fact.caller, fact.settled_at) = (None, None, None, Some(now));
        }
        _ => return Vec::new(),
    }
    vec![Row { tries, work, fact: Fact::Voicemail(Box::new(fact)), ..row.clone() }]
}
