//! Claims: leases with a number.

use std::collections::BTreeSet;

use callvault_pipeline::ledger::machine::Settlement;
use callvault_pipeline::ledger::{Ledger, RowKey, Settled, Stage};

use super::steps::*;

fn keys(rows: &[callvault_pipeline::ledger::Row]) -> Vec<String> {
    rows.iter().map(|row| row.key.conversation().unwrap().to_string()).collect()
}

/// What has been due for longest comes first; what is due later does not come.
pub async fn due_rows_are_claimed_longest_due_first(ledger: &dyn Ledger) {
    for (id, due) in [("late", 30), ("a", 20), ("first", 10), ("future", 99)] {
        ledger.found(&[id], due).await;
    }
    assert_eq!(keys(&ledger.claimed(Stage::Submit, 30).await), ["first", "a", "late"]);
    assert!(ledger.claimed(Stage::Submit, 98).await.is_empty());
    assert_eq!(keys(&ledger.claimed(Stage::Submit, 99).await), ["future"]);
}

/// Other stages see nothing of it, and no more rows come than were asked for.
pub async fn a_claim_is_for_its_stage_and_limit(ledger: &dyn Ledger) {
    ledger.found(&["a", "b", "c"], 0).await;
    ledger.plan_day(day(), t(0)).await.unwrap();
    for stage in [Stage::Poll, Stage::Describe, Stage::Upload, Stage::Close] {
        assert!(ledger.claimed(stage, 9).await.is_empty());
    }
    assert_eq!(ledger.claim(Stage::Submit, 2, LEASE, t(1)).await.unwrap().len(), 2);
    assert!(ledger.claim(Stage::Submit, 0, LEASE, t(1)).await.unwrap().is_empty());
    assert_eq!(ledger.claimed(Stage::Submit, 1).await.len(), 1);
    assert_eq!(ledger.claimed_one(Stage::Query, 1).await.key, RowKey::Day(day()));
}

/// A claim says who, until when and which attempt; when it ends the row is due again, with the next attempt.
pub async fn a_claim_ends_with_its_lease(ledger: &dyn Ledger) {
    ledger.found(&["a"], 0).await;
    let claim = ledger.claimed_one(Stage::Submit, 7).await;
    assert_eq!((claim.attempt, due(&claim)), (1, Some((Stage::Submit, t(307)))));
    assert!(claim.work.as_ref().unwrap().holder.is_some());
    assert_eq!(ledger.row(&claim.key).await, claim, "what is answered is what is kept");
    assert!(ledger.claimed(Stage::Submit, 306).await.is_empty());
    let again = ledger.claimed_one(Stage::Submit, 307).await;
    assert_eq!((again.attempt, due(&again)), (2, Some((Stage::Submit, t(607)))));
}

/// Many at once, each row once.
pub async fn nothing_is_claimed_twice(ledger: &dyn Ledger) {
    let ids: Vec<String> = (0..60).map(|n| format!("c{n}")).collect();
    ledger.found(&ids.iter().map(String::as_str).collect::<Vec<_>>(), 0).await;
    let claims = (0..20).map(|_| ledger.claim(Stage::Submit, 4, LEASE, t(1)));
    let claimed: Vec<_> = futures_util::future::join_all(claims).await.into_iter().flat_map(Result::unwrap).collect();
    let distinct: BTreeSet<_> = claimed.iter().map(|row| row.key.clone()).collect();
    assert_eq!((claimed.len(), distinct.len()), (60, 60));
}

/// Until then nobody else gets it.
pub async fn a_renewed_claim_lasts_longer(ledger: &dyn Ledger) {
    ledger.found(&["a"], 0).await;
    let claim = ledger.claimed_one(Stage::Submit, 0).await;
    assert_eq!(ledger.renew(&claim.key, claim.attempt, t(900)).await.unwrap(), Settled::Done);
    assert!(ledger.claimed(Stage::Submit, 899).await.is_empty());
    let later = Settlement::Later { due: t(901), failed: false };
    assert_eq!(ledger.settled(&claim, later, 899).await, Settled::Done);
    assert_eq!(ledger.claimed(Stage::Submit, 901).await.len(), 1);
}

/// Fencing: who was away for too long changes nothing, whatever it wants.
pub async fn an_old_attempt_renews_and_settles_nothing(ledger: &dyn Ledger) {
    ledger.delivered_one("a", vec![delivered("r", 1)]).await;
    let old = ledger.claimed_one(Stage::Upload, 11).await;
    let new = ledger.claimed_one(Stage::Upload, 400).await;
    let before = ledger.conversation(&id("a")).await.unwrap();
    assert_eq!(ledger.renew(&old.key, old.attempt, t(9999)).await.unwrap(), Settled::Stale);
    let stored = || Settlement::Stored(vec![object("call/a_r.ogg", 5)]);
    for settlement in [stored(), refused(), Settlement::Later { due: t(401), failed: true }] {
        assert_eq!(ledger.settled(&old, settlement, 401).await, Settled::Stale);
    }
    assert_eq!(ledger.conversation(&id("a")).await.unwrap(), before);
    assert_eq!(ledger.settled(&new, stored(), 402).await, Settled::Done);
    assert_eq!(ledger.settled(&new, refused(), 403).await, Settled::Stale, "once");
    assert_eq!(ledger.state(&new.key).await, "stored");
}

/// Neither with the right number.
pub async fn an_unclaimed_row_is_settled_by_nobody(ledger: &dyn Ledger) {
    ledger.found(&["a"], 0).await;
    let row = ledger.row(&conversation("a")).await;
    assert_eq!(ledger.renew(&row.key, row.attempt, t(9)).await.unwrap(), Settled::Stale);
    let later = Settlement::Later { due: t(9), failed: true };
    assert_eq!(ledger.settled(&row, later, 1).await, Settled::Stale);
    assert_eq!(ledger.row(&row.key).await, row);
}

/// A row that is not there is settled by nobody.
pub async fn an_unknown_row_is_stale(ledger: &dyn Ledger) {
    assert_eq!(ledger.renew(&conversation("a"), 0, t(9)).await.unwrap(), Settled::Stale);
    let later = Settlement::Later { due: t(9), failed: true };
    assert_eq!(ledger.settle(&conversation("a"), 1, later, t(1)).await.unwrap(), Settled::Stale);
    assert_eq!(ledger.deliver(&job(1), 1, &[], t(1)).await.unwrap(), Settled::Stale);
}

/// Claims count until they end.
pub async fn next_due_is_the_first_of_its_stage(ledger: &dyn Ledger) {
    assert_eq!(ledger.next_due(Stage::Submit).await.unwrap(), None);
    ledger.found(&["b"], 20).await;
    ledger.found(&["a"], 10).await;
    assert_eq!(ledger.next_due(Stage::Submit).await.unwrap(), Some(t(10)));
    assert_eq!(ledger.next_due(Stage::Poll).await.unwrap(), None);
    ledger.claimed_one(Stage::Submit, 15).await;
    assert_eq!(ledger.next_due(Stage::Submit).await.unwrap(), Some(t(20)));
    ledger.claimed_one(Stage::Submit, 25).await;
    assert_eq!(ledger.next_due(Stage::Submit).await.unwrap(), Some(t(315)));
}
