//! The rotation over ports in memory that fail by call number, driven as Secrets Manager drives it.

mod signing_in;
mod world;

use super::ports::Spending;
use super::*;
use world::{Harm, World};

/// Every call of an undisturbed rotation.
async fn calls_of_a_rotation() -> usize {
    let world = World::signed_in();
    world.rotate("t1").await.unwrap();
    world.calls().len()
}

#[tokio::test]
async fn a_rotation_spends_one_token_and_keeps_what_belongs_to_others() {
    let world = World::signed_in();
    world.rotate("t1").await.unwrap();
    assert_eq!(
        world.calls(),
        [
            "describe",
            "value pending",
            "newest",
            "value AWSCURRENT",
            "rescued",
            "write exchanging",
            "exchange",
            "put_pending",
            "write done", // createSecret
            "describe",   // setSecret
            "describe",
            "value pending",
            "value of a version",
            "newest",
            "check", // testSecret
            "describe",
            "value pending",
            "value of a version",
            "newest",
            "make_current",
            "rescued", // finishSecret
        ]
    );
    assert_eq!((world.exchanges(), world.current_version()), (1, "t1".to_owned()));
    assert!(world.current_works());
    assert!(world.current_text().starts_with(r#"{"owner":"quality","clientId":"client""#), "{}", world.current_text());
    assert!(world.current_text().contains(r#""limit":1.50000000000000000001"#));
    assert_eq!(world.newest().unwrap().generation.state, Spending::Done);
}

#[tokio::test]
async fn any_prefix_of_steps_any_number_of_times_changes_nothing() {
    for prefix in 1..=4 {
        let world = World::signed_in();
        world.begin("t1");
        for _ in 0..3 {
            for step in World::STEPS.into_iter().take(prefix) {
                world.step(step, "t1").await.unwrap();
            }
        }
        world.rotate("t1").await.unwrap();
        for step in World::STEPS {
            assert_eq!(world.step(step, "t1").await.unwrap().outcome, Outcome::AlreadyCurrent);
        }
        assert_eq!(world.exchanges(), 1, "prefix {prefix}");
        assert!(world.current_works());
    }
}

#[tokio::test]
async fn whatever_call_fails_is_lost_or_kills_the_end_is_one_pair_that_works_or_a_sign_in() {
    let calls = calls_of_a_rotation().await;
    for harm in [Harm::Fail, Harm::Refuse, Harm::LoseAnswer, Harm::Kill] {
        for number in 0..calls + 4 {
            let world = World::signed_in();
            world.harm(number, harm);
            let end = world.rotate_until_done("t1", "t2").await;
            let struck = world.calls().get(number).cloned().unwrap_or_default();
            let lost = struck == "exchange" && matches!(harm, Harm::LoseAnswer | Harm::Kill);
            match end {
                Ok(()) => assert!(!lost, "{harm:?} of call {number}"),
                Err(fault) => {
                    assert!(lost, "{harm:?} of call {number}, {struck}: {fault}");
                    assert_eq!(fault.code(), "sign-in-needed");
                    assert!(fault.to_string().contains("callvault login"));
                }
            }
            assert!(lost || world.current_works(), "{harm:?} of call {number}, {struck}");
            assert!(world.current_access_works(), "{harm:?} of call {number}: old or new, it is good");
            if !lost {
                // And it goes on from there.
                world.no_more_harm();
                world.rotate("t3").await.unwrap_or_else(|fault| panic!("{harm:?} of {number}, {struck}: {fault}"));
                assert!(world.current_works() && world.current_version() == "t3");
            }
        }
    }
}

#[tokio::test]
async fn two_calls_that_go_wrong_lose_no_pair_that_was_received() {
    let calls = calls_of_a_rotation().await;
    let harms = [Harm::Fail, Harm::LoseAnswer, Harm::Kill];
    for first in 0..calls {
        for second in first + 1..calls + 8 {
            for (one, other) in harms.into_iter().flat_map(|one| harms.map(|other| (one, other))) {
                let world = World::signed_in();
                world.harm(first, one);
                world.harm(second, other);
                let end = world.rotate_until_done("t1", "t2").await;
                let heard = |number: usize, harm: Harm| {
                    let struck = world.calls().get(number).is_none_or(|call| call != "exchange");
                    struck || harm == Harm::Fail
                };
                let unlucky = !heard(first, one) || !heard(second, other);
                let words = format!("{one:?} of {first}, {other:?} of {second}: {end:?}");
                assert!(unlucky || (end.is_ok() && world.current_works()), "{words}\n{:#?}", world.calls());
            }
        }
    }
}

#[tokio::test]
async fn a_pair_that_the_secret_refuses_waits_in_the_rescue_secret() {
    let world = World::signed_in();
    world.refuse_puts(true);
    world.begin("t1");
    let fault = world.step(Step::Create, "t1").await.unwrap_err();
    assert_eq!((fault.code(), fault.is_about_a_pair()), ("pair-in-rescue", true));
    assert!(world.rescue_text().contains("rescueOf"));
    world.refuse_puts(false);
    world.rotate("t1").await.unwrap();
    assert_eq!(world.exchanges(), 1, "the pair was there already");
    assert!(world.current_works() && !world.current_text().contains("rescueOf"));
    assert_eq!(world.rescue_text(), "{}");
}

#[tokio::test]
async fn a_pair_that_nobody_takes_says_so_and_is_tried_until_the_time_is_up() {
    let world = World::signed_in();
    world.refuse_puts(true);
    world.refuse_rescue(true);
    world.begin("t1");
    let began = world.now();
    let fault = world.step(Step::Create, "t1").await.unwrap_err();
    assert_eq!(fault.code(), "pair-not-saved");
    assert!(world.now().duration_since(began).as_secs() > 40, "it had a minute");
    world.refuse_rescue(false);
    assert_eq!(world.step(Step::Create, "t1").await.unwrap_err().code(), "sign-in-needed");
}

#[tokio::test]
async fn a_pair_of_a_rotation_that_failed_later_is_taken_over_and_its_token_is_spent_only_when_it_is_old() {
    for (hours, exchanges) in [(1, 1), (40, 2)] {
        let world = World::signed_in();
        world.begin("t1");
        world.step(Step::Create, "t1").await.unwrap();
        world.pass(hours * 3600);
        world.rotate("t2").await.unwrap();
        assert_eq!(world.exchanges(), exchanges, "after {hours} h");
        assert!(world.current_works());
    }
}

#[tokio::test]
async fn a_pair_whose_access_token_was_revoked_is_not_taken_over_as_it_is() {
    let world = World::signed_in();
    world.begin("t1");
    world.step(Step::Create, "t1").await.unwrap();
    world.revoke_access();
    world.rotate("t2").await.unwrap();
    assert_eq!(world.exchanges(), 2);
    assert!(world.current_works());
}

#[tokio::test]
async fn somebody_who_signs_in_anew_is_not_undone_by_what_was_left_behind() {
    let world = World::signed_in();
    world.begin("t1");
    world.step(Step::Create, "t1").await.unwrap();
    let login = world.sign_in();
    world.rotate("t2").await.unwrap();
    assert!(world.current_works());
    assert!(world.was_spent(&login), "the new sign-in goes on");
}

#[tokio::test]
async fn after_a_lost_sign_in_a_new_one_goes_on_by_itself() {
    let world = World::signed_in();
    world.harm(6, Harm::LoseAnswer);
    assert_eq!(world.rotate_until_done("t1", "t2").await.unwrap_err().code(), "sign-in-needed");
    world.sign_in();
    world.rotate("t3").await.unwrap();
    assert!(world.current_works());
}

#[tokio::test]
async fn nobody_has_signed_in_yet() {
    let world = World::new();
    world.begin("t1");
    let fault = world.step(Step::Create, "t1").await.unwrap_err();
    assert_eq!((fault.code(), world.exchanges()), ("sign-in-needed", 0));
}

#[tokio::test]
async fn two_at_once_spend_one_token_whoever_comes_when() {
    for (later, pace) in (0..40).flat_map(|later| (1..5).map(move |pace| (later, pace))) {
        let world = World::signed_in();
        world.begin("t1");
        let (one, other) = (world.process("one"), world.process("other").at_pace(pace));
        let second = async {
            for _ in 0..later {
                tokio::task::yield_now().await;
            }
            other.step(Step::Create, "t1").await
        };
        let (first, second) = futures_util::future::join(one.step(Step::Create, "t1"), second).await;
        let words = format!("{later} later, {pace} times as slow: {:#?}", world.calls());
        let mut outcomes = [first.expect(&words).outcome, second.expect(&words).outcome];
        outcomes.sort_by_key(|outcome| outcome.as_str());
        assert_eq!(outcomes, [Outcome::Exchanged, Outcome::NothingToDo], "{words}");
        assert_eq!(world.exchanges(), 1, "{words}");
    }
}

#[tokio::test]
async fn a_move_whose_answer_was_lost_is_a_move() {
    let world = World::signed_in();
    world.begin("t1");
    for step in &World::STEPS[..3] {
        world.step(*step, "t1").await.unwrap();
    }
    world.harm(world.calls().len() + 4, Harm::LoseAnswer);
    assert_eq!(world.step(Step::Finish, "t1").await.unwrap().outcome, Outcome::Finished);
    assert!(
        world.calls().ends_with(&["make_current", "describe", "rescued"].map(str::to_owned)),
        "{:?}",
        world.calls()
    );
}

/// A version that lost its stage holds the newest pair, and whoever was to spend it is gone.
#[tokio::test]
async fn a_pair_is_found_again_by_the_version_it_was_taken_from() {
    let world = World::signed_in();
    world.begin("t1");
    world.step(Step::Create, "t1").await.unwrap();
    world.pass(40 * 3600);
    world.begin("t2");
    world.harm(world.calls().len() + 6, Harm::Kill);
    assert!(world.killed_at(Step::Create, "t2", "another").await);
    assert_eq!(world.calls().last().map(String::as_str), Some("write exchanging"));
    world.rotate("t3").await.unwrap();
    assert_eq!(world.exchanges(), 2, "no spent token is shown to Genesys Cloud");
    assert!(world.current_works());
}

#[tokio::test]
async fn a_pair_is_found_again_without_the_ledger() {
    let world = World::signed_in();
    world.begin("t1");
    world.step(Step::Create, "t1").await.unwrap();
    world.begin("t2");
    world.forget_lineage();
    world.rotate("t2").await.unwrap();
    assert!(world.current_works());
}

#[tokio::test]
async fn an_order_that_does_not_fit_the_secret_does_nothing() {
    let world = World::signed_in();
    assert_eq!(world.step(Step::Create, "t1").await.unwrap_err().code(), "unknown-version");
    world.begin("t1");
    world.begin("t2");
    assert_eq!(world.step(Step::Finish, "t2").await.unwrap_err().code(), "pending-has-no-value");
    assert_eq!(world.step(Step::Test, "t2").await.unwrap_err().code(), "pending-has-no-value");
    world.keep_stageless("t1");
    assert_eq!(world.step(Step::Create, "t1").await.unwrap_err().code(), "not-pending");
    world.enable_rotation(false);
    for step in World::STEPS {
        assert_eq!(world.step(step, "t2").await.unwrap_err().code(), "rotation-not-enabled");
    }
    assert_eq!(world.exchanges(), 0);
}

#[test]
fn steps_have_two_spellings() {
    for (text, step) in ["createSecret", "setSecret", "testSecret", "finishSecret"].iter().zip(World::STEPS) {
        assert_eq!(text.parse(), Ok(step));
    }
    for (text, step) in ["create_secret", "set_secret", "test_secret", "finish_secret"].iter().zip(World::STEPS) {
        assert_eq!(text.parse(), Ok(step));
    }
    for text in ["", "CreateSecret", "createsecret", "create", "rotateSecret"] {
        assert_eq!(text.parse::<Step>(), Err(()), "{text}");
    }
}

#[tokio::test]
async fn a_claim_of_a_dead_process_is_waited_for_and_one_of_its_own_is_not() {
    for (process, waits) in [("another", true), ("process-0", false)] {
        let world = World::signed_in();
        world.begin("t1");
        // Claimed, and gone before the request was sent.
        world.harm(5, Harm::Kill);
        assert!(world.killed_at(Step::Create, "t1", "process-0").await);
        let began = world.now();
        world.process(process).step(Step::Create, "t1").await.unwrap();
        assert_eq!(world.now() != began, waits, "{process}");
        assert_eq!(world.exchanges(), 1);
    }
}
