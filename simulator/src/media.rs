//! Media files: bytes as a pure function of (conversation, recording, file), generated while they are sent.
//!
//! Owns lengths, bytes and checksums. A file is a head, a generated middle and a tail, so a file of gigabytes costs
//! its head and tail. Must never hold a whole audio or video file in memory, and never store one.

pub(crate) mod containers;
pub(crate) mod ogg;
pub(crate) mod text;
pub(crate) mod voice;

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// What a file looks like inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Ogg,
    Wav,
    Webm,
    /// A type no client has heard of.
    Unknown,
    /// Ogg by its type, and no bytes at all.
    Empty,
    Email,
    /// A chat: an array, or an object that holds it; with messages that a filter drops, or without.
    Chat {
        object: bool,
        filtered: bool,
    },
    Message,
    /// Opus in WebM.
    VoiceWebm,
    /// G.711 mu-law in WAV.
    Ulaw,
    Mp3,
}

impl Format {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Format::Ogg | Format::Empty => "audio/ogg",
            Format::Wav | Format::Ulaw => "audio/wav",
            Format::VoiceWebm => "audio/webm",
            Format::Mp3 => "audio/mpeg",
            Format::Webm => "video/webm",
            Format::Unknown => "application/x-genesys-proprietary",
            Format::Email => "application/zip",
            Format::Chat { .. } | Format::Message => "application/json",
        }
    }
}

/// One file of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) format: Format,
    /// Wanted size; `Source::length` has the true one.
    pub(crate) size: u64,
    /// Tells apart the files of one recording. The same number: the same bytes.
    pub(crate) number: u32,
}

/// Whose file it is. Goes into every file, so that no two recordings have the same bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) conversation: &'a str,
    pub(crate) recording: &'a str,
}

/// A file ready to be generated.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    head: Bytes,
    middle: Middle,
    tail: Bytes,
    at: Stage,
}

/// The long part of a file.
#[derive(Debug, Clone)]
pub(crate) enum Middle {
    None,
    /// `block` over and over until `left` bytes are out.
    Repeat {
        block: Bytes,
        left: u64,
    },
    Pages(ogg::Pages),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head,
    Middle,
    Tail,
    Done,
}

impl Source {
    pub(crate) fn new(owner: Owner<'_>, file: File) -> Self {
        match file.format {
            Format::Empty => Self::of(Bytes::new()),
            Format::Ogg => ogg::file(owner, file),
            Format::Wav => containers::wav(owner, file),
            Format::Webm => containers::webm(owner, file),
            Format::Unknown => containers::unknown(owner, file),
            Format::Email => containers::email(owner, file),
            Format::Chat { object, filtered } => Self::of(text::Chat::new(owner, file, filtered).source(object)),
            Format::Message => Self::of(text::message(owner, file)),
            Format::VoiceWebm => voice::webm(owner, file),
            Format::Ulaw => voice::ulaw(owner, file),
            Format::Mp3 => voice::mp3(owner, file),
        }
    }

    fn of(whole: Bytes) -> Self {
        Self::parts(whole, Middle::None, Bytes::new())
    }

    pub(crate) fn parts(head: Bytes, middle: Middle, tail: Bytes) -> Self {
        Self { head, middle, tail, at: Stage::Head }
    }

    /// Exact number of bytes of a source that has not begun.
    pub(crate) fn length(&self) -> u64 {
        let middle = match &self.middle {
            Middle::None => 0,
            Middle::Repeat { left, .. } => *left,
            Middle::Pages(pages) => pages.length(),
        };
        self.head.len() as u64 + middle + self.tail.len() as u64
    }
}

impl Iterator for Source {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.at {
                Stage::Head => {
                    self.at = Stage::Middle;
                    if !self.head.is_empty() {
                        return Some(self.head.clone());
                    }
                }
                Stage::Middle => match self.middle.next() {
                    Some(chunk) => return Some(chunk),
                    None => self.at = Stage::Tail,
                },
                Stage::Tail => {
                    self.at = Stage::Done;
                    if !self.tail.is_empty() {
                        return Some(self.tail.clone());
                    }
                }
                Stage::Done => return None,
            }
        }
    }
}

impl Middle {
    fn next(&mut self) -> Option<Bytes> {
        match self {
            Middle::None => None,
            Middle::Repeat { left: 0, .. } => None,
            Middle::Repeat { block, left } => {
                let take = (block.len() as u64).min(*left);
                *left -= take;
                Some(block.slice(..take as usize))
            }
            Middle::Pages(pages) => pages.next(),
        }
    }
}

/// Length and lower-case hex SHA-256 of what a perfect export stores: the file, or for a chat the filtered file.
pub(crate) fn stored(owner: Owner<'_>, file: File) -> (u64, String) {
    let source = match file.format {
        Format::Chat { object, filtered } => Source::of(text::Chat::new(owner, file, filtered).kept(object)),
        _ => Source::new(owner, file),
    };
    let mut hash = Sha256::new();
    let length = source.length();
    for chunk in source {
        hash.update(&chunk);
    }
    (length, hex(&hash.finalize()))
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Owner<'_> = Owner {
        conversation: "7b1d6c0a-1111-4222-8333-444455556666",
        recording: "8c2e7d1b-1111-4222-8333-444455556666",
    };

    #[test]
    fn every_format_sends_exactly_the_length_it_declares() {
        let formats = [
            Format::Ogg,
            Format::Wav,
            Format::Webm,
            Format::Unknown,
            Format::Empty,
            Format::Email,
            Format::Chat { object: true, filtered: true },
            Format::Message,
            Format::VoiceWebm,
            Format::Ulaw,
            Format::Mp3,
        ];
        for format in formats {
            for size in [0, 1, 300, 1_000, 12_777, 13_100, 25_900, 1 << 20, 5_000_001] {
                let source = Source::new(OWNER, File { format, size, number: 0 });
                let declared = source.length();
                let sent: u64 = source.map(|chunk| chunk.len() as u64).sum();
                assert_eq!(sent, declared, "{format:?} of {size}");
            }
        }
    }

    #[test]
    fn an_ogg_file_has_exactly_the_wanted_size() {
        for size in (400..30_000).chain([1 << 20, 10_000_000]) {
            let source = Source::new(OWNER, File { format: Format::Ogg, size, number: 0 });
            assert_eq!(source.length(), size);
        }
    }

    #[test]
    fn the_number_of_a_file_decides_its_bytes() {
        let file = File { format: Format::Ogg, size: 5_000, number: 0 };
        assert_eq!(stored(OWNER, file), stored(OWNER, file));
        assert_ne!(stored(OWNER, file), stored(OWNER, File { number: 1, ..file }));
    }
}
