//! Every call the function makes fails, is refused, loses its answer, and is the last of its process.

use callvault_tests::stand_ins::gate::Harm;

use super::scene::{Scene, words};

/// What is spent or lost for good where its answer is.
const EXCHANGE: &str = "POST /oauth/token";

/// A run for every call of an undisturbed rotation that is `wanted`, and for those that come after a failure.
async fn every_call(harm: Harm, wanted: impl Fn(&str) -> bool) {
    let scene = Scene::start().await;
    let secret = scene.secret();
    scene.gate.harm(None);
    scene.rotate_until_done(&secret).await.unwrap();
    let calls = scene.gate.calls();
    assert!(calls.len() > 15 && scene.exchanges() == 1, "{calls:?}");
    let mut planted = Vec::new();
    for number in (0..calls.len() + 2).filter(|number| calls.get(*number).is_none_or(|call| wanted(call))) {
        let secret = scene.secret();
        planted.extend(scene.tokens(&secret));
        scene.gate.harm(Some((number, harm)));
        let end = scene.rotate_until_done(&secret).await;
        let words = words(harm, number, &scene.gate.calls());
        let taken = calls.get(number).is_some_and(|call| call == EXCHANGE);
        if taken && matches!(harm, Harm::LoseAnswer | Harm::Hang | Harm::Kill) {
            assert_eq!(end, Err("sign-in-needed".to_owned()), "{words}");
            assert!(scene.is_accepted(&scene.current(&secret)).await, "the old access token lives on; {words}");
        } else {
            assert_eq!(end, Ok(()), "{words}\n{}", scene.log());
            scene.assert_good(&secret, &words).await;
        }
    }
    scene.assert_silent(&planted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_fails_once() {
    every_call(Harm::Fail, |_| true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_is_refused_once() {
    every_call(Harm::Refuse, |_| true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_loses_its_answer_once() {
    every_call(Harm::LoseAnswer, |_| true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_is_the_last_of_its_process_once() {
    every_call(Harm::Kill, |_| true).await;
}

/// What hangs is given up after seconds: only those that change something.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_never_answered() {
    let changes = ["PutItem", EXCHANGE, "PutSecretValue", "UpdateSecretVersionStage"];
    every_call(Harm::Hang, |call| changes.contains(&call)).await;
}
