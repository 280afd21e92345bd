//! The events of the event bus that tell of voicemail, as EventBridge delivers them (genesys/api.md, "EventBridge").
//!
//! A pure function of a message: the same message always makes the same event, also the same event id.

use serde_json::{Value, json};

use super::{Holder, Voicemail};
use crate::analytics::iso;
use crate::chance::Chance;
use crate::org::Places;

/// The envelope. There is no message id in it, and `{id}` stands there to the letter.
pub(crate) fn envelope(message: &Voicemail, places: &Places, seed: u64) -> Value {
    let mut chance = Chance::new(seed, &format!("event of {}", message.id));
    let mut organization = Chance::new(seed, "organization");
    let mut body = json!({
        "eventTime": message.left.as_millisecond(),
        "conversationId": message.conversation,
        "participantId": chance.uuid(),
        "sessionId": chance.uuid(),
        "disconnectType": "PEER",
        "mediaType": "VOICE",
        "provider": "Edge",
        "direction": "INBOUND",
        "ani": caller(message),
        "dnis": "tel:+13175550199",
        "divisionId": places.divisions[0],
        "voicemailDurationMs": message.duration_ms,
    });
    match &message.holder {
        Holder::Queue(queue) => body["queueId"] = queue.clone().into(),
        Holder::User(user) => body["userId"] = user.clone().into(),
        // A group's event names no one.
        Holder::Group(_) => {}
    }
    json!({
        "version": "0",
        "id": chance.uuid(),
        "detail-type": "v2.detail.events.conversation.{id}.voicemail.end",
        "source": format!("aws.partner/genesys.com/cloud/{}/voicemail", organization.uuid()),
        "account": "123456789012",
        "time": format!("{:.0}", message.left),
        "region": "us-east-1",
        "resources": [],
        "detail": {
            "topicName": format!("v2.detail.events.conversation.{}.voicemail.end", message.conversation),
            "version": "2",
            "eventBody": body,
            "metadata": { "CorrelationId": chance.uuid() },
            "timestamp": iso(message.left),
        },
    })
}

/// The caller's made-up number (555).
pub(crate) fn caller(message: &Voicemail) -> String {
    format!("tel:+1317555{:04}", message.duration_ms % 10_000)
}
