//! Voicemail: listings, messages, their media, and what can be done to them (genesys/api.md, "Voicemail").
//!
//! Everything here wants a user. What one user may see or change of another's is decided here too.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::Call;
use super::users::{permitted, user};
use crate::analytics::iso;
use crate::answer::Answer;
use crate::faults::FaultName;
use crate::lock;
use crate::options::{DELETE_VOICEMAIL, VIEW_VOICEMAIL};
use crate::voicemail::event::caller;
use crate::voicemail::{FORMATS, Holder, Voicemail};
use crate::world::World;

const READ: Option<&str> = Some("voicemail:readonly");
const WRITE: Option<&str> = Some("voicemail");

/// The most rows of a page. Not documented for these listings; it is what the platform's others have.
const LARGEST_PAGE: usize = 100;

/// Which listing is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listing<'a> {
    Queue(&'a str),
    Group(&'a str),
    /// The user's own.
    Mine,
}

/// `GET /api/v2/voicemail/queues/{id}/messages`, `.../groups/{id}/messages` and `.../me/messages`.
pub(crate) fn list(world: &World, call: &Call<'_>, listing: Listing<'_>) -> Result<Answer, Answer> {
    let me = user(call, READ)?;
    let places = &world.org.places;
    let known = |list: &[String], id: &str| {
        let found = list.iter().find(|one| *one == id).cloned();
        found.ok_or_else(|| Answer::not_found("The requested resource was not found."))
    };
    let (holder, path) = match listing {
        Listing::Queue(id) => {
            permitted(world, call, VIEW_VOICEMAIL)?;
            (Holder::Queue(known(&places.queues, id)?), format!("queues/{id}"))
        }
        Listing::Group(id) => (Holder::Group(known(&places.groups, id)?), format!("groups/{id}")),
        Listing::Mine => (Holder::User(me.id.clone()), "me".to_owned()),
    };
    refuse(call)?;
    let (size, number) = (whole(call, "pageSize", 25)?, whole(call, "pageNumber", 1)?);
    if size > LARGEST_PAGE {
        return Err(Answer::bad_request(&format!("The page size cannot be larger than {LARGEST_PAGE}.")));
    }
    let all = world.mailboxes.listed(&holder, world.clock.now(), world.options.voicemails_oldest_first);
    Ok(Answer::ok(&page(&all, &format!("/api/v2/voicemail/{path}/messages"), size, number)))
}

/// One page of `all` in the platform's envelope. Links that lead nowhere are left out.
fn page(all: &[Voicemail], path: &str, size: usize, number: usize) -> Value {
    let pages = all.len().div_ceil(size).max(1);
    let uri = |number: usize| format!("{path}?pageSize={size}&pageNumber={number}");
    let rows = all.iter().skip((number - 1).saturating_mul(size)).take(size);
    let mut body = json!({
        "entities": rows.map(shown).collect::<Vec<_>>(),
        "pageSize": size,
        "pageNumber": number,
        "total": all.len(),
        "pageCount": pages,
        "firstUri": uri(1),
        "lastUri": uri(pages),
        "selfUri": uri(number),
    });
    if number < pages {
        body["nextUri"] = uri(number + 1).into();
    }
    if number > 1 {
        body["previousUri"] = uri(number - 1).into();
    }
    body
}

/// A whole number from 1 in the query.
fn whole(call: &Call<'_>, name: &str, default: usize) -> Result<usize, Answer> {
    let Some(text) = call.parameter(name) else {
        return Ok(default);
    };
    text.parse().ok().filter(|number| (1..=1_000_000).contains(number)).ok_or_else(|| {
        let message = format!("Value [{name}] is not valid for field type [positive integer].");
        Answer::error(StatusCode::BAD_REQUEST, "invalid.value", &message)
    })
}

/// `GET /api/v2/voicemail/messages?ids=`: those of the ids that the user may see.
pub(crate) fn some(world: &World, call: &Call<'_>) -> Result<Answer, Answer> {
    let me = user(call, READ)?;
    refuse(call)?;
    let ids = call.parameter("ids").unwrap_or_default();
    let found: Vec<Voicemail> = ids
        .split(',')
        .filter_map(|id| world.mailboxes.message(id, world.clock.now()))
        .filter(|message| visible(message, &me.id))
        .collect();
    Ok(Answer::ok(&page(&found, "/api/v2/voicemail/messages", found.len().max(1), 1)))
}

/// `GET /api/v2/voicemail/messages/{id}`.
pub(crate) fn one(world: &World, call: &Call<'_>, id: &str) -> Result<Answer, Answer> {
    Ok(Answer::ok(&shown(&message(world, call, id, READ)?)))
}

/// `GET /api/v2/voicemail/messages/{id}/media?formatId=`.
pub(crate) fn media(world: &World, call: &Call<'_>, id: &str) -> Result<Answer, Answer> {
    let message = message(world, call, id, READ)?;
    let format = call.parameter("formatId").unwrap_or_else(|| FORMATS[0].0.to_owned());
    let mut body = json!({ "id": message.id, "waveformData": [0.0, 0.25, 0.5, 0.25, 0.0] });
    if format != "NONE" {
        if message.file(&format).is_none() {
            let known = FORMATS.map(|(name, _)| name).join(", ");
            let text =
                format!("Value [{format}] is not valid for field type [formatId]. Allowable values are: {known}");
            return Err(Answer::error(StatusCode::BAD_REQUEST, "invalid.value", &text));
        }
        let first = message.slow && lock(&world.transcoded).insert(format!("{id} {format}"));
        if first || call.struck.by(FaultName::MediaNotReady) {
            return Ok(Answer::empty(StatusCode::ACCEPTED));
        }
        body["mediaFileUri"] = world.signed_url(&format!("/_media/voicemail/{id}/{format}")).into();
    }
    Ok(Answer::ok(&body))
}

/// `PATCH /api/v2/voicemail/messages/{id}`: of a queue's message only by who took part in its conversation.
pub(crate) fn change(world: &World, call: &Call<'_>, id: &str) -> Result<Answer, Answer> {
    let message = message(world, call, id, WRITE)?;
    if matches!(message.holder, Holder::Queue(_)) && !message.ours {
        return Err(not_authorized());
    }
    let body = call.json()?;
    let read = match body.get("read") {
        None | Some(Value::Null) => message.read,
        Some(read) => read.as_bool().ok_or_else(|| Answer::bad_request("read must be a boolean."))?,
    };
    let changed = world.mailboxes.change(id, |message| message.read = read);
    Ok(Answer::ok(&shown(&changed.unwrap_or(message))))
}

/// `DELETE /api/v2/voicemail/messages/{id}`.
pub(crate) fn delete(world: &World, call: &Call<'_>, id: &str) -> Result<Answer, Answer> {
    let message = message(world, call, id, WRITE)?;
    if matches!(message.holder, Holder::Queue(_)) {
        permitted(world, call, DELETE_VOICEMAIL)?;
    }
    let now = world.clock.now();
    world.mailboxes.change(id, |message| message.deleted = Some(now));
    Ok(Answer::empty(StatusCode::OK))
}

/// `DELETE /api/v2/voicemail/messages`: does what it says, and is counted, since nobody may ever send it.
pub(crate) fn delete_all(world: &World, call: &Call<'_>) -> Result<Answer, Answer> {
    let me = user(call, WRITE)?;
    world.counters.deleted_everything();
    world.mailboxes.delete_all(&me.id, world.clock.now());
    Ok(Answer::empty(StatusCode::OK))
}

/// The message a call is about, if it is there and the user may see it.
fn message(world: &World, call: &Call<'_>, id: &str, scope: Option<&str>) -> Result<Voicemail, Answer> {
    let me = user(call, scope)?;
    let found = world.mailboxes.message(id, world.clock.now());
    let message = found.ok_or_else(|| Answer::not_found("The requested resource was not found."))?;
    if matches!(message.holder, Holder::Queue(_)) {
        permitted(world, call, VIEW_VOICEMAIL)?;
    }
    if !visible(&message, &me.id) {
        return Err(not_authorized());
    }
    refuse(call)?;
    Ok(message)
}

/// Every user is in every group; what was left for one user no other sees.
fn visible(message: &Voicemail, me: &str) -> bool {
    !matches!(&message.holder, Holder::User(other) if other != me)
}

fn refuse(call: &Call<'_>) -> Result<(), Answer> {
    if call.struck.by(FaultName::Forbidden) { Err(not_authorized()) } else { Ok(()) }
}

fn not_authorized() -> Answer {
    let message = "You are not authorized to access the voicemail message.";
    Answer::error(StatusCode::FORBIDDEN, "voicemail.not.authorized.voicemail.message", message)
}

/// The message as the platform shows it.
fn shown(message: &Voicemail) -> Value {
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| map.insert(name.into(), value);
    put("id", message.id.clone().into());
    put(
        "conversation",
        json!({
            "id": message.conversation,
            "startTime": iso(message.left),
            "participants": [],
            "selfUri": format!("/api/v2/conversations/{}", message.conversation),
        }),
    );
    put("read", message.read.into());
    put("audioRecordingDurationSeconds", (message.duration_ms / 1000).into());
    // Of the recording the platform keeps, not of the file it delivers.
    put("audioRecordingSizeBytes", (message.duration_ms * 8).into());
    put("createdDate", iso(message.left).into());
    put("modifiedDate", iso(message.left).into());
    put("callerAddress", caller(message).into());
    put("callerName", "Made-up Caller".into());
    put("deleted", false.into());
    put("note", "".into());
    put("copiedTo", json!([]));
    put("deleteRetentionPolicy", json!({ "voicemailRetentionPolicyType": "RETAIN_INDEFINITELY" }));
    match &message.holder {
        Holder::Queue(id) => put("queue", json!({ "id": id, "selfUri": format!("/api/v2/routing/queues/{id}") })),
        Holder::Group(id) => put(
            "group",
            json!({
                "id": id,
                "name": "Made-up Group",
                "type": "official",
                "visibility": "public",
                "rulesVisible": true,
                "selfUri": format!("/api/v2/groups/{id}"),
            }),
        ),
        Holder::User(id) => put("user", json!({ "id": id, "version": 1, "selfUri": format!("/api/v2/users/{id}") })),
    };
    put("selfUri", format!("/api/v2/voicemail/messages/{}", message.id).into());
    map.into()
}
