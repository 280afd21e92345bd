use async_trait::async_trait;
use http::header::{CONTENT_TYPE, RETRY_AFTER};

use super::*;
use crate::call::{Call, State};
use crate::event::CallId;
use crate::memory::MemoryCalls;
use crate::store::{Page, Rebuilt, StoreError, StoredEvent};

const SECRET: &str = "planted-0123456789abcdef";
const EVENT: &str = r#"{"type":"call.new","call_id":"1.1","timestamp":"2017-01-01T00:00:00Z"}"#;

/// Fails at everything.
struct Broken(fn() -> StoreError);

#[async_trait]
impl CallStore for Broken {
    async fn append(&self, _: NewEvent, _: Timestamp) -> Result<Appended, StoreError> {
        Err(self.0())
    }
    async fn calls(&self, _: Option<State>, _: Page, _: usize) -> Result<Vec<Call>, StoreError> {
        Err(self.0())
    }
    async fn call(&self, _: &CallId) -> Result<Option<Call>, StoreError> {
        Err(self.0())
    }
    async fn events(&self, _: Option<&CallId>, _: u64, _: usize) -> Result<Vec<StoredEvent>, StoreError> {
        Err(self.0())
    }
    async fn rebuild(&self) -> Result<Rebuilt, StoreError> {
        Err(self.0())
    }
}

fn webhook(store: impl CallStore + 'static) -> Webhook {
    Webhook::new(Gate::new(SECRET.into()), Arc::new(store))
}

async fn post(webhook: &Webhook, path: &str, body: impl Into<Bytes>) -> Response<Bytes> {
    let request = Request::post(path).body(body.into()).unwrap();
    webhook.answer(&request, Timestamp::UNIX_EPOCH).await
}

fn code(response: &Response<Bytes>) -> String {
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    let problem: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(problem["status"], response.status().as_u16());
    assert!(!problem.to_string().contains("planted"), "{problem}");
    problem["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_event_is_answered_ok_and_again() {
    let webhook = webhook(MemoryCalls::new());
    let unknown = r#"{"type":"call.teleported"}"#;
    for body in [EVENT, EVENT, unknown, unknown, "\n{\"type\":\"odd\"}\n"] {
        let response = post(&webhook, &format!("/webhook/{SECRET}"), body).await;
        assert_eq!((response.status().as_u16(), &response.body()[..]), (200, &br#"{"status":"ok"}"#[..]), "{body}");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    }
}

#[tokio::test]
async fn only_the_secret_opens_it() {
    let webhook = webhook(MemoryCalls::new());
    for path in ["/webhook", "/webhook/", "/webhook/x", "/webhook/planted-0123456789abcdef/", "/webhook//planted"] {
        let response = post(&webhook, path, EVENT).await;
        assert_eq!((response.status().as_u16(), code(&response).as_str()), (401, "unauthorized"), "{path}");
        assert!(response.headers().contains_key(WWW_AUTHENTICATE));
    }
    for path in ["/webhook", "/webhook/"] {
        let header = format!("Bearer {SECRET}");
        let request = Request::post(path).header("authorization", header).body(EVENT.into()).unwrap();
        assert_eq!(webhook.answer(&request, Timestamp::UNIX_EPOCH).await.status(), 200);
    }
    let request = Request::get(format!("/webhook/{SECRET}")).body(Bytes::new()).unwrap();
    let response = webhook.answer(&request, Timestamp::UNIX_EPOCH).await;
    assert_eq!(
        (code(&response).as_str(), &response.headers()[ALLOW]),
        ("method-not-allowed", &"POST".parse().unwrap())
    );
    assert!(
        is_path("/webhook")
            && is_path("/webhook/x")
            && !is_path("/webhooks")
            && !is_path("/")
            && !is_path("/x/webhook")
    );
}

#[tokio::test]
async fn what_is_malformed_is_the_senders_to_change() {
    let webhook = webhook(MemoryCalls::new());
    let deep = "[".repeat(100_000);
    let long = " ".repeat(MOST_BYTES);
    for (body, status, expected) in [
        ("", 400, "body-malformed"),
        ("{", 400, "body-malformed"),
        ("[]", 400, "body-malformed"),
        (&*format!(r#"{{"type":"odd","x":{deep}"#), 400, "body-malformed"),
        (r#"{"type":7}"#, 400, "event-malformed"),
        (r#"{"type":"call.new","call_id":7}"#, 400, "event-malformed"),
        (&*format!("{long}{EVENT}"), 413, "body-too-large"),
    ] {
        let response = post(&webhook, &format!("/webhook/{SECRET}"), body.to_owned()).await;
        assert_eq!((response.status().as_u16(), code(&response).as_str()), (status, expected));
    }
    let room = MOST_BYTES - EVENT.len();
    let response = post(&webhook, &format!("/webhook/{SECRET}"), format!("{}{EVENT}", " ".repeat(room))).await;
    assert_eq!(response.status(), 200, "a body of exactly the most bytes");
}

#[tokio::test]
async fn trouble_with_the_store_is_not_the_senders_and_is_not_told() {
    for (error, status, expected, again) in [
        ((|| StoreError::Full) as fn() -> StoreError, 503, "calls-full", true),
        (|| StoreError::Unusable { detail: "planted".to_owned() }, 503, "calls-unusable", true),
        (|| StoreError::Unreadable { id: 7, detail: "planted".to_owned() }, 503, "calls-unreadable", true),
        (|| StoreError::TooLarge { most_bytes: 300_000 }, 413, "event-too-large", false),
    ] {
        let response = post(&webhook(Broken(error)), &format!("/webhook/{SECRET}"), EVENT).await;
        assert_eq!((response.status().as_u16(), code(&response).as_str()), (status, expected));
        assert_eq!(response.headers().contains_key(RETRY_AFTER), again, "{expected}");
    }
}
