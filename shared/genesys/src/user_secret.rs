//! The secret of a signed-in user: its OAuth client and its tokens, as one JSON document (R-1.2).
//!
//! `{"clientId","clientSecret","accessToken","refreshToken"}`, to which callvault adds `"expiresAt"` (RFC 3339) and
//! `"region"`. Every other key belongs to somebody else and is kept as it is, to the digit. Owns the document, not the
//! place it is kept in. Must never show content: not in an error, not in Debug.

use indexmap::IndexMap;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::value::{RawValue, to_raw_value};

const CLIENT_ID: &str = "clientId";
const CLIENT_SECRET: &str = "clientSecret";
const ACCESS_TOKEN: &str = "accessToken";
const REFRESH_TOKEN: &str = "refreshToken";
const EXPIRES_AT: &str = "expiresAt";
const REGION: &str = "region";

/// The document. Client id and client secret are there, tokens may be missing: nobody has signed in yet then.
#[derive(Clone)]
pub struct UserSecret {
    /// As it was read: values untouched, keys in their order.
    fields: IndexMap<String, Box<RawValue>>,
    client_id: String,
    client_secret: SecretString,
}

/// What is wrong with a document, without any of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UserSecretFault {
    /// Not a JSON object.
    #[error("it is no JSON object")]
    NoObject,
    /// A key that must be there is not, or is no text.
    #[error("it has no {0}")]
    Missing(&'static str),
}

impl std::fmt::Debug for UserSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys: Vec<&str> = self.fields.keys().map(String::as_str).collect();
        f.debug_struct("UserSecret").field("keys", &keys).finish_non_exhaustive()
    }
}

impl UserSecret {
    /// A document of a client in whose name nobody has signed in yet.
    pub fn new(client_id: &str, client_secret: &SecretString, region: Option<&str>) -> Self {
        let mut secret =
            Self { fields: IndexMap::new(), client_id: client_id.to_owned(), client_secret: client_secret.clone() };
        secret.put(CLIENT_ID, client_id);
        secret.put(CLIENT_SECRET, client_secret.expose_secret());
        if let Some(region) = region {
            secret.put(REGION, region);
        }
        secret
    }

    /// Reads a document.
    ///
    /// # Errors
    /// [`UserSecretFault`], which names what is missing and shows nothing.
    pub fn parse(text: &str) -> Result<Self, UserSecretFault> {
        let fields: IndexMap<String, Box<RawValue>> =
            serde_json::from_str(text).map_err(|_| UserSecretFault::NoObject)?;
        let needed = |name: &'static str| text_of(&fields, name).ok_or(UserSecretFault::Missing(name));
        let (client_id, client_secret) = (needed(CLIENT_ID)?, needed(CLIENT_SECRET)?.into());
        Ok(Self { fields, client_id, client_secret })
    }

    /// A document that may lack client and tokens, such as one somebody made by hand or a template left empty, with this
    /// client and region put in. Its other keys are kept.
    ///
    /// # Errors
    /// [`UserSecretFault::NoObject`] for a text that is something else, and not blank.
    pub fn completed(
        text: &str,
        client_id: &str,
        client_secret: &SecretString,
        region: Option<&str>,
    ) -> Result<Self, UserSecretFault> {
        let mut secret = Self::new(client_id, client_secret, None);
        if !text.trim().is_empty() {
            secret.fields = serde_json::from_str(text).map_err(|_| UserSecretFault::NoObject)?;
        }
        secret.put(CLIENT_ID, client_id);
        secret.put(CLIENT_SECRET, client_secret.expose_secret());
        Ok(region.map_or_else(|| secret.clone(), |region| secret.with_region(region)))
    }

    /// The OAuth client's id.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The OAuth client's secret.
    pub fn client_secret(&self) -> &SecretString {
        &self.client_secret
    }

    /// The access token, if somebody has signed in.
    pub fn access_token(&self) -> Option<SecretString> {
        text_of(&self.fields, ACCESS_TOKEN).map(SecretString::from)
    }

    /// The refresh token, if somebody has signed in. It can be spent once.
    pub fn refresh_token(&self) -> Option<SecretString> {
        text_of(&self.fields, REFRESH_TOKEN).map(SecretString::from)
    }

    /// When the access token ends, where that is known.
    pub fn expires_at(&self) -> Option<Timestamp> {
        text_of(&self.fields, EXPIRES_AT)?.parse().ok()
    }

    /// The region of the organization, where the document names it.
    pub fn region(&self) -> Option<String> {
        text_of(&self.fields, REGION)
    }

    /// The same document for another region.
    #[must_use]
    pub fn with_region(&self, region: &str) -> Self {
        let mut secret = self.clone();
        secret.put(REGION, region);
        secret
    }

    /// The same document with a new pair of tokens, whose access token ends at `expires_at`.
    #[must_use]
    pub fn with_tokens(&self, access: &SecretString, refresh: &SecretString, expires_at: Timestamp) -> Self {
        let mut secret = self.clone();
        secret.put(ACCESS_TOKEN, access.expose_secret());
        secret.put(REFRESH_TOKEN, refresh.expose_secret());
        secret.put(EXPIRES_AT, &expires_at.to_string());
        secret
    }

    /// The document as text, for the place it is kept in.
    pub fn to_json(&self) -> SecretString {
        let fields: Vec<String> = self
            .fields
            .iter()
            .map(|(name, value)| format!("{}:{}", serde_json::Value::from(name.as_str()), value))
            .collect();
        format!("{{{}}}", fields.join(",")).into()
    }

    fn put(&mut self, name: &str, text: &str) {
        // Text is always JSON: the conversion cannot fail.
        if let Ok(value) = to_raw_value(text) {
            self.fields.insert(name.to_owned(), value);
        }
    }
}

/// A text that holds something.
fn text_of(fields: &IndexMap<String, Box<RawValue>>, name: &str) -> Option<String> {
    let text: String = serde_json::from_str(fields.get(name)?.get()).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"{"owner":"quality","clientId":"id","clientSecret":"hunter2","limit":1.50000000000000000001,"accessToken":"planted-a","refreshToken":"planted-r","expiresAt":"2026-01-15T16:00:00Z","region":"mypurecloud.de","nested":{"b":[1, 2]}}"#;

    #[test]
    fn keys_of_others_survive_to_the_digit() {
        let read = UserSecret::parse(FULL).unwrap();
        assert_eq!(read.to_json().expose_secret(), FULL);
        let until = "2026-01-17T16:00:00Z".parse().unwrap();
        let rotated = read.with_tokens(&"new-a".into(), &"new-r".into(), until);
        let expected = FULL
            .replace("planted-a", "new-a")
            .replace("planted-r", "new-r")
            .replace("2026-01-15T16:00:00Z", "2026-01-17T16:00:00Z");
        assert_eq!(rotated.to_json().expose_secret(), &expected);
        assert_eq!(rotated.expires_at(), Some(until));
    }

    #[test]
    fn a_document_without_a_client_gets_one_and_keeps_the_rest() {
        let completed = |text| UserSecret::completed(text, "id", &"s".into(), Some("mypurecloud.ie"));
        let client = r#""clientId":"id","clientSecret":"s","region":"mypurecloud.ie""#;
        for (text, expected) in [
            ("", format!("{{{client}}}")),
            ("{}", format!("{{{client}}}")),
            (r#"{"owner":1.50}"#, format!(r#"{{"owner":1.50,{client}}}"#)),
            (
                r#"{"clientId":null,"owner":[]}"#,
                r#"{"clientId":"id","owner":[],"clientSecret":"s","region":"mypurecloud.ie"}"#.to_owned(),
            ),
        ] {
            assert_eq!(completed(text).unwrap().to_json().expose_secret(), &expected, "{text}");
        }
        assert_eq!(completed("hunter2").unwrap_err(), UserSecretFault::NoObject);
    }

    #[test]
    fn what_is_missing_is_said_without_content() {
        for (text, expected) in [
            ("hunter2", "it is no JSON object"),
            (r#"{"clientId": "hunter2""#, "it is no JSON object"),
            (r#"{"clientSecret": "hunter2"}"#, "it has no clientId"),
            (r#"{"clientId": "hunter2", "clientSecret": 12345}"#, "it has no clientSecret"),
            (r#"{"clientId": "hunter2", "clientSecret": " "}"#, "it has no clientSecret"),
        ] {
            assert_eq!(UserSecret::parse(text).unwrap_err().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_of_the_rest_is_not_there() {
        let text = r#"{"clientId":"id","clientSecret":"s","accessToken":7,"refreshToken":"","expiresAt":"soon","region":null}"#;
        let read = UserSecret::parse(text).unwrap();
        assert!(read.access_token().is_none() && read.refresh_token().is_none());
        assert_eq!((read.expires_at(), read.region()), (None, None));
    }

    #[test]
    fn debug_shows_names_only() {
        let text = format!("{:?}", UserSecret::parse(FULL).unwrap());
        assert!(text.contains("accessToken") && !text.contains("planted") && !text.contains("hunter2"), "{text}");
    }
}
