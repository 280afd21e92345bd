//! `push-calls`: who hears what of a batch, whoever is slow, gone, ill or only just opening a connection.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use callvault_aws::calls::Connection;
use callvault_aws::sockets::Posted;
use callvault_calls::store::StoreError;
use callvault_pipeline::clock::Clock;
use callvault_tests::fakes::TestClock;
use jiff::Timestamp;
use proptest::prelude::*;
use push_calls::lane::{LONGEST, OPENING, PATIENCE};
use push_calls::ports::{Audience, Voice};
use push_calls::{Parts, handle};
use serde_json::{Value, json};

/// What becomes of the messages to a connection: the n-th time this, and the last one from then on.
type Fate = Vec<(Duration, Posted)>;

struct Room {
    clock: Arc<TestClock>,
    connections: Mutex<Vec<Connection>>,
    fates: BTreeMap<String, Fate>,
    said: Mutex<BTreeMap<String, Vec<String>>>,
    tries: Mutex<BTreeMap<String, usize>>,
    ended: Mutex<Vec<String>>,
}

const NOW: &str = "2026-01-31T12:00:00Z";

impl Room {
    fn of(fates: &[(&str, Fate)]) -> (Arc<Self>, Parts) {
        let clock = Arc::new(TestClock::at(NOW.parse().unwrap()));
        let since: Timestamp = "2026-01-31T11:00:00Z".parse().unwrap();
        let connections = fates.iter().map(|(id, _)| Connection { id: (*id).to_owned(), since }).collect();
        let fates = fates.iter().map(|(id, fate)| ((*id).to_owned(), fate.clone())).collect();
        let room = Arc::new(Self {
            clock: Arc::clone(&clock),
            connections: Mutex::new(connections),
            fates,
            said: Mutex::default(),
            tries: Mutex::default(),
            ended: Mutex::default(),
        });
        let parts = Parts::new(room.clone(), room.clone(), clock);
        (room, parts)
    }

    fn said(&self, id: &str) -> Vec<String> {
        self.said.lock().unwrap().remove(id).unwrap_or_default()
    }

    fn open(&self) -> Vec<String> {
        self.connections.lock().unwrap().iter().map(|one| one.id.clone()).collect()
    }
}

#[async_trait]
impl Audience for Room {
    async fn all(&self) -> Result<Vec<Connection>, StoreError> {
        Ok(self.connections.lock().unwrap().clone())
    }

    async fn forget(&self, connection: &str) -> Result<(), StoreError> {
        self.connections.lock().unwrap().retain(|one| one.id != connection);
        Ok(())
    }
}

#[async_trait]
impl Voice for Room {
    async fn say(&self, connection: &str, message: &str) -> Posted {
        let fate = &self.fates[connection];
        let (takes, posted) = {
            let mut tries = self.tries.lock().unwrap();
            let tried = tries.entry(connection.to_owned()).or_default();
            *tried += 1;
            fate.get(*tried - 1).or(fate.last()).cloned().unwrap_or((Duration::ZERO, Posted::Done))
        };
        if takes > Duration::ZERO {
            self.clock.sleep(takes).await;
        }
        if posted == Posted::Done {
            self.said.lock().unwrap().entry(connection.to_owned()).or_default().push(message.to_owned());
        }
        posted
    }

    async fn end(&self, connection: &str) -> Posted {
        self.ended.lock().unwrap().push(connection.to_owned());
        Posted::Done
    }
}

fn failed() -> Posted {
    Posted::Failed("said by the test".to_owned())
}

fn record(sequence: usize, age: Duration, image: &Value) -> Value {
    let at = NOW.parse::<Timestamp>().unwrap() - age;
    json!({ "eventSource": "aws:dynamodb", "eventName": "INSERT", "dynamodb": {
        "SequenceNumber": sequence.to_string(), "ApproximateCreationDateTime": at.as_second(), "NewImage": image } })
}

/// The image of a call that has so many events, the last of them so many seconds after noon.
fn call(id: &str, version: u64) -> Value {
    json!({ "pk": {"S": format!("call/{id}")}, "sk": {"S": "call"}, "tell": {"S": "call"}, "id": {"N": "1"}, "state": {"S": "NEW"},
        "created": {"S": NOW}, "updated": {"S": format!("2026-01-31T12:00:{version:02}Z")}, "events": {"N": version.to_string()},
        "newest": {"M": {"received": {"S": "{\"their_number\":\"11999990000\"}"}}} })
}

fn opened(id: &str, since: i64) -> Value {
    json!({ "pk": {"S": "connections"}, "sk": {"S": format!("connection/{id}")}, "tell": {"S": "connection"},
        "since": {"N": since.to_string()} })
}

/// Changes of one call, each with its place as sequence number.
fn batch(versions: impl IntoIterator<Item = u64>) -> Value {
    let record = |version: u64| record(version as usize, Duration::ZERO, &call("1.1", version));
    json!({ "Records": versions.into_iter().map(record).collect::<Vec<_>>() })
}

async fn pushed(event: &Value, parts: &Parts) -> Option<String> {
    let answer = handle(event, parts).await.unwrap();
    let failures = answer["batchItemFailures"].as_array().unwrap();
    assert!(failures.len() <= 1);
    failures.first().map(|one| one["itemIdentifier"].as_str().unwrap().to_owned())
}

#[test]
fn everybody_hears_everything_in_its_order_and_nothing_twice() {
    TestClock::run(async {
        let well = vec![(Duration::from_millis(20), Posted::Done)];
        let (room, parts) = Room::of(&[("a", well.clone()), ("b", well)]);
        assert_eq!(pushed(&batch(1..=5), &parts).await, None);
        assert_eq!(pushed(&batch(1..=5), &parts).await, None);
        assert_eq!(pushed(&batch([6, 4, 3]), &parts).await, None);
        let (a, b) = (room.said("a"), room.said("b"));
        assert_eq!((a.len(), &a), (6, &b));
        assert!(!a.concat().contains("1199999"), "what was received is told to nobody");
    });
}

#[test]
fn a_slow_connection_ends_its_part_and_keeps_nobody_waiting_longer() {
    TestClock::run(async {
        let slow = vec![(Duration::from_millis(1900), Posted::Done)];
        let (room, parts) = Room::of(&[("slow", slow), ("well", vec![(Duration::ZERO, Posted::Done)])]);
        let begun = room.clock.now();
        assert_eq!(pushed(&batch(1..=50), &parts).await, Some("3".to_owned()), "from where it stopped");
        let took = Duration::try_from(room.clock.now().duration_since(begun)).unwrap();
        assert!(took <= LONGEST + Duration::from_secs(2), "{took:?}");
        assert_eq!((room.said("well").len(), room.said("slow").len()), (50, 2));
        pushed(&batch(3..=50), &parts).await;
        assert_eq!((room.said("well").len(), room.said("slow").len()), (0, 2), "it goes on where it was");
    });
}

#[test]
fn who_is_ill_is_asked_again_and_in_the_end_let_go() {
    TestClock::run(async {
        let ill = vec![(Duration::ZERO, Posted::Done), (Duration::ZERO, failed())];
        let (room, parts) = Room::of(&[("ill", ill), ("well", vec![(Duration::ZERO, Posted::Done)])]);
        assert_eq!(pushed(&batch(1..=4), &parts).await, Some("2".to_owned()));
        assert_eq!(pushed(&batch(2..=4), &parts).await, Some("2".to_owned()));
        assert_eq!((room.said("well").len(), room.said("ill").len(), room.open().len()), (4, 1, 2));
        room.clock.sleep(PATIENCE + Duration::from_secs(1)).await;
        assert_eq!(pushed(&batch(2..=4), &parts).await, None);
        assert_eq!(
            (room.open(), room.ended.lock().unwrap().clone()),
            (vec!["well".to_owned()], vec!["ill".to_owned()])
        );
    });
}

#[test]
fn gone_is_gone_but_for_who_is_only_just_coming() {
    TestClock::run(async {
        let gone = (Duration::ZERO, Posted::Gone);
        let opening = vec![gone.clone(), gone.clone(), (Duration::ZERO, Posted::Done)];
        let (room, parts) = Room::of(&[("gone", vec![gone.clone()]), ("opening", opening), ("never", vec![gone])]);
        let now = room.clock.now();
        room.connections.lock().unwrap().iter_mut().filter(|one| one.id != "gone").for_each(|one| one.since = now);
        let welcome = |id| record(7, Duration::ZERO, &opened(id, now.as_millisecond()));
        let event = json!({ "Records": [welcome("opening"), welcome("never"), welcome("elsewhere")] });
        assert_eq!(pushed(&event, &parts).await, None);
        assert_eq!(room.said("opening"), [callvault_calls::message::welcome()]);
        assert_eq!(room.open(), ["gone", "opening"], "nobody was welcomed, or forgotten, who was not meant");
        assert!(Duration::try_from(room.clock.now().duration_since(now)).unwrap() >= OPENING);
        assert_eq!(pushed(&batch([1]), &parts).await, None);
        assert_eq!((room.open(), room.said("opening").len()), (vec!["opening".to_owned()], 1));
    });
}

#[test]
fn a_change_waits_for_nobody_who_is_only_just_coming() {
    TestClock::run(async {
        let gone = (Duration::ZERO, Posted::Gone);
        let fate = vec![gone, (Duration::ZERO, Posted::Done)];
        let (room, parts) = Room::of(&[("opening", fate), ("well", vec![(Duration::ZERO, Posted::Done)])]);
        let now = room.clock.now();
        room.connections.lock().unwrap()[0].since = now;
        assert_eq!(pushed(&batch([1, 2]), &parts).await, None);
        assert_eq!(room.clock.now(), now, "nobody waited");
        assert_eq!((room.said("well").len(), room.said("opening").len(), room.open().len()), (2, 1, 2));
    });
}

#[test]
fn what_is_no_batch_is_refused_and_what_nobody_can_read_is_passed_over() {
    TestClock::run(async {
        let (room, parts) = Room::of(&[("well", vec![(Duration::ZERO, Posted::Done)])]);
        for event in [json!(null), json!({}), json!({"Records": []}), json!({"Records": [{"eventSource": "aws:sqs"}]})]
        {
            assert_eq!(handle(&event, &parts).await.unwrap_err().code, "event-malformed", "{event}");
        }
        let mut odd = call("1.1", 1);
        odd["state"]["S"] = json!("NEXT YEAR");
        let removed =
            json!({ "eventSource": "aws:dynamodb", "eventName": "REMOVE", "dynamodb": { "SequenceNumber": "9" } });
        let event = json!({ "Records": [record(1, Duration::ZERO, &odd), removed, record(2, Duration::ZERO, &call("1.2", 1))] });
        assert_eq!(pushed(&event, &parts).await, None);
        assert_eq!(room.said("well").len(), 1);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However often batches come, in whatever order, and whatever fails: what a connection hears of a call never goes back, and in
    /// the end it has heard of the newest.
    #[test]
    fn nobody_hears_of_the_past_after_the_present(
        batches in prop::collection::vec(prop::collection::vec(1_u64..30, 1..8), 1..8),
        fails in prop::collection::vec(any::<bool>(), 0..20),
    ) {
        TestClock::run(async {
            let mut fate: Fate = fails.iter().map(|fails| (Duration::ZERO, if *fails { failed() } else { Posted::Done })).collect();
            fate.push((Duration::ZERO, Posted::Done));
            let (room, parts) = Room::of(&[("a", fate)]);
            let mut heard = Vec::new();
            for versions in &batches {
                let mut rest = versions.clone();
                // As the stream does it: from the first that failed on.
                while let Some(from) = pushed(&batch(rest.iter().copied()), &parts).await {
                    let place = rest.iter().position(|version| version.to_string() == from).unwrap();
                    rest.drain(..place);
                }
                heard.extend(room.said("a").iter().map(|message| {
                    serde_json::from_str::<Value>(message).unwrap()["data"]["updated_at"].as_str().unwrap().to_owned()
                }));
            }
            assert!(heard.is_sorted_by(|a, b| a < b), "{heard:?}");
            let newest = batches.iter().flatten().max().unwrap();
            assert_eq!(heard.last().unwrap(), &format!("2026-01-31T12:00:{newest:02}.000Z"));
        });
    }
}
