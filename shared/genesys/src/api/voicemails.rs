//! Voicemail, as a trait in our words. Everything here needs a user's token: with client credentials the platform
//! answers 400 `not.a.user`.
//!
//! There is no call that deletes more than one message, and there must never be one: the platform has a
//! `DELETE /api/v2/voicemail/messages` that deletes everything the user has.

use async_trait::async_trait;

use super::{ApiError, Media, MediaError, SignedUrl};
use crate::ids::{ConversationId, GroupId, QueueId, VoicemailId};
use crate::models::{Me, VoicemailPage};

/// Whose voicemail is listed. A user's own is out of every other user's reach.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Mailbox {
    /// Of a routing queue.
    Queue(QueueId),
    /// Of a group.
    Group(GroupId),
}

/// A format the platform delivers voicemail in: `formatId` of the media request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VoicemailFormat {
    /// Opus in WebM, the platform's default.
    #[default]
    Webm,
    /// PCM in WAV.
    Wav,
    /// G.711 mu-law in WAV.
    WavUlaw,
    /// Vorbis in Ogg.
    OggVorbis,
    /// Opus in Ogg.
    OggOpus,
    /// MP3.
    Mp3,
}

impl VoicemailFormat {
    /// Every format.
    pub const ALL: [Self; 6] = [Self::Webm, Self::Wav, Self::WavUlaw, Self::OggVorbis, Self::OggOpus, Self::Mp3];

    /// The platform's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Webm => "WEBM",
            Self::Wav => "WAV",
            Self::WavUlaw => "WAV_ULAW",
            Self::OggVorbis => "OGG_VORBIS",
            Self::OggOpus => "OGG_OPUS",
            Self::Mp3 => "MP3",
        }
    }
}

/// What a request for a message's media came to.
#[derive(Debug, Clone)]
pub enum VoicemailMedia {
    /// Where it is, for some minutes.
    Ready(SignedUrl),
    /// The platform is preparing it (202): ask again later.
    NotReady,
}

/// Voicemail of queues and groups, and what may be done to it at the source.
///
/// A refusal is [`ApiError::Forbidden`] with the platform's code. The orders (mark, delete, disconnect) are repeated
/// when their outcome is unknown: doing one twice is the same as doing it once.
#[async_trait]
pub trait Voicemails: Send + Sync {
    /// Page `number` (from 1) of a mailbox, `page_size` (1 to 100) messages a page. No document says whether the
    /// newest or the oldest come first: compare `created`.
    ///
    /// # Errors
    /// [`ApiError::NotFound`] for an unknown queue or group, [`ApiError::Forbidden`] without
    /// `voicemail:acdvoicemail:view`, and what every call may answer.
    async fn list(&self, mailbox: &Mailbox, number: u32, page_size: u32) -> Result<VoicemailPage, ApiError>;

    /// Where the media of a message is, in a format. Never waits for media that is being prepared.
    ///
    /// # Errors
    /// [`ApiError::NotFound`] if the message is gone, [`ApiError::Forbidden`], [`ApiError::Unreadable`] for an answer
    /// without a URL, and what every call may answer.
    async fn media(&self, message: &VoicemailId, format: VoicemailFormat) -> Result<VoicemailMedia, ApiError>;

    /// Opens the URL of [`VoicemailMedia::Ready`]. Nothing of our sign-in is sent along.
    ///
    /// # Errors
    /// As [`super::Recordings::open`].
    async fn download(&self, url: &SignedUrl) -> Result<Media, MediaError>;

    /// Marks a message as read.
    ///
    /// # Errors
    /// [`ApiError::Forbidden`] for a queue's message unless the user took part in its conversation,
    /// [`ApiError::NotFound`] if the message is gone, and what every call may answer.
    async fn mark_read(&self, message: &VoicemailId) -> Result<(), ApiError>;

    /// Deletes one message. One that is gone already counts as deleted.
    ///
    /// # Errors
    /// [`ApiError::Forbidden`] without `voicemail:acdvoicemail:delete`, and what every call may answer.
    async fn delete(&self, message: &VoicemailId) -> Result<(), ApiError>;

    /// Disconnects the callback that a conversation's voicemail made, so that it is not routed to an agent.
    ///
    /// # Errors
    /// [`ApiError::Forbidden`] without `conversation:communication:disconnect` or the scope `conversations`,
    /// [`ApiError::NotFound`] if there is no callback, and what every call may answer.
    async fn disconnect_callback(&self, conversation: &ConversationId) -> Result<(), ApiError>;

    /// The signed-in user: proves that the token works and is a user's.
    ///
    /// # Errors
    /// [`ApiError::Refused`] with the code `not.a.user` for a client's token, and what every call may answer.
    async fn me(&self) -> Result<Me, ApiError>;

    /// The groups of the signed-in user, as far as the platform tells: the event of a group's voicemail names no group.
    ///
    /// # Errors
    /// As [`Voicemails::me`].
    async fn groups(&self) -> Result<Vec<GroupId>, ApiError>;
}
