//! Batch jobs and what they give.

use callvault_pipeline::ledger::machine::{Delivered, Delivery, MOST_LOSSES, Settlement};
use callvault_pipeline::ledger::{Fact, Ledger, RecordingState, RowKey, Settled, Stage};
use callvault_pipeline::reason::Reason;

use super::steps::*;

/// The batch is due for poll and lists its conversations; they wait for it.
pub async fn a_job_holds_what_was_claimed_for_it(ledger: &dyn Ledger) {
    ledger.found(&["a", "b"], 0).await;
    ledger.submitted_as(1, 5).await;
    for name in ["a", "b"] {
        let row = ledger.row(&conversation(name)).await;
        assert_eq!((row.state_word(), row.work), ("submitted", None));
    }
    assert!(ledger.claimed(Stage::Poll, 6).await.is_empty());
    let batch = ledger.claimed_one(Stage::Poll, 7).await;
    let Fact::Batch(fact) = &batch.fact else { panic!("{} is no batch", batch.key) };
    assert_eq!((&batch.key, fact.submitted_at), (&RowKey::Batch(job(1)), t(5)));
    assert_eq!(fact.conversations, [id("a"), id("b")]);
    assert_eq!((fact.done, fact.polls, fact.steady), (false, 0, None));
}

/// By the attempt: whoever lost its claim meanwhile has no say.
pub async fn a_conversation_claimed_by_others_stays_out_of_a_job(ledger: &dyn Ledger) {
    ledger.found(&["a", "b"], 0).await;
    let old = ledger.claimed(Stage::Submit, 0).await;
    let a = old.iter().find(|row| row.key == conversation("a")).unwrap();
    ledger.renew(&a.key, a.attempt, t(9000)).await.unwrap();
    let b = ledger.claimed_one(Stage::Submit, 300).await;
    let claims: Vec<_> = old.iter().map(|row| (row.key.conversation().unwrap().clone(), row.attempt)).collect();
    ledger.submitted(&job(1), &claims, t(302), t(301)).await.unwrap();
    assert_eq!(ledger.state(&conversation("a")).await, "submitted");
    assert_eq!(ledger.row(&conversation("b")).await, b);
    let batch = ledger.claimed_one(Stage::Poll, 302).await;
    assert!(matches!(&batch.fact, Fact::Batch(fact) if fact.conversations == [id("a")]));
}

/// A job whose conversations all went elsewhere is nobody's.
pub async fn a_job_of_nothing_leaves_no_row(ledger: &dyn Ledger) {
    ledger.found(&["a"], 0).await;
    ledger.submitted_as(1, 0).await;
    ledger.submitted(&job(2), &[(id("a"), 1), (id("x"), 1)], t(2), t(1)).await.unwrap();
    assert_eq!(ledger.claimed_one(Stage::Poll, 9).await.key, RowKey::Batch(job(1)));
}

/// With a URL: due for upload. With an error: waits. With a verdict: that.
pub async fn every_result_becomes_a_recording(ledger: &dyn Ledger) {
    let left_out = RecordingState::LeftOut(Reason::OtherKind);
    let other = Delivered { verdict: Some(left_out), ..delivered("other", 1) };
    ledger.delivered_one("a", vec![delivered("r", 2), delivered("e", 0), other]).await;
    let row = ledger.row(&recording("a/r")).await;
    assert_eq!((row.day, row.state_word(), due(&row)), (day(), "pending", Some((Stage::Upload, t(10)))));
    let fact = recording_fact(&row);
    assert_eq!((fact.results, &fact.job, fact.start), (2, &Some(job(1)), Some(t(-9000))));
    let row = ledger.row(&recording("a/e")).await;
    assert_eq!((row.state_word(), &row.work), ("waiting", &None));
    assert_eq!(recording_fact(&row).detail.as_deref(), Some("not there"));
    let row = ledger.row(&recording("a/other")).await;
    assert_eq!((row.state_word(), row.reason(), row.work), ("left-out", Some(Reason::OtherKind), None));
    assert_eq!(ledger.state(&conversation("a")).await, "delivered");
    assert!(ledger.claimed(Stage::Poll, 9000).await.is_empty(), "the job is done");
}

/// A conversation that went into another job meanwhile is left to that one.
pub async fn a_superseded_job_delivers_nothing(ledger: &dyn Ledger) {
    ledger.found(&["a", "b"], 0).await;
    ledger.submitted_as(1, 0).await;
    let batch = ledger.claimed_one(Stage::Poll, 9).await;
    // Lost in somebody's eyes, delivered in another's: the second comes too late.
    ledger.settled(&batch, Settlement::Lost, 10).await;
    ledger.submitted_as(2, 11).await;
    let before = ledger.conversation(&id("a")).await.unwrap();
    let late = ledger.deliver(&job(1), batch.attempt, &[delivery("a", vec![delivered("r", 1)])], t(12)).await.unwrap();
    assert_eq!(late, Settled::Stale);
    assert_eq!(ledger.conversation(&id("a")).await.unwrap(), before);
    // The same by a job that does not hold it.
    let strange = [delivery("x", vec![delivered("r", 1)]), delivery("b", vec![delivered("r", 1)])];
    ledger.found(&["x"], 12).await;
    ledger.delivers(2, &strange, 20).await;
    assert_eq!(ledger.conversation(&id("x")).await.unwrap().len(), 1);
    assert_eq!(ledger.state(&recording("b/r")).await, "pending");
}

/// The second time it is stale.
pub async fn a_job_delivers_once(ledger: &dyn Ledger) {
    ledger.found(&["a"], 0).await;
    ledger.submitted_as(1, 0).await;
    let old = ledger.claimed_one(Stage::Poll, 2).await;
    let batch = ledger.claimed_one(Stage::Poll, 400).await;
    let given = [delivery("a", vec![delivered("r", 1)])];
    assert_eq!(ledger.deliver(&job(1), old.attempt, &given, t(401)).await.unwrap(), Settled::Stale);
    assert_eq!(ledger.conversation(&id("a")).await.unwrap().len(), 1);
    assert_eq!(ledger.deliver(&job(1), batch.attempt, &given, t(402)).await.unwrap(), Settled::Done);
    let before = ledger.conversation(&id("a")).await.unwrap();
    assert_eq!(ledger.deliver(&job(1), batch.attempt, &given, t(403)).await.unwrap(), Settled::Stale);
    assert_eq!(ledger.conversation(&id("a")).await.unwrap(), before);
}

/// Stores what was delivered, and sends the conversation into job 2.
async fn stored_and_again(ledger: &dyn Ledger, results: u32) {
    ledger.delivered_one("a", vec![delivered("r", results), delivered("e", 0)]).await;
    let claim = ledger.claimed_one(Stage::Upload, 11).await;
    ledger.settled(&claim, Settlement::Stored(vec![object("call/a_r.ogg", 5)]), 12).await;
    again(ledger, 12).await;
}

async fn again(ledger: &dyn Ledger, now: i64) {
    use callvault_pipeline::ledger::machine::{Next, Resubmission};
    let claim = ledger.claimed_one(Stage::Describe, now).await;
    ledger.settled(&claim, look(Next::Resubmit { due: t(now), because: Resubmission::Missing }), now).await;
    ledger.submitted_as(2, now).await;
}

/// What is in the archive stays as it is.
pub async fn equal_results_change_nothing(ledger: &dyn Ledger) {
    stored_and_again(ledger, 1).await;
    let before = ledger.row(&recording("a/r")).await;
    ledger.delivers(2, &[delivery("a", vec![delivered("r", 1), delivered("e", 1)])], 20).await;
    assert_eq!(ledger.row(&recording("a/r")).await, before);
    assert_eq!(ledger.state(&recording("a/e")).await, "pending");
}

/// Another part of it has turned up: it is copied, and what is stored stays on record.
pub async fn more_results_open_a_stored_recording_again(ledger: &dyn Ledger) {
    stored_and_again(ledger, 1).await;
    ledger.delivers(2, &[delivery("a", vec![delivered("r", 2)])], 20).await;
    let row = ledger.row(&recording("a/r")).await;
    assert_eq!((row.state_word(), due(&row)), ("pending", Some((Stage::Upload, t(20)))));
    let fact = recording_fact(&row);
    assert_eq!((fact.results, fact.objects.len(), &fact.job), (2, 1, &Some(job(2))));
}

/// Whoever copies it at that moment knows nothing of the other part, so its word is not the last.
pub async fn more_results_while_it_is_copied_are_copied_too(ledger: &dyn Ledger) {
    ledger.delivered_one("a", vec![delivered("r", 1), delivered("q", 1)]).await;
    let claims = ledger.claimed(Stage::Upload, 11).await;
    let claim = |name: &str| claims.iter().find(|row| row.key == recording(name)).unwrap();
    assert_eq!(ledger.settled(claim("a/q"), refused(), 12).await, Settled::Done);
    ledger.submitted_as(2, 12).await;
    ledger.delivers(2, &[delivery("a", vec![delivered("r", 2), delivered("q", 1)])], 20).await;
    ledger.settled(claim("a/r"), Settlement::Stored(vec![object("call/a_r.ogg", 5)]), 21).await;
    let row = ledger.row(&recording("a/r")).await;
    assert_eq!((row.state_word(), recording_fact(&row).results), ("pending", 2));
    assert!(ledger.claimed(Stage::Upload, 330).await.iter().any(|row| row.key == recording("a/r")));
}

/// Each that is still in it is due for submit again, and the loss is counted.
pub async fn a_lost_job_gives_its_conversations_back(ledger: &dyn Ledger) {
    ledger.found(&["a", "b"], 0).await;
    ledger.submitted_as(1, 0).await;
    let batch = ledger.claimed_one(Stage::Poll, 2).await;
    assert_eq!(ledger.settled(&batch, Settlement::Lost, 3).await, Settled::Done);
    for name in ["a", "b"] {
        let row = ledger.row(&conversation(name)).await;
        assert_eq!((row.state_word(), due(&row)), ("found", Some((Stage::Submit, t(3)))));
        assert_eq!((conversation_fact(&row).losses, conversation_fact(&row).resubmissions), (1, 0));
    }
    assert!(ledger.claimed(Stage::Poll, 9000).await.is_empty());
}

/// Not for ever.
pub async fn a_conversation_whose_jobs_are_always_lost_is_looked_at(ledger: &dyn Ledger) {
    ledger.found(&["a"], 0).await;
    for number in 0..MOST_LOSSES {
        ledger.submitted_as(number, 10).await;
        let batch = ledger.claimed_one(Stage::Poll, 12).await;
        ledger.settled(&batch, Settlement::Lost, 10).await;
        assert_eq!(ledger.state(&conversation("a")).await, "found");
    }
    ledger.submitted_as(99, 10).await;
    let batch = ledger.claimed_one(Stage::Poll, 12).await;
    ledger.settled(&batch, Settlement::Lost, 13).await;
    let row = ledger.row(&conversation("a")).await;
    assert_eq!((row.state_word(), due(&row)), ("delivered", Some((Stage::Describe, t(13)))));
    assert!(conversation_fact(&row).batch_error.is_some());
}

/// When the last copy is settled; at once where there is nothing to copy.
pub async fn a_conversation_is_looked_at_when_nothing_is_left_to_copy(ledger: &dyn Ledger) {
    ledger.found(&["after", "none"], 0).await;
    ledger.submitted_as(1, 0).await;
    let given = [
        Delivery { error: Some("hm".to_owned()), ..delivery("after", vec![delivered("r", 1)]) },
        delivery("none", vec![]),
    ];
    ledger.delivers(1, &given, 10).await;
    let looked_at: Vec<_> = ledger.claimed(Stage::Describe, 10).await.into_iter().map(|row| row.key).collect();
    assert_eq!(looked_at, [conversation("none")]);
    assert_eq!(conversation_fact(&ledger.row(&conversation("after")).await).batch_error.as_deref(), Some("hm"));
    assert!(ledger.row(&conversation("after")).await.work.is_some(), "it is looked at even if nobody wakes it");
}
