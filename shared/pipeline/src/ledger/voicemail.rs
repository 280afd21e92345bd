//! What the rows about voicemail are made of. The words here are stored: renaming one is a migration.
//!
//! An event says that voicemail was left in a conversation, and not which message: so there is a row for what was said
//! (a notice) and one for each message that was found. Neither takes part in a day's counts, closing or markers: a
//! voicemail arrives by its event, at any time, whether or not its day is exported. Its day only says where it goes in
//! the archive.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::row::{Fact, Row, StoredObject};
use crate::api::Mailbox;
use crate::day::Day;
use crate::ids::{ConversationId, GroupId, QueueId, UserId, VoicemailId};
use crate::reason::Reason;

/// A voicemail as one event announced it. A conversation may have several: one for each leg that ended in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leg {
    /// What tells this leg from others of the conversation: the source's session, or participant.
    pub id: String,
    /// The queue it was left for.
    pub queue: Option<QueueId>,
    /// The group it was left for, where the event names one.
    pub group: Option<GroupId>,
    /// The user it was left for.
    pub user: Option<UserId>,
    /// When it ended.
    pub at: Timestamp,
}

impl Leg {
    /// Whether it was left for one user, whom alone it can be read by.
    pub fn is_direct(&self) -> bool {
        self.user.is_some() && self.queue.is_none() && self.group.is_none()
    }
}

/// That voicemail was left in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The conversation.
    pub conversation: ConversationId,
    /// The day of the event.
    pub day: Day,
    /// What was announced.
    pub leg: Leg,
}

/// Where a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeState {
    /// Its messages are looked for.
    Waiting,
    /// Each has a row.
    Found,
    /// Nobody but its user can reach it.
    LeftOut(Reason),
    /// They were looked for in vain.
    Parked(Reason),
}

/// What is known of a conversation's voicemail before its messages are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeFact {
    /// Where it is.
    pub state: NoticeState,
    /// What was announced, each leg once.
    pub legs: Vec<Leg>,
    /// Since when it is looked for.
    pub since: Timestamp,
    /// How often it was looked for.
    pub looks: u32,
    /// What went wrong last: our words or the source's, redacted.
    pub detail: Option<String>,
}

/// Where a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VoicemailState {
    /// To be copied.
    Waiting,
    /// In the archive. Orders at the source may still be due.
    Stored,
    /// Not in the archive, and should be.
    Parked(Reason),
}

macro_rules! word_and_reason {
    ($state:ident, $($variant:pat => $word:literal),+; $($with_reason:ident),+) => {
        impl $state {
            /// The word for it.
            pub fn word(self) -> &'static str {
                match self { $($variant => $word),+ }
            }

            /// Why it is not in the archive.
            pub fn reason(self) -> Option<Reason> {
                match self {
                    $(Self::$with_reason(reason) => Some(reason),)+
                    _ => None,
                }
            }

            /// Whether nothing more happens to it by itself, as far as the archive is concerned.
            pub fn is_terminal(self) -> bool {
                self != Self::Waiting
            }
        }
    };
}

word_and_reason!(NoticeState, Self::Waiting => "waiting", Self::Found => "found", Self::LeftOut(_) => "left-out",
    Self::Parked(_) => "parked"; LeftOut, Parked);
word_and_reason!(VoicemailState, Self::Waiting => "waiting", Self::Stored => "stored", Self::Parked(_) => "parked";
    Parked);

/// Who called, as the source gives it. Kept only until it is in the archive. Cannot be printed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// The number.
    pub address: Option<String>,
    /// The name.
    pub name: Option<String>,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Caller(redacted)")
    }
}

/// Something to be done at the source once the copy is proved, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Disconnect the callback that the voicemail made.
    Disconnect,
    /// Mark the message as read.
    MarkRead,
    /// Delete the message.
    Delete,
}

impl Order {
    /// Every order, as they are carried out.
    pub const ALL: [Self; 3] = [Self::Disconnect, Self::MarkRead, Self::Delete];

    /// The order's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disconnect => "disconnect",
            Self::MarkRead => "mark-read",
            Self::Delete => "delete",
        }
    }
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carried {
    /// It is carried out.
    Done,
    /// The source refuses it: its code.
    Refused(String),
    /// It was tried for long, in vain: the code of the last failure.
    GivenUp(String),
}

/// A message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoicemailFact {
    /// Where it is.
    pub state: VoicemailState,
    /// Where it is listed.
    pub mailbox: MailboxName,
    /// When it was left, as the source says.
    pub created: Option<Timestamp>,
    /// Its length in seconds, as the source says.
    pub seconds: Option<u64>,
    /// Who called, until that is in the archive.
    pub caller: Option<Caller>,
    /// Since when it is to be copied.
    pub since: Timestamp,
    /// How often the source was not ready; of one that is stored, how often its copy could not be read back.
    pub looks: u32,
    /// How often it was copied: again only where a copy did not read back.
    pub copies: u32,
    /// What is in the archive.
    pub object: Option<StoredObject>,
    /// What is in the archive about it.
    pub metadata: Option<StoredObject>,
    /// Whether the source did not say where the media ends: then the copy may be a part of it, and nothing is deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unproved: bool,
    /// What became of the orders at the source; those that are not here were not set, or are still due.
    pub orders: BTreeMap<Order, Carried>,
    /// When it was stored or parked.
    pub settled_at: Option<Timestamp>,
    /// What went wrong last: our words or the source's, redacted.
    pub detail: Option<String>,
}

/// A mailbox, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailboxName {
    /// Of a queue.
    Queue(QueueId),
    /// Of a group.
    Group(GroupId),
}

impl From<&Mailbox> for MailboxName {
    fn from(mailbox: &Mailbox) -> Self {
        match mailbox {
            Mailbox::Queue(id) => Self::Queue(id.clone()),
            Mailbox::Group(id) => Self::Group(id.clone()),
        }
    }
}

/// A message that was listed at the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundVoicemail {
    /// The conversation it was left in.
    pub conversation: ConversationId,
    /// The message.
    pub message: VoicemailId,
    /// The day it goes to.
    pub day: Day,
    /// Where it is listed.
    pub mailbox: MailboxName,
    /// When it was left.
    pub created: Option<Timestamp>,
    /// Its length in seconds.
    pub seconds: Option<u64>,
    /// Who called.
    pub caller: Option<Caller>,
}

/// The numbers of all voicemail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VoicemailCounts {
    /// Messages known.
    pub messages: u64,
    /// The same by the word of their state.
    pub messages_by_state: BTreeMap<String, u64>,
    /// Bytes in the archive.
    pub bytes: u64,
    /// Messages that are stored, and of which orders at the source are still due.
    pub orders_due: u64,
    /// Orders that the source refused or that were given up, by the order's word.
    pub orders_refused: BTreeMap<String, u64>,
    /// Conversations of which an event told that voicemail was left.
    pub notices: u64,
    /// The same by the word of their state.
    pub notices_by_state: BTreeMap<String, u64>,
    /// Messages and notices that are parked or out of reach, by reason.
    pub by_reason: BTreeMap<String, u64>,
}

impl VoicemailCounts {
    /// Counts a row; one that is not about voicemail is passed over.
    pub fn add(&mut self, row: &Row) {
        let one = |by: &mut BTreeMap<String, u64>, word: &str| *by.entry(word.to_owned()).or_default() += 1;
        match &row.fact {
            Fact::Notice(_) => {
                self.notices += 1;
                one(&mut self.notices_by_state, row.state_word());
            }
            Fact::Voicemail(voicemail) => {
                self.messages += 1;
                one(&mut self.messages_by_state, row.state_word());
                self.bytes += row.bytes();
                self.orders_due += u64::from(row.is_terminal() && row.work.is_some());
                for (order, carried) in &voicemail.orders {
                    if *carried != Carried::Done {
                        one(&mut self.orders_refused, order.as_str());
                    }
                }
            }
            Fact::Day(_) | Fact::Batch(_) | Fact::Conversation(_) | Fact::Recording(_) | Fact::Notification(_) => {
                return;
            }
        }
        if let Some(reason) = row.reason() {
            one(&mut self.by_reason, reason.code());
        }
    }
}
