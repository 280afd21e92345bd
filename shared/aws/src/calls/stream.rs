//! Records of the table's stream: what there is to be told.
//!
//! The images of a stream are attributes in DynamoDB's JSON (`{"S": ...}`). Only what is needed is read of them. Must never show
//! content of a record in an error.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use callvault_calls::call::Call;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::connections::{self, Connection};
use super::{item, schema};
use crate::dynamodb::item::{Attributes, text};

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it is called when it failed.
    pub sequence: String,
    /// When the table changed; whole seconds.
    pub at: Option<Timestamp>,
    /// What is to be told of it.
    pub news: News,
}

/// What is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A call has a new event.
    Call(Box<Call>),
    /// A websocket was opened.
    Opened(Connection),
    /// A call that cannot be read; where reading failed, without content.
    Unreadable(String),
    /// Nothing: the record is of something else.
    Nothing,
}

/// Reads a record of a DynamoDB stream, as Lambda hands it over.
///
/// # Errors
/// What is wrong with it, without content: it is no record of a stream of DynamoDB.
pub fn read(record: &Value) -> Result<Change, String> {
    if record["eventSource"] != "aws:dynamodb" {
        return Err("`eventSource` is not \"aws:dynamodb\"".to_owned());
    }
    let dynamodb = record["dynamodb"].as_object().ok_or("`dynamodb` is not an object")?;
    let sequence = dynamodb.get("SequenceNumber").and_then(Value::as_str).filter(|number| !number.is_empty());
    let sequence = sequence.ok_or("there is no `dynamodb.SequenceNumber`")?.to_owned();
    let at = dynamodb.get("ApproximateCreationDateTime").and_then(Value::as_f64);
    // Seconds with a fraction; a float has room for milliseconds.
    let at = at.and_then(|seconds| Timestamp::from_millisecond((seconds * 1000.0) as i64).ok());
    let opened = record["eventName"] == "INSERT";
    let news = match dynamodb.get("NewImage").and_then(Value::as_object) {
        None => News::Nothing,
        Some(image) => news(&attributes(image), opened),
    };
    Ok(Change { sequence, at, news })
}

fn news(image: &Attributes, inserted: bool) -> News {
    match text(image, schema::TELL) {
        Some(schema::TELL_CALL) => match item::row(image) {
            Ok(call) => call.map_or(News::Nothing, |call| News::Call(Box::new(call))),
            Err(error) => News::Unreadable(error.to_string()),
        },
        Some(schema::TELL_CONNECTION) if inserted => connections::connection(image).map_or(News::Nothing, News::Opened),
        _ => News::Nothing,
    }
}

/// Texts and numbers of an image; nothing else of it is read.
fn attributes(image: &Map<String, Value>) -> Attributes {
    let mut attributes = HashMap::new();
    for (name, value) in image {
        let value = match (value["S"].as_str(), value["N"].as_str()) {
            (Some(text), _) => AttributeValue::S(text.to_owned()),
            (None, Some(number)) => AttributeValue::N(number.to_owned()),
            (None, None) => continue,
        };
        attributes.insert(name.clone(), value);
    }
    attributes
}
