//! Turns at reading a job: one at a time, and over by themselves.

use callvault_pipeline::ledger::Ledger;
use callvault_pipeline::ledger::turn::{Turn, TurnId};

use super::steps::*;

async fn taken(ledger: &dyn Ledger, number: u32, second: i64) -> Option<TurnId> {
    match ledger.take_turn(&job(number), t(second)).await.unwrap() {
        Turn::Yours(id) => Some(id),
        Turn::NotBefore(_) => None,
    }
}

/// Others may read other jobs meanwhile, and this one as soon as it was said to be free.
pub async fn one_at_a_time_has_the_turn(ledger: &dyn Ledger) {
    let mine = taken(ledger, 1, 10).await.unwrap();
    assert_eq!(taken(ledger, 1, 11).await, None);
    assert!(taken(ledger, 2, 11).await.is_some(), "of another job");
    ledger.end_turn(&job(1), mine, t(14)).await.unwrap();
    assert_eq!(ledger.take_turn(&job(1), t(13)).await.unwrap(), Turn::NotBefore(t(14)));
    assert!(taken(ledger, 1, 14).await.is_some());
    assert_eq!(taken(ledger, 1, 14).await, None);
}

/// Of those who ask at once one gets it.
pub async fn one_of_many_gets_the_turn(ledger: &dyn Ledger) {
    let asked = (0..12).map(|_| taken(ledger, 1, 10));
    let got = futures_util::future::join_all(asked).await.into_iter().flatten().count();
    assert_eq!(got, 1);
}

/// Whoever had it ends nothing of whoever has it since.
pub async fn a_turn_that_nobody_ends_is_over_by_itself(ledger: &dyn Ledger) {
    let dead = taken(ledger, 1, 10).await.unwrap();
    assert_eq!(ledger.take_turn(&job(1), t(39)).await.unwrap(), Turn::NotBefore(t(40)));
    let mine = taken(ledger, 1, 40).await.unwrap();
    ledger.end_turn(&job(1), dead, t(41)).await.unwrap();
    assert_eq!(taken(ledger, 1, 45).await, None, "it is still mine");
    ledger.end_turn(&job(1), mine, t(47)).await.unwrap();
    assert_eq!(taken(ledger, 1, 46).await, None);
    assert!(taken(ledger, 1, 2000).await.is_some());
    ledger.end_turn(&job(3), mine, t(48)).await.unwrap();
    assert!(taken(ledger, 3, 40).await.is_some(), "ending what was never taken does nothing");
}
