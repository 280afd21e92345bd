//! Voicemail: the messages of queues, groups and users, and what has become of them.
//!
//! Owns the only part of the org that grows and changes while the simulator runs. `seed` makes the messages of the
//! org's days, `event` tells of them as the event bus does. Who may do what is the endpoints' business.

pub(crate) mod event;
mod seed;

use std::collections::HashMap;
use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::chance::Chance;
use crate::lock;
use crate::media::{File, Format};
use crate::options::Options;
use crate::org::Org;

/// The formats of `formatId` that are generated here, the platform's default first.
pub(crate) const FORMATS: [(&str, Format); 5] = [
    ("WEBM", Format::VoiceWebm),
    ("WAV", Format::Wav),
    ("WAV_ULAW", Format::Ulaw),
    ("OGG_OPUS", Format::Ogg),
    ("MP3", Format::Mp3),
];

/// Whose message it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holder {
    Queue(String),
    Group(String),
    User(String),
}

/// One message.
#[derive(Debug, Clone)]
pub(crate) struct Voicemail {
    pub(crate) id: String,
    pub(crate) conversation: String,
    pub(crate) holder: Holder,
    /// When the caller hung up, which is when the event is sent.
    pub(crate) left: Timestamp,
    /// From when on it can be listed and read.
    pub(crate) listable: Timestamp,
    pub(crate) duration_ms: u64,
    /// About how many bytes its file has, in whatever format.
    size: u64,
    /// The signed-in user took part in the conversation, and so may modify the message.
    pub(crate) ours: bool,
    /// The first question for a file of it is answered 202.
    pub(crate) slow: bool,
    /// Deleted by somebody before anyone could list it.
    gone: bool,
    pub(crate) read: bool,
    pub(crate) deleted: Option<Timestamp>,
    pub(crate) callback_disconnected: bool,
}

impl Voicemail {
    /// Its file in the format of that name.
    pub(crate) fn file(&self, name: &str) -> Option<File> {
        let index = FORMATS.iter().position(|(known, _)| *known == name)?;
        Some(File { format: FORMATS[index].1, size: self.size, number: index as u32 })
    }

    /// Whether a perfect copy of the org would hold it.
    pub(crate) fn was_there(&self) -> bool {
        !self.gone
    }

    fn is_there(&self, now: Timestamp) -> bool {
        !self.gone && self.deleted.is_none() && self.listable <= now
    }
}

/// Messages to be left now. Without a holder the first queue gets them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NewVoicemails {
    /// The queue they are for.
    pub queue: Option<String>,
    /// The group they are for.
    pub group: Option<String>,
    /// The user they are for.
    pub user: Option<String>,
    /// How many, one millisecond apart. Default 1.
    pub count: Option<u32>,
    /// When the first was left. Default: the simulator's time.
    pub left_at: Option<Timestamp>,
    /// How long after that it can be listed. Default [`Options::voicemail_delay`].
    pub listable_after_seconds: Option<u32>,
    /// About how many bytes each has. Default: a few thousand.
    pub bytes: Option<u64>,
    /// Whether the user took part in the conversation, and so may mark the message as read. Default false.
    pub participant: bool,
    /// Whether the first question for its media is answered 202. Default false.
    pub slow_media: bool,
    /// Deleted before anyone can list it: there is only the event.
    pub gone: bool,
}

/// All messages of the org.
#[derive(Debug)]
pub(crate) struct Mailboxes(Mutex<State>);

#[derive(Debug)]
struct State {
    messages: Vec<Voicemail>,
    by_id: HashMap<String, usize>,
    by_conversation: HashMap<String, usize>,
    chance: Chance,
}

impl State {
    fn add(&mut self, message: Voicemail) {
        self.by_id.insert(message.id.clone(), self.messages.len());
        self.by_conversation.insert(message.conversation.clone(), self.messages.len());
        self.messages.push(message);
    }
}

impl Mailboxes {
    /// The messages that `options` describe.
    pub(crate) fn new(options: &Options, org: &Org) -> Self {
        let chance = Chance::new(options.seed, "voicemail left later");
        let mut state = State { messages: Vec::new(), by_id: HashMap::new(), by_conversation: HashMap::new(), chance };
        for message in seed::messages(options, org) {
            state.add(message);
        }
        Self(Mutex::new(state))
    }

    /// Leaves messages, and returns them.
    pub(crate) fn leave(
        &self,
        new: &NewVoicemails,
        holder: &Holder,
        now: Timestamp,
        delay: SignedDuration,
    ) -> Vec<Voicemail> {
        let state = &mut *lock(&self.0);
        let first = new.left_at.unwrap_or(now).as_millisecond();
        let delay = new.listable_after_seconds.map_or(delay, |seconds| SignedDuration::from_secs(seconds.into()));
        let mut left = Vec::new();
        for n in 0..new.count.unwrap_or(1) {
            let at = Timestamp::from_millisecond(first.saturating_add(n.into())).unwrap_or(now);
            let mut message = Voicemail::of(&mut state.chance, holder.clone(), at);
            message.listable = at.checked_add(delay).unwrap_or(Timestamp::MAX);
            message.size = new.bytes.unwrap_or(message.size);
            (message.ours, message.slow, message.gone) = (new.participant, new.slow_media, new.gone);
            left.push(message.clone());
            state.add(message);
        }
        left
    }

    /// What `holder` has at `now`, the newest or the oldest first.
    pub(crate) fn listed(&self, holder: &Holder, now: Timestamp, oldest_first: bool) -> Vec<Voicemail> {
        let state = lock(&self.0);
        let mut found: Vec<Voicemail> =
            state.messages.iter().filter(|m| m.holder == *holder && m.is_there(now)).cloned().collect();
        found.sort_by_key(|message| message.left); // stable: those of one moment as they came
        if !oldest_first {
            found.reverse();
        }
        found
    }

    /// The message of that id, if it is there at `now`.
    pub(crate) fn message(&self, id: &str, now: Timestamp) -> Option<Voicemail> {
        let state = lock(&self.0);
        state.by_id.get(id).map(|&index| &state.messages[index]).filter(|m| m.is_there(now)).cloned()
    }

    /// The message of that conversation, wherever it is: a callback outlives its message.
    pub(crate) fn of_conversation(&self, id: &str) -> Option<Voicemail> {
        let state = lock(&self.0);
        state.by_conversation.get(id).map(|&index| state.messages[index].clone())
    }

    /// Changes a message and returns it as it is then.
    pub(crate) fn change(&self, id: &str, change: impl FnOnce(&mut Voicemail)) -> Option<Voicemail> {
        let state = &mut *lock(&self.0);
        let index = *state.by_id.get(id)?;
        change(&mut state.messages[index]);
        Some(state.messages[index].clone())
    }

    /// Deletes everything that is there, but what other users have.
    pub(crate) fn delete_all(&self, user: &str, now: Timestamp) {
        for message in &mut lock(&self.0).messages {
            let theirs = matches!(&message.holder, Holder::User(other) if other != user);
            if message.is_there(now) && !theirs {
                message.deleted = Some(now);
            }
        }
    }

    /// Every message there ever was, in the order of their events.
    pub(crate) fn all(&self) -> Vec<Voicemail> {
        let mut all = lock(&self.0).messages.clone();
        all.sort_by_key(|message| message.left); // stable: those of one moment as they came
        all
    }
}

impl Voicemail {
    /// A message of a conversation of its own, with the chances of an ordinary one.
    fn of(chance: &mut Chance, holder: Holder, left: Timestamp) -> Self {
        Self {
            id: chance.uuid(),
            conversation: chance.uuid(),
            holder,
            left,
            listable: left,
            duration_ms: chance.between(2_000, 120_000),
            size: chance.between(1_500, 9_000),
            ours: false,
            slow: false,
            gone: false,
            read: false,
            deleted: None,
            callback_disconnected: false,
        }
    }
}
