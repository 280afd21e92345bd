//! The page a person is sent to: its address, with a state and a PKCE challenge that belong to this sign-in alone.

use oauth2::basic::BasicClient;
use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, RedirectUrl};
use secrecy::SecretString;

use super::application::Application;
use crate::failure::Failure;

/// A request for authorization. No `Debug`: it holds the verifier.
pub(super) struct SignInRequest {
    url: String,
    redirect_uri: String,
    state: SecretString,
    verifier: SecretString,
}

impl SignInRequest {
    /// A new request, with a state and a verifier nobody else has. It asks for no scopes: then the platform grants those
    /// of the OAuth client.
    pub(super) fn new(application: &Application, redirect_uri: &str) -> Result<Self, Failure> {
        let mut page = application.endpoints.login().clone();
        // Endpoints are http or https, which always have segments.
        if let Ok(mut segments) = page.path_segments_mut() {
            segments.pop_if_empty().extend(["oauth", "authorize"]);
        }
        let redirect = RedirectUrl::new(redirect_uri.to_owned())
            .map_err(|_| Failure::usage(format!("--redirect-uri {redirect_uri} is not a URL")))?;
        let client = BasicClient::new(ClientId::new(application.client_id.clone()))
            .set_auth_uri(AuthUrl::from_url(page))
            .set_redirect_uri(redirect);
        // 256 bits each, S256.
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let state = || CsrfToken::new_random_len(32);
        let (url, state) = client.authorize_url(state).set_pkce_challenge(challenge).url();
        Ok(Self {
            url: url.into(),
            redirect_uri: redirect_uri.to_owned(),
            state: state.into_secret().into(),
            verifier: verifier.into_secret().into(),
        })
    }

    /// What to open.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Where the browser comes back to.
    pub(super) fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// What must come back with it.
    pub(super) fn state(&self) -> &SecretString {
        &self.state
    }

    /// What proves that the code is ours.
    pub(super) fn verifier(&self) -> &SecretString {
        &self.verifier
    }
}
