//! Where an object goes in the archive.
//!
//! A layout is one of two presets or a template. It is checked when it is read: two different recordings must never
//! get the same key, and everything of a day must lie below one folder, where the markers are. Placeholders stand
//! apart from each other by a character that no value contains, so a key can be read back in one way only.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::day::{Calendar, Day};
use crate::ids::{ConversationId, RecordingId, VoicemailId};
use crate::kind::Kind;

/// The default: `{env}/{day}/{kind}/{conversation}_{recording}.{ext}`.
const DAY: &str = "{env}/{day}/{kind}/{conversation}_{recording}.{ext}";

/// Like the vendor's own bulk export, with the day and hour of `TIMEZONE` so that a day lies in one folder.
const HIVE: &str =
    "{env}/year={year}/month={month}/day={dayofmonth}/hour={hour}/conversation_id={conversation}/{recording}.{ext}";

/// A key of the archive: relative, `/` between its segments, no segment empty, `.` or `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(Box<str>);

/// A text that is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an archive key: segments of letters, digits and `-_.=` separated by `/`, at most 900 bytes")]
pub struct NotAKey;

impl Key {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the last `/`.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

impl FromStr for Key {
    type Err = NotAKey;
    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let segment = |s: &str| {
            !s.is_empty()
                && !s.ends_with('.')
                && !s.starts_with("..")
                && s.len() <= 250
                && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.=".contains(&b))
        };
        // 900 of the 1,024 bytes S3 allows: a prefix must fit too.
        if text.len() <= 900 && text.split('/').all(segment) { Ok(Self(text.into())) } else { Err(NotAKey) }
    }
}

impl TryFrom<String> for Key {
    type Error = NotAKey;
    fn try_from(text: String) -> Result<Self, NotAKey> {
        text.parse()
    }
}

impl From<Key> for String {
    fn from(key: Key) -> String {
        key.0.into()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Env,
    Day,
    Year,
    Month,
    DayOfMonth,
    Hour,
    Kind,
    Conversation,
    Recording,
    Ext,
}

const PLACES: [(&str, Place); 10] = [
    ("env", Place::Env),
    ("day", Place::Day),
    ("year", Place::Year),
    ("month", Place::Month),
    ("dayofmonth", Place::DayOfMonth),
    ("hour", Place::Hour),
    ("kind", Place::Kind),
    ("conversation", Place::Conversation),
    ("recording", Place::Recording),
    ("ext", Place::Ext),
];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Place(Place),
}

/// Why a layout cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// `{name}` is not a placeholder.
    #[error(
        "there is no placeholder {{{0}}}: use env, day, year, month, dayofmonth, hour, kind, conversation, recording, ext"
    )]
    UnknownPlaceholder(String),
    /// A brace without its partner.
    #[error("a brace has no partner")]
    Unbalanced,
    /// A placeholder that must be there is not.
    #[error("it needs {{{0}}}, or two recordings could get the same key")]
    Missing(&'static str),
    /// A placeholder that may be there once is there twice.
    #[error("{{{0}}} may stand there once only")]
    Repeated(&'static str),
    /// Two placeholders touch.
    #[error("two placeholders need one of / _ . = between them, or two recordings could get the same key")]
    Touching,
    /// Everything of a day must lie below one folder.
    #[error(
        "its first folders must name the day ({{day}}, or {{year}}, {{month}} and {{dayofmonth}}) before anything that differs within a day"
    )]
    NoDayFolder,
    /// Text that no key may contain, or an empty folder name.
    #[error("its text must be letters, digits and -_.=, in folders with names, and not begin with / or a dot")]
    IllegalText,
}

/// What a key is made of.
#[derive(Debug, Clone, Copy)]
pub struct Placed<'a> {
    /// The day the conversation belongs to.
    pub day: Day,
    /// When it started; decides `{hour}`.
    pub start: Option<Timestamp>,
    /// The kind of recording.
    pub kind: Kind,
    /// The conversation.
    pub conversation: &'a ConversationId,
    /// The recording.
    pub recording: &'a RecordingId,
    /// Extension, without the dot.
    pub ext: &'a str,
    /// Set for content that differs from what is already under the recording's own key.
    pub variant: Option<&'a str>,
}

/// What the key of a voicemail is made of.
#[derive(Debug, Clone, Copy)]
pub struct PlacedVoicemail<'a> {
    /// The day it was left.
    pub day: Day,
    /// When; decides `{hour}`.
    pub created: Option<Timestamp>,
    /// The conversation.
    pub conversation: &'a ConversationId,
    /// The message.
    pub message: &'a VoicemailId,
    /// Extension, without the dot.
    pub ext: &'a str,
    /// Set for content that differs from what is already under the message's own key.
    pub variant: Option<&'a str>,
}

/// The folder of voicemail: no [`Kind`] has this word.
const VOICEMAIL: &str = "voicemail";

/// What stands in the places of a key that are not the day's.
struct Filling<'a> {
    day: Day,
    start: Option<Timestamp>,
    kind: &'a str,
    conversation: &'a str,
    recording: &'a str,
    ext: &'a str,
    variant: Option<&'a str>,
}

/// A checked layout, for one environment and calendar.
#[derive(Debug, Clone)]
pub struct Layout {
    pieces: Vec<Piece>,
    env: String,
    calendar: Calendar,
}

/// A name of an environment that cannot be part of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to 60 letters, digits or hyphens")]
pub struct BadEnvironment;

/// Checks the name of an environment, which becomes a folder.
///
/// # Errors
/// When it is empty, too long, or has other characters than letters, digits and hyphens.
pub fn check_environment(env: &str) -> Result<(), BadEnvironment> {
    let legal = (1..=60).contains(&env.len()) && env.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if legal { Ok(()) } else { Err(BadEnvironment) }
}

/// A layout's text, parsed and checked, not yet bound to an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

impl Default for Template {
    /// The preset `day`.
    fn default() -> Self {
        let text = |text: &str| Piece::Text(text.to_owned());
        Self(vec![
            Piece::Place(Place::Env),
            text("/"),
            Piece::Place(Place::Day),
            text("/"),
            Piece::Place(Place::Kind),
            text("/"),
            Piece::Place(Place::Conversation),
            text("_"),
            Piece::Place(Place::Recording),
            text("."),
            Piece::Place(Place::Ext),
        ])
    }
}

impl FromStr for Template {
    type Err = LayoutError;

    /// Reads `day`, `hive` or a template.
    fn from_str(text: &str) -> Result<Self, LayoutError> {
        let template = match text {
            "day" => DAY,
            "hive" => HIVE,
            other => other,
        };
        let pieces = parse(template)?;
        check_text(template, &pieces)?;
        check_distinct(&pieces)?;
        day_folder(&pieces).ok_or(LayoutError::NoDayFolder)?;
        Ok(Self(pieces))
    }
}

impl fmt::Display for Layout {
    /// The template's text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => f.write_str(text)?,
                Piece::Place(place) => {
                    let name = PLACES.iter().find(|(_, known)| known == place).map_or("", |(name, _)| *name);
                    write!(f, "{{{name}}}")?;
                }
            }
        }
        Ok(())
    }
}

impl Layout {
    /// Binds a template to an environment (see [`check_environment`]) and a calendar.
    pub fn new(template: Template, env: impl Into<String>, calendar: Calendar) -> Self {
        Self { pieces: template.0, env: env.into(), calendar }
    }

    /// The environment's name.
    pub fn environment(&self) -> &str {
        &self.env
    }

    /// The key of a recording. The variant goes in front of the extension.
    ///
    /// # Errors
    /// [`NotAKey`] when the pieces are too long together.
    pub fn recording(&self, placed: &Placed<'_>) -> Result<Key, NotAKey> {
        let Placed { day, start, kind, conversation, recording, ext, variant } = *placed;
        let (kind, conversation, recording) = (kind.as_str(), conversation.as_str(), recording.as_str());
        self.render(&self.pieces, &Filling { day, start, kind, conversation, recording, ext, variant }).parse()
    }

    /// The key of a voicemail: as that of a recording, the message in its place, of the kind `voicemail`. Where the
    /// layout names no kind, a folder of that name stands below the day's, so that no recording has the same key.
    ///
    /// # Errors
    /// [`NotAKey`] when the pieces are too long together.
    pub fn voicemail(&self, placed: &PlacedVoicemail<'_>) -> Result<Key, NotAKey> {
        let PlacedVoicemail { day, created, conversation, message, ext, variant } = *placed;
        let (conversation, recording) = (conversation.as_str(), message.as_str());
        let filling = Filling { day, start: created, kind: VOICEMAIL, conversation, recording, ext, variant };
        let key = self.render(&self.pieces, &filling);
        if self.pieces.contains(&Piece::Place(Place::Kind)) {
            return key.parse();
        }
        let folder = self.folder(day);
        let rest = key.strip_prefix(&folder).unwrap_or(&key);
        format!("{folder}{VOICEMAIL}/{rest}").parse()
    }

    /// The key of a conversation's metadata object, `metadata/{conversation}.json` in the day's folder.
    ///
    /// # Errors
    /// [`NotAKey`] when the pieces are too long together.
    pub fn metadata(&self, day: Day, conversation: &ConversationId) -> Result<Key, NotAKey> {
        format!("{}metadata/{conversation}.json", self.folder(day)).parse()
    }

    /// The key of a file about the day itself, such as `_SUCCESS`.
    ///
    /// # Errors
    /// [`NotAKey`] when `name` is not a legal segment.
    pub fn of_day(&self, day: Day, name: &str) -> Result<Key, NotAKey> {
        format!("{}{name}", self.folder(day)).parse()
    }

    /// The day's folder, with a slash at its end.
    pub fn folder(&self, day: Day) -> String {
        let until = day_folder(&self.pieces).unwrap_or(self.pieces.len());
        let mut folder = String::new();
        for piece in &self.pieces[..until] {
            match piece {
                Piece::Text(text) => folder.push_str(text),
                Piece::Place(place) => folder.push_str(&self.of_the_day(*place, day).unwrap_or_default()),
            }
        }
        // The folder ends inside a piece of text: at its first slash.
        if let Some(Piece::Text(text)) = self.pieces.get(until) {
            folder.push_str(text.split_inclusive('/').next().unwrap_or_default());
        }
        folder
    }

    fn of_the_day(&self, place: Place, day: Day) -> Option<String> {
        let date = day.date();
        match place {
            Place::Env => Some(self.env.clone()),
            Place::Day => Some(day.to_string()),
            Place::Year => Some(format!("{:04}", date.year())),
            Place::Month => Some(format!("{:02}", date.month())),
            Place::DayOfMonth => Some(format!("{:02}", date.day())),
            _ => None,
        }
    }

    fn render(&self, pieces: &[Piece], filling: &Filling<'_>) -> String {
        let mut key = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => key.push_str(text),
                Piece::Place(Place::Hour) => {
                    let hour = filling.start.map_or(0, |start| self.calendar.hour_of(start));
                    key.push_str(&format!("{hour:02}"));
                }
                Piece::Place(Place::Kind) => key.push_str(filling.kind),
                Piece::Place(Place::Conversation) => key.push_str(filling.conversation),
                Piece::Place(Place::Recording) => {
                    key.push_str(filling.recording);
                    if let Some(variant) = filling.variant {
                        // Ids contain no underscore, so this is nobody else's id.
                        key.push('_');
                        key.push_str(variant);
                    }
                }
                Piece::Place(Place::Ext) => key.push_str(filling.ext),
                Piece::Place(place) => key.push_str(&self.of_the_day(*place, filling.day).unwrap_or_default()),
            }
        }
        key
    }
}

fn parse(template: &str) -> Result<Vec<Piece>, LayoutError> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some(open) = rest.find(['{', '}']) {
        let (text, braced) = rest.split_at(open);
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        let inside = braced.strip_prefix('{').ok_or(LayoutError::Unbalanced)?;
        let (name, after) = inside.split_once('}').ok_or(LayoutError::Unbalanced)?;
        let place = PLACES.iter().find(|(known, _)| *known == name);
        let (_, place) = place.ok_or_else(|| LayoutError::UnknownPlaceholder(name.chars().take(40).collect()))?;
        pieces.push(Piece::Place(*place));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

fn check_text(template: &str, pieces: &[Piece]) -> Result<(), LayoutError> {
    let legal = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.=/".contains(&b));
    let texts_legal = pieces.iter().all(|piece| match piece {
        Piece::Text(text) => legal(text),
        Piece::Place(_) => true,
    });
    let folders_named = template.split('/').all(|s| !s.is_empty() && !s.starts_with('.') && !s.ends_with('.'));
    if texts_legal && folders_named && template.len() <= 300 { Ok(()) } else { Err(LayoutError::IllegalText) }
}

/// Distinct recordings get distinct keys when conversation and recording are both there once, the extension (so that
/// formats do not collide), and every placeholder is bounded by a character that no value contains.
fn check_distinct(pieces: &[Piece]) -> Result<(), LayoutError> {
    for (name, wanted) in [("conversation", Place::Conversation), ("recording", Place::Recording), ("ext", Place::Ext)]
    {
        match pieces.iter().filter(|p| **p == Piece::Place(wanted)).count() {
            0 => return Err(LayoutError::Missing(name)),
            1 => {}
            _ => return Err(LayoutError::Repeated(name)),
        }
    }
    for pair in pieces.windows(2) {
        match pair {
            [Piece::Place(_), Piece::Place(_)] => return Err(LayoutError::Touching),
            [Piece::Place(_), Piece::Text(text)] if !text.starts_with(['/', '_', '.', '=']) => {
                return Err(LayoutError::Touching);
            }
            _ => {}
        }
    }
    let bounded = pieces.windows(3).all(|three| match three {
        [Piece::Place(_), Piece::Text(text), Piece::Place(_)] => text.ends_with(['/', '_', '.', '=']),
        _ => true,
    });
    if bounded { Ok(()) } else { Err(LayoutError::Touching) }
}

/// The index of the piece of text whose first slash ends the day's folder.
fn day_folder(pieces: &[Piece]) -> Option<usize> {
    let mut seen = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let named = seen.contains(&Place::Day)
            || [Place::Year, Place::Month, Place::DayOfMonth].iter().all(|p| seen.contains(p));
        match piece {
            Piece::Text(text) if named && text.contains('/') => return Some(index),
            Piece::Text(_) => {}
            Piece::Place(Place::Hour | Place::Kind | Place::Conversation | Place::Recording | Place::Ext) => {
                return None;
            }
            Piece::Place(place) => seen.push(*place),
        }
    }
    None
}

#[cfg(test)]
mod tests;
