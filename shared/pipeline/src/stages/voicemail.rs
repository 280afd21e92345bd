//! Voicemail: finds the messages that events told of, copies them, and then, as far as set, does what is to be done
//! with them at the source.
//!
//! | module | owns |
//! |---|---|
//! | `mailbox` | the pages of a mailbox, the newest first |
//! | `search` | notices: one pass over a mailbox for all that are due |
//! | `sweep` | mailboxes read as a whole, for messages whose event never came |
//! | `transfer` | one message into the archive, with what is known of it |
//! | `orders` | disconnect, mark as read, delete: after the copy, and only after it proves |
//!
//! Must never give an order before the copy is in the ledger and proves, and never take "not ready" for "not there".

mod mailbox;
mod orders;
mod search;
mod sweep;
mod transfer;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use jiff::Timestamp;

use self::orders::Kept;
use super::copying::Failed;
use super::shift::Worked;
use super::{Fault, House, Report, concerns_everything};
use crate::api::{ApiError, VoicemailFormat, Voicemails};
use crate::ids::{ConversationId, GroupId, QueueId, VoicemailId};
use crate::ledger::machine::Settlement;
use crate::ledger::voicemail::{Order, VoicemailFact, VoicemailState};
use crate::ledger::{Fact, Row, RowKey, Stage};
use crate::reason::Reason;

/// Rows claimed by one run: so many notices share one pass over their mailbox.
const A_RUN: usize = 64;

/// The longest pause before something is looked for or copied again.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// What the source is not ready for is asked for this long.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// And this often at least: a row that lay untouched for a day (nothing ran, nobody was signed in) has not been waited
/// for yet.
const LEAST_LOOKS: u32 = 10;

/// Settings of the voicemail stage.
#[derive(Debug, Clone)]
pub struct VoicemailOptions {
    /// The format that is asked for.
    pub format: VoicemailFormat,
    /// Messages a page.
    pub page_size: u32,
    /// What is done at the source once a copy proves.
    pub orders: BTreeSet<Order>,
    /// Queues that are swept.
    pub queues: Vec<QueueId>,
    /// Groups that are swept, and looked through for events that name no mailbox.
    pub groups: Vec<GroupId>,
    /// Copies at the same time.
    pub concurrency: usize,
}

/// The voicemail stage.
pub struct Voicemail {
    /// Ports.
    pub house: House,
    /// The source, in a user's name.
    pub source: Arc<dyn Voicemails>,
    /// Settings.
    pub options: VoicemailOptions,
}

/// A claimed message.
struct Task<'a> {
    row: &'a Row,
    fact: &'a VoicemailFact,
    conversation: &'a ConversationId,
    message: &'a VoicemailId,
}

impl Voicemail {
    /// Does what is due: looks for messages, copies, gives orders.
    ///
    /// # Errors
    /// [`Fault`] when nothing can be done: the sign-in is refused or no user's, ledger or archive fail.
    pub async fn run(&self) -> Result<Report, Fault> {
        let claimed = self.house.claim(Stage::Voicemail, A_RUN).await?;
        let mut report = Report { claimed: claimed.len() as u64, ..Report::default() };
        let (notices, messages): (Vec<Row>, Vec<Row>) =
            claimed.into_iter().partition(|row| matches!(row.fact, Fact::Notice(_)));
        match self.search(&notices).await {
            Ok(searched) => report += searched,
            Err(fault) => {
                self.give_back(&messages).await;
                return Err(fault);
            }
        }
        let moves = messages.iter().map(|row| self.one(row));
        let mut moves = futures_util::stream::iter(moves).buffer_unordered(self.options.concurrency.max(1));
        let mut fault = None;
        while let Some(moved) = moves.next().await {
            match moved {
                Ok(one) => report += one,
                Err(one) => fault = Some(one),
            }
        }
        fault.map_or(Ok(report), Err)
    }

    async fn give_back(&self, rows: &[Row]) {
        for row in rows {
            if let Err(error) = self.house.give_back(row).await {
                // The lease ends by itself.
                tracing::warn!(code = error.code(), "a claim could not be given back: {error}");
                return;
            }
        }
    }

    async fn one(&self, row: &Row) -> Result<Report, Fault> {
        let (RowKey::Voicemail(conversation, message), Fact::Voicemail(fact)) = (&row.key, &row.fact) else {
            return Ok(Report::default());
        };
        let task = Task { row, fact, conversation, message };
        match self.house.work_on(row, self.work(&task)).await {
            Ok(Worked::Done(report)) => Ok(report),
            Ok(Worked::Lost) => Ok(Report::default()),
            Ok(Worked::GivenBack) => Ok(Report { given_back: 1, ..Report::default() }),
            Ok(Worked::TooLong) => {
                let detail = "it was not copied within the time of one run: give it more time".to_owned();
                self.fail(&task, Failed::Interrupted(Reason::DownloadFailed, detail)).await
            }
            Err(fault) => {
                self.give_back(std::slice::from_ref(row)).await;
                Err(fault)
            }
        }
    }

    /// Copies a message that is not in the archive yet, then gives the orders that are due.
    async fn work(&self, task: &Task<'_>) -> Result<Report, Fault> {
        match (task.fact.state, &task.fact.object, &task.fact.metadata) {
            (VoicemailState::Stored, Some(object), Some(metadata)) => {
                self.orders(task, &Kept { object, metadata, proved: !task.fact.unproved }).await
            }
            (VoicemailState::Parked(_), ..) => Ok(Report::default()),
            _ => match self.transfer(task).await {
                Ok(report) => Ok(report),
                Err(failed) => self.fail(task, failed).await,
            },
        }
    }

    async fn fail(&self, task: &Task<'_>, failed: Failed) -> Result<Report, Fault> {
        match failed {
            Failed::Fault(fault) => Err(fault),
            Failed::Hopeless(reason, detail) => self.park(task.row, reason, detail).await,
            Failed::Refused(detail) => self.put_off_copy(task, Reason::UrlRefused, detail).await,
            Failed::Interrupted(reason, detail) | Failed::Away { reason, detail, .. } => {
                self.put_off_copy(task, reason, detail).await
            }
        }
    }

    /// A copy that failed is made again later, for a day: an hour in which the source is out of order must park nothing
    /// that only its mailbox, and no export, would bring back.
    async fn put_off_copy(&self, task: &Task<'_>, reason: Reason, detail: String) -> Result<Report, Fault> {
        let (row, id) = (task.row, task.message);
        if self.is_out_of_patience(task.fact.since, task.fact.looks + 1) {
            return self.park(row, reason, detail).await;
        }
        tracing::info!(voicemail.id = %id, "voicemail {id} is put off: {detail}");
        self.not_yet(row, task.fact.looks, LONGEST_PAUSE, Some(detail)).await?;
        Ok(Report { failed: 1, ..Report::default() })
    }

    async fn park(&self, row: &Row, reason: Reason, detail: String) -> Result<Report, Fault> {
        tracing::warn!(row.key = %row.key, %reason, "parked {}: {detail}", row.key);
        let mut report = Report { settled: 1, ..Report::default() };
        report.park(reason);
        self.house.settle(row, Settlement::Parked { reason, detail, objects: Vec::new() }).await?;
        Ok(report)
    }

    /// Makes a row due again that the source is not ready for: later with every look, `longest` at most; half of the
    /// pause is left to chance.
    async fn not_yet(&self, row: &Row, looks: u32, longest: Duration, detail: Option<String>) -> Result<(), Fault> {
        let due = self.after(looks, longest);
        self.house.settle(row, Settlement::NotYet { due, detail }).await?;
        Ok(())
    }

    /// When what was looked at `looks` times before is looked at again.
    fn after(&self, looks: u32, longest: Duration) -> Timestamp {
        let pause = Duration::from_secs(5 << looks.min(10)).min(longest);
        self.house.now() + pause.mul_f64(0.5 + 0.5 * (self.house.chance)())
    }

    /// Whether something has been waited for since `since`, with so many `looks`, for as long as anything is.
    fn is_out_of_patience(&self, since: Timestamp, looks: u32) -> bool {
        looks >= LEAST_LOOKS && since + PATIENCE <= self.house.now()
    }
}

/// Whether an error concerns every call: the sign-in is refused, or is no user's.
fn stops_everything(error: &ApiError) -> bool {
    let no_user = matches!(error, ApiError::Refused { code, .. } if code == "not.a.user");
    no_user || concerns_everything(error)
}

/// The platform's own word for a refusal, or ours.
fn code_of(error: &ApiError) -> String {
    match error {
        ApiError::Forbidden { code, .. } | ApiError::Refused { code, .. } if !code.is_empty() => code.clone(),
        _ => error.code().to_owned(),
    }
}
