//! The rules of days, as tables: what a run on a date plans. The expected days are read off a calendar.

use std::collections::BTreeSet;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::ledger::RowKey;

fn calendar(zone: &str) -> Calendar {
    Calendar::new(TimeZone::get(zone).unwrap())
}

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn schedule(lag_days: u32, skip_weekdays: &[Weekday], rescan_days: &[u32]) -> Schedule {
    Schedule { lag_days, skip_weekdays: skip_weekdays.to_vec(), rescan_days: rescan_days.to_vec() }
}

/// A day's row: closed with `marker` after a query at `queried`, or under way.
fn row(day: Day, closed: Option<(Marker, Timestamp)>) -> Row {
    let state = if closed.is_some() { DayState::Closed } else { DayState::Open };
    let (marker, queried_at) = (closed.map(|(marker, _)| marker), closed.map(|(_, queried)| queried));
    let fact = DayFact {
        state,
        generation: 1,
        marker,
        manifest: None,
        queried_at,
        compared: None,
        closed_at: queried_at,
        restored: 0,
        chain: Vec::new(),
    };
    Row { key: RowKey::Day(day), day, attempt: 0, tries: 0, work: None, fact: Fact::Day(fact) }
}

fn well(text: &str, queried: &str) -> Row {
    row(day(text), Some((Marker::Success, at(queried))))
}

fn planned(schedule: &Schedule, zone: &str, days: &[Row], now: &str) -> Vec<String> {
    let planned = schedule.planned(&calendar(zone), days, at(now)).unwrap();
    planned.iter().map(|(day, why)| format!("{day} {}", why.as_str())).collect()
}

/// Yesterday in Lima, and the Saturday when yesterday is a Sunday; run at six in the morning there.
#[test]
fn yesterday_in_lima_without_sundays() {
    let rule = schedule(1, &[Weekday::Sunday], &[]);
    // 2026-01-19 is a Monday.
    for (run, target) in [
        ("2026-01-19", "2026-01-17"),
        ("2026-01-20", "2026-01-19"),
        ("2026-01-21", "2026-01-20"),
        ("2026-01-22", "2026-01-21"),
        ("2026-01-23", "2026-01-22"),
        ("2026-01-24", "2026-01-23"),
        ("2026-01-25", "2026-01-24"),
    ] {
        let now = at(&format!("{run}T11:00:00Z"));
        assert_eq!(rule.target(&calendar("America/Lima"), now).unwrap(), day(target), "a run on {run}");
    }
    // Still the evening of the day before in Lima.
    assert_eq!(rule.target(&calendar("America/Lima"), at("2026-01-21T04:59:59Z")).unwrap(), day("2026-01-19"));
}

#[test]
fn three_days_ago_when_recordings_have_arrived() {
    let rule = schedule(3, &[], &[]);
    for (now, target) in [
        ("2026-01-20T03:00:00Z", "2026-01-17"),
        ("2026-03-02T03:00:00Z", "2026-02-27"),
        ("2024-03-02T03:00:00Z", "2024-02-28"),
        ("2024-03-03T03:00:00Z", "2024-02-29"),
        ("2026-01-01T00:00:00Z", "2025-12-29"),
    ] {
        assert_eq!(rule.target(&calendar("UTC"), at(now)).unwrap(), day(target), "{now}");
    }
}

#[test]
fn a_change_of_the_clock_moves_no_day() {
    let rule = schedule(1, &[], &[]);
    for (zone, now, target) in [
        // The 29th has 23 hours: its last half hour, then the first of the 30th.
        ("Europe/Madrid", "2026-03-29T21:30:00Z", "2026-03-28"),
        ("Europe/Madrid", "2026-03-29T22:30:00Z", "2026-03-29"),
        // The 25th has 25 hours.
        ("Europe/Madrid", "2026-10-25T22:30:00Z", "2026-10-24"),
        ("Europe/Madrid", "2026-10-25T23:30:00Z", "2026-10-25"),
        // Midnight of the 6th does not exist: the day begins at one.
        ("America/Santiago", "2026-09-06T03:59:59Z", "2026-09-04"),
        ("America/Santiago", "2026-09-06T04:00:00Z", "2026-09-05"),
    ] {
        assert_eq!(rule.target(&calendar(zone), at(now)).unwrap(), day(target), "{zone} {now}");
    }
}

#[test]
fn the_first_run_plans_only_its_day() {
    let rule = schedule(1, &[], &[1, 2, 7]);
    assert_eq!(planned(&rule, "UTC", &[], "2026-01-21T03:00:00Z"), ["2026-01-20 new"]);
    let ahead = [well("2026-02-01", "2026-02-02T00:00:00Z")];
    assert_eq!(planned(&rule, "UTC", &ahead, "2026-01-21T03:00:00Z"), ["2026-01-20 new"], "what is ahead says nothing");
}

#[test]
fn a_machine_that_was_off_for_nine_days_catches_up_without_the_skipped_ones() {
    let rule = schedule(1, &[Weekday::Saturday, Weekday::Sunday], &[]);
    let known = [well("2026-01-08", "2026-01-09T03:00:00Z")];
    let expected = ["09", "12", "13", "14", "15", "16"].map(|day| format!("2026-01-{day} new"));
    assert_eq!(planned(&rule, "UTC", &known, "2026-01-18T03:00:00Z"), expected);
    let year = [well("2025-01-20", "2025-01-21T03:00:00Z")];
    assert_eq!(planned(&schedule(1, &[], &[]), "UTC", &year, "2026-01-21T03:00:00Z").len(), 365);
}

#[test]
fn a_day_under_way_is_left_alone() {
    let rule = schedule(1, &[], &[1, 2, 7]);
    let known = [row(day("2026-01-19"), None), row(day("2026-01-20"), None)];
    assert_eq!(planned(&rule, "UTC", &known, "2026-01-21T03:00:00Z"), [""; 0]);
}

#[test]
fn a_day_exported_by_hand_leaves_no_gap_behind_it_unless_it_is_an_old_one() {
    let rule = schedule(1, &[], &[]);
    let by_hand = [well("2026-01-10", "2026-01-11T00:00:00Z"), well("2026-01-15", "2026-01-16T00:00:00Z")];
    let expected = ["11", "12", "13", "14", "16"].map(|day| format!("2026-01-{day} new"));
    assert_eq!(planned(&rule, "UTC", &by_hand, "2026-01-17T03:00:00Z"), expected);
    let old = [well("2019-05-01", "2026-01-16T00:00:00Z"), well("2026-01-15", "2026-01-16T00:00:00Z")];
    assert_eq!(planned(&rule, "UTC", &old, "2026-01-17T03:00:00Z"), ["2026-01-16 new"]);
}

#[test]
fn the_day_before_is_checked_and_run_again_if_something_of_it_is_parked() {
    let rule = schedule(1, &[Weekday::Sunday], &[]);
    let failed = |text: &str| row(day(text), Some((Marker::Failure, at("2026-01-19T00:00:00Z"))));
    // A run on Tuesday the 20th is about Monday; the day before that is Saturday.
    let known = [failed("2026-01-16"), failed("2026-01-17")];
    assert_eq!(planned(&rule, "UTC", &known, "2026-01-20T03:00:00Z"), ["2026-01-17 checked", "2026-01-19 new"]);
}

#[test]
fn closed_days_are_looked_at_again_once_for_each_time_that_has_come() {
    let rule = schedule(1, &[], &[1, 2, 7]);
    let known = |queried: &str| [well("2026-01-10", queried), well("2026-01-17", "2026-01-18T03:00:00Z")];
    let runs = |queried: &str, now: &str| -> Vec<String> {
        let planned = planned(&rule, "UTC", &known(queried), now);
        planned.into_iter().filter(|one| one.ends_with("rescan")).collect()
    };
    // Its own export, on the 11th, is the look of the first day after it.
    assert_eq!(runs("2026-01-11T03:00:00Z", "2026-01-11T23:00:00Z"), [""; 0]);
    assert_eq!(runs("2026-01-11T03:00:00Z", "2026-01-12T00:00:00Z"), ["2026-01-10 rescan"]);
    assert_eq!(runs("2026-01-12T03:00:00Z", "2026-01-16T23:59:59Z"), [""; 0]);
    assert_eq!(runs("2026-01-12T03:00:00Z", "2026-01-17T00:00:00Z"), ["2026-01-10 rescan"]);
    assert_eq!(runs("2026-01-17T00:00:00Z", "2026-01-18T03:00:00Z"), [""; 0]);
    // A backfilled day is past all of them when it is first queried.
    let backfilled = [well("2025-06-01", "2026-01-17T00:00:00Z"), well("2026-01-17", "2026-01-18T03:00:00Z")];
    assert_eq!(planned(&rule, "UTC", &backfilled, "2026-01-18T03:00:00Z"), [""; 0]);
}

#[test]
fn a_week_without_a_working_day_is_refused() {
    let all = std::iter::successors(Some(Weekday::Monday), |day| Some(day.next())).take(7).collect::<Vec<_>>();
    let refused = schedule(1, &all, &[]).target(&calendar("UTC"), at("2026-01-21T03:00:00Z"));
    assert_eq!(refused, Err(NoSuchDay::EveryWeekday));
}

fn closed_at_once(days: &BTreeSet<Day>, now: Timestamp) -> Vec<Row> {
    days.iter().map(|day| row(*day, Some((Marker::Success, now)))).collect()
}

proptest! {
    /// Whatever days the schedule fires on, with at most a gap of days between, and whichever days are exported by
    /// hand meanwhile: none is left out since the first, and no skipped one is planned.
    #[test]
    fn no_day_is_ever_left_out(
        pauses in prop::collection::vec(1..=LONGEST_GAP, 1..12),
        by_hand in prop::collection::btree_set(0_usize..400, 0..12),
        sundays in any::<bool>(),
    ) {
        let skip: &[Weekday] = if sundays { &[Weekday::Sunday] } else { &[] };
        let (rule, zone) = (schedule(1, skip, &[]), calendar("America/Lima"));
        let all = day("2026-01-01").through(day("2027-03-01"));
        let fires: BTreeSet<usize> = pauses.iter().scan(0, |at, pause| { *at += pause; Some(*at) }).collect();
        let (mut known, mut first) = (BTreeSet::new(), None);
        for today in 1..400 {
            let now = zone.window(all[today]).unwrap().start;
            // By hand only a day that is over; before the first timer, an old day says nothing about the schedule.
            if first.is_some() && by_hand.contains(&(today - 1)) {
                known.insert(all[today - 1]);
            }
            if fires.contains(&today) {
                let planned = rule.planned(&zone, &closed_at_once(&known, now), now).unwrap();
                prop_assert!(planned.iter().all(|(day, why)| *why == Why::New && !rule.skips(*day)), "{planned:?}");
                known.extend(planned.iter().map(|(day, _)| *day));
                let since = *first.get_or_insert(rule.target(&zone, now).unwrap());
                let wanted = since.through(all[today - 1]);
                prop_assert!(wanted.iter().all(|day| rule.skips(*day) || known.contains(day)), "{known:?}");
            }
        }
    }

    /// However often it runs: each time to look again leads to one look, and never to one before its time.
    #[test]
    fn every_time_to_look_again_leads_to_one_look(runs in prop::collection::btree_set(24_i64..400, 1..40)) {
        let (rule, zone) = (schedule(1, &[], &[1, 2, 7]), calendar("Europe/Madrid"));
        let begin = zone.window(day("2026-03-28")).unwrap().start;
        let mut queried = begin + jiff::SignedDuration::from_hours(24);
        let mut looks = 0;
        let mut times: BTreeSet<i64> = BTreeSet::new();
        for hours in &runs {
            let now = begin + jiff::SignedDuration::from_hours(*hours);
            let passed = zone.day_of(now).date() - day("2026-03-28").date();
            let known = [row(day("2026-03-28"), Some((Marker::Success, queried)))];
            let again = rule.planned(&zone, &known, now).unwrap().contains(&(day("2026-03-28"), Why::Rescan));
            if again {
                queried = now;
                looks += 1;
            }
            // Its time has come when the day with that number has begun.
            times.extend([2_i64, 7].into_iter().filter(|time| i64::from(passed.get_days()) >= *time));
            prop_assert!(looks <= times.len(), "{looks} looks when {times:?} had come");
            prop_assert!(again || times.is_empty() || looks > 0);
        }
    }
}
