//! Days: of other zones, with 23 and 25 hours, long ago, several, and in pieces.

use std::time::Duration;

use callvault_simulator::{Options, Profile};
use callvault_tests::binary::scene::{Scene, days_ago, quick};
use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

/// The latest day that is over and not 24 hours long.
fn odd_day(zone: &TimeZone) -> Date {
    let hours = |day: &Date| {
        let start = day.to_zoned(zone.clone()).unwrap();
        let end = day.tomorrow().unwrap().to_zoned(zone.clone()).unwrap();
        end.timestamp().duration_since(start.timestamp()).as_hours()
    };
    (3..400).map(days_ago).find(|day| hours(day) != 24).unwrap()
}

#[test]
fn several_days_with_faults() {
    let scene = Scene::new(Options { days: 4, first_day: days_ago(6), faults: Profile::Usual, seed: 61, ..quick(90) });
    scene.export_equals_truth();
}

#[test]
fn days_one_after_the_other_in_one_ledger() {
    let scene = Scene::new(Options { days: 3, first_day: days_ago(5), seed: 62, ..quick(60) });
    for day in scene.days() {
        let day = day.to_string();
        scene.command(&["export", "--from", &day, "--to", &day]).run().expect_code(1);
    }
    scene.equals_truth();
}

#[test]
fn a_day_in_lima() {
    let scene = Scene::new(Options { time_zone: zone("America/Lima"), seed: 63, ..quick(120) });
    scene.export_equals_truth();
}

/// The day of a change of the clock lies further back than the query reaches, most of the year: both ways are taken.
#[test]
fn the_day_of_a_change_of_the_clock_in_madrid() {
    let madrid = zone("Europe/Madrid");
    let day = odd_day(&madrid);
    let before = day.checked_sub(1.days()).unwrap();
    let scene = |reach| {
        let options = Options { first_day: before, days: 3, time_zone: madrid.clone(), seed: 64, ..quick(60) };
        Scene::new(Options { query_reach_days: reach, ..options })
    };
    scene(35).export_equals_truth();
    // The org may reach further than the client knows; the client's choice is its own.
    scene(800).export_equals_truth();
}

#[test]
fn a_day_beyond_the_reach_of_the_query_comes_from_history() {
    let scene = Scene::new(Options { first_day: days_ago(60), faults: Profile::Usual, seed: 65, ..quick(150) });
    scene.export_equals_truth();
    let operations = scene.requests().operations;
    assert!(operations.keys().any(|name| name.starts_with("history")), "{operations:?}");
}

#[test]
fn days_on_both_sides_of_the_reach() {
    let scene = Scene::new(Options { first_day: days_ago(38), days: 6, seed: 66, ..quick(50) });
    scene.export_equals_truth();
}

/// More results than a query may have: the day is asked for in pieces.
#[test]
fn a_day_with_too_many_results_is_asked_for_in_pieces() {
    let scene = Scene::new(Options { result_limit: 100, seed: 67, ..quick(350) });
    scene.export_equals_truth();
}

#[test]
fn a_small_page_and_a_small_batch_change_nothing() {
    let scene = Scene::new(Options { seed: 68, ..quick(130) }).with("PAGE_SIZE", "7").with("BATCH_SIZE", "9");
    scene.export_equals_truth();
    assert!(scene.requests().max_batch_items <= 9);
}

/// URLs end while copies are waiting for their turn.
#[test]
fn urls_that_live_two_seconds() {
    let options = Options { url_life: Duration::from_secs(2), plain: true, media_bytes: Some(4_000_000), ..quick(120) };
    let scene = Scene::new(Options { seed: 69, ..options }).with("UPLOAD_CONCURRENCY", "1");
    scene.export_equals_truth();
}

#[test]
fn tokens_that_live_three_seconds() {
    let scene = Scene::new(Options { token_life: Duration::from_secs(3), seed: 70, ..quick(120) });
    scene.export_equals_truth();
    let requests = scene.requests();
    assert!(requests.operations["token"] >= 2, "{requests:?}");
}
