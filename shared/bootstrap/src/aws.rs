//! The adapters for AWS, from settings: the one place that builds them, for functions and for the operator's program.

use std::sync::Arc;

use callvault_aws::calls::DynamoCalls;
use callvault_aws::config::SdkConfig;
use callvault_aws::dynamodb::DynamoLedger;
use callvault_aws::s3::{self, S3Archive, S3Options};
use callvault_aws::secrets::{GenesysSecret, SecretError};
use callvault_aws::topic::Topic;
use callvault_genesys::http::Credentials;
use callvault_pipeline::clock::Clock;
use callvault_pipeline::ledger::LedgerError;

use crate::settings::{LockMode, S3Place};
use crate::system;

pub use callvault_aws::config::{load, of_function};

/// The ledger in a table. Sends nothing.
pub fn ledger(sdk: &SdkConfig, table: &str) -> DynamoLedger {
    DynamoLedger::new(sdk, table, system::holder(), system::chance())
}

/// The calls in a table. Sends nothing.
pub fn calls(sdk: &SdkConfig, table: &str) -> DynamoCalls {
    DynamoCalls::new(sdk, table, &system::holder(), system::chance())
}

/// Binds a ledger (see [`crate::binding`]).
///
/// # Errors
/// [`Unbound`]: it cannot be reached, or it was made for other settings.
pub async fn bind(ledger: &DynamoLedger, table: &str, to: &[(&'static str, String)]) -> Result<(), Unbound> {
    let differing = ledger.bind(to).await?;
    if differing.is_empty() { Ok(()) } else { Err(Unbound::Elsewhere(crate::binding::refusal(table, &differing))) }
}

/// Why a ledger may not be worked on.
#[derive(Debug, thiserror::Error)]
pub enum Unbound {
    /// It was made for other settings; in words.
    #[error("{0}")]
    Elsewhere(String),
    /// It cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// The archive in a bucket. Sends nothing.
pub fn archive(sdk: &SdkConfig, place: &S3Place, clock: Arc<dyn Clock>) -> S3Archive {
    let object_lock = place.object_lock.map(|lock| s3::ObjectLock {
        mode: match lock.mode {
            LockMode::Governance => s3::LockMode::Governance,
            LockMode::Compliance => s3::LockMode::Compliance,
        },
        days: lock.days,
    });
    let options = S3Options {
        kms_key: place.kms_key.clone(),
        storage_class: place.storage_class.clone(),
        tags: place.tags.clone(),
        object_lock,
        endpoint: place.endpoint.clone(),
        path_style: place.path_style,
        ..S3Options::default()
    };
    S3Archive::new(sdk, &place.bucket, &place.prefix, options, clock)
}

/// The topic that is told of closed days. Sends nothing.
pub fn topic(sdk: &SdkConfig, arn: &str) -> Topic {
    Topic::new(sdk, arn)
}

/// The credentials in a secret.
///
/// # Errors
/// [`SecretError`], without any content.
pub async fn credentials(sdk: &SdkConfig, secret: &str) -> Result<Credentials, SecretError> {
    let secret = GenesysSecret::read(sdk, secret).await?;
    Ok(Credentials { client_id: secret.client_id, client_secret: secret.client_secret })
}

/// What keeps the SDK from sending anything, in words for a person: no region, no credentials. Asked by programs that
/// people start; functions have both.
///
/// # Errors
/// The first thing that is missing.
pub async fn ready(sdk: &SdkConfig) -> Result<(), String> {
    callvault_aws::config::ready(sdk).await
}
