//! Signing in as a user: the page, codes, refresh tokens that work once, and what a user may.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use callvault_simulator::{Fault, FaultName, Options};
use hyper::{Method, StatusCode};
use jiff::SignedDuration;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::client::{Client, Reply, options};

const BACK: &str = "http://127.0.0.1:8400/callback";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn request(extra: &str) -> String {
    format!(
        "response_type=code&client_id=demo&redirect_uri=http%3A%2F%2F127.0.0.1%3A8400%2Fcallback&state=s%20%261{extra}"
    )
}

fn challenge() -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER.as_bytes()));
    format!("&code_challenge={challenge}&code_challenge_method=S256")
}

impl Client {
    async fn allow(&self, request: &str, decision: &str) -> Reply {
        let form = format!("{request}&user=ann%40example.com&decision={decision}");
        self.send(Method::POST, "/oauth/authorize", form).await.unwrap()
    }

    /// The code that the page gives for `request`.
    async fn code(&self, request: &str) -> String {
        let reply = self.allow(request, "allow").await;
        let target = reply.headers["location"].to_str().unwrap().to_owned();
        target.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned()
    }

    async fn token(&mut self, id: &str, secret: &str, form: &str) -> Reply {
        self.authorization = Some(format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))));
        self.send(Method::POST, "/oauth/token", form.to_owned()).await.unwrap()
    }

    async fn redeem(&mut self, code: &str, extra: &str) -> Reply {
        self.token("demo", "demo", &format!("grant_type=authorization_code&code={code}&redirect_uri={BACK}{extra}"))
            .await
    }

    async fn refresh(&mut self, token: &str) -> Reply {
        self.token("demo", "demo", &format!("grant_type=refresh_token&refresh_token={token}")).await
    }

    /// Goes on as a user with these scopes.
    pub(crate) async fn become_user(&mut self, scopes: &[&str]) {
        let pair = self.post("/_sim/grants", json!({ "scopes": scopes })).await.json();
        self.authorization = Some(format!("Bearer {}", text(&pair, "access_token")));
    }
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap().to_owned()
}

fn refusal(reply: &Reply) -> (u16, String) {
    (reply.status.as_u16(), text(&reply.json(), "error"))
}

#[tokio::test]
async fn the_page_asks_and_sends_back_what_was_decided() {
    let client = Client::start(options(1)).await;
    let page = client.get(&format!("/oauth/authorize?{}&scope=voicemail", request(&challenge()))).await;
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let html = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(html.contains("value=\"s &amp;1\"") && html.contains("name=\"user\"") && !html.contains("<script"));
    for word in ["Allow", "Deny", "name=\"code_challenge\"", "name=\"scope\""] {
        assert!(html.contains(word), "{word}");
    }
    let denied = client.allow(&request(""), "deny").await;
    assert_eq!(denied.status, StatusCode::FOUND);
    assert_eq!(denied.headers["location"], format!("{BACK}?error=access_denied&state=s%20%261"));
    let allowed = client.allow(&request(""), "allow").await;
    let target = allowed.headers["location"].to_str().unwrap();
    assert!(target.starts_with(&format!("{BACK}?code=")) && target.ends_with("&state=s%20%261"), "{target}");
    assert_eq!(client.simulator.requests().operations["authorize"], 3);
}

#[tokio::test]
async fn a_wrong_client_or_redirect_ends_on_a_page_and_other_mistakes_go_back() {
    let client = Client::start(options(1)).await;
    for wrong in [
        request("").replace("client_id=demo", "client_id=nobody"),
        request("").replace("127.0.0.1", "evil.example"),
        request("").replace("redirect_uri", "other"),
    ] {
        for reply in [client.get(&format!("/oauth/authorize?{wrong}")).await, client.allow(&wrong, "allow").await] {
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{wrong}");
            assert!(!reply.headers.contains_key("location"));
        }
    }
    for (mistake, word) in [
        (request("").replace("response_type=code", "response_type=token"), "unsupported_response_type"),
        (request("&scope=everything"), "invalid_scope"),
        (request("&code_challenge=abc&code_challenge_method=plain"), "invalid_request"),
    ] {
        let reply = client.get(&format!("/oauth/authorize?{mistake}")).await;
        assert_eq!(reply.headers["location"], format!("{BACK}?error={word}&state=s%20%261"));
    }
}

#[tokio::test]
async fn a_code_is_good_once_for_its_client_its_redirect_and_its_verifier() {
    let mut client = Client::start(options(1)).await;
    let verifier = format!("&code_verifier={VERIFIER}");
    let code = client.code(&request(&challenge())).await;
    let pair = client.redeem(&code, &verifier).await.json();
    assert_eq!((text(&pair, "token_type").as_str(), &pair["expires_in"]), ("bearer", &json!(86_400)));
    let dead = (400, "invalid_grant".to_owned());
    assert_eq!(refusal(&client.redeem(&code, &verifier).await), dead, "a second time");

    for wrong in ["", "&code_verifier=wrong"] {
        let code = client.code(&request(&challenge())).await;
        assert_eq!(refusal(&client.redeem(&code, wrong).await), dead, "{wrong}");
        assert_eq!(refusal(&client.redeem(&code, &verifier).await), dead, "it was spent by the wrong attempt");
    }
    let code = client.code(&request("")).await;
    assert_eq!(refusal(&client.redeem(&code, &verifier).await), dead, "a verifier without a challenge");
    let code = client.code(&request("")).await;
    let form = format!("grant_type=authorization_code&code={code}&redirect_uri={BACK}");
    assert_eq!(refusal(&client.token("other", "other", &form).await), dead, "another client");
    let code = client.code(&request("")).await;
    assert_eq!(refusal(&client.redeem(&code, "x").await), dead, "another redirect URI");
    let code = client.code(&request("")).await;
    client.simulator.advance(SignedDuration::from_mins(5));
    assert_eq!(refusal(&client.redeem(&code, "").await), dead, "too late");
    assert_eq!(client.simulator.requests().operations["token-code"], 10);
}

#[tokio::test]
async fn a_refresh_token_works_once_and_the_old_access_token_until_it_expires() {
    let mut client = Client::start(options(1)).await;
    let first = client.simulator.grant();
    let second = client.refresh(&text(&first, "refresh_token")).await.json();
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_eq!(refusal(&client.refresh(&text(&first, "refresh_token")).await), (400, "invalid_grant".into()));
    assert_eq!(client.simulator.unspent_refresh_tokens(), [text(&second, "refresh_token")]);
    for pair in [&first, &second] {
        client.authorization = Some(format!("Bearer {}", text(pair, "access_token")));
        assert_eq!(client.get("/api/v2/users/me").await.status, StatusCode::OK);
    }
    client.simulator.advance(SignedDuration::from_hours(24));
    assert_eq!(client.get("/api/v2/users/me").await.json()["code"], "bad.credentials");
    assert_eq!(client.refresh(&text(&second, "refresh_token")).await.status, StatusCode::OK, "it outlives them");

    let form = format!("grant_type=refresh_token&refresh_token={}", client.simulator.unspent_refresh_tokens()[0]);
    assert_eq!(refusal(&client.token("nobody", "x", &form).await), (400, "invalid_client".into()));
    assert_eq!(refusal(&client.token("demo", "wrong", &form).await), (401, "invalid_client".into()));
    assert_eq!(refusal(&client.token("other", "other", &form).await), (400, "invalid_grant".into()));
    assert_eq!(client.token("demo", "demo", &form).await.status, StatusCode::OK, "no refusal spent it");
}

#[tokio::test]
async fn a_refresh_whose_answer_is_lost_is_spent_unless_there_is_a_grace() {
    for (grace, status) in [(0, StatusCode::BAD_REQUEST), (60, StatusCode::OK)] {
        let mut client = Client::start(Options { refresh_grace: Duration::from_secs(grace), ..options(1) }).await;
        let token = text(&client.simulator.grant(), "refresh_token");
        client.simulator.set_faults([Fault::new(FaultName::Dropped).operation("token-refresh").calls(&[1])]);
        let form = format!("grant_type=refresh_token&refresh_token={token}");
        client.authorization = Some(format!("Basic {}", STANDARD.encode("demo:demo")));
        assert!(client.send(Method::POST, "/oauth/token", form).await.is_err());
        assert_eq!(client.refresh(&token).await.status, status);
        client.simulator.advance(SignedDuration::from_secs(60));
        assert_eq!(client.refresh(&token).await.status, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn what_a_user_may_depends_on_context_scope_and_permission() {
    let mut client = Client::start(Options { user_permissions: Vec::new(), ..options(1) }).await;
    let list = format!("/api/v2/voicemail/queues/{}/messages", client.simulator.queues()[0]);
    for path in ["/api/v2/users/me", list.as_str(), "/api/v2/voicemail/messages/x", "/api/v2/voicemail/search"] {
        let reply = client.get(path).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["code"]), (400, &json!("not.a.user")), "{path}");
    }
    client.become_user(&["conversations"]).await;
    let me = client.get("/api/v2/users/me").await.json();
    assert_eq!((&me["email"], &me["state"]), (&json!("voicemail@example.com"), &json!("active")));
    assert!(me.get("authorization").is_none());
    let me = client.get("/api/v2/users/me?expand=authorization").await.json();
    assert_eq!(me["authorization"]["permissions"], json!([]));
    assert_eq!(client.get(&list).await.json()["code"], "not.authorized", "the scope");
    client.become_user(&["voicemail:readonly"]).await;
    let refused = client.get(&list).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (403, &json!("missing.any.permissions")));
    assert!(text(&refused.json(), "message").contains("voicemail:acdvoicemail:view"));
    let callback = "/api/v2/conversations/callbacks/x";
    let body = json!({ "state": "disconnected" }).to_string();
    let reply = client.send(Method::PATCH, callback, body).await.unwrap();
    assert_eq!(reply.json()["code"], "not.authorized");
}

/// What a client lacks is told before anything else is looked at.
#[tokio::test]
async fn a_client_can_be_refused_what_an_export_asks_for() {
    let client = Client::start(options(1)).await;
    let forbidden = |operation: &str| [Fault::new(FaultName::Forbidden).operation(operation)];
    client.simulator.set_faults(forbidden("recordingmetadata"));
    let refused = client.get("/api/v2/conversations/x/recordingmetadata").await;
    assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (403, &json!("missing.any.permissions")));
    assert!(text(&refused.json(), "message").contains("recording:recording:view"));
    client.simulator.set_faults(forbidden("batch-submit"));
    let path = "/api/v2/recording/batchrequests";
    let empty = || json!({ "batchDownloadRequestList": [] }).to_string();
    let refused = client.send(Method::POST, path, empty()).await.unwrap();
    assert_eq!(refused.json()["code"], "missing.any.permissions");
    client.simulator.set_faults([]);
    let refused = client.send(Method::POST, path, empty()).await.unwrap();
    assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (400, &json!("batch.download.bad.request")));
}
