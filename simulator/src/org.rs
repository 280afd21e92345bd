//! The org's contents: conversations and recordings as facts, looked up by id or by start.
//!
//! Owns the vocabulary (kinds, states) and the indexes. Immutable once made: what changes with time (restores, jobs,
//! tokens) lives in `world`. Knows nothing of HTTP.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::cast;
use crate::media::File;
use crate::options::Options;

/// What a recording or a conversation is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Call,
    Chat,
    Email,
    Message,
    Screen,
}

impl Kind {
    /// The word the truth uses.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Call => "call",
            Kind::Chat => "chat",
            Kind::Email => "email",
            Kind::Message => "message",
            Kind::Screen => "screen",
        }
    }

    /// `media` in recording metadata.
    pub(crate) fn metadata_media(self) -> &'static str {
        match self {
            Kind::Call => "audio",
            Kind::Chat => "chat",
            Kind::Email => "email",
            Kind::Message => "message",
            Kind::Screen => "screen",
        }
    }

    /// `media` in a recording, which says `messaging` where metadata says `message` (genesys/api.md).
    pub(crate) fn recording_media(self) -> &'static str {
        if self == Kind::Message { "messaging" } else { self.metadata_media() }
    }

    /// `mediaType` of an analytics session.
    pub(crate) fn session_media(self) -> &'static str {
        match self {
            Kind::Call | Kind::Screen => "voice",
            Kind::Chat => "chat",
            Kind::Email => "email",
            Kind::Message => "message",
        }
    }
}

/// What has become of a recording, as the org was made. `World::availability` adds what time changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Available,
    /// Uploading at first, available `uploading_delay` after the start.
    Late,
    /// Uploading for ever.
    Stuck,
    Archived,
    /// Deleted; `told`: a job says so with an `errorMsg`, otherwise it leaves the recording out.
    Deleted {
        told: bool,
    },
    /// Available by its metadata, silently left out of job results: the client lacks `viewSensitiveData`.
    Sensitive,
}

/// One recording.
#[derive(Debug, Clone)]
pub(crate) struct Recording {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) state: State,
    /// The results a job gives for it, usually one. Two equal files are two URLs with the same bytes.
    pub(crate) files: Vec<File>,
}

/// One conversation with its recordings.
#[derive(Debug, Clone)]
pub(crate) struct Conversation {
    pub(crate) id: String,
    pub(crate) start: Timestamp,
    /// None while the conversation is still active.
    pub(crate) end: Option<Timestamp>,
    /// Index of its day in the truth; None for the neighbours outside.
    pub(crate) day: Option<usize>,
    pub(crate) kind: Kind,
    pub(crate) outbound: bool,
    pub(crate) agent: bool,
    pub(crate) voicemail: bool,
    /// Which of the seeded queues it went through.
    pub(crate) queue: usize,
    pub(crate) recordings: Vec<Recording>,
    /// A job answers for the whole conversation with this `errorMsg` and no recording id.
    pub(crate) refusal: Option<&'static str>,
}

/// The whole org, ordered by (start, id).
#[derive(Debug)]
pub(crate) struct Org {
    pub(crate) days: Vec<Date>,
    pub(crate) conversations: Vec<Conversation>,
    pub(crate) places: Places,
    by_id: HashMap<String, usize>,
    by_recording: HashMap<String, (usize, usize)>,
}

/// The parts of the org that conversations refer to.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) queues: Vec<String>,
    pub(crate) agents: Vec<String>,
    pub(crate) divisions: Vec<String>,
    pub(crate) groups: Vec<String>,
}

impl Org {
    /// Makes the org that `options` describe.
    ///
    /// # Errors
    /// When the days lie outside what dates can express.
    pub(crate) fn new(options: &Options) -> Result<Self, jiff::Error> {
        let (days, mut conversations) = cast::conversations(options)?;
        conversations.sort_by(|a, b| (a.start, &a.id).cmp(&(b.start, &b.id)));
        let mut by_id = HashMap::with_capacity(conversations.len());
        let mut by_recording = HashMap::with_capacity(conversations.len());
        for (c, conversation) in conversations.iter().enumerate() {
            by_id.insert(conversation.id.clone(), c);
            for (r, recording) in conversation.recordings.iter().enumerate() {
                by_recording.insert(recording.id.clone(), (c, r));
            }
        }
        let places = cast::places(options.seed);
        Ok(Self { days, conversations, places, by_id, by_recording })
    }

    pub(crate) fn conversation(&self, id: &str) -> Option<&Conversation> {
        self.by_id.get(id).map(|&c| &self.conversations[c])
    }

    pub(crate) fn recording(&self, id: &str) -> Option<(&Conversation, &Recording)> {
        let &(c, r) = self.by_recording.get(id)?;
        let conversation = &self.conversations[c];
        Some((conversation, &conversation.recordings[r]))
    }

    /// Indexes of the conversations that started in `[from, to)`.
    pub(crate) fn started(&self, from: Timestamp, to: Timestamp) -> std::ops::Range<usize> {
        let first = self.conversations.partition_point(|c| c.start < from);
        let end = self.conversations.partition_point(|c| c.start < to);
        first..end.max(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use jiff::tz::TimeZone;

    fn org(first: Date, days: u32, conversations: u32) -> Org {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let options = Options { days, conversations, time_zone: zone, ..Options::new(first) };
        Org::new(&options).unwrap()
    }

    #[test]
    fn days_of_every_length_are_filled_to_their_edges() {
        // 23, 24 and 25 hours.
        for first in [date(2026, 3, 29), date(2026, 3, 30), date(2026, 10, 25)] {
            let org = org(first, 1, 60);
            let start = org.days[0].to_zoned(TimeZone::get("Europe/Berlin").unwrap()).unwrap();
            let (start, end) = (start.timestamp(), start.tomorrow().unwrap().timestamp());
            let inside: Vec<_> = org.conversations.iter().filter(|c| c.day.is_some()).collect();
            assert_eq!(inside.len(), 60);
            assert!(inside.iter().all(|c| c.start >= start && c.start < end));
            assert_eq!(inside[0].start, start);
            assert_eq!(inside[59].start.as_millisecond(), end.as_millisecond() - 1);
            let outside: Vec<_> = org.conversations.iter().filter(|c| c.day.is_none()).collect();
            assert!(outside.iter().any(|c| c.start == end));
            assert!(outside.iter().any(|c| c.start.as_millisecond() == start.as_millisecond() - 1));
            assert!(outside.iter().all(|c| c.start < start || c.start >= end));
        }
    }

    #[test]
    fn a_full_day_has_every_oddity() {
        for day in 1..=10 {
            let org = org(date(2026, 1, day), 1, 50);
            let inside: Vec<_> = org.conversations.iter().filter(|c| c.day.is_some()).collect();
            let recordings: Vec<_> = inside.iter().flat_map(|c| &c.recordings).collect();
            for state in [
                State::Available,
                State::Late,
                State::Stuck,
                State::Archived,
                State::Deleted { told: true },
                State::Deleted { told: false },
                State::Sensitive,
            ] {
                assert!(recordings.iter().any(|r| r.state == state), "{state:?}");
            }
            for kind in [Kind::Call, Kind::Chat, Kind::Email, Kind::Message, Kind::Screen] {
                assert!(recordings.iter().any(|r| r.kind == kind), "{kind:?}");
            }
            let twins = |same| move |r: &&&Recording| r.files.len() == 2 && (r.files[0] == r.files[1]) == same;
            assert!(recordings.iter().any(|r| twins(true)(&r)));
            assert!(recordings.iter().any(|r| twins(false)(&r)));
            assert!(inside.iter().any(|c| c.refusal.is_some() && c.recordings.is_empty()));
            assert!(inside.iter().any(|c| c.refusal.is_none() && c.recordings.is_empty()));
            assert!(inside.iter().any(|c| c.voicemail));
        }
    }

    #[test]
    fn a_day_is_the_same_whatever_its_neighbours() {
        let ids = |org: &Org, index| {
            let day = org.conversations.iter().filter(|c| c.day == Some(index));
            day.map(|c| (c.id.clone(), c.start)).collect::<Vec<_>>()
        };
        let (long, short) = (org(date(2026, 1, 1), 2, 60), org(date(2026, 1, 2), 1, 60));
        assert_eq!(ids(&long, 1), ids(&short, 0));
        assert_ne!(ids(&long, 0), ids(&long, 1));
    }
}
