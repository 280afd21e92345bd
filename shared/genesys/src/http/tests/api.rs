//! The API: what is sent, what is sent again, and what answers become.

use super::*;
use crate::api::{BatchItem, ConversationQuery, Conversations as _, Recordings as _, Restore, Window};
use crate::models::{FileState, Found, HistoryState, JobStatus};

fn query(clock: &Quick) -> ConversationQuery {
    let start = clock.now();
    ConversationQuery {
        window: Window { start, end: start + Duration::from_secs(3600) },
        queues: vec![],
        page_size: 100,
    }
}

fn items() -> Vec<BatchItem> {
    vec![
        BatchItem { conversation: "c1".parse().unwrap(), recording: None },
        BatchItem { conversation: "c2".parse().unwrap(), recording: Some("r2".parse().unwrap()) },
    ]
}

#[tokio::test]
async fn a_restore_sets_another_date_and_leaves_the_other_one() {
    let server = serve(|_, _| Reply::json(200, r#"{"id":"r2","fileState":"RESTORING"}"#)).await;
    let (client, _) = client_of(&server);
    let restore = |delete_date: Option<&str>| Restore {
        recording: "r2".parse().unwrap(),
        archive_again: "2026-02-01T03:04:05.6789Z".parse().unwrap(),
        delete_date: delete_date.map(str::to_owned),
    };
    let conversation = "c1".parse().unwrap();
    client.restore(&conversation, &restore(None)).await.unwrap();
    client.restore(&conversation, &restore(Some("2030-01-01T00:00:00.000Z"))).await.unwrap();
    let heard = server.heard();
    let sent: Vec<serde_json::Value> =
        heard.iter().skip(1).map(|heard| serde_json::from_str(&heard.body).unwrap()).collect();
    let archive_date = "2026-02-01T03:04:05.678Z";
    assert_eq!(sent[0], serde_json::json!({ "archiveDate": archive_date }));
    let both = serde_json::json!({ "archiveDate": archive_date, "deleteDate": "2030-01-01T00:00:00.000Z" });
    assert_eq!(sent[1], both);
    assert_eq!((heard[1].method.as_str(), heard[1].path.as_str()), ("PUT", "/api/v2/conversations/c1/recordings/r2"));
}

#[tokio::test]
async fn each_operation_asks_what_is_documented() {
    let server = serve(|heard, _| match heard.path.rsplit('/').next().unwrap() {
        "query" => Reply::json(200, r#"{"totalHits":0}"#),
        "jobs" => Reply::json(202, r#"{"jobId":"h1"}"#),
        "h1" => Reply::json(200, r#"{"state":"RESTING"}"#),
        "results" => Reply::json(200, r#"{"conversations":[],"cursor":"a b&c"}"#),
        "recordingmetadata" => {
            Reply::json(200, r#"[7,{"id":"r1","fileState":"FROZEN","media":3},{"id":"r2","fileState":"ARCHIVED"}]"#)
        }
        "batchrequests" => Reply::json(200, r#"{"id":"b1","selfUri":"/x"}"#),
        "b1" => Reply::json(200, r#"{"status":"Completed","results":null,"resultCount":null}"#),
        other => panic!("{other}"),
    })
    .await;
    let (client, clock) = client_of(&server);
    assert!(client.page(&query(&clock), 3).await.unwrap().conversations.is_empty());
    let job = client.start_history(&query(&clock)).await.unwrap();
    assert_eq!(client.history_state(&job).await.unwrap(), HistoryState::Unknown("RESTING".into()));
    assert_eq!(client.history_page(&job, Some("a b&c"), 50).await.unwrap().cursor.as_deref(), Some("a b&c"));
    let metadata = client.metadata(&"c1".parse().unwrap()).await.unwrap();
    assert_eq!(metadata.len(), 2);
    assert_eq!(metadata[0].file_state, Some(FileState::Unknown("FROZEN".into())));
    let batch = client.submit(&items()).await.unwrap();
    assert_eq!(client.poll(&batch).await.unwrap().status, Some(JobStatus::Completed));

    let heard = server.heard();
    let lines: Vec<String> = heard.iter().skip(1).map(|h| format!("{} {}?{}", h.method, h.path, h.query)).collect();
    assert_eq!(
        lines,
        [
            "POST /api/v2/analytics/conversations/details/query?",
            "POST /api/v2/analytics/conversations/details/jobs?",
            "GET /api/v2/analytics/conversations/details/jobs/h1?",
            "GET /api/v2/analytics/conversations/details/jobs/h1/results?pageSize=50&cursor=a+b%26c",
            "GET /api/v2/conversations/c1/recordingmetadata?",
            "POST /api/v2/recording/batchrequests?",
            "GET /api/v2/recording/batchrequests/b1?",
        ]
    );
    let body: serde_json::Value = serde_json::from_str(&heard[1].body).unwrap();
    assert_eq!(body["interval"], "2026-01-15T10:00:00.000Z/2026-01-15T11:00:00.000Z");
    assert_eq!(body["paging"], serde_json::json!({"pageSize": 100, "pageNumber": 3}));
    assert_eq!(
        heard[6].body,
        r#"{"batchDownloadRequestList":[{"conversationId":"c1"},{"conversationId":"c2","recordingId":"r2"}]}"#
    );
}

#[tokio::test]
async fn a_429_holds_everybody_for_as_long_as_it_says() {
    let server = serve(|_, call| match call {
        0 => Reply::status(429).with("retry-after: 42"),
        1 => Reply::status(429),
        _ => Reply::json(200, "[]"),
    })
    .await;
    let (client, clock) = client_of(&server);
    client.metadata(&"c".parse().unwrap()).await.unwrap();
    assert!(clock.waited() >= Duration::from_secs(47), "{:?}", clock.waited());
    assert!(clock.waited() < Duration::from_secs(55), "{:?}", clock.waited());
}

#[tokio::test]
async fn the_deadline_is_kept_without_waiting() {
    let server = serve(|_, _| Reply::status(429).with("retry-after: 42")).await;
    let (client, clock) = client_of(&server);
    let hurried = client.with_deadline(clock.now() + Duration::from_secs(30));
    let error = hurried.metadata(&"c".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, ApiError::OutOfTime { .. }), "{error}");
    assert_eq!((server.count("recordingmetadata"), clock.waited()), (1, Duration::ZERO));
    // The pause is everybody's.
    assert!(hurried.poll(&"b".parse().unwrap()).await.is_err());
    assert!(client.with_deadline(clock.now()).sign_in().await.is_ok(), "the token is there already");
    assert_eq!(server.heard().len(), 2);
}

#[tokio::test]
async fn a_deadline_that_has_passed_sends_nothing() {
    let server = serve(|_, _| Reply::json(200, "[]")).await;
    let (client, clock) = client_of(&server);
    assert!(client.with_deadline(clock.now()).metadata(&"c".parse().unwrap()).await.is_err());
    assert!(server.heard().is_empty());
}

/// What happens once, and whether a question and an order are asked again.
fn faults() -> Vec<(&'static str, Reply, bool, bool)> {
    vec![
        ("408", Reply::status(408), true, true),
        ("429", Reply::status(429).with("retry-after: 1"), true, true),
        ("503", Reply::status(503), true, true),
        ("500", Reply::status(500), true, false),
        ("502", Reply::status(502), true, false),
        ("504", Reply::status(504), true, false),
        ("cut", Reply::Cut(200, r#"{"id":"b1""#.to_owned()), true, false),
        ("half", Reply::json(200, r#"{"id":"b1""#), true, false),
        ("reset", Reply::Nothing, true, false),
        ("silence", Reply::Silence, true, false),
        ("202", Reply::status(202), true, false),
        ("400", Reply::status(400), false, false),
        ("409", Reply::status(409), false, false),
        ("413", Reply::status(413), false, false),
        ("415", Reply::status(415), false, false),
        ("302", Reply::status(302).with("location: /elsewhere"), false, false),
    ]
}

#[tokio::test]
async fn what_is_sent_again_depends_on_whether_it_could_have_happened() {
    for (name, fault, question_again, order_again) in faults() {
        let reply = fault.clone();
        let server =
            serve(move |_, call| if call == 0 { reply.clone() } else { Reply::json(200, r#"{"id":"b1"}"#) }).await;
        let (client, _) = if name == "silence" { hasty_client_of(&server) } else { client_of(&server) };
        let asked = client.poll(&"b1".parse().unwrap()).await;
        assert_eq!(asked.is_ok(), question_again, "question after {name}: {asked:?}");
        assert_eq!(server.count("batchrequests"), if question_again { 2 } else { 1 }, "question after {name}");

        let server =
            serve(move |_, call| if call == 0 { fault.clone() } else { Reply::json(200, r#"{"id":"b1"}"#) }).await;
        let (client, _) = if name == "silence" { hasty_client_of(&server) } else { client_of(&server) };
        let ordered = client.submit(&items()).await;
        assert_eq!(server.count("batchrequests"), if order_again { 2 } else { 1 }, "order after {name}");
        match (question_again, order_again) {
            (true, false) => assert!(matches!(ordered, Err(ApiError::Unknown { .. })), "{name}: {ordered:?}"),
            (_, true) => assert!(ordered.is_ok(), "{name}: {ordered:?}"),
            _ => assert!(matches!(ordered, Err(ApiError::Refused { .. })), "{name}: {ordered:?}"),
        }
    }
}

#[tokio::test]
async fn what_could_not_be_sent_is_tried_again_also_for_orders() {
    let server = serve(|_, _| Reply::json(200, "{}")).await;
    let (client, clock) = client_of(&server);
    client.sign_in().await.unwrap();
    drop(server);
    tokio::task::yield_now().await;
    let error = client.submit(&items()).await.unwrap_err();
    assert!(matches!(&error, ApiError::Unavailable { .. }), "{error}");
    assert_eq!(client.requests_sent(), 7);
    assert_eq!(clock.waited(), Duration::from_millis(250 + 500 + 1000 + 2000 + 4000));
}

#[tokio::test]
async fn answers_become_errors_that_say_what_to_do() {
    let server = serve(|_, call| match call {
        0 => Reply::json(403, r#"{"code":"missing.permissions","message":"m"}"#),
        1 => Reply::json(404, r#"{"code":"batch.download.job.not.found"}"#),
        2 => Reply::json(
            400,
            r#"{"message":"Pagination may not exceed 100000 results. Tip: query in smaller intervals"}"#,
        ),
        3 => Reply::json(400, r#"{"code":"bad.request","message":"no tel:+13175550100 https://h/?s=1"}"#),
        _ => Reply::json(200, "{\n \"results\": 7}"),
    })
    .await;
    let (client, clock) = client_of(&server);
    let job = "b1".parse().unwrap();
    match client.poll(&job).await.unwrap_err() {
        ApiError::Forbidden { code, permission, .. } => {
            assert_eq!((code.as_str(), permission), ("missing.permissions", "recording:recording:view"));
        }
        other => panic!("{other}"),
    }
    assert!(matches!(client.poll(&job).await.unwrap_err(), ApiError::NotFound { .. }));
    assert!(matches!(client.page(&query(&clock), 1).await.unwrap_err(), ApiError::TooManyResults));
    match client.page(&query(&clock), 1).await.unwrap_err() {
        ApiError::Refused { status, message, .. } => assert_eq!((status, message.as_str()), (400, "no <number> <url>")),
        other => panic!("{other}"),
    }
    match client.poll(&job).await.unwrap_err() {
        ApiError::Unreadable { at, .. } => {
            assert!(at.contains("results") && at.contains("line 2"), "{at}")
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn no_recordings_come_in_three_forms() {
    for reply in [Reply::status(404), Reply::json(200, "[]"), Reply::json(200, "null")] {
        let server = serve(move |_, _| reply.clone()).await;
        assert!(client_of(&server).0.metadata(&"c".parse().unwrap()).await.unwrap().is_empty());
    }
    let server = serve(|_, _| Reply::json(202, "[]")).await;
    let error = client_of(&server).0.metadata(&"c".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, ApiError::Unavailable { .. }), "{error}");
    assert_eq!(server.count("recordingmetadata"), 6);
}

#[tokio::test]
async fn one_bad_row_does_not_spoil_its_page() {
    let rows = r#"{"conversations":[{"conversationId":"c1","conversationStart":"2026-01-15T10:00:00.000Z"},
        {"conversationId":"c2","conversationStart":7}, 5, null], "totalHits":4, "aggregations":{}}"#;
    let server = serve(move |_, _| Reply::json(200, rows)).await;
    let (client, clock) = client_of(&server);
    let page = client.page(&query(&clock), 1).await.unwrap();
    assert_eq!(page.conversations.iter().filter(|row| matches!(row, Found::Readable(_))).count(), 1);
    assert_eq!(page.conversations[1].id().as_str(), "c2");
    assert_eq!((page.conversations.len(), page.total_hits), (4, Some(4)));
}

#[tokio::test]
async fn one_bad_result_does_not_spoil_its_batch() {
    let body = r#"{"status":"Later","expectedResultCount":3,"results":[{"conversationId":"c1","resultUrl":"https://h/?s=1"},
        {"conversationId":"c2","resultUrl":7,"errorMsg":[]}, 5]}"#;
    let server = serve(move |_, _| Reply::json(200, body)).await;
    let job = client_of(&server).0.poll(&"b1".parse().unwrap()).await.unwrap();
    assert_eq!(job.status, Some(JobStatus::Unknown("Later".into())));
    assert_eq!(job.results.len(), 3);
    assert!(job.results[0].result_url.is_some() && job.results[1].result_url.is_none());
    assert_eq!(job.results[1].conversation_id.as_deref(), Some("c2"));
    assert!(!format!("{job:?}").contains("https"));
}

#[tokio::test]
async fn the_budget_is_kept_whatever_the_callers_do() {
    let server = serve(|_, call| {
        let limits = Reply::json(200, "[]").with("inin-ratelimit-allowed: 20").with("inin-ratelimit-reset: 60");
        limits.with(&format!("inin-ratelimit-count: {}", call % 19))
    })
    .await;
    let (client, clock) = client_of(&server);
    assert_eq!(client.budget(), None);
    let mut times = Vec::new();
    for _ in 0..60 {
        client.metadata(&"c".parse().unwrap()).await.unwrap();
        times.push(clock.now());
    }
    assert!(times.windows(20).all(|pair| pair[19].duration_since(pair[0]).as_secs() >= 60));
    assert_eq!(client.budget().unwrap().allowed, 20);
}

#[tokio::test]
async fn before_the_first_answer_only_one_request_is_under_way() {
    let busy = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let seen = busy.clone();
    let server = serve(move |_, call| {
        seen.fetch_add(1, Ordering::SeqCst);
        // The first is never answered; its time-out lets the next one go.
        if call == 0 { Reply::Silence } else { Reply::json(200, "[]") }
    })
    .await;
    let (client, _) = hasty_client_of(&server);
    let ids = ["a", "b", "c"].map(|id| id.parse().unwrap());
    let calls = futures_util::future::join_all(ids.iter().map(|id| client.metadata(id)));
    let watch = async {
        while busy.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        busy.load(Ordering::SeqCst)
    };
    let (answers, at_first) = futures_util::future::join(calls, watch).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!((at_first, busy.load(Ordering::SeqCst)), (1, 4));
}
