//! Which conversations belong to a day, through the query stage, against a source that widens every window to UTC days.

use callvault_tests::fakes::{FakeConversation, FakeOrg, TestClock};

use super::world::{Settings, World};

/// The conversations that an export of `day` finds among some that start at `starts`.
fn found(zone: &'static str, day: &str, starts: &[&str]) -> Vec<String> {
    let conversations =
        starts.iter().enumerate().map(|(n, start)| FakeConversation::call(&format!("c{n}"), start, vec![])).collect();
    TestClock::run(async {
        let world = World::new(FakeOrg::of(conversations), Settings { zone, ..Settings::default() });
        world.export(&[day]).await;
        let ids = world.states(day).await.into_iter();
        ids.map(|state| state.split(':').next().unwrap().trim_start_matches('c').to_owned())
            .map(|n| starts[n.parse::<usize>().unwrap()].to_owned())
            .collect()
    })
}

#[test]
fn the_last_millisecond_belongs_to_the_day_and_midnight_to_the_next() {
    let starts =
        ["2026-01-19T23:59:59.999Z", "2026-01-20T00:00:00Z", "2026-01-20T23:59:59.999Z", "2026-01-21T00:00:00Z"];
    assert_eq!(found("UTC", "2026-01-20", &starts), starts[1..3]);
}

#[test]
fn lima_days_begin_at_five_utc() {
    let starts =
        ["2026-01-20T04:59:59.999Z", "2026-01-20T05:00:00Z", "2026-01-21T04:59:59.999Z", "2026-01-21T05:00:00Z"];
    assert_eq!(found("America/Lima", "2026-01-20", &starts), starts[1..3]);
}

#[test]
fn days_of_23_and_25_hours_are_whole() {
    let spring =
        ["2025-03-29T22:59:59.999Z", "2025-03-29T23:00:00Z", "2025-03-30T21:59:59.999Z", "2025-03-30T22:00:00Z"];
    assert_eq!(found("Europe/Madrid", "2025-03-30", &spring), spring[1..3]);
    let autumn =
        ["2025-10-25T21:59:59.999Z", "2025-10-25T22:00:00Z", "2025-10-26T22:59:59.999Z", "2025-10-26T23:00:00Z"];
    assert_eq!(found("Europe/Madrid", "2025-10-26", &autumn), autumn[1..3]);
}

#[test]
fn every_page_is_read_whatever_its_length() {
    let starts: Vec<String> = (0..23).map(|minute| format!("2026-01-20T10:{minute:02}:00Z")).collect();
    let starts: Vec<&str> = starts.iter().map(String::as_str).collect();
    for page_size in [1, 2, 22, 23, 24, 100] {
        let conversations =
            starts.iter().enumerate().map(|(n, at)| FakeConversation::call(&format!("c{n}"), at, vec![])).collect();
        TestClock::run(async {
            let settings = Settings { page_size, batch_size: 100, ..Settings::default() };
            let world = World::new(FakeOrg::of(conversations), settings);
            world.export(&["2026-01-20"]).await;
            assert_eq!(world.states("2026-01-20").await.len(), 23, "pages of {page_size}");
            assert_eq!(world.source.batches(), [23]);
        });
    }
}

#[test]
fn each_conversation_is_in_one_day_and_no_batch_has_more_than_a_hundred() {
    TestClock::run(async {
        let hours = (0..216).map(|n| {
            let start = format!("2026-01-{}T{:02}:{:02}:00Z", 18 + n / 72, n / 3 % 24, n % 3 * 20);
            FakeConversation::call(&format!("c{n:03}"), &start, vec![])
        });
        let settings = Settings { zone: "America/Lima", batch_size: 5000, page_size: 100, ..Settings::default() };
        let world = World::new(FakeOrg::of(hours.collect()), settings);
        let days = ["2026-01-17", "2026-01-18", "2026-01-19", "2026-01-20"];
        world.export(&days).await;
        let mut all = Vec::new();
        for day in days {
            all.extend(world.states(day).await);
        }
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 216);
        assert!(world.source.batches().iter().all(|size| *size <= 100), "{:?}", world.source.batches());
    });
}
