//! Signing in: once for everybody, again after a 401, never in words.

use super::*;
use crate::api::{Conversations as _, Recordings as _};

const GOOD: &str = r#"{"access_token":"pl4nted-acc3ss-t0ken","token_type":"bearer","expires_in":86400}"#;

#[tokio::test]
async fn a_hundred_callers_sign_in_once() {
    let server = serve(|_, _| Reply::json(200, "[]")).await;
    let (client, _) = client_of(&server);
    let calls = (0..100).map(|n| {
        let client = client.clone();
        tokio::spawn(async move { client.metadata(&format!("c{n}").parse().unwrap()).await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    assert_eq!(server.count("/oauth/token"), 1);
    assert_eq!(client.requests_sent(), 101);
    let heard = server.heard();
    let sign_in = heard.iter().find(|heard| heard.path == "/oauth/token").unwrap();
    assert_eq!(sign_in.body, "grant_type=client_credentials");
    assert!(sign_in.head.contains("authorization: basic "));
    assert!(heard.iter().any(|heard| { heard.head.contains(&format!("authorization: bearer {TOKEN}")) }));
    assert!(heard.iter().all(|heard| heard.head.contains("user-agent: callvault/")));
}

#[tokio::test]
async fn a_401_signs_in_once_more_and_asks_again() {
    let server = serve(|_, call| if call == 0 { Reply::status(401) } else { Reply::json(200, "[]") }).await;
    let (client, _) = client_of(&server);
    client.metadata(&"c".parse().unwrap()).await.unwrap();
    assert_eq!((server.count("/oauth/token"), server.count("recordingmetadata")), (2, 2));
}

#[tokio::test]
async fn a_second_401_is_trouble_not_a_refused_sign_in() {
    let server = serve(|_, _| Reply::status(401)).await;
    let (client, _) = client_of(&server);
    let error = client.metadata(&"c".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, ApiError::Unavailable { .. }), "{error}");
    assert_eq!((server.count("/oauth/token"), server.count("recordingmetadata")), (2, 2));
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let server = serve(|_, _| Reply::json(200, "[]")).await;
    let (client, clock) = client_of(&server);
    client.sign_in().await.unwrap();
    clock.advance(Duration::from_secs(86_400 - 61));
    client.sign_in().await.unwrap();
    assert_eq!(server.count("/oauth/token"), 1);
    clock.advance(Duration::from_secs(1));
    client.sign_in().await.unwrap();
    assert_eq!(server.count("/oauth/token"), 2);
}

#[tokio::test]
async fn a_refused_sign_in_is_said_once_to_all_who_waited() {
    for (status, body, reason) in [
        (400, r#"{"error":"invalid_client","description":"x"}"#, "invalid_client"),
        (401, r#"{"error":"invalid_client"}"#, "invalid_client"),
        (401, "<html>", "status 401"),
    ] {
        let server = Server::start(move |_| Reply::json(status, body)).await;
        let (client, _) = client_of(&server);
        let calls = (0..20).map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.sign_in().await })
        });
        for call in calls.collect::<Vec<_>>() {
            match call.await.unwrap().unwrap_err() {
                ApiError::SignInRefused { reason: told } => assert_eq!(told, reason),
                other => panic!("{other}"),
            }
        }
        assert_eq!(server.count("/oauth/token"), 1);
    }
}

#[tokio::test]
async fn trouble_with_the_sign_in_is_retried() {
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::status(503),
        1 => Reply::status(429).with("retry-after: 20"),
        2 => Reply::Nothing,
        3 => Reply::Cut(200, "{".to_owned()),
        _ => Reply::json(200, GOOD),
    })
    .await;
    let (client, clock) = client_of(&server);
    client.sign_in().await.unwrap();
    assert_eq!(server.count("/oauth/token"), 5);
    assert!(clock.waited() >= Duration::from_secs(20));

    let server = Server::start(|_| Reply::status(500)).await;
    let (client, _) = client_of(&server);
    assert!(matches!(client.sign_in().await.unwrap_err(), ApiError::Unavailable { .. }));
    assert_eq!(server.count("/oauth/token"), 6);
}

#[tokio::test]
async fn garbage_is_not_a_token() {
    for body in [
        "<html>",
        "[]",
        "{}",
        r#"{"access_token":null}"#,
        r#"{"access_token":""}"#,
        r#"{"access_token":"pl4nted-acc3ss-t0ken\r\nx: y"}"#,
        r#"{"access_token":"pl4nted-acc3ss-t0ken","token_type":"mac"}"#,
        r#"{"access_token":"pl4nted-acc3ss-t0ken","expires_in":-1}"#,
        r#"{"access_token":"pl4nted-acc3ss-t0ken","expires_in":"pl4nted-cl13nt-s3cret"}"#,
    ] {
        let server = Server::start(move |_| Reply::json(200, body)).await;
        let (client, _) = client_of(&server);
        let error = client.sign_in().await.unwrap_err();
        assert!(matches!(error, ApiError::Unreadable { .. }), "{body}: {error}");
        assert!(!all_words(&error).contains("pl4nted"), "{}", all_words(&error));
    }
}

#[tokio::test]
async fn nothing_prints_a_secret() {
    let echo = |heard: &Heard| format!(r#"{{"message":"{}","code":"{TOKEN}"}}"#, heard.head.replace("\r\n", " "));
    let server = serve(move |heard, call| match call % 4 {
        0 => Reply::json(400, &echo(heard)),
        1 => Reply::json(403, &echo(heard)),
        2 => Reply::json(409, &echo(heard)),
        _ => Reply::json(200, &format!(r#"{{"conversations":"{TOKEN}","totalHits":"{SECRET}"}}"#)),
    })
    .await;
    let (client, clock) = client_of(&server);
    for _ in 0..4 {
        let query = crate::api::ConversationQuery {
            window: crate::api::Window { start: clock.now(), end: clock.now() },
            queues: vec![],
            page_size: 10,
        };
        let error = client.page(&query, 1).await.unwrap_err();
        let words = all_words(&error).to_lowercase();
        assert!(!words.contains("pl4nted"), "{words}");
    }
    let words =
        format!("{client:?} {:?}", Credentials { client_id: "demo".into(), client_secret: SECRET.to_owned().into() });
    assert!(!words.contains("pl4nted"), "{words}");
}
