//! Voicemail of an org in memory, behind the client's trait. Answers as genesys/api.md says, and knows no HTTP.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use callvault_pipeline::api::{
    ApiError, Mailbox, Media, MediaError, SignedUrl, VoicemailFormat, VoicemailMedia, Voicemails,
};
use callvault_pipeline::clock::Clock;
use callvault_pipeline::ids::{ConversationId, GroupId, VoicemailId};
use callvault_pipeline::models::{Me, VoicemailPage};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A message.
#[derive(Debug, Clone)]
pub struct FakeVoicemail {
    /// Its id.
    pub id: String,
    /// The conversation it was left in.
    pub conversation: String,
    /// Where it is listed.
    pub mailbox: Mailbox,
    /// When it was left.
    pub created: Timestamp,
    /// From when on it is there.
    pub listable: Timestamp,
    /// Its file.
    pub bytes: Bytes,
    /// So many questions for its media are answered "not ready" first.
    pub not_ready: u32,
    /// So many downloads break off in the middle first.
    pub cut: u32,
    /// So many URLs are refused first.
    pub refused: u32,
    /// Whether its media come without a length, and break off in the middle.
    pub endless: bool,
    /// Whether nobody may mark it as read or delete it.
    pub protected: bool,
    /// Whether it is marked as deleted, and listed all the same.
    pub marked_deleted: bool,
    /// Whether it was deleted.
    pub deleted: bool,
    /// Whether it was marked as read.
    pub read: bool,
    /// Whether its callback was disconnected.
    pub disconnected: bool,
}

impl FakeVoicemail {
    /// One of the queue `queue` that is there from when it was left.
    pub fn new(id: &str, created: &str) -> Self {
        let created = created.parse().unwrap();
        Self {
            id: id.to_owned(),
            conversation: format!("c-{id}"),
            mailbox: Mailbox::Queue("queue".parse().unwrap()),
            created,
            listable: created,
            bytes: format!("the sound of {id}").into(),
            not_ready: 0,
            cut: 0,
            refused: 0,
            endless: false,
            protected: false,
            marked_deleted: false,
            deleted: false,
            read: false,
            disconnected: false,
        }
    }
}

/// Told of each message right before it is deleted.
type Guard = Arc<dyn Fn(&FakeVoicemail) + Send + Sync>;

/// Voicemail behind the client's trait. Clones share everything.
#[derive(Clone)]
pub struct FakeMailboxes {
    messages: Arc<Mutex<Vec<FakeVoicemail>>>,
    clock: Arc<dyn Clock>,
    oldest_first: bool,
    groups: Vec<GroupId>,
    guard: Option<Guard>,
}

impl FakeMailboxes {
    /// These messages.
    pub fn new(messages: Vec<FakeVoicemail>, clock: Arc<dyn Clock>) -> Self {
        Self { messages: Arc::new(Mutex::new(messages)), clock, oldest_first: false, groups: Vec::new(), guard: None }
    }

    /// The same, whose listings begin with the oldest.
    pub fn oldest_first(self) -> Self {
        Self { oldest_first: true, ..self }
    }

    /// The same, whose user is in these groups.
    pub fn in_groups(self, groups: &[&str]) -> Self {
        Self { groups: groups.iter().map(|id| id.parse().unwrap()).collect(), ..self }
    }

    /// The same, which tells `guard` of each message before it is deleted.
    pub fn guarded(self, guard: impl Fn(&FakeVoicemail) + Send + Sync + 'static) -> Self {
        Self { guard: Some(Arc::new(guard)), ..self }
    }

    /// All messages, with what has become of them.
    pub fn messages(&self) -> Vec<FakeVoicemail> {
        self.all().clone()
    }

    /// Leaves another.
    pub fn leave(&self, message: FakeVoicemail) {
        self.all().push(message);
    }

    fn all(&self) -> MutexGuard<'_, Vec<FakeVoicemail>> {
        self.messages.lock().unwrap()
    }

    /// Changes a message that is there.
    fn with<T>(
        &self,
        operation: &'static str,
        id: &str,
        change: impl FnOnce(&mut FakeVoicemail) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let now = self.clock.now();
        let mut all = self.all();
        let found = all.iter_mut().find(|one| one.id == id && !one.deleted && one.listable <= now);
        change(found.ok_or_else(|| ApiError::NotFound { operation, code: "not.found".to_owned() })?)
    }
}

fn forbidden(operation: &'static str) -> ApiError {
    let code = "voicemail.not.authorized.voicemail.message".to_owned();
    ApiError::Forbidden { operation, code, permission: "of a participant" }
}

#[async_trait]
impl Voicemails for FakeMailboxes {
    async fn list(&self, mailbox: &Mailbox, number: u32, page_size: u32) -> Result<VoicemailPage, ApiError> {
        let now = self.clock.now();
        let all = self.all();
        let there = |one: &&FakeVoicemail| one.mailbox == *mailbox && !one.deleted && one.listable <= now;
        let mut rows: Vec<&FakeVoicemail> = all.iter().filter(there).collect();
        rows.sort_by_key(|one| one.created);
        if !self.oldest_first {
            rows.reverse();
        }
        let (size, total) = (page_size as usize, rows.len());
        let page = rows.iter().skip((number as usize - 1) * size).take(size);
        let entities: Vec<Value> = page
            .map(|one| {
                json!({ "id": one.id, "conversation": { "id": one.conversation }, "deleted": one.marked_deleted,
                    "createdDate": one.created.to_string(), "audioRecordingDurationSeconds": 12, "callerAddress": "tel:+13175550100" })
            })
            .collect();
        let pages = total.div_ceil(size).max(1);
        let answer = json!({ "entities": entities, "total": total, "pageCount": pages, "pageNumber": number });
        Ok(serde_json::from_str(&answer.to_string()).unwrap())
    }

    async fn media(&self, message: &VoicemailId, _: VoicemailFormat) -> Result<VoicemailMedia, ApiError> {
        self.with("read voicemail media", message.as_str(), |one| {
            if one.not_ready > 0 {
                one.not_ready -= 1;
                return Ok(VoicemailMedia::NotReady);
            }
            Ok(VoicemailMedia::Ready(SignedUrl::new(format!("https://media.test/{}", one.id))))
        })
    }

    async fn download(&self, url: &SignedUrl) -> Result<Media, MediaError> {
        let id = url.expose().trim_start_matches("https://media.test/");
        let mut all = self.all();
        let one = all.iter_mut().find(|one| one.id == id).unwrap();
        if one.refused > 0 {
            one.refused -= 1;
            return Err(MediaError::Expired { status: 403 });
        }
        let mut pieces: Vec<Result<Bytes, MediaError>> = vec![Ok(one.bytes.slice(..5)), Ok(one.bytes.slice(5..))];
        if one.cut > 0 {
            one.cut -= 1;
            pieces[1] = Err(MediaError::Interrupted { detail: "cut".to_owned() });
        }
        let content_type = Some("audio/webm".to_owned());
        let length = (!one.endless).then_some(one.bytes.len() as u64);
        if one.endless {
            // The connection breaks, and nobody can tell.
            pieces.truncate(1);
        }
        Ok(Media { content_type, length, has_provable_end: !one.endless, body: stream::iter(pieces).boxed() })
    }

    async fn mark_read(&self, message: &VoicemailId) -> Result<(), ApiError> {
        self.with("mark voicemail as read", message.as_str(), |one| {
            if one.protected {
                return Err(forbidden("mark voicemail as read"));
            }
            one.read = true;
            Ok(())
        })
    }

    async fn delete(&self, message: &VoicemailId) -> Result<(), ApiError> {
        let guard = self.guard.clone();
        let deleted = self.with("delete a voicemail", message.as_str(), |one| {
            if one.protected {
                return Err(forbidden("delete a voicemail"));
            }
            if let Some(guard) = guard {
                guard(one);
            }
            one.deleted = true;
            Ok(())
        });
        match deleted {
            Err(ApiError::NotFound { .. }) => Ok(()),
            deleted => deleted,
        }
    }

    async fn disconnect_callback(&self, conversation: &ConversationId) -> Result<(), ApiError> {
        let mut all = self.all();
        let found = all.iter_mut().find(|one| one.conversation == conversation.as_str());
        let missing = ApiError::NotFound { operation: "disconnect a callback", code: "not.found".to_owned() };
        found.ok_or(missing)?.disconnected = true;
        Ok(())
    }

    async fn me(&self) -> Result<Me, ApiError> {
        Ok(Me { id: "user".parse().unwrap(), state: None })
    }

    async fn groups(&self) -> Result<Vec<GroupId>, ApiError> {
        Ok(self.groups.clone())
    }
}
