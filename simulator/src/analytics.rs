//! A conversation as analytics shows it: participants, sessions, segments, metrics.
//!
//! A pure function of the conversation and the org's places; valid against `AnalyticsConversationWithoutAttributes`
//! in genesys/openapi.json. Caller numbers are made up (555).

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::org::{Conversation, Kind, Places};

/// ISO 8601 with milliseconds and `Z`, as the platform writes times.
pub(crate) fn iso(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// The conversation's row in a query's answer.
pub(crate) fn row(conversation: &Conversation, places: &Places) -> Value {
    let mut scene = Scene::new(conversation, places);
    let mut participants = vec![scene.customer()];
    if conversation.voicemail {
        participants.push(scene.voicemail());
    } else {
        participants.push(scene.acd());
    }
    if conversation.agent {
        participants.push(scene.agent());
    }
    let mut row = json!({
        "conversationId": conversation.id,
        "conversationStart": iso(conversation.start),
        "conversationInitiator": if conversation.outbound { "agent" } else { "customer" },
        "customerParticipation": true,
        "divisionIds": [places.divisions[conversation.queue % places.divisions.len()]],
        "originatingDirection": scene.direction(),
        "participants": participants,
    });
    if let Some(end) = conversation.end {
        row["conversationEnd"] = iso(end).into();
    }
    if conversation.kind == Kind::Call {
        row["mediaStatsMinConversationMos"] = json!(4.5);
    }
    row
}

/// The moments of one conversation, from which its participants are told.
struct Scene<'a> {
    conversation: &'a Conversation,
    places: &'a Places,
    chance: Chance,
    queued: Timestamp,
    answered: Timestamp,
    hung_up: Timestamp,
    open: bool,
}

impl<'a> Scene<'a> {
    fn new(conversation: &'a Conversation, places: &'a Places) -> Self {
        let start = conversation.start;
        let open = conversation.end.is_none();
        let end = conversation.end.unwrap_or(start + SignedDuration::from_mins(1));
        let lasts = end.duration_since(start);
        Self {
            conversation,
            places,
            chance: Chance::new(0, &conversation.id),
            queued: start + lasts / 20,
            answered: start + lasts / 6,
            hung_up: start + lasts / 10 * 9,
            open,
        }
    }

    fn direction(&self) -> &'static str {
        if self.conversation.outbound { "outbound" } else { "inbound" }
    }

    fn end(&self) -> Timestamp {
        self.conversation.end.unwrap_or(self.hung_up)
    }

    fn queue(&self) -> &str {
        &self.places.queues[self.conversation.queue]
    }

    /// Sessions of one conversation share addresses, so these come from a stream of their own.
    fn session(&mut self, segments: Value, metrics: Value) -> Value {
        let mut session = json!({
            "sessionId": self.chance.uuid(),
            "mediaType": self.conversation.kind.session_media(),
            "direction": self.direction(),
            "segments": segments,
            "metrics": metrics,
        });
        let mut address = Chance::new(1, &self.conversation.id);
        let (theirs, ours) = (address.below(10_000), address.below(100));
        match self.conversation.kind {
            Kind::Call | Kind::Screen => {
                session["ani"] = format!("tel:+1317555{theirs:04}").into();
                session["dnis"] = format!("tel:+13175550{ours:03}").into();
                session["provider"] = "Edge".into();
            }
            Kind::Email => {
                session["addressFrom"] = format!("customer{theirs}@example.com").into();
                session["addressTo"] = "support@example.org".into();
                session["provider"] = "PureCloud Email".into();
            }
            Kind::Chat => session["provider"] = "PureCloud Webchat v2".into(),
            Kind::Message => {
                session["messageType"] = "webmessaging".into();
                session["provider"] = "PureCloud Messaging".into();
            }
        }
        session
    }

    fn segment(&self, kind: &str, from: Timestamp, to: Timestamp, queue: bool) -> Value {
        let mut segment = json!({ "segmentType": kind, "segmentStart": iso(from), "conference": false });
        if !(self.open && kind == "interact") {
            segment["segmentEnd"] = iso(to).into();
            segment["disconnectType"] = "peer".into();
        }
        if queue {
            segment["queueId"] = self.queue().into();
        }
        segment
    }

    fn metric(&self, name: &str, at: Timestamp, value: SignedDuration) -> Value {
        json!({ "name": name, "emitDate": iso(at), "value": value.as_millis().max(1) as i64 })
    }

    fn recorded(&self) -> bool {
        !self.conversation.recordings.is_empty()
    }

    fn customer(&mut self) -> Value {
        let (start, end) = (self.conversation.start, self.end());
        let segments =
            json!([self.segment("ivr", start, self.queued, false), self.segment("interact", self.queued, end, false),]);
        let metrics = json!([self.metric("tIvr", self.queued, self.queued.duration_since(start))]);
        let mut session = self.session(segments, metrics);
        if self.recorded() && !self.conversation.agent {
            session["recording"] = true.into();
        }
        json!({
            "participantId": self.chance.uuid(),
            "participantName": "Customer",
            "purpose": "customer",
            "sessions": [session],
        })
    }

    fn acd(&mut self) -> Value {
        let segments = json!([self.segment("interact", self.queued, self.answered, true)]);
        let waited = self.answered.duration_since(self.queued);
        let metrics = json!([
            self.metric("nOffered", self.queued, SignedDuration::from_millis(1)),
            self.metric("tAcd", self.answered, waited),
        ]);
        json!({
            "participantId": self.chance.uuid(),
            "participantName": format!("Queue {}", self.conversation.queue + 1),
            "purpose": "acd",
            "sessions": [self.session(segments, metrics)],
        })
    }

    fn voicemail(&mut self) -> Value {
        let end = self.end();
        let segments = json!([self.segment("voicemail", self.queued, end, true)]);
        let metrics = json!([self.metric("tVoicemail", end, end.duration_since(self.queued))]);
        json!({
            "participantId": self.chance.uuid(),
            "purpose": "voicemail",
            "sessions": [self.session(segments, metrics)],
        })
    }

    fn agent(&mut self) -> Value {
        let end = self.end();
        let alert = self.answered - self.answered.duration_since(self.queued) / 4;
        let segments = json!([
            self.segment("alert", alert, self.answered, true),
            self.segment("interact", self.answered, self.hung_up, true),
            self.segment("wrapup", self.hung_up, end, true),
        ]);
        let mut metrics = vec![self.metric("tAlert", self.answered, self.answered.duration_since(alert))];
        if !self.open {
            let (talk, after) = (self.hung_up.duration_since(self.answered), end.duration_since(self.hung_up));
            metrics.push(self.metric("tTalk", self.hung_up, talk));
            metrics.push(self.metric("tTalkComplete", self.hung_up, talk));
            metrics.push(self.metric("tAcw", end, after));
            metrics.push(self.metric("tHandle", end, talk + after));
        }
        let mut session = self.session(segments, metrics.into());
        if self.recorded() {
            session["recording"] = true.into();
        }
        json!({
            "participantId": self.chance.uuid(),
            "participantName": "Agent",
            "purpose": "agent",
            "userId": self.chance.pick(&self.places.agents),
            "screenRecording": self.conversation.recordings.iter().any(|r| r.kind == Kind::Screen),
            "sessions": [session],
        })
    }
}
