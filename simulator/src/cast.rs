//! Casting: which conversations happen on a day, when, and with what oddities.
//!
//! Owns the mix. A pure function of the options: the same seed and day give the same conversations whatever the other
//! days are. Must never look at the clock.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::chance::Chance;
use crate::media::{File, Format};
use crate::options::Options;
use crate::org::{Conversation, Kind, Places, Recording, State};

/// What a conversation turns out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Call,
    CallOfMany,
    CallWithScreen,
    ChatFiltered { object: bool },
    ChatWhole { object: bool },
    Email,
    Message,
    NothingAtAll,
    NothingButAnError,
    VoicemailOnly,
    Archived,
    Deleted { told: bool },
    UploadingStuck,
    UploadingLate,
    SensitiveAlone,
    SensitiveBesideAnother,
    TwoFiles,
    TwoUrlsOneFile,
    UnknownType,
    Empty,
    Wav,
    Large,
    NoAgent,
    Outbound,
}

/// Every oddity, those that matter most first: a small day gets as many as fit.
const ONCE_A_DAY: [Part; 26] = [
    Part::ChatFiltered { object: false },
    Part::Email,
    Part::CallOfMany,
    Part::Message,
    Part::CallWithScreen,
    Part::NothingAtAll,
    Part::Archived,
    Part::Deleted { told: true },
    Part::UploadingLate,
    Part::SensitiveAlone,
    Part::TwoFiles,
    Part::ChatFiltered { object: true },
    Part::NothingButAnError,
    Part::Empty,
    Part::UploadingStuck,
    Part::SensitiveBesideAnother,
    Part::TwoUrlsOneFile,
    Part::Deleted { told: false },
    Part::UnknownType,
    Part::VoicemailOnly,
    Part::ChatWhole { object: false },
    Part::ChatWhole { object: true },
    Part::Wav,
    Part::Large,
    Part::NoAgent,
    Part::Outbound,
];

/// Weights for the rest of a day.
const USUALLY: [(u64, Part); 19] = [
    (620, Part::Call),
    (60, Part::Outbound),
    (40, Part::NoAgent),
    (60, Part::CallOfMany),
    (40, Part::CallWithScreen),
    (25, Part::ChatFiltered { object: false }),
    (15, Part::ChatFiltered { object: true }),
    (12, Part::ChatWhole { object: false }),
    (8, Part::ChatWhole { object: true }),
    (35, Part::Email),
    (30, Part::Message),
    (15, Part::NothingAtAll),
    (4, Part::NothingButAnError),
    (8, Part::VoicemailOnly),
    (6, Part::Archived),
    (4, Part::Deleted { told: true }),
    (3, Part::Deleted { told: false }),
    (10, Part::Wav),
    (5, Part::SensitiveAlone),
];

/// From this many conversations on, every oddity occurs every day.
const FULL_CAST: usize = 50;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// The queues, agents and divisions of the org.
pub(crate) fn places(seed: u64) -> Places {
    let mut chance = Chance::new(seed, "places");
    let mut ids = |n: usize| (0..n).map(|_| chance.uuid()).collect::<Vec<_>>();
    // New kinds go last: what was there keeps its ids.
    Places { queues: ids(4), agents: ids(12), divisions: ids(2), groups: ids(2) }
}

/// The days of the truth, and every conversation of the org: theirs and, unless it is plain, the neighbours'.
pub(crate) fn conversations(options: &Options) -> Result<(Vec<Date>, Vec<Conversation>), jiff::Error> {
    let mut days = Vec::new();
    let mut all = Vec::new();
    let mut date = options.first_day;
    for index in 0..options.days as usize {
        let bounds = Bounds::of(date, &options.time_zone)?;
        day(options, date, index, bounds, &mut all);
        days.push(date);
        date = date.tomorrow()?;
    }
    if !options.plain {
        before(options, options.first_day.yesterday()?, &mut all)?;
        after(options, date, &mut all)?;
    }
    Ok((days, all))
}

/// First millisecond of a local day, and its length, which is not always 24 hours.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    start_ms: i64,
    length_ms: u64,
}

impl Bounds {
    fn of(date: Date, zone: &TimeZone) -> Result<Self, jiff::Error> {
        let start = date.to_zoned(zone.clone())?.timestamp().as_millisecond();
        let end = date.checked_add(1.day())?.to_zoned(zone.clone())?.timestamp().as_millisecond();
        Ok(Self { start_ms: start, length_ms: u64::try_from(end - start).unwrap_or(0) })
    }

    fn at(self, offset_ms: u64) -> Timestamp {
        let offset = i64::try_from(offset_ms).unwrap_or(0);
        Timestamp::from_millisecond(self.start_ms + offset).unwrap_or(Timestamp::MAX)
    }
}

fn day(options: &Options, date: Date, index: usize, bounds: Bounds, all: &mut Vec<Conversation>) {
    let mut chance = Chance::new(options.seed, &format!("day {date}"));
    let count = options.conversations as usize;
    let mut starts: Vec<u64> = (0..count).map(|_| usual_start(&mut chance, bounds)).collect();
    if let Some(first) = starts.first_mut() {
        *first = 0;
    }
    if let Some(last) = starts.get_mut(1) {
        *last = bounds.length_ms - 1;
    }
    if count >= FULL_CAST {
        // Two that start in the same millisecond: the order of rows must not matter to anyone.
        starts[3] = starts[2];
    }
    let parts = if options.plain { vec![Part::Call; count] } else { parts(&mut chance, count) };
    for (start, part) in starts.into_iter().zip(parts) {
        let mut conversation = play(options, &mut chance, part, bounds.at(start));
        conversation.day = Some(index);
        all.push(conversation);
    }
}

/// The parts of a day. The first two go to the conversations at the day's edges and are plain calls, so that an edge
/// that is lost shows as a recording that is lost.
fn parts(chance: &mut Chance, count: usize) -> Vec<Part> {
    let mut parts = vec![Part::Call; count.min(2)];
    let mut rest: Vec<Part> = ONCE_A_DAY.iter().copied().take(count.saturating_sub(parts.len())).collect();
    while parts.len() + rest.len() < count {
        rest.push(usual(chance));
    }
    chance.shuffle(&mut rest);
    parts.append(&mut rest);
    parts
}

fn usual(chance: &mut Chance) -> Part {
    let total = USUALLY.iter().map(|(weight, _)| weight).sum();
    let mut left = chance.below(total);
    for (weight, part) in USUALLY {
        if left < weight {
            return part;
        }
        left -= weight;
    }
    Part::Call
}

/// Mostly between eight and eight, sometimes in the night; never at the day's very edges.
fn usual_start(chance: &mut Chance, bounds: Bounds) -> u64 {
    let (low, high) = if chance.happens(0.8) { (8, 20) } else { (0, 24) };
    let (low, high) = (bounds.length_ms * low / 24, bounds.length_ms * high / 24);
    chance.between(low.max(1), high.saturating_sub(2).max(1))
}

/// Neighbours on the day before the truth: the last one starts in the last millisecond and lasts into the truth.
fn before(options: &Options, date: Date, all: &mut Vec<Conversation>) -> Result<(), jiff::Error> {
    let bounds = Bounds::of(date, &options.time_zone)?;
    let mut chance = Chance::new(options.seed, &format!("before {date}"));
    let mut starts = vec![bounds.length_ms - 1];
    starts.extend((0..3).map(|_| bounds.length_ms - chance.between(1, 4 * HOUR_MS)));
    starts.extend((0..2).map(|_| chance.between(1, bounds.length_ms - 2)));
    for start in starts {
        all.push(play(options, &mut chance, Part::Call, bounds.at(start)));
    }
    Ok(())
}

/// Neighbours on the day after the truth: the first starts at midnight exactly, and some are still active.
fn after(options: &Options, date: Date, all: &mut Vec<Conversation>) -> Result<(), jiff::Error> {
    let bounds = Bounds::of(date, &options.time_zone)?;
    let mut chance = Chance::new(options.seed, &format!("after {date}"));
    let mut starts = vec![0];
    starts.extend((0..3).map(|_| chance.between(1, 4 * HOUR_MS)));
    starts.extend((0..2).map(|_| chance.between(1, bounds.length_ms - 2)));
    for (n, start) in starts.into_iter().enumerate() {
        let mut conversation = play(options, &mut chance, Part::Call, bounds.at(start));
        if n % 3 == 2 {
            conversation.end = None;
        }
        all.push(conversation);
    }
    Ok(())
}

/// Makes one conversation of the given part.
fn play(options: &Options, chance: &mut Chance, part: Part, start: Timestamp) -> Conversation {
    let kind = match part {
        Part::ChatFiltered { .. } | Part::ChatWhole { .. } => Kind::Chat,
        Part::Email => Kind::Email,
        Part::Message => Kind::Message,
        _ => Kind::Call,
    };
    let lasts_ms = match kind {
        Kind::Email => chance.between(5 * MINUTE_MS, 6 * HOUR_MS),
        Kind::Chat | Kind::Message => chance.between(MINUTE_MS, 40 * MINUTE_MS),
        Kind::Call | Kind::Screen => chance.between(15_000, 15 * MINUTE_MS),
    };
    let end = start.as_millisecond() + i64::try_from(lasts_ms).unwrap_or(0);
    let mut conversation = Conversation {
        id: chance.uuid(),
        start,
        end: Timestamp::from_millisecond(end).ok(),
        day: None,
        kind,
        outbound: part == Part::Outbound,
        agent: !matches!(part, Part::NoAgent | Part::VoicemailOnly),
        voicemail: part == Part::VoicemailOnly,
        queue: chance.below(4) as usize,
        recordings: Vec::new(),
        refusal: None,
    };
    if part == Part::NothingButAnError {
        conversation.refusal = Some("No recordings could be found for the requested conversation.");
    }
    conversation.recordings = recordings(options, chance, part);
    conversation
}

fn recordings(options: &Options, chance: &mut Chance, part: Part) -> Vec<Recording> {
    let of = |chance: &mut Chance, kind, state, formats: &[(Format, u32)]| {
        let files =
            formats.iter().map(|&(format, number)| File { format, size: size(options, chance), number }).collect();
        Recording { id: chance.uuid(), kind, state, files }
    };
    let ogg = [(Format::Ogg, 0)];
    let call = |chance: &mut Chance, state| of(chance, Kind::Call, state, &ogg);
    match part {
        Part::NothingAtAll | Part::NothingButAnError | Part::VoicemailOnly => Vec::new(),
        Part::Call | Part::NoAgent | Part::Outbound => vec![call(chance, State::Available)],
        Part::CallOfMany => (0..chance.between(2, 4)).map(|_| call(chance, State::Available)).collect(),
        Part::CallWithScreen => {
            let voice = call(chance, State::Available);
            vec![voice, of(chance, Kind::Screen, State::Available, &[(Format::Webm, 0)])]
        }
        Part::Archived => vec![call(chance, State::Archived)],
        Part::Deleted { told } => vec![call(chance, State::Deleted { told })],
        Part::UploadingStuck => vec![call(chance, State::Stuck)],
        Part::UploadingLate => vec![call(chance, State::Late)],
        Part::SensitiveAlone => vec![call(chance, State::Sensitive)],
        Part::SensitiveBesideAnother => {
            vec![call(chance, State::Sensitive), call(chance, State::Available)]
        }
        Part::TwoFiles => {
            let formats = [(Format::Ogg, 0), (Format::Ogg, 1)];
            vec![of(chance, Kind::Call, State::Available, &formats)]
        }
        Part::TwoUrlsOneFile => {
            let mut recording = call(chance, State::Available);
            let again = recording.files[0];
            recording.files.push(again);
            vec![recording]
        }
        Part::Large => {
            let mut recording = call(chance, State::Available);
            if options.media_bytes.is_none() {
                recording.files[0].size = chance.between(1_000_000, 4_000_000);
            }
            vec![recording]
        }
        Part::ChatFiltered { object } => {
            let format = Format::Chat { object, filtered: true };
            vec![of(chance, Kind::Chat, State::Available, &[(format, 0)])]
        }
        Part::ChatWhole { object } => {
            let format = Format::Chat { object, filtered: false };
            vec![of(chance, Kind::Chat, State::Available, &[(format, 0)])]
        }
        Part::Email => vec![of(chance, Kind::Email, State::Available, &[(Format::Email, 0)])],
        Part::Message => vec![of(chance, Kind::Message, State::Available, &[(Format::Message, 0)])],
        Part::UnknownType => vec![of(chance, Kind::Call, State::Available, &[(Format::Unknown, 0)])],
        Part::Empty => vec![of(chance, Kind::Call, State::Available, &[(Format::Empty, 0)])],
        Part::Wav => vec![of(chance, Kind::Call, State::Available, &[(Format::Wav, 0)])],
    }
}

/// Mostly a few KB, 10 KB in the mean; one in two hundred of 1 to 4 MB.
fn size(options: &Options, chance: &mut Chance) -> u64 {
    let usual = chance.between(1_500, 18_500);
    let large = chance.between(1_000_000, 4_000_000);
    let drawn = if chance.happens(0.005) { large } else { usual };
    options.media_bytes.unwrap_or(drawn)
}
