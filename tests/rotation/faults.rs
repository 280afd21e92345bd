//! Every call the function makes fails, is refused, loses its answer, is never answered, and is the last of its process:
//! of a rotation that begins with a sign-in, and of those that find a pair which an earlier one left behind.

use callvault_tests::stand_ins::gate::Harm;

use super::scene::{STEPS, Scene, words};

/// What is spent or lost for good where its answer is.
const EXCHANGE: &str = "POST /oauth/token";

/// The version of a rotation that did not come to its end.
const EARLIER: &str = "an-earlier-version-of-a-rotation";

/// What a rotation finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beginning {
    /// A pair that is current.
    SignedIn,
    /// A newer pair in the rescue secret: the secret did not take it.
    Rescued,
    /// A newer pair in a pending version that never became current.
    LeftBehind,
}

impl Beginning {
    /// A secret of which this is true.
    async fn prepare(self, scene: &Scene) -> String {
        let secret = scene.secret();
        scene.gate.harm(None);
        match self {
            Self::SignedIn => {}
            Self::Rescued => {
                scene.secrets.refuse(&secret, true);
                assert_eq!(scene.rotate(&secret, EARLIER).await, Err("pair-in-rescue".to_owned()));
                scene.secrets.refuse(&secret, false);
            }
            Self::LeftBehind => {
                scene.secrets.begin_rotation(&secret, EARLIER);
                scene.step(&secret, EARLIER, STEPS[0]).await.unwrap();
            }
        }
        secret
    }

    /// How many refresh tokens an undisturbed rotation spends.
    fn exchanges(self) -> usize {
        usize::from(self == Self::SignedIn)
    }
}

/// A run for every call of an undisturbed rotation, and for those that come after a failure: of these, each `of`-th one
/// from `part` on, so that what takes its time goes on beside the others.
async fn every_call(harm: Harm, beginning: Beginning, (part, of): (usize, usize)) {
    let scene = Scene::start().await;
    let secret = beginning.prepare(&scene).await;
    scene.gate.harm(None);
    scene.rotate_until_done(&secret).await.unwrap();
    let calls = scene.gate.calls();
    assert!(calls.len() > 10 && scene.exchanges() == beginning.exchanges(), "{beginning:?}: {calls:?}");
    let mut planted = Vec::new();
    for number in (0..calls.len() + 2).skip(part).step_by(of) {
        let secret = beginning.prepare(&scene).await;
        planted.extend(scene.tokens(&secret));
        scene.gate.harm(Some((number, harm)));
        let end = scene.rotate_until_done(&secret).await;
        let words = format!("{beginning:?}: {}", words(harm, number, &scene.gate.calls()));
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

/// A test each: they go on beside each other.
macro_rules! every_call {
    ($($name:ident: $harm:ident, $beginning:ident, $part:expr;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                every_call(Harm::$harm, Beginning::$beginning, $part).await;
            }
        )+
    };
}

every_call! {
    every_call_fails_once: Fail, SignedIn, (0, 1);
    every_call_is_refused_once: Refuse, SignedIn, (0, 1);
    every_call_loses_its_answer_once: LoseAnswer, SignedIn, (0, 1);
    every_call_is_the_last_of_its_process_once: Kill, SignedIn, (0, 1);
    every_first_of_four_calls_is_never_answered: Hang, SignedIn, (0, 4);
    every_second_of_four_calls_is_never_answered: Hang, SignedIn, (1, 4);
    every_third_of_four_calls_is_never_answered: Hang, SignedIn, (2, 4);
    every_fourth_of_four_calls_is_never_answered: Hang, SignedIn, (3, 4);
    every_call_for_a_rescued_pair_fails_once: Fail, Rescued, (0, 1);
    every_call_for_a_rescued_pair_loses_its_answer_once: LoseAnswer, Rescued, (0, 1);
    every_call_for_a_rescued_pair_is_the_last_once: Kill, Rescued, (0, 1);
    every_call_for_a_pair_left_behind_fails_once: Fail, LeftBehind, (0, 1);
    every_call_for_a_pair_left_behind_loses_its_answer_once: LoseAnswer, LeftBehind, (0, 1);
    every_call_for_a_pair_left_behind_is_the_last_once: Kill, LeftBehind, (0, 1);
}
