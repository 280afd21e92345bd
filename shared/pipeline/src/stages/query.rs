//! Query: pages the conversations of a day and puts every one of them into the ledger. In a day that was queried before, it
//! also finds what came late to those that are known.
//!
//! Must never touch a recording, and never add or open a conversation in a day whose `_SUCCESS` still stands.

use std::sync::Arc;

use callvault_genesys::pages::Pages;

use super::late::{self, Compared, Late};
use super::shift::Worked;
use super::{Fault, House, Report};
use crate::api::{ApiError, ConversationQuery, Conversations, NextStep};
use crate::day::Day;
use crate::facts::{Intake, NewConversation, Wanted};
use crate::ids::ConversationId;
use crate::ledger::machine::Settlement;
use crate::ledger::{DayFact, Fact, Marker, Row, Stage};

/// Tries of one day before the source counts as out of reach.
const TRIES_BEFORE_STOP: u32 = 3;

/// The query stage.
pub struct Query {
    /// Ports.
    pub house: House,
    /// The source.
    pub source: Arc<dyn Conversations>,
    /// Which conversations are exported.
    pub wanted: Wanted,
    /// Rows a page.
    pub page_size: u32,
    /// What came late to conversations that are known.
    pub late: Late,
}

impl Query {
    /// Queries the day that is due longest, if any: its conversations can be submitted before the next day is queried.
    ///
    /// # Errors
    /// [`Fault`] when no day could be queried: the sign-in is refused, the query is, or the ledger fails.
    pub async fn run(&self) -> Result<Report, Fault> {
        let claimed = self.house.claim(Stage::Query, 1).await?;
        let Some(row) = claimed.first() else { return Ok(Report::default()) };
        match self.house.work_on(row, self.query(row)).await {
            Ok(Worked::Lost) => Ok(Report { claimed: 1, ..Report::default() }),
            Ok(Worked::GivenBack) => Ok(Report { claimed: 1, given_back: 1, ..Report::default() }),
            Ok(Worked::TooLong) => {
                self.house.too_long(row, format!("finding the conversations of {}", row.day)).await?;
                Ok(Report { claimed: 1, failed: 1, ..Report::default() })
            }
            Ok(Worked::Done(found)) => {
                self.house.settle(row, Settlement::Queried).await?;
                tracing::info!(day = %row.day, found, "queried {}: {found} new conversations", row.day);
                Ok(Report { claimed: 1, settled: 1, found, ..Report::default() })
            }
            Err(Fault::Source(error)) => {
                self.put_off(row, error).await?;
                Ok(Report { claimed: 1, failed: 1, ..Report::default() })
            }
            Err(fault) => {
                self.house.give_back(row).await?;
                Err(fault)
            }
        }
    }

    async fn query(&self, row: &Row) -> Result<u64, Fault> {
        let Fact::Day(day) = &row.fact else { return Ok(0) };
        let window = self.house.calendar.window(row.day).map_err(|error| Fault::Settings(error.to_string()))?;
        let query =
            ConversationQuery { window, queues: self.wanted.queues.clone(), page_size: self.page_size.clamp(1, 100) };
        let mut pages = Pages::new(&*self.source, &*self.house.clock, query);
        let (mut found, mut marker_may_stand) = (0, true);
        let compares = Late::is_wanted(day, self.house.now());
        while let Some(page) = pages.next().await? {
            let taken: Vec<NewConversation> = page.iter().map(|found| self.wanted.take(found)).collect();
            if !self.house.still_ours(row).await? {
                // Whoever has the day now goes on; what was added stays.
                return Ok(found);
            }
            let late = if compares { self.late.recorded_since(&self.house, &taken).await? } else { Vec::new() };
            if marker_may_stand && (!late.is_empty() || self.has_new(row.day, &taken).await?) {
                self.reopen(row, day).await?;
                marker_may_stand = false;
            }
            found += self.house.ledger.add_conversations(row.day, &taken, self.house.now()).await?;
            self.open_again(row.day, &late).await?;
        }
        if compares {
            self.compare(row, day, marker_may_stand).await?;
        }
        Ok(found)
    }

    /// Compares what is known with the source, page by page: cut off, it goes on after the last one.
    async fn compare(&self, row: &Row, day: &DayFact, mut marker_may_stand: bool) -> Result<(), Fault> {
        let mut after = day.compared.clone();
        loop {
            let Compared { late, last } = self.late.compare(&self.house, row, after.as_ref()).await?;
            let Some(last) = last else { return Ok(()) };
            if !self.house.still_ours(row).await? {
                return Ok(());
            }
            if marker_may_stand && !late.is_empty() {
                self.reopen(row, day).await?;
                marker_may_stand = false;
            }
            self.open_again(row.day, &late).await?;
            self.house.settle(row, Settlement::Compared(last.clone())).await?;
            after = Some(last);
        }
    }

    /// Opens conversations to which a recording came late.
    async fn open_again(&self, day: Day, late: &[ConversationId]) -> Result<(), Fault> {
        for id in late {
            let opened = self.house.ledger.reopen(id, &late::reopening(), self.house.now()).await?;
            tracing::info!(%day, conversation.id = %id, opened, "a recording came late to {id}");
        }
        Ok(())
    }

    async fn has_new(&self, day: Day, page: &[NewConversation]) -> Result<bool, Fault> {
        let exported = page.iter().filter(|new| !matches!(new.intake, Intake::LeftOut(_)));
        let ids: Vec<_> = exported.map(|new| new.id.clone()).collect();
        let known = self.house.ledger.known(day, &ids).await?;
        Ok(known.len() < ids.len())
    }

    /// A `_SUCCESS` is true or absent: it goes before the first new conversation comes. The archive is asked, not the
    /// ledger, which may be younger than the marker.
    async fn reopen(&self, row: &Row, day: &DayFact) -> Result<(), Fault> {
        let key = self.house.layout.of_day(row.day, Marker::Success.file_name());
        let key = key.map_err(|error| Fault::Settings(error.to_string()))?;
        if self.house.archive.head(&key).await?.is_some() {
            self.house.archive.delete(&key).await?;
            let generation = day.generation;
            tracing::info!(day = %row.day, generation, "late conversations: {} is open again", row.day);
        }
        if day.marker == Some(Marker::Success) {
            self.house.settle(row, Settlement::Reopened).await?;
        }
        Ok(())
    }

    async fn put_off(&self, row: &Row, error: ApiError) -> Result<(), Fault> {
        self.house.retry_later(row).await?;
        let out_of_reach = row.tries + 1 >= TRIES_BEFORE_STOP;
        if error.next_step() != NextStep::Later || out_of_reach {
            return Err(Fault::Source(error));
        }
        tracing::warn!(day = %row.day, code = error.code(), "could not query {}: {error}", row.day);
        Ok(())
    }
}
