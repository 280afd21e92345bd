//! Questions that change nothing: what is sent, and what odd answers become.

use super::*;

#[tokio::test]
async fn who_is_signed_in_is_read_however_little_is_said() {
    let bodies = [
        r#"{"id":"u1","name":"Ana","authorization":{"roles":[],"permissions":["a:b:c",7,"","d:*"]},"next":{}}"#,
        r#"{"id":7,"name":"","authorization":{"permissions":"all"}}"#,
        "{}",
    ];
    let server = serve(move |_, n| Reply::json(200, bodies[n])).await;
    let (client, _) = client_of(&server);
    let user = client.signed_in_user().await.unwrap();
    assert_eq!((user.id.as_deref(), user.name.as_deref()), (Some("u1"), Some("Ana")));
    assert_eq!(user.permissions, Some(vec!["a:b:c".to_owned(), "d:*".to_owned()]));
    assert!(!format!("{user:?}").contains("Ana"));
    for _ in 1..bodies.len() {
        assert_eq!(client.signed_in_user().await.unwrap(), SignedInUser::default());
    }
    let head = server.heard()[1].head.clone();
    assert!(head.contains("/api/v2/users/me?expand=authorization"), "{head}");
}

#[tokio::test]
async fn an_empty_batch_tells_who_may_submit_and_makes_none() {
    let codes = [(400, "batch.download.bad.request"), (400, "bad.request"), (403, "missing.any.permissions")];
    let server = serve(move |_, n| Reply::json(codes[n].0, &format!(r#"{{"code":"{}"}}"#, codes[n].1))).await;
    let (client, _) = client_of(&server);
    client.may_submit_batches().await.unwrap();
    client.may_submit_batches().await.unwrap();
    let error = client.may_submit_batches().await.unwrap_err();
    assert_eq!(error.code(), "forbidden");
    let heard = server.heard();
    let sent = heard.iter().filter(|heard| heard.path.ends_with("/recording/batchrequests"));
    assert!(sent.clone().count() == 3 && sent.clone().all(|heard| heard.body == r#"{"batchDownloadRequestList":[]}"#));
}

#[tokio::test]
async fn a_host_is_reached_whatever_it_answers_and_without_a_token() {
    let server = Server::start(|_| Reply::status(404).with("date: Thu, 15 Jan 2026 10:00:05 GMT")).await;
    let (client, _) = client_of(&server);
    for service in [Service::Login, Service::Api] {
        let time = client.reach(service).await.unwrap();
        assert_eq!(time, Some("2026-01-15T10:00:05Z".parse().unwrap()));
    }
    assert!(server.heard().iter().all(|heard| !heard.head.contains("authorization")));
    let silent = Server::start(|_| Reply::status(503)).await;
    assert_eq!(client_of(&silent).0.reach(Service::Api).await.unwrap(), None);
    let url = silent.url();
    drop(silent);
    let gone = Endpoints::of_base(&url).unwrap();
    let credentials = Credentials { client_id: "demo".to_owned(), client_secret: SECRET.to_owned().into() };
    let client = GenesysClient::new(gone, credentials, Quick::new(), ClientOptions::new(Arc::new(|| 1.0))).unwrap();
    let error = client.reach(Service::Api).await.unwrap_err();
    assert!(error.to_string().starts_with("reach the API host"), "{error}");
}

#[tokio::test]
async fn a_media_host_is_reached_whatever_it_answers_and_only_where_media_may_come_from() {
    let server = serve(|_, _| Reply::status(403)).await;
    let (client, _) = client_of(&server);
    let url = |text: &str| url::Url::parse(text).unwrap();
    client.reach_media(&url(&server.url())).await.unwrap();
    let head = server.heard()[0].head.clone();
    assert!(!head.contains("authorization"), "{head}");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = client.reach_media(&url(&format!("http://{closed}/"))).await.unwrap_err();
    assert!(error.to_string().contains("could not connect"), "{error}");
    let error = client.reach_media(&url("https://example.com/")).await.unwrap_err();
    assert!(error.to_string().contains("not on the list"), "{error}");
}
