//! The voicemail operations: what each asks for and how its answer is read.
//!
//! Paths and fields are those of api.md, "Voicemail". Every path that is sent a `DELETE` names one message: see [`named`].

use async_trait::async_trait;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::GenesysClient;
use super::operations::{question, read};
use super::send::{Expected, Operation};
use crate::api::{
    ApiError, Mailbox, Media, MediaError, Recordings as _, SignedUrl, VoicemailFormat, VoicemailMedia, Voicemails,
};
use crate::ids::{ConversationId, GroupId, VoicemailId};
use crate::models::{Me, VoicemailPage};

const VIEW: &str = "voicemail:acdvoicemail:view";

static LIST: Operation = question("list voicemail", VIEW);
static MEDIA: Operation = Operation { expected: Expected::JsonOrNotReady, ..question("read voicemail media", VIEW) };
/// The platform wants more than a permission here: for a queue's message, a part in the conversation.
static MARK_READ: Operation =
    Operation { expected: Expected::Nothing, ..question("mark voicemail as read", "of a participant") };
static DELETE: Operation =
    Operation { expected: Expected::Nothing, ..question("delete a voicemail", "voicemail:acdvoicemail:delete") };
static DISCONNECT: Operation = Operation {
    expected: Expected::Nothing,
    ..question("disconnect a callback", "conversation:communication:disconnect")
};
static ME: Operation = question("read the signed-in user", "of a user");
static GROUPS: Operation = question("read the groups of the signed-in user", "of a user");

/// Path of one message. There is none for an id that stands for an unreadable one, and none without an id: the path
/// that ends before it is that of every message the user has.
fn named<'p>(operation: &'static Operation, message: &'p VoicemailId) -> Result<[&'p str; 5], ApiError> {
    let id = message.as_str();
    if id.is_empty() || message.is_stand_in() {
        return Err(ApiError::Refused {
            operation: operation.words,
            status: 0,
            code: "not sent".to_owned(),
            message: "the message has no readable id".to_owned(),
        });
    }
    Ok(["api", "v2", "voicemail", "messages", id])
}

#[async_trait]
impl Voicemails for GenesysClient {
    async fn list(&self, mailbox: &Mailbox, number: u32, page_size: u32) -> Result<VoicemailPage, ApiError> {
        let (kind, id) = match mailbox {
            Mailbox::Queue(id) => ("queues", id.as_str()),
            Mailbox::Group(id) => ("groups", id.as_str()),
        };
        let (size, number) = (page_size.clamp(1, 100).to_string(), number.max(1).to_string());
        let query = [("pageSize", size.as_str()), ("pageNumber", number.as_str())];
        read(&LIST, &self.get(&LIST, &["api", "v2", "voicemail", kind, id, "messages"], &query).await?)
    }

    async fn media(&self, message: &VoicemailId, format: VoicemailFormat) -> Result<VoicemailMedia, ApiError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Info {
            media_file_uri: String,
        }
        let [api, version, voicemail, messages, id] = named(&MEDIA, message)?;
        let path = [api, version, voicemail, messages, id, "media"];
        let answer = self.get(&MEDIA, &path, &[("formatId", format.word())]).await?;
        if answer.body.is_empty() {
            return Ok(VoicemailMedia::NotReady);
        }
        Ok(VoicemailMedia::Ready(SignedUrl::new(read::<Info>(&MEDIA, &answer)?.media_file_uri)))
    }

    async fn download(&self, url: &SignedUrl) -> Result<Media, MediaError> {
        self.open(url).await
    }

    async fn mark_read(&self, message: &VoicemailId) -> Result<(), ApiError> {
        let body = json!({ "read": true });
        self.send_json(&MARK_READ, Method::PATCH, &named(&MARK_READ, message)?, &body).await.map(drop)
    }

    async fn delete(&self, message: &VoicemailId) -> Result<(), ApiError> {
        match self.send_bare(&DELETE, Method::DELETE, &named(&DELETE, message)?).await {
            // Somebody did it, perhaps our own first attempt.
            Ok(_) | Err(ApiError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn disconnect_callback(&self, conversation: &ConversationId) -> Result<(), ApiError> {
        let body = json!({
            "state": "disconnected",
            "participants": [{ "callbacks": [{ "state": "disconnected" }] }],
        });
        let path = ["api", "v2", "conversations", "callbacks", conversation.as_str()];
        self.send_json(&DISCONNECT, Method::PATCH, &path, &body).await.map(drop)
    }

    async fn me(&self) -> Result<Me, ApiError> {
        read(&ME, &self.get(&ME, &["api", "v2", "users", "me"], &[]).await?)
    }

    async fn groups(&self) -> Result<Vec<GroupId>, ApiError> {
        let answer = self.get(&GROUPS, &["api", "v2", "users", "me"], &[("expand", "groups")]).await?;
        let me: serde_json::Value = read(&GROUPS, &answer)?;
        let groups = me.get("groups").and_then(serde_json::Value::as_array).into_iter().flatten();
        Ok(groups.filter_map(|group| group.get("id")?.as_str()?.parse().ok()).collect())
    }
}
