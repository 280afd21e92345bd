//! Paging against an org in memory whose rows move while they are read.

use std::sync::Mutex;

use async_trait::async_trait;

use super::*;
use crate::ids::HistoryJobId;
use crate::models::{Conversation, ConversationPage, HistoryPage, HistoryState};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn day() -> Window {
    Window { start: at("2026-01-15T00:00:00Z"), end: at("2026-01-16T00:00:00Z") }
}

/// Conversation `c<n>`, started `n` minutes into the day.
fn row(n: u64) -> Found {
    let start = day().start + Duration::from_secs(60 * n);
    let text = format!(r#"{{"conversationId":"c{n}","conversationStart":"{start}"}}"#);
    Found::Readable(Box::new(serde_json::from_str::<Conversation>(&text).unwrap()))
}

#[derive(Debug)]
struct Still(Mutex<Timestamp>);

#[async_trait]
impl Clock for Still {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
    async fn sleep(&self, span: Duration) {
        *self.0.lock().unwrap() += span;
    }
}

fn soon_after() -> Still {
    Still(Mutex::new(at("2026-01-16T06:00:00Z")))
}

type Change = Box<dyn Fn(usize, &mut Vec<u64>) + Send + Sync>;

/// An org. Its query widens every interval to the whole day, as the platform's does, unless it is told to be narrow.
struct Org {
    rows: Mutex<Vec<u64>>,
    /// Called before the n-th query.
    change: Change,
    /// Most results a query may have.
    most: usize,
    narrow: bool,
    counts: bool,
    refuse: bool,
    ignores_number: bool,
    /// Most rows it puts on a page, whatever is asked for.
    largest: u32,
    queries: Mutex<Vec<(Window, u32)>>,
    states: Mutex<VecDeque<HistoryState>>,
    available: Option<Timestamp>,
    same_cursor: bool,
    starts: Mutex<u32>,
}

impl Org {
    fn of(rows: impl IntoIterator<Item = u64>) -> Self {
        Self {
            rows: Mutex::new(rows.into_iter().collect()),
            change: Box::new(|_, _| {}),
            most: usize::MAX,
            narrow: false,
            counts: true,
            refuse: false,
            ignores_number: false,
            largest: 100,
            queries: Mutex::default(),
            states: Mutex::default(),
            available: Some(day().end),
            same_cursor: false,
            starts: Mutex::new(0),
        }
    }

    fn asked(&self) -> usize {
        self.queries.lock().unwrap().len()
    }
}

fn cut(rows: &[u64], number: u32, size: u32) -> Vec<Found> {
    rows.iter().skip(((number - 1) * size) as usize).take(size as usize).map(|n| row(*n)).collect()
}

#[async_trait]
impl Conversations for Org {
    async fn page(&self, query: &ConversationQuery, number: u32) -> Result<ConversationPage, ApiError> {
        let mut queries = self.queries.lock().unwrap();
        let mut rows = self.rows.lock().unwrap();
        (self.change)(queries.len(), &mut rows);
        queries.push((query.window, number));
        if self.refuse {
            let (code, message) = (String::new(), String::new());
            return Err(ApiError::Refused { operation: "test", status: 400, code, message });
        }
        let inside = |n: &u64| !self.narrow || query.window.contains(row(*n).start().unwrap());
        let hits: Vec<u64> = rows.iter().copied().filter(inside).collect();
        if (number * query.page_size) as usize > self.most && hits.len() > self.most {
            return Err(ApiError::TooManyResults);
        }
        let number = if self.ignores_number { 1 } else { number };
        Ok(ConversationPage {
            conversations: cut(&hits, number, query.page_size.min(self.largest)),
            total_hits: self.counts.then_some(hits.len() as u64),
        })
    }

    async fn start_history(&self, _: &ConversationQuery) -> Result<HistoryJobId, ApiError> {
        *self.starts.lock().unwrap() += 1;
        Ok("h1".parse().unwrap())
    }

    async fn history_state(&self, _: &HistoryJobId) -> Result<HistoryState, ApiError> {
        Ok(self.states.lock().unwrap().pop_front().unwrap_or(HistoryState::Fulfilled))
    }

    async fn history_page(&self, _: &HistoryJobId, cursor: Option<&str>, size: u32) -> Result<HistoryPage, ApiError> {
        let number: u32 = cursor.map_or(1, |cursor| cursor.parse().unwrap());
        let rows = self.rows.lock().unwrap();
        let more = rows.len() > (number * size) as usize;
        let next = if self.same_cursor { 2 } else { number + 1 };
        Ok(HistoryPage {
            conversations: cut(&rows, number, size),
            cursor: more.then(|| next.to_string()),
            data_availability_date: self.available,
        })
    }
}

async fn read(org: &Org, clock: &Still, page_size: u32, window: Window) -> Result<Vec<String>, ApiError> {
    let mut pages = Pages::new(org, clock, ConversationQuery { window, queues: vec![], page_size });
    let mut ids = Vec::new();
    while let Some(rows) = pages.next().await? {
        assert!(!rows.is_empty());
        ids.extend(rows.iter().map(|row| row.id().to_string()));
    }
    Ok(ids)
}

fn names(rows: impl IntoIterator<Item = u64>) -> Vec<String> {
    rows.into_iter().map(|n| format!("c{n}")).collect()
}

#[tokio::test]
async fn all_pages_are_read_with_as_few_requests_as_it_takes() {
    for (rows, requests) in [(0, 1), (1, 1), (9, 1), (10, 2), (25, 3), (30, 4)] {
        let org = Org::of(0..rows);
        assert_eq!(read(&org, &soon_after(), 10, day()).await.unwrap(), names(0..rows));
        assert_eq!(org.asked(), requests, "{rows} rows");
    }
}

#[tokio::test]
async fn pages_that_are_shorter_than_asked_are_read_on_while_more_is_promised() {
    let mut org = Org::of(0..12);
    org.largest = 5;
    assert_eq!(read(&org, &soon_after(), 10, day()).await.unwrap(), names(0..12));
    assert_eq!(org.asked(), 3);
}

#[tokio::test]
async fn an_empty_window_asks_nothing() {
    let org = Org::of(0..12);
    let window = Window { start: day().start, end: day().start };
    assert!(read(&org, &soon_after(), 10, window).await.unwrap().is_empty());
    assert_eq!(org.asked(), 0);
}

#[tokio::test]
async fn the_window_is_half_open_whatever_the_platform_returns() {
    let window = Window { start: day().start + Duration::from_secs(600), end: day().start + Duration::from_secs(1200) };
    let org = Org::of(0..60);
    assert_eq!(read(&org, &soon_after(), 7, window).await.unwrap(), names(10..20));
}

#[tokio::test]
async fn a_row_that_appears_repeats_others_and_none_is_doubled() {
    let mut org = Org::of(1..=30);
    org.change = Box::new(|call, rows| {
        if call == 1 {
            rows.insert(0, 0)
        }
    });
    let mut ids = read(&org, &soon_after(), 10, day()).await.unwrap();
    ids.sort_by_key(|id| id[1..].parse::<u64>().unwrap());
    assert_eq!(ids, names(0..=30));
}

#[tokio::test]
async fn a_row_that_vanishes_makes_none_of_the_others_vanish() {
    let mut org = Org::of(0..30);
    org.change = Box::new(|call, rows| {
        if call == 1 {
            rows.retain(|n| *n != 3)
        }
    });
    let mut ids = read(&org, &soon_after(), 10, day()).await.unwrap();
    ids.sort_by_key(|id| id[1..].parse::<u64>().unwrap());
    assert_eq!(ids, names(0..30), "c10 slipped over the border of the first page");
}

#[tokio::test]
async fn a_row_that_slips_over_the_same_border_again_is_found() {
    let mut org = Org::of(0..30);
    org.change = Box::new(|call, rows| match call {
        // Before the second page of every pass, if all passes had pages of ten.
        1 | 4 | 7 => rows.retain(|n| *n != 3),
        3 | 6 => *rows = (0..30).collect(),
        _ => {}
    });
    let mut ids = read(&org, &soon_after(), 10, day()).await.unwrap();
    ids.sort_by_key(|id| id[1..].parse::<u64>().unwrap());
    assert_eq!(ids, names(0..30), "c10");
}

#[tokio::test]
async fn rows_that_never_rest_do_not_keep_us_for_ever() {
    let mut org = Org::of(0..20);
    org.change = Box::new(|call, rows| rows.push(100 + call as u64));
    let ids = read(&org, &soon_after(), 10, day()).await.unwrap();
    assert!(ids.len() > 20 && org.asked() < 40, "{} rows, {} requests", ids.len(), org.asked());
}

#[tokio::test]
async fn without_a_count_several_pages_are_read_twice() {
    let mut org = Org::of(0..25);
    org.counts = false;
    assert_eq!(read(&org, &soon_after(), 10, day()).await.unwrap(), names(0..25));
    assert_eq!(org.asked(), 6);
}

#[tokio::test]
async fn a_server_that_ignores_the_page_number_is_an_error() {
    let mut org = Org::of(0..25);
    org.ignores_number = true;
    let error = read(&org, &soon_after(), 10, day()).await.unwrap_err();
    assert!(matches!(error, ApiError::Unreadable { .. }), "{error}");
    assert!(org.asked() < 10);
}

#[tokio::test]
async fn too_many_results_split_the_window() {
    let mut org = Org::of((0..120).map(|n| n * 12));
    (org.narrow, org.most) = (true, 40);
    let mut ids = read(&org, &soon_after(), 10, day()).await.unwrap();
    ids.sort_by_key(|id| id[1..].parse::<u64>().unwrap());
    assert_eq!(ids, names((0..120).map(|n| n * 12)));
    assert_eq!(*org.starts.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_quarter_of_an_hour_with_too_many_results_is_read_as_history() {
    let mut org = Org::of(0..14);
    (org.narrow, org.most) = (true, 10);
    let mut ids = read(&org, &soon_after(), 10, day()).await.unwrap();
    ids.sort_by_key(|id| id[1..].parse::<u64>().unwrap());
    assert_eq!(ids, names(0..14));
    assert_eq!(*org.starts.lock().unwrap(), 1);
}

#[tokio::test]
async fn where_splitting_does_not_narrow_the_day_is_read_as_history() {
    let mut org = Org::of(0..60);
    org.most = 40;
    let mut ids = read(&org, &soon_after(), 10, day()).await.unwrap();
    ids.sort_by_key(|id| id[1..].parse::<u64>().unwrap());
    assert_eq!(ids, names(0..60));
    assert_eq!(*org.starts.lock().unwrap(), 1);
    assert!(org.asked() < 10, "{} requests", org.asked());
}

#[tokio::test]
async fn what_is_out_of_reach_is_read_as_history() {
    let mut org = Org::of(0..25);
    org.refuse = true;
    let late = Still(Mutex::new(at("2026-03-01T00:00:00Z")));
    org.states = Mutex::new(VecDeque::from([
        HistoryState::Queued,
        HistoryState::Unknown("NAPPING".into()),
        HistoryState::Failed,
        HistoryState::Pending,
    ]));
    assert_eq!(read(&org, &late, 10, day()).await.unwrap(), names(0..25));
    assert_eq!(*org.starts.lock().unwrap(), 2);
    let error = read(&org, &soon_after(), 10, day()).await.unwrap_err();
    assert!(matches!(error, ApiError::Refused { .. }), "a recent window is not: {error}");
}

#[tokio::test]
async fn history_is_narrowed_too_and_needs_to_be_complete() {
    let late = || Still(Mutex::new(at("2026-03-01T00:00:00Z")));
    let mut org = Org::of((0..20).chain(1440..1450));
    org.refuse = true;
    assert_eq!(read(&org, &late(), 10, day()).await.unwrap(), names(0..20));
    org.available = None;
    assert_eq!(read(&org, &late(), 10, day()).await.unwrap(), names(0..20));
    org.available = Some(at("2026-01-15T23:59:59.999Z"));
    let error = read(&org, &late(), 10, day()).await.unwrap_err();
    assert!(error.to_string().contains("history not complete yet"), "{error}");
}

#[tokio::test]
async fn history_that_fails_or_never_ends_is_given_up() {
    let late = || Still(Mutex::new(at("2026-03-01T00:00:00Z")));
    let mut org = Org::of(0..25);
    org.refuse = true;
    for (state, starts) in [(HistoryState::Failed, 4), (HistoryState::Expired, 4), (HistoryState::Queued, 1)] {
        org.states = Mutex::new(VecDeque::from(vec![state; 1000]));
        *org.starts.lock().unwrap() = 0;
        let error = read(&org, &late(), 10, day()).await.unwrap_err();
        assert!(matches!(error, ApiError::Unavailable { .. }), "{error}");
        assert_eq!(*org.starts.lock().unwrap(), starts);
    }
    org.states = Mutex::default();
    (org.same_cursor, org.rows) = (true, Mutex::new((0..100).collect()));
    let error = read(&org, &late(), 10, day()).await.unwrap_err();
    assert!(matches!(error, ApiError::Unreadable { .. }), "{error}");
}

#[tokio::test]
async fn after_an_error_the_same_place_is_asked_again() {
    struct Flaky(Org, Mutex<u32>);
    #[async_trait]
    impl Conversations for Flaky {
        async fn page(&self, query: &ConversationQuery, number: u32) -> Result<ConversationPage, ApiError> {
            let call = {
                let mut calls = self.1.lock().unwrap();
                *calls += 1;
                *calls
            };
            if call.is_multiple_of(2) {
                return Err(ApiError::Unavailable { operation: "test", detail: String::new() });
            }
            self.0.page(query, number).await
        }
        async fn start_history(&self, query: &ConversationQuery) -> Result<HistoryJobId, ApiError> {
            self.0.start_history(query).await
        }
        async fn history_state(&self, job: &HistoryJobId) -> Result<HistoryState, ApiError> {
            self.0.history_state(job).await
        }
        async fn history_page(&self, job: &HistoryJobId, at: Option<&str>, size: u32) -> Result<HistoryPage, ApiError> {
            self.0.history_page(job, at, size).await
        }
    }
    let (flaky, clock) = (Flaky(Org::of(0..25), Mutex::new(0)), soon_after());
    let query = ConversationQuery { window: day(), queues: vec![], page_size: 10 };
    let mut pages = Pages::new(&flaky, &clock, query);
    let mut ids = Vec::new();
    loop {
        match pages.next().await {
            Ok(Some(rows)) => ids.extend(rows.iter().map(|row| row.id().to_string())),
            Ok(None) => break,
            Err(_) => {}
        }
    }
    assert_eq!(ids, names(0..25));
}

#[tokio::test]
async fn a_row_without_a_readable_start_is_passed_on_once() {
    struct Odd;
    #[async_trait]
    impl Conversations for Odd {
        async fn page(&self, _: &ConversationQuery, number: u32) -> Result<ConversationPage, ApiError> {
            let rows = r#"{"conversations":[{"conversationId":"c1"},{"conversationId":"c1"},7],"totalHits":2}"#;
            Ok(serde_json::from_str(if number == 1 { rows } else { "{}" }).unwrap())
        }
        async fn start_history(&self, _: &ConversationQuery) -> Result<HistoryJobId, ApiError> {
            Err(ApiError::TooManyResults)
        }
        async fn history_state(&self, _: &HistoryJobId) -> Result<HistoryState, ApiError> {
            Err(ApiError::TooManyResults)
        }
        async fn history_page(&self, _: &HistoryJobId, _: Option<&str>, _: u32) -> Result<HistoryPage, ApiError> {
            Err(ApiError::TooManyResults)
        }
    }
    let clock = soon_after();
    let query = ConversationQuery { window: day(), queues: vec![], page_size: 10 };
    let mut pages = Pages::new(&Odd, &clock, query);
    assert_eq!(pages.next().await.unwrap().unwrap().len(), 2);
    assert!(pages.next().await.unwrap().is_none());
}
