//! A service account of Google Cloud in front of a store: lets through who signs as it, as "Service account authorization without
//! OAuth" of Google's documentation says.
#![expect(clippy::unwrap_used, reason = "a harness of tests fails by panicking")]

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response};
use serde_json::{Value, json};

use super::server::{Server, forward, whole};

/// Who it is.
const ACCOUNT: &str = "exporter@project.iam.gserviceaccount.com";

/// A key of the account, as Google gives it in a file.
pub struct Key(KeyPair);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// A new one.
    pub fn generate() -> Self {
        Self(KeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    /// What its file holds.
    pub fn file(&self) -> String {
        let key: Pkcs8V1Der<'_> = self.0.as_der().unwrap();
        let text = BASE64_STANDARD.encode(key.as_ref());
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
        json!({ "type": "service_account", "project_id": "project", "private_key_id": "k1", "private_key": pem,
            "client_email": ACCOUNT, "client_id": "1", "token_uri": "https://oauth2.googleapis.com/token" })
        .to_string()
    }
}

/// The stand-in. It closes when it is dropped.
#[derive(Debug)]
pub struct Account {
    shown: Arc<Mutex<Vec<String>>>,
    server: Server,
}

impl Account {
    /// Starts it in front of this store, for who has the key.
    pub async fn start(store: &str, key: &Key) -> Self {
        let shown = Arc::<Mutex<Vec<String>>>::default();
        let known = Arc::new(key.0.public_key().as_ref().to_vec());
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let (store, seen) = (store.to_owned(), Arc::clone(&shown));
        let server = Server::start(move |request| {
            let (known, seen) = (Arc::clone(&known), Arc::clone(&seen));
            answer(known, seen, http.clone(), store.clone(), request)
        });
        Self { shown, server: server.await }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The tokens that it was shown, good ones and others, each once.
    pub fn tokens(&self) -> Vec<String> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn answer(
    known: Arc<Vec<u8>>,
    seen: Arc<Mutex<Vec<String>>>,
    http: reqwest::Client,
    store: String,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, &'static str> {
    let (mut head, body) = whole(request).await?;
    let header = head.headers.remove("authorization");
    let token = header.as_ref().and_then(|value| value.to_str().ok()?.strip_prefix("Bearer ")).unwrap_or_default();
    {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.iter().any(|one| one == token) {
            seen.push(token.to_owned());
        }
    }
    if is_signed(token, &known).is_none() {
        let why = json!({ "error": { "code": 401, "message": "Invalid Credentials",
            "errors": [{ "domain": "global", "reason": "authError", "message": "Invalid Credentials" }] } });
        return Ok(Response::builder().status(401).body(Full::new(why.to_string().into())).unwrap());
    }
    forward(&http, &store, &head, body).await.map_err(|_| "the store does not answer")
}

/// Whether a token is of the account, by its key, for what a store needs, and good now.
fn is_signed(token: &str, key: &[u8]) -> Option<()> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let read = |part: &str| serde_json::from_slice::<Value>(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok();
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).verify(signed.as_bytes(), &signature).ok()?;
    let (header, claims) = (read(header)?, read(claims)?);
    let scope = claims["scope"].as_str()?;
    let right = header["alg"] == "RS256"
        && header["kid"] == "k1"
        && claims["iss"] == ACCOUNT
        && claims["sub"] == ACCOUNT
        && scope.split(' ').any(|one| one.ends_with("/auth/cloud-platform") || one.contains("/auth/devstorage."))
        && is_now(claims["iat"].as_i64()?, claims["exp"].as_i64()?);
    right.then_some(())
}

#[expect(clippy::disallowed_methods, reason = "who signs it takes the real time")]
fn is_now(from: i64, until: i64) -> bool {
    let now = jiff::Timestamp::now().as_second();
    // A clock may be a little ahead; a token is good for an hour at most.
    from <= now + 60 && now < until && until - from <= 3600
}
