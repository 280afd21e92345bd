//! Microsoft's sign-in in front of azurite: gives tokens to whom it knows, and lets through who has one that is still good.
//!
//! Forms, paths and answers as "OAuth 2.0 client credentials flow" and "How managed identities work" of Microsoft's documentation say.
#![expect(clippy::unwrap_used, reason = "a harness of tests fails by panicking")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Request, Response};
use serde_json::json;

use super::clouds::azurite_sas;
use super::server::{Server, forward, whole};

/// The tenant that is known.
pub const TENANT: &str = "11111111-2222-3333-4444-555555555555";

/// The application that is known.
pub const CLIENT: &str = "66666666-7777-8888-9999-aaaaaaaaaaaa";

/// Its secret.
pub const SECRET: &str = "planted-client-secret~1";

/// What its platform says of it.
pub const ASSERTION: &str = "planted.federated.token";

/// The header of a platform that gives identities.
pub const IDENTITY_HEADER: &str = "planted-identity-header";

#[derive(Default)]
struct State {
    /// Good until then.
    tokens: HashMap<String, Instant>,
    /// Who was given one, in words.
    given: Vec<&'static str>,
}

/// The stand-in. It closes when it is dropped.
#[derive(Debug)]
pub struct Entra {
    inner: Arc<Inner>,
    server: Server,
}

struct Inner {
    http: reqwest::Client,
    azurite: String,
    sas: String,
    /// How long a token is good.
    good_for: Duration,
    state: Mutex<State>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entra")
    }
}

impl Entra {
    /// Starts it in front of this azurite, with tokens that are good for so long.
    pub async fn start(azurite: &str, good_for: Duration) -> Self {
        let inner = Arc::new(Inner {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            azurite: azurite.to_owned(),
            sas: azurite_sas(),
            good_for,
            state: Mutex::default(),
        });
        let shared = Arc::clone(&inner);
        let server = Server::start(move |request| Arc::clone(&shared).answer(request)).await;
        Self { inner, server }
    }

    /// Where sign-in, identities and blobs are.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Gives a token, as somebody at another place is given one.
    pub fn token(&self) -> String {
        self.inner.give("elsewhere")
    }

    /// Who was given tokens so far: `secret`, `assertion`, `identity` or `elsewhere`.
    pub fn given(&self) -> Vec<&'static str> {
        self.inner.state().given.clone()
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give(&self, whom: &'static str) -> String {
        let mut state = self.state();
        state.given.push(whom);
        let token = format!("planted-access-token-{}", state.given.len());
        state.tokens.insert(token.clone(), Instant::now() + self.good_for);
        token
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, &'static str> {
        let (head, body) = whole(request).await?;
        match head.uri.path() {
            path if path.ends_with("/oauth2/v2.0/token") => Ok(self.sign_in(&head, &body)),
            "/identity" => Ok(self.identity(&head)),
            _ => self.blobs(head, body).await,
        }
    }

    fn sign_in(&self, head: &Parts, body: &[u8]) -> Response<Full<Bytes>> {
        let form: HashMap<String, String> = url::form_urlencoded::parse(body).into_owned().collect();
        let said = |name: &str| form.get(name).map(String::as_str);
        let known = head.method == "POST"
            && head.uri.path() == format!("/{TENANT}/oauth2/v2.0/token")
            && said("client_id") == Some(CLIENT)
            && said("grant_type") == Some("client_credentials")
            && said("scope") == Some("https://storage.azure.com/.default");
        let assertion = said("client_assertion").filter(|_| {
            said("client_assertion_type") == Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        });
        let whom = match (said("client_secret"), assertion) {
            (Some(SECRET), None) if known => "secret",
            (None, Some(ASSERTION)) if known => "assertion",
            _ => {
                let why = json!({ "error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided." });
                return json_of(401, &why);
            }
        };
        let token = self.give(whom);
        json_of(200, &json!({ "token_type": "Bearer", "expires_in": self.good_for.as_secs(), "access_token": token }))
    }

    /// As App Service gives them; other platforms look at `Metadata` only.
    #[expect(clippy::disallowed_methods, reason = "who reads it compares it with the real time")]
    fn identity(&self, head: &Parts) -> Response<Full<Bytes>> {
        let query: HashMap<String, String> =
            url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let known = head.method == "GET"
            && header("metadata") == Some("true")
            && header("x-identity-header") == Some(IDENTITY_HEADER)
            && query.get("resource").map(String::as_str) == Some("https://storage.azure.com")
            && query.get("client_id").is_none_or(|client| client == CLIENT);
        if !known {
            return json_of(400, &json!({ "error": "invalid_request", "error_description": "Identity not found" }));
        }
        let token = self.give("identity");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let until = (now + self.good_for).as_secs().to_string();
        json_of(200, &json!({ "token_type": "Bearer", "expires_on": until, "access_token": token }))
    }

    async fn blobs(&self, mut head: Parts, body: Bytes) -> Result<Response<Full<Bytes>>, &'static str> {
        let bearer = head.headers.remove("authorization");
        let bearer = bearer.as_ref().and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let until = bearer.and_then(|token| self.state().tokens.get(token).copied());
        // Microsoft's: bearers come with this version or a later one.
        let version = head.headers.get("x-ms-version").and_then(|version| version.to_str().ok());
        if until.is_none_or(|until| until < Instant::now()) || version.is_none_or(|version| version < "2017-11-09") {
            let body = "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>InvalidAuthenticationInfo</Code>\
                        <Message>Lifetime validation failed. The token is expired.</Message></Error>";
            let refused = Response::builder().status(401).header("x-ms-error-code", "InvalidAuthenticationInfo");
            return Ok(refused.body(Full::new(body.into())).unwrap());
        }
        let (path, query) = (head.uri.path(), head.uri.query());
        let query = query.map(|query| format!("{query}&")).unwrap_or_default();
        head.uri = format!("/devstoreaccount1{path}?{query}{}", self.sas).parse().unwrap();
        forward(&self.http, &self.azurite, &head, body).await.map_err(|_| "the store does not answer")
    }
}

fn json_of(status: u16, body: &serde_json::Value) -> Response<Full<Bytes>> {
    let body = Full::new(body.to_string().into());
    Response::builder().status(status).header("content-type", "application/json").body(body).unwrap()
}
