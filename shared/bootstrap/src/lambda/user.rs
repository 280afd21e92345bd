//! The Genesys client of a signed-in user, with the deadline of the invocation that runs: see [`super::source`].

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use callvault_aws::config::SdkConfig;
use callvault_aws::user_tokens::UserTokens;
use callvault_genesys::http::{ClientOptions, GenesysClient};
use callvault_genesys::region::Endpoints;
use callvault_pipeline::api::{
    ApiError, Mailbox, Media, MediaError, SignedUrl, VoicemailFormat, VoicemailMedia, Voicemails,
};
use callvault_pipeline::ids::{ConversationId, GroupId, VoicemailId};
use callvault_pipeline::models::{Me, VoicemailPage};
use jiff::Timestamp;

use super::refusal::Refusal;
use crate::settings::{SecretPlace, Settings};
use crate::system;

/// What a function asks Genesys in a user's name.
#[derive(Clone)]
pub struct User {
    /// Voicemail.
    pub voicemails: Arc<dyn Voicemails>,
    client: Option<Arc<TimedUser>>,
    tokens: Option<Arc<UserTokens>>,
}

impl User {
    /// Any implementation; deadlines are its own affair.
    pub fn new(voicemails: Arc<dyn Voicemails>) -> Self {
        Self { voicemails, client: None, tokens: None }
    }

    /// The user of the settings. The region may come from the user's secret: then it is put into the settings. Where
    /// it is set, a secret that cannot be read yet keeps nothing from starting: it is read again when a token is asked
    /// for, and until then events are written down.
    ///
    /// # Errors
    /// [`Refusal`]: the secret cannot be read and nothing else names the region, a media host is none.
    pub async fn connect(settings: &mut Settings, sdk: &SdkConfig) -> Result<Self, Refusal> {
        let Some(SecretPlace::Aws(id)) = &settings.voicemail.secret else {
            return Err(Refusal::settings(
                "a function works with VOICEMAIL_SECRET_ID in AWS Secrets Manager, not in a file",
            ));
        };
        let tokens = Arc::new(UserTokens::new(sdk, id, system::clock()));
        let endpoints = match (settings.endpoints.clone(), tokens.read().await) {
            (Some(endpoints), Ok(_)) => endpoints,
            (Some(endpoints), Err(error)) => {
                tracing::warn!(code = error.code(), "nobody is signed in: {error}");
                endpoints
            }
            (None, Ok(region)) => of_region(region.as_deref())?,
            (None, Err(error)) => return Err(Refusal { code: error.code(), message: error.to_string() }),
        };
        settings.endpoints = Some(endpoints.clone());
        let media_hosts = settings.media_hosts.clone();
        let options = ClientOptions { media_hosts, ..ClientOptions::new(system::chance()) };
        let client = GenesysClient::of_user(endpoints, tokens.clone(), system::clock(), options);
        let client = client.map_err(|error| Refusal::settings(error.to_string()))?;
        let client = Arc::new(TimedUser { client, deadline: Mutex::default() });
        Ok(Self { voicemails: client.clone(), client: Some(client), tokens: Some(tokens) })
    }

    /// No request goes past this from now on.
    pub fn set_deadline(&self, deadline: Timestamp) {
        if let Some(client) = &self.client {
            *client.deadline.lock().unwrap_or_else(PoisonError::into_inner) = Some(deadline);
        }
    }

    /// API requests that may still be sent this minute; `None` before anything is known.
    pub fn budget_left(&self) -> Option<u32> {
        self.client.as_ref().and_then(|client| client.client.budget()).map(|budget| budget.left)
    }

    /// How long the token is good for, in seconds, as far as that is known.
    pub fn token_seconds_left(&self) -> Option<u64> {
        self.tokens.as_ref().and_then(|tokens| tokens.seconds_left())
    }
}

fn of_region(region: Option<&str>) -> Result<Endpoints, Refusal> {
    let expected = "set GENESYS_REGION, or `region` in the user's secret, for instance mypurecloud.ie";
    let region = region.ok_or_else(|| Refusal::settings(format!("the org's region is not known: {expected}")))?;
    Endpoints::of_region(region).map_err(|error| {
        Refusal::settings(format!("the region in the user's secret cannot be used ({error}): {expected}"))
    })
}

struct TimedUser {
    client: GenesysClient,
    deadline: Mutex<Option<Timestamp>>,
}

impl TimedUser {
    fn client(&self) -> GenesysClient {
        match *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(deadline) => self.client.with_deadline(deadline),
            None => self.client.clone(),
        }
    }
}

#[async_trait]
impl Voicemails for TimedUser {
    async fn list(&self, mailbox: &Mailbox, number: u32, page_size: u32) -> Result<VoicemailPage, ApiError> {
        self.client().list(mailbox, number, page_size).await
    }

    async fn media(&self, message: &VoicemailId, format: VoicemailFormat) -> Result<VoicemailMedia, ApiError> {
        self.client().media(message, format).await
    }

    async fn download(&self, url: &SignedUrl) -> Result<Media, MediaError> {
        self.client().download(url).await
    }

    async fn mark_read(&self, message: &VoicemailId) -> Result<(), ApiError> {
        self.client().mark_read(message).await
    }

    async fn delete(&self, message: &VoicemailId) -> Result<(), ApiError> {
        Voicemails::delete(&self.client(), message).await
    }

    async fn disconnect_callback(&self, conversation: &ConversationId) -> Result<(), ApiError> {
        self.client().disconnect_callback(conversation).await
    }

    async fn me(&self) -> Result<Me, ApiError> {
        self.client().me().await
    }

    async fn groups(&self) -> Result<Vec<GroupId>, ApiError> {
        self.client().groups().await
    }
}
