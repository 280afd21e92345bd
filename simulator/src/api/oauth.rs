//! `POST /oauth/token`: client credentials only, as the clients of this org are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use serde_json::json;

use super::parameter;
use crate::answer::Answer;
use crate::world::World;

/// Grants a token to a known client. An unknown id is 400 and a wrong secret 401, both `invalid_client`.
pub(crate) fn token(world: &World, authorization: Option<&str>, form: &str) -> Answer {
    let refused = |status, error: &str, description: &str| {
        let body = json!({ "error": error, "description": description, "error_description": description });
        Answer::json(status, &body)
    };
    let Some((id, secret)) = authorization.and_then(basic) else {
        return refused(
            StatusCode::BAD_REQUEST,
            "invalid_client",
            "client credentials are invalid: no basic authorization",
        );
    };
    let options = &world.options;
    let mut clients = vec![(&options.client_id, &options.client_secret)];
    clients.extend(options.second_client.as_ref().map(|(id, secret)| (id, secret)));
    let Some((_, known)) = clients.into_iter().find(|(known, _)| **known == id) else {
        return refused(StatusCode::BAD_REQUEST, "invalid_client", "client not found");
    };
    if *known != secret {
        return refused(StatusCode::UNAUTHORIZED, "invalid_client", "authentication failed");
    }
    match parameter(form, "grant_type").as_deref() {
        Some("client_credentials") => Answer::ok(&json!({
            "access_token": world.grant(&id),
            "token_type": "bearer",
            "expires_in": options.token_life.as_secs(),
        })),
        Some("refresh_token" | "authorization_code") => {
            refused(StatusCode::BAD_REQUEST, "invalid_grant", "this org has no users")
        }
        _ => refused(StatusCode::BAD_REQUEST, "unsupported_grant_type", "grant type not supported"),
    }
}

fn basic(authorization: &str) -> Option<(String, String)> {
    let encoded = authorization.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}
