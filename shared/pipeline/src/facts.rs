//! What is kept of a conversation: enough to export, describe and account for it, and nothing about the caller.

use callvault_genesys::ids::{ConversationId, QueueId};
use callvault_genesys::models::{Conversation, Direction, Found, MediaType};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::reason::Reason;

/// Facts of a conversation, from the analytics API. No names, no numbers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Facts {
    /// When it started.
    pub start: Option<Timestamp>,
    /// When it ended.
    pub end: Option<Timestamp>,
    /// Who began.
    pub direction: Option<Direction>,
    /// The media of its sessions, each once, in order of appearance.
    pub media: Vec<MediaType>,
    /// The queues it went through, each once.
    pub queues: Vec<String>,
    /// The divisions it belongs to.
    pub divisions: Vec<String>,
    /// Whether an agent took part.
    pub agent: bool,
    /// Whether a session says it was recorded.
    pub recorded: bool,
    /// Sum of the metric `tHandle`, in milliseconds; `None` when it has none.
    pub handle_ms: Option<i64>,
}

impl Facts {
    /// The facts of `conversation`.
    pub fn of(conversation: &Conversation) -> Self {
        let mut facts = Self {
            start: Some(conversation.conversation_start),
            end: conversation.conversation_end,
            direction: conversation.originating_direction.clone(),
            divisions: conversation.division_ids.clone(),
            ..Self::default()
        };
        for participant in &conversation.participants {
            facts.agent |= participant.purpose.as_deref() == Some("agent");
            for session in &participant.sessions {
                facts.recorded |= session.recording == Some(true);
                if let Some(media) = &session.media_type
                    && !facts.media.contains(media)
                {
                    facts.media.push(media.clone());
                }
                for metric in session.metrics.iter().filter(|m| m.name.as_deref() == Some("tHandle")) {
                    let value = metric.value.unwrap_or_default();
                    if value.is_finite() {
                        // Milliseconds of one conversation: far below where f64 loses whole numbers.
                        *facts.handle_ms.get_or_insert(0) += value as i64;
                    }
                }
                for queue in session.segments.iter().filter_map(|s| s.queue_id.as_ref()) {
                    if !facts.queues.contains(queue) {
                        facts.queues.push(queue.clone());
                    }
                }
            }
        }
        facts
    }
}

/// Which conversations are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Only conversations that went through one of these queues; empty for all.
    pub queues: Vec<QueueId>,
    /// Only conversations in which an agent took part.
    pub require_agent: bool,
    /// Only conversations of which analytics says that something was recorded.
    pub recorded_only: bool,
}

/// A conversation on its way into the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct NewConversation {
    /// Its id.
    pub id: ConversationId,
    /// What is known of it.
    pub facts: Facts,
    /// What becomes of it.
    pub intake: Intake,
}

/// What becomes of a conversation when it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intake {
    /// Its recordings are wanted.
    Export,
    /// The settings leave it out.
    LeftOut(Reason),
    /// It cannot be worked on.
    Parked(Reason),
}

impl Wanted {
    /// Whether conversations of the source may be left out, beside those that it does not report for its queues.
    pub fn leaves_some_out(&self) -> bool {
        self.require_agent || self.recorded_only
    }

    /// Turns a row of the source into one for the ledger.
    pub fn take(&self, found: &Found) -> NewConversation {
        match found {
            Found::Readable(conversation) => {
                let facts = Facts::of(conversation);
                let intake = self.judge(&facts);
                NewConversation { id: conversation.conversation_id.clone(), facts, intake }
            }
            // The id is all that a batch needs; without it there is nothing to ask for.
            Found::Unreadable { id, start, .. } => NewConversation {
                id: id.clone(),
                facts: Facts { start: *start, ..Facts::default() },
                intake: if id.is_stand_in() { Intake::Parked(Reason::UnreadableId) } else { Intake::Export },
            },
        }
    }

    fn judge(&self, facts: &Facts) -> Intake {
        if !self.queues.is_empty()
            && !facts.queues.iter().any(|q| self.queues.iter().any(|w| w.as_str().eq_ignore_ascii_case(q)))
        {
            Intake::LeftOut(Reason::OtherQueue)
        } else if self.require_agent && !facts.agent {
            Intake::LeftOut(Reason::NoAgent)
        } else if self.recorded_only && !facts.recorded {
            Intake::LeftOut(Reason::NotRecorded)
        } else {
            Intake::Export
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(text: &str) -> Found {
        let page: callvault_genesys::models::ConversationPage =
            serde_json::from_str(&format!("{{\"conversations\":[{text}]}}")).unwrap();
        page.conversations.into_iter().next().unwrap()
    }

    const TYPICAL: &str = r#"{"conversationId":"c1","conversationStart":"2026-01-15T10:00:00.000Z",
        "conversationEnd":"2026-01-15T10:05:00.000Z","originatingDirection":"inbound","divisionIds":["d1"],
        "participants":[
          {"purpose":"customer","sessions":[{"mediaType":"voice","recording":true,"ani":"tel:+13175550100",
             "metrics":[{"name":"nConnected","value":1}],"segments":[{"queueId":"q1"}]}]},
          {"purpose":"agent","sessions":[{"mediaType":"voice","metrics":[{"name":"tHandle","value":60000},{"name":"tHandle","value":1500}],
             "segments":[{"queueId":"q1"},{"queueId":"q2"}]}]}]}"#;

    #[test]
    fn handle_time_queues_and_agent_are_read_from_all_sessions() {
        let taken = Wanted::default().take(&conversation(TYPICAL));
        assert_eq!(taken.facts.handle_ms, Some(61_500));
        assert_eq!(taken.facts.queues, ["q1", "q2"]);
        assert!(taken.facts.agent && taken.facts.recorded);
        assert_eq!(taken.facts.media, [MediaType::Voice]);
        assert!(!serde_json::to_string(&taken.facts).unwrap().contains("317555"), "no numbers are kept");
    }

    #[test]
    fn filters_leave_out_with_their_reason() {
        let queue = |id: &str| Wanted { queues: vec![id.parse().unwrap()], require_agent: true, recorded_only: true };
        assert_eq!(queue("q2").take(&conversation(TYPICAL)).intake, Intake::Export);
        assert_eq!(queue("q9").take(&conversation(TYPICAL)).intake, Intake::LeftOut(Reason::OtherQueue));
        let nobody = TYPICAL.replace("\"agent\"", "\"ivr\"");
        assert_eq!(queue("q2").take(&conversation(&nobody)).intake, Intake::LeftOut(Reason::NoAgent));
        let silent = TYPICAL.replace("\"recording\":true", "\"recording\":false");
        assert_eq!(queue("q2").take(&conversation(&silent)).intake, Intake::LeftOut(Reason::NotRecorded));
        assert_eq!(Wanted::default().take(&conversation(&silent)).intake, Intake::Export);
    }

    #[test]
    fn an_unreadable_row_is_exported_where_its_id_is_an_id_and_parked_where_not() {
        let half = conversation(r#"{"conversationId":"c2","conversationStart":17}"#);
        assert_eq!(Wanted::default().take(&half).intake, Intake::Export);
        let evil = conversation(r#"{"conversationId":"../x","conversationStart":"2026-01-15T10:00:00Z"}"#);
        let taken = Wanted::default().take(&evil);
        assert_eq!(taken.intake, Intake::Parked(Reason::UnreadableId));
        assert!(taken.facts.start.is_some());
    }
}
