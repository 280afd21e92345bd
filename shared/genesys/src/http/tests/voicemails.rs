//! Voicemail over HTTP: what is sent, what answers become, and whose token goes along.

use std::sync::atomic::AtomicUsize;

use secrecy::SecretString;

use super::*;
use crate::api::{Mailbox, SignedUrl, VoicemailFormat, VoicemailMedia, Voicemails as _};
use crate::ids::VoicemailId;

/// Somebody who keeps a token: one that is old, and a new one for who asks again.
#[derive(Default)]
struct Keeper {
    asked: AtomicUsize,
    asked_again: AtomicUsize,
}

#[async_trait]
impl AccessTokens for Keeper {
    async fn current(&self) -> Result<SecretString, ApiError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(format!("{TOKEN}-old").into())
    }

    async fn reread(&self) -> Result<SecretString, ApiError> {
        self.asked_again.fetch_add(1, Ordering::SeqCst);
        Ok(format!("{TOKEN}-new").into())
    }
}

impl Keeper {
    fn counts(&self) -> (usize, usize) {
        (self.asked.load(Ordering::SeqCst), self.asked_again.load(Ordering::SeqCst))
    }
}

fn user_of(server: &Server, tokens: Arc<dyn AccessTokens>) -> GenesysClient {
    let mut options = ClientOptions::new(Arc::new(|| 1.0));
    options.request_timeout = Duration::from_secs(20);
    GenesysClient::of_user(Endpoints::of_base(&server.url()).unwrap(), tokens, Quick::new(), options).unwrap()
}

fn message() -> VoicemailId {
    "m1".parse().unwrap()
}

#[tokio::test]
async fn each_operation_asks_what_is_documented() {
    let server = serve(|heard, _| match (heard.method.as_str(), heard.path.rsplit('/').next().unwrap()) {
        ("GET", "messages") => Reply::json(200, r#"{"entities":[{"id":"m1","conversation":{"id":"c1"}}],"total":1}"#),
        ("GET", "media") => Reply::json(200, r#"{"id":"m1","mediaFileUri":"https://h/?sig=pl4nted"}"#),
        ("GET", "me") => Reply::json(200, r#"{"id":"u1"}"#),
        ("DELETE", _) => Reply::status(200),
        ("PATCH", _) => Reply::json(200, "{}"),
        other => panic!("{other:?}"),
    })
    .await;
    let (client, _) = client_of(&server);
    for mailbox in [Mailbox::Queue("q1".parse().unwrap()), Mailbox::Group("g1".parse().unwrap())] {
        let page = client.list(&mailbox, 3, 500).await.unwrap();
        assert_eq!((page.messages[0].id.as_str(), page.total), ("m1", Some(1)));
    }
    let media = client.media(&message(), VoicemailFormat::OggOpus).await.unwrap();
    assert!(matches!(&media, VoicemailMedia::Ready(_)) && !format!("{media:?}").contains("pl4nted"));
    client.mark_read(&message()).await.unwrap();
    client.delete(&message()).await.unwrap();
    client.disconnect_callback(&"c1".parse().unwrap()).await.unwrap();
    assert_eq!(client.me().await.unwrap().id.as_str(), "u1");

    let heard = server.heard();
    let lines: Vec<String> =
        heard.iter().skip(1).map(|h| format!("{} {}?{} {}", h.method, h.path, h.query, h.body)).collect();
    assert_eq!(
        lines,
        [
            "GET /api/v2/voicemail/queues/q1/messages?pageSize=100&pageNumber=3 ",
            "GET /api/v2/voicemail/groups/g1/messages?pageSize=100&pageNumber=3 ",
            "GET /api/v2/voicemail/messages/m1/media?formatId=OGG_OPUS ",
            r#"PATCH /api/v2/voicemail/messages/m1? {"read":true}"#,
            "DELETE /api/v2/voicemail/messages/m1? ",
            r#"PATCH /api/v2/conversations/callbacks/c1? {"participants":[{"callbacks":[{"state":"disconnected"}]}],"state":"disconnected"}"#,
            "GET /api/v2/users/me? ",
        ]
    );
}

#[tokio::test]
async fn nothing_can_lead_to_the_path_that_deletes_everything() {
    for text in ["", " ", ".", "..", "/", "%2e", "%2f", "?", "#", "a/", "a/..", "a?b", "a#b", "\u{200b}"] {
        assert!(text.parse::<VoicemailId>().is_err(), "{text:?}");
        assert!(serde_json::from_value::<VoicemailId>(text.into()).is_err(), "{text:?}");
    }
    let server = serve(|_, _| Reply::status(200)).await;
    let (client, _) = client_of(&server);
    let page: crate::models::VoicemailPage =
        serde_json::from_str(r#"{"entities":[{"id":""},{"id":null},{},{"id":"."},{"id":"a/.."},{"id":"ok-1"}]}"#)
            .unwrap();
    for row in &page.messages {
        for outcome in [client.delete(&row.id).await, client.mark_read(&row.id).await] {
            assert_eq!(outcome.is_ok(), row.id.as_str() == "ok-1", "{outcome:?}");
        }
    }
    let sent: Vec<String> = server.heard().iter().skip(1).map(|h| format!("{} {}", h.method, h.path)).collect();
    assert_eq!(sent, ["DELETE /api/v2/voicemail/messages/ok-1", "PATCH /api/v2/voicemail/messages/ok-1"]);
}

#[tokio::test]
async fn media_that_is_not_ready_is_told_at_once() {
    for body in ["", "{}", r#"{"id":"m1"}"#] {
        let server = serve(move |_, _| Reply::json(202, body)).await;
        let (client, clock) = client_of(&server);
        let media = client.media(&message(), VoicemailFormat::default()).await.unwrap();
        assert!(matches!(media, VoicemailMedia::NotReady));
        assert_eq!((server.count("/media"), clock.waited()), (1, Duration::ZERO));
    }
    let server = serve(|_, _| Reply::json(200, r#"{"id":"m1"}"#)).await;
    let error = client_of(&server).0.media(&message(), VoicemailFormat::default()).await.unwrap_err();
    assert!(matches!(error, ApiError::Unreadable { .. }), "a 200 without a URL is no reason to wait: {error}");
}

#[tokio::test]
async fn refusals_are_told_with_their_code_and_a_message_that_is_gone_is_deleted() {
    let code = "voicemail.not.authorized.voicemail.message";
    let server = serve(move |_, _| Reply::json(403, &format!(r#"{{"code":"{code}","message":"m"}}"#))).await;
    let (client, _) = client_of(&server);
    let outcomes = [
        client.mark_read(&message()).await,
        client.delete(&message()).await,
        client.disconnect_callback(&"c1".parse().unwrap()).await,
        client.media(&message(), VoicemailFormat::Wav).await.map(drop),
        client.list(&Mailbox::Queue("q1".parse().unwrap()), 1, 25).await.map(drop),
        client.me().await.map(drop),
    ];
    for outcome in outcomes {
        assert!(matches!(&outcome, Err(ApiError::Forbidden { code: told, .. }) if told == code), "{outcome:?}");
    }
    assert_eq!(server.count("/api/"), 6, "a refusal is not asked again");

    let server = serve(|_, _| Reply::json(404, r#"{"code":"not.found"}"#)).await;
    let (client, _) = client_of(&server);
    client.delete(&message()).await.unwrap();
    assert!(matches!(client.mark_read(&message()).await, Err(ApiError::NotFound { .. })));
}

#[tokio::test]
async fn orders_are_repeated_since_doing_them_twice_is_harmless() {
    for fault in [Reply::Nothing, Reply::status(500), Reply::status(503)] {
        let server = serve(move |_, call| if call % 2 == 0 { fault.clone() } else { Reply::status(200) }).await;
        let (client, _) = client_of(&server);
        client.mark_read(&message()).await.unwrap();
        client.delete(&message()).await.unwrap();
        client.disconnect_callback(&"c1".parse().unwrap()).await.unwrap();
        assert_eq!(server.count("/api/"), 6);
    }
}

#[tokio::test]
async fn a_users_token_is_read_once_and_once_more_after_a_401() {
    let server = Server::start(|heard| {
        assert_ne!(heard.path, "/oauth/token");
        let known = heard.head.contains(&format!("authorization: bearer {TOKEN}-new"));
        if known { Reply::json(200, r#"{"id":"u1"}"#) } else { Reply::status(401) }
    })
    .await;
    let keeper = Arc::new(Keeper::default());
    let client = user_of(&server, keeper.clone());
    let calls = (0..20).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.me().await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    assert_eq!(keeper.counts(), (1, 1));
}

#[tokio::test]
async fn a_token_that_stays_refused_is_given_up_without_a_refresh() {
    let server = Server::start(|_| Reply::status(401)).await;
    let keeper = Arc::new(Keeper::default());
    let error = user_of(&server, keeper.clone()).me().await.unwrap_err();
    assert!(matches!(&error, ApiError::SignInRefused { reason } if reason.contains("callvault login")), "{error}");
    assert_eq!((keeper.counts(), server.heard().len()), ((1, 1), 2));
}

#[tokio::test]
async fn what_a_keeper_says_is_passed_on_and_never_printed() {
    struct Broken(bool);
    #[async_trait]
    impl AccessTokens for Broken {
        async fn current(&self) -> Result<SecretString, ApiError> {
            if self.0 {
                return Err(ApiError::SignInRefused { reason: "sign-in-needed".to_owned() });
            }
            Ok("pl4nted token\r\nx: y".to_owned().into())
        }
        async fn reread(&self) -> Result<SecretString, ApiError> {
            self.current().await
        }
    }
    let server = Server::start(|_| Reply::json(200, "{}")).await;
    let refused = user_of(&server, Arc::new(Broken(true))).me().await.unwrap_err();
    assert!(matches!(refused, ApiError::SignInRefused { .. }), "{refused}");
    let client = user_of(&server, Arc::new(Broken(false)));
    let error = client.me().await.unwrap_err();
    assert!(matches!(error, ApiError::Unavailable { .. }), "{error}");
    assert!(!all_words(&error).contains("pl4nted") && !format!("{client:?}").contains("pl4nted"));
    assert!(server.heard().is_empty());
}

#[tokio::test]
async fn a_download_carries_nothing_of_the_users_sign_in() {
    let server = Server::start(|_| Reply::json(200, "abc")).await;
    let client = user_of(&server, Arc::new(Keeper::default()));
    let media = client.download(&SignedUrl::new(format!("{}/m?sig=1", server.url()))).await.unwrap();
    assert_eq!(media.length, Some(3));
    assert!(!server.heard()[0].head.contains("authorization"));
}
