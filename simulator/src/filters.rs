//! `conversationFilters` and `segmentFilters` of an analytics query, evaluated on the row that would be answered.
//!
//! Owns which dimensions exist. A conversation filter looks at the conversation's own fields. A segment filter looks
//! for one segment (with its session and participant) that satisfies it whole; two filters of the list may be
//! satisfied by two segments. What is not simulated is refused with 400, never silently ignored.

use serde::Deserialize;
use serde_json::Value;

/// Conversation dimensions and the field each one reads.
const CONVERSATION: [(&str, &str); 9] = [
    ("conversationEnd", "conversationEnd"),
    ("conversationId", "conversationId"),
    ("conversationInitiator", "conversationInitiator"),
    ("conversationStart", "conversationStart"),
    ("customerParticipation", "customerParticipation"),
    ("divisionId", "divisionIds"),
    ("externalTag", "externalTag"),
    ("mediaStatsMinConversationMos", "mediaStatsMinConversationMos"),
    ("originatingDirection", "originatingDirection"),
];

/// Segment dimensions; each reads the field of its name, in the segment, then the session, then the participant.
const SEGMENT: [&str; 28] = [
    "addressFrom",
    "addressTo",
    "ani",
    "conference",
    "direction",
    "disconnectType",
    "dnis",
    "errorCode",
    "externalContactId",
    "groupId",
    "mediaType",
    "messageType",
    "participantName",
    "provider",
    "purpose",
    "queueId",
    "recording",
    "remote",
    "screenRecording",
    "segmentEnd",
    "segmentType",
    "sessionDnis",
    "snippetRecording",
    "subject",
    "teamId",
    "userId",
    "wrapUpCode",
    "wrapUpNote",
];

/// The filters of a query.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Filters {
    conversation_filters: Vec<Filter>,
    segment_filters: Vec<Filter>,
}

/// A filter, or one of its clauses: the two differ in nesting only.
#[derive(Debug, Clone, Deserialize)]
struct Filter {
    #[serde(rename = "type")]
    joined: Joined,
    #[serde(default)]
    clauses: Vec<Filter>,
    #[serde(default)]
    predicates: Vec<Predicate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Joined {
    And,
    Or,
}

#[derive(Debug, Clone, Deserialize)]
struct Predicate {
    #[serde(rename = "type")]
    about: Option<String>,
    dimension: Option<String>,
    operator: Option<Operator>,
    value: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Operator {
    Matches,
    Exists,
    NotExists,
}

impl Filters {
    /// Reads and checks the filters of a query's body.
    ///
    /// # Errors
    /// A sentence for the 400 answer.
    pub(crate) fn read(body: &Value) -> Result<Self, String> {
        let filters: Filters =
            serde_json::from_value(body.clone()).map_err(|fault| format!("Invalid filter: {fault}"))?;
        for filter in &filters.conversation_filters {
            filter.check(|name| CONVERSATION.iter().any(|(known, _)| *known == name))?;
        }
        for filter in &filters.segment_filters {
            filter.check(|name| SEGMENT.contains(&name))?;
        }
        Ok(filters)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.conversation_filters.is_empty() && self.segment_filters.is_empty()
    }

    /// Whether a row satisfies every filter.
    pub(crate) fn accept(&self, row: &Value) -> bool {
        let own = |name: &str| {
            let (_, field) = CONVERSATION.iter().find(|(known, _)| *known == name)?;
            row.get(field)
        };
        self.conversation_filters.iter().all(|filter| filter.holds(&own))
            && self.segment_filters.iter().all(|filter| some_segment(row, filter))
    }
}

fn some_segment(row: &Value, filter: &Filter) -> bool {
    let none = Value::Null;
    list(row, "participants").iter().any(|participant| {
        list(participant, "sessions").iter().any(|session| {
            let segments = list(session, "segments");
            let segments = if segments.is_empty() { std::slice::from_ref(&none) } else { segments };
            segments.iter().any(|segment| {
                filter.holds(&|name: &str| {
                    segment.get(name).or_else(|| session.get(name)).or_else(|| participant.get(name))
                })
            })
        })
    })
}

fn list<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

impl Filter {
    fn check(&self, known: impl Fn(&str) -> bool + Copy) -> Result<(), String> {
        for predicate in &self.predicates {
            if predicate.about.as_deref().is_some_and(|about| about != "dimension") {
                return Err("The simulator evaluates predicates of type dimension only".into());
            }
            let name = predicate.dimension.as_deref().unwrap_or_default();
            if !known(name) {
                return Err(format!("Unknown dimension [{name}]"));
            }
            let matches = matches!(predicate.operator, None | Some(Operator::Matches));
            if matches && predicate.value.is_none() {
                return Err(format!("Dimension [{name}] needs a value to match"));
            }
        }
        self.clauses.iter().try_for_each(|clause| clause.check(known))
    }

    fn holds<'v>(&self, field: &impl Fn(&str) -> Option<&'v Value>) -> bool {
        let mut parts = self
            .predicates
            .iter()
            .map(|predicate| predicate.holds(field))
            .chain(self.clauses.iter().map(|clause| clause.holds(field)));
        match self.joined {
            Joined::And => parts.all(|holds| holds),
            Joined::Or => parts.any(|holds| holds),
        }
    }
}

impl Predicate {
    fn holds<'v>(&self, field: &impl Fn(&str) -> Option<&'v Value>) -> bool {
        let found = field(self.dimension.as_deref().unwrap_or_default());
        match self.operator.unwrap_or(Operator::Matches) {
            Operator::Exists => found.is_some(),
            Operator::NotExists => found.is_none(),
            Operator::Matches => {
                let wanted = self.value.as_ref().map(plain).unwrap_or_default();
                match found {
                    Some(Value::Array(values)) => values.iter().any(|value| plain(value) == wanted),
                    Some(value) => plain(value) == wanted,
                    None => false,
                }
            }
        }
    }
}

/// A scalar as the text that a predicate writes: values are always strings there.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn accepts(filters: Value) -> bool {
        let row = json!({
            "conversationEnd": "x",
            "divisionIds": ["d"],
            "participants": [
                { "purpose": "customer", "sessions": [{ "mediaType": "voice" }] },
                { "purpose": "agent", "sessions": [{ "recording": true, "segments": [{ "queueId": "q" }] }] },
            ],
        });
        Filters::read(&filters).unwrap().accept(&row)
    }

    #[test]
    fn a_segment_filter_must_hold_for_one_segment_as_a_whole() {
        let purpose = json!({ "dimension": "purpose", "value": "agent" });
        let queue = json!({ "dimension": "queueId", "value": "q" });
        let media = json!({ "dimension": "mediaType", "value": "voice" });
        let filter = |kind: &str, predicates: Vec<&Value>| json!({ "segmentFilters": [{ "type": kind, "predicates": predicates }] });
        assert!(accepts(filter("and", vec![&purpose, &queue])));
        assert!(!accepts(filter("and", vec![&purpose, &media])));
        assert!(accepts(filter("or", vec![&purpose, &media])));
        assert!(accepts(json!({ "segmentFilters": [
            { "type": "and", "predicates": [purpose] }, { "type": "and", "predicates": [media] },
        ]})));
    }

    #[test]
    fn clauses_nest_and_unknown_dimensions_are_refused() {
        assert!(accepts(json!({ "conversationFilters": [{ "type": "and", "clauses": [
            { "type": "or", "predicates": [
                { "type": "dimension", "dimension": "conversationEnd", "operator": "notExists" },
                { "type": "dimension", "dimension": "divisionId", "operator": "matches", "value": "d" },
            ]},
        ]}]})));
        let unknown =
            json!({ "segmentFilters": [{ "type": "and", "predicates": [{ "dimension": "colour", "value": "red" }] }] });
        assert!(Filters::read(&unknown).is_err());
    }
}
