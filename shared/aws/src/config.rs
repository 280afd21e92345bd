//! The SDK's configuration, once for all services: time-outs, retries, one HTTP stack.

use std::time::Duration;

pub use aws_config::SdkConfig;
use aws_config::environment::credentials::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::config::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};

/// One attempt at one call of a service with small answers takes no longer.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(10);

/// Attempts at one call, the first included. What fails more often waits in the ledger.
const MOST_ATTEMPTS: u32 = 5;

/// Reads region, credentials and endpoints where AWS's own tools read them: environment, profile, role.
pub async fn load() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12()).retry_config(retries()).timeout_config(timeouts()).load().await
}

/// The same from what Lambda puts into a function's environment, and from nothing else: no profiles, no sign-in of
/// people, which are a good part of a function's size. `environment` reads a variable; `AWS_ENDPOINT_URL` names a
/// stand-in.
pub fn of_function(environment: impl Fn(&str) -> Option<String>) -> SdkConfig {
    let credentials = EnvironmentVariableCredentialsProvider::new();
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(environment("AWS_REGION").map(Region::new))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .retry_config(retries())
        .timeout_config(timeouts());
    config.set_endpoint_url(environment("AWS_ENDPOINT_URL"));
    config.build()
}

fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(MOST_ATTEMPTS)
}

fn timeouts() -> TimeoutConfig {
    let timeouts = TimeoutConfig::builder().connect_timeout(Duration::from_secs(5));
    timeouts.operation_attempt_timeout(LONGEST_ATTEMPT).build()
}

/// What keeps the SDK from sending anything, in words for a person: no region, no credentials.
///
/// # Errors
/// The first thing that is missing.
pub async fn ready(sdk: &SdkConfig) -> Result<(), String> {
    if sdk.region().is_none() {
        return Err("no region of AWS is set: set AWS_REGION, or `region` in the profile AWS_PROFILE names".to_owned());
    }
    let Some(provider) = sdk.credentials_provider() else {
        return Err("the AWS SDK was set up without a source of credentials".to_owned());
    };
    match provider.provide_credentials().await {
        Ok(_) => Ok(()),
        Err(error) => {
            tracing::debug!(%error, "no credentials");
            let advice = "set AWS_PROFILE or AWS_ACCESS_KEY_ID, or sign in with `aws sso login`";
            Err(format!("no credentials for AWS were found, or they are not valid any more: {advice}"))
        }
    }
}
