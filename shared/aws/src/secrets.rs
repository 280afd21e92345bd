//! Secrets Manager: Genesys credentials in a secret, and the versions of one that is rotated (`versions`).
//!
//! The secret is JSON: `{"clientId": ..., "clientSecret": ..., "region": ...}`; what else it holds is left alone. Must
//! never show content: not in an error, not in a log, not in Debug.

mod versions;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::IgnoredAny;

pub use versions::SecretVersions;

/// Shortest token: nobody guesses one of so many random letters.
const SHORTEST_TOKEN: usize = 16;

/// What signs in at Genesys.
#[derive(Debug)]
pub struct GenesysCredentials {
    /// The OAuth client's id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
    /// The region of the organization, when the secret names it.
    pub region: Option<String>,
}

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// No such secret, or no current version of it.
    #[error(
        "there is no secret {id} with a current value ({detail}): check the setting that names it (GENESYS_SECRET_ID of the org's client), and AWS_REGION"
    )]
    Missing {
        /// Which.
        id: String,
        /// What Secrets Manager said.
        detail: String,
    },
    /// We may not read or decrypt it.
    #[error(
        "secret {id} may not be read ({detail}): allow secretsmanager:GetSecretValue on it, and kms:Decrypt on its key"
    )]
    Denied {
        /// Which.
        id: String,
        /// What Secrets Manager said.
        detail: String,
    },
    /// We may not write it.
    #[error(
        "secret {id} may not be written ({detail}): allow secretsmanager:PutSecretValue on it (and CreateSecret for a new one), and kms:GenerateDataKey on its key"
    )]
    Unwritable {
        /// Which.
        id: String,
        /// What Secrets Manager said.
        detail: String,
    },
    /// It is not what we expect.
    #[error(r#"secret {id} cannot be used ({detail}): it should be {{"clientId": "...", "clientSecret": "..."}}"#)]
    Unreadable {
        /// Which.
        id: String,
        /// What is wrong, without any content.
        detail: String,
    },
    /// It is no token.
    #[error(
        "secret {id} cannot be used ({detail}): it should be {SHORTEST_TOKEN} or more letters, digits and signs of ASCII without blanks"
    )]
    NoToken {
        /// Which.
        id: String,
        /// What is wrong, without any content.
        detail: String,
    },
    /// Secrets Manager does not answer.
    #[error("secret {id} cannot be reached ({detail}): check AWS_REGION, credentials and network, and run again")]
    Unreachable {
        /// Which.
        id: String,
        /// What happened.
        detail: String,
    },
}

impl SecretError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "secret-missing",
            Self::Denied { .. } => "secret-denied",
            Self::Unwritable { .. } => "secret-unwritable",
            Self::Unreadable { .. } | Self::NoToken { .. } => "secret-unreadable",
            Self::Unreachable { .. } => "secret-unreachable",
        }
    }
}

/// Reads Genesys credentials.
#[derive(Debug, Clone, Copy)]
pub struct GenesysSecret;

impl GenesysSecret {
    /// Reads the current version (`AWSCURRENT`) of a secret, named by its name or ARN.
    ///
    /// # Errors
    /// [`SecretError`], which says what to do and shows no content.
    pub async fn read(sdk: &SdkConfig, id: &str) -> Result<GenesysCredentials, SecretError> {
        let answer = Client::new(sdk).get_secret_value().secret_id(id).version_stage("AWSCURRENT").send().await;
        let answer = answer.map_err(|error| of_sdk(id, &error))?;
        let text = answer.secret_string().ok_or("it is binary");
        text.and_then(parse).map_err(|detail| SecretError::Unreadable { id: id.to_owned(), detail: detail.to_owned() })
    }
}

/// Reads tokens that others prove to be allowed with: secrets that are a text, and nothing else.
#[derive(Debug, Clone, Copy)]
pub struct TokenSecret;

impl TokenSecret {
    /// Reads the current version (`AWSCURRENT`) of a secret, named by its name or ARN.
    ///
    /// # Errors
    /// [`SecretError`], which says what to do and shows no content.
    pub async fn read(sdk: &SdkConfig, id: &str) -> Result<SecretString, SecretError> {
        let answer = Client::new(sdk).get_secret_value().secret_id(id).version_stage("AWSCURRENT").send().await;
        let answer = answer.map_err(|error| of_sdk(id, &error))?;
        let token = answer.secret_string().ok_or("it is binary").and_then(token);
        token.map_err(|detail| SecretError::NoToken { id: id.to_owned(), detail: detail.to_owned() })
    }
}

/// The token that a secret's text is. A line's end behind it is the editor's.
fn token(text: &str) -> Result<SecretString, &'static str> {
    match text.trim() {
        short if short.len() < SHORTEST_TOKEN => Err("it is too short"),
        token if !token.bytes().all(|b| b.is_ascii_graphic()) => Err("it has other signs, or blanks"),
        token => Ok(token.into()),
    }
}

/// The credentials in a secret's text. The error names what is missing only: a parser's own messages quote content.
fn parse(text: &str) -> Result<GenesysCredentials, &'static str> {
    /// No Debug: this is the secret.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Raw {
        client_id: Option<Field>,
        client_secret: Option<Field>,
        region: Option<Field>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Field {
        Text(String),
        Other(IgnoredAny),
    }
    let given = |field: Option<Field>| match field {
        Some(Field::Text(text)) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Some(Field::Other(IgnoredAny)) | None => None,
    };
    let raw: Raw = serde_json::from_str(text).map_err(|_| "it is no JSON object")?;
    let client_id = given(raw.client_id).ok_or("it has no clientId")?;
    let client_secret = given(raw.client_secret).ok_or("it has no clientSecret")?;
    Ok(GenesysCredentials { client_id, client_secret: client_secret.into(), region: given(raw.region) })
}

/// What a refusal or a silence of Secrets Manager means for a reader.
pub(crate) fn of_sdk<E: ProvideErrorMetadata>(id: &str, error: &SdkError<E, HttpResponse>) -> SecretError {
    let id = id.to_owned();
    let Some(refusal) = error.as_service_error() else {
        let detail = match error {
            SdkError::TimeoutError(_) => "no answer in time",
            SdkError::DispatchFailure(_) => "no answer, or no credentials to ask with",
            SdkError::ConstructionFailure(_) => "not a request that could be sent",
            _ => "an answer that cannot be read",
        };
        return SecretError::Unreachable { id, detail: detail.to_owned() };
    };
    let code = refusal.code().unwrap_or("no code");
    // Secrets Manager's messages name the secret, the caller and the key, never a value.
    let detail = format!("{code}: {}", refusal.message().unwrap_or("no message"));
    match code {
        "ResourceNotFoundException" => SecretError::Missing { id, detail },
        "AccessDeniedException"
        | "DecryptionFailure"
        | "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "InvalidClientTokenId"
        | "MissingAuthenticationToken" => SecretError::Denied { id, detail },
        // Such as a secret that is going to be deleted.
        "InvalidRequestException" => SecretError::Missing { id, detail },
        "InvalidParameterException" | "ValidationException" => SecretError::Unreadable { id, detail },
        _ => SecretError::Unreachable { id, detail },
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn what_is_needed_is_read_and_the_rest_left_alone() {
        let text =
            r#"{"clientId":"id","clientSecret":" s3cret ","accessToken":7,"expiresAt":null,"region":"mypurecloud.de"}"#;
        let read = parse(text).unwrap();
        assert_eq!((read.client_id.as_str(), read.client_secret.expose_secret()), ("id", "s3cret"));
        assert_eq!(read.region.as_deref(), Some("mypurecloud.de"));
        assert!(!format!("{read:?}").contains("s3cret"));
        assert_eq!(parse(r#"{"clientId":"id","clientSecret":"s"}"#).unwrap().region, None);
    }

    #[test]
    fn a_token_is_a_text_that_nobody_guesses() {
        assert_eq!(token(" 0123456789abcdef\n").unwrap().expose_secret(), "0123456789abcdef");
        for text in ["", "hunter2", "hunter2 hunter2 hunter2", "hunter2hunter2hünter2"] {
            assert!(!token(text).unwrap_err().contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_content() {
        for (text, expected) in [
            ("hunter2", "it is no JSON object"),
            (r#"["hunter2"]"#, "it is no JSON object"),
            (r#"{"clientId": "hunter2""#, "it is no JSON object"),
            (r#"{"client_id": "hunter2"}"#, "it has no clientId"),
            (r#"{"clientId": "hunter2"}"#, "it has no clientSecret"),
            (r#"{"clientId": "hunter2", "clientSecret": 12345}"#, "it has no clientSecret"),
            (r#"{"clientId": "hunter2", "clientSecret": " "}"#, "it has no clientSecret"),
            (r#"{"clientId": {"a": "hunter2"}, "clientSecret": "x"}"#, "it has no clientId"),
        ] {
            assert_eq!(parse(text).map(drop).unwrap_err(), expected, "{text}");
        }
    }
}
