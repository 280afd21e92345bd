//! Genesys Cloud, as a rotation asks it: one token request, and two questions to an access token.
//!
//! Where it is says the secret, which knows its org; else the settings. Must never show a token.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use callvault_bootstrap::system;
use callvault_genesys::api::{AccessTokens, ApiError, Voicemails as _};
use callvault_genesys::clock::Clock;
use callvault_genesys::http::{ClientOptions, Credentials, ExchangeError, GenesysClient, Refusal, UserSignIn};
use callvault_genesys::region::Endpoints;
use callvault_genesys::user_secret::UserSecret;
use callvault_pipeline::rotation::ports::{CheckFault, ExchangeFault, Pair, UserTokens};
use jiff::Timestamp;
use secrecy::SecretString;

/// Longest token request: less than a claim on a refresh token lasts.
const LONGEST_EXCHANGE: Duration = Duration::from_secs(8);

/// Longest question to an access token.
const LONGEST_QUESTION: Duration = Duration::from_secs(10);

/// Where Genesys Cloud is.
#[derive(Debug, Clone)]
pub enum Org {
    /// Here, whatever a secret says: for stand-ins.
    Fixed(Endpoints),
    /// Where the secret says, or here where it says nothing.
    OfSecret(Option<Endpoints>),
}

impl Org {
    fn of(&self, secret: &UserSecret) -> Result<Endpoints, String> {
        match (self, secret.region()) {
            (Self::Fixed(endpoints), _) => Ok(endpoints.clone()),
            (Self::OfSecret(_), Some(region)) => Endpoints::of_region(&region).map_err(|error| error.to_string()),
            (Self::OfSecret(Some(endpoints)), None) => Ok(endpoints.clone()),
            (Self::OfSecret(None), None) => Err("the secret names no region, and no setting does".to_owned()),
        }
    }
}

/// The token endpoint and the API of an org.
#[derive(Debug, Clone)]
pub struct GenesysTokens {
    /// Where they are.
    pub org: Org,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// The token of a document, and no other.
struct TheOne(SecretString);

#[async_trait]
impl AccessTokens for TheOne {
    async fn current(&self) -> Result<SecretString, ApiError> {
        Ok(self.0.clone())
    }

    /// It was answered 401, and there is no newer one.
    async fn reread(&self) -> Result<SecretString, ApiError> {
        Err(ApiError::SignInRefused { reason: "401".to_owned() })
    }
}

#[async_trait]
impl UserTokens for GenesysTokens {
    async fn exchange(
        &self,
        client: &UserSecret,
        refresh: &SecretString,
        deadline: Timestamp,
    ) -> Result<Pair, ExchangeFault> {
        let endpoints = self.org.of(client).map_err(|why| ExchangeFault::NoEndpoint { why })?;
        let not_taken = |detail: String| ExchangeFault::NotTaken { detail, wait: Duration::ZERO };
        let sign_in = UserSignIn::new(endpoints, Arc::clone(&self.clock), LONGEST_EXCHANGE);
        let sign_in = sign_in.map_err(|error| not_taken(error.to_string()))?;
        let credentials =
            Credentials { client_id: client.client_id().to_owned(), client_secret: client.client_secret().clone() };
        let asked = self.clock.now();
        let pair = sign_in.exchange_refresh(&credentials, refresh, Some(deadline)).await.map_err(outcome)?;
        Ok(Pair { access: pair.access, refresh: pair.refresh, expires_at: asked + pair.expires_in })
    }

    async fn check(&self, document: &UserSecret, deadline: Timestamp) -> Result<String, CheckFault> {
        let endpoints = self.org.of(document).map_err(|why| CheckFault::NoEndpoint { why })?;
        let refused = |detail: &str| CheckFault::Refused { detail: detail.to_owned() };
        let access = document.access_token().ok_or_else(|| refused("there is none"))?;
        let options = ClientOptions { request_timeout: LONGEST_QUESTION, ..ClientOptions::new(system::chance()) };
        let client = GenesysClient::of_user(endpoints, Arc::new(TheOne(access)), Arc::clone(&self.clock), options);
        let client = client.map_err(|error| CheckFault::Unavailable { detail: error.to_string() })?;
        let client = client.with_deadline(deadline);
        let me = client.me().await.map_err(|error| match &error {
            ApiError::SignInRefused { reason } => refused(reason),
            ApiError::Refused { code, .. } | ApiError::Forbidden { code, .. } => refused(code),
            other => CheckFault::Unavailable { detail: other.to_string() },
        })?;
        match client.own_voicemail().await {
            Ok(()) => {}
            Err(ApiError::SignInRefused { reason }) => return Err(refused(&reason)),
            Err(ApiError::Forbidden { code, .. }) => return Err(CheckFault::NoScope { detail: code }),
            // The scope was looked at before this: the user has no mailbox of their own, which nobody needs here.
            Err(error @ (ApiError::NotFound { .. } | ApiError::Refused { .. })) => {
                tracing::warn!(code = error.code(), "the user's own voicemail: {error}");
            }
            Err(error) => return Err(CheckFault::Unavailable { detail: error.to_string() }),
        }
        Ok(me.id.to_string())
    }
}

/// What an exchange without a pair means for the token.
fn outcome(error: ExchangeError) -> ExchangeFault {
    let code = error.code();
    match error {
        ExchangeError::NotTaken { detail, wait } => ExchangeFault::NotTaken { detail, wait },
        ExchangeError::Unknown { detail } => ExchangeFault::Unknown { detail },
        ExchangeError::Unreadable { at } => ExchangeFault::Unreadable { at },
        ExchangeError::Refused { reason: Refusal::InvalidGrant } => ExchangeFault::GrantRefused,
        ExchangeError::Refused { reason } => ExchangeFault::Refused { code, reason: reason.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(region: Option<&str>) -> UserSecret {
        UserSecret::new("id", &"secret".into(), region)
    }

    #[test]
    fn the_secret_knows_its_org_and_a_stand_in_wins() {
        let ireland = Endpoints::of_region("mypurecloud.ie").unwrap();
        let germany = Endpoints::of_region("mypurecloud.de").unwrap();
        let base = Endpoints::of_base("http://127.0.0.1:1").unwrap();
        let of = |org: Org, region: Option<&str>| org.of(&secret(region));
        assert_eq!(of(Org::OfSecret(Some(ireland.clone())), Some("mypurecloud.de")), Ok(germany.clone()));
        assert_eq!(of(Org::OfSecret(None), Some("eu-central-1")), Ok(germany));
        assert_eq!(of(Org::OfSecret(Some(ireland.clone())), None), Ok(ireland));
        assert_eq!(of(Org::Fixed(base.clone()), Some("mypurecloud.de")), Ok(base));
        assert!(of(Org::OfSecret(None), None).unwrap_err().contains("region"));
        let unknown = of(Org::OfSecret(None), Some("nowhere.example")).unwrap_err();
        assert!(unknown.contains("nowhere.example") && unknown.contains("mypurecloud.ie"), "{unknown}");
    }
}
