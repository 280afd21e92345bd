//! Limits, lifetimes and faults: tokens, rates, URLs, pages that shift, connections that break.

use std::collections::BTreeSet;
use std::time::Duration;

use callvault_simulator::{Fault, FaultName, Options, Simulator};
use hyper::{Method, StatusCode};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::client::{Client, DAY, JOBS, QUERY, options};

#[tokio::test]
async fn a_url_changes_with_each_poll_expires_by_the_clock_and_wants_no_token() {
    let client = Client::start(Options { plain: true, ..options(2) }).await;
    let ids = client.simulator.truth().days.remove(0).conversations;
    let (first, second) = (client.url(&ids).await, client.url(&ids).await);
    assert_ne!(first, second);
    assert_eq!(first.split('?').next(), second.split('?').next());
    assert_eq!(client.get(&first).await.status, StatusCode::OK);
    assert_eq!(client.get(&first.replace("Expires=1", "Expires=2")).await.status, StatusCode::FORBIDDEN);
    client.simulator.advance(SignedDuration::from_mins(61));
    let late = client.get(&first).await;
    assert_eq!(late.status, StatusCode::FORBIDDEN);
    assert!(late.body.starts_with(b"<?xml"));
}

#[tokio::test]
async fn a_job_is_read_by_its_client_only_and_forgotten_by_fault() {
    let mut client = Client::start(Options { plain: true, ..options(2) }).await;
    let ids = client.simulator.truth().days.remove(0).conversations;
    let job = client.submit(&ids).await.json()["id"].as_str().unwrap().to_owned();
    let path = format!("{JOBS}/{job}");
    assert_eq!(client.get(&path).await.json()["expectedResultCount"], 0);
    let mine = client.authorization.clone();
    client.sign_in("other", "other").await;
    let refused = client.get(&path).await;
    assert_eq!(refused.json()["code"], "batch.download.permission.denied");
    client.authorization = mine;
    client.simulator.set_faults([Fault::new(FaultName::ForgottenJob).times(1)]);
    for _ in 0..2 {
        let gone = client.get(&path).await;
        assert_eq!(
            (gone.status, gone.json()["code"].as_str()),
            (StatusCode::NOT_FOUND, Some("batch.download.job.not.found"))
        );
    }
}

#[tokio::test]
async fn too_many_requests_are_refused_until_the_minute_is_over() {
    let client = Client::start(Options { rate_per_minute: 3, ..options(5) }).await;
    for count in 1..=3 {
        let reply = client.page(DAY, 1).await;
        assert_eq!(reply.headers["inin-ratelimit-count"], count.to_string());
        assert_eq!(reply.headers["inin-ratelimit-allowed"], "3");
    }
    let refused = client.page(DAY, 1).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let wait: i64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    client.simulator.advance(SignedDuration::from_secs(wait));
    assert_eq!(client.page(DAY, 1).await.status, StatusCode::OK);
    let requests = client.simulator.requests();
    assert_eq!((requests.refused_429, requests.api_requests, requests.worst_minute), (1, 5, 5));
}

#[tokio::test]
async fn a_dropped_request_took_effect_and_a_cut_one_is_shorter_than_declared() {
    let client = Client::start(Options { plain: true, media_bytes: Some(1 << 20), ..options(2) }).await;
    let ids = client.simulator.truth().days.remove(0).conversations;
    client.simulator.set_faults([Fault::new(FaultName::Dropped).operation("batch-submit")]);
    let lost = client
        .send(Method::POST, JOBS, json!({ "batchDownloadRequestList": [{ "conversationId": ids[0] }] }).to_string())
        .await;
    assert!(lost.is_err());
    assert_eq!(client.simulator.requests().max_batch_items, 1);

    client.simulator.set_faults([]);
    let url = client.url(&ids).await;
    client.simulator.set_faults([
        Fault::new(FaultName::CutBody).times(1),
        Fault::new(FaultName::CutJson).operation("conversations-query"),
    ]);
    assert!(client.send(Method::GET, &url, "").await.is_err());
    assert_eq!(client.get(&url).await.body.len(), 1 << 20);
    let query = json!({ "interval": DAY }).to_string();
    assert!(client.send(Method::POST, QUERY, query).await.is_err());

    // Neither a length nor chunks: whole or cut, it ends in the same way.
    client.simulator.set_faults([Fault::new(FaultName::EndlessBody), Fault::new(FaultName::CutBody).calls(&[2])]);
    let whole = client.get(&url).await;
    assert_eq!((whole.body.len(), whole.headers.get("content-length")), (1 << 20, None));
    assert_eq!(whole.headers.get("transfer-encoding"), None);
    assert!(client.send(Method::GET, &url, "").await.unwrap().body.len() < 1 << 20);
}

#[tokio::test]
async fn shifted_pages_tell_by_their_total() {
    let client = Client::start(options(60)).await;
    client.simulator.set_faults([Fault::new(FaultName::ShiftingPages)]);
    let ids = |page: &Value| {
        let rows = page["conversations"].as_array().unwrap();
        rows.iter().map(|row| row["conversationId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = client.page(DAY, 1).await.json();
    assert_eq!(first["totalHits"], 60);
    for _ in 0..8 {
        let second = client.page(DAY, 2).await.json();
        match second["totalHits"].as_u64().unwrap() {
            61 => assert_eq!(ids(&second)[0], ids(&first)[24]),
            59 => assert!(!ids(&first).contains(&ids(&second)[0])),
            other => panic!("total of {other}"),
        }
    }
}

#[tokio::test]
async fn missing_metadata_is_a_fault_and_strikes_only_where_there_is_none() {
    let client = Client::start(options(80)).await;
    let day = client.simulator.truth().days.remove(0);
    let with: BTreeSet<String> = day.recordings.iter().map(|recording| recording.conversation.clone()).collect();
    assert!(!with.is_empty() && with.len() < day.conversations.len());
    let status = async |id: &String| client.get(&format!("/api/v2/conversations/{id}/recordingmetadata")).await.status;
    for id in &day.conversations {
        assert_eq!(status(id).await, StatusCode::OK);
    }
    client.simulator.set_faults([Fault::new(FaultName::MissingMetadata)]);
    for id in &day.conversations {
        let wanted = if with.contains(id) { StatusCode::OK } else { StatusCode::NOT_FOUND };
        assert_eq!(status(id).await, wanted);
    }
    let without = (day.conversations.len() - with.len()) as u64;
    assert_eq!(client.simulator.requests().faults["missing-metadata"], without);
}

#[tokio::test]
async fn tokens_and_users() {
    let mut client = Client::start(options(5)).await;
    assert_eq!(client.get("/api/v2/users/me").await.json()["code"], "not.a.user");
    assert_eq!(client.get("/api/v2/voicemail/messages").await.json()["code"], "not.a.user");
    assert_eq!(client.get("/api/v2/nothing").await.status, StatusCode::NOT_FOUND);
    client.simulator.advance(SignedDuration::from_hours(24));
    assert_eq!(client.get("/api/v2/users/me").await.json()["code"], "bad.credentials");
    client.authorization = None;
    assert_eq!(client.get("/api/v2/users/me").await.json()["code"], "authentication.required");
}

#[tokio::test]
async fn stopping_closes_the_connections_and_the_port() {
    let simulator = Simulator::start(options(1)).await.unwrap();
    let address = simulator.address();
    let _idle = tokio::net::TcpStream::connect(address).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), simulator.stop()).await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
