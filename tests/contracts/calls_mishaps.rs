//! Every call to the table of calls goes wrong once, in every way: a sender that sends again until it is answered has its event
//! stored once, and whoever reads is told the truth or that it cannot be told.

use std::cmp::Ordering;
use std::sync::Arc;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use callvault_aws::calls::{Connection, DynamoCalls};
use callvault_calls::call::{Call, State, fold};
use callvault_calls::store::{Appended, CallStore as _, Page, Rebuilt, StoreError};
use callvault_pipeline::ledger::HolderId;
use callvault_tests::contract_calls::{Store, event, events, now, sent};
use callvault_tests::stand_ins::wire::{Step, Wire};
use serde_json::json;

use crate::calls_dynamodb::Scene;

/// What becomes of a call.
type Mishap = fn() -> Step;

/// It takes effect, and nobody hears of it.
const LOST_ANSWER: (&str, Mishap) = ("an answer that is lost", || Step::LoseAnswer);

/// It has no effect.
const NO_EFFECT: [(&str, Mishap); 3] = [
    ("a call that is lost", || Step::LoseCall),
    ("an error of the server's", || {
        Step::Answer(500, json!({ "__type": "InternalServerError", "message": "try again" }))
    }),
    ("no more capacity", || Step::error("ProvisionedThroughputExceededException", "slow down")),
];

/// What the call of this number comes to, in turn: an effect that nobody hears of, and one of the ways to have none.
fn mishaps_of(number: usize) -> [(&'static str, Mishap); 2] {
    [LOST_ANSWER, NO_EFFECT[number % NO_EFFECT.len()]]
}

/// How often a sender sends an event. One mishap is one attempt at most.
const ATTEMPTS: usize = 3;

/// A table, and processes that ask it once only: what goes wrong reaches them.
struct Mishaps {
    scene: Scene,
    sdk: SdkConfig,
}

impl Mishaps {
    async fn new() -> Self {
        let scene = Scene::new().await;
        let sdk = scene.sdk.to_builder().retry_config(RetryConfig::disabled()).build();
        Self { scene, sdk }
    }

    /// A process that has just started.
    fn process(&self) -> Arc<DynamoCalls> {
        Arc::new(DynamoCalls::new(&self.sdk, &self.scene.table, &HolderId("one".to_owned()), Arc::new(|| 0.5)))
    }

    /// The calls of this work when nothing goes wrong.
    async fn calls_of(&self, work: impl AsyncFnOnce()) -> usize {
        self.scene.wire.script(|_| Step::Pass);
        self.scene.wire.take_calls();
        work().await;
        self.scene.wire.take_calls().len()
    }
}

/// From now on, the call of this number comes to this.
fn harm(wire: &Wire, number: usize, step: Mishap) {
    let mut seen = 0;
    wire.script(move |_| {
        seen += 1;
        if seen == number + 1 { step() } else { Step::Pass }
    });
}

/// From the call of this number on nothing arrives, as when the process dies; of that one, perhaps only the answer is lost.
fn dies(wire: &Wire, number: usize, last: Mishap) {
    let mut seen = 0;
    wire.script(move |_| {
        seen += 1;
        match seen.cmp(&(number + 1)) {
            Ordering::Less => Step::Pass,
            Ordering::Equal => last(),
            Ordering::Greater => Step::LoseCall,
        }
    });
}

/// A life of a call, and what else comes in between: an event twice, one late, one of another call, one of none.
fn life(run: usize) -> Vec<String> {
    let (call, other) = (format!("1.{run}"), format!("2.{run}"));
    vec![
        sent("call.new", &call, 0),
        sent("call.ongoing", &call, 5),
        sent("call.new", &call, 0),
        json!({ "type": "peer.registered", "peer": run, "timestamp": "2017-01-01T00:00:00Z" }).to_string(),
        sent("call.waiting", &call, 3),
        sent("call.new", &other, 1),
        sent("call.finished", &call, 9),
    ]
}

/// Sends each event until it is answered, to a new process each time; answers what did not come at once. What goes wrong for one
/// process goes right for the next.
async fn send(mishaps: &Mishaps, run: usize) -> Vec<StoreError> {
    let mut refused = Vec::new();
    for text in life(run) {
        let mut answered = None;
        for _ in 0..ATTEMPTS {
            match mishaps.process().append(event(&text), now()).await {
                Ok(appended) => {
                    answered = Some(appended);
                    break;
                }
                Err(error) => {
                    refused.push(error);
                    mishaps.scene.wire.script(|_| Step::Pass);
                }
            }
        }
        assert!(answered.is_some(), "{text} was not taken: {refused:?}");
    }
    refused
}

async fn check(mishaps: &Mishaps, run: usize, what: &str) {
    let store: Store = mishaps.process();
    let call = format!("1.{run}");
    let told = events(&store, Some(&call)).await;
    let mut kinds: Vec<&str> = told.iter().map(|event| event.kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["call.finished", "call.new", "call.ongoing", "call.waiting"], "{what}");
    let row = store.call(&call.parse().unwrap()).await.unwrap();
    assert_eq!(row.as_ref().map(|call| (call.state, call.version)), Some((State::Finished, 4)), "{what}");
    assert_eq!(row, fold(&told), "{what}");
    assert_eq!(events(&store, Some(&format!("2.{run}"))).await.len(), 1, "{what}");
    let again = event(&life(run)[4]);
    assert_eq!(store.append(again, now()).await.unwrap(), Appended::Duplicate, "{what}, and the late one again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_call_goes_wrong_an_event_is_stored_once() {
    let mishaps = Mishaps::new().await;
    let calls = mishaps.calls_of(async || assert!(send(&mishaps, 0).await.is_empty())).await;
    assert!(calls > 20, "{calls}");
    let mut run = 0;
    for number in 0..calls {
        let (what, step) = mishaps_of(number)[number % 2];
        for (what, step, is_last) in [
            (what, step, false),
            ("a death after the answer was lost", LOST_ANSWER.1, true),
            ("a death before it", NO_EFFECT[0].1, true),
        ] {
            run += 1;
            if is_last {
                dies(&mishaps.scene.wire, number, step)
            } else {
                harm(&mishaps.scene.wire, number, step)
            }
            let errors = send(&mishaps, run).await;
            mishaps.scene.wire.script(|_| Step::Pass);
            assert!(errors.len() <= 1, "{what} in call {number} of {calls}: {errors:?}");
            assert!(!is_last || errors.len() == 1, "nobody noticed {what} in call {number} of {calls}");
            assert!(errors.iter().all(|error| error.code() == "calls-unusable"), "{what}: {errors:?}");
            check(&mishaps, run, &format!("{what} in call {number} of {calls}")).await;
        }
    }
    let (store, runs): (Store, u64) = (mishaps.process(), run as u64 + 1);
    assert_eq!(events(&store, None).await.len() as u64, runs);
    let rebuilt = store.rebuild().await.unwrap();
    assert_eq!(rebuilt, Rebuilt { calls: 2 * runs, events: 5 * runs, repaired: 0 });
}

/// A websocket that is open.
fn open() -> Connection {
    Connection { id: "a=".to_owned(), since: "2026-01-31T12:00:00.123Z".parse().unwrap() }
}

/// Everything that can be asked.
#[derive(Debug, PartialEq)]
struct Told {
    all: Vec<Call>,
    finished: Vec<Call>,
    one: Option<Call>,
    events: Vec<u64>,
    of_none: Vec<u64>,
    open: Vec<String>,
    rebuilt: Rebuilt,
}

async fn ask(store: &DynamoCalls) -> Result<Told, StoreError> {
    let call = "1.0".parse().unwrap();
    let ids = |events: Vec<callvault_calls::store::StoredEvent>| events.iter().map(|event| event.id).collect();
    Ok(Told {
        all: store.calls(None, Page::NEWEST, 100).await?,
        finished: store.calls(Some(State::Finished), Page::OLDEST, 100).await?,
        one: store.call(&call).await?,
        events: ids(store.events(Some(&call), 0, 100).await?),
        of_none: ids(store.events(None, 0, 100).await?),
        open: store.connections().await?.into_iter().map(|open| open.id).collect(),
        rebuilt: store.rebuild().await?,
    })
}

#[tokio::test]
async fn whichever_call_goes_wrong_nothing_else_is_told() {
    let mishaps = Mishaps::new().await;
    send(&mishaps, 0).await;
    send(&mishaps, 1).await;
    let open = open();
    mishaps.process().connect(&open).await.unwrap();
    let mut truth = None;
    let calls = mishaps.calls_of(async || truth = Some(ask(&mishaps.process()).await.unwrap())).await;
    let truth = truth.unwrap();
    assert_eq!((truth.all.len(), truth.finished.len(), truth.events.len(), truth.of_none.len()), (4, 2, 4, 2));
    for number in 0..calls {
        for (what, step) in mishaps_of(number) {
            harm(&mishaps.scene.wire, number, step);
            match ask(&mishaps.process()).await {
                Ok(told) => assert_eq!(told, truth, "{what} in call {number}"),
                Err(error) => assert_eq!(error.code(), "calls-unusable", "{what} in call {number}: {error}"),
            }
        }
    }
    mishaps.scene.wire.script(|_| Step::Pass);
    assert_eq!(ask(&mishaps.process()).await.unwrap(), truth);
}

#[tokio::test]
async fn whichever_call_goes_wrong_a_websocket_is_entered_and_forgotten() {
    let mishaps = Mishaps::new().await;
    let open = open();
    for (what, step) in NO_EFFECT.into_iter().chain([LOST_ANSWER]) {
        harm(&mishaps.scene.wire, 0, step);
        let entered = mishaps.process().connect(&open).await;
        mishaps.process().connect(&open).await.unwrap();
        let known = mishaps.process().connections().await.unwrap();
        assert_eq!(known, std::slice::from_ref(&open), "{what}: {entered:?}");
        harm(&mishaps.scene.wire, 0, step);
        let forgotten = mishaps.process().disconnect("a=").await;
        mishaps.process().disconnect("a=").await.unwrap();
        assert_eq!(mishaps.process().connections().await.unwrap(), [], "{what}: {forgotten:?}");
    }
}
