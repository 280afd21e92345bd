//! The event of the partner bus that tells of a voicemail (`v2.detail.events.conversation.{id}.voicemail.end`).
//!
//! There is no message id in it. What is needed is the conversation; everything else is taken where it can be read, so
//! that a field that changes its type next year loses no voicemail. Which source it comes from is the rule's business: a
//! replay may come from elsewhere. Must never show a number of the event.

use callvault_pipeline::day::Calendar;
use callvault_pipeline::ids::ConversationId;
use callvault_pipeline::ledger::voicemail::{Leg, Notice};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoicemailEnd {
    conversation: ConversationId,
    leg: Leg,
}

impl VoicemailEnd {
    /// The same as the ledger keeps it.
    pub fn notice(&self, calendar: &Calendar) -> Notice {
        let Self { conversation, leg } = self.clone();
        Notice { conversation, day: calendar.day_of(leg.at), leg }
    }
}

/// Reads an event; the fault says what is wrong, without content.
pub(super) fn read(event: &Map<String, Value>) -> Result<VoicemailEnd, String> {
    let kind = event.get("detail-type").and_then(Value::as_str).ok_or("`detail-type` is not a text")?;
    if !(kind.starts_with("v2.detail.events.conversation.") && kind.ends_with(".voicemail.end")) {
        return Err("`detail-type` is not that of a voicemail's end".to_owned());
    }
    let detail = event.get("detail").and_then(Value::as_object).ok_or("`detail` is not an object")?;
    let body = detail.get("eventBody").and_then(Value::as_object).ok_or("`detail.eventBody` is not an object")?;
    let id = body.get("conversationId").ok_or("`conversationId` is missing")?;
    let conversation = id.as_str().and_then(|id| id.parse().ok()).ok_or("`conversationId` is not an id")?;
    let at = instant(body.get("eventTime"))
        .or_else(|| instant(detail.get("timestamp")))
        .or_else(|| instant(event.get("time")))
        .ok_or("there is no `eventTime`, `timestamp` or `time`")?;
    let queue = part(body, "queueId")?;
    let group = part(body, "groupId")?;
    let user = part(body, "userId")?;
    let leg = Leg { id: leg_id(body, at), queue, group, user, at };
    Ok(VoicemailEnd { conversation, leg })
}

/// What tells this leg from others of the conversation.
fn leg_id(body: &Map<String, Value>, at: Timestamp) -> String {
    let named = ["sessionId", "participantId"].iter().find_map(|name| body.get(*name).and_then(Value::as_str));
    let named = named.filter(|id| !id.is_empty() && id.len() <= 64);
    named.map_or_else(|| at.as_millisecond().to_string(), str::to_owned)
}

/// An id that may be missing. One that is there and cannot be read is a fault: without it the voicemail would be looked
/// for in the wrong place.
fn part<T: std::str::FromStr>(body: &Map<String, Value>, name: &str) -> Result<Option<T>, String> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(value) => {
            let id = value.as_str().and_then(|text| text.parse().ok());
            id.map(Some).ok_or_else(|| format!("`{name}` is not an id"))
        }
    }
}

/// Milliseconds since 1970, or RFC 3339.
fn instant(value: Option<&Value>) -> Option<Timestamp> {
    match value? {
        Value::Number(number) => Timestamp::from_millisecond(number.as_i64()?).ok(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(body: Value) -> Map<String, Value> {
        let event = json!({
            "detail-type": "v2.detail.events.conversation.{id}.voicemail.end",
            "source": "aws.partner/genesys.com/cloud/32aa07aa/voicemail",
            "time": "2026-01-15T16:12:11Z",
            "detail": { "eventBody": body },
        });
        event.as_object().unwrap().clone()
    }

    #[test]
    fn what_is_known_is_read_and_the_rest_left_alone() {
        let full = json!({"conversationId": "c-1", "eventTime": 1768493531949_i64, "sessionId": "s", "participantId": "p",
            "queueId": "q", "ani": "tel:+13175550100", "addedNextYear": {"a": [1]}});
        let read = read(&event(full)).unwrap();
        let at = "2026-01-15T16:12:11.949Z".parse().unwrap();
        let leg = Leg { id: "s".to_owned(), queue: "q".parse().ok(), group: None, user: None, at };
        assert_eq!(read, VoicemailEnd { conversation: "c-1".parse().unwrap(), leg });
        assert!(!format!("{read:?}").contains("1317"));
    }

    #[test]
    fn what_is_missing_is_made_up_for_where_that_is_safe() {
        let bare = read(&event(json!({"conversationId": "c", "eventTime": "soon", "userId": "", "queueId": null})));
        let bare = bare.unwrap();
        assert_eq!(bare.leg.at, "2026-01-15T16:12:11Z".parse().unwrap());
        assert_eq!((bare.leg.id.as_str(), bare.leg.is_direct()), ("1768493531000", false));
        let participant = json!({"conversationId": "c", "participantId": "p", "userId": "u"});
        let direct = read(&event(participant)).unwrap();
        assert_eq!((direct.leg.id.as_str(), direct.leg.is_direct()), ("p", true));
    }

    #[test]
    fn what_cannot_be_understood_is_refused_without_content() {
        for body in [
            json!({}),
            json!({"conversationId": 7}),
            json!({"conversationId": "../+13175550100"}),
            json!({"conversationId": "c", "queueId": "+13175550100 "}),
            json!({"conversationId": "c", "queueId": 5}),
            json!("text"),
        ] {
            let fault = read(&event(body.clone())).unwrap_err();
            assert!(!fault.contains("1317"), "{body}: {fault}");
        }
        let mut other = event(json!({"conversationId": "c"}));
        other.insert("detail-type".to_owned(), json!("v2.detail.events.conversation.{id}.customer.end"));
        assert!(read(&other).is_err());
    }
}
