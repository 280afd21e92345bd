//! Genesys Cloud in the name of a signed-in user: for work, with the secret that keeps the tokens; for a question or two, with
//! one token as it is.
//!
//! Must never spend a refresh token itself: whoever keeps the secret does.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use callvault_bootstrap::settings::{SecretPlace, Settings};
use callvault_bootstrap::system;
use callvault_genesys::http::{ClientOptions, GenesysClient, UserSignIn};
use callvault_genesys::region::Endpoints;
use callvault_local::secret_file::{FileTokens, SecretFile};
use callvault_pipeline::api::{AccessTokens, ApiError};
use secrecy::SecretString;

use crate::cloud::Cloud;
use crate::failure::Failure;

/// How long the exchange of a refresh token may take. Nothing else waits for it, and its answer comes once.
const EXCHANGE: Duration = Duration::from_secs(30);

/// The client of the user that the settings name. The region may come from the user's secret: then it is put into the
/// settings.
pub(crate) async fn client(settings: &mut Settings) -> Result<GenesysClient, Failure> {
    let place = settings.voicemail.secret.clone();
    let (tokens, endpoints): (Arc<dyn AccessTokens>, Endpoints) = match place {
        Some(SecretPlace::File(path)) => {
            let file = SecretFile::new(&path);
            let secret = file.read().map_err(|error| Failure::usage(format!("{error}: run `callvault login`")))?;
            let shown = path.display();
            let secret = secret.ok_or_else(|| Failure::usage(format!("there is no {shown}: run `callvault login`")))?;
            let endpoints = endpoints(settings, secret.region().as_deref())?;
            let sign_in = UserSignIn::new(endpoints.clone(), system::clock(), EXCHANGE);
            let sign_in = sign_in.map_err(|error| Failure::usage(error.to_string()))?;
            (Arc::new(FileTokens::new(file, Arc::new(sign_in), system::clock())), endpoints)
        }
        Some(SecretPlace::Aws(id)) => {
            let (tokens, region) = Cloud::user_tokens(&id).await?;
            (tokens, endpoints(settings, region.as_deref())?)
        }
        None => return Err(Failure::usage("VOICEMAIL_SECRET_ID is not set")),
    };
    settings.endpoints = Some(endpoints.clone());
    let options = ClientOptions { media_hosts: settings.media_hosts.clone(), ..ClientOptions::new(system::chance()) };
    GenesysClient::of_user(endpoints, tokens, system::clock(), options)
        .map_err(|error| Failure::usage(error.to_string()))
}

/// The org's hosts: of the settings, or of the region that the user's secret names.
fn endpoints(settings: &Settings, region: Option<&str>) -> Result<Endpoints, Failure> {
    if let Some(endpoints) = &settings.endpoints {
        return Ok(endpoints.clone());
    }
    let expected = "set GENESYS_REGION, or `region` in the user's secret, for instance mypurecloud.ie";
    let region = region.ok_or_else(|| Failure::usage(format!("the org's region is not known: {expected}")))?;
    let wrong = |error| Failure::usage(format!("the region in the user's secret cannot be used ({error}): {expected}"));
    Endpoints::of_region(region).map_err(wrong)
}

/// A client with this token, and with none after it.
pub(crate) fn with_token(endpoints: &Endpoints, token: &SecretString) -> Result<GenesysClient, ApiError> {
    asking(endpoints, token.clone(), &[])
}

/// A client without a token, for questions that need none; media may come from `media_hosts` too.
pub(crate) fn nobody(endpoints: &Endpoints, media_hosts: &[String]) -> Result<GenesysClient, ApiError> {
    asking(endpoints, SecretString::from("none"), media_hosts)
}

fn asking(endpoints: &Endpoints, token: SecretString, media_hosts: &[String]) -> Result<GenesysClient, ApiError> {
    let options = ClientOptions { media_hosts: media_hosts.to_vec(), ..ClientOptions::new(system::chance()) };
    let tokens = Arc::new(Fixed(token));
    GenesysClient::of_user(endpoints.clone(), tokens, system::clock(), options)
        .map_err(|error| ApiError::Unavailable { operation: "set up the client", detail: error.to_string() })
}

struct Fixed(SecretString);

#[async_trait]
impl AccessTokens for Fixed {
    async fn current(&self) -> Result<SecretString, ApiError> {
        Ok(self.0.clone())
    }

    /// Asked for only after a 401.
    async fn reread(&self) -> Result<SecretString, ApiError> {
        Err(ApiError::SignInRefused { reason: "401 for the user's token".to_owned() })
    }
}
