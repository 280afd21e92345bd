//! Spending codes and refresh tokens: once, and told whether it can have happened.

use secrecy::{ExposeSecret as _, SecretString};

use super::*;

const REFRESH: &str = "pl4nted-r3fresh-t0ken";
const GOOD: &str = r#"{"access_token":"pl4nted-n3w-access","refresh_token":"pl4nted-n3w-refresh","token_type":"bearer","expires_in":172800}"#;

fn credentials() -> Credentials {
    Credentials { client_id: "demo".to_owned(), client_secret: SECRET.to_owned().into() }
}

fn sign_in_at(server: &Server, patience: Duration) -> UserSignIn {
    UserSignIn::new(Endpoints::of_base(&server.url()).unwrap(), Quick::new(), patience).unwrap()
}

async fn refresh_at(server: &Server, patience: Duration) -> Result<TokenPair, ExchangeError> {
    let refresh = SecretString::from(REFRESH);
    sign_in_at(server, patience).exchange_refresh(&credentials(), &refresh, None).await
}

fn code() -> AuthorizationCode {
    AuthorizationCode {
        code: "pl4nted-c0de".into(),
        redirect_uri: "http://127.0.0.1:8400/callback".to_owned(),
        verifier: Some("pl4nted-v3rifier".into()),
    }
}

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn both_grants_send_what_is_documented_and_read_the_pair() {
    let server = Server::start(|_| Reply::json(200, GOOD)).await;
    let pair = refresh_at(&server, PATIENCE).await.unwrap();
    assert_eq!(pair.access.expose_secret(), "pl4nted-n3w-access");
    assert_eq!(pair.refresh.expose_secret(), "pl4nted-n3w-refresh");
    assert_eq!(pair.expires_in, Duration::from_secs(172_800));
    let sign_in = sign_in_at(&server, PATIENCE);
    let other = sign_in.exchange_code(&credentials(), &code(), None).await.unwrap();
    let bare = AuthorizationCode { verifier: None, ..code() };
    sign_in.exchange_code(&credentials(), &bare, None).await.unwrap();
    let words = format!("{pair:?} {other:?} {sign_in:?} {:?}", code());
    assert!(!words.contains("pl4nted"), "{words}");

    let heard = server.heard();
    let redirect = "redirect_uri=http%3A%2F%2F127.0.0.1%3A8400%2Fcallback";
    let bodies: Vec<&str> = heard.iter().map(|heard| heard.body.as_str()).collect();
    assert_eq!(
        bodies,
        [
            format!("grant_type=refresh_token&refresh_token={REFRESH}"),
            format!("grant_type=authorization_code&code=pl4nted-c0de&{redirect}&code_verifier=pl4nted-v3rifier"),
            format!("grant_type=authorization_code&code=pl4nted-c0de&{redirect}"),
        ]
    );
    assert!(heard.iter().all(|h| h.method == "POST" && h.path == "/oauth/token"));
    assert!(heard.iter().all(|h| h.head.contains("authorization: basic ")));
}

#[tokio::test]
async fn a_refresh_that_names_no_successor_keeps_its_token_and_a_code_needs_one() {
    let server = Server::start(|_| Reply::json(200, r#"{"access_token":"a","expires_in":300}"#)).await;
    assert_eq!(refresh_at(&server, PATIENCE).await.unwrap().refresh.expose_secret(), REFRESH);
    let error = sign_in_at(&server, PATIENCE).exchange_code(&credentials(), &code(), None).await.unwrap_err();
    assert!(matches!(error, ExchangeError::Unreadable { .. }), "{error}");
}

#[tokio::test]
async fn whatever_happens_it_is_sent_once_and_told_apart() {
    let json = |status, body: &str| Reply::json(status, body);
    for (reply, told) in [
        (Reply::status(429).with("retry-after: 7"), "exchange-not-taken"),
        (Reply::status(408), "exchange-not-taken"),
        (Reply::Nothing, "exchange-outcome-unknown"),
        (Reply::Silence, "exchange-outcome-unknown"),
        (Reply::Stall, "exchange-outcome-unknown"),
        (Reply::Cut(200, GOOD.to_owned()), "exchange-outcome-unknown"),
        (json(200, &GOOD[..40]), "exchange-outcome-unknown"),
        (Reply::status(500), "exchange-outcome-unknown"),
        (Reply::status(502), "exchange-outcome-unknown"),
        (Reply::status(503).with("retry-after: 1"), "exchange-outcome-unknown"),
        (json(400, r#"{"error":"invalid_grant"}"#), "grant-refused"),
        (json(400, r#"{"error":"invalid_client"}"#), "client-refused"),
        (json(401, r#"{"error":"invalid_client"}"#), "client-refused"),
        (json(400, r#"{"error":"unsupported_grant_type"}"#), "exchange-refused"),
        (Reply::status(401), "exchange-refused"),
        (json(403, "<html>"), "exchange-refused"),
        (Reply::status(302).with("location: /elsewhere"), "exchange-refused"),
        (json(200, "{}"), "exchange-unreadable"),
        (json(200, r#"{"access_token":"a","refresh_token":7}"#), "exchange-unreadable"),
        (json(200, r#"{"access_token":"a","refresh_token":"b c"}"#), "exchange-unreadable"),
        (json(200, r#"{"access_token":"","refresh_token":"b"}"#), "exchange-unreadable"),
    ] {
        let answer = reply.clone();
        let server = Server::start(move |_| answer.clone()).await;
        let patience =
            if matches!(reply, Reply::Silence | Reply::Stall) { Duration::from_millis(300) } else { PATIENCE };
        let error = refresh_at(&server, patience).await.unwrap_err();
        assert_eq!((error.code(), server.heard().len()), (told, 1), "{reply:?}: {error}");
    }
}

#[tokio::test]
async fn what_was_not_sent_is_known_to_be_unspent() {
    let server = Server::start(|_| Reply::json(200, GOOD)).await;
    let sign_in = sign_in_at(&server, PATIENCE);
    let past = Some("2026-01-15T10:00:00Z".parse().unwrap());
    let refresh = SecretString::from(REFRESH);
    let late = sign_in.exchange_refresh(&credentials(), &refresh, past).await.unwrap_err();
    assert!(matches!(late, ExchangeError::NotTaken { .. }), "{late}");
    assert!(server.heard().is_empty());
    drop(server);
    tokio::task::yield_now().await;
    let nobody = sign_in.exchange_refresh(&credentials(), &refresh, None).await.unwrap_err();
    assert!(matches!(nobody, ExchangeError::NotTaken { .. }), "{nobody}");
}

#[tokio::test]
async fn a_pause_that_was_asked_for_is_passed_on() {
    let server = Server::start(|_| Reply::status(429).with("retry-after: 7")).await;
    let error = refresh_at(&server, PATIENCE).await.unwrap_err();
    assert!(matches!(error, ExchangeError::NotTaken { wait, .. } if wait == Duration::from_secs(7)), "{error}");
}

#[tokio::test]
async fn no_refusal_repeats_what_was_sent() {
    let echo = |heard: &Heard| {
        let word = heard.body.rsplit('=').next().unwrap().to_owned();
        Reply::json(400, &format!(r#"{{"error":"{word}","description":"{} {SECRET}"}}"#, heard.body))
    };
    let server = Server::start(echo).await;
    let refused = refresh_at(&server, PATIENCE).await.unwrap_err();
    let code = sign_in_at(&server, PATIENCE).exchange_code(&credentials(), &code(), None).await.unwrap_err();
    for error in [refused, code] {
        assert_eq!(error, ExchangeError::Refused { reason: Refusal::Other("status 400".to_owned()) });
        assert!(!all_words(&error).contains("pl4nted"));
    }
    let body = format!(r#"{{"access_token":"{TOKEN}\n","refresh_token":"{REFRESH}"}}"#);
    let server = Server::start(move |_| Reply::json(200, &body)).await;
    let error = refresh_at(&server, PATIENCE).await.unwrap_err();
    assert!(matches!(error, ExchangeError::Unreadable { .. }) && !all_words(&error).contains("pl4nted"), "{error}");
}
