//! What DynamoDB may answer and the stand-in never does: a slower pace, lost answers, keys left out, no permission.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use callvault_aws::dynamodb::schema;
use callvault_pipeline::ledger::machine::{Closing, Settlement};
use callvault_pipeline::ledger::notification::Channel;
use callvault_pipeline::ledger::{Carried, Ledger, LedgerError, Marker, Settled, Stage};
use callvault_tests::contract_ledger::{Steps, object, t};
use callvault_tests::stand_ins::wire::{Call, Step};
use serde_json::json;

use crate::dynamodb::Scene;

const PACE: &str = "ProvisionedThroughputExceededException";

fn later() -> Settlement {
    Settlement::Later { due: t(9), failed: true }
}

async fn refusal(scene: &Scene, code: &'static str) -> LedgerError {
    scene.wire.script(move |_| Step::error(code, "said by nobody"));
    scene.ledger("one").plan_day("2026-01-20".parse().unwrap(), t(0)).await.unwrap_err()
}

#[tokio::test]
async fn a_slower_pace_is_kept() {
    let scene = Scene::new().await;
    let ledger = scene.ledger("one");
    for code in [PACE, "ThrottlingException"] {
        for operation in ["PutItem", "Query", "BatchGetItem", "GetItem"] {
            scene.wire.first(operation, 2, move || Step::error(code, "slower"));
            ledger.found(&[&format!("{operation}-{}", code.len())], 0).await;
            let cold = scene.ledger("two");
            let claim = cold.claimed_one(Stage::Submit, 1).await;
            assert_eq!(
                cold.settled(&claim, Settlement::GivenUp(callvault_pipeline::reason::Reason::SubmitRefused), 2).await,
                Settled::Done
            );
        }
    }
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let scene = Scene::new().await;
    for (code, words) in [
        (PACE, "slower pace"),
        ("ResourceNotFoundException", "check LEDGER"),
        ("AccessDeniedException", "dynamodb:GetItem"),
        ("ExpiredTokenException", "sign in"),
        ("InternalServerError", "InternalServerError"),
    ] {
        let error = refusal(&scene, code).await;
        assert!(error.to_string().contains(words), "{code}: {error}");
        assert!(!error.to_string().contains("testing"), "the credentials: {error}");
    }
    scene.wire.script(|_| Step::LoseCall);
    let error = scene.ledger("one").days().await.unwrap_err();
    assert!(error.to_string().contains("eu-west-1"), "{error}");
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_took_effect_once() {
    let scene = Scene::new().await;
    let ledger = scene.ledger("one");
    // One answer lost: the SDK sends it again, and is refused by its own write. All lost: it is looked for.
    for (lost, name) in [(1, "a"), (3, "b")] {
        scene.wire.first("PutItem", lost, || Step::LoseAnswer);
        scene.ledger("mark").found(&[], 0).await;
        assert_eq!(ledger.found(&[name], 0).await, 1, "{lost} answers lost");
        scene.wire.first("PutItem", lost, || Step::LoseAnswer);
        let claim = ledger.claimed_one(Stage::Submit, 1).await;
        assert_eq!((claim.attempt, ledger.row(&claim.key).await), (1, claim.clone()));
        scene.wire.first("PutItem", lost, || Step::LoseAnswer);
        assert_eq!(ledger.settled(&claim, later(), 2).await, Settled::Done);
        assert_eq!(ledger.row(&claim.key).await.tries, 1);
        let claim = ledger.claimed_one(Stage::Submit, 9).await;
        ledger.settled(&claim, Settlement::GivenUp(callvault_pipeline::reason::Reason::SubmitRefused), 9).await;
    }
    assert_eq!(ledger.counts("2026-01-20".parse().unwrap()).await.unwrap().conversations, 2);
}

#[tokio::test]
async fn a_write_that_never_arrived_is_sent_again() {
    let scene = Scene::new().await;
    let ledger = scene.ledger("one");
    ledger.found(&["a"], 0).await;
    let claim = ledger.claimed_one(Stage::Submit, 1).await;
    scene.wire.first("PutItem", 3, || Step::LoseCall);
    assert_eq!(ledger.settled(&claim, later(), 2).await, Settled::Done);
    assert_eq!(ledger.row(&claim.key).await.tries, 1);
    // For ever lost is an error, and nothing is changed.
    let claim = ledger.claimed_one(Stage::Submit, 9).await;
    scene.wire.first("PutItem", usize::MAX, || Step::LoseCall);
    ledger.settle(&claim.key, claim.attempt, later(), t(10)).await.unwrap_err();
    assert_eq!(ledger.row(&claim.key).await, claim);
    scene.wire.script(|_| Step::Pass);
    assert_eq!(ledger.settled(&claim, later(), 10).await, Settled::Done, "it is still ours");
}

#[tokio::test]
async fn a_write_that_never_arrived_does_not_win_over_anothers() {
    let scene = Scene::new().await;
    let (one, two) = (scene.ledger("one"), scene.ledger("two"));
    one.found(&["a"], 0).await;
    let old = one.claimed_one(Stage::Submit, 1).await;
    let new = two.claimed_one(Stage::Submit, 500).await;
    // What is in the item now is another's write, whichever way it is learned.
    for lost in [0, 3] {
        scene.wire.first("PutItem", lost, || Step::LoseCall);
        assert_eq!(one.settled(&old, later(), 501).await, Settled::Stale);
        assert_eq!(two.row(&new.key).await, new);
    }
}

#[tokio::test]
async fn keys_left_out_of_a_batch_are_asked_for_again() {
    let scene = Scene::new().await;
    scene.ledger("one").found(&["a", "b", "c"], 0).await;
    let left_out = |call: &Call| {
        let (table, asked) = call.body["RequestItems"].as_object().unwrap().iter().next().unwrap();
        Step::Answer(200, json!({"Responses": {table: []}, "UnprocessedKeys": {table: asked}}))
    };
    let mut left = 3;
    scene.wire.script(move |call| match call.operation.as_str() {
        "BatchGetItem" if left > 0 => {
            left -= 1;
            left_out(call)
        }
        _ => Step::Pass,
    });
    let cold = scene.ledger("two");
    assert_eq!(cold.claimed(Stage::Submit, 1).await.len(), 3);
    scene.wire.script(move |call| if call.operation == "BatchGetItem" { left_out(call) } else { Step::Pass });
    let error =
        scene.ledger("three").claim(Stage::Submit, 9, std::time::Duration::from_secs(9), t(999)).await.unwrap_err();
    assert!(error.to_string().contains("unread"), "{error}");
}

#[tokio::test]
async fn no_batch_has_more_than_a_hundred_keys() {
    let scene = Scene::new().await;
    let most = Arc::new(AtomicUsize::new(0));
    let seen = most.clone();
    let table = scene.table.clone();
    scene.wire.script(move |call| {
        if call.operation == "BatchGetItem" {
            seen.fetch_max(call.body["RequestItems"][&table]["Keys"].as_array().unwrap().len(), Ordering::Relaxed);
        }
        Step::Pass
    });
    let ids: Vec<String> = (0..260).map(|n| format!("{n:x}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    scene.ledger("one").found(&ids, 0).await;
    let cold = scene.ledger("two");
    assert_eq!(cold.claim(Stage::Submit, 260, std::time::Duration::from_secs(9), t(1)).await.unwrap().len(), 260);
    assert_eq!(most.load(Ordering::Relaxed), 100);
}

#[tokio::test]
async fn copies_wake_the_stream_when_they_become_due_and_not_when_they_are_claimed() {
    let scene = Scene::new().await;
    let ledger = scene.ledger("one");
    let given = callvault_pipeline::ledger::machine::Delivered {
        recording: "r".parse().unwrap(),
        kind: callvault_pipeline::kind::Kind::Call,
        results: 1,
        error: None,
        verdict: None,
    };
    ledger.found(&["a"], 0).await;
    ledger.submitted_as(1, 1).await;
    let woken = |calls: Vec<Call>| {
        let wakes = calls.iter().filter(|call| call.body["Item"][schema::WAKE]["S"] == "upload");
        wakes.filter(|call| call.body["Item"][schema::STATE]["S"] == "delivered").count()
    };
    assert_eq!(woken(scene.wire.take_calls()), 0);
    let delivery = callvault_pipeline::ledger::machine::Delivery {
        conversation: "a".parse().unwrap(),
        error: None,
        recordings: vec![given],
    };
    ledger.delivers(1, &[delivery], 10).await;
    assert_eq!(woken(scene.wire.take_calls()), 1);
    let claim = ledger.claimed_one(Stage::Upload, 11).await;
    ledger.renew(&claim.key, claim.attempt, t(400)).await.unwrap();
    ledger.settled(&claim, Settlement::Later { due: t(60), failed: true }, 12).await;
    assert_eq!(woken(scene.wire.take_calls()), 0, "claimed, renewed, put off");
}

/// From its `n`th write on, a process is gone.
fn gone_after(scene: &Scene, n: usize) {
    let mut writes = 0;
    scene.wire.script(move |call| {
        writes += usize::from(call.operation == "PutItem");
        if writes > n { Step::LoseCall } else { Step::Pass }
    });
}

#[tokio::test]
async fn what_spans_items_is_cut_off_anywhere_and_done_again() {
    for cut in 0..3 {
        let scene = Scene::new().await;
        let one = scene.ledger("one");
        one.found(&["a", "b"], 0).await;
        let claimed = one.claimed(Stage::Submit, 0).await;
        let claims: Vec<_> = claimed.iter().map(|row| (row.key.conversation().unwrap().clone(), row.attempt)).collect();
        gone_after(&scene, cut);
        one.submitted(&"job-1".parse().unwrap(), &claims, t(2), t(1)).await.unwrap_err();
        scene.wire.script(|_| Step::Pass);
        // Whoever comes later puts the rest into another job, and both jobs deliver what is theirs.
        let two = scene.ledger("two");
        two.submitted_as(2, 300).await;
        let mut lost = 0;
        for batch in two.claimed(Stage::Poll, 400).await {
            gone_after(&scene, 1);
            let _ = two.settle(&batch.key, batch.attempt, Settlement::Lost, t(401)).await;
            scene.wire.script(|_| Step::Pass);
            lost += 1;
        }
        let three = scene.ledger("three");
        for batch in three.claimed(Stage::Poll, 800).await {
            assert_eq!(three.settled(&batch, Settlement::Lost, 801).await, Settled::Done);
        }
        assert!(lost > 0 && three.next_due(Stage::Poll).await.unwrap().is_none());
        for row in three.claimed(Stage::Submit, 900).await {
            let family = three.conversation(row.key.conversation().unwrap()).await.unwrap();
            let callvault_pipeline::ledger::Fact::Conversation(fact) = &family[0].fact else { panic!("{family:?}") };
            assert_eq!(fact.losses, 1, "given back once, cut off after {cut}");
        }
        assert_eq!(three.counts("2026-01-20".parse().unwrap()).await.unwrap().conversations_by_state["found"], 2);
    }
}

/// The notification is written right before the day: whoever dies between the two has told nobody yet, and whoever closes the
/// day after that finds it there.
#[tokio::test]
async fn a_close_that_is_cut_between_its_two_writes_is_announced_once() {
    let scene = Scene::new().await;
    let day = "2026-01-20".parse().unwrap();
    let ledger = scene.ledger("one");
    ledger.plan_day(day, t(0)).await.unwrap();
    let query = ledger.claimed_one(Stage::Query, 0).await;
    ledger.settled(&query, Settlement::Queried, 0).await;
    let manifest = object("manifest", 1);
    let closing = || {
        let announce = Some(callvault_tests::contract_ledger::notifications::summary(1));
        Settlement::Closed(Box::new(Closing { announce, ..Closing::alone(day, 1, Marker::Failure, manifest.clone()) }))
    };
    let claim = ledger.claimed_one(Stage::Close, 1).await;
    let puts = AtomicUsize::new(0);
    scene.wire.script(move |call| match call.operation.as_str() {
        "PutItem" | "TransactWriteItems" if puts.fetch_add(1, Ordering::SeqCst) > 0 => Step::LoseCall,
        _ => Step::Pass,
    });
    ledger.settle(&claim.key, claim.attempt, closing(), t(1)).await.unwrap_err();
    scene.wire.script(|_| Step::Pass);
    assert_eq!(ledger.notifications(day).await.unwrap().len(), 1, "the first of the two writes");
    // Another process takes the day when the claim is over.
    let two = scene.ledger("two");
    let claim = two.claimed_one(Stage::Close, 4000).await;
    assert_eq!(two.settled(&claim, closing(), 4000).await, Settled::Done);
    let rows = two.notifications(day).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.state_word()).collect::<Vec<_>>(), ["due"]);
    let row = two.claimed_one(Stage::Notify, 4001).await;
    let told = [(Channel::Webhook, Carried::Done)].into_iter().collect();
    assert_eq!(two.settled(&row, Settlement::Told { told, due: None, detail: None }, 4002).await, Settled::Done);
    assert_eq!(two.claimed(Stage::Notify, 9000).await, []);
}
