//! What the org holds and how it is asked: queries, history, jobs, files, restores.

use callvault_simulator::{Options, TruthRecording};
use hyper::{Method, StatusCode};
use jiff::SignedDuration;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::client::{Client, DAY, Reply, options};

#[tokio::test]
async fn an_hour_returns_its_whole_utc_day_and_the_page_after_the_last_has_no_rows() {
    let client = Client::start(options(60)).await;
    let hour = client.page("2026-01-15T10:00:00.000Z/2026-01-15T11:00:00.000Z", 1).await.json();
    assert_eq!(hour["totalHits"], 60);
    assert_eq!(hour["conversations"][0]["conversationStart"], "2026-01-15T00:00:00.000Z");
    let third = client.page(DAY, 3).await.json();
    let rows = third["conversations"].as_array().unwrap();
    assert_eq!(rows.len(), 10);
    assert_eq!(rows[9]["conversationStart"], "2026-01-15T23:59:59.999Z");
    assert!(client.page(DAY, 4).await.json().get("conversations").is_none());
}

#[tokio::test]
async fn what_the_query_refuses() {
    let client = Client::start(Options { result_limit: 50, ..options(60) }).await;
    let message = |reply: &Reply| reply.json()["message"].as_str().unwrap().to_owned();
    let deep = client.page(DAY, 3).await;
    assert_eq!(deep.status, StatusCode::BAD_REQUEST);
    assert!(message(&deep).starts_with("Pagination may not exceed 50 results."));
    let short = client.page("2026-01-15T00:00:00Z/2026-01-15T00:00:01Z", 1).await;
    assert_eq!(short.json()["totalHits"], 1, "below the default limit an interval narrows");
    for interval in [
        "yesterday",
        "2026-01-16T00:00:00Z/2026-01-15T00:00:00Z",
        "2026-01-01T00:00:00Z/2026-01-15T00:00:00Z",
        "2025-12-01T00:00:00Z/2025-12-02T00:00:00Z",
    ] {
        assert_eq!(client.page(interval, 1).await.status, StatusCode::BAD_REQUEST, "{interval}");
    }
}

#[tokio::test]
async fn every_stored_file_downloads_as_the_truth_says() {
    let client = Client::start(options(60)).await;
    client.simulator.advance(SignedDuration::from_secs(10)); // the late uploads are in
    let day = client.simulator.truth().days.remove(0);
    assert_eq!(day.conversations.len(), 60);
    let job = client.finish(&day.conversations).await;
    assert_eq!(job["status"], "Completed");
    let mut found = Vec::new();
    for result in job["results"].as_array().unwrap() {
        if let Some(url) = result["resultUrl"].as_str() {
            let reply = client.get(url.strip_prefix(&client.simulator.url()).unwrap()).await;
            assert_eq!(reply.headers["content-type"], result["contentType"].as_str().unwrap());
            let sum: String = Sha256::digest(&reply.body).iter().map(|byte| format!("{byte:02x}")).collect();
            found.push((result["recordingId"].as_str().unwrap().to_owned(), sum));
        }
    }
    let stored = |r: &&TruthRecording| r.outcome == "stored";
    for recording in day.recordings.iter().filter(stored) {
        let one = (recording.recording.clone(), recording.sha256.clone());
        // A chat's truth is the filtered file, and `media::text` has the tests that compare the two.
        let known = recording.kind == "chat" && found.iter().any(|(id, _)| *id == one.0);
        assert!(known || found.contains(&one), "{recording:?}");
    }
    for recording in day.recordings.iter().filter(|r| !stored(r)) {
        assert!(!found.iter().any(|(id, _)| *id == recording.recording), "{recording:?}");
    }
    assert_eq!(day.recordings.iter().filter(stored).filter(|r| r.bytes == 0).count(), 1);
}

#[tokio::test]
async fn history_returns_what_was_active_in_pages_by_cursor() {
    let client = Client::start(options(60)).await;
    let jobs = "/api/v2/analytics/conversations/details/jobs";
    let submitted = client.post(jobs, json!({ "interval": DAY })).await;
    assert_eq!(submitted.status, StatusCode::ACCEPTED);
    let path = format!("{jobs}/{}", submitted.json()["jobId"].as_str().unwrap());
    assert_eq!(client.get(&path).await.json()["state"], "QUEUED");
    client.simulator.advance(SignedDuration::from_secs(3));
    assert_eq!(client.get(&path).await.json()["state"], "FULFILLED");
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("{path}/results?pageSize=20{cursor}")).await.json();
        rows.extend(page["conversations"].as_array().unwrap().clone());
        let Some(next) = page["cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    // The day's own, and the one that began in the last millisecond of the day before.
    assert!(rows.len() > 60);
    assert_eq!(
        rows.iter().filter(|row| row["conversationStart"].as_str() < Some("2026-01-15")).count(),
        rows.len() - 60
    );
}

#[tokio::test]
async fn an_archived_recording_is_restored_and_then_belongs_to_the_truth() {
    let client = Client::start(options(60)).await;
    let archived = |client: &Client| {
        let day = client.simulator.truth().days.remove(0);
        day.recordings.into_iter().find(|r| r.outcome == "archived")
    };
    let recording = archived(&client).unwrap();
    let path = format!("/api/v2/conversations/{}/recordings/{}", recording.conversation, recording.recording);
    let body = json!({ "archiveDate": "2027-01-01T00:00:00.000Z" }).to_string();
    let reply = client.send(Method::PUT, &path, body).await.unwrap();
    assert_eq!(reply.json()["fileState"], "RESTORING");
    client.simulator.advance(SignedDuration::from_hours(5));
    assert_eq!(client.get(&path).await.status, StatusCode::ACCEPTED, "it transcodes at first");
    assert_eq!(client.get(&path).await.json()["fileState"], "RESTORED");
    let after = archived(&client).map(|r| r.recording);
    assert_ne!(after, Some(recording.recording));
}
