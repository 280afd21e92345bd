//! Making every call's row anew from its events, beside whoever appends.
//!
//! The whole table is read once to see which calls there are, and each call's events again, as they are then: a rebuild is for
//! repair, not for every day.

use callvault_calls::call::Call;
use callvault_calls::event::CallId;
use callvault_calls::store::{Rebuilt, StoreError, StoredEvent};

use super::item::{self, CallItem};
use super::{DynamoCalls, in_our_words, schema};
use crate::dynamodb::item::Attributes;

/// Events read at a time.
const AT_A_TIME: usize = 500;

/// How often a call is folded anew because somebody appended to it meanwhile.
const MOST_TRIES: u32 = 40;

impl DynamoCalls {
    pub(super) async fn rebuild_all(&self) -> Result<Rebuilt, StoreError> {
        let mut rebuilt = Rebuilt::default();
        // A scan gives the items of a partition one after the other.
        let (mut last, mut start) = (None, None);
        loop {
            let (items, next) = self.scan(start).await?;
            for call in items.iter().filter_map(item::call_of) {
                if last.as_ref() == Some(&call) {
                    continue;
                }
                let (events, repaired) = self.rebuild_call(&call).await?;
                rebuilt.calls += u64::from(events > 0);
                rebuilt.events += events;
                rebuilt.repaired += u64::from(repaired);
                last = Some(call);
            }
            match next {
                Some(next) => start = Some(next),
                None => return Ok(rebuilt),
            }
        }
    }

    /// Makes a call's row anew. Answers how many events it has, and whether the row was another.
    pub(super) async fn rebuild_call(&self, call: &CallId) -> Result<(u64, bool), StoreError> {
        let mut replaced = false;
        for tries in 0..MOST_TRIES {
            let found = match self.read(call).await {
                Err(StoreError::Unreadable { .. }) => {
                    self.clear(call).await?;
                    replaced = true;
                    continue;
                }
                read => read?,
            };
            if let Some(newest) = &found.newest {
                self.store(newest).await?;
            }
            let (row, last) = self.fold(call).await?;
            let events = row.as_ref().map_or(0, |row| row.version);
            if row == found.row && found.last >= last {
                return Ok((events, replaced));
            }
            let seen = |one: &Option<Call>, other: &Option<Call>| match (one, other) {
                (Some(one), Some(other)) => one.looks_like(other),
                (one, other) => one.is_none() && other.is_none(),
            };
            let tell = !seen(&row, &found.row) && row.is_some();
            let next = CallItem { row, last: last.max(found.last), ..found };
            // Without events there is no call: such a row is taken away.
            let written = match next.row {
                Some(_) => self.write(&next, tell).await?.is_ok(),
                None => self.remove(&next).await?,
            };
            if written {
                return Ok((events, true));
            }
            self.table.pause(tries / 4).await;
        }
        let detail = format!("a call was written by others {MOST_TRIES} times in a row: run again");
        Err(StoreError::Unusable { detail })
    }

    /// Takes away a call's item that cannot be read. The event in it may have no item of its own yet.
    async fn clear(&self, call: &CallId) -> Result<(), StoreError> {
        if let Some(newest) = self.newest(call).await? {
            self.store(&newest).await?;
        }
        self.delete(&item::place_of_call(call), None).await.map(drop)
    }

    /// The event in a call's item, also where the rest cannot be read.
    pub(super) async fn newest(&self, call: &CallId) -> Result<Option<StoredEvent>, StoreError> {
        let attributes = self.table.get(&item::place_of_call(call)).await.map_err(in_our_words)?;
        attributes.map_or(Ok(None), |attributes| item::newest(call, &attributes))
    }

    /// The call that its events make, and the greatest of their numbers.
    async fn fold(&self, call: &CallId) -> Result<(Option<Call>, u64), StoreError> {
        let (mut row, mut last) = (None::<Call>, 0);
        loop {
            let page = self.events_after(call, last, AT_A_TIME).await?;
            let Some(newest) = page.last() else { return Ok((row, last)) };
            last = newest.id;
            for event in &page {
                row = row.map_or_else(|| Call::begun(event), |row| Some(row.with(event)));
            }
        }
    }

    async fn remove(&self, item: &CallItem) -> Result<bool, StoreError> {
        let place = item::place_of_call(&item.id);
        self.delete(&place, Some(item.version)).await
    }

    /// Keys of items of calls, from `start` on, and where the next page begins.
    async fn scan(&self, start: Option<Attributes>) -> Result<(Vec<Attributes>, Option<Attributes>), StoreError> {
        let request = self
            .table
            .client
            .scan()
            .table_name(self.table.name())
            .consistent_read(true)
            .projection_expression("#partition")
            .filter_expression("begins_with(#partition, :calls)")
            .expression_attribute_names("#partition", schema::PARTITION)
            .expression_attribute_values(":calls", item::string(schema::OF_CALL))
            .set_exclusive_start_key(start);
        let answer = request.send().await.map_err(|error| in_our_words(self.table.fault(&error, "Scan")))?;
        Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key))
    }
}
