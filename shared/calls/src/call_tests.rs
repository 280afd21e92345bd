use proptest::prelude::*;

use super::*;
use crate::event::{EventType, NewEvent};
use crate::memory::MemoryCalls;
use crate::store::{Appended, CallStore as _, Page};

fn stored(id: u64, kind: &str, at: &str) -> StoredEvent {
    let text = format!(r#"{{"type":"{kind}","call_id":"1.1","timestamp":"{at}"}}"#);
    StoredEvent::of(NewEvent::read(text.as_bytes()).unwrap(), id, Timestamp::UNIX_EPOCH)
}

#[test]
fn events_of_one_second_count_in_the_order_of_a_calls_life() {
    let at = "2017-01-01T00:00:00Z";
    let events = [stored(3, "call.finished", at), stored(4, "call.new", at), stored(5, "actor.left", at)];
    let call = fold(&events).unwrap();
    assert_eq!((call.state, call.id, call.version), (State::Finished, 3, 3));
    assert_eq!(fold([]), None);
}

#[test]
fn the_words_are_those_that_clients_know() {
    let words: Vec<&str> = State::ALL.iter().map(|state| state.as_str()).collect();
    assert_eq!(words, ["NEW", "STANDBY", "WAITING", "ONGOING", "FINISHED"]);
    for state in State::ALL {
        assert_eq!(state.as_str().to_lowercase().parse(), Ok(state));
        assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
    }
    assert_eq!("".parse::<State>(), Err(UnknownState));
}

#[test]
fn a_difference_that_is_not_shown_is_none() {
    let one = Call::begun(&stored(1, "call.new", "2017-01-01T00:00:00.0001Z")).unwrap();
    let other = Call { version: 7, updated_at: "2017-01-01T00:00:00.0009Z".parse().unwrap(), ..one.clone() };
    assert!(one.looks_like(&other));
    assert!(!one.looks_like(&Call { state: State::Waiting, ..one.clone() }));
    assert!(!one.looks_like(&Call { updated_at: "2017-01-01T00:00:00.001Z".parse().unwrap(), ..one.clone() }));
}

/// Texts of events: a few calls, few seconds, so that they often meet; some with an actor, some unknown.
fn texts() -> impl Strategy<Value = Vec<String>> {
    let kinds: Vec<&str> = EventType::KNOWN.into_iter().chain(["call.teleported", "odd"]).collect();
    let one = (proptest::sample::select(kinds), 0..3_u8, 0..4_u8, proptest::option::of(0..2_u8));
    let text = one.prop_map(|(kind, call, second, actor)| {
        let actor = actor.map(|actor| format!(r#","actor":"{actor}@example.com""#)).unwrap_or_default();
        format!(r#"{{"type":"{kind}","call_id":"1.{call}","timestamp":"2017-01-01T00:00:0{second}Z"{actor}}}"#)
    });
    proptest::collection::vec(text, 0..24)
}

/// What of a call must not depend on the order in which its events came.
fn shown(calls: &[Call]) -> Vec<(String, State, Timestamp, Timestamp, u64)> {
    let one = |call: &Call| (call.call.to_string(), call.state, call.created_at, call.updated_at, call.version);
    let mut shown: Vec<_> = calls.iter().map(one).collect();
    shown.sort();
    shown
}

async fn told(texts: &[String]) -> (MemoryCalls, Vec<Call>) {
    let store = MemoryCalls::new();
    for text in texts {
        store.append(NewEvent::read(text.as_bytes()).unwrap(), Timestamp::UNIX_EPOCH).await.unwrap();
    }
    let calls = store.calls(None, Page::OLDEST, 100).await.unwrap();
    (store, calls)
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

proptest! {
    /// Any order and any repetition of events makes the same calls; a rebuild finds them as they are.
    #[test]
    fn order_and_repetition_change_nothing(
        (texts, jumbled) in texts().prop_flat_map(|texts| {
            let twice: Vec<String> = texts.iter().chain(&texts).cloned().collect();
            (Just(texts), Just(twice).prop_shuffle())
        })
    ) {
        run(async {
            let (_, plain) = told(&texts).await;
            let (store, calls) = told(&jumbled).await;
            prop_assert_eq!(shown(&calls), shown(&plain));
            let rebuilt = store.rebuild().await.unwrap();
            prop_assert_eq!((rebuilt.calls, rebuilt.repaired), (calls.len() as u64, 0));
            prop_assert_eq!(store.calls(None, Page::OLDEST, 100).await.unwrap(), calls);
            Ok(())
        })?;
    }

    /// The last event that says a state decides; no event is lost.
    #[test]
    fn the_last_word_on_its_state_decides(texts in texts()) {
        run(async {
            let (store, calls) = told(&texts).await;
            for call in calls {
                let events = store.events(Some(&call.call), 0, 100).await.unwrap();
                let last = events.iter().filter_map(|event| Some((event.at, event.kind.state()?))).max();
                prop_assert_eq!(call.state, last.map_or(State::New, |(_, state)| state));
                prop_assert_eq!(call.version, events.len() as u64);
                prop_assert_eq!(Some(call.created_at), events.iter().map(|event| event.at).min());
                prop_assert_eq!(Some(call.updated_at), events.iter().map(|event| event.at).max());
            }
            let again = store.append(NewEvent::read(br#"{"type":"odd"}"#).unwrap(), Timestamp::UNIX_EPOCH).await;
            let is_new = matches!(again.unwrap(), Appended::New { call: None, .. });
            prop_assert!(is_new);
            Ok(())
        })?;
    }
}
