//! Closing a day, and the notification of that, which is an item of its own.

use callvault_pipeline::day::Day;
use callvault_pipeline::ledger::machine::{self, Settlement};
use callvault_pipeline::ledger::{LedgerError, Row, RowKey, Settled};
use jiff::Timestamp;

use super::item::Item;
use super::place::Place;
use super::table::{Ask, Condition};
use super::{DynamoLedger, schema};

impl DynamoLedger {
    /// The notification first: a day that is closed and of which nobody would ever be told is worse than one that is told of
    /// a moment before it is closed. Its marker is written by then. Cut off in between, the close is repeated, and finds
    /// the notification.
    pub(super) async fn close(
        &self,
        day: Day,
        attempt: u32,
        settlement: &Settlement,
        now: Timestamp,
    ) -> Result<Settled, LedgerError> {
        let place = Place::day(day);
        let item = self.read(&place).await?;
        let Some(row) = item.head() else { return Ok(Settled::Stale) };
        let (settled, rows) = machine::settle(row, attempt, settlement, &[], now);
        if settled == Settled::Stale {
            return Ok(settled);
        }
        for row in rows.iter().filter(|row| matches!(row.key, RowKey::Notification(..))) {
            self.announce(row).await?;
        }
        let closed = self.change(&place, |item| {
            let Some(row) = item.head() else { return (None, Settled::Stale) };
            let (settled, rows) = machine::settle(row, attempt, settlement, &[], now);
            let day = rows.iter().find(|new| new.key == row.key);
            (day.map(|day| item.with(std::slice::from_ref(day))), settled)
        });
        closed.await
    }

    /// Adds a notification, unless it is there.
    async fn announce(&self, row: &Row) -> Result<(), LedgerError> {
        let RowKey::Notification(day, generation) = &row.key else { return Ok(()) };
        let place = Place::notification(*day, *generation);
        let announced = self.change_from(&place, Some(Item::new(place.clone())), |item| match item.head() {
            None => (Some(item.with(std::slice::from_ref(row))), ()),
            Some(_) => (None, ()),
        });
        announced.await
    }

    pub(super) async fn notifications_of(&self, day: Day) -> Result<Vec<Row>, LedgerError> {
        let sort = Condition::begins_with(schema::SORT, &format!("notification/{day}/"));
        let ask = Ask { sort: Some(sort), ..Ask::partition(schema::DAYS.to_owned()) };
        let found = self.table.query_all(ask).await?;
        let rows = found.iter().map(|attributes| Item::read(attributes).map(|item| item.head().cloned()));
        Ok(rows.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }
}
