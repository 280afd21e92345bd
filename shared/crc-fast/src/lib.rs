//! The three checksums that S3 knows, in the place of the crate of this name.
//!
//! The AWS SDK computes checksums with `crc-fast`, whose tables for two dozen algorithms are 650 kB that hardly
//! compress: 0.44 MB of every function's zip, for three that S3 knows. The workspace's `[patch.crates-io]` puts this in
//! its place, with as much of its interface as the SDK uses. Should the SDK come to use more, it does not compile.
//!
//! It computes with tables of 16 lanes, in plain code: what the processor's own instructions would do faster, but no
//! network is that fast. Must never answer for an algorithm it does not know: there is no such variant.

use crc::{CRC_32_ISCSI, CRC_32_ISO_HDLC, CRC_64_NVME, Crc, Table};

static CRC_32: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);
static CRC_32C: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);
static CRC_64: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_NVME);

/// Which checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrcAlgorithm {
    /// S3's `CRC32`.
    Crc32IsoHdlc,
    /// S3's `CRC32C`.
    Crc32Iscsi,
    /// S3's `CRC64NVME`.
    Crc64Nvme,
}

/// A checksum of what has come so far.
#[derive(Clone)]
pub struct Digest(State);

#[derive(Clone)]
enum State {
    Narrow(crc::Digest<'static, u32, Table<16>>),
    Wide(crc::Digest<'static, u64, Table<16>>),
}

impl Digest {
    /// Of nothing yet.
    #[must_use]
    pub fn new(algorithm: CrcAlgorithm) -> Self {
        Self(match algorithm {
            CrcAlgorithm::Crc32IsoHdlc => State::Narrow(CRC_32.digest()),
            CrcAlgorithm::Crc32Iscsi => State::Narrow(CRC_32C.digest()),
            CrcAlgorithm::Crc64Nvme => State::Wide(CRC_64.digest()),
        })
    }

    /// Takes the next bytes.
    pub fn update(&mut self, data: &[u8]) {
        match &mut self.0 {
            State::Narrow(digest) => digest.update(data),
            State::Wide(digest) => digest.update(data),
        }
    }

    /// The checksum; one of 32 bits in the lower half.
    #[must_use]
    pub fn finalize(&self) -> u64 {
        match &self.0 {
            State::Narrow(digest) => digest.clone().finalize().into(),
            State::Wide(digest) => digest.clone().finalize(),
        }
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Digest").field(&self.finalize()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of the catalogue of parametrised CRC algorithms (reveng.sourceforge.io), which are those of the
    /// digits from 1 to 9.
    #[test]
    fn the_catalogue_agrees() {
        for (algorithm, check) in [
            (CrcAlgorithm::Crc32IsoHdlc, 0xcbf4_3926),
            (CrcAlgorithm::Crc32Iscsi, 0xe306_9283),
            (CrcAlgorithm::Crc64Nvme, 0xae8b_1486_0a79_9888),
        ] {
            let mut digest = Digest::new(algorithm);
            digest.update(b"1234");
            let half = digest.clone();
            digest.update(b"56789");
            assert_eq!(digest.finalize(), check, "{algorithm:?}");
            assert_ne!(half.finalize(), check, "a clone goes its own way");
        }
    }

    /// RFC 3720, B.4: CRC-32C of 32 bytes of zeros, and of ones. Longer than a lane, in pieces that are not.
    #[test]
    fn pieces_do_not_matter() {
        for (byte, check) in [(0x00, 0x8a91_36aa), (0xff, 0x62a8_ab43)] {
            for piece in [1, 5, 16, 17, 32] {
                let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
                [byte; 32].chunks(piece).for_each(|piece| digest.update(piece));
                assert_eq!(digest.finalize(), check, "{byte:x} in pieces of {piece}");
            }
        }
    }
}
