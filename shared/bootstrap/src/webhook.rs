//! The webhook that is told of closed days: one POST of JSON, in a shape that other systems already read.
//!
//! Must never follow a redirect, repeat a request, or show the URL: it may be a secret as a whole.

use std::time::Duration;

use async_trait::async_trait;
use callvault_genesys::http::{self, ClientError};
use callvault_genesys::region::is_loopback;
use callvault_pipeline::ledger::notification::Channel;
use callvault_pipeline::notification::{Announcer, Message, Untold};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use url::Url;

/// A receiver that has not answered after this is asked again later.
const LONGEST: Duration = Duration::from_secs(10);

/// Names the message to receivers that keep the same from coming twice (draft-ietf-httpapi-idempotency-key-header).
const SAME_MESSAGE: &str = "idempotency-key";

/// A webhook.
#[derive(Debug)]
pub struct Webhook {
    url: SecretString,
    client: reqwest::Client,
}

/// What is posted. The names are fixed: receivers read them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    title: &'a str,
    subject: &'a str,
    priority: &'a str,
    html_content: &'a str,
    to: Vec<Recipient<'a>>,
}

#[derive(Serialize)]
struct Recipient<'a> {
    name: &'a str,
    email: &'a str,
}

impl Webhook {
    /// The webhook at `url`. Sends nothing yet.
    ///
    /// # Errors
    /// [`ClientError`] when there is no TLS to be had.
    pub fn new(url: SecretString) -> Result<Self, ClientError> {
        let loopback =
            Url::parse(url.expose_secret()).is_ok_and(|url| url.host().is_some_and(|host| is_loopback(&host)));
        Ok(Self { url, client: http::other_client(loopback)? })
    }
}

#[async_trait]
impl Announcer for Webhook {
    fn channel(&self) -> Channel {
        Channel::Webhook
    }

    async fn send(&self, message: &Message) -> Result<(), Untold> {
        let Message { key, title, subject, priority, html, to, .. } = message;
        let to = to.iter().map(|email| Recipient { name: "", email }).collect();
        let body = Body { title, subject, priority, html_content: html, to };
        let request = self.client.post(self.url.expose_secret()).header(SAME_MESSAGE, key).timeout(LONGEST);
        match request.json(&body).send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => {
                let status = answer.status().as_u16();
                Err(Untold { code: "webhook-refused", detail: format!("the webhook answered with status {status}") })
            }
            Err(error) => Err(unreachable(&error)),
        }
    }
}

/// In our words: the library's name the URL.
fn unreachable(error: &reqwest::Error) -> Untold {
    let detail = if error.is_timeout() {
        format!("the webhook did not answer within {} s", LONGEST.as_secs())
    } else if error.is_connect() {
        "there is no connection to the webhook".to_owned()
    } else {
        "the connection to the webhook broke off".to_owned()
    };
    Untold { code: "webhook-unreachable", detail }
}
