//! What wakes a function, read once at the door.
//!
//! | event | from | for |
//! |---|---|---|
//! | `{"trigger":"timer","scheduled":TIME}` | EventBridge Scheduler | every function |
//! | `{"trigger":"timer","plan":true}` | EventBridge Scheduler, once a day | query-conversations |
//! | `{"day":DAY}`, `{"from":DAY,"to":DAY}` | a person, or another program | query-conversations |
//! | `{"trigger":"timer","sweep":true}` | EventBridge Scheduler, a few times a day | move-voicemail |
//! | an event of the partner bus, `...voicemail.end` | an EventBridge rule | move-voicemail |
//! | `{"Records":[...]}` of a DynamoDB stream | the table | upload-recordings |
//!
//! Only these. Fields beside the known ones are left alone, as senders add such (`scheduled` is only for the log);
//! two kinds in one event, a known field of another type and a record of something else are refused: a function that
//! guesses does the wrong thing on a schedule. Must never show content of an event in an error beyond a short value.

mod voicemail;

use callvault_pipeline::day::Day;
use serde_json::{Map, Value};

use super::refusal::Refusal;
pub use voicemail::VoicemailEnd;

/// Longest stretch of days in one event. Longer ones are several events, so that each is planned within its time.
pub const MOST_DAYS: usize = 366;

/// What wakes a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A timer.
    Timer {
        /// Whether the days that have come since are to be planned.
        plan: bool,
    },
    /// Days to be planned, whatever the schedule says.
    Days(Vec<Day>),
    /// The table's stream: something has changed, as many records say so. Only a hint: what is due says the ledger.
    Stream(usize),
    /// A timer for which the mailboxes are to be read as a whole.
    Sweep,
    /// Voicemail was left.
    Voicemail(Box<VoicemailEnd>),
}

/// What a function accepts beside a plain timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepts {
    /// Nothing.
    Timer,
    /// Planning, and days.
    Days,
    /// The table's stream.
    Stream,
    /// Voicemail: sweeps, and events that tell of it.
    Voicemail,
}

impl Accepts {
    fn expected(self) -> &'static str {
        match self {
            Self::Timer => r#"expected {"trigger":"timer"}"#,
            Self::Days => {
                r#"expected {"trigger":"timer"}, {"trigger":"timer","plan":true}, {"day":"YYYY-MM-DD"} or {"from":"YYYY-MM-DD","to":"YYYY-MM-DD"}"#
            }
            Self::Stream => r#"expected {"trigger":"timer"} or records of the table's stream"#,
            Self::Voicemail => {
                r#"expected {"trigger":"timer"}, {"trigger":"timer","sweep":true} or an EventBridge event of a voicemail"#
            }
        }
    }
}

/// Reads an event.
///
/// # Errors
/// [`Refusal`] with the code `event-malformed`, which says what is wrong and what is expected.
pub fn read(event: &Value, accepts: Accepts) -> Result<Event, Refusal> {
    let wrong = |what: &str| Refusal::malformed(format!("{what}: {}", accepts.expected()));
    let Value::Object(fields) = event else { return Err(wrong("the event is not a JSON object")) };
    let has = |name: &str| fields.contains_key(name);
    let kinds = [has("trigger"), has("day"), has("from") || has("to"), has("Records")];
    if accepts == Accepts::Voicemail && has("detail-type") {
        return voicemail::read(fields).map(|end| Event::Voicemail(Box::new(end))).map_err(|what| wrong(&what));
    }
    match kinds {
        [true, false, false, false] => timer(fields, accepts).map_err(|what| wrong(&what)),
        [false, true, false, false] if accepts == Accepts::Days => {
            one_day(fields, "day").map(|day| Event::Days(vec![day])).map_err(|what| wrong(&what))
        }
        [false, false, true, false] if accepts == Accepts::Days => days(fields).map_err(|what| wrong(&what)),
        [false, false, false, true] if accepts == Accepts::Stream => stream(fields).map_err(|what| wrong(&what)),
        [false, false, false, false] => Err(wrong("the event says nothing that is known here")),
        [false, false, false, true] => Err(wrong("this function takes no records")),
        _ if kinds.iter().filter(|kind| **kind).count() > 1 => Err(wrong("the event says two things at once")),
        _ => Err(wrong("this function takes no days")),
    }
}

fn timer(fields: &Map<String, Value>, accepts: Accepts) -> Result<Event, String> {
    if fields.get("trigger").and_then(Value::as_str) != Some("timer") {
        return Err("`trigger` is not \"timer\"".to_owned());
    }
    if !fields.get("scheduled").is_none_or(Value::is_string) {
        return Err("`scheduled` is not a text".to_owned());
    }
    match fields.get("sweep") {
        None | Some(Value::Bool(false)) => {}
        Some(Value::Bool(true)) if accepts == Accepts::Voicemail => return Ok(Event::Sweep),
        Some(Value::Bool(true)) => return Err("this function sweeps nothing".to_owned()),
        Some(_) => return Err("`sweep` is not true or false".to_owned()),
    }
    match fields.get("plan") {
        None | Some(Value::Bool(false)) => Ok(Event::Timer { plan: false }),
        Some(Value::Bool(true)) if accepts == Accepts::Days => Ok(Event::Timer { plan: true }),
        Some(Value::Bool(true)) => Err("this function plans nothing".to_owned()),
        Some(_) => Err("`plan` is not true or false".to_owned()),
    }
}

fn one_day(fields: &Map<String, Value>, name: &str) -> Result<Day, String> {
    let text = fields.get(name).ok_or_else(|| format!("`{name}` is missing"))?;
    let text = text.as_str().ok_or_else(|| format!("`{name}` is not a text"))?;
    text.parse().map_err(|error| format!("`{name}`: {error}"))
}

fn days(fields: &Map<String, Value>) -> Result<Event, String> {
    let (from, to) = (one_day(fields, "from")?, one_day(fields, "to")?);
    // One more than allowed shows that there are too many, without walking through centuries.
    let days: Vec<Day> =
        std::iter::successors(Some(from), |day| day.next()).take_while(|day| *day <= to).take(MOST_DAYS + 1).collect();
    match days.len() {
        0 => Err(format!("`to` {to} is before `from` {from}")),
        n if n > MOST_DAYS => Err(format!("`from` to `to` are more than {MOST_DAYS} days: send them in parts")),
        _ => Ok(Event::Days(days)),
    }
}

fn stream(fields: &Map<String, Value>) -> Result<Event, String> {
    let records = fields.get("Records").and_then(Value::as_array).ok_or("`Records` is not a list")?;
    if records.is_empty() {
        return Err("`Records` is empty".to_owned());
    }
    for (place, record) in records.iter().enumerate() {
        let source = record.get("eventSource").and_then(Value::as_str);
        if source != Some("aws:dynamodb") {
            let source: String = source.unwrap_or("nothing").chars().filter(|c| !c.is_control()).take(40).collect();
            return Err(format!("record {place} comes from {source}, not from aws:dynamodb"));
        }
        let sequence = record.get("dynamodb").and_then(|change| change.get("SequenceNumber"));
        if sequence.and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(format!("record {place} has no dynamodb.SequenceNumber"));
        }
    }
    Ok(Event::Stream(records.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_function_takes_its_own_events() {
        let timer = json!({"trigger": "timer", "scheduled": "2026-01-21T06:00:00Z", "added": 1});
        let plan = json!({"trigger": "timer", "plan": true});
        let day = json!({"day": "2026-01-20"});
        let records = json!({"Records": [{"eventSource": "aws:dynamodb", "dynamodb": {"SequenceNumber": "1"}}]});
        let taken = |accepts| [&timer, &plan, &day, &records].map(|event| read(event, accepts).is_ok());
        assert_eq!(taken(Accepts::Timer), [true, false, false, false]);
        assert_eq!(taken(Accepts::Days), [true, true, true, false]);
        assert_eq!(taken(Accepts::Stream), [true, false, false, true]);
    }

    #[test]
    fn a_stretch_has_its_ends_and_a_limit() {
        let stretch = |from: &str, to: &str| read(&json!({"from": from, "to": to}), Accepts::Days);
        let Ok(Event::Days(days)) = stretch("2026-01-30", "2026-02-02") else { panic!("not days") };
        assert_eq!(
            days.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            "2026-01-30 2026-01-31 2026-02-01 2026-02-02"
        );
        let Ok(Event::Days(days)) = stretch("2024-01-01", "2024-12-31") else { panic!("not days") };
        assert_eq!(days.len(), MOST_DAYS);
        for (from, to) in [("2024-01-01", "2025-01-01"), ("0001-01-01", "9999-12-31"), ("2026-01-02", "2026-01-01")] {
            assert_eq!(stretch(from, to).unwrap_err().code, "event-malformed", "{from} {to}");
        }
    }
}
