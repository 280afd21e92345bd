//! Questions that change nothing, by which a person's tools learn who is signed in and what a token may do.
//!
//! Nothing of the pipeline asks them. Paths and fields are those of api.md and its API document; `expand=authorization`
//! is documented there for the signed-in user, an empty batch is documented to be refused.

use std::time::Duration;

use hyper::Uri;
use jiff::Timestamp;
use reqwest::Method;
use reqwest::header::DATE;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::operations::{question, read};
use super::send::Operation;
use super::{GenesysClient, answer, media};
use crate::api::ApiError;

static WHO: Operation = question("read the signed-in user", "of a user");
/// Repeatable: it makes nothing.
static EMPTY_BATCH: Operation = question("submit a batch of recordings", "recording:recording:view");

/// A host that does not answer in this time is not reached.
const LONGEST_REACH: Duration = Duration::from_secs(10);

/// The hosts of an org that are talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Where tokens come from.
    Login,
    /// The platform's API.
    Api,
}

/// The signed-in user, for the eyes of whoever signed in. Schema `UserMe`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SignedInUser {
    /// The user's id.
    pub id: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The permissions of all the user's roles, such as `voicemail:acdvoicemail:view`; `None` where the platform does
    /// not say.
    pub permissions: Option<Vec<String>>,
}

impl std::fmt::Debug for SignedInUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedInUser").field("id", &self.id).finish_non_exhaustive()
    }
}

impl GenesysClient {
    /// Whether a host answers at all, whatever it answers, and what time it has. Nothing of our sign-in is sent along.
    ///
    /// # Errors
    /// [`ApiError::Unavailable`].
    pub async fn reach(&self, service: Service) -> Result<Option<Timestamp>, ApiError> {
        let sender = self.sender();
        let (operation, url) = match service {
            Service::Login => ("reach the sign-in host", sender.endpoints.login()),
            Service::Api => ("reach the API host", sender.endpoints.api()),
        };
        let answer = sender.api.get(url.clone()).timeout(LONGEST_REACH).send().await;
        let answer = answer.map_err(|error| ApiError::Unavailable { operation, detail: answer::fault(error) })?;
        let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
        Ok(date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp()))
    }

    /// Whether a host that media may come from answers, whatever it answers: through the client that downloads, so by
    /// its rules, its names and its TLS.
    ///
    /// # Errors
    /// [`ApiError::Unavailable`] where it cannot be reached, or may not.
    pub async fn reach_media(&self, url: &Url) -> Result<(), ApiError> {
        let unavailable = |detail: String| ApiError::Unavailable { operation: "reach a media host", detail };
        let shared = self.shared();
        shared.media_rules.judge(url).map_err(unavailable)?;
        let target: Uri = url.as_str().parse().map_err(|_| unavailable("it is not a URL".to_owned()))?;
        match tokio::time::timeout(LONGEST_REACH, shared.media.get(target)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(unavailable(media::fault(&error))),
            Err(_) => Err(unavailable("timed out: no answer".to_owned())),
        }
    }

    /// Who is signed in, with what permissions. Needs a user's token.
    ///
    /// # Errors
    /// [`ApiError::Refused`] with the code `not.a.user` for a client's token, and what every call may answer.
    pub async fn signed_in_user(&self) -> Result<SignedInUser, ApiError> {
        #[derive(Deserialize)]
        struct Raw {
            #[serde(default)]
            id: Value,
            #[serde(default)]
            name: Value,
            #[serde(default)]
            authorization: Value,
        }
        let answer = self.get(&WHO, &["api", "v2", "users", "me"], &[("expand", "authorization")]).await?;
        let raw: Raw = read(&WHO, &answer)?;
        let text = |value: &Value| value.as_str().map(str::to_owned).filter(|text| !text.is_empty());
        let permissions = raw.authorization.get("permissions").and_then(Value::as_array);
        Ok(SignedInUser {
            id: text(&raw.id),
            name: text(&raw.name),
            permissions: permissions.map(|list| list.iter().filter_map(text).collect()),
        })
    }

    /// Whether batches may be submitted: an empty one is refused as such (400) only to those who may.
    ///
    /// # Errors
    /// [`ApiError::Forbidden`] if not, and what every call may answer.
    pub async fn may_submit_batches(&self) -> Result<(), ApiError> {
        let body = json!({ "batchDownloadRequestList": [] });
        match self.send_json(&EMPTY_BATCH, Method::POST, &["api", "v2", "recording", "batchrequests"], &body).await {
            Ok(_) | Err(ApiError::Refused { status: 400, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
