//! The versions of a secret that is rotated, and the rescue secret beside it.
//!
//! Reads are repeated by the SDK. What puts a pair of tokens away is sent once each time: the rotation decides what comes
//! next, and loses no time to pauses it does not know of. Must never show a value.

use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Builder;
use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use callvault_pipeline::rotation::ports::{Described, SecretStore, StoreFault, Wanted};
use callvault_pipeline::rotation::{CURRENT, PENDING};
use secrecy::{ExposeSecret as _, SecretString};

/// One attempt: values are small, and a rotation has other places to go to.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(5);

/// A read with all its attempts.
const LONGEST_READ: Duration = Duration::from_secs(12);

/// What is in a rescue secret that holds nothing: a secret has no empty value.
const NOTHING: &str = "{}";

/// Secrets of one region, for a rotation.
#[derive(Debug, Clone)]
pub struct SecretVersions {
    /// Repeats what was not answered.
    patient: Client,
    /// Sends once.
    once: Client,
    rescue: Option<String>,
}

impl SecretVersions {
    /// In the region and with the credentials of `sdk`. `rescue` is the name or ARN of the rescue secret; where none is
    /// given it is called like the secret, with `-rescue` behind. Sends nothing yet.
    pub fn new(sdk: &SdkConfig, rescue: Option<String>) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            .operation_attempt_timeout(LONGEST_ATTEMPT)
            .operation_timeout(LONGEST_READ)
            .build();
        let patient = Builder::from(sdk).timeout_config(timeouts).retry_config(RetryConfig::standard());
        let once = patient.clone().retry_config(RetryConfig::disabled());
        Self { patient: Client::from_conf(patient.build()), once: Client::from_conf(once.build()), rescue }
    }

    fn rescue_of(&self, of: &Described) -> String {
        self.rescue.clone().unwrap_or_else(|| format!("{}-rescue", of.name))
    }

    async fn put_rescue(&self, id: &str, value: &str) -> Result<(), StoreFault> {
        let put = self.once.put_secret_value().secret_id(id).secret_string(value).send().await;
        put.map(drop).map_err(|error| fault(id, "PutSecretValue", &error))
    }
}

#[async_trait]
impl SecretStore for SecretVersions {
    async fn describe(&self, secret: &str) -> Result<Described, StoreFault> {
        let found = self.patient.describe_secret().secret_id(secret).send().await;
        let found = found.map_err(|error| fault(secret, "DescribeSecret", &error))?;
        Ok(Described {
            arn: found.arn.unwrap_or_else(|| secret.to_owned()),
            name: found.name.unwrap_or_else(|| secret.to_owned()),
            rotation_enabled: found.rotation_enabled.unwrap_or_default(),
            versions: found.version_ids_to_stages.unwrap_or_default().into_iter().collect(),
        })
    }

    async fn value(&self, secret: &str, wanted: Wanted<'_>) -> Result<Option<SecretString>, StoreFault> {
        let request = self.patient.get_secret_value().secret_id(secret);
        let request = match wanted {
            Wanted::Stage(stage) => request.version_stage(stage),
            Wanted::Version(version) => request.version_id(version),
            Wanted::Pending(version) => request.version_id(version).version_stage(PENDING),
        };
        match request.send().await {
            // A binary value is a value, and none of ours.
            Ok(found) => Ok(Some(found.secret_string.unwrap_or_default().into())),
            Err(error) => match fault(secret, "GetSecretValue", &error) {
                StoreFault::Missing { .. } => Ok(None),
                other => Err(other),
            },
        }
    }

    async fn put_pending(&self, secret: &str, version: &str, value: &SecretString) -> Result<(), StoreFault> {
        let put = self.once.put_secret_value().secret_id(secret).client_request_token(version);
        let put = put.version_stages(PENDING).secret_string(value.expose_secret()).send().await;
        put.map(drop).map_err(|error| fault(secret, "PutSecretValue", &error))
    }

    async fn make_current(&self, secret: &str, version: &str, from: Option<&str>) -> Result<(), StoreFault> {
        let moved = self.patient.update_secret_version_stage().secret_id(secret).version_stage(CURRENT);
        let moved = moved.move_to_version_id(version).set_remove_from_version_id(from.map(str::to_owned)).send().await;
        moved.map(drop).map_err(|error| fault(secret, "UpdateSecretVersionStage", &error))
    }

    async fn end_pending(&self, secret: &str, version: &str) -> Result<(), StoreFault> {
        let ended = self.patient.update_secret_version_stage().secret_id(secret).version_stage(PENDING);
        let ended = ended.remove_from_version_id(version).send().await;
        ended.map(drop).map_err(|error| fault(secret, "UpdateSecretVersionStage", &error))
    }

    async fn versions(&self, secret: &str) -> Result<Vec<String>, StoreFault> {
        // 100 is what one page holds; a secret seldom keeps more.
        let listed = self.patient.list_secret_version_ids().secret_id(secret).include_deprecated(true);
        let listed = listed.max_results(100).send().await;
        let listed = listed.map_err(|error| fault(secret, "ListSecretVersionIds", &error))?;
        let mut versions = listed.versions.unwrap_or_default();
        versions.sort_by_key(|version| std::cmp::Reverse(version.created_date.map(|date| date.secs())));
        Ok(versions.into_iter().filter_map(|version| version.version_id).collect())
    }

    async fn rescued(&self, of: &Described) -> Result<Option<SecretString>, StoreFault> {
        self.value(&self.rescue_of(of), Wanted::Stage(CURRENT)).await
    }

    async fn rescue(&self, of: &Described, value: &SecretString) -> Result<(), StoreFault> {
        let id = self.rescue_of(of);
        match self.put_rescue(&id, value.expose_secret()).await {
            // Somebody has deleted it. An ARN's random end cannot be asked for.
            Err(StoreFault::Missing { .. }) if !id.starts_with("arn:") => {
                let made = self.once.create_secret().name(&id).secret_string(value.expose_secret()).send().await;
                made.map(drop).map_err(|error| fault(&id, "CreateSecret", &error))
            }
            put => put,
        }
    }

    async fn clear_rescue(&self, of: &Described) -> Result<(), StoreFault> {
        self.put_rescue(&self.rescue_of(of), NOTHING).await
    }
}

/// The SDK's error in the rotation's words.
fn fault<E>(id: &str, action: &'static str, error: &SdkError<E, HttpResponse>) -> StoreFault
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let id = id.to_owned();
    let Some(refusal) = error.as_service_error() else {
        let detail = match error {
            SdkError::TimeoutError(_) => "no answer in time",
            SdkError::DispatchFailure(_) => "no answer, or no credentials to ask with",
            SdkError::ConstructionFailure(_) => "not a request that could be sent",
            _ => "an answer that cannot be read",
        };
        return StoreFault::Unreachable { id, action, detail: detail.to_owned() };
    };
    let code = refusal.code().unwrap_or("no code");
    // Secrets Manager's messages name the secret, the caller and the key, never a value.
    let detail = format!("{code}: {}", refusal.message().unwrap_or("no message"));
    match code {
        "ResourceNotFoundException" => StoreFault::Missing { id, detail },
        "AccessDeniedException"
        | "DecryptionFailure"
        | "EncryptionFailure"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "InvalidClientTokenId"
        | "InvalidParameterException"
        | "InvalidRequestException"
        | "InvalidSignatureException"
        | "LimitExceededException"
        | "MissingAuthenticationToken"
        | "PreconditionNotMetException"
        | "ResourceExistsException"
        | "UnrecognizedClientException"
        | "ValidationException" => StoreFault::Refused { id, action, detail },
        _ => StoreFault::Unreachable { id, action, detail },
    }
}
