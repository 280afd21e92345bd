//! The store of calls in DynamoDB, over its stand-in: the contract, several processes at once, and whoever died in between.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use callvault_aws::calls::{Connection, DynamoCalls, schema};
use callvault_calls::call::{State, fold};
use callvault_calls::store::{Appended, CallStore, Page, Rebuilt, StoreError};
use callvault_pipeline::ledger::HolderId;
use callvault_tests::calls_contract;
use callvault_tests::contract_calls::{Store, calls, event, events, now, put, sent};
use callvault_tests::stand_ins::calls_table;
use callvault_tests::stand_ins::moto::{Moto, unique};
use callvault_tests::stand_ins::wire::Wire;
use futures_util::future::join_all;
use serde_json::json;

/// A table of calls, and the wire to it.
pub(crate) struct Scene {
    _moto: Moto,
    pub(crate) wire: Wire,
    pub(crate) sdk: SdkConfig,
    pub(crate) table: String,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let (moto, wire) = (Moto::shared(), Wire::atomic());
        // With real pauses: tasks that work on one call wait for each other, instead of being refused in turn.
        let sleep = SharedAsyncSleep::new(TokioSleep::new());
        let (sdk, table) = (wire.over(&moto.sdk()).to_builder().sleep_impl(sleep).build(), unique("calls"));
        calls_table::create(&sdk, &table).await;
        wire.take_calls();
        Self { _moto: moto, wire, sdk, table }
    }

    /// A process's store.
    fn calls(&self, holder: &str) -> Arc<DynamoCalls> {
        Arc::new(DynamoCalls::new(&self.sdk, &self.table, &HolderId(holder.to_owned()), Arc::new(|| 0.5)))
    }

    fn store(&self, holder: &str) -> Store {
        self.calls(holder)
    }

    fn client(&self) -> Client {
        Client::new(&self.sdk)
    }

    async fn delete(&self, pk: &str, sk: &str) {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let request = self.client().delete_item().table_name(&self.table);
        request.key(schema::PARTITION, text(pk)).key(schema::SORT, text(sk)).send().await.unwrap();
    }

    /// Sets an attribute of an item, as no program of ours would.
    async fn tamper(&self, pk: &str, sk: &str, name: &str, value: AttributeValue) {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let request = self.client().update_item().table_name(&self.table);
        let request = request.key(schema::PARTITION, text(pk)).key(schema::SORT, text(sk));
        let request = request.update_expression("SET #name = :value").expression_attribute_names("#name", name);
        request.expression_attribute_values(":value", value).send().await.unwrap();
    }
}

async fn in_a_table() -> (Scene, Store) {
    let scene = Scene::new().await;
    let store = scene.store("one");
    (scene, store)
}

calls_contract!(dynamodb, crate::calls_dynamodb::in_a_table);

#[tokio::test]
async fn processes_that_take_events_at_once_lose_none_and_double_none() {
    let scene = Scene::new().await;
    let stores: Vec<Store> = (0..3).map(|n| scene.store(&format!("p{n}"))).collect();
    // Each event comes to two of them, and some of one call to all.
    let work = (0..27_usize).map(|n| {
        let (store, text) = (Arc::clone(&stores[n % 3]), sent("call.overflow", "1.1", (n / 2) as u8));
        async move { store.append(event(&text), now()).await.unwrap() }
    });
    let appended = join_all(work).await;
    let new: Vec<(u64, u64)> = appended
        .iter()
        .filter_map(|one| match one {
            Appended::New { id, call, .. } => Some((call.as_ref().unwrap().version, *id)),
            Appended::Duplicate => None,
        })
        .collect();
    assert_eq!(new.len(), 14);
    let in_order: BTreeSet<(u64, u64)> = new.into_iter().collect();
    assert!(in_order.iter().map(|(version, _)| *version).eq(1..=14), "{in_order:?}");
    assert!(
        in_order.iter().map(|(_, id)| *id).is_sorted_by(|a, b| a < b),
        "later ones have greater numbers: {in_order:?}"
    );
    let told = events(&stores[0], Some("1.1")).await;
    assert_eq!(told.len(), 14);
    assert_eq!(fold(&told), calls(&stores[1]).await.pop());
}

/// The call's item was written and nothing else: its writer died, and nobody was answered.
#[tokio::test]
async fn an_event_whose_writer_died_between_is_there_and_gets_its_item() {
    for comes_again in [true, false] {
        let scene = Scene::new().await;
        let store = scene.store("one");
        let first = sent("call.new", "1.1", 0);
        put(&store, &first).await;
        put(&store, &sent("call.standby", "1.1", 1)).await;
        let last = sent("call.ongoing", "1.1", 2);
        put(&store, &last).await;
        scene.delete("call/1.1", &format!("event/{}", event(&last).uuid)).await;
        let other = scene.store("two");
        assert_eq!(events(&other, Some("1.1")).await.len(), 3, "it is listed");
        match comes_again {
            true => assert_eq!(other.append(event(&last), now()).await.unwrap(), Appended::Duplicate),
            false => drop(put(&other, &sent("call.finished", "1.1", 3)).await),
        }
        let key = AttributeValue::S(format!("event/{}", event(&last).uuid));
        let item = scene.client().get_item().table_name(&scene.table).key(schema::SORT, key);
        let item = item.key(schema::PARTITION, AttributeValue::S("call/1.1".to_owned())).send().await.unwrap();
        assert!(item.item.is_some(), "it has an item now");
        let told = events(&other, Some("1.1")).await;
        assert_eq!(told.iter().map(|event| event.received.get()).filter(|text| *text == last).count(), 1);
        assert_eq!(fold(&told), store.call(&"1.1".parse().unwrap()).await.unwrap());
        assert_eq!(store.append(event(&last), now()).await.unwrap(), Appended::Duplicate);
        assert_eq!(store.rebuild().await.unwrap().repaired, 0);
    }
}

#[tokio::test]
async fn a_rebuild_repairs_what_is_not_what_its_events_say() {
    let scene = Scene::new().await;
    let store = scene.store("one");
    for call in ["1.1", "1.2", "1.3", "1.4"] {
        put(&store, &sent("call.new", call, 0)).await;
        put(&store, &sent("call.waiting", call, 5)).await;
    }
    let before = calls(&store).await;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    scene.tamper("call/1.1", schema::ROW, schema::STATE, text("FINISHED")).await;
    scene.delete("call/1.2", schema::ROW).await;
    scene.tamper("call/1.3", schema::ROW, schema::STATE, text("NEXT YEAR")).await;
    scene.tamper("call/1.5", schema::ROW, schema::STATE, text("NEW")).await;
    assert!(matches!(store.call(&"1.3".parse().unwrap()).await, Err(StoreError::Unreadable { .. })));
    let rebuilt = store.rebuild().await.unwrap();
    assert_eq!(rebuilt, Rebuilt { calls: 4, events: 8, repaired: 4 });
    assert_eq!(calls(&store).await, before);
    assert_eq!(store.rebuild().await.unwrap(), Rebuilt { calls: 4, events: 8, repaired: 0 });
    assert!(store.calls(Some(State::Finished), Page::OLDEST, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_row_that_was_lost_is_made_of_its_events_before_the_next_one() {
    let scene = Scene::new().await;
    let store = scene.store("one");
    put(&store, &sent("call.new", "1.1", 0)).await;
    put(&store, &sent("call.waiting", "1.1", 5)).await;
    scene.delete("call/1.1", schema::ROW).await;
    scene.delete(schema::NUMBERS, schema::NUMBERS).await;
    assert_eq!(store.append(event(&sent("call.new", "1.1", 0)), now()).await.unwrap(), Appended::Duplicate);
    let (id, call) = put(&scene.store("two"), &sent("call.ongoing", "1.1", 7)).await;
    let call = call.unwrap();
    assert_eq!((call.version, call.state), (3, State::Ongoing));
    let told = events(&store, Some("1.1")).await;
    assert!(told[1].id < id, "a counter that was lost goes on where its calls are");
    assert_eq!(fold(&told), Some(call));
}

#[tokio::test]
async fn an_event_costs_few_units() {
    let scene = Scene::new().await;
    let store = scene.calls("one");
    let kinds =
        ["call.new", "call.standby", "call.waiting", "actor.entered", "call.ongoing", "actor.left", "call.finished"];
    let calls = 5;
    scene.wire.take_calls();
    for call in 0..calls {
        for (second, kind) in kinds.iter().enumerate() {
            let text = json!({ "type": kind, "call_id": format!("1463669263.{call}"), "code": "123456", "direction": "inbound",
                "our_number": "0800000000", "their_number": "11999990000", "their_number_type": "mobile", "actor": "user.name@email.com",
                "queue": "900", "number": "200", "timestamp": format!("2017-01-01T00:00:0{second}Z") });
            assert!(matches!(store.append(event(&text.to_string()), now()).await.unwrap(), Appended::New { .. }));
        }
    }
    let (units, requests) = (scene.wire.units(), scene.wire.take_calls().len());
    let events = f64::from(calls) * kinds.len() as f64;
    let (read, write) = (units.read / events, units.write / events);
    println!(
        "{write:.2} write, {read:.2} read units and {:.2} calls an event; largest {} bytes",
        requests as f64 / events,
        units.largest
    );
    assert!(write <= 5.0 && read <= 3.5, "{write} write and {read} read units an event");
    assert!(units.largest <= 1024, "{} bytes: a write of it would be two units", units.largest);
}

#[tokio::test]
async fn an_event_that_no_item_holds_is_refused_and_leaves_nothing() {
    let scene = Scene::new().await;
    let store = scene.store("one");
    // A generator of digits that cannot be compressed to less than four ninths.
    let mut state = 1_u64;
    let mut digit = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + 1 + (state >> 58) as u8)
    };
    let noise: String = (0..1_000_000).map(|_| digit()).filter(|c| *c != '\\').collect();
    let text = json!({ "type": "call.new", "call_id": "1.1", "timestamp": "2017-01-01T00:00:00Z", "noise": noise });
    let error = store.append(event(&text.to_string()), now()).await.unwrap_err();
    assert_eq!((error.code(), calls(&store).await.len()), ("event-too-large", 0));
    // A megabyte that can be compressed is kept as it was.
    let text = json!({ "type": "call.new", "call_id": "1.1", "timestamp": "2017-01-01T00:00:00Z", "noise": "ü".repeat(500_000) });
    put(&store, &text.to_string()).await;
    put(&store, &sent("call.waiting", "1.1", 1)).await;
    assert_eq!(events(&store, Some("1.1")).await[0].received.get(), text.to_string());
}

#[tokio::test]
async fn connections_are_entered_and_forgotten() {
    let scene = Scene::new().await;
    let store = scene.calls("one");
    let open = |id: &str| Connection { id: id.to_owned(), since: "2026-01-31T12:00:00.123Z".parse().unwrap() };
    for id in ["a=", "b=", "a="] {
        store.connect(&open(id)).await.unwrap();
    }
    assert_eq!(store.connections().await.unwrap(), [open("a="), open("b=")]);
    for _ in 0..2 {
        store.disconnect("a=").await.unwrap();
    }
    assert_eq!(store.connections().await.unwrap(), [open("b=")]);
    assert!(store.calls(None, Page::OLDEST, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_table_that_is_not_there_is_said_with_its_setting() {
    let scene = Scene::new().await;
    let none = DynamoCalls::new(&scene.sdk, "none", &HolderId("one".to_owned()), Arc::new(|| 0.5));
    let error = none.append(event(&sent("call.new", "1.1", 0)), now()).await.unwrap_err();
    assert_eq!(error.code(), "calls-unusable");
    assert!(error.to_string().contains("check CALLS_TABLE"), "{error}");
}
