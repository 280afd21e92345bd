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
use crate::faults::{Fault, Profile};
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
        _ => Answer::error(
            StatusCode::NOT_FOUND,
            "not.found",
            "GET truth, requests, conversations?day=, faults, clock; POST faults, clock",
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
