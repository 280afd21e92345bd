//! `list-calls`: the websockets of telephony calls behind API Gateway (WebSocket API).
//!
//! | module | owns |
//! |---|---|
//! | [`event`] | what API Gateway sends |
//!
//! A message is answered by what the invocation answers: API Gateway sends it to the connection. What a message means is that of
//! [`callvault_calls::desk`], the same as in `callvault serve`. Who may open a connection is decided here; nobody else has one. Changes,
//! and the welcome, are sent by `push-calls`: a connection is open only after its opening was answered.

pub mod event;

use std::sync::Arc;

use async_trait::async_trait;
use callvault_aws::calls::{Connection, DynamoCalls};
use callvault_bootstrap::lambda::gate::SecretGate;
use callvault_bootstrap::lambda::refusal::Refusal;
use callvault_bootstrap::lambda::{Function, required};
use callvault_bootstrap::{aws, system};
use callvault_calls::desk::{Desk, GATEWAY_ANSWER};
use callvault_calls::gate::Gate;
use callvault_calls::store::{CallStore, StoreError};
use event::Event;
use serde_json::{Value, json};

/// The environment variables it reads.
pub const SETTINGS: &[&str] = &["CALLS_TABLE", "CALLS_TOKEN_SECRET_ID", "LOG_LEVEL"];

/// The function.
pub const FUNCTION: Function =
    Function { name: "list-calls", stages: &[], settings: SETTINGS, source: false, archive: false };

/// Who is there.
#[async_trait]
pub trait Register: Send + Sync {
    /// Writes down a connection.
    async fn enter(&self, connection: &Connection) -> Result<(), StoreError>;

    /// Forgets one.
    async fn leave(&self, connection: &str) -> Result<(), StoreError>;
}

#[async_trait]
impl Register for DynamoCalls {
    async fn enter(&self, connection: &Connection) -> Result<(), StoreError> {
        self.connect(connection).await
    }

    async fn leave(&self, connection: &str) -> Result<(), StoreError> {
        self.disconnect(connection).await
    }
}

/// What an instance keeps.
pub struct Parts {
    /// Who may open a connection.
    pub gate: SecretGate,
    /// Who has.
    pub register: Arc<dyn Register>,
    /// Answers messages.
    pub desk: Desk,
}

impl Parts {
    /// Parts as the settings say. Reads the secret.
    ///
    /// # Errors
    /// [`Refusal`]: a setting is missing, the secret cannot be read.
    pub async fn connect(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Refusal> {
        let secret =
            "the name or ARN of the secret in Secrets Manager that whoever looks at calls proves to be allowed with";
        let names = [("CALLS_TABLE", "the name of the table of calls"), ("CALLS_TOKEN_SECRET_ID", secret)];
        let [table, secret] = required(lookup, names)?;
        let sdk = aws::of_function(system::environment);
        let gate = SecretGate::connect(&sdk, &secret, system::clock()).await?;
        let calls = Arc::new(aws::calls(&sdk, &table));
        let store: Arc<dyn CallStore> = calls.clone();
        Ok(Self { gate, register: calls, desk: Desk::new(store, GATEWAY_ANSWER) })
    }
}

/// Answers what happened on a connection.
///
/// # Errors
/// [`Refusal`]: the event is none of a WebSocket API, nobody can say who may open a connection, or it cannot be written down. API
/// Gateway then refuses the connection with a 5xx, and the client comes again.
pub async fn handle(event: &Value, parts: &Parts) -> Result<Value, Refusal> {
    match event::read(event)? {
        Event::Connect { connection, at, token } => {
            let opens = |gate: &Gate| token.as_deref().is_some_and(|token| gate.is_opened_by(token));
            if !opens(&parts.gate.for_whom(opens).await?) {
                tracing::info!("a connection without the token was refused");
                return Ok(json!({ "statusCode": 401 }));
            }
            parts.register.enter(&Connection { id: connection, since: at }).await?;
            Ok(json!({ "statusCode": 200 }))
        }
        Event::Disconnect { connection } => {
            parts.register.leave(&connection).await?;
            Ok(json!({ "statusCode": 200 }))
        }
        Event::Message { body } => Ok(json!({ "statusCode": 200, "body": parts.desk.answer(&body).await })),
    }
}
