//! Websockets that are open, one item each, which the table forgets after the longest life a connection can have.
//!
//! All of them are in one partition: whoever tells of a change asks for all of them, and asks once.

use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use callvault_calls::store::StoreError;
use jiff::Timestamp;

use super::item::{integer, number_of, string};
use super::{DynamoCalls, in_our_words, schema};
use crate::dynamodb::item::{Attributes, text};
use crate::dynamodb::place::Place;
use crate::dynamodb::puts::Put;
use crate::dynamodb::table::{Ask, keys};

/// API Gateway ends a connection after two hours; the clocks of two services may differ.
const LONGEST_LIFE: Duration = Duration::from_secs(2 * 3600 + 600);

/// When it was opened, milliseconds since 1970.
const SINCE: &str = "since";

/// An open websocket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Connection {
    /// API Gateway's name for it.
    pub id: String,
    /// When it was opened.
    pub since: Timestamp,
}

impl DynamoCalls {
    /// Writes down that a websocket was opened. Doing it twice is safe.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be used.
    pub async fn connect(&self, connection: &Connection) -> Result<(), StoreError> {
        let millisecond = |at: Timestamp| integer(u64::try_from(at.as_millisecond()).unwrap_or_default());
        let expires = connection.since + LONGEST_LIFE;
        let attributes = Attributes::from([
            (SINCE.to_owned(), millisecond(connection.since)),
            (schema::EXPIRES.to_owned(), integer(u64::try_from(expires.as_second()).unwrap_or_default())),
            (schema::TELL.to_owned(), string(schema::TELL_CONNECTION)),
        ]);
        let put = self.table.put(&place(&connection.id), 0, attributes).await.map_err(in_our_words)?;
        match put {
            Put::Done(_) | Put::Lost(_) => Ok(()),
        }
    }

    /// Forgets a websocket. One that is not there is forgotten already.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be used.
    pub async fn disconnect(&self, id: &str) -> Result<(), StoreError> {
        self.delete(&place(id), None).await.map(drop)
    }

    /// All websockets that are open, as far as anybody knows.
    ///
    /// # Errors
    /// [`StoreError`] when the table cannot be used.
    pub async fn connections(&self) -> Result<Vec<Connection>, StoreError> {
        let items = self.table.query_all(Ask::partition(schema::CONNECTIONS.to_owned())).await.map_err(in_our_words)?;
        Ok(items.iter().filter_map(connection).collect())
    }

    /// Deletes an item, if it still has this version. Answers whether it is gone.
    pub(super) async fn delete(&self, place: &Place, version: Option<u64>) -> Result<bool, StoreError> {
        let mut request = self.table.client.delete_item().table_name(self.table.name()).set_key(Some(keys(place)));
        if let Some(version) = version {
            request = request
                .condition_expression("#version = :version")
                .expression_attribute_names("#version", schema::VERSION)
                .expression_attribute_values(":version", integer(version));
        }
        match request.send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(error))
                if matches!(error.err(), DeleteItemError::ConditionalCheckFailedException(_)) =>
            {
                Ok(false)
            }
            Err(error) => Err(in_our_words(self.table.fault(&error, "DeleteItem"))),
        }
    }
}

/// The connection of an item; `None` where it is none.
pub(super) fn connection(attributes: &Attributes) -> Option<Connection> {
    let id = text(attributes, schema::SORT)?.strip_prefix(schema::CONNECTION)?.to_owned();
    let since = i64::try_from(number_of(attributes, SINCE).unwrap_or_default()).unwrap_or_default();
    Some(Connection { id, since: Timestamp::from_millisecond(since).unwrap_or_default() })
}

fn place(id: &str) -> Place {
    Place { pk: schema::CONNECTIONS.to_owned(), sk: format!("{}{id}", schema::CONNECTION) }
}
