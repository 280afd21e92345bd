use super::*;

fn read(text: &str) -> Result<NewEvent, Malformed> {
    NewEvent::read(text.as_bytes())
}

#[test]
fn every_known_type_is_read_and_says_what_it_says() {
    let states = [("call.new", State::New), ("call.standby", State::Standby), ("call.waiting", State::Waiting)];
    let states = states.into_iter().chain([("call.ongoing", State::Ongoing), ("call.finished", State::Finished)]);
    let states: std::collections::BTreeMap<&str, State> = states.collect();
    for kind in EventType::KNOWN {
        let text = format!(
            r#"{{"type":"{kind}","call_id":"1.1","code":1,"actor":"a@example.com","timestamp":"2017-01-01T00:00:00Z"}}"#
        );
        let event = read(&text).unwrap();
        let alone = ["actor.logged-in", "actor.logged-out", "actor.paused", "actor.unpaused"].contains(&kind);
        assert_eq!(event.call.is_none(), alone, "{kind}");
        assert_eq!((event.kind.as_str(), event.kind.shown()), (kind, kind));
        assert_eq!(event.kind.state(), states.get(kind).copied(), "{kind}");
        assert_eq!(event.received.get(), text);
        assert!(!format!("{event:?}").contains("example.com"));
    }
}

#[test]
fn what_is_wrong_with_a_known_type_is_named_and_not_repeated() {
    let planted = "+15550100";
    for (text, expected) in [
        (r#"{"call_id":"1.1","timestamp":"2017-01-01T00:00:00Z"}"#, Malformed::Type),
        (r#"{"type":"","call_id":"1.1"}"#, Malformed::Type),
        (r#"{"type":null}"#, Malformed::Type),
        (r#"{"type":7}"#, Malformed::Type),
        (r#"{"type":["call.new"]}"#, Malformed::Type),
        (r#"{"type":"\ud83d"}"#, Malformed::Type),
        (r#"{"type":"call.new","timestamp":"2017-01-01T00:00:00Z"}"#, Malformed::CallId),
        (r#"{"type":"call.new","call_id":null,"timestamp":"2017-01-01T00:00:00Z"}"#, Malformed::CallId),
        (r#"{"type":"call.new","call_id":"","timestamp":"2017-01-01T00:00:00Z"}"#, Malformed::CallId),
        (r#"{"type":"call.new","call_id":1463669263.30033,"timestamp":"2017-01-01T00:00:00Z"}"#, Malformed::CallId),
        (r#"{"type":"call.new","call_id":"a\nb","timestamp":"2017-01-01T00:00:00Z"}"#, Malformed::CallId),
        (r#"{"type":"peer.ringing","call_id":7}"#, Malformed::CallId),
        (r#"{"type":"call.new","call_id":"1.1"}"#, Malformed::Timestamp),
        (r#"{"type":"call.new","call_id":"1.1","timestamp":1483228800}"#, Malformed::Timestamp),
        (r#"{"type":"call.new","call_id":"1.1","timestamp":"+15550100"}"#, Malformed::Timestamp),
        (r#"{"type":"actor.paused","actor":"a"}"#, Malformed::Timestamp),
        (r#"{"type":"dialer.attempt","timestamp":"yesterday"}"#, Malformed::Timestamp),
        (r#"{"type":"actor.left","call_id":"1.1","timestamp":"2017-01-01T00:00:00Z","actor":{}}"#, Malformed::Actor),
    ] {
        let error = read(text).unwrap_err();
        assert_eq!(error, expected, "{text}");
        assert!(!error.to_string().contains(planted), "{error}");
    }
    let long = "x".repeat(129);
    assert_eq!(read(&format!(r#"{{"type":"{long}"}}"#)).unwrap_err(), Malformed::Type);
    let call = format!(r#"{{"type":"call.new","call_id":"{long}","timestamp":"2017-01-01T00:00:00Z"}}"#);
    assert_eq!(read(&call).unwrap_err(), Malformed::CallId);
}

#[test]
fn what_is_wrong_with_an_unknown_type_counts_as_not_there() {
    let event = read(r#"{"type":"call.teleported","call_id":7,"timestamp":"yesterday","actor":[]}"#).unwrap();
    assert_eq!((event.call, event.at, event.actor), (None, None, None));
    assert_eq!((event.kind.as_str(), event.kind.shown(), event.kind.state()), ("call.teleported", "unknown", None));
    let event = read(r#"{"type":"CALL.NEW","call_id":"1.1","timestamp":"2017-01-01T00:00:00Z"}"#).unwrap();
    assert_eq!((event.kind.shown(), event.call.unwrap().as_str()), ("unknown", "1.1"));
}

#[test]
fn what_is_no_json_object_says_where() {
    for text in ["", " ", "null", "[]", "\"call.new\"", "7", r#"[{"type":"call.new"}]"#, "\u{feff}{}"] {
        assert_eq!(read(text).unwrap_err(), Malformed::NotAnObject, "{text}");
    }
    for (text, line, column) in [
        ("{", 1, 1),
        ("{\"type\":\"odd\"", 1, 13),
        ("{\"type\":\"odd\"}\n}", 2, 1),
        ("{\"type\":\"odd\",\n \"type\":\"odd\"}", 2, 7),
        ("{'type':'odd'}", 1, 2),
        ("{\"type\":\"odd\",\"n\":01}", 1, 20),
        ("{\"type\":\"odd\",\"n\":NaN}", 1, 19),
        ("{\"type\":\"odd\",\"x\":\"\t\"}", 1, 19),
    ] {
        assert_eq!(read(text).unwrap_err(), Malformed::NotJson { line, column }, "{text}");
    }
    assert_eq!(NewEvent::read(b"{\n\"type\":\"\xff\"}").unwrap_err(), Malformed::NotJson { line: 2, column: 9 });
}

#[test]
fn nesting_is_limited_and_strings_are_no_nesting() {
    let nested = |depth: usize| format!(r#"{{"type":"odd","x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert!(read(&nested(DEEPEST - 1)).is_ok());
    for depth in [DEEPEST, 200, 100_000] {
        assert_eq!(read(&nested(depth)).unwrap_err(), Malformed::TooDeep);
    }
    let objects = format!(r#"{{"type":"odd","x":{}1"#, r#"{"x":"#.repeat(200_000));
    assert_eq!(read(&objects).unwrap_err(), Malformed::TooDeep);
    let text = format!(r#"{{"type":"odd","x":"\"{}\\"}}"#, "[{".repeat(500));
    assert!(read(&text).is_ok());
}

proptest::proptest! {
    /// Whatever comes, there is an answer, and what was taken is kept as it came.
    #[test]
    fn any_bytes_have_an_answer(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        if let Ok(event) = NewEvent::read(&bytes) {
            proptest::prop_assert_eq!(event.received.get().as_bytes(), bytes.trim_ascii());
        }
    }

    #[test]
    fn nearly_events_have_an_answer(text in r#"\{("(type|call_id|timestamp|actor)":("call\.new"|"1\.1"|"2017-01-01T00:00:00Z"|[0-9]{1,3}|null|\[\]|\{\}),?){0,5}\}?"#) {
        let read = NewEvent::read(text.as_bytes());
        proptest::prop_assert!(!matches!(read, Err(Malformed::TooDeep | Malformed::NotAnObject)));
    }
}
