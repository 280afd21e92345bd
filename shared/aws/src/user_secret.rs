//! The secret of a signed-in user in Secrets Manager, for whoever signs in: read as text, written as a new current
//! version.
//!
//! Rotation, with its steps, is another matter and not done here, but for ending one. Must never show content.

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use callvault_pipeline::rotation::{CURRENT, PENDING};
use secrecy::{ExposeSecret as _, SecretString};

use crate::secrets::{SecretError, of_sdk};

/// What became of writing a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It has a new current version.
    Updated,
    /// There was none of that name: it was made.
    Created,
}

/// How a secret is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// Whether it is at all.
    pub is_enabled: bool,
    /// How often, in hours, where its rules say that plainly: `rate(12 hours)`, or a number of days.
    pub every_hours: Option<i64>,
}

/// A user's secret, named by its name or ARN.
#[derive(Debug, Clone)]
pub struct UserSecretStore {
    client: Client,
    id: String,
}

impl UserSecretStore {
    /// Sends nothing.
    pub fn new(sdk: &SdkConfig, id: &str) -> Self {
        Self { client: Client::new(sdk), id: id.to_owned() }
    }

    /// The current text; `None` where there is no such secret, or none of its versions is current.
    ///
    /// # Errors
    /// [`SecretError`], without content.
    pub async fn text(&self) -> Result<Option<SecretString>, SecretError> {
        let answer = self.client.get_secret_value().secret_id(&self.id).version_stage(CURRENT).send().await;
        match answer {
            Ok(answer) => match answer.secret_string {
                Some(text) => Ok(Some(text.into())),
                None => Err(SecretError::Unreadable { id: self.id.clone(), detail: "it is binary".to_owned() }),
            },
            Err(error) if is(&error, "ResourceNotFoundException") => Ok(None),
            Err(error) => Err(of_sdk(&self.id, &error)),
        }
    }

    /// How it is rotated (`DescribeSecret`).
    ///
    /// # Errors
    /// [`SecretError::Denied`] where only the value may be read, [`SecretError::Missing`], [`SecretError::Unreachable`].
    pub async fn rotation(&self) -> Result<Rotation, SecretError> {
        let found = self.client.describe_secret().secret_id(&self.id).send().await;
        let found = found.map_err(|error| of_sdk(&self.id, &error))?;
        let rules = found.rotation_rules.as_ref();
        let schedule = rules.and_then(|rules| rules.schedule_expression());
        let days = rules.and_then(|rules| rules.automatically_after_days()).filter(|days| *days > 0);
        let every_hours = match schedule {
            Some(schedule) => hours_of(schedule),
            None => days.map(|days| days.saturating_mul(24)),
        };
        Ok(Rotation { is_enabled: found.rotation_enabled.unwrap_or_default(), every_hours })
    }

    /// Writes a new current version; makes the secret where there is none of that name.
    ///
    /// A rotation that is half done is over with it: the version that it makes loses its pending stage, or Secrets Manager
    /// would go on with that version and begin no other ("any later invocation of RotateSecret assumes that a previous
    /// rotation request is still in progress", as its API reference says of a pending version beside the current one).
    ///
    /// # Errors
    /// [`SecretError::Unwritable`], also for an ARN of nothing, [`SecretError::Unreachable`].
    pub async fn write(&self, text: &SecretString) -> Result<Written, SecretError> {
        let put = self.client.put_secret_value().secret_id(&self.id).secret_string(text.expose_secret());
        // Both at once: between two calls the rotation could go on.
        match put.version_stages(CURRENT).version_stages(PENDING).send().await {
            Ok(written) => {
                self.end_pending(written.version_id.as_deref()).await;
                Ok(Written::Updated)
            }
            Err(error) if is(&error, "ResourceNotFoundException") && !self.id.starts_with("arn:") => {
                let create = self.client.create_secret().name(&self.id).secret_string(text.expose_secret());
                let create = create.description("OAuth client and tokens of a signed-in user, for callvault");
                create.send().await.map(|_| Written::Created).map_err(|error| self.writing(&error))
            }
            Err(error) => Err(self.writing(&error)),
        }
    }

    /// Takes the pending stage from the version that was just written. Where it stays, or this is not permitted, nothing is
    /// amiss: a current version may carry it.
    async fn end_pending(&self, version: Option<&str>) {
        let Some(version) = version else { return };
        let ended = self.client.update_secret_version_stage().secret_id(&self.id).version_stage(PENDING);
        if let Err(error) = ended.remove_from_version_id(version).send().await {
            let code = of_sdk(&self.id, &error).code();
            tracing::debug!(code, "the new version of the secret is still marked as pending too");
        }
    }

    fn writing<E: ProvideErrorMetadata>(&self, error: &SdkError<E, HttpResponse>) -> SecretError {
        match of_sdk(&self.id, error) {
            SecretError::Denied { id, detail }
            | SecretError::Missing { id, detail }
            | SecretError::Unreadable { id, detail } => SecretError::Unwritable { id, detail },
            other => other,
        }
    }
}

/// `rate(12 hours)`, `rate(1 day)`. What a `cron(...)` comes to is not computed.
fn hours_of(schedule: &str) -> Option<i64> {
    let rate = schedule.trim().strip_prefix("rate(")?.strip_suffix(')')?;
    let (number, unit) = rate.trim().split_once(' ')?;
    let number: i64 = number.parse().ok()?;
    match unit.trim() {
        "hour" | "hours" => Some(number),
        "day" | "days" => number.checked_mul(24),
        _ => None,
    }
}

fn is<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>, code: &str) -> bool {
    error.as_service_error().is_some_and(|refusal| refusal.code() == Some(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_rate_is_read_and_nothing_is_guessed() {
        let read: Vec<Option<i64>> =
            ["rate(12 hours)", "rate(1 hour)", " rate(2 days) ", "cron(0 16 1,15 * ? *)", "rate(soon)", ""]
                .into_iter()
                .map(hours_of)
                .collect();
        assert_eq!(read, [Some(12), Some(1), Some(48), None, None, None]);
    }
}
