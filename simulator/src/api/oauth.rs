//! `POST /oauth/token`: tokens for clients, for codes and for refresh tokens.
//!
//! Owns the grant types and their refusals (genesys/api.md, "OAuth"). A code and a refresh token are spent the moment
//! they are looked at: what happens to the answer afterwards does not bring them back.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hyper::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::parameter;
use crate::answer::Answer;
use crate::grants::{Code, Grant};
use crate::world::{Bearer, World};

/// The word of a token request in counts and faults, by its form.
pub(crate) fn word(form: &str) -> &'static str {
    match parameter(form, "grant_type").as_deref() {
        Some("authorization_code") => "token-code",
        Some("refresh_token") => "token-refresh",
        _ => "token",
    }
}

/// Grants a token to a known client. An unknown id is 400 and a wrong secret 401, both `invalid_client`.
pub(crate) fn token(world: &World, authorization: Option<&str>, form: &str) -> Answer {
    granted(world, authorization, form).unwrap_or_else(|refusal| refusal)
}

fn granted(world: &World, authorization: Option<&str>, form: &str) -> Result<Answer, Answer> {
    let bad = |description| refused(StatusCode::BAD_REQUEST, "invalid_client", description);
    let (id, secret) =
        authorization.and_then(basic).ok_or_else(|| bad("client credentials are invalid: no basic authorization"))?;
    let known = world.clients().find(|(known, _)| *known == id).ok_or_else(|| bad("client not found"))?;
    if known.1 != secret {
        return Err(refused(StatusCode::UNAUTHORIZED, "invalid_client", "authentication failed"));
    }
    match parameter(form, "grant_type").as_deref() {
        Some("client_credentials") => Ok(Answer::ok(&json!({
            "access_token": world.token(Bearer { client: id, grant: None }),
            "token_type": "bearer",
            "expires_in": world.options.token_life.as_secs(),
        }))),
        Some("authorization_code") => by_code(world, &id, form),
        Some("refresh_token") => by_refresh(world, &id, form),
        _ => Err(refused(StatusCode::BAD_REQUEST, "unsupported_grant_type", "grant type not supported")),
    }
}

fn by_code(world: &World, client: &str, form: &str) -> Result<Answer, Answer> {
    let text = parameter(form, "code").unwrap_or_default();
    let code = world.grants.take_code(&text, world.clock.age()).ok_or_else(|| dead("the code is not valid"))?;
    let given = parameter(form, "redirect_uri").unwrap_or_default();
    if code.grant.client != client || code.redirect_uri != given {
        return Err(dead("the code was issued to another client or redirect URI"));
    }
    if !verifies(&code, parameter(form, "code_verifier").as_deref()) {
        return Err(dead("the code verifier does not match the challenge"));
    }
    Ok(Answer::ok(&pair(world, code.grant)))
}

/// Proof Key for Code Exchange, S256 (RFC 7636); a verifier without a challenge is a downgrade (RFC 9700, 2.1.1).
fn verifies(code: &Code, verifier: Option<&str>) -> bool {
    match (&code.challenge, verifier) {
        (None, None) => true,
        (Some(challenge), Some(verifier)) => URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())) == *challenge,
        _ => false,
    }
}

fn by_refresh(world: &World, client: &str, form: &str) -> Result<Answer, Answer> {
    let text = parameter(form, "refresh_token").unwrap_or_default();
    let grant = world
        .grants
        .spend(&text, client, world.clock.age(), world.options.refresh_grace)
        .ok_or_else(|| dead("the refresh token is not valid"))?;
    Ok(Answer::ok(&pair(world, grant)))
}

/// A new access token and the one refresh token that goes with it.
pub(crate) fn pair(world: &World, grant: Grant) -> Value {
    let refresh = world.secret();
    world.grants.add_refresh(refresh.clone(), grant.clone());
    json!({
        "access_token": world.token(Bearer { client: grant.client.clone(), grant: Some(grant) }),
        "refresh_token": refresh,
        "token_type": "bearer",
        "expires_in": world.options.token_life.as_secs(),
    })
}

fn dead(description: &str) -> Answer {
    refused(StatusCode::BAD_REQUEST, "invalid_grant", description)
}

fn refused(status: StatusCode, error: &str, description: &str) -> Answer {
    Answer::json(status, &json!({ "error": error, "description": description, "error_description": description }))
}

fn basic(authorization: &str) -> Option<(String, String)> {
    let encoded = authorization.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}
