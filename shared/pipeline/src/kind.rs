//! Kinds of recordings, and what a content type is called as a file.
//!
//! The kind decides a folder of the archive, so it must come out the same at every run: it is computed from the
//! result's content type and the conversation's media alone, never from what happens to be known at the moment.

use std::str::FromStr;

use callvault_genesys::models::MediaType;
use serde::{Deserialize, Serialize};

/// A kind of recording; the word is the folder's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The audio of a call.
    Call,
    /// A web chat.
    Chat,
    /// An e-mail.
    Email,
    /// A message.
    Message,
    /// A screen.
    Screen,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Call, Self::Chat, Self::Email, Self::Message, Self::Screen];

    /// The kind's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Chat => "chat",
            Self::Email => "email",
            Self::Message => "message",
            Self::Screen => "screen",
        }
    }

    /// The kind of a result with `content_type` in a conversation with `media`.
    ///
    /// Audio is a call and video a screen, whatever else the conversation holds; a zip is an e-mail. JSON, and what
    /// is unknown, goes with the conversation's own medium.
    pub fn of(content_type: Option<&str>, media: &[MediaType]) -> Self {
        let has = |wanted: &MediaType| media.contains(wanted);
        let by_media = if has(&MediaType::Chat) {
            Self::Chat
        } else if has(&MediaType::Message) {
            Self::Message
        } else if has(&MediaType::Email) {
            Self::Email
        } else {
            Self::Call
        };
        match essence(content_type).as_deref() {
            Some("application/zip" | "application/x-zip-compressed") if !has(&MediaType::Message) => Self::Email,
            // A JSON transcript of a conversation that has no written medium is still a transcript.
            Some("application/json") if by_media == Self::Call => Self::Chat,
            Some(other) if other.starts_with("audio/") => Self::Call,
            Some(other) if other.starts_with("video/") => Self::Screen,
            _ => by_media,
        }
    }
}

impl FromStr for Kind {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(())
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The file extension of a content type; `bin` for what is unknown, which is stored all the same.
pub fn extension(content_type: Option<&str>) -> &'static str {
    match essence(content_type).as_deref() {
        Some("audio/ogg" | "application/ogg") => "ogg",
        Some("audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave") => "wav",
        Some("audio/mpeg" | "audio/mp3") => "mp3",
        Some("audio/webm" | "video/webm") => "webm",
        Some("audio/opus") => "opus",
        Some("video/mp4" | "audio/mp4") => "mp4",
        Some("application/json") => "json",
        Some("application/zip" | "application/x-zip-compressed") => "zip",
        _ => "bin",
    }
}

/// Whether a content type is known well enough to have an extension of its own.
pub fn is_known(content_type: Option<&str>) -> bool {
    extension(content_type) != "bin"
}

fn essence(content_type: Option<&str>) -> Option<String> {
    let bare = content_type?.split(';').next()?.trim().to_ascii_lowercase();
    (!bare.is_empty()).then_some(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_seen_at_the_source_have_their_extension() {
        let seen = [
            ("audio/ogg", "ogg"),
            ("Audio/OGG; codecs=opus", "ogg"),
            ("application/zip", "zip"),
            ("application/json; charset=utf-8", "json"),
            ("audio/wav", "wav"),
            ("audio/x-wav", "wav"),
            ("audio/mpeg", "mp3"),
            ("audio/webm", "webm"),
            ("audio/opus", "opus"),
            ("video/webm", "webm"),
            ("video/mp4", "mp4"),
            ("application/x-new-next-year", "bin"),
            ("../../etc", "bin"),
            ("", "bin"),
        ];
        for (content_type, wanted) in seen {
            assert_eq!(extension(Some(content_type)), wanted, "{content_type}");
        }
        assert_eq!(extension(None), "bin");
    }

    #[test]
    fn the_kind_follows_content_then_conversation() {
        let voice = [MediaType::Voice];
        let text = [MediaType::Message, MediaType::Voice];
        assert_eq!(Kind::of(Some("audio/ogg"), &voice), Kind::Call);
        assert_eq!(Kind::of(Some("video/webm"), &voice), Kind::Screen);
        assert_eq!(Kind::of(None, &voice), Kind::Call);
        assert_eq!(Kind::of(Some("application/json"), &[MediaType::Chat]), Kind::Chat);
        assert_eq!(Kind::of(Some("application/json"), &text), Kind::Message);
        assert_eq!(Kind::of(Some("application/json"), &[]), Kind::Chat);
        assert_eq!(Kind::of(Some("application/zip"), &[MediaType::Email]), Kind::Email);
        assert_eq!(Kind::of(Some("application/x-new"), &[MediaType::Email]), Kind::Email);
        assert_eq!(Kind::of(Some("audio/ogg"), &[MediaType::Unknown("hologram".into())]), Kind::Call);
    }
}
