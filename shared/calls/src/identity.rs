//! When two events are the same one: the sender gives them no id, and sends them again when an answer is lost.
//!
//! An event of a call is identified by call, type, time and actor; one of no call by type, time and actor. Where those do not
//! suffice (no time, or neither call nor actor: dialers that try several numbers in a second), what was received
//! is added, so that events are told apart rather than lost.
//!
//! The identity is the event's UUID, so whoever stores an event needs one condition only: that this UUID is new.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::event::CallId;

/// What tells our UUIDs from others made in the same way.
const NAMESPACE: &[u8] = b"callvault/telephony-event/1";

/// The UUID of an event: version 8 (RFC 9562), of a SHA-256.
pub(crate) fn uuid(
    call: Option<&CallId>,
    kind: &str,
    at: Option<Timestamp>,
    actor: Option<&str>,
    received: &str,
) -> Uuid {
    let suffices = at.is_some() && (call.is_some() || actor.is_some());
    let instant = at.map(|at| at.as_nanosecond().to_string());
    let parts =
        [call.map(CallId::as_str), Some(kind), instant.as_deref(), actor, if suffices { None } else { Some(received) }];
    let mut digest = Sha256::new();
    digest.update(NAMESPACE);
    for part in parts {
        // Its length first: no two lists of parts give the same bytes.
        digest.update(part.map_or(u64::MAX, |part| part.len() as u64).to_be_bytes());
        digest.update(part.unwrap_or_default());
    }
    let digest = digest.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Uuid::new_v8(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(call: Option<&str>, kind: &str, at: Option<&str>, actor: Option<&str>, received: &str) -> Uuid {
        let call = call.map(|call| call.parse().unwrap());
        uuid(call.as_ref(), kind, at.map(|at| at.parse().unwrap()), actor, received)
    }

    #[test]
    fn call_type_time_and_actor_say_which_event_it_is() {
        let time = Some("2017-01-01T00:00:00Z");
        let one = of(Some("1.1"), "actor.entered", time, Some("a@x"), "{}");
        assert_eq!(of(Some("1.1"), "actor.entered", Some("2017-01-01T01:00:00.000+01:00"), Some("a@x"), "{ }"), one);
        for other in [
            of(Some("1.2"), "actor.entered", time, Some("a@x"), "{}"),
            of(None, "actor.entered", time, Some("a@x"), "{}"),
            of(Some("1.1"), "actor.left", time, Some("a@x"), "{}"),
            of(Some("1.1"), "actor.entered", Some("2017-01-01T00:00:00.001Z"), Some("a@x"), "{}"),
            of(Some("1.1"), "actor.entered", time, Some("b@x"), "{}"),
            of(Some("1.1"), "actor.entered", time, None, "{}"),
            of(Some("1.1actor"), ".entered", time, Some("a@x"), "{}"),
        ] {
            assert_ne!(other, one);
        }
        assert_eq!((one.get_version_num(), one.get_variant()), (8, uuid::Variant::RFC4122));
    }

    #[test]
    fn where_they_do_not_suffice_what_was_received_decides() {
        let time = Some("2017-01-01T00:00:00Z");
        assert_ne!(of(None, "dialer.attempt", time, None, "1"), of(None, "dialer.attempt", time, None, "2"));
        assert_ne!(of(Some("1.1"), "odd", None, Some("a"), "1"), of(Some("1.1"), "odd", None, Some("a"), "2"));
        assert_eq!(of(None, "odd", None, None, "1"), of(None, "odd", None, None, "1"));
        assert_eq!(of(None, "actor.paused", time, Some("a"), "1"), of(None, "actor.paused", time, Some("a"), "2"));
    }
}
