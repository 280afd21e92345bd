//! Opening again what is settled: a conversation with its recordings, a day.

use callvault_pipeline::day::Day;
use callvault_pipeline::ids::ConversationId;
use callvault_pipeline::ledger::LedgerError;
use callvault_pipeline::ledger::machine::{self, Reopening};
use jiff::Timestamp;

use super::DynamoLedger;
use super::place::Place;

impl DynamoLedger {
    pub(super) async fn reopen_conversation(
        &self,
        id: &ConversationId,
        reopening: &Reopening,
        now: Timestamp,
    ) -> Result<bool, LedgerError> {
        let Some(place) = self.find(id).await? else { return Ok(false) };
        let reopened = self.change(&place, |item| {
            let rows = machine::reopen_family(item.rows(), reopening, now);
            match rows.is_empty() {
                true => (None, false),
                false => (Some(item.with(&rows)), true),
            }
        });
        reopened.await
    }

    pub(super) async fn reopen_closed(&self, day: Day, now: Timestamp) -> Result<bool, LedgerError> {
        let place = Place::day(day);
        let reopened = self.change(&place, |item| {
            let row = item.head().and_then(|row| machine::reopen_day(row, now));
            let done = row.is_some();
            (row.map(|row| item.with(&[row])), done)
        });
        reopened.await
    }
}
