//! Every settlement.

use callvault_pipeline::kind::Kind;
use callvault_pipeline::ledger::machine::{Look, MOST_LOSSES, Next, ParkedRecording, Resubmission, Settlement};
use callvault_pipeline::ledger::{Fact, Ledger, Outcome, Settled, Stage, Steady};
use callvault_pipeline::models::RecordingMetadata;
use callvault_pipeline::reason::Reason;

use super::steps::*;

/// And success forgets the tries.
pub async fn later_counts_failures_and_not_waiting(ledger: &dyn Ledger) {
    ledger.plan_day(day(), t(0)).await.unwrap();
    for (now, failed, tries) in [(0, true, 1), (10, false, 1), (20, true, 2)] {
        let claim = ledger.claimed_one(Stage::Query, now).await;
        let later = Settlement::Later { due: t(now + 10), failed };
        assert_eq!(ledger.settled(&claim, later, now).await, Settled::Done);
        let row = ledger.day(day()).await.unwrap().unwrap();
        assert_eq!((row.tries, due(&row)), (tries, Some((Stage::Query, t(now + 10)))));
        assert!(row.work.unwrap().holder.is_none());
    }
    let claim = ledger.claimed_one(Stage::Query, 30).await;
    ledger.settled(&claim, Settlement::Queried, 30).await;
    assert_eq!(ledger.day(day()).await.unwrap().unwrap().tries, 0);
}

/// Whatever the row is about; a claim that is given back says nothing, anything else that the source answers.
pub async fn a_source_that_is_away_is_counted_apart_from_tries(ledger: &dyn Ledger) {
    ledger.delivered_one("a", vec![delivered("r", 1)]).await;
    let away = |now: i64| Settlement::SourceAway { due: t(now + 10) };
    let key = recording("a/r");
    for (now, settlement, counted) in [
        (11, away(11), (0, 1)),
        (21, Settlement::Later { due: t(31), failed: false }, (0, 1)),
        (31, away(31), (0, 2)),
        (41, Settlement::Later { due: t(51), failed: true }, (1, 0)),
        (51, away(51), (1, 1)),
    ] {
        let claim = ledger.claimed_one(Stage::Upload, now).await;
        assert_eq!(ledger.settled(&claim, settlement, now).await, Settled::Done);
        let row = ledger.row(&key).await;
        assert_eq!((row.tries, row.outages()), counted, "at {now}");
        assert_eq!(due(&row), Some((Stage::Upload, t(now + 10))));
    }
    let claim = ledger.claimed_one(Stage::Upload, 61).await;
    ledger.settled(&claim, Settlement::Stored(vec![object("call/a", 5)]), 61).await;
    let claim = ledger.claimed_one(Stage::Describe, 61).await;
    ledger.settled(&claim, away(61), 61).await;
    assert_eq!((ledger.row(&key).await.outages(), ledger.row(&claim.key).await.outages()), (0, 1));
    let claim = ledger.claimed_one(Stage::Describe, 71).await;
    ledger.settled(&claim, look(Next::Resubmit { due: t(71), because: Resubmission::Missing }), 71).await;
    assert_eq!(ledger.row(&claim.key).await.outages(), 0);
    ledger.submitted_as(2, 71).await;
    let claim = ledger.claimed_one(Stage::Poll, 73).await;
    ledger.settled(&claim, away(73), 73).await;
    let claim = ledger.claimed_one(Stage::Poll, 83).await;
    assert_eq!((claim.outages(), claim.tries), (1, 0));
}

/// For servers without a status.
pub async fn a_running_job_keeps_its_counts(ledger: &dyn Ledger) {
    ledger.found(&["a"], 0).await;
    ledger.submitted_as(1, 0).await;
    let steady = Some(Steady { counts: (3, 3), polls: 2, since: t(1) });
    let claim = ledger.claimed_one(Stage::Poll, 2).await;
    ledger.settled(&claim, Settlement::Running { due: t(9), steady }, 3).await;
    let claim = ledger.claimed_one(Stage::Poll, 9).await;
    assert!(matches!(&claim.fact, Fact::Batch(fact) if fact.polls == 1 && fact.steady == steady && !fact.done));
    assert_eq!(ledger.state(&conversation("a")).await, "submitted");
}

/// The objects, in the order of their keys.
pub async fn stored_keeps_what_is_proved(ledger: &dyn Ledger) {
    ledger.delivered_one("a", vec![delivered("r", 2)]).await;
    let claim = ledger.claimed_one(Stage::Upload, 11).await;
    let objects = vec![object("call/b", 7), object("call/a", 5)];
    assert_eq!(ledger.settled(&claim, Settlement::Stored(objects), 12).await, Settled::Done);
    let row = ledger.row(&claim.key).await;
    assert_eq!((row.state_word(), &row.work, row.bytes(), row.is_terminal()), ("stored", &None, 12, true));
    assert_eq!(recording_fact(&row).objects, [object("call/a", 5), object("call/b", 7)]);
}

/// The first proof stands.
pub async fn a_repeated_copy_changes_nothing(ledger: &dyn Ledger) {
    ledger.delivered_one("a", vec![delivered("r", 1)]).await;
    let claim = ledger.claimed_one(Stage::Upload, 11).await;
    let first = Settlement::Refused { detail: "half".to_owned(), objects: vec![object("call/a", 5)] };
    ledger.settled(&claim, first, 12).await;
    ledger.submitted_as(2, 12).await;
    ledger.delivers(2, &[delivery("a", vec![delivered("r", 1)])], 20).await;
    let claim = ledger.claimed_one(Stage::Upload, 20).await;
    let mut second = object("call/a", 5);
    (second.stored_at, second.job) = (t(99), Some(job(2)));
    ledger.settled(&claim, Settlement::Stored(vec![second]), 21).await;
    let row = ledger.row(&claim.key).await;
    assert_eq!(recording_fact(&row).objects, [object("call/a", 5)]);
    assert_eq!(recording_fact(&row).detail, None);
}

/// With what is in the archive all the same.
pub async fn parked_keeps_its_reason(ledger: &dyn Ledger) {
    ledger.delivered_one("a", vec![delivered("r", 2)]).await;
    let claim = ledger.claimed_one(Stage::Upload, 11).await;
    let objects = vec![object("call/a", 5)];
    let settlement = Settlement::Parked { reason: Reason::UrlNotAllowed, detail: "host x".to_owned(), objects };
    ledger.settled(&claim, settlement, 12).await;
    let row = ledger.row(&claim.key).await;
    assert_eq!((row.state_word(), row.reason(), &row.work), ("parked", Some(Reason::UrlNotAllowed), &None));
    assert_eq!((recording_fact(&row).detail.as_deref(), row.bytes()), (Some("host x"), 5));
    assert_eq!(due(&ledger.row(&conversation("a")).await), Some((Stage::Describe, t(12))), "the last one wakes");
}

/// The recording waits meanwhile.
pub async fn refused_sends_the_conversation_into_a_batch_again(ledger: &dyn Ledger) {
    ledger.delivered_one("a", vec![delivered("r", 1), delivered("q", 1)]).await;
    let claims = ledger.claimed(Stage::Upload, 11).await;
    ledger.settled(&claims[0], refused(), 12).await;
    let row = ledger.row(&claims[0].key).await;
    assert_eq!((row.state_word(), row.work), ("waiting", None));
    let row = ledger.row(&conversation("a")).await;
    assert_eq!((row.state_word(), due(&row)), ("found", Some((Stage::Submit, t(12)))));
    assert_eq!(conversation_fact(&row).losses, 1);
    // The other one is refused too: that is one new job, not two.
    ledger.settled(&claims[1], refused(), 13).await;
    let row = ledger.row(&conversation("a")).await;
    assert_eq!((conversation_fact(&row).losses, due(&row)), (1, Some((Stage::Submit, t(12)))));
    assert_eq!(ledger.state(&claims[1].key).await, "waiting");
}

/// Not for ever.
pub async fn refused_too_often_is_parked(ledger: &dyn Ledger) {
    ledger.delivered_one("a", vec![delivered("r", 1)]).await;
    for round in 0..MOST_LOSSES {
        let claim = ledger.claimed_one(Stage::Upload, 20).await;
        ledger.settled(&claim, refused(), 20).await;
        assert_eq!(ledger.state(&claim.key).await, "waiting");
        ledger.submitted_as(round + 2, 20).await;
        let batch = ledger.claimed_one(Stage::Poll, 22).await;
        let given = [delivery("a", vec![delivered("r", 1)])];
        ledger.deliver(&job(round + 2), batch.attempt, &given, t(20)).await.unwrap();
    }
    let claim = ledger.claimed_one(Stage::Upload, 20).await;
    ledger.settled(&claim, refused(), 21).await;
    let row = ledger.row(&claim.key).await;
    assert_eq!((row.state_word(), row.reason()), ("parked", Some(Reason::UrlRefused)));
    assert_eq!(due(&ledger.row(&conversation("a")).await), Some((Stage::Describe, t(21))));
}

/// Whoever looks at the conversation decides; that look does not settle it, and the next one comes at once.
pub async fn refused_while_it_is_looked_at_waits_for_that_look(ledger: &dyn Ledger) {
    ledger.delivered_one("a", vec![delivered("r", 1)]).await;
    let upload = ledger.claimed_one(Stage::Upload, 11).await;
    let describe = ledger.claimed_one(Stage::Describe, 5000).await;
    ledger.renew(&upload.key, upload.attempt, t(9000)).await.unwrap();
    ledger.settled(&upload, refused(), 5001).await;
    assert_eq!(ledger.row(&conversation("a")).await, describe, "left alone");
    let settle = look(Next::Settle { outcome: Outcome::Stored, object: None });
    assert_eq!(ledger.settled(&describe, settle, 5002).await, Settled::Done);
    let row = ledger.row(&conversation("a")).await;
    assert_eq!((row.state_word(), due(&row)), ("delivered", Some((Stage::Describe, t(5002)))));
}

/// And only the last one.
pub async fn the_last_recording_wakes_its_conversation(ledger: &dyn Ledger) {
    ledger.delivered_one("a", vec![delivered("r", 1), delivered("q", 1)]).await;
    let claims = ledger.claimed(Stage::Upload, 11).await;
    ledger.settled(&claims[0], Settlement::Stored(vec![object("call/a", 5)]), 12).await;
    assert!(ledger.claimed(Stage::Describe, 12).await.is_empty());
    ledger.settled(&claims[1], parked(Reason::DownloadFailed), 13).await;
    assert_eq!(ledger.claimed_one(Stage::Describe, 13).await.key, conversation("a"));
}

/// The copy was settled while the look went on: nobody else would wake it.
pub async fn a_look_that_waits_is_woken_at_once_when_nothing_is_left_to_copy(ledger: &dyn Ledger) {
    for (settlement, name) in [(Settlement::Stored(vec![object("call/a", 5)]), "a"), (refused(), "b")] {
        ledger.found(&[name], 0).await;
        ledger.submitted_as(if name == "a" { 1 } else { 2 }, 1).await;
        let number = if name == "a" { 1 } else { 2 };
        ledger.delivers(number, &[delivery(name, vec![delivered("r", 1)])], 10).await;
        let describe = ledger.claimed_one(Stage::Describe, 5000).await;
        let upload = ledger.claimed_one(Stage::Upload, 5000).await;
        ledger.settled(&upload, settlement, 5001).await;
        ledger.settled(&describe, look(Next::AwaitUploads), 5002).await;
        let row = ledger.row(&conversation(name)).await;
        assert_eq!(due(&row), Some((Stage::Describe, t(5002))), "{name}");
        let claim = ledger.claimed_one(Stage::Describe, 5002).await;
        ledger.settled(&claim, Settlement::GivenUp(Reason::SourceUnavailable), 5003).await;
    }
}

/// The look is counted and the metadata kept.
pub async fn a_look_may_be_repeated(ledger: &dyn Ledger) {
    ledger.delivered_one("a", vec![]).await;
    let claim = ledger.claimed_one(Stage::Describe, 11).await;
    let metadata: Vec<RecordingMetadata> = serde_json::from_str(r#"[{"id":"r","fileState":"UPLOADING"}]"#).unwrap();
    let next = Next::LookAgain { due: t(40) };
    let again = Settlement::Looked(Box::new(Look { metadata: Some(metadata.clone()), park: Vec::new(), next }));
    ledger.settled(&claim, again, 12).await;
    let row = ledger.row(&claim.key).await;
    assert_eq!((row.state_word(), due(&row)), ("delivered", Some((Stage::Describe, t(40)))));
    assert_eq!((conversation_fact(&row).looks, &conversation_fact(&row).metadata), (1, &Some(metadata.clone())));
    let claim = ledger.claimed_one(Stage::Describe, 40).await;
    ledger.settled(&claim, look(Next::LookAgain { due: t(50) }), 41).await;
    assert_eq!(conversation_fact(&ledger.row(&claim.key).await).metadata, Some(metadata), "not forgotten");
}

/// Losses, what was not delivered and what came back from cold storage are counted apart.
pub async fn a_look_may_resubmit(ledger: &dyn Ledger) {
    ledger.delivered_one("a", vec![]).await;
    let claim = ledger.claimed_one(Stage::Describe, 20).await;
    ledger.settled(&claim, look(Next::AwaitRestore { due: t(20), asked: Vec::new() }), 20).await;
    let mut counts = Vec::new();
    for (number, because) in [(2, Resubmission::Missing), (3, Resubmission::Lost), (4, Resubmission::Restored)] {
        let claim = ledger.claimed_one(Stage::Describe, 20).await;
        ledger.settled(&claim, look(Next::Resubmit { due: t(20), because }), 20).await;
        let row = ledger.row(&claim.key).await;
        assert_eq!((row.state_word(), due(&row)), ("found", Some((Stage::Submit, t(20)))));
        let fact = conversation_fact(&row);
        counts.push((fact.resubmissions, fact.losses, fact.restores.as_ref().is_some_and(|restores| restores.batched)));
        ledger.submitted_as(number, 20).await;
        let batch = ledger.claimed_one(Stage::Poll, 22).await;
        ledger.deliver(&job(number), batch.attempt, &[delivery("a", vec![])], t(20)).await.unwrap();
    }
    assert_eq!(counts, [(1, 0, false), (1, 1, false), (1, 1, true)]);
}

/// With its metadata object; while something is not terminal it is looked at again instead.
pub async fn a_look_settles_only_what_is_terminal(ledger: &dyn Ledger) {
    ledger.delivered_one("a", vec![delivered("r", 1)]).await;
    let settle = || look(Next::Settle { outcome: Outcome::Stored, object: Some(object("metadata/a.json", 9)) });
    let claim = ledger.claimed_one(Stage::Describe, 5000).await;
    ledger.settled(&claim, settle(), 5000).await;
    assert_eq!(ledger.state(&claim.key).await, "delivered");
    let upload = ledger.claimed_one(Stage::Upload, 5000).await;
    ledger.settled(&upload, Settlement::Stored(vec![object("call/a", 5)]), 5000).await;
    let claim = ledger.claimed_one(Stage::Describe, 5000).await;
    ledger.settled(&claim, settle(), 5000).await;
    let row = ledger.row(&claim.key).await;
    assert_eq!((row.state_word(), &row.work), ("stored", &None));
    assert_eq!(conversation_fact(&row).object, Some(object("metadata/a.json", 9)));
}

/// What the metadata lists and nobody delivered gets a row; what has one keeps the rest of it.
pub async fn a_look_parks_what_has_no_row(ledger: &dyn Ledger) {
    ledger.delivered_one("a", vec![delivered("e", 0)]).await;
    let claim = ledger.claimed_one(Stage::Describe, 11).await;
    let park = |name: &str, reason| ParkedRecording {
        recording: name.parse().unwrap(),
        kind: Kind::Screen,
        state: callvault_pipeline::ledger::RecordingState::Parked(reason),
    };
    let park = vec![park("hidden", Reason::SensitiveExcluded), park("e", Reason::SourceError)];
    let next = Next::Settle { outcome: Outcome::Parked(Reason::SensitiveExcluded), object: None };
    ledger.settled(&claim, Settlement::Looked(Box::new(Look { metadata: None, park, next })), 12).await;
    let row = ledger.row(&recording("a/hidden")).await;
    assert_eq!((row.day, row.reason(), &row.work), (day(), Some(Reason::SensitiveExcluded), &None));
    assert_eq!((recording_fact(&row).kind, recording_fact(&row).start), (Kind::Screen, Some(t(-9000))));
    let row = ledger.row(&recording("a/e")).await;
    // Its kind was a guess, since there never was a URL: the metadata's word stands.
    assert_eq!((row.reason(), recording_fact(&row).kind), (Some(Reason::SourceError), Kind::Screen));
    assert_eq!(recording_fact(&row).detail.as_deref(), Some("not there"));
    assert_eq!(ledger.state(&conversation("a")).await, "parked");
    assert!(!ledger.outstanding(day()).await.unwrap());
}

/// A conversation that went into a batch again and is refused there: what waited for that batch is parked with it,
/// or the day would stay open for ever.
pub async fn giving_up_leaves_no_recording_behind(ledger: &dyn Ledger) {
    ledger.delivered_one("a", vec![delivered("r", 1)]).await;
    let upload = ledger.claimed_one(Stage::Upload, 11).await;
    ledger.settled(&upload, refused(), 12).await;
    let claim = ledger.claimed_one(Stage::Submit, 13).await;
    assert_eq!(ledger.settled(&claim, Settlement::GivenUp(Reason::SubmitRefused), 14).await, Settled::Done);
    for row in ledger.conversation(&id("a")).await.unwrap() {
        assert_eq!((row.state_word(), row.reason(), &row.work), ("parked", Some(Reason::SubmitRefused), &None));
    }
    assert!(!ledger.outstanding(day()).await.unwrap());
}

/// A copy that goes on is not cut off; what comes of it is the last word on its recording.
pub async fn giving_up_cuts_off_no_copy(ledger: &dyn Ledger) {
    ledger.delivered_one("a", vec![delivered("r", 1), delivered("q", 1), delivered("p", 1)]).await;
    let uploads = ledger.claimed(Stage::Upload, 11).await;
    ledger.settled(&uploads[0], refused(), 12).await;
    let claim = ledger.claimed_one(Stage::Submit, 13).await;
    ledger.settled(&claim, Settlement::GivenUp(Reason::SubmitRefused), 14).await;
    assert_eq!(ledger.state(&uploads[0].key).await, "parked");
    assert!(ledger.outstanding(day()).await.unwrap(), "two are being copied");
    assert_eq!(ledger.settled(&uploads[1], Settlement::Stored(vec![object("call/q", 5)]), 15).await, Settled::Done);
    assert_eq!(ledger.settled(&uploads[2], refused(), 16).await, Settled::Done);
    assert_eq!(ledger.state(&uploads[1].key).await, "stored");
    assert_eq!(ledger.row(&uploads[2].key).await.reason(), Some(Reason::UrlRefused), "no batch will come for it");
    assert_eq!(ledger.state(&claim.key).await, "parked");
    assert!(!ledger.outstanding(day()).await.unwrap());
}

/// Nobody stores a day.
pub async fn a_settlement_of_another_kind_changes_nothing(ledger: &dyn Ledger) {
    ledger.found(&["a"], 0).await;
    let claim = ledger.claimed_one(Stage::Submit, 0).await;
    for wrong in [Settlement::Queried, Settlement::Lost, Settlement::Stored(Vec::new())] {
        ledger.settled(&claim, wrong, 1).await;
        assert_eq!(ledger.row(&claim.key).await, claim);
    }
}
