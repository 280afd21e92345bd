//! What every store of calls must do, whatever it is made of.
//!
//! [`calls_contract!`](crate::calls_contract) makes one test of every case, each with a new, empty store. Numbers are compared by
//! their order only: a store may leave gaps.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a contract stops the test where it is broken")]

use std::sync::Arc;

use callvault_calls::call::{Call, State, fold};
use callvault_calls::desk::Desk;
use callvault_calls::event::{CallId, NewEvent};
use callvault_calls::message;
use callvault_calls::store::{Appended, CallStore, PAGE_BYTES, Page, StoredEvent};
use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Makes a module of tests: every case of the contract over stores made by `$make`, an `async fn` that answers
/// whatever must outlive the store, and the store in an `Arc`.
#[macro_export]
macro_rules! calls_contract {
    ($name:ident, $make:path) => {
        mod $name {
            $crate::calls_contract!(@each $make:
                a_call_begins_with_its_first_event, a_life_goes_through_its_states, an_event_counts_once,
                one_of_many_at_once_is_the_new_one, any_order_ends_in_the_same_call, odd_transitions_lose_nothing,
                unknown_types_are_kept_and_change_no_state, events_of_no_call_are_kept_by_themselves,
                an_event_is_kept_as_it_was_received, calls_are_listed_by_state,
                pages_follow_each_other, large_events_come_in_several_pages, events_of_one_call_at_once_are_all_counted,
                a_rebuild_changes_nothing_that_is_right, clients_get_the_answers_they_know
            );
        }
    };
    (@each $make:path: $($case:ident),+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (_keep, store) = $make().await;
                $crate::contract_calls::$case(store).await;
            }
        )+
    };
}

/// A store under test.
pub type Store = Arc<dyn CallStore>;

/// When everything in the contract is received.
pub fn now() -> Timestamp {
    "2026-01-31T12:00:00.123456789Z".parse().unwrap()
}

/// An event, as it is sent: so many seconds into 2017.
pub fn sent(kind: &str, call: &str, second: u8) -> String {
    let (minute, second) = (second / 60, second % 60);
    json!({ "type": kind, "call_id": call, "timestamp": format!("2017-01-01T00:{minute:02}:{second:02}Z") }).to_string()
}

/// An event, read.
pub fn event(text: &str) -> NewEvent {
    NewEvent::read(text.as_bytes()).unwrap()
}

/// Stores an event that must be new. Answers its number and its call.
pub async fn put(store: &Store, text: &str) -> (u64, Option<Call>) {
    match store.append(event(text), now()).await.unwrap() {
        Appended::New { id, call, .. } => (id, call),
        Appended::Duplicate => panic!("not a new one: {text}"),
    }
}

/// All calls.
pub async fn calls(store: &Store) -> Vec<Call> {
    store.calls(None, Page::OLDEST, 1000).await.unwrap()
}

/// All events of a call, or of none.
pub async fn events(store: &Store, call: Option<&str>) -> Vec<StoredEvent> {
    let call: Option<CallId> = call.map(|call| call.parse().unwrap());
    let (mut all, mut after) = (Vec::<StoredEvent>::new(), 0);
    loop {
        let page = store.events(call.as_ref(), after, 1000).await.unwrap();
        let Some(last) = page.last() else { return all };
        assert!(last.id > after, "a page that goes back");
        after = last.id;
        all.extend(page);
    }
}

async fn state(store: &Store, call: &str) -> State {
    store.call(&call.parse().unwrap()).await.unwrap().unwrap().state
}

/// A call is known by its first event, whatever that is.
pub async fn a_call_begins_with_its_first_event(store: Store) {
    assert_eq!(store.call(&"1.1".parse().unwrap()).await.unwrap(), None);
    assert_eq!(calls(&store).await, []);
    let (id, call) = put(&store, &sent("actor.entered", "1.1", 7)).await;
    let call = call.unwrap();
    assert!((1..1 << 53).contains(&id));
    assert_eq!((call.id, call.call.as_str(), call.state, call.version), (id, "1.1", State::New, 1));
    let at = "2017-01-01T00:00:07Z".parse().unwrap();
    assert_eq!((call.created_at, call.updated_at), (at, at));
    assert_eq!(calls(&store).await, [call]);
}

/// Every event of a life leaves the call in its state.
pub async fn a_life_goes_through_its_states(store: Store) {
    let life = [
        ("call.new", State::New),
        ("call.standby", State::Standby),
        ("call.waiting", State::Waiting),
        ("actor.entered", State::Waiting),
        ("call.ongoing", State::Ongoing),
        ("actor.left", State::Ongoing),
        ("call.finished", State::Finished),
    ];
    let mut first = None;
    for (second, (kind, expected)) in (0_u8..).zip(life) {
        let (id, call) = put(&store, &sent(kind, "1.1", second)).await;
        let call = call.unwrap();
        assert_eq!((call.state, call.version), (expected, u64::from(second) + 1), "{kind}");
        assert_eq!(call.id, *first.get_or_insert(id), "{kind}");
        assert_eq!(call.updated_at, format!("2017-01-01T00:00:{second:02}Z").parse().unwrap());
        assert_eq!(call.created_at, "2017-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(store.call(&call.call).await.unwrap(), Some(call));
    }
}

/// The same event again changes nothing, also where what does not identify it is different.
pub async fn an_event_counts_once(store: Store) {
    let text = sent("call.new", "1.1", 0);
    let (_, call) = put(&store, &text).await;
    let other = text.replace("00Z", "00.000Z").replace('}', r#","code":"other"}"#);
    for again in [&text, &other] {
        assert_eq!(store.append(event(again), now()).await.unwrap(), Appended::Duplicate);
    }
    assert_eq!(calls(&store).await, [call.unwrap()]);
    let events = events(&store, Some("1.1")).await;
    assert_eq!(events.iter().map(|event| event.received.get()).collect::<Vec<_>>(), [text]);
}

/// The same event many times at once is stored once.
pub async fn one_of_many_at_once_is_the_new_one(store: Store) {
    let text = sent("call.new", "1.1", 0);
    let all = join_all((0..20).map(|_| store.append(event(&text), now()))).await;
    let new = all.into_iter().filter(|appended| matches!(appended.as_ref().unwrap(), Appended::New { .. }));
    assert_eq!(new.count(), 1);
    assert_eq!(calls(&store).await[0].version, 1);
}

/// Events that arrive in another order make the same call.
pub async fn any_order_ends_in_the_same_call(store: Store) {
    // Two at each second, as events of one second come.
    let kinds =
        ["call.new", "call.standby", "call.waiting", "actor.entered", "call.ongoing", "actor.left", "call.finished"];
    let orders = [[0, 1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1, 0], [3, 6, 0, 5, 1, 4, 2], [4, 0, 6, 2, 5, 3, 1]];
    for (n, order) in orders.iter().enumerate() {
        for at in order {
            put(&store, &sent(kinds[*at], &format!("1.{n}"), (*at / 2) as u8)).await;
        }
    }
    let calls = calls(&store).await;
    assert_eq!(calls.len(), orders.len());
    for call in &calls {
        assert_eq!((call.state, call.version), (State::Finished, 7), "{call:?}");
        assert_eq!((call.created_at, call.updated_at), (calls[0].created_at, calls[0].updated_at), "{call:?}");
        let told = events(&store, Some(call.call.as_str())).await;
        assert_eq!(fold(&told).as_ref(), Some(call));
    }
}

/// States are skipped, and come back.
pub async fn odd_transitions_lose_nothing(store: Store) {
    for (second, kind, expected) in [
        (1, "call.waiting", State::Waiting),
        (2, "call.finished", State::Finished),
        (3, "call.ongoing", State::Ongoing),
        (4, "call.new", State::New),
        (5, "call.queue-abandon", State::New),
        (0, "call.finished", State::New),
        (6, "call.standby", State::Standby),
    ] {
        put(&store, &sent(kind, "1.1", second)).await;
        assert_eq!(state(&store, "1.1").await, expected, "{kind}");
    }
    assert_eq!(events(&store, Some("1.1")).await.len(), 7);
}

/// What is not known is stored like the rest, and says no state.
pub async fn unknown_types_are_kept_and_change_no_state(store: Store) {
    put(&store, &sent("call.ongoing", "1.1", 0)).await;
    let (_, call) = put(&store, &sent("call.teleported", "1.1", 9)).await;
    let call = call.unwrap();
    assert_eq!((call.state, call.updated_at), (State::Ongoing, "2017-01-01T00:00:09Z".parse().unwrap()));
    // Without a time, it happened when it was received; it is told from another by what it says.
    let text = r#"{"type":"call.teleported","call_id":"1.1","to":1}"#;
    let (_, call) = put(&store, text).await;
    assert_eq!(call.unwrap().updated_at, now());
    put(&store, &text.replace('1', "2")).await;
    put(&store, &text.replace(":1}", ":2}")).await;
    assert_eq!(store.append(event(text), now()).await.unwrap(), Appended::Duplicate);
    let kinds: Vec<_> = events(&store, Some("1.1")).await.iter().map(|event| event.kind.shown()).collect();
    assert_eq!(kinds, ["call.ongoing", "unknown", "unknown", "unknown"]);
    let answer = Desk::new(store, 1 << 20).answer(br#"{"event":"ListCallEvents","data":{"call_id":"1.1"}}"#).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((&answer["data"][0]["type"], &answer["data"][1]["type"]), (&Value::Null, &json!("unknown")));
    assert_eq!(answer["data"][2]["event"], serde_json::from_str::<Value>(text).unwrap());
}

/// What belongs to no call is no call, and is not lost.
pub async fn events_of_no_call_are_kept_by_themselves(store: Store) {
    let of_none = [
        r#"{"type":"actor.logged-in","actor":"a@example.com","timestamp":"2017-01-01T00:00:00Z"}"#,
        r#"{"type":"actor.logged-in","actor":"b@example.com","timestamp":"2017-01-01T00:00:00Z"}"#,
        r#"{"type":"actor.paused","actor":"a@example.com","call_id":"1.1","timestamp":"2017-01-01T00:00:00Z"}"#,
        r#"{"type":"dialer.attempt","timestamp":"2017-01-01T00:00:00Z","number":"1"}"#,
        r#"{"type":"dialer.attempt","timestamp":"2017-01-01T00:00:00Z","number":"2"}"#,
        r#"{"type":"peer.ringing"}"#,
        r#"{"type":"odd"}"#,
    ];
    for text in of_none {
        assert_eq!(put(&store, text).await.1, None, "{text}");
        assert_eq!(store.append(event(text), now()).await.unwrap(), Appended::Duplicate, "{text}");
    }
    put(&store, &sent("call.new", "1.1", 0)).await;
    assert_eq!(calls(&store).await.len(), 1);
    let kept = events(&store, None).await;
    assert_eq!(kept.iter().map(|event| event.received.get()).collect::<Vec<_>>(), of_none);
    assert!(kept.iter().all(|event| event.call.is_none()));
    assert_eq!((kept[0].at, kept[5].at), ("2017-01-01T00:00:00Z".parse().unwrap(), now()));
}

/// Byte for byte, with what it has beside its fields, its spaces, and the spelling of its numbers.
pub async fn an_event_is_kept_as_it_was_received(store: Store) {
    let odd = "{ \"z\" : 1e400,\n\t\"call_id\":\"1.\\u0031\", \"\\u0000\":[[[]]],\"n\":0.10, \"type\":\"call.new\",
        \"emoji\":\"\u{1f4de}\\ud83d\", \"timestamp\":\"2017-01-01T00:00:00.123456789+00:00\",\"a\":12345678901234567890123 }";
    put(&store, &format!("\r\n {odd}\t\n")).await;
    let kept = events(&store, Some("1.1")).await;
    assert_eq!(kept[0].received.get(), odd);
    assert_eq!(kept[0].at, "2017-01-01T00:00:00.123456789Z".parse().unwrap());
    assert_eq!(kept[0].uuid, event(odd).uuid);
}

/// A call is in the list of its state only.
pub async fn calls_are_listed_by_state(store: Store) {
    for (call, kind) in [("1.1", "call.new"), ("1.2", "call.new"), ("1.3", "call.waiting"), ("1.1", "call.finished")] {
        put(&store, &sent(kind, call, if kind == "call.finished" { 9 } else { 0 })).await;
    }
    let listed = async |state| {
        let calls = store.calls(state, Page::OLDEST, 1000).await.unwrap();
        calls.iter().map(|call| call.call.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(listed(None).await, ["1.1", "1.2", "1.3"]);
    assert_eq!(listed(Some(State::New)).await, ["1.2"]);
    assert_eq!(listed(Some(State::Waiting)).await, ["1.3"]);
    assert_eq!(listed(Some(State::Finished)).await, ["1.1"]);
    assert!(listed(Some(State::Ongoing)).await.is_empty());
}

/// The numbers of a list, in pages of this size.
async fn numbers(store: &Store, state: Option<State>, from: Page, size: usize) -> Vec<u64> {
    let (mut seen, mut page) = (Vec::new(), from);
    loop {
        let calls = store.calls(state, page, size).await.unwrap();
        assert!(calls.len() <= size);
        let Some(last) = calls.last() else { return seen };
        page = page.then(last.id);
        seen.extend(calls.into_iter().map(|call| call.id));
    }
}

/// Pages of any size give every row once, in order; a row that is new while they are read comes last.
pub async fn pages_follow_each_other(store: Store) {
    for n in 0..25 {
        let kind = if n % 2 == 0 { "call.new" } else { "call.waiting" };
        put(&store, &sent(kind, &format!("1.{n}"), 0)).await;
        put(&store, &sent("call.data-provided", "2.1", n)).await;
    }
    for (state, expected) in [(None, 26), (Some(State::Waiting), 12)] {
        for size in [1, 2, 7, 100] {
            let seen = numbers(&store, state, Page::OLDEST, size).await;
            assert!(seen.is_sorted_by(|a, b| a < b));
            assert_eq!(seen.len(), expected, "{state:?} in pages of {size}");
            let mut backwards = numbers(&store, state, Page::NEWEST, size).await;
            backwards.reverse();
            assert_eq!(backwards, seen, "{state:?} backwards in pages of {size}");
        }
    }
    let call = "2.1".parse().unwrap();
    let (mut seen, mut after) = (Vec::new(), 0);
    while let Some(last) = seen.last().copied().filter(|last| *last != after).or((after == 0).then_some(0)) {
        after = last;
        seen.extend(store.events(Some(&call), after, 4).await.unwrap().into_iter().map(|event| event.id));
    }
    assert_eq!(seen.len(), 25);
    assert!(seen.is_sorted_by(|a, b| a < b));
    assert!(store.events(Some(&call), u64::MAX, 4).await.unwrap().is_empty());
    for end in [Page::After(u64::MAX), Page::Before(1), Page::Before(0)] {
        assert!(store.calls(None, end, 4).await.unwrap().is_empty(), "{end:?}");
    }
}

/// A page holds a few large events, not all of them: memory stays flat.
pub async fn large_events_come_in_several_pages(store: Store) {
    let large = "x".repeat(300_000);
    for n in 0..8 {
        let text = json!({ "type": "call.data-provided", "call_id": "1.1", "large": large,
            "timestamp": format!("2017-01-01T00:00:0{n}Z") });
        put(&store, &text.to_string()).await;
    }
    let page = store.events(Some(&"1.1".parse().unwrap()), 0, 100).await.unwrap();
    let bytes: usize = page.iter().map(|event| event.received.get().len()).sum();
    assert!(!page.is_empty() && bytes < PAGE_BYTES + 301_000, "{bytes} bytes in a page");
    assert_eq!(events(&store, Some("1.1")).await.len(), 8);
}

/// None of those that come at the same time is lost in the call's row.
pub async fn events_of_one_call_at_once_are_all_counted(store: Store) {
    let all = (0..40).map(|n| {
        let (store, kind) = (Arc::clone(&store), if n == 20 { "call.finished" } else { "call.overflow" });
        async move { store.append(event(&sent(kind, "1.1", n)), now()).await.unwrap() }
    });
    let versions: std::collections::BTreeSet<u64> = join_all(all)
        .await
        .into_iter()
        .filter_map(|appended| match appended {
            Appended::New { call, .. } => call.map(|call| call.version),
            Appended::Duplicate => None,
        })
        .collect();
    assert_eq!(versions, (1..=40).collect());
    let call = calls(&store).await.pop().unwrap();
    assert_eq!((call.state, call.version), (State::Finished, 40));
    assert_eq!(fold(&events(&store, Some("1.1")).await), Some(call));
}

/// The projection is what its events say; rebuilding it finds nothing to repair.
pub async fn a_rebuild_changes_nothing_that_is_right(store: Store) {
    assert_eq!(store.rebuild().await.unwrap(), Default::default());
    for n in 0..12_u8 {
        let kind = ["call.finished", "call.new", "odd", "actor.left"][usize::from(n) % 4];
        put(&store, &sent(kind, &format!("1.{}", n % 5), 30 - n)).await;
    }
    put(&store, r#"{"type":"odd"}"#).await;
    let before = calls(&store).await;
    for _ in 0..2 {
        let rebuilt = store.rebuild().await.unwrap();
        assert_eq!((rebuilt.calls, rebuilt.events, rebuilt.repaired), (5, 12, 0));
        assert_eq!(calls(&store).await, before);
    }
    let (_, call) = put(&store, &sent("call.new", "1.0", 59)).await;
    assert_eq!(call.unwrap().version, before[0].version + 1);
}

/// What clients ask and are answered, by files made by hand (`tests/golden/calls`).
pub async fn clients_get_the_answers_they_know(store: Store) {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/golden/calls"));
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let mut last = None;
    for line in read("received.jsonl").lines() {
        last = put(&store, line).await.1;
    }
    same_but_numbers("welcome.json", &message::welcome(), &read("welcome.json"));
    same_but_numbers("data-changed.json", &message::data_changed(&last.unwrap()), &read("data-changed.json"));
    let desk = Desk::new(store, 1 << 20);
    let mut asked = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(case) = name.strip_suffix(".request.json") else { continue };
        let answer = desk.answer(read(&name).as_bytes()).await;
        same_but_numbers(case, &answer, &read(&format!("{case}.answer.json")));
        asked += 1;
    }
    assert!(asked >= 9, "{asked} requests only");
}

/// Compares two messages byte for byte, but for the values of `id` and `uuid`.
#[track_caller]
pub fn same_but_numbers(what: &str, got: &str, expected: &str) {
    assert_eq!(without_numbers(got), without_numbers(expected.trim_end()), "{what}");
}

/// Without ids and UUIDs, which are a whole number and a UUID.
fn without_numbers(text: &str) -> String {
    let (mut kept, mut rest) = (String::new(), text);
    while let Some((at, member)) =
        [r#""id":"#, r#""uuid":"#].iter().filter_map(|member| Some((rest.find(member)?, *member))).min()
    {
        let (before, after) = rest.split_at(at + member.len());
        kept.push_str(before);
        let (value, next) = after.split_at(after.find([',', '}']).unwrap_or(after.len()));
        let is_uuid = || value.len() == 38 && value.bytes().all(|b| b.is_ascii_hexdigit() || b"-\"".contains(&b));
        let is_number = || value.bytes().all(|b| b.is_ascii_digit()) && !value.is_empty();
        assert!(if member.contains("uuid") { is_uuid() } else { is_number() }, "{member}{value} in {text}");
        rest = next;
    }
    kept + rest
}
