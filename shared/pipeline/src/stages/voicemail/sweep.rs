//! Mailboxes read as a whole, page by page: for messages whose event never came. What has a row already is left as it
//! is, so a sweep may run beside anything, and as often as one likes.

use std::time::Duration;

use jiff::Timestamp;

use super::mailbox::Pages;
use super::{Voicemail, stops_everything};
use crate::api::{ApiError, Mailbox, NextStep};
use crate::ids::ConversationId;
use crate::ledger::voicemail::{Caller, FoundVoicemail};
use crate::models;
use crate::stages::{Fault, House, Report};

/// A page that cannot be read is asked for again so often, before the mailbox is left to the next sweep.
const MOST_FAILURES: u32 = 3;

impl Voicemail {
    /// Reads the mailboxes of the settings to their ends and adds the messages that have no row.
    ///
    /// The whole of them, each time: a full page of known messages does not prove that the next holds no other, since
    /// messages become listable late. One that cannot be read keeps no other from being read.
    ///
    /// # Errors
    /// [`Fault`] when none can be read: the sign-in is refused or no user's, or the ledger fails.
    pub async fn sweep(&self) -> Result<Report, Fault> {
        let mut report = Report::default();
        let queues = self.options.queues.iter().cloned().map(Mailbox::Queue);
        let groups = self.options.groups.iter().cloned().map(Mailbox::Group);
        for mailbox in queues.chain(groups) {
            match self.sweep_one(&mailbox, &mut report).await {
                Ok(true) => {}
                // The rest is read by the next sweep.
                Ok(false) => {
                    tracing::warn!("the mailboxes were not read to their ends: time was up");
                    break;
                }
                Err(Fault::Source(error)) if !stops_everything(&error) => {
                    tracing::warn!(code = error.code(), "a mailbox could not be swept: {error}");
                    report.failed += 1;
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(report)
    }

    /// Whether there was time for all of it.
    async fn sweep_one(&self, mailbox: &Mailbox, report: &mut Report) -> Result<bool, Fault> {
        let mut pages = Pages::of(&*self.source, mailbox, self.options.page_size);
        let mut failures = 0;
        loop {
            if self.house.has_less_than(Duration::ZERO) {
                return Ok(false);
            }
            let page = match pages.next().await {
                Ok(Some(page)) => page,
                Ok(None) => return Ok(true),
                Err(ApiError::OutOfTime { .. }) => return Ok(false),
                // The same page once more: all that follow it are behind it.
                Err(error) if error.next_step() == NextStep::Later && failures < MOST_FAILURES => {
                    tracing::info!(code = error.code(), "a page is read again: {error}");
                    failures += 1;
                    self.house.clock.sleep(Duration::from_secs(1)).await;
                    continue;
                }
                Err(error) => return Err(Fault::Source(error)),
            };
            failures = 0;
            let there = page.iter().filter(|message| message.deleted != Some(true) && !message.id.is_stand_in());
            let messages: Vec<FoundVoicemail> =
                there.map(|message| found(&self.house, mailbox, message, None)).collect();
            report.found += self.house.ledger.add_voicemails(&messages, self.house.now()).await?;
        }
    }
}

/// A listed message as the ledger keeps it. Its day is that on which it was left; where the source does not say that,
/// that of its event.
pub(super) fn found(
    house: &House,
    mailbox: &Mailbox,
    message: &models::Voicemail,
    event: Option<Timestamp>,
) -> FoundVoicemail {
    let text = |personal: &Option<models::Personal>| personal.as_ref().map(|one| one.expose().to_owned());
    let left = message.created.or(event).unwrap_or_else(|| house.now());
    FoundVoicemail {
        // The key needs one, and a message without must not be lost.
        conversation: message
            .conversation
            .clone()
            .unwrap_or_else(|| ConversationId::standing_in_for(message.id.as_str())),
        message: message.id.clone(),
        day: house.calendar.day_of(left),
        mailbox: mailbox.into(),
        created: message.created,
        seconds: message.duration_seconds,
        caller: Some(Caller { address: text(&message.caller_address), name: text(&message.caller_name) }),
    }
}
