//! Voices: the forms in which a voicemail is delivered beside Ogg and WAV, all of them silent.
//!
//! Owns their byte layouts; standard tools must be able to open every one of them. Constant memory, as all media.

use bytes::{BufMut, Bytes, BytesMut};

use super::containers::{LARGEST, element, label, matroska};
use super::{File, Middle, Owner, Source, ogg};

/// WebM with one Opus packet.
pub(crate) fn webm(owner: Owner<'_>, file: File) -> Source {
    let audio = element(&[0xe1], &[element(&[0xb5], &48_000f64.to_be_bytes()), element(&[0x9f], &[1])].concat());
    let track = [
        element(&[0xd7], &[1]),
        element(&[0x73, 0xc5], &[1]),
        element(&[0x83], &[2]),
        element(&[0x86], b"A_OPUS"),
        element(&[0x63, 0xa2], &ogg::opus_head()),
        audio,
    ];
    matroska(owner, file, &track.concat(), &ogg::packet(3))
}

/// Silence in mu-law.
static ULAW_SILENCE: [u8; 16 * 1024] = [0xff; 16 * 1024];

/// RIFF WAVE, mu-law, mono at 8 kHz. Chunks are even, so an odd size is rounded down.
pub(crate) fn ulaw(owner: Owner<'_>, file: File) -> Source {
    let mut comment = label(owner, file).into_bytes();
    comment.push(0);
    comment.resize(comment.len().next_multiple_of(2), 0);
    let fixed = 12 + 26 + 12 + (8 + 4 + 8 + comment.len()) + 8;
    let data = (file.size.min(LARGEST).saturating_sub(fixed as u64) / 2 * 2) as u32;
    let mut head = BytesMut::new();
    head.put_slice(b"RIFF");
    head.put_u32_le(fixed as u32 - 8 + data);
    head.put_slice(b"WAVEfmt ");
    head.put_u32_le(18);
    head.put_u16_le(7); // mu-law
    head.put_u16_le(1); // mono
    head.put_u32_le(8_000);
    head.put_u32_le(8_000); // bytes a second
    head.put_u16_le(1); // bytes a sample
    head.put_u16_le(8); // bits a sample
    head.put_u16_le(0); // no extension
    head.put_slice(b"fact");
    head.put_u32_le(4);
    head.put_u32_le(data); // samples
    head.put_slice(b"LIST");
    head.put_u32_le(4 + 8 + comment.len() as u32);
    head.put_slice(b"INFOICMT");
    head.put_u32_le(comment.len() as u32);
    head.put_slice(&comment);
    head.put_slice(b"data");
    head.put_u32_le(data);
    Source::parts(
        head.freeze(),
        Middle::Repeat { block: Bytes::from_static(&ULAW_SILENCE), left: data.into() },
        Bytes::new(),
    )
}

/// Bytes of a frame of MPEG 1 layer III at 128 kbit/s and 44.1 kHz, without padding.
const MP3_FRAME: u64 = 417;

/// MP3: an ID3 comment, then whole silent frames, so the size is rounded down to one.
pub(crate) fn mp3(owner: Owner<'_>, file: File) -> Source {
    let mut text = vec![0]; // Latin 1
    text.extend(b"eng\0"); // language, and no description
    text.extend(label(owner, file).into_bytes());
    let mut head = BytesMut::from(&b"ID3\x03\0\0"[..]);
    put_synchsafe(&mut head, text.len() as u32 + 10);
    head.put_slice(b"COMM");
    head.put_u32(text.len() as u32);
    head.put_u16(0);
    head.put_slice(&text);
    // All zeros after the header: no main data, which decodes to silence.
    let mut frame = vec![0xff, 0xfb, 0x90, 0xc4];
    frame.resize(MP3_FRAME as usize, 0);
    let frames = (file.size.saturating_sub(head.len() as u64) / MP3_FRAME).max(1);
    Source::parts(head.freeze(), Middle::Repeat { block: frame.into(), left: frames * MP3_FRAME }, Bytes::new())
}

/// Four bytes of seven bits, as ID3 writes lengths.
fn put_synchsafe(into: &mut BytesMut, size: u32) {
    for shift in [21, 14, 7, 0] {
        into.put_u8((size >> shift & 0x7f) as u8);
    }
}
