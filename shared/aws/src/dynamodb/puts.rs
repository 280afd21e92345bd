//! The table's calls that write, each under a condition, and writes whose answer was lost.
//!
//! Each write carries a token of its own; whoever finds that token in the item knows that the write took effect, however
//! it was answered.

use std::sync::atomic::Ordering;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConsumedCapacity, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure,
};
use callvault_pipeline::ledger::LedgerError;

use super::fault::{self, Effect};
use super::item::{Attributes, text, version_of};
use super::place::Place;
use super::schema;
use super::table::{Table, keys};

/// How often a write whose fate is unknown, and which is not there when looked for, is sent again.
const MOST_SENDINGS: u32 = 2;

/// What became of a write.
#[derive(Debug)]
pub(crate) enum Put {
    /// It took effect; the item's version.
    Done(u64),
    /// The item is another than was thought: this one, if it is there at all.
    Lost(Option<Attributes>),
}

impl Table {
    /// Puts an item that is always the same: no condition, no version.
    pub(crate) async fn put_mark(&self, place: &Place) -> Result<(), LedgerError> {
        let request = self.client.put_item().table_name(&self.name).set_item(Some(keys(place)));
        let answer = request.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await;
        let answer = answer.map_err(|error| self.fault(&error, "PutItem"))?;
        self.count(&answer.consumed_capacity, true);
        Ok(())
    }

    /// Puts an item if it still has `version`; 0 when it must not be there.
    pub(crate) async fn put(&self, place: &Place, version: u64, content: Attributes) -> Result<Put, LedgerError> {
        let write = format!("{}-{:x}", self.writer, self.writes.fetch_add(1, Ordering::Relaxed));
        let mut item = content;
        item.extend(keys(place));
        item.insert(schema::VERSION.to_owned(), AttributeValue::N((version + 1).to_string()));
        item.insert(schema::WRITE.to_owned(), AttributeValue::S(write.clone()));
        for sending in 1..=MOST_SENDINGS {
            // The same write again, with the same token: whichever of them arrives, it is this one.
            let error = match self.send(version, item.clone()).await {
                Ok(Put::Lost(Some(found))) if text(&found, schema::WRITE) == Some(&write) => {
                    return Ok(Put::Done(version + 1));
                }
                Ok(put) => return Ok(put),
                Err((error, Effect::None)) => return Err(error),
                Err((error, Effect::Unknown)) => error,
            };
            let Ok(found) = self.get(place).await else { return Err(error) };
            match found {
                Some(found) if text(&found, schema::WRITE) == Some(&write) => return Ok(Put::Done(version + 1)),
                Some(found) if version_of(&found) != version => return Ok(Put::Lost(Some(found))),
                _ if sending == MOST_SENDINGS => return Err(error),
                _ => {}
            }
        }
        Err(LedgerError::Unusable { detail: format!("{} could not be written", place.sk) })
    }

    async fn send(&self, version: u64, item: Attributes) -> Result<Put, (LedgerError, Effect)> {
        let request = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(item))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let request = match version {
            0 => request
                .condition_expression("attribute_not_exists(#key)")
                .expression_attribute_names("#key", schema::PARTITION),
            _ => request
                .condition_expression("#version = :version")
                .expression_attribute_names("#version", schema::VERSION)
                .expression_attribute_values(":version", AttributeValue::N(version.to_string())),
        };
        match request.send().await {
            Ok(answer) => {
                self.count(&answer.consumed_capacity, true);
                Ok(Put::Done(version + 1))
            }
            Err(error) => {
                let refused = error.as_service_error().and_then(|error| match error {
                    PutItemError::ConditionalCheckFailedException(refused) => Some(refused),
                    _ => None,
                });
                if let Some(refused) = refused {
                    // A refused write is paid for; the answer does not say how much.
                    self.count(&[ConsumedCapacity::builder().capacity_units(1.0).build()], true);
                    return Ok(Put::Lost(refused.item().cloned()));
                }
                Err((self.fault(&error, "PutItem"), fault::effect(&error)))
            }
        }
    }
}
