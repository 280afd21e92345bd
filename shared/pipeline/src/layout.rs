//! Where an object goes in the archive.
//!
//! A layout is one of two presets or a template. It is checked when it is read: two different recordings must never
//! get the same key, and everything of a day must lie below one folder, where the markers are. Placeholders stand
//! apart from each other by a character that no value contains, so a key can be read back in one way only.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::day::{Calendar, Day};
use crate::ids::{ConversationId, RecordingId};
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
        self.render(&self.pieces, placed).parse()
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

    fn render(&self, pieces: &[Piece], placed: &Placed<'_>) -> String {
        let mut key = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => key.push_str(text),
                Piece::Place(Place::Hour) => {
                    let hour = placed.start.map_or(0, |start| self.calendar.hour_of(start));
                    key.push_str(&format!("{hour:02}"));
                }
                Piece::Place(Place::Kind) => key.push_str(placed.kind.as_str()),
                Piece::Place(Place::Conversation) => key.push_str(placed.conversation.as_str()),
                Piece::Place(Place::Recording) => {
                    key.push_str(placed.recording.as_str());
                    if let Some(variant) = placed.variant {
                        // Ids contain no underscore, so this is nobody else's id.
                        key.push('_');
                        key.push_str(variant);
                    }
                }
                Piece::Place(Place::Ext) => key.push_str(placed.ext),
                Piece::Place(place) => key.push_str(&self.of_the_day(*place, placed.day).unwrap_or_default()),
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
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    fn layout(template: &str) -> Layout {
        Layout::new(template.parse().unwrap(), "brave", Calendar::new(TimeZone::get("America/Lima").unwrap()))
    }

    fn key(layout: &Layout, conversation: &str, recording: &str, ext: &str, variant: Option<&str>) -> String {
        let (conversation, recording) = (conversation.parse().unwrap(), recording.parse().unwrap());
        let day = "2023-02-03".parse().unwrap();
        let start = "2023-02-03T05:00:00Z".parse().ok();
        let placed =
            Placed { day, start, kind: Kind::Call, conversation: &conversation, recording: &recording, ext, variant };
        layout.recording(&placed).unwrap().to_string()
    }

    #[test]
    fn the_presets_give_the_documented_keys() {
        let day = layout("day");
        assert_eq!(key(&day, "c1", "r1", "ogg", None), "brave/2023-02-03/call/c1_r1.ogg");
        assert_eq!(key(&day, "c1", "r1", "ogg", Some("abc")), "brave/2023-02-03/call/c1_r1_abc.ogg");
        assert_eq!(day.folder("2023-02-03".parse().unwrap()), "brave/2023-02-03/");
        let hive = layout("hive");
        let wanted = "brave/year=2023/month=02/day=03/hour=00/conversation_id=c1/r1.ogg";
        assert_eq!(key(&hive, "c1", "r1", "ogg", None), wanted);
        assert_eq!(hive.folder("2023-02-03".parse().unwrap()), "brave/year=2023/month=02/day=03/");
        let marker = hive.of_day("2023-02-03".parse().unwrap(), "_SUCCESS").unwrap();
        assert_eq!(marker.as_str(), "brave/year=2023/month=02/day=03/_SUCCESS");
    }

    #[test]
    fn the_default_is_the_preset_day() {
        assert_eq!(Template::default(), "day".parse().unwrap());
        assert_eq!(Template::default(), DAY.parse().unwrap());
        assert_eq!((layout("day").to_string(), layout("hive").to_string()), (DAY.to_owned(), HIVE.to_owned()));
    }

    #[test]
    fn layouts_that_could_blur_two_recordings_or_two_days_are_refused() {
        use LayoutError as E;
        let refused = [
            ("{env}/{day}/{recording}.{ext}", E::Missing("conversation")),
            ("{env}/{day}/{conversation}.{ext}", E::Missing("recording")),
            ("{env}/{day}/{conversation}_{recording}", E::Missing("ext")),
            ("{env}/{day}/{conversation}{recording}.{ext}", E::Touching),
            ("{env}/{day}/{conversation}-{recording}.{ext}", E::Touching),
            ("{env}/{day}/{conversation}_x{recording}.{ext}", E::Touching),
            ("{env}/{kind}/{day}/{conversation}_{recording}.{ext}", E::NoDayFolder),
            ("{env}/{conversation}_{recording}.{ext}", E::NoDayFolder),
            ("{env}/{year}/{month}/{conversation}_{recording}.{ext}", E::NoDayFolder),
            ("{env}/{day}/{conversation}_{recording}_{recording}.{ext}", E::Repeated("recording")),
            ("{env}/{day}/../{conversation}_{recording}.{ext}", E::IllegalText),
            ("/{day}/{conversation}_{recording}.{ext}", E::IllegalText),
            ("{day}//{conversation}_{recording}.{ext}", E::IllegalText),
            ("{env}/{date}/{conversation}_{recording}.{ext}", E::UnknownPlaceholder("date".into())),
            ("{env}/{day/{conversation}_{recording}.{ext}", E::UnknownPlaceholder("day/{conversation".into())),
            ("{env}/day}/{conversation}_{recording}.{ext}", E::Unbalanced),
        ];
        for (template, why) in refused {
            assert_eq!(template.parse::<Template>().unwrap_err(), why, "{template}");
        }
    }

    proptest! {
        /// Different recordings, extensions or variants never share a key, whatever the accepted layout.
        #[test]
        fn keys_are_distinct(
            a in ("[a-c-]{0,2}[ab]", "[a-c][a-c-]{0,2}", "ogg|json", proptest::option::of("[ab]{1,2}")),
            b in ("[a-c-]{0,2}[ab]", "[a-c][a-c-]{0,2}", "ogg|json", proptest::option::of("[ab]{1,2}")),
            which in 0_usize..4,
        ) {
            let template = ["day", "hive", "{day}/{conversation}/{recording}.{ext}", "x/{env}_{day}/{ext}/{recording}.{conversation}"][which];
            let layout = layout(template);
            let fix = |s: &str| format!("i{s}");
            let one = key(&layout, &fix(&a.0), &fix(&a.1), &a.2, a.3.as_deref());
            let two = key(&layout, &fix(&b.0), &fix(&b.1), &b.2, b.3.as_deref());
            prop_assert_eq!(a == b, one == two);
        }
    }
}
