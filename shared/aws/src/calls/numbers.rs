//! Numbers: unique in a table, growing with time.
//!
//! One item counts what was given out. A process that needs many in a second takes some ahead, so that the counter is not written
//! for each event; what is left of them after a second is never used. So numbers of different calls are in the order of arrival
//! but for a second's worth where several processes take events at once, and those of one call are always: [`super::append`] takes
//! none that is not above the call's last.

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use callvault_calls::store::StoreError;
use jiff::Timestamp;
use tokio::sync::Mutex;

use super::item::number_of;
use super::{in_our_words, schema};
use crate::dynamodb::place::Place;
use crate::dynamodb::table::{Table, keys};

/// How long numbers that were taken ahead are good for.
const FRESH: Duration = Duration::from_secs(1);

/// Most that are taken ahead.
const MOST: u64 = 64;

/// How often the counter is moved past a call's last number. Once is enough for a counter that was lost.
const MOST_MOVES: u32 = 4;

/// The attribute that counts.
const GIVEN: &str = "given";

/// Gives out numbers.
#[derive(Debug, Default)]
pub(super) struct Numbers(Mutex<Ahead>);

/// Numbers that were taken ahead.
#[derive(Debug, Default)]
struct Ahead {
    next: u64,
    end: u64,
    size: u64,
    taken: Option<Timestamp>,
}

impl Numbers {
    /// A number above `above`.
    pub(super) async fn above(&self, above: u64, now: Timestamp, table: &Table) -> Result<u64, StoreError> {
        // See `Table::soon`: without the lock it is one number, from the table.
        let Some(mut ahead) = table.soon(self.0.lock()).await else { return reserve(above, 1, table).await };
        let fresh = ahead.taken.is_some_and(|taken| now.duration_since(taken).unsigned_abs() < FRESH);
        if fresh && ahead.next < ahead.end && ahead.next > above {
            ahead.next += 1;
            return Ok(ahead.next - 1);
        }
        let size = if fresh { (ahead.size * 2).clamp(1, MOST) } else { 1 };
        let first = reserve(above, size, table).await?;
        *ahead = Ahead { next: first + 1, end: first + size, size, taken: Some(now) };
        Ok(first)
    }
}

/// Takes so many numbers, all above `above`; answers the first. One that is taken twice because an answer was lost is a gap.
async fn reserve(above: u64, size: u64, table: &Table) -> Result<u64, StoreError> {
    let mut more = size;
    for _ in 0..MOST_MOVES {
        let last = add(more, table).await?;
        let first = (last + 1).saturating_sub(size);
        if first > above {
            return Ok(first);
        }
        // The counter is behind: its item is older than the calls'.
        tracing::warn!("the counter of numbers in table {} was behind, and is moved on", table.name());
        more = above - first + 1 + size;
    }
    let detail = format!("the counter of numbers in table {} stays behind its calls", table.name());
    Err(StoreError::Unusable { detail })
}

async fn add(numbers: u64, table: &Table) -> Result<u64, StoreError> {
    let place = Place { pk: schema::NUMBERS.to_owned(), sk: schema::NUMBERS.to_owned() };
    let request = table.client.update_item().table_name(table.name()).set_key(Some(keys(&place)));
    let request = request
        .update_expression("ADD #given :more")
        .expression_attribute_names("#given", GIVEN)
        .expression_attribute_values(":more", AttributeValue::N(numbers.to_string()))
        .return_values(ReturnValue::UpdatedNew);
    let answer = request.send().await.map_err(|error| in_our_words(table.fault(&error, "UpdateItem")))?;
    let given = answer.attributes.as_ref().and_then(|attributes| number_of(attributes, GIVEN));
    given.ok_or_else(|| StoreError::Unusable { detail: "DynamoDB counted without an answer".to_owned() })
}
