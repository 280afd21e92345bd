//! Turns at reading batch jobs: an item each, which the table forgets after a day.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use callvault_pipeline::ids::BatchJobId;
use callvault_pipeline::jobs::LEAST_GAP;
use callvault_pipeline::ledger::LedgerError;
use callvault_pipeline::ledger::turn::{self, Turn, TurnId};
use jiff::Timestamp;

use super::item::{Attributes, number, version_of};
use super::place::Place;
use super::puts::Put;
use super::{DynamoLedger, schema};

/// When a turn is over, milliseconds since 1970.
const OVER: &str = "over";

/// The table may forget a turn after this.
const KEPT: Duration = Duration::from_secs(24 * 3600);

impl DynamoLedger {
    pub(super) async fn take(&self, job: &BatchJobId, now: Timestamp) -> Result<Turn, LedgerError> {
        let place = place(job);
        let last = self.table.get(&place).await?;
        let over = last.as_ref().and_then(|last| number(last, OVER));
        let over = over.and_then(|over| Timestamp::from_millisecond(over).ok());
        if let Some(until) = turn::taken_until(over, now) {
            return Ok(Turn::NotBefore(until));
        }
        let version = last.as_ref().map_or(0, version_of);
        match self.table.put(&place, version, attributes(now + turn::LONGEST)).await? {
            Put::Done(version) => Ok(Turn::Yours(TurnId(version))),
            // Somebody took it, or ended one, between the two calls.
            Put::Lost(_) => Ok(Turn::NotBefore(now + LEAST_GAP)),
        }
    }

    pub(super) async fn end(&self, job: &BatchJobId, id: TurnId, free: Timestamp) -> Result<(), LedgerError> {
        self.table.put(&place(job), id.0, attributes(free)).await.map(drop)
    }
}

fn place(job: &BatchJobId) -> Place {
    let key = format!("{}{job}", schema::TURN);
    Place { pk: key.clone(), sk: key }
}

fn attributes(over: Timestamp) -> Attributes {
    let number = |number: i64| AttributeValue::N(number.to_string());
    Attributes::from([
        (OVER.to_owned(), number(over.as_millisecond())),
        (schema::EXPIRES.to_owned(), number((over + KEPT).as_second())),
    ])
}
