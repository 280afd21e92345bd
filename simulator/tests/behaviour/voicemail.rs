//! Voicemail as a user meets it: listings, media, what can be done to a message, and the events.

use callvault_simulator::{Fault, FaultName, NewVoicemails, Options, TruthVoicemail};
use hyper::{Method, StatusCode};
use jiff::SignedDuration;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::client::{Client, Reply, options};

const MESSAGES: &str = "/api/v2/voicemail/messages";

/// A client of an org with one conversation a day, signed in as a user who may everything.
async fn user(options: Options) -> Client {
    let mut client = Client::start(options).await;
    client.become_user(&["voicemail", "conversations"]).await;
    client
}

impl Client {
    fn listing(&self) -> String {
        format!("/api/v2/voicemail/queues/{}/messages", self.simulator.queues()[0])
    }

    async fn patch(&self, path: &str, body: Value) -> Reply {
        self.send(Method::PATCH, path, body.to_string()).await.unwrap()
    }

    async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, "").await.unwrap()
    }

    fn leave(&self, new: NewVoicemails) -> TruthVoicemail {
        self.simulator.leave_voicemails(&new).remove(0)
    }

    fn truth_of(&self, message: &str) -> TruthVoicemail {
        self.simulator.truth().voicemails.into_iter().find(|v| v.message == message).unwrap()
    }
}

fn at_once() -> NewVoicemails {
    NewVoicemails { listable_after_seconds: Some(0), ..NewVoicemails::default() }
}

fn ids(page: &Value) -> Vec<String> {
    page["entities"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_thousand_are_paged_newest_first_with_one_on_page_40() {
    let client = user(options(1)).await;
    let early = client.leave(at_once());
    client.simulator.leave_voicemails(&NewVoicemails { count: Some(999), ..at_once() });
    client.simulator.advance(SignedDuration::from_secs(2));
    let path = client.listing();
    let first = client.get(&format!("{path}?pageSize=25&pageNumber=1")).await.json();
    assert_eq!((&first["total"], &first["pageSize"], &first["pageNumber"]), (&json!(1003), &json!(25), &json!(1)));
    assert_eq!(first["pageCount"], 41);
    assert_eq!(first["nextUri"], format!("{path}?pageSize=25&pageNumber=2"));
    assert!(first.get("previousUri").is_none());
    let fortieth = client.get(&format!("{path}?pageSize=25&pageNumber=40")).await.json();
    assert_eq!(ids(&fortieth)[24], early.message);
    let last = client.get(first["lastUri"].as_str().unwrap()).await.json();
    assert!(last.get("nextUri").is_none() && last["previousUri"].is_string());
    assert_eq!(ids(&last).len(), 3, "those of the day");
    assert_eq!(ids(&client.get(&format!("{path}?pageNumber=42")).await.json()), [""; 0]);
    for wrong in ["pageSize=0", "pageSize=101", "pageSize=x", "pageNumber=0"] {
        assert_eq!(client.get(&format!("{path}?{wrong}")).await.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    assert_eq!(client.get("/api/v2/voicemail/queues/none/messages").await.status, StatusCode::NOT_FOUND);

    let client = user(Options { voicemails_oldest_first: true, ..options(1) }).await;
    let late = client.leave(at_once());
    let page = client.get(&client.listing()).await.json();
    assert_eq!(ids(&page).pop(), Some(late.message));
}

#[tokio::test]
async fn groups_have_their_own_and_a_users_is_seen_by_nobody_else() {
    let client = user(options(1)).await;
    let group = client.simulator.groups()[0].clone();
    let page = client.get(&format!("/api/v2/voicemail/groups/{group}/messages")).await.json();
    assert_eq!(page["total"], 3);
    assert_eq!(page["entities"][0]["group"]["id"], group);
    let direct = client.simulator.truth().voicemails.into_iter().find(|v| v.user.is_some()).unwrap();
    for path in ["", "/media"] {
        let reply = client.get(&format!("{MESSAGES}/{}{path}", direct.message)).await;
        assert_eq!(reply.json()["code"], "voicemail.not.authorized.voicemail.message");
    }
    let me = client.get("/api/v2/users/me").await.json()["id"].as_str().unwrap().to_owned();
    let mine = client.leave(NewVoicemails { user: Some(me), ..at_once() });
    assert_eq!(ids(&client.get("/api/v2/voicemail/me/messages").await.json()), [mine.message.as_str()]);
    let some = client.get(&format!("{MESSAGES}?ids={},{}", mine.message, direct.message)).await.json();
    assert_eq!(ids(&some), [mine.message.as_str()]);
}

#[tokio::test]
async fn a_message_is_listable_only_some_time_after_its_event() {
    let client = user(options(1)).await;
    let late = client.leave(NewVoicemails::default());
    let gone = NewVoicemails { gone: true, ..at_once() };
    assert!(!client.simulator.leave_voicemails(&gone).is_empty());
    let events = client.simulator.voicemail_events();
    let event = &events[events.len() - 2];
    assert_eq!(event["detail"]["eventBody"]["conversationId"], late.conversation);
    assert_eq!(event["detail-type"], "v2.detail.events.conversation.{id}.voicemail.end");
    assert_eq!(late.listable_at.duration_since(late.left_at), SignedDuration::from_mins(3));
    assert_eq!(client.get(&format!("{MESSAGES}/{}", late.message)).await.status, StatusCode::NOT_FOUND);
    assert_eq!(client.get(&client.listing()).await.json()["total"], 3);
    client.simulator.set_now(late.listable_at);
    let page = client.get(&client.listing()).await.json();
    assert_eq!(
        (ids(&page)[0].as_str(), &page["total"]),
        (late.message.as_str(), &json!(4)),
        "the gone one is not there"
    );
    assert_eq!(client.simulator.truth().voicemails.len() + 1, client.simulator.voicemail_events().len());
}

#[tokio::test]
async fn events_name_the_queue_or_the_user_and_stay_the_same() {
    let client = user(options(60)).await;
    let (truth, events) = (client.simulator.truth().voicemails, client.get("/_sim/voicemail-events").await.json());
    assert_eq!(truth.len(), events.as_array().unwrap().len());
    assert_eq!(events, client.get("/_sim/voicemail-events").await.json());
    for (message, event) in truth.iter().zip(events.as_array().unwrap()) {
        let body = &event["detail"]["eventBody"];
        assert_eq!(body["conversationId"], message.conversation);
        assert_eq!(body.get("queueId").and_then(Value::as_str), message.queue.as_deref());
        assert_eq!(body.get("userId").and_then(Value::as_str), message.user.as_deref());
        assert_eq!(body["eventTime"], message.left_at.as_millisecond());
        assert!(event["source"].as_str().unwrap().starts_with("aws.partner/genesys.com/cloud/"));
        assert!(event.to_string().find(&message.message).is_none(), "there is no message id in an event");
    }
    let conversations = &client.simulator.truth().days[0].conversations;
    assert!(truth.iter().any(|message| conversations.contains(&message.conversation)), "the org's own are among them");
}

#[tokio::test]
async fn every_format_downloads_as_the_truth_says() {
    let client = user(options(1)).await;
    let message = client.leave(at_once());
    assert_eq!(message.formats["WEBM"].sha256, message.sha256);
    for (format, content_type) in [
        ("WEBM", "audio/webm"),
        ("WAV", "audio/wav"),
        ("WAV_ULAW", "audio/wav"),
        ("OGG_OPUS", "audio/ogg"),
        ("MP3", "audio/mpeg"),
    ] {
        let info = client.get(&format!("{MESSAGES}/{}/media?formatId={format}", message.message)).await.json();
        assert_eq!(info["id"], message.message);
        let url = info["mediaFileUri"].as_str().unwrap().strip_prefix(&client.simulator.url()).unwrap().to_owned();
        let file = client.get(&url).await;
        assert_eq!(file.headers["content-type"], content_type);
        let sum: String = Sha256::digest(&file.body).iter().map(|byte| format!("{byte:02x}")).collect();
        let truth = &message.formats[format];
        assert_eq!((file.body.len() as u64, &sum), (truth.bytes, &truth.sha256), "{format}");
        assert_eq!(client.get(&url.replace("Expires=1", "Expires=2")).await.status, StatusCode::FORBIDDEN);
    }
    let other = client.get(&format!("{MESSAGES}/{}/media?formatId=OGG_VORBIS", message.message)).await;
    assert_eq!(other.json()["code"], "invalid.value");
    let none = client.get(&format!("{MESSAGES}/{}/media?formatId=NONE", message.message)).await.json();
    assert!(none.get("mediaFileUri").is_none());
}

#[tokio::test]
async fn media_may_be_late_refused_or_cut() {
    let client = user(options(1)).await;
    let message = client.leave(NewVoicemails { slow_media: true, bytes: Some(100_000), ..at_once() });
    let path = format!("{MESSAGES}/{}/media", message.message);
    let first = client.get(&path).await;
    assert_eq!((first.status, first.body.len()), (StatusCode::ACCEPTED, 0));
    let second = client.get(&path).await;
    assert_eq!(second.status, StatusCode::OK);
    client.simulator.set_faults([Fault::new(FaultName::MediaNotReady).times(1)]);
    assert_eq!(client.get(&path).await.status, StatusCode::ACCEPTED);
    client.simulator.set_faults([
        Fault::new(FaultName::Forbidden).operation("voicemail-media").times(1),
        Fault::new(FaultName::CutBody).times(1),
    ]);
    assert_eq!(client.get(&path).await.json()["code"], "voicemail.not.authorized.voicemail.message");
    let url = second.json()["mediaFileUri"].as_str().unwrap().strip_prefix(&client.simulator.url()).unwrap().to_owned();
    assert!(client.send(Method::GET, &url, "").await.is_err());
    assert_eq!(client.get(&url).await.body.len() as u64, message.bytes);
    client.simulator.advance(SignedDuration::from_mins(61));
    assert_eq!(client.get(&url).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn read_delete_and_disconnect_change_the_source_and_show_in_the_truth() {
    let client = user(options(1)).await;
    let message = client.leave(NewVoicemails { participant: true, ..at_once() });
    let path = format!("{MESSAGES}/{}", message.message);
    assert_eq!(client.patch(&path, json!({ "read": true })).await.json()["read"], true);
    let callback = format!("/api/v2/conversations/callbacks/{}", message.conversation);
    let body = json!({ "state": "disconnected", "participants": [{ "callbacks": [{ "state": "disconnected" }] }] });
    assert_eq!(client.patch(&callback, json!({ "state": "alerting" })).await.status, StatusCode::BAD_REQUEST);
    for _ in 0..2 {
        assert_eq!(client.patch(&callback, body.clone()).await.json()["id"], message.conversation);
    }
    let gone = client.delete(&path).await;
    assert_eq!((gone.status, gone.body.len()), (StatusCode::OK, 0));
    assert_eq!(client.delete(&path).await.status, StatusCode::NOT_FOUND);
    let truth = client.truth_of(&message.message);
    assert!(truth.read && truth.deleted && truth.callback_disconnected);
    assert_eq!(truth.sha256, message.sha256, "a copy of it is still what it was");
    assert_eq!(client.simulator.requests().voicemail_delete_all, 0);
}

#[tokio::test]
async fn who_took_no_part_may_not_mark_and_who_may_not_delete_is_told() {
    let mut client = user(Options { user_permissions: vec!["voicemail:acdvoicemail:view".into()], ..options(1) }).await;
    let message = client.leave(at_once());
    let path = format!("{MESSAGES}/{}", message.message);
    let refused = client.patch(&path, json!({ "read": true })).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json()["code"]),
        (403, &json!("voicemail.not.authorized.voicemail.message"))
    );
    assert_eq!(client.delete(&path).await.json()["code"], "missing.any.permissions");
    let callback = format!("/api/v2/conversations/callbacks/{}", message.conversation);
    assert_eq!(
        client.patch(&callback, json!({ "state": "disconnected" })).await.json()["code"],
        "missing.any.permissions"
    );
    client.become_user(&["voicemail:readonly"]).await;
    assert_eq!(client.delete(&path).await.json()["code"], "not.authorized");
    let truth = client.truth_of(&message.message);
    assert!(!truth.read && !truth.deleted && !truth.callback_disconnected);
}

#[tokio::test]
async fn deleting_everything_works_and_is_counted() {
    let client = user(options(1)).await;
    for (path, count) in [(MESSAGES.to_owned(), 1), (format!("{MESSAGES}/"), 2)] {
        assert_eq!(client.delete(&path).await.status, StatusCode::OK);
        assert_eq!(client.simulator.requests().voicemail_delete_all, count);
        assert_eq!(client.simulator.requests().operations["voicemail-delete-all"], count);
    }
    assert_eq!(client.get(&client.listing()).await.json()["total"], 0);
    assert!(client.simulator.truth().voicemails.iter().all(|v| v.deleted || v.user.is_some()));
}

#[tokio::test]
async fn voicemail_is_left_over_http_too() {
    let client = user(options(1)).await;
    let group = client.get("/_sim/places").await.json()["groups"][1].clone();
    let left =
        client.post("/_sim/voicemails", json!({ "group": group, "count": 2, "listableAfterSeconds": 0 })).await.json();
    assert_eq!((&left["voicemails"][0]["group"], &left["voicemails"][1]["deleted"]), (&group, &json!(false)));
    assert_eq!(left["events"][1]["detail"]["eventBody"]["conversationId"], left["voicemails"][1]["conversation"]);
    for wrong in [json!({ "queue": "none" }), json!({ "queues": 1 }), json!({ "user": "a", "group": group })] {
        assert_eq!(client.post("/_sim/voicemails", wrong).await.status, StatusCode::BAD_REQUEST);
    }
    let plain = Client::start(Options { plain: true, ..options(1) }).await;
    assert!(plain.simulator.truth().voicemails.is_empty());
}
