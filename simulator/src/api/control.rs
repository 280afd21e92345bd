//! `/_sim/...`: what tests and people ask of the simulator itself. No tokens, no limits, no faults.

use bytes::Bytes;
use hyper::{Method, StatusCode};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::parameter;
use crate::analytics::{self, iso};
use crate::answer::Answer;
use crate::api::oauth;
use crate::faults::{Fault, Profile};
use crate::grants::Grant;
use crate::truth::TruthVoicemail;
use crate::voicemail::{NewVoicemails, event};
use crate::world::World;

/// Answers a request under `/_sim/`.
pub(crate) fn answer(world: &World, method: &Method, path: &str, query: &str, body: &Bytes) -> Answer {
    match (method.as_str(), path.trim_start_matches("/_sim/")) {
        ("GET", "truth") => Answer::ok(&world.truth()),
        ("GET", "requests") => Answer::ok(&world.requests()),
        ("GET", "conversations") => conversations(world, query),
        ("GET", "faults") => faults(world),
        ("POST", "faults") => match serde_json::from_slice::<NewFaults>(body) {
            Ok(new) => {
                let mut all = new.profile.unwrap_or_default().faults();
                all.extend(new.faults);
                world.faults.set(all);
                faults(world)
            }
            Err(fault) => Answer::bad_request(&fault.to_string()),
        },
        ("GET", "clock") => clock(world),
        ("POST", "clock") => match serde_json::from_slice::<NewClock>(body) {
            Ok(NewClock::AdvanceSeconds(seconds)) => {
                // Bounded so that the clock stays among the dates that can be written.
                let seconds = seconds.clamp(-CENTURY, CENTURY);
                world.clock.advance(SignedDuration::from_secs(seconds));
                clock(world)
            }
            Ok(NewClock::Now(now)) => {
                world.clock.set(now);
                clock(world)
            }
            Err(fault) => Answer::bad_request(&fault.to_string()),
        },
        ("GET", "voicemail-events") => Answer::ok(&events(world)),
        ("POST", "voicemails") => match serde_json::from_slice::<NewVoicemails>(body) {
            Ok(new) => leave(world, &new),
            Err(fault) => Answer::bad_request(&fault.to_string()),
        },
        ("GET", "places") => places(world),
        ("GET", "grants") => Answer::ok(&json!({ "unspentRefreshTokens": world.grants.unspent() })),
        ("POST", "grants") => match serde_json::from_slice::<NewGrant>(body) {
            Ok(new) => Answer::ok(&grant(world, new)),
            Err(fault) => Answer::bad_request(&fault.to_string()),
        },
        _ => Answer::error(
            StatusCode::NOT_FOUND,
            "not.found",
            "GET truth, requests, conversations?day=, faults, clock, places, voicemail-events, grants; POST faults, clock, voicemails, grants",
        ),
    }
}

const CENTURY: i64 = 100 * 365 * 86_400;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewFaults {
    profile: Option<Profile>,
    #[serde(default)]
    faults: Vec<Fault>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum NewClock {
    AdvanceSeconds(i64),
    Now(Timestamp),
}

/// A user's consent without the page. What is missing is what the page would suggest.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewGrant {
    client: Option<String>,
    user: Option<String>,
    scopes: Option<Vec<String>>,
}

/// A pair of tokens as the token endpoint answers it.
pub(crate) fn grant(world: &World, new: NewGrant) -> Value {
    let options = &world.options;
    let grant = Grant {
        client: new.client.unwrap_or_else(|| options.client_id.clone()),
        user: world.user(new.user.as_ref().unwrap_or(&options.user_name)),
        scopes: new.scopes.unwrap_or_else(|| options.user_scopes.clone()),
    };
    oauth::pair(world, grant)
}

/// The events of all voicemail, also of what is gone, in order.
pub(crate) fn events(world: &World) -> Vec<Value> {
    let all = world.mailboxes.all();
    all.iter().map(|message| event::envelope(message, &world.org.places, world.options.seed)).collect()
}

fn leave(world: &World, new: &NewVoicemails) -> Answer {
    let Some(left) = world.leave(new) else {
        return Answer::bad_request("one of queue, group and user may be set, to an id that GET places lists");
    };
    let (seed, places) = (world.options.seed, &world.org.places);
    let events: Vec<Value> = left.iter().map(|message| event::envelope(message, places, seed)).collect();
    let told: Vec<TruthVoicemail> = left.iter().map(|message| world.told(message)).collect();
    Answer::ok(&json!({ "voicemails": told, "events": events }))
}

/// The ids that other requests want.
fn places(world: &World) -> Answer {
    let (places, user) = (&world.org.places, world.user(&world.options.user_name));
    Answer::ok(&json!({
        "queues": places.queues,
        "groups": places.groups,
        "agents": places.agents,
        "user": { "id": user.id, "name": user.name },
    }))
}

fn faults(world: &World) -> Answer {
    Answer::ok(&json!({ "faults": world.faults.rules(), "struck": world.faults.totals() }))
}

fn clock(world: &World) -> Answer {
    Answer::ok(&json!({ "now": iso(world.clock.now()), "age_seconds": world.clock.age().as_secs_f64() }))
}

/// One day's conversations as analytics shows them, with what only the simulator knows; without a day, all.
fn conversations(world: &World, query: &str) -> Answer {
    let day = match parameter(query, "day").map(|text| text.parse::<Date>()).transpose() {
        Ok(day) => day,
        Err(fault) => return Answer::bad_request(&fault.to_string()),
    };
    let org = &world.org;
    let shown: Vec<Value> = org
        .conversations
        .iter()
        .filter(|conversation| {
            let zoned = conversation.start.to_zoned(world.options.time_zone.clone());
            day.is_none_or(|day| zoned.date() == day)
        })
        .map(|conversation| {
            let recordings: Vec<Value> = conversation
                .recordings
                .iter()
                .map(|recording| {
                    json!({
                        "id": recording.id,
                        "kind": recording.kind.word(),
                        "standing": format!("{:?}", world.standing(recording)),
                        "files": recording.files.iter().map(|f| json!({
                            "contentType": f.format.content_type(), "about": f.size,
                        })).collect::<Vec<_>>(),
                    })
                })
                .collect();
            json!({
                "inTruth": conversation.day.is_some(),
                "recordings": recordings,
                "conversation": analytics::row(conversation, &org.places),
            })
        })
        .collect();
    Answer::ok(&json!({ "conversations": shown }))
}
