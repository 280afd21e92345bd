//! The signed-in user: who it is, what it may, and the callbacks it can disconnect.
//!
//! Owns the refusals that depend on who asks. With client credentials there is no user; scopes limit users' grants only
//! (genesys/api.md, "OAuth").

use hyper::StatusCode;
use serde_json::{Value, json};

use super::Call;
use super::authorize::allows;
use crate::analytics::iso;
use crate::answer::Answer;
use crate::faults::FaultName;
use crate::grants::User;
use crate::options::DISCONNECT;
use crate::voicemail::{Holder, Voicemail};
use crate::world::World;

/// The user in whose name a call is made, if its grant has `scope`.
pub(crate) fn user<'c>(call: &Call<'c>, scope: Option<&str>) -> Result<&'c User, Answer> {
    let Some(grant) = call.grant else {
        return Err(Answer::error(
            StatusCode::BAD_REQUEST,
            "not.a.user",
            "This request requires a user context. Client credentials cannot be used for requests to this resource.",
        ));
    };
    in_scope(call, scope)?;
    Ok(&grant.user)
}

fn in_scope(call: &Call<'_>, scope: Option<&str>) -> Result<(), Answer> {
    let missing = |scope: &&str| call.grant.is_some_and(|grant| !allows(&grant.scopes, scope));
    match scope.filter(missing) {
        Some(_) => Err(Answer::error(StatusCode::FORBIDDEN, "not.authorized", NOT_AUTHORIZED)),
        None => Ok(()),
    }
}

const NOT_AUTHORIZED: &str = "You are not authorized to perform the requested action.";

/// Refuses who lacks `permission`. Every client has it: clients' roles are not simulated, but for the fault `forbidden`.
pub(crate) fn permitted(world: &World, call: &Call<'_>, permission: &str) -> Result<(), Answer> {
    if call.grant.is_none() || world.options.user_permissions.iter().any(|held| held == permission) {
        return Ok(());
    }
    Err(not_permitted(permission))
}

/// What the platform answers to whoever lacks a permission.
pub(crate) fn not_permitted(permission: &str) -> Answer {
    let message = format!(
        "Unable to perform the requested action. You must have at least one of the following permissions assigned: [{permission}]"
    );
    Answer::error(StatusCode::FORBIDDEN, "missing.any.permissions", &message)
}

/// `GET /api/v2/users/me`. Needs no scope (inferred).
pub(crate) fn me(world: &World, call: &Call<'_>) -> Result<Answer, Answer> {
    let user = user(call, None)?;
    let mut me = json!({
        "id": user.id,
        "name": user.name,
        "division": { "id": world.org.places.divisions[0], "selfUri": format!("/api/v2/authorization/divisions/{}", world.org.places.divisions[0]) },
        "chat": { "jabberId": format!("{}@simulator.orgspan.com", user.id) },
        "email": user.name,
        "primaryContactInfo": [{ "address": user.name, "mediaType": "EMAIL", "type": "PRIMARY" }],
        "addresses": [],
        "state": "active",
        "username": user.name,
        "version": 1,
        "acdAutoAnswer": false,
        "selfUri": format!("/api/v2/users/{}", user.id),
    });
    let expanded = call.parameter("expand").unwrap_or_default();
    if expanded.split(',').any(|word| word == "groups") {
        // Every user is in every group.
        let shown =
            |id: &String| json!({ "id": id, "name": "Made-up Group", "selfUri": format!("/api/v2/groups/{id}") });
        me["groups"] = world.org.places.groups.iter().map(shown).collect();
    }
    if expanded.split(',').any(|word| word == "authorization") {
        me["authorization"] = json!({
            "roles": [{ "id": user.id, "name": "Voicemail" }],
            "permissions": world.options.user_permissions,
        });
    }
    Ok(Answer::ok(&me))
}

/// `PATCH /api/v2/conversations/callbacks/{conversationId}`: disconnects the callback that a queue voicemail makes.
/// Works with client credentials too (inferred).
pub(crate) fn disconnect(world: &World, call: &Call<'_>, conversation: &str) -> Result<Answer, Answer> {
    in_scope(call, Some("conversations"))?;
    permitted(world, call, DISCONNECT)?;
    if call.struck.by(FaultName::Forbidden) {
        return Err(Answer::error(StatusCode::FORBIDDEN, "not.authorized", NOT_AUTHORIZED));
    }
    let body = call.json()?;
    if body.get("state").and_then(Value::as_str) != Some("disconnected") {
        return Err(Answer::bad_request("The state of a callback can only be changed to disconnected."));
    }
    let found = world.mailboxes.of_conversation(conversation);
    let found = found.filter(|message| matches!(message.holder, Holder::Queue(_)));
    let message = found.ok_or_else(|| Answer::not_found("The requested resource was not found."))?;
    world.mailboxes.change(&message.id, |message| message.callback_disconnected = true);
    Ok(Answer::ok(&disconnected(world, &message)))
}

fn disconnected(world: &World, message: &Voicemail) -> Value {
    json!({
        "id": message.conversation,
        "startTime": iso(message.left),
        "endTime": iso(world.clock.now()),
        "state": "disconnected",
        "participants": [{
            "id": message.id,
            "purpose": "customer",
            "callbacks": [{ "id": message.id, "state": "disconnected", "direction": "inbound" }],
        }],
        "selfUri": format!("/api/v2/conversations/callbacks/{}", message.conversation),
    })
}
