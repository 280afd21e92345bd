//! Notify: tells people of days that were closed, through every channel that is set, each once.
//!
//! A message that a channel took is never sent there again, and that is written down before another channel is tried.
//! It is sent twice, with the same key, only where nobody can know that it arrived: the channel took it and did not say
//! so in time, or the process died between its answer and that write. Must never
//! hold up a day, nor fail one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use callvault_genesys::region::Endpoints;
use jiff::SignedDuration;

use super::shift::Worked;
use super::{Fault, House, Report};
use crate::ledger::machine::Settlement;
use crate::ledger::notification::{Channel, NotificationFact};
use crate::ledger::{Carried, Fact, Row, Settled, Stage};
use crate::notification::{Announcer, Message, Told, Untold, Wording};

/// Notifications of one run. Their claims must outlast all of them: each channel takes 10 s at most.
const A_RUN: usize = 10;

/// A message is sent only while there is this much time: cut off, nobody would know whether it arrived.
const A_SENDING: Duration = Duration::from_secs(11);

/// A channel that takes nothing is tried for so long, and this often at least, before that is given up.
const PATIENCE: (SignedDuration, u32) = (SignedDuration::from_hours(24), 10);

/// The notify stage.
pub struct Notify {
    /// Ports.
    pub house: House,
    /// What is said.
    pub wording: Arc<Wording>,
    /// The org, for links to conversations.
    pub org: Option<Endpoints>,
    /// Who is told; with nobody here, what is due stays due.
    pub announcers: Vec<Arc<dyn Announcer>>,
}

/// What came of telling, by channel.
#[derive(Default)]
struct Attempt {
    told: BTreeMap<Channel, Carried>,
    failed: Option<Untold>,
}

impl Notify {
    /// Tells what is due.
    ///
    /// # Errors
    /// [`Fault`] when the ledger fails. A channel that takes nothing is no fault.
    pub async fn run(&self) -> Result<Report, Fault> {
        self.run_while(|| true).await
    }

    /// Tells what is due, until that is not wanted any longer: the message that is on its way then is the last one.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn run_while(&self, is_wanted: impl Fn() -> bool) -> Result<Report, Fault> {
        let mut report = Report::default();
        if self.announcers.is_empty() || !is_wanted() {
            return Ok(report);
        }
        let claimed = self.house.claim(Stage::Notify, A_RUN).await?;
        report.claimed = claimed.len() as u64;
        for (place, row) in claimed.iter().enumerate() {
            if !is_wanted() {
                self.give_back(&claimed[place..]).await?;
                report.given_back += (claimed.len() - place) as u64;
                break;
            }
            match self.house.work_on(row, self.tell(row)).await {
                Ok(Worked::Done(one)) => report += one,
                Ok(Worked::Lost) => {}
                Ok(Worked::GivenBack) => report.given_back += 1,
                Ok(Worked::TooLong) => {
                    report.failed += 1;
                    self.house.retry_later(row).await?;
                }
                Err(fault) => {
                    self.give_back(&claimed[place..]).await?;
                    return Err(fault);
                }
            }
        }
        Ok(report)
    }

    async fn give_back(&self, rows: &[Row]) -> Result<(), Fault> {
        for row in rows {
            self.house.give_back(row).await?;
        }
        Ok(())
    }

    async fn tell(&self, row: &Row) -> Result<Report, Fault> {
        let Fact::Notification(fact) = &row.fact else { return Ok(Report::default()) };
        if self.house.has_less_than(A_SENDING) {
            return Err(Fault::OutOfTime);
        }
        if !self.house.still_ours(row).await? {
            return Ok(Report::default());
        }
        let message = self.message(row, fact);
        let Attempt { told, failed } = self.attempt(row, fact, &message).await;
        let all = self.channels().all(|channel| fact.told.contains_key(&channel) || told.contains_key(&channel));
        let due = match (&failed, all) {
            (_, true) => None,
            (Some(_), false) => Some(self.house.next_try(row.tries)),
            // The next channel: at once.
            (None, false) => Some(self.house.now()),
        };
        let mut report = Report { failed: u64::from(failed.is_some()), ..Report::default() };
        report.untold = told.values().filter(|carried| **carried != Carried::Done).count() as u64;
        report.told = told.len() as u64 - report.untold;
        let detail = failed.map(|error| error.detail);
        let settled = self.house.settle(row, Settlement::Told { told, due, detail }).await?;
        report.settled = u64::from(settled == Settled::Done && due.is_none());
        Ok(report)
    }

    fn channels(&self) -> impl Iterator<Item = Channel> {
        self.announcers.iter().map(|announcer| announcer.channel())
    }

    fn message(&self, row: &Row, fact: &NotificationFact) -> Message {
        let summary = &fact.summary;
        let told = Told {
            environment: self.house.layout.environment(),
            day: row.day,
            summary,
            manifest: self.house.archive.url(&summary.manifest),
            org: self.org.as_ref(),
        };
        told.message(&self.wording)
    }

    /// Sends to one channel after the other, until one takes it.
    async fn attempt(&self, row: &Row, fact: &NotificationFact, message: &Message) -> Attempt {
        let mut attempt = Attempt::default();
        let day = row.day;
        let is_due = |announcer: &&Arc<dyn Announcer>| !fact.told.contains_key(&announcer.channel());
        for announcer in self.announcers.iter().filter(is_due) {
            if attempt.failed.is_some() && self.house.has_less_than(A_SENDING) {
                return attempt;
            }
            let channel = announcer.channel();
            let word = channel.as_str();
            match announcer.send(message).await {
                Ok(()) => {
                    tracing::info!(%day, channel = word, "told of {day} by {word}");
                    attempt.told.insert(channel, Carried::Done);
                    return attempt;
                }
                Err(error) if self.gives_up(row, fact) => {
                    let code = error.code;
                    tracing::error!(%day, channel = word, code, "nobody could be told of {day} by {word}: {error}");
                    attempt.told.insert(channel, Carried::GivenUp(code.to_owned()));
                    attempt.failed = Some(error);
                }
                Err(error) => {
                    let code = error.code;
                    tracing::warn!(%day, channel = word, code, "{word} does not take the notification of {day} now: {error}");
                    attempt.failed = Some(error);
                }
            }
        }
        attempt
    }

    fn gives_up(&self, row: &Row, fact: &NotificationFact) -> bool {
        let (span, tries) = PATIENCE;
        row.tries + 1 >= tries && self.house.now().duration_since(fact.since) >= span
    }
}
