//! What is done with a message at the source once it is in the archive: disconnect its callback, mark it as read,
//! delete it, in this order and only as far as set.
//!
//! Must never give an order before the ledger has the copy, nor without having read the copy back in this very run. A
//! refusal is recorded and undoes nothing.

use std::collections::BTreeMap;

use futures_util::StreamExt;

use super::{LONGEST_PAUSE, Task, Voicemail, code_of, stops_everything};
use crate::api::{ApiError, NextStep};
use crate::archive::{ArchiveError, Proof, Prover};
use crate::ledger::StoredObject;
use crate::ledger::machine::Settlement;
use crate::ledger::voicemail::{Carried, MailboxName, Order, VoicemailState};
use crate::reason::Reason;
use crate::stages::{Fault, Report};

/// A copy that does not read back is made anew this often before it is parked: the archive is at fault then.
const MOST_COPIES: u32 = 3;

/// What is in the archive of a message.
pub(super) struct Kept<'a> {
    pub(super) object: &'a StoredObject,
    pub(super) metadata: &'a StoredObject,
    /// Whether the source said where the message's media ends: otherwise the copy may be a part of it.
    pub(super) proved: bool,
}

/// What reading a copy back showed.
enum Back {
    /// What was recorded.
    Whole,
    /// Nothing, or something else.
    Other(String),
    /// The archive failed.
    Unread(String),
}

/// What became of an attempt to give an order.
enum Given {
    Carried(Carried),
    /// It may work later.
    Failed {
        code: String,
        detail: String,
    },
}

impl Voicemail {
    /// Gives the orders that are set and not carried out, each after the one before.
    pub(super) async fn orders(&self, task: &Task<'_>, kept: &Kept<'_>) -> Result<Report, Fault> {
        // Only the voicemail of a queue makes a callback.
        let is_possible = |order| order != Order::Disconnect || matches!(task.fact.mailbox, MailboxName::Queue(_));
        let is_due = |order: &Order| {
            self.options.orders.contains(order) && is_possible(*order) && !task.fact.orders.contains_key(order)
        };
        let mut orders: BTreeMap<Order, Carried> = BTreeMap::new();
        for (place, order) in Order::ALL.into_iter().filter(is_due).enumerate() {
            // Before the first, and right before the one that cannot be taken back.
            if place == 0 || order == Order::Delete {
                match self.read_back(&[kept.object, kept.metadata]).await? {
                    Back::Whole => {}
                    Back::Other(detail) => return self.copy_again(task, orders, detail).await,
                    Back::Unread(detail) => return self.wait_for_archive(task, orders, detail).await,
                }
            }
            if !self.house.still_ours(task.row).await? {
                return Ok(Report::default());
            }
            match self.give(task, order, kept).await? {
                Given::Carried(carried) => drop(orders.insert(order, carried)),
                Given::Failed { code, detail } => return self.put_off(task, order, orders, code, detail).await,
            }
        }
        self.house.settle(task.row, Settlement::Moved { orders }).await?;
        Ok(Report { settled: 1, ..Report::default() })
    }

    async fn give(&self, task: &Task<'_>, order: Order, kept: &Kept<'_>) -> Result<Given, Fault> {
        let (source, id, word) = (&self.source, task.message, order.as_str());
        let given = match order {
            Order::Disconnect => source.disconnect_callback(task.conversation).await,
            Order::MarkRead => source.mark_read(id).await,
            // Nothing was delivered, and so nothing is proved by having it.
            Order::Delete if kept.object.bytes == 0 => {
                tracing::warn!(voicemail.id = %id, "voicemail {id} is not deleted: its copy is empty");
                return Ok(Given::Carried(Carried::Refused("empty-copy".to_owned())));
            }
            // A connection that broke looks the same as its end.
            Order::Delete if !kept.proved => {
                tracing::warn!(voicemail.id = %id, "voicemail {id} is not deleted: nothing says that its copy is whole");
                return Ok(Given::Carried(Carried::Refused("unproved-length".to_owned())));
            }
            Order::Delete => source.delete(id).await,
        };
        match given {
            Ok(()) => Ok(Given::Carried(Carried::Done)),
            Err(error) if stops_everything(&error) || matches!(error, ApiError::OutOfTime { .. }) => {
                Err(Fault::Source(error))
            }
            Err(error) if error.next_step() == NextStep::GiveUp => {
                let code = code_of(&error);
                tracing::warn!(voicemail.id = %id, code, "the source refuses to {word} voicemail {id}: {error}");
                Ok(Given::Carried(Carried::Refused(code)))
            }
            Err(error) => Ok(Given::Failed { code: code_of(&error), detail: error.to_string() }),
        }
    }

    /// An order that failed is given again later, for a day; then it is given up, and the next one is due. A few minutes
    /// in which the source is out of order must leave nothing undone for good.
    async fn put_off(
        &self,
        task: &Task<'_>,
        order: Order,
        mut orders: BTreeMap<Order, Carried>,
        code: String,
        detail: String,
    ) -> Result<Report, Fault> {
        // What was counted before the copy, or for the order before this one, says nothing about this one.
        let tries = if is_stored(task) && orders.is_empty() { task.row.tries } else { 0 };
        let since = task.fact.settled_at.filter(|_| is_stored(task)).unwrap_or_else(|| self.house.now());
        let (id, word) = (task.message, order.as_str());
        let given_up = self.is_out_of_patience(since.max(task.fact.since), tries + 1);
        let due = if given_up {
            tracing::warn!(voicemail.id = %id, code, "given up to {word} voicemail {id}: {detail}");
            orders.insert(order, Carried::GivenUp(code));
            self.house.now()
        } else {
            tracing::info!(voicemail.id = %id, code, "to {word} voicemail {id} is put off: {detail}");
            self.after(tries, LONGEST_PAUSE)
        };
        self.house.settle(task.row, Settlement::OrdersDue { orders, tried: !given_up, due, detail }).await?;
        Ok(Report { failed: 1, ..Report::default() })
    }

    /// Orders wait for an archive that cannot be read, however long: it is not their failure.
    async fn wait_for_archive(
        &self,
        task: &Task<'_>,
        orders: BTreeMap<Order, Carried>,
        detail: String,
    ) -> Result<Report, Fault> {
        let (id, looks) = (task.message, if is_stored(task) { task.fact.looks } else { 0 });
        tracing::warn!(voicemail.id = %id, "the copy of {id} cannot be read back: {detail}");
        let due = self.after(looks, LONGEST_PAUSE);
        self.house.settle(task.row, Settlement::OrdersDue { orders, tried: false, due, detail }).await?;
        Ok(Report { failed: 1, ..Report::default() })
    }

    /// A copy that is not what was recorded is copied again, and parked where the archive keeps none.
    async fn copy_again(
        &self,
        task: &Task<'_>,
        orders: BTreeMap<Order, Carried>,
        detail: String,
    ) -> Result<Report, Fault> {
        let copies = task.fact.copies + u32::from(!is_stored(task));
        if copies >= MOST_COPIES {
            return self.park(task.row, Reason::ArchiveFailed, detail).await;
        }
        tracing::warn!(voicemail.id = %task.message, "the copy of {} does not prove: {detail}", task.message);
        let due = self.house.next_try(copies);
        self.house.settle(task.row, Settlement::CopyLost { orders, due, detail }).await?;
        Ok(Report { failed: 1, ..Report::default() })
    }

    /// Reads objects back, byte by byte, and compares them with what was recorded.
    async fn read_back(&self, objects: &[&StoredObject]) -> Result<Back, Fault> {
        for object in objects {
            match self.proof_in_archive(object).await {
                Ok(Some(proof)) if proof.bytes == object.bytes && proof.sha256 == object.sha256 => {}
                Ok(Some(_)) => return Ok(Back::Other(format!("{} is another object than was written", object.key))),
                Ok(None) => return Ok(Back::Other(format!("{} is not in the archive", object.key))),
                Err(error) if error.is_general() => return Err(Fault::Archive(error)),
                Err(error) => return Ok(Back::Unread(error.to_string())),
            }
        }
        Ok(Back::Whole)
    }

    async fn proof_in_archive(&self, object: &StoredObject) -> Result<Option<Proof>, ArchiveError> {
        let Some(mut body) = self.house.archive.read(&object.key).await? else { return Ok(None) };
        let mut prover = Prover::default();
        while let Some(chunk) = body.next().await {
            prover.update(&chunk?);
        }
        // Without a declared length there is nothing that could differ.
        Ok(prover.finish(None).ok())
    }
}

/// Whether the message was in the archive already when it was claimed.
fn is_stored(task: &Task<'_>) -> bool {
    task.fact.state == VoicemailState::Stored
}
