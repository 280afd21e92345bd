//! Messages to the websockets of an API of API Gateway (`@connections`).
//!
//! Must never wait long: whoever tells a change tells it to many. Must never show a message.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_apigatewaymanagement::Client;
use aws_sdk_apigatewaymanagement::config::retry::RetryConfig;
use aws_sdk_apigatewaymanagement::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_apigatewaymanagement::primitives::Blob;

/// One message takes no longer, with all its attempts. API Gateway answers within milliseconds.
const LONGEST_POST: Duration = Duration::from_secs(2);

/// One attempt takes no longer.
const LONGEST_ATTEMPT: Duration = Duration::from_millis(1500);

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Posted {
    /// It is on its way.
    Done,
    /// There is no such connection, or not yet.
    Gone,
    /// It is longer than a message may be: no repetition mends that.
    TooLong,
    /// It may not have arrived; what the service said.
    Failed(String),
}

/// The open websockets of one API.
#[derive(Debug, Clone)]
pub struct Sockets {
    client: Client,
}

impl Sockets {
    /// Those of the API at `url`: `https://API.execute-api.REGION.amazonaws.com/STAGE`. Sends nothing.
    pub fn new(config: &SdkConfig, url: &str) -> Self {
        let timeouts =
            TimeoutConfig::builder().connect_timeout(LONGEST_ATTEMPT).operation_attempt_timeout(LONGEST_ATTEMPT);
        let config = aws_sdk_apigatewaymanagement::config::Builder::from(config)
            .endpoint_url(url)
            .timeout_config(timeouts.operation_timeout(LONGEST_POST).build())
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .build();
        Self { client: Client::from_conf(config) }
    }

    /// Sends a message to a connection.
    pub async fn post(&self, connection: &str, text: &str) -> Posted {
        let sent = self.client.post_to_connection().connection_id(connection).data(Blob::new(text)).send().await;
        match sent {
            Ok(_) => Posted::Done,
            Err(error) => posted(&error),
        }
    }

    /// Ends a connection, as far as that can be done: one that is gone is ended.
    pub async fn close(&self, connection: &str) -> Posted {
        match self.client.delete_connection().connection_id(connection).send().await {
            Ok(_) => Posted::Done,
            Err(error) => posted(&error),
        }
    }
}

fn posted<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Posted {
    match error {
        SdkError::ServiceError(service) => match service.err().code() {
            Some("GoneException") => Posted::Gone,
            Some("PayloadTooLargeException") => Posted::TooLong,
            Some(code) => Posted::Failed(code.to_owned()),
            None => Posted::Failed("an unknown error".to_owned()),
        },
        SdkError::TimeoutError(_) => Posted::Failed("no answer in time".to_owned()),
        SdkError::DispatchFailure(_) => Posted::Failed("cannot be reached".to_owned()),
        SdkError::ConstructionFailure(_) => Posted::Failed("not a request that could be sent".to_owned()),
        _ => Posted::Failed("an answer that cannot be read".to_owned()),
    }
}
