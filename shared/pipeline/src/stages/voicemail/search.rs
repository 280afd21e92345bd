//! Notices: which messages they tell of. All notices that are due share one pass over their mailbox.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::mailbox::Pages;
use super::sweep::found;
use super::{LONGEST_PAUSE, Voicemail, stops_everything};
use crate::api::{ApiError, Mailbox};
use crate::ids::{ConversationId, VoicemailId};
use crate::ledger::machine::Settlement;
use crate::ledger::voicemail::{FoundVoicemail, Leg, NoticeFact};
use crate::ledger::{Fact, Row, RowKey};
use crate::models;
use crate::reason::Reason;
use crate::stages::{Fault, LEASE, Report};

/// A message is believed to be left at most this long before its event was sent: the longest that clocks and queues of
/// the source are believed to be apart.
const MARGIN: SignedDuration = SignedDuration::from_hours(1);

/// A notice that is looked for.
struct Wanted<'a> {
    row: &'a Row,
    fact: &'a NoticeFact,
    conversation: &'a ConversationId,
    /// Messages it tells of.
    needed: usize,
    /// Messages that are known.
    known: BTreeSet<VoicemailId>,
    /// Messages that are there and marked as deleted.
    deleted: BTreeSet<VoicemailId>,
    /// Why a mailbox could not be read to its end.
    fault: Option<(Reason, String)>,
}

impl Wanted<'_> {
    fn is_found(&self) -> bool {
        self.known.len() + self.deleted.len() >= self.needed
    }

    fn oldest(&self) -> Option<Timestamp> {
        self.fact.legs.iter().map(|leg| leg.at).min()
    }
}

/// How a pass over a mailbox ended.
enum Pass {
    /// At its end, or when all was found.
    Done,
    /// Time was up.
    OutOfTime,
    /// Every claim was lost to others: nothing is left to look for.
    Lost,
}

impl Voicemail {
    /// Looks for the messages of these notices.
    pub(super) async fn search(&self, rows: &[Row]) -> Result<Report, Fault> {
        let searched = self.search_all(rows).await;
        if searched.is_err() {
            self.give_back(rows).await;
        }
        searched
    }

    async fn search_all(&self, rows: &[Row]) -> Result<Report, Fault> {
        let mut wanted = Vec::with_capacity(rows.len());
        for row in rows {
            wanted.extend(self.wanted(row).await?);
        }
        let mailboxes = self.mailboxes(&mut wanted).await?;
        let mut renew_at = self.house.now() + LEASE / 3;
        for (mailbox, places) in &mailboxes {
            match self.pass(mailbox, places, &mut wanted, &mut renew_at).await? {
                Pass::Done => {}
                Pass::Lost => return Ok(Report::default()),
                Pass::OutOfTime => {
                    for one in &wanted {
                        self.house.hand_over(one.row).await?;
                    }
                    return Ok(Report { given_back: wanted.len() as u64, ..Report::default() });
                }
            }
        }
        let mut report = Report::default();
        for one in &wanted {
            report += self.settle(one).await?;
        }
        Ok(report)
    }

    async fn wanted<'a>(&self, row: &'a Row) -> Result<Option<Wanted<'a>>, Fault> {
        let (RowKey::Notice(conversation), Fact::Notice(fact)) = (&row.key, &row.fact) else { return Ok(None) };
        // A sweep, or another event, may have found them already.
        let rows = self.house.ledger.voicemails(conversation).await?;
        let known = rows.iter().filter_map(|row| match &row.key {
            RowKey::Voicemail(_, message) => Some(message.clone()),
            _ => None,
        });
        let needed = fact.legs.iter().filter(|leg| !leg.is_direct()).count().max(1);
        let (known, deleted, fault) = (known.collect(), BTreeSet::new(), None);
        Ok(Some(Wanted { row, fact, conversation, needed, known, deleted, fault }))
    }

    /// The mailboxes that are looked through, each with the notices it is looked through for.
    async fn mailboxes(&self, wanted: &mut [Wanted<'_>]) -> Result<Vec<(Mailbox, Vec<usize>)>, Fault> {
        let mut mailboxes: Vec<(Mailbox, Vec<usize>)> = Vec::new();
        let mut groups: Option<Vec<Mailbox>> = None;
        for (place, one) in wanted.iter_mut().enumerate().filter(|(_, one)| !one.is_found()) {
            let mut its: Vec<Mailbox> = one.fact.legs.iter().filter_map(named).collect();
            // A group's event names nobody: any of the groups may have it.
            if one.fact.legs.iter().any(|leg| named(leg).is_none() && !leg.is_direct()) {
                let all = match &groups {
                    Some(groups) => groups.clone(),
                    None => groups.insert(self.groups().await?).clone(),
                };
                if all.is_empty() {
                    let detail = "the event names no mailbox, and the signed-in user is in no group".to_owned();
                    one.fault = Some((Reason::NoMailbox, detail));
                }
                its.extend(all);
            }
            for mailbox in its {
                match mailboxes.iter_mut().find(|(known, _)| *known == mailbox) {
                    Some((_, places)) if places.last() == Some(&place) => {}
                    Some((_, places)) => places.push(place),
                    None => mailboxes.push((mailbox, vec![place])),
                }
            }
        }
        Ok(mailboxes)
    }

    /// The groups of the settings, and those of the signed-in user as far as the source tells.
    async fn groups(&self) -> Result<Vec<Mailbox>, Fault> {
        let mut groups = self.options.groups.clone();
        match self.source.groups().await {
            Ok(own) => groups.extend(own),
            Err(error) if stops_everything(&error) || matches!(error, ApiError::OutOfTime { .. }) => {
                return Err(Fault::Source(error));
            }
            Err(error) => tracing::warn!(code = error.code(), "the user's groups are not known: {error}"),
        }
        let mut seen = BTreeSet::new();
        Ok(groups.into_iter().filter(|id| seen.insert(id.clone())).map(Mailbox::Group).collect())
    }

    /// Reads a mailbox until all that is looked for in it is found, or nothing older can be it, or it ends.
    async fn pass(
        &self,
        mailbox: &Mailbox,
        places: &[usize],
        wanted: &mut [Wanted<'_>],
        renew_at: &mut Timestamp,
    ) -> Result<Pass, Fault> {
        let mut pages = Pages::of(&*self.source, mailbox, self.options.page_size);
        loop {
            let missing: BTreeMap<&ConversationId, usize> = places
                .iter()
                .filter(|place| !wanted[**place].is_found())
                .map(|place| (wanted[*place].conversation, *place))
                .collect();
            let oldest = missing.values().filter_map(|place| wanted[*place].oldest()).min();
            let past = oldest.is_some_and(|oldest| pages.is_past(oldest - MARGIN));
            if missing.is_empty() || past {
                return Ok(Pass::Done);
            }
            if self.house.has_less_than(Duration::ZERO) {
                return Ok(Pass::OutOfTime);
            }
            if self.house.now() >= *renew_at {
                let mut ours = false;
                for one in wanted.iter() {
                    ours |= self.house.still_ours(one.row).await?;
                }
                if !ours {
                    return Ok(Pass::Lost);
                }
                *renew_at = self.house.now() + LEASE / 3;
            }
            let page = match pages.next().await {
                Ok(Some(page)) => page,
                Ok(None) => return Ok(Pass::Done),
                Err(ApiError::OutOfTime { .. }) => return Ok(Pass::OutOfTime),
                Err(error) if stops_everything(&error) => return Err(Fault::Source(error)),
                Err(error) => {
                    tracing::warn!(code = error.code(), "a mailbox could not be read: {error}");
                    for place in missing.into_values() {
                        wanted[place].fault = Some((reason_of(&error), error.to_string()));
                    }
                    return Ok(Pass::Done);
                }
            };
            let met: Vec<(usize, &models::Voicemail)> = page
                .iter()
                .filter_map(|message| Some((*missing.get(message.conversation.as_ref()?)?, message)))
                .collect();
            drop(missing);
            self.meet(mailbox, &met, wanted).await?;
        }
    }

    /// Gives the messages that were looked for a row each.
    async fn meet(
        &self,
        mailbox: &Mailbox,
        met: &[(usize, &models::Voicemail)],
        wanted: &mut [Wanted<'_>],
    ) -> Result<(), Fault> {
        let mut new: Vec<FoundVoicemail> = Vec::new();
        for (place, message) in met {
            let one = &mut wanted[*place];
            if message.deleted == Some(true) {
                one.deleted.insert(message.id.clone());
            } else if message.id.is_stand_in() {
                one.fault = Some((Reason::UnreadableId, "its message has no readable id".to_owned()));
            } else {
                new.push(found(&self.house, mailbox, message, one.oldest()));
                one.known.insert(message.id.clone());
            }
        }
        if !new.is_empty() {
            self.house.ledger.add_voicemails(&new, self.house.now()).await?;
        }
        Ok(())
    }

    async fn settle(&self, one: &Wanted<'_>) -> Result<Report, Fault> {
        let Wanted { row, fact, conversation, .. } = one;
        if one.known.len() >= one.needed {
            self.house.settle(row, Settlement::Found).await?;
            return Ok(Report { settled: 1, ..Report::default() });
        }
        if one.is_found() {
            let detail = "the message is marked as deleted at the source".to_owned();
            return self.park(row, Reason::Deleted, detail).await;
        }
        if self.is_out_of_patience(fact.since, fact.looks + 1) {
            let listed = "no mailbox listed its message within a day".to_owned();
            let (reason, detail) = one.fault.clone().unwrap_or((Reason::NotListed, listed));
            return self.park(row, reason, detail).await;
        }
        let detail = one.fault.as_ref().map(|(_, detail)| detail.clone());
        let looks = fact.looks + 1;
        tracing::info!(conversation.id = %conversation, looks, "the voicemail of {conversation} is not listed yet");
        self.not_yet(row, fact.looks, LONGEST_PAUSE, detail).await?;
        Ok(Report { failed: u64::from(one.fault.is_some()), ..Report::default() })
    }
}

/// The mailbox an event names.
fn named(leg: &Leg) -> Option<Mailbox> {
    let queue = leg.queue.clone().map(Mailbox::Queue);
    queue.or_else(|| leg.group.clone().map(Mailbox::Group))
}

fn reason_of(error: &ApiError) -> Reason {
    match error {
        ApiError::Forbidden { .. } | ApiError::Refused { .. } => Reason::VoicemailForbidden,
        ApiError::NotFound { .. } => Reason::NotListed,
        ApiError::Unreadable { .. } => Reason::UnreadableAnswer,
        _ => Reason::SourceUnavailable,
    }
}
