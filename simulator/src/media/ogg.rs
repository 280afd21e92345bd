//! Ogg Opus files of any wanted size, valid for standard tools (RFC 3533, RFC 6716, RFC 7845).
//!
//! Silence: every packet is the same 20 ms frame in a code 3 packet, and Opus packet padding makes up the size. Owns
//! the page arithmetic that knows the exact length ahead. Must stay O(1) in memory: pages are made as they are sent.

use bytes::{BufMut, Bytes, BytesMut};
use crc::{Algorithm, Crc, Table};

use super::{File, Middle, Owner, Source};

/// The checksum of an Ogg page: not reflected, begins with zero (RFC 3533, section 6).
const OGG: Algorithm<u32> = Algorithm {
    width: 32,
    poly: 0x04c1_1db7,
    init: 0,
    refin: false,
    refout: false,
    xorout: 0,
    check: 0x89a1_897f,
    residue: 0,
};
const CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&OGG);

/// Fixed part of a page header, before the lacing values.
const HEADER: usize = 27;
/// The largest packet with a single lacing value.
const PACKET: usize = 254;
/// Packets of a full page: one second.
const PACKETS: usize = 50;
const PAGE: usize = HEADER + PACKETS + PACKETS * PACKET;
/// A page with one packet of three bytes, the smallest Opus packet with our frame.
const SMALLEST_PAGE: usize = HEADER + 1 + 3;
/// 20 ms at 48 kHz.
const SAMPLES: u64 = 960;
/// The encoder delay that libopus states; players drop it.
const PRE_SKIP: u16 = 312;
/// About 128 KB: large enough that a chunk costs little, small enough that many streams at once do.
const PAGES_A_CHUNK: u64 = 10;

const FIRST: u8 = 2;
const LAST: u8 = 4;

/// The audio pages that are still to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Pages {
    serial: u32,
    sequence: u32,
    granule: u64,
    full: u64,
    last: usize,
    /// Lacing values and packets of a full page: the same every time.
    body: Bytes,
}

/// The Ogg file of a recording.
pub(crate) fn file(owner: Owner<'_>, file: File) -> Source {
    let serial = CRC.checksum(owner.recording.as_bytes()) ^ file.number;
    let mut head = BytesMut::new();
    put_page(&mut head, FIRST, 0, serial, 0, &[&opus_head()]);
    put_page(&mut head, 0, 0, serial, 1, &[&opus_tags(owner, file.number)]);
    let pages = Pages::new(serial, file.size.saturating_sub(head.len() as u64));
    Source::parts(head.freeze(), Middle::Pages(pages), Bytes::new())
}

pub(super) fn opus_head() -> Vec<u8> {
    let mut head = Vec::from(*b"OpusHead");
    head.extend([1, 1]); // version, channels
    head.extend(PRE_SKIP.to_le_bytes());
    head.extend(48_000u32.to_le_bytes());
    head.extend([0, 0, 0]); // output gain, mapping family
    head
}

fn opus_tags(owner: Owner<'_>, number: u32) -> Vec<u8> {
    let comments = [
        format!("CONVERSATION={}", owner.conversation),
        format!("RECORDING={}", owner.recording),
        format!("PART={number}"),
    ];
    let mut tags = Vec::from(*b"OpusTags");
    let mut put = |text: &str| {
        tags.extend((text.len() as u32).to_le_bytes());
        tags.extend(text.as_bytes());
    };
    put("callvault simulator");
    tags.extend((comments.len() as u32).to_le_bytes());
    for comment in &comments {
        tags.extend((comment.len() as u32).to_le_bytes());
        tags.extend(comment.as_bytes());
    }
    tags
}

impl Pages {
    /// Pages that are `size` bytes together, or the smallest page if that is more.
    fn new(serial: u32, size: u64) -> Self {
        let size = size.max(SMALLEST_PAGE as u64);
        let (mut full, mut last) = (size / PAGE as u64, (size % PAGE as u64) as usize);
        if last < SMALLEST_PAGE && full > 0 {
            // Too little for a page of its own: the last page takes a full one's bytes too.
            full -= 1;
            last += PAGE;
        }
        let packet = packet(PACKET);
        let packets: Vec<&[u8]> = (0..PACKETS).map(|_| packet.as_slice()).collect();
        let mut body = BytesMut::new();
        put_body(&mut body, &packets);
        Self { serial, sequence: 2, granule: 0, full, last, body: body.freeze() }
    }

    pub(crate) fn length(&self) -> u64 {
        self.full * PAGE as u64 + self.last as u64
    }

    pub(crate) fn next(&mut self) -> Option<Bytes> {
        if self.full > 0 {
            let pages = self.full.min(PAGES_A_CHUNK);
            let mut chunk = BytesMut::with_capacity(pages as usize * PAGE);
            for _ in 0..pages {
                self.granule += SAMPLES * PACKETS as u64;
                let start = chunk.len();
                put_header(&mut chunk, 0, self.granule, self.serial, self.sequence, PACKETS as u8);
                chunk.put_slice(&self.body);
                seal(&mut chunk[start..]);
                self.sequence = self.sequence.wrapping_add(1);
            }
            self.full -= pages;
            return Some(chunk.freeze());
        }
        if self.last == 0 {
            return None;
        }
        let last = self.last_page();
        self.last = 0;
        Some(last)
    }

    /// Shares the bytes of the last page evenly among as few packets as can hold them.
    fn last_page(&self) -> Bytes {
        let bytes = self.last - HEADER;
        let count = bytes.div_ceil(PACKET + 1);
        let (each, more) = ((bytes - count) / count, (bytes - count) % count);
        let packets: Vec<Vec<u8>> = (0..count).map(|n| packet(each + usize::from(n < more))).collect();
        let packets: Vec<&[u8]> = packets.iter().map(Vec::as_slice).collect();
        let mut page = BytesMut::with_capacity(self.last);
        let granule = self.granule + SAMPLES * count as u64;
        put_page(&mut page, LAST, granule, self.serial, self.sequence, &packets);
        page.freeze()
    }
}

/// A 20 ms packet of silence (CELT, full band, mono) of exactly `size` bytes, 3 to 254.
pub(super) fn packet(size: usize) -> Vec<u8> {
    let mut packet = match size {
        0..=3 => vec![0xf8, 0xff, 0xfe],                     // code 0: the frame as it is
        4 => vec![0xfb, 0x01, 0xff, 0xfe],                   // code 3: one frame, no padding
        _ => vec![0xfb, 0x41, (size - 5) as u8, 0xff, 0xfe], // code 3 with padding
    };
    packet.resize(size.max(3), 0);
    packet
}

fn put_page(page: &mut BytesMut, flags: u8, granule: u64, serial: u32, sequence: u32, packets: &[&[u8]]) {
    let start = page.len();
    let lacing = packets.iter().map(|packet| packet.len() / 255 + 1).sum::<usize>();
    put_header(page, flags, granule, serial, sequence, lacing as u8);
    put_body(page, packets);
    seal(&mut page[start..]);
}

fn put_header(page: &mut BytesMut, flags: u8, granule: u64, serial: u32, seq: u32, lacing: u8) {
    page.put_slice(b"OggS\0");
    page.put_u8(flags);
    page.put_u64_le(granule);
    page.put_u32_le(serial);
    page.put_u32_le(seq);
    page.put_u32_le(0); // checksum, by `seal`
    page.put_u8(lacing);
}

fn put_body(page: &mut BytesMut, packets: &[&[u8]]) {
    for packet in packets {
        page.put_bytes(255, packet.len() / 255);
        page.put_u8((packet.len() % 255) as u8);
    }
    for packet in packets {
        page.put_slice(packet);
    }
}

/// Writes the checksum into a page that has zeros there.
fn seal(page: &mut [u8]) {
    let sum = CRC.checksum(page);
    page[22..26].copy_from_slice(&sum.to_le_bytes());
}
