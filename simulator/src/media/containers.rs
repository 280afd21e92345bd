//! WAV, WebM, zipped e-mail and the unknown type: small true structure, with the size made up by padding.
//!
//! Owns their byte layouts. Standard tools must be able to open every one of them except the unknown type.

use bytes::{BufMut, Bytes, BytesMut};
use crc::{CRC_32_ISO_HDLC, Crc, Table};

use super::{File, Middle, Owner, Source, text};
use crate::chance::Chance;

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
const ZIP_CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);

/// RIFF and zip hold lengths in 32 bits.
pub(super) const LARGEST: u64 = u32::MAX as u64 - 4096;

pub(super) fn zeros(left: u64) -> Middle {
    Middle::Repeat { block: Bytes::from_static(&ZEROS), left }
}

pub(super) fn label(owner: Owner<'_>, file: File) -> String {
    format!("conversation {} recording {} part {}", owner.conversation, owner.recording, file.number)
}

/// RIFF WAVE, 16 bit mono at 8 kHz, silent. Chunks are even, so an odd size is rounded down.
pub(crate) fn wav(owner: Owner<'_>, file: File) -> Source {
    let mut comment = label(owner, file).into_bytes();
    comment.push(0);
    comment.resize(comment.len().next_multiple_of(2), 0);
    let mut head = BytesMut::new();
    let fixed = 12 + 24 + (8 + 4 + 8 + comment.len()) + 8;
    let data = (file.size.min(LARGEST).saturating_sub(fixed as u64) / 2 * 2) as u32;
    head.put_slice(b"RIFF");
    head.put_u32_le(fixed as u32 - 8 + data);
    head.put_slice(b"WAVEfmt ");
    head.put_u32_le(16);
    head.put_u16_le(1); // PCM
    head.put_u16_le(1); // mono
    head.put_u32_le(8_000);
    head.put_u32_le(16_000); // bytes a second
    head.put_u16_le(2); // bytes a sample
    head.put_u16_le(16); // bits a sample
    head.put_slice(b"LIST");
    head.put_u32_le(4 + 8 + comment.len() as u32);
    head.put_slice(b"INFOICMT");
    head.put_u32_le(comment.len() as u32);
    head.put_slice(&comment);
    head.put_slice(b"data");
    head.put_u32_le(data);
    Source::parts(head.freeze(), zeros(u64::from(data)), Bytes::new())
}

/// One black VP8 key frame of 64 by 48.
const BLACK: [u8; 36] = [
    0xb0, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x00, 0x30, 0x00, 0x00, 0x47, 0x08, 0x85, 0x85, 0x88, 0x85, 0x84, 0x88,
    0x02, 0x02, 0x00, 0x06, 0x8e, 0x4f, 0xcc, 0xc7, 0x9b, 0xf1, 0x58, 0x00, 0xfe, 0xff, 0xab, 0x50, 0x80,
];

/// WebM with one black picture.
pub(crate) fn webm(owner: Owner<'_>, file: File) -> Source {
    let video = element(&[0xe0], &[element(&[0xb0], &[64]), element(&[0xba], &[48])].concat());
    let track = [
        element(&[0xd7], &[1]),
        element(&[0x73, 0xc5], &[1]),
        element(&[0x83], &[1]),
        element(&[0x86], b"V_VP8"),
        video,
    ];
    matroska(owner, file, &track.concat(), &BLACK)
}

/// WebM with one track that has one frame; a Void element makes up the size.
pub(super) fn matroska(owner: Owner<'_>, file: File, track: &[u8], frame: &[u8]) -> Source {
    let header = element(
        &[0x1a, 0x45, 0xdf, 0xa3],
        &[
            element(&[0x42, 0x86], &[1]),
            element(&[0x42, 0xf7], &[1]),
            element(&[0x42, 0xf2], &[4]),
            element(&[0x42, 0xf3], &[8]),
            element(&[0x42, 0x82], b"webm"),
            element(&[0x42, 0x87], &[2]),
            element(&[0x42, 0x85], &[2]),
        ]
        .concat(),
    );
    let info = element(
        &[0x15, 0x49, 0xa9, 0x66],
        &[
            element(&[0x2a, 0xd7, 0xb1], &1_000_000u32.to_be_bytes()),
            element(&[0x44, 0x89], &1000f64.to_be_bytes()),
            element(&[0x7b, 0xa9], label(owner, file).as_bytes()),
            element(&[0x4d, 0x80], b"callvault simulator"),
            element(&[0x57, 0x41], b"callvault simulator"),
        ]
        .concat(),
    );
    let tracks = element(&[0x16, 0x54, 0xae, 0x6b], &element(&[0xae], track));
    let block = [&[0x81, 0, 0, 0x80][..], frame].concat();
    let cluster = element(&[0x1f, 0x43, 0xb6, 0x75], &[element(&[0xe7], &[0]), element(&[0xa3], &block)].concat());
    let void_head = 9; // id, and eight bytes of size
    let fixed = header.len() + 12 + info.len() + tracks.len() + void_head + cluster.len();
    let padding = file.size.saturating_sub(fixed as u64);

    let mut head = BytesMut::from(header.as_slice());
    head.put_slice(&[0x18, 0x53, 0x80, 0x67]);
    head.put_u64(LONG_SIZE | ((fixed - header.len() - 12) as u64 + padding));
    head.put_slice(&info);
    head.put_slice(&tracks);
    head.put_u8(0xec);
    head.put_u64(LONG_SIZE | padding);
    Source::parts(head.freeze(), zeros(padding), cluster.into())
}

/// Marks an EBML size of eight bytes.
const LONG_SIZE: u64 = 1 << 56;

/// An EBML element with a size of up to 14 bits.
pub(super) fn element(id: &[u8], content: &[u8]) -> Vec<u8> {
    let size = 0x4000 | content.len() as u16;
    [id, &size.to_be_bytes(), content].concat()
}

/// A zip with one stored `message.eml`. Beyond the largest message, unused bytes before the central directory (where
/// signing blocks live in other people's zips) make up the size.
pub(crate) fn email(owner: Owner<'_>, file: File) -> Source {
    const NAME: &[u8] = b"message.eml";
    let fixed = (30 + NAME.len() + 46 + NAME.len() + 22) as u64;
    let message = text::email(owner, file, file.size.saturating_sub(fixed));
    let used = fixed + message.len() as u64;
    let gap = file.size.min(LARGEST).saturating_sub(used);

    let mut common = BytesMut::new();
    common.put_u16_le(20); // version needed
    common.put_u16_le(0); // flags
    common.put_u16_le(0); // stored
    common.put_u32_le(0x5a21_0000); // 2025-01-01 00:00
    common.put_u32_le(ZIP_CRC.checksum(message.as_bytes()));
    common.put_u32_le(message.len() as u32);
    common.put_u32_le(message.len() as u32);
    common.put_u16_le(NAME.len() as u16);
    common.put_u16_le(0); // extra

    let mut head = BytesMut::from(&b"PK\x03\x04"[..]);
    head.put_slice(&common);
    head.put_slice(NAME);
    head.put_slice(message.as_bytes());
    let directory = head.len() as u64 + gap;

    let mut tail = BytesMut::from(&b"PK\x01\x02"[..]);
    tail.put_u16_le(20); // made by
    tail.put_slice(&common);
    tail.put_bytes(0, 2 + 2 + 2 + 4 + 4); // comment, disk, attributes, offset of the entry
    tail.put_slice(NAME);
    let size = tail.len() as u32;
    tail.put_slice(b"PK\x05\x06");
    tail.put_u32_le(0); // disks
    tail.put_u16_le(1);
    tail.put_u16_le(1);
    tail.put_u32_le(size);
    tail.put_u32_le(directory as u32);
    tail.put_u16_le(0);
    Source::parts(head.freeze(), zeros(gap), tail.freeze())
}

/// Something with a magic number of its own, and noise.
pub(crate) fn unknown(owner: Owner<'_>, file: File) -> Source {
    let head = format!("GPRI\u{1}{}\n", label(owner, file));
    let mut chance = Chance::new(u64::from(file.number), owner.recording);
    let noise: Vec<u8> = (0..2048).flat_map(|_| chance.next().to_le_bytes()).collect();
    let left = file.size.saturating_sub(head.len() as u64);
    Source::parts(head.into(), Middle::Repeat { block: noise.into(), left }, Bytes::new())
}
