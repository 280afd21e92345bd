//! Genesys Cloud in the name of a signed-in user, whose secret is in a file or on AWS.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use callvault_bootstrap::settings::{SecretPlace, Settings};
use callvault_bootstrap::system;
use callvault_genesys::http::{ClientOptions, GenesysClient};
use callvault_genesys::region::Endpoints;
use callvault_pipeline::api::{AccessTokens, ApiError};
use callvault_pipeline::user_secret::UserSecret;
use secrecy::SecretString;

use crate::cloud::Cloud;
use crate::failure::Failure;

/// The client of the user that the settings name. The region may come from the user's secret: then it is put into the
/// settings.
pub(crate) async fn client(settings: &mut Settings) -> Result<GenesysClient, Failure> {
    let place = settings.voicemail.secret.clone();
    let (tokens, region): (Arc<dyn AccessTokens>, Option<String>) = match place {
        Some(SecretPlace::File(path)) => {
            let file = FileSecret { path };
            let region = file.read().map_err(Failure::usage)?.region();
            (Arc::new(file), region)
        }
        Some(SecretPlace::Aws(id)) => Cloud::user_tokens(&id).await?,
        None => return Err(Failure::usage("VOICEMAIL_SECRET_ID is not set")),
    };
    let endpoints = match settings.endpoints.clone() {
        Some(endpoints) => endpoints,
        None => of_region(region.as_deref())?,
    };
    settings.endpoints = Some(endpoints.clone());
    let options = ClientOptions { media_hosts: settings.media_hosts.clone(), ..ClientOptions::new(system::chance()) };
    GenesysClient::of_user(endpoints, tokens, system::clock(), options)
        .map_err(|error| Failure::usage(error.to_string()))
}

fn of_region(region: Option<&str>) -> Result<Endpoints, Failure> {
    let expected = "set GENESYS_REGION, or `region` in the user's secret, for instance mypurecloud.ie";
    let region = region.ok_or_else(|| Failure::usage(format!("the org's region is not known: {expected}")))?;
    let wrong = |error| Failure::usage(format!("the region in the user's secret cannot be used ({error}): {expected}"));
    Endpoints::of_region(region).map_err(wrong)
}

/// A user's secret in a file, read each time: whoever renews it writes it anew. Must never show content.
struct FileSecret {
    path: PathBuf,
}

impl FileSecret {
    fn read(&self) -> Result<UserSecret, String> {
        let path = self.path.display();
        let text = std::fs::read_to_string(&self.path)
            .map_err(|error| format!("the user's secret {path} cannot be read ({error}): run `callvault login`"))?;
        UserSecret::parse(&text).map_err(|fault| format!("{path} is no secret of a user ({fault})"))
    }
}

#[async_trait]
impl AccessTokens for FileSecret {
    async fn current(&self) -> Result<SecretString, ApiError> {
        let secret = self.read().map_err(|reason| ApiError::SignInRefused { reason })?;
        let reason = || format!("{} has no access token: run `callvault login`", self.path.display());
        secret.access_token().ok_or_else(|| ApiError::SignInRefused { reason: reason() })
    }

    async fn reread(&self) -> Result<SecretString, ApiError> {
        self.current().await
    }
}
