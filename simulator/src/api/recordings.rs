//! Recording metadata, recordings with media URLs, and the restore of archived ones.
//!
//! The first question for a recording's media is answered 202 with no body, as the platform does while it transcodes.

use hyper::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::Call;
use crate::analytics::iso;
use crate::answer::Answer;
use crate::faults::FaultName;
use crate::lock;
use crate::org::{Conversation, Kind, Recording, State};
use crate::world::{Standing, World};

fn conversation<'w>(world: &'w World, id: &str) -> Result<&'w Conversation, Answer> {
    world.org.conversation(id).ok_or_else(|| {
        Answer::error(StatusCode::NOT_FOUND, "conversation.not.found", "The conversation was not found.")
    })
}

fn recording<'w>(world: &'w World, id: &str, one: &str) -> Result<(&'w Conversation, &'w Recording), Answer> {
    let found = world.org.recording(one).filter(|(conversation, _)| conversation.id == id);
    found.ok_or_else(|| Answer::error(StatusCode::NOT_FOUND, "recording.not.found", "The recording was not found."))
}

/// `GET /api/v2/conversations/{id}/recordingmetadata`: without recordings `[]`, or 404 where that fault strikes.
pub(crate) fn metadata_list(world: &World, id: &str, call: &Call<'_>) -> Result<Answer, Answer> {
    let found = conversation(world, id)?;
    if call.struck.by(FaultName::MissingMetadata) {
        return Err(Answer::not_found("No recordings were found for the conversation."));
    }
    let list: Vec<Value> = found.recordings.iter().map(|r| described(world, found, r)).collect();
    Ok(Answer::ok(&list))
}

/// `GET /api/v2/conversations/{id}/recordingmetadata/{recordingId}`.
pub(crate) fn metadata(world: &World, id: &str, one: &str) -> Result<Answer, Answer> {
    let (conversation, recording) = recording(world, id, one)?;
    Ok(Answer::ok(&described(world, conversation, recording)))
}

/// `GET /api/v2/conversations/{id}/recordings`.
pub(crate) fn list(world: &World, id: &str) -> Result<Answer, Answer> {
    let found = conversation(world, id)?;
    if found.recordings.iter().any(|r| world.standing(r) == Standing::Available)
        && lock(&world.transcoded).insert(id.to_owned())
    {
        return Ok(Answer::empty(StatusCode::ACCEPTED));
    }
    let list: Vec<Value> = found.recordings.iter().map(|r| with_media(world, found, r)).collect();
    Ok(Answer::ok(&list))
}

/// `GET /api/v2/conversations/{id}/recordings/{recordingId}`.
pub(crate) fn one(world: &World, id: &str, one: &str) -> Result<Answer, Answer> {
    let (conversation, recording) = recording(world, id, one)?;
    if world.standing(recording) == Standing::Available && lock(&world.transcoded).insert(one.to_owned()) {
        return Ok(Answer::empty(StatusCode::ACCEPTED));
    }
    Ok(Answer::ok(&with_media(world, conversation, recording)))
}

/// `PUT /api/v2/conversations/{id}/recordings/{recordingId}`: a body with an `archiveDate` restores an archived one.
pub(crate) fn restore(world: &World, call: &Call<'_>, id: &str, one: &str) -> Result<Answer, Answer> {
    let (conversation, recording) = recording(world, id, one)?;
    let body = call.json()?;
    let dated = body.get("archiveDate").and_then(Value::as_str);
    if dated.is_some_and(|text| text.parse::<Timestamp>().is_err()) {
        return Err(Answer::error(
            StatusCode::BAD_REQUEST,
            "invalid.date",
            "Dates must be specified as ISO-8601 strings. For example: yyyy-MM-ddTHH:mm:ss.SSSZ",
        ));
    }
    if dated.is_some() {
        world.restore(recording);
    }
    Ok(Answer::ok(&Value::Object(common(world, conversation, recording))))
}

/// What recordings and their metadata have in common.
fn common(world: &World, conversation: &Conversation, recording: &Recording) -> Map<String, Value> {
    let end = conversation.end.unwrap_or(conversation.start);
    let subtype = if recording.kind == Kind::Screen { "Screen" } else { "Trunk" };
    let standing = world.standing(recording);
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| map.insert(name.into(), value);
    put("id", recording.id.clone().into());
    put("conversationId", conversation.id.clone().into());
    put("startTime", iso(conversation.start).into());
    put("endTime", iso(end).into());
    put("annotations", json!([]));
    put("fileState", file_state(recording, standing).into());
    if matches!(recording.kind, Kind::Call | Kind::Screen) {
        put("mediaSubtype", subtype.into());
    }
    if matches!(standing, Standing::Archived | Standing::Restoring) {
        put("archiveDate", iso(end + SignedDuration::from_hours(24)).into());
        put("archiveMedium", "CLOUDARCHIVE".into());
    }
    if matches!(standing, Standing::Deleted { .. }) {
        put("deleteDate", iso(end + SignedDuration::from_hours(24)).into());
    }
    let uri = format!("/api/v2/conversations/{}/recordings/{}", conversation.id, recording.id);
    put("selfUri", uri.into());
    map
}

fn described(world: &World, conversation: &Conversation, recording: &Recording) -> Value {
    let mut map = common(world, conversation, recording);
    let own = format!("/api/v2/conversations/{}/recordingmetadata/{}", conversation.id, recording.id);
    map.insert("media".into(), recording.kind.metadata_media().into());
    map.insert("region".into(), "us-east-1".into());
    map.insert("selfUri".into(), own.into());
    map.into()
}

fn with_media(world: &World, conversation: &Conversation, recording: &Recording) -> Value {
    let mut map = common(world, conversation, recording);
    map.insert("media".into(), recording.kind.recording_media().into());
    if world.standing(recording) == Standing::Available {
        let uris: Map<String, Value> = (0..recording.files.len())
            .map(|part| {
                let uri = world.media_url(&recording.id, part);
                (part.to_string(), json!({ "mediaUri": uri }))
            })
            .collect();
        map.insert("mediaUris".into(), uris.into());
    }
    map.into()
}

fn file_state(recording: &Recording, standing: Standing) -> &'static str {
    match standing {
        Standing::Available if recording.state == State::Archived => "RESTORED",
        Standing::Available | Standing::Sensitive => "AVAILABLE",
        Standing::UploadingYet | Standing::UploadingForEver => "UPLOADING",
        Standing::Archived => "ARCHIVED",
        Standing::Restoring => "RESTORING",
        Standing::Deleted { .. } => "DELETED",
    }
}
