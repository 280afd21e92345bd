use jiff::Timestamp;
use serde_json::Value;

use super::*;
use crate::event::NewEvent;
use crate::memory::MemoryCalls;

const INVALID: &str = r#"{"data":{"success":false,"error":"invalid body"},"event":"InvalidMessage","status":"Failed"}"#;
const UNKNOWN: &str = r#"{"data":{"success":false,"error":"no suitable eventHandler for this event"},"event":"InvalidEvent","status":"Failed"}"#;

async fn desk(calls: usize, events: usize, padding: usize, longest_answer: usize) -> Desk {
    let store = Arc::new(MemoryCalls::new());
    let put = async |call: usize, n: usize| {
        let text = json!({ "type": "call.data-provided", "call_id": format!("1.{call}"), "n": n,
            "timestamp": format!("2017-01-01T00:{:02}:{:02}Z", n / 60, n % 60), "padding": "x".repeat(padding) });
        store.append(NewEvent::read(text.to_string().as_bytes()).unwrap(), Timestamp::UNIX_EPOCH).await.unwrap();
    };
    for call in 0..calls {
        put(call, 0).await;
    }
    for n in 1..events {
        put(0, n).await;
    }
    Desk::new(store, longest_answer)
}

async fn ask(desk: &Desk, text: &str) -> Value {
    serde_json::from_str(&desk.answer(text.as_bytes()).await).unwrap()
}

fn ids(answer: &Value) -> Vec<u64> {
    answer["data"].as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn whatever_is_said_has_an_answer() {
    let desk = desk(1, 1, 0, 1 << 20).await;
    let deep = format!(r#"{{"event":"ListCalls","data":{}{}}}"#, "[".repeat(60_000), "]".repeat(60_000));
    let wide = format!(r#"{{"event":"Odd","data":{{"x":{}{}}}}}"#, "[".repeat(60_000), "]".repeat(60_000));
    for (text, expected) in [
        ("", INVALID),
        ("null", INVALID),
        ("{", INVALID),
        ("{}", INVALID),
        (r#"{"event":"ListCalls"}"#, INVALID),
        (r#"{"event":"ListCalls","data":null}"#, INVALID),
        (r#"{"data":{}}"#, INVALID),
        (r#"{"event":7,"data":{}}"#, INVALID),
        (r#"{"event":null,"data":{}}"#, INVALID),
        (r#"["ListCalls",{}]"#, INVALID),
        (r#"{"event":"ListCalls","data":{},"data":{}}"#, INVALID),
        (r#"{"event":"ListCalls","data":"x"}"#, INVALID),
        (r#"{"event":"ListCalls","data":[{}]}"#, INVALID),
        (r#"{"event":"ListCalls","data":{"params":7}}"#, INVALID),
        (r#"{"event":"ListCalls","data":{"params":{"state":7}}}"#, INVALID),
        (r#"{"event":"ListCalls","data":{"params":{"limit":0}}}"#, INVALID),
        (r#"{"event":"ListCalls","data":{"params":{"limit":-1}}}"#, INVALID),
        (r#"{"event":"ListCalls","data":{"params":{"limit":100001}}}"#, INVALID),
        (r#"{"event":"ListCalls","data":{"params":{"after":1.5}}}"#, INVALID),
        (r#"{"event":"ListCalls","data":{"params":{"after":"1"}}}"#, INVALID),
        (r#"{"event":"ListCalls","data":{"params":{"before":-1}}}"#, INVALID),
        (r#"{"event":"ListCalls","data":{"params":{"after":1,"before":9}}}"#, INVALID),
        (r#"{"event":"ListCallEvents","data":{"call_id":"1.0","params":{"before":9}}}"#, INVALID),
        (r#"{"event":"ListCallEvents","data":{}}"#, INVALID),
        (r#"{"event":"ListCallEvents","data":{"call_id":7}}"#, INVALID),
        (r#"{"event":"Odd","data":{}}"#, UNKNOWN),
        (r#"{"event":"listcalls","data":{}}"#, UNKNOWN),
        (r#"{"event":"","data":"x"}"#, UNKNOWN),
        (&deep, INVALID),
        (&wide, UNKNOWN),
    ] {
        assert_eq!(desk.answer(text.as_bytes()).await, expected, "{}", &text[..text.len().min(80)]);
    }
    assert_eq!(desk.answer(b"\xff").await, INVALID);
}

#[tokio::test]
async fn no_params_is_everything_and_a_state_in_any_case_is_one() {
    let desk = desk(1200, 1, 0, LOCAL_ANSWER).await;
    for data in [r#"{}"#, r#"{"params":null}"#, r#"{"params":{}}"#, r#"{"params":{"state":null}}"#, r#"{"other":7}"#] {
        let answer = ask(&desk, &format!(r#"{{"event":"ListCalls","data":{data}}}"#)).await;
        assert_eq!(ids(&answer).len(), 1200, "{data}");
        assert_eq!(answer.as_object().unwrap().len(), 3, "{data}");
    }
    for (state, expected) in [("NEW", 1200), ("new", 1200), ("FINISHED", 0), ("ELSEWHERE", 0), ("", 0)] {
        let text = format!(r#"{{"event":"ListCalls","data":{{"params":{{"state":"{state}"}}}}}}"#);
        assert_eq!(ids(&ask(&desk, &text).await).len(), expected, "{state}");
    }
}

#[tokio::test]
async fn pages_are_those_that_are_asked_for() {
    let desk = desk(7, 7, 0, LOCAL_ANSWER).await;
    for (list, rest) in [("ListCalls", ""), ("ListCallEvents", r#""call_id":"1.0","#)] {
        let mut seen = Vec::new();
        loop {
            let after = seen.last().copied().unwrap_or(0);
            let params = format!(r#"{{{rest}"params":{{"after":{after},"limit":3}}}}"#);
            let answer = ask(&desk, &format!(r#"{{"event":"{list}","data":{params}}}"#)).await;
            assert!(answer["next"].is_null(), "what was asked for is all there");
            assert!(ids(&answer).len() <= 3);
            if ids(&answer).is_empty() {
                break;
            }
            seen.extend(ids(&answer));
        }
        assert_eq!(seen.len(), 7, "{list}");
        assert!(seen.is_sorted_by(|a, b| a < b), "{list}");
    }
}

#[tokio::test]
async fn the_newest_come_first_where_that_is_asked_for() {
    let desk = desk(7, 1, 0, LOCAL_ANSWER).await;
    let list = async |params: &str| {
        ids(&ask(&desk, &format!(r#"{{"event":"ListCalls","data":{{"params":{params}}}}}"#)).await)
    };
    assert_eq!(list(r#"{"before":9007199254740992}"#).await, [7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(list(r#"{"before":7,"limit":3}"#).await, [6, 5, 4]);
    assert_eq!(list(r#"{"before":4,"limit":3,"state":"NEW"}"#).await, [3, 2, 1]);
    assert_eq!(list(r#"{"before":4,"state":"FINISHED"}"#).await, [0; 0]);
    assert_eq!(list(r#"{"before":1}"#).await, [0; 0]);
    assert_eq!(list(r#"{"before":0}"#).await, [0; 0]);
}

#[tokio::test]
async fn an_answer_that_would_be_too_long_says_where_it_goes_on() {
    let desk = desk(60, 60, 20, 2000).await;
    for (list, rest) in [("ListCalls", ""), ("ListCallEvents", r#""call_id":"1.0","#)] {
        let (mut seen, mut after) = (Vec::new(), Value::from(0));
        while !after.is_null() {
            let text = format!(r#"{{"event":"{list}","data":{{{rest}"params":{{"after":{after},"limit":1000}}}}}}"#);
            let answer = desk.answer(text.as_bytes()).await;
            assert!(answer.len() <= 2000, "{} bytes", answer.len());
            let answer: Value = serde_json::from_str(&answer).unwrap();
            seen.extend(ids(&answer));
            after = answer["next"].clone();
            assert!(after.is_null() || after.as_u64() == seen.last().copied());
        }
        assert_eq!(seen.len(), 60, "{list}");
    }
    let (mut seen, mut before) = (Vec::new(), Value::from(1_u64 << 53));
    while !before.is_null() {
        let text = format!(r#"{{"event":"ListCalls","data":{{"params":{{"before":{before}}}}}}}"#);
        let answer = ask(&desk, &text).await;
        seen.extend(ids(&answer));
        before = answer["next"].clone();
    }
    assert!(seen.len() == 60 && seen.is_sorted_by(|a, b| a > b), "{seen:?}");
}

#[tokio::test]
async fn an_event_that_is_longer_than_any_answer_is_shown_without_its_content() {
    let desk = desk(2, 3, 3000, 2000).await;
    let (mut rows, mut after) = (Vec::new(), Value::from(0));
    while !after.is_null() {
        let text = format!(r#"{{"event":"ListCallEvents","data":{{"call_id":"1.0","params":{{"after":{after}}}}}}}"#);
        let answer = ask(&desk, &text).await;
        rows.extend(answer["data"].as_array().unwrap().clone());
        after = answer["next"].clone();
    }
    assert_eq!(rows.len(), 3);
    for row in rows {
        assert_eq!(row["event"]["type"], "call.data-provided");
        assert!(row["event"]["left_out"].as_str().unwrap().contains("bytes"), "{row}");
        assert_eq!(row["aggregate_id"], "1.0");
    }
}
