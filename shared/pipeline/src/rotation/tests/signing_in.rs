//! A person signs in while a rotation is half done.

use super::super::*;
use super::calls_of_a_rotation;
use super::world::{Harm, Login, World};

/// What a rotation says that is overtaken: of itself, or of its version where the sign-in has ended it.
const EXPECTED: [&str; 3] = ["signed-in-since", "unknown-version", "pending-has-no-value"];

/// Somebody signs in before any call of a rotation, also between two calls of a step, or after the last; with `callvault
/// login`, which ends the rotation, or with a tool that knows nothing of one.
#[tokio::test]
async fn whoever_signs_in_while_a_rotation_is_half_done_is_not_undone_by_it() {
    let calls = calls_of_a_rotation().await;
    for (number, login) in (0..=calls).flat_map(|number| [Login::Ours, Login::Another].map(|login| (number, login))) {
        let world = World::signed_in();
        world.sign_in_at(number, login);
        let mut codes = Vec::new();
        world.begin("t1");
        // As AWS does it: again with the same version.
        for _ in 0..4 {
            match world.rotate_again("t1").await {
                Ok(()) => break,
                Err(fault) => codes.push(fault.code()),
            }
        }
        let words = format!("{login:?} before call {number}: {codes:?} {:#?}", world.calls());
        let signed_in = world.signed_in_at().unwrap_or_else(|| world.sign_in_by(login));
        // Or AWS would begin no other, and go on with this one for ever.
        assert!(world.pending_version().is_none_or(|pending| pending == world.current_version()), "{words}");
        assert!(codes.first().is_none_or(|code| EXPECTED.contains(code)), "{words}");
        assert!(world.is_from(&signed_in), "{words}");
        world.rotate("t2").await.unwrap_or_else(|fault| panic!("{fault}: {words}"));
        assert!(world.was_spent(&signed_in) && world.is_from(&signed_in) && world.current_works(), "{words}");
        assert_eq!(world.current_version(), "t2", "{words}");
    }
}

#[tokio::test]
async fn whoever_signs_in_is_not_undone_by_a_pair_that_was_taken_over() {
    for (place, login) in ["version", "rescue", "without the ledger"]
        .into_iter()
        .flat_map(|place| [Login::Ours, Login::Another].map(|login| (place, login)))
    {
        let world = World::signed_in();
        world.begin("t1");
        world.refuse_puts(place == "rescue");
        let created = world.step(Step::Create, "t1").await;
        assert_eq!(created.is_err(), place == "rescue", "{place}");
        world.refuse_puts(false);
        world.begin("t2");
        if place == "without the ledger" {
            world.forget_lineage();
        }
        world.step(Step::Create, "t2").await.unwrap();
        let signed_in = world.sign_in_by(login);
        assert!(world.rotate_again("t2").await.is_err(), "{place}, {login:?}");
        assert!(world.is_from(&signed_in), "{place}, {login:?}");
        world.rotate("t3").await.unwrap();
        assert!(
            world.was_spent(&signed_in) && world.is_from(&signed_in) && world.current_works(),
            "{place}, {login:?}"
        );
    }
}

#[tokio::test]
async fn a_version_that_could_not_be_given_up_is_given_up_by_the_next_step() {
    let world = World::signed_in();
    world.begin("t1");
    world.step(Step::Create, "t1").await.unwrap();
    let signed_in = world.sign_in();
    // describe, value pending, value of a version, newest, and then it is given up.
    world.harm(world.calls().len() + 4, Harm::Fail);
    assert_eq!(world.step(Step::Test, "t1").await.unwrap_err().code(), "signed-in-since");
    assert_eq!(world.pending_version().as_deref(), Some("t1"));
    assert_eq!(world.step(Step::Finish, "t1").await.unwrap_err().code(), "signed-in-since");
    assert_eq!((world.pending_version(), world.is_from(&signed_in)), (None, true));
}
