//! How days stand, over the ledger in memory.

use std::time::Duration;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use super::*;
use crate::ledger::machine::{Closing, Settlement};
use crate::ledger::memory::MemoryLedger;
use crate::ledger::{RowKey, StoredObject};

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Closes a day without conversations at `now`.
async fn close(ledger: &MemoryLedger, of: Day, marker: Marker, now: Timestamp) {
    let lease = Duration::from_secs(60);
    ledger.plan_day(of, now).await.unwrap();
    for stage in [Stage::Query, Stage::Close] {
        let claimed = ledger.claim(stage, 10, lease, now).await.unwrap();
        let row = claimed.iter().find(|row| row.key == RowKey::Day(of)).unwrap();
        let manifest = StoredObject {
            key: "manifest".parse().unwrap(),
            bytes: 0,
            sha256: String::new(),
            content_type: None,
            job: None,
            stored_at: now,
        };
        let settlement = match stage {
            Stage::Query => Settlement::Queried,
            _ => Settlement::Closed(Box::new(Closing::alone(of, 1, marker, manifest))),
        };
        ledger.settle(&row.key, row.attempt, settlement, now).await.unwrap();
    }
}

/// 2026-03-01 is a Sunday; Madrid's day ends at 23:00 UTC in winter.
#[tokio::test]
async fn every_day_of_the_stretch_has_its_standing() {
    let ledger = MemoryLedger::new();
    close(&ledger, day("2026-02-26"), Marker::Success, at("2026-02-27T01:30:00Z")).await;
    close(&ledger, day("2026-02-28"), Marker::Failure, at("2026-03-02T23:00:00Z")).await;
    ledger.plan_day(day("2026-03-02"), at("2026-03-04T05:00:00Z")).await.unwrap();
    let calendar = Calendar::new(TimeZone::get("Europe/Madrid").unwrap());
    let schedule = Schedule { lag_days: 2, skip_weekdays: vec![Weekday::Sunday], rescan_days: vec![] };
    let now = at("2026-03-05T12:00:00Z");
    let until = (None, Some(day("2026-03-04")));
    let overview = overview(&ledger, &calendar, &schedule, until, now).await.unwrap();
    let standings: Vec<_> = overview.days.iter().map(|day| (day.day.to_string(), day.standing)).collect();
    let wanted = [
        ("2026-02-26", Standing::Complete),
        ("2026-02-27", Standing::Missing),
        ("2026-02-28", Standing::Parked),
        ("2026-03-01", Standing::Skipped),
        ("2026-03-02", Standing::UnderWay),
        ("2026-03-03", Standing::Missing),
        ("2026-03-04", Standing::NotYet),
    ];
    assert_eq!(standings, wanted.map(|(day, standing)| (day.to_owned(), standing)));
    let lags: Vec<_> = overview.known().map(|(_, known)| known.lag).collect();
    let hours = |hours: i64, minutes: i64| Some(SignedDuration::from_mins(60 * hours + minutes));
    assert_eq!(lags, [hours(2, 30), hours(48, 0), None]);
    assert_eq!(overview.due, [Due { stage: Stage::Query, at: at("2026-03-04T05:00:00Z") }]);
    assert_eq!(overview.voicemail, None);
}

#[tokio::test]
async fn the_stretch_is_what_was_asked_for_and_else_what_is_known() {
    let calendar = Calendar::new(TimeZone::UTC);
    let schedule = Schedule { lag_days: 1, skip_weekdays: vec![], rescan_days: vec![] };
    let now = at("2026-03-05T12:00:00Z");
    let ledger = MemoryLedger::new();
    let days = async |ledger: &MemoryLedger, from: Option<&str>, to: Option<&str>| {
        let stretch = (from.map(day), to.map(day));
        let overview = overview(ledger, &calendar, &schedule, stretch, now).await.map_err(|error| error.to_string())?;
        let first_and_last = [overview.days.first(), overview.days.last()];
        Ok::<_, String>((overview.days.len(), first_and_last.map(|day| day.map(|day| day.day.to_string()))))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(days(&ledger, None, None).await.unwrap(), (0, [None, None]), "nothing is known");
    ledger.plan_day(day("2026-03-01"), now).await.unwrap();
    assert_eq!(days(&ledger, None, None).await.unwrap(), (4, [some("2026-03-01"), some("2026-03-04")]));
    let far = days(&ledger, Some("2025-12-31"), Some("2026-01-02")).await.unwrap();
    assert_eq!(far, (3, [some("2025-12-31"), some("2026-01-02")]));
    let turned = days(&ledger, Some("2026-03-02"), Some("2026-03-01")).await.unwrap_err();
    assert_eq!(turned, "--to 2026-03-01 is before --from 2026-03-02");
}
