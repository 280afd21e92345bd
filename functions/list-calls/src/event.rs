//! What a WebSocket API of API Gateway sends: somebody opens a connection, closes one, or says something.
//!
//! Fields that are not needed are left alone. Must never show a query or a body in an error: the one holds a token.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use callvault_bootstrap::lambda::refusal::Refusal;
use jiff::Timestamp;
use serde_json::Value;

/// What happened on a connection.
#[derive(PartialEq, Eq)]
pub enum Event {
    /// It is to be opened.
    Connect {
        /// API Gateway's name for it.
        connection: String,
        /// When that was asked.
        at: Timestamp,
        /// The parameter `token` of its query, if it is there once.
        token: Option<String>,
    },
    /// It was closed.
    Disconnect {
        /// API Gateway's name for it.
        connection: String,
    },
    /// A message came.
    Message {
        /// Whatever was said.
        body: Vec<u8>,
    },
}

/// Reads an event.
///
/// # Errors
/// [`Refusal`] with the code `event-malformed`: the event is none of a WebSocket API.
pub fn read(event: &Value) -> Result<Event, Refusal> {
    let wrong = |what: &str| Refusal::malformed(format!("{what}: expected an event of a WebSocket API"));
    let context = &event["requestContext"];
    let connection = context["connectionId"].as_str().filter(|id| (1..=128).contains(&id.len()));
    let connection = connection.ok_or_else(|| wrong("`requestContext.connectionId` is no id"))?.to_owned();
    match context["eventType"].as_str() {
        Some("CONNECT") => {
            let at = context["connectedAt"].as_i64().and_then(|ms| Timestamp::from_millisecond(ms).ok());
            let at = at.ok_or_else(|| wrong("`requestContext.connectedAt` is no time"))?;
            Ok(Event::Connect { connection, at, token: token(event) })
        }
        Some("DISCONNECT") => Ok(Event::Disconnect { connection }),
        Some("MESSAGE") => Ok(Event::Message { body: body(event).map_err(wrong)? }),
        _ => Err(wrong("`requestContext.eventType` is not CONNECT, DISCONNECT or MESSAGE")),
    }
}

/// The token. One that is there twice is none.
fn token(event: &Value) -> Option<String> {
    let all = event["multiValueQueryStringParameters"]["token"].as_array();
    if all.is_some_and(|all| all.len() != 1) {
        return None;
    }
    event["queryStringParameters"]["token"].as_str().map(str::to_owned)
}

fn body(event: &Value) -> Result<Vec<u8>, &'static str> {
    match (&event["body"], &event["isBase64Encoded"]) {
        (Value::Null, _) => Ok(Vec::new()),
        (Value::String(text), Value::Bool(true)) => STANDARD.decode(text).map_err(|_| "`body` is not Base64"),
        (Value::String(text), _) => Ok(text.clone().into_bytes()),
        _ => Err("`body` is not a text"),
    }
}
