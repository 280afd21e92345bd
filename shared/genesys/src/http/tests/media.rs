//! Downloads: where they may lead, what they send, how they end.

use futures_util::StreamExt as _;

use super::*;
use crate::api::{MediaError, Recordings as _, SignedUrl};

const SIGNED: &str = "/media/a?X-Amz-Signature=pl4nted";

async fn download(server: &Server, url: &str) -> Result<(Option<u64>, Vec<u8>), MediaError> {
    download_by(client_of(server).0, url).await
}

async fn download_by(client: GenesysClient, url: &str) -> Result<(Option<u64>, Vec<u8>), MediaError> {
    let media = client.open(&SignedUrl::new(url.to_owned())).await?;
    let mut bytes = Vec::new();
    let mut body = media.body;
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok((media.length, bytes))
}

#[tokio::test]
async fn a_download_carries_nothing_of_ours() {
    let server = serve(|heard, _| {
        if heard.path.starts_with("/media") {
            Reply::Whole(200, "content-type: audio/ogg\r\n".into(), "abc".into())
        } else {
            Reply::json(200, "[]")
        }
    })
    .await;
    let (client, _) = client_of(&server);
    client.metadata(&"c".parse().unwrap()).await.unwrap();
    let media = client.open(&SignedUrl::new(format!("{}{SIGNED}", server.url()))).await.unwrap();
    assert_eq!((media.content_type.as_deref(), media.length), (Some("audio/ogg"), Some(3)));
    let heard = server.heard();
    let last = heard.last().unwrap();
    assert!(last.path.starts_with("/media"));
    assert!(
        !last.head.contains("authorization") && !last.head.contains("cookie") && !last.head.contains("accept-encoding")
    );
    assert_eq!(client.requests_sent(), 2, "media does not count");
}

#[tokio::test]
async fn a_status_says_what_to_do() {
    for (status, wanted) in [
        (401, "Expired"),
        (403, "Expired"),
        (410, "Expired"),
        (404, "Gone"),
        (204, "Interrupted"),
        (206, "Interrupted"),
        (408, "Unavailable"),
        (429, "Unavailable"),
        (500, "Unavailable"),
        (503, "Unavailable"),
        (302, "Interrupted"),
    ] {
        let server = Server::start(move |_| Reply::status(status)).await;
        let error = download(&server, &format!("{}{SIGNED}", server.url())).await.unwrap_err();
        assert!(format!("{error:?}").starts_with(wanted), "{status}: {error:?}");
    }
}

#[tokio::test]
async fn a_body_that_is_cut_or_stalls_is_an_error() {
    for reply in [Reply::Cut(200, "half".to_owned()), Reply::Stall, Reply::Nothing, Reply::Silence] {
        let fault = reply.clone();
        let server = Server::start(move |_| fault.clone()).await;
        let error = download_by(hasty_client_of(&server).0, &format!("{}{SIGNED}", server.url())).await.unwrap_err();
        let broken = matches!(reply, Reply::Cut(..) | Reply::Stall);
        let wanted = if broken { "Interrupted" } else { "Unavailable" };
        assert!(format!("{error:?}").starts_with(wanted), "{reply:?}: {error:?}");
        let words = all_words(&error);
        assert!(!words.contains("pl4nted") && !words.contains("/media"), "{words}");
    }
}

#[tokio::test]
async fn nothing_listens_there() {
    let server = Server::start(|_| Reply::status(200)).await;
    let error = download(&server, "http://127.0.0.1:1/media?X-Amz-Signature=pl4nted").await.unwrap_err();
    assert!(matches!(error, MediaError::Unavailable { .. }), "{error:?}");
    assert!(!all_words(&error).contains("pl4nted"));
}

#[tokio::test]
async fn a_host_that_asks_for_a_pause_is_left_alone_until_it_is_over() {
    for status in [429, 503] {
        let server = Server::start(move |heard| match heard.path.as_str() {
            "/media/busy" => Reply::status(status).with("retry-after: 90"),
            _ => Reply::Whole(200, String::new(), "abc".into()),
        })
        .await;
        let (client, clock) = client_of(&server);
        let get = |path: &str| {
            let (client, url) = (client.clone(), format!("{}{path}?pl4nted", server.url()));
            async move { download_by(client, &url).await }
        };
        let asked = |error: MediaError| match error {
            MediaError::Unavailable { retry_after, .. } => retry_after,
            other => panic!("{other:?}"),
        };
        let pause = asked(get("/media/busy").await.unwrap_err());
        assert_eq!(pause, Some(Duration::from_secs(90)), "{status}");
        clock.advance(Duration::from_secs(30));
        // Also for what else lies there: it is the host that is busy.
        assert_eq!(asked(get("/media/a").await.unwrap_err()), Some(Duration::from_secs(60)));
        assert_eq!(server.heard().len(), 1, "nothing is sent before the time is over");
        clock.advance(Duration::from_secs(60));
        assert_eq!(get("/media/a").await.unwrap().1, b"abc");
    }
}

#[tokio::test]
async fn redirects_are_judged_like_the_first_url() {
    for target in [
        "http://10.0.0.1/x?pl4nted",
        "http://169.254.169.254/latest?pl4nted",
        "http://localhost/x?pl4nted",
        "http://127.0.0.2/x?pl4nted",
        "//evil.example.com/x?pl4nted",
        "file:///etc/passwd?pl4nted",
    ] {
        let server = Server::start(move |_| Reply::status(302).with(&format!("location: {target}"))).await;
        let error = download(&server, &format!("{}{SIGNED}", server.url())).await.unwrap_err();
        assert!(matches!(error, MediaError::NotAllowed { .. }), "{target}: {error:?}");
        assert!(!all_words(&error).contains("pl4nted"), "{}", all_words(&error));
        assert_eq!(server.heard().len(), 1);
    }
}

#[tokio::test]
async fn whether_an_end_proves_anything_is_told() {
    for (head, proves) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", true),
        ("HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nabc", true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc", false),
        ("HTTP/1.0 200 OK\r\n\r\nabc", false),
    ] {
        let server = Server::start(move |_| Reply::Raw(head.to_owned())).await;
        let client = client_of(&server).0;
        let media = client.open(&SignedUrl::new(format!("{}{SIGNED}", server.url()))).await.unwrap();
        assert_eq!(media.has_provable_end, proves, "{head}");
        let bytes: Vec<u8> = media.body.map(|piece| piece.unwrap().to_vec()).concat().await;
        assert_eq!(bytes, b"abc", "{head}");
    }
}

#[tokio::test]
async fn three_redirects_are_followed_and_no_more() {
    let hops = |most: usize| {
        let calls = std::sync::atomic::AtomicUsize::new(0);
        Server::start(move |_| {
            if calls.fetch_add(1, Ordering::SeqCst) < most {
                Reply::status(307).with("location: ../next")
            } else {
                Reply::Whole(200, String::new(), "abc".into())
            }
        })
    };
    let server = hops(3).await;
    assert_eq!(download(&server, &format!("{}{SIGNED}", server.url())).await.unwrap(), (Some(3), b"abc".to_vec()));
    let server = hops(4).await;
    assert!(matches!(
        download(&server, &format!("{}{SIGNED}", server.url())).await,
        Err(MediaError::Interrupted { .. })
    ));
    assert_eq!(server.heard().len(), 4);
}

#[tokio::test]
async fn what_is_not_allowed_is_never_contacted() {
    let server = Server::start(|_| Reply::status(200)).await;
    for url in
        ["not a url pl4nted", "https://example.com/pl4nted", "http://u:pl4nted@127.0.0.1/", "http://0x7f000002/pl4nted"]
    {
        let error = download(&server, url).await.unwrap_err();
        assert!(matches!(error, MediaError::NotAllowed { .. }), "{url}: {error:?}");
        assert!(!all_words(&error).contains("pl4nted"), "{}", all_words(&error));
    }
}

#[tokio::test]
async fn a_name_that_leads_home_is_refused_by_the_lookup() {
    // `localhost` is on the list, but the base is a public one: the name's address decides.
    let mut options = ClientOptions::new(Arc::new(|| 0.0));
    options.media_hosts = vec!["localhost".to_owned()];
    let credentials = Credentials { client_id: "demo".to_owned(), client_secret: SECRET.to_owned().into() };
    let client =
        GenesysClient::new(Endpoints::of_region("eu-west-1").unwrap(), credentials, Quick::new(), options).unwrap();
    let error = client.open(&SignedUrl::new("https://localhost/pl4nted".to_owned())).await.err().unwrap();
    assert!(matches!(error, MediaError::NotAllowed { .. }), "{error:?}");
}

#[test]
fn a_media_host_must_be_one() {
    let mut options = ClientOptions::new(Arc::new(|| 0.0));
    options.media_hosts = vec!["https://h/".to_owned()];
    let credentials = Credentials { client_id: "demo".to_owned(), client_secret: SECRET.to_owned().into() };
    let endpoints = Endpoints::of_region("eu-west-1").unwrap();
    assert!(
        GenesysClient::new(endpoints, credentials, Quick::new(), options)
            .unwrap_err()
            .to_string()
            .contains("https://h/")
    );
}
