//! The page, from an overview that is made by hand.

use std::collections::BTreeMap;

use callvault_pipeline::day::{Calendar, Day};
use callvault_pipeline::kind::Kind;
use callvault_pipeline::ledger::{Counts, DayFact, DayState, Marker, Stage};
use callvault_pipeline::reconcile::MetadataMode;
use callvault_pipeline::report::{DayEntry, Due, KnownDay, Overview, Standing};
use callvault_pipeline::volumes::Volume;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::page::{About, html};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn known(marker: Marker) -> KnownDay {
    let counts = Counts { conversations: 1_200, recordings: 1_100, stored: 1_099, bytes: 2_048, ..Counts::default() };
    let closed_at = Some(at("2026-02-03T04:05:06Z"));
    let state = DayState::Closed;
    let fact = DayFact {
        state,
        generation: 2,
        marker: Some(marker),
        manifest: None,
        queried_at: closed_at,
        compared: None,
        closed_at,
        restored: 0,
        chain: Vec::new(),
    };
    KnownDay { fact, counts, lag: Some(SignedDuration::from_hours(28)) }
}

fn overview() -> Overview {
    let first: Day = "2026-01-30".parse().unwrap();
    let standings = [Standing::Complete, Standing::Parked, Standing::Missing, Standing::Skipped, Standing::NotYet];
    let days = first.through("2026-02-03".parse().unwrap()).into_iter().zip(standings);
    let entry = |(day, standing)| {
        let known = match standing {
            Standing::Complete => Some(known(Marker::Success)),
            Standing::Parked => Some(known(Marker::Failure)),
            _ => None,
        };
        DayEntry { day, standing, known }
    };
    Overview {
        made_at: at("2026-02-04T12:00:00Z"),
        days: days.map(entry).collect(),
        kinds: BTreeMap::from([(
            Kind::Call,
            Volume { recordings: 2_200, stored: 2_198, objects: 2_198, bytes: 4_096, parked: 2, left_out: 0 },
        )]),
        documents: (2_400, 100),
        // A code that is none: whatever stands in a ledger must not become markup.
        parked: BTreeMap::from([("archived".to_owned(), (2, 1)), ("<script>alert(1)</script>".to_owned(), (1, 1))]),
        due: vec![Due { stage: Stage::Submit, at: at("2026-02-04T11:00:00Z") }],
        voicemail: None,
    }
}

fn page() -> String {
    let calendar = Calendar::new(TimeZone::get("Europe/Madrid").unwrap());
    let metadata = MetadataMode::Full;
    let about = About { calendar: &calendar, lag_days: 1, page_size: 100, batch_size: 100, metadata };
    html(&overview(), &about)
}

#[test]
fn the_same_overview_makes_the_same_bytes() {
    assert_eq!(page(), page());
}

#[test]
fn every_day_is_in_the_grid_and_in_the_table() {
    let page = page();
    for day in overview().days {
        assert_eq!(page.matches(&format!("href=\"#d{}\"><time", day.day)).count(), 1, "{}", day.day);
        assert_eq!(page.matches(&format!("<tr id=\"d{}\"", day.day)).count(), 1, "{}", day.day);
    }
    for month in ["January 2026", "February 2026"] {
        assert!(page.contains(month), "{month}");
    }
}

#[test]
fn numbers_reasons_and_lag_are_told_with_what_to_do() {
    let page = page();
    for wanted in [
        "2,198",
        "restore it at the source",
        "callvault redrive --reason archived",
        "1 d 4 h in the median",
        "callvault export --from 2026-02-01 --to 2026-02-01",
        "1 day should be known by now (LAG_DAYS=1)",
        // 2 days of 1,200 conversations: 13 pages, 12 batches posted and read, 1,200 times metadata.
        "<td class=\"n\">2,474</td>",
        "2026-02-04 13:00",
    ] {
        assert!(page.contains(wanted), "{wanted}\n{page}");
    }
}

#[test]
fn nothing_runs_and_nothing_is_loaded() {
    let page = page();
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    for forbidden in ["<script", "http://", "https://", "src=", "url(", "@import", "style=", "onclick", "<iframe"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(page.contains("default-src 'none'"));
}
