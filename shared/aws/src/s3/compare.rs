//! Whether what is there is what was offered.

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::{ChecksumMode, ChecksumType};
use callvault_pipeline::archive::{Archive, ArchiveError, Prover};
use callvault_pipeline::layout::Key;
use futures_util::TryStreamExt;

use super::S3Archive;
use super::cutter::Digests;
use super::errors::{Meaning, archive_error, meaning};
use super::single::{SHA256, hex_of_base64};

impl S3Archive {
    /// Compares by length and by the checksum that S3 keeps; where that cannot decide, by reading what is there.
    ///
    /// # Errors
    /// [`ArchiveError`]; also when the object has been removed meanwhile.
    pub(super) async fn is_same(&self, key: &Key, offered: &Digests) -> Result<bool, ArchiveError> {
        let head = self.client.head_object().bucket(&self.bucket).key(self.path(key));
        match head.checksum_mode(ChecksumMode::Enabled).send().await {
            Ok(there) => match decide(&there, offered) {
                Some(same) => Ok(same),
                None => self.has_content(key, offered).await,
            },
            Err(error) if meaning(&error) == Meaning::Absent => Err(self.gone(key)),
            Err(error) => Err(archive_error(self.action("HeadObject", &self.url(key)), &error)),
        }
    }

    async fn has_content(&self, key: &Key, offered: &Digests) -> Result<bool, ArchiveError> {
        let Some(mut there) = self.read(key).await? else { return Err(self.gone(key)) };
        let mut prover = Prover::default();
        while let Some(piece) = there.try_next().await? {
            prover.update(&piece);
        }
        Ok(prover.finish(None).is_ok_and(|proof| proof == offered.proof))
    }

    fn gone(&self, key: &Key) -> ArchiveError {
        ArchiveError::Failed { detail: format!("{} was there and has been removed", self.url(key)) }
    }
}

/// What the answer to HEAD says; `None` when it does not say enough.
fn decide(there: &HeadObjectOutput, offered: &Digests) -> Option<bool> {
    let bytes = there.content_length().map(i64::unsigned_abs)?;
    if bytes != offered.proof.bytes {
        return Some(false);
    }
    // The checksum of an object in parts may be one over its parts' checksums: that says nothing about the whole.
    let whole = |kept: &str| there.checksum_type() != Some(&ChecksumType::Composite) && !kept.contains('-');
    if let Some(kept) = there.checksum_sha256().filter(|kept| whole(kept)) {
        return Some(hex_of_base64(kept)? == offered.proof.sha256);
    }
    if let (Some(kept), Some(ours)) = (there.checksum_crc64_nvme().filter(|kept| whole(kept)), &offered.crc64) {
        return Some(kept == ours);
    }
    there.metadata()?.get(SHA256).map(|kept| *kept == offered.proof.sha256)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use callvault_pipeline::archive::{Proof, prove};

    use super::*;

    const CONTENT: &[u8] = b"content";

    fn offered(crc64: Option<&str>) -> Digests {
        Digests { proof: prove(CONTENT), crc64: crc64.map(str::to_owned) }
    }

    fn sha256(proof: &Proof) -> String {
        let bytes: Vec<u8> =
            (0..64).step_by(2).map(|at| u8::from_str_radix(&proof.sha256[at..at + 2], 16).unwrap()).collect();
        BASE64_STANDARD.encode(bytes)
    }

    #[test]
    fn what_decides_and_what_does_not() {
        let there = || HeadObjectOutput::builder().content_length(7);
        let (same, other) = (sha256(&prove(CONTENT)), sha256(&prove(b"kontent")));
        let cases = [
            (there().content_length(8).checksum_sha256(&same), None, Some(false)),
            (there().checksum_sha256(&same), None, Some(true)),
            (there().checksum_sha256(&other), None, Some(false)),
            // A composite checksum is no digest of the whole.
            (there().checksum_sha256(format!("{other}-2")), None, None),
            (there().checksum_sha256(&other).checksum_type(ChecksumType::Composite), None, None),
            (there().checksum_crc64_nvme("AAAA"), Some("AAAA"), Some(true)),
            (there().checksum_crc64_nvme("AAAA"), Some("BBBB"), Some(false)),
            (there().checksum_crc64_nvme("AAAA"), None, None),
            (there().metadata(SHA256, prove(CONTENT).sha256), None, Some(true)),
            (there().metadata(SHA256, "else"), None, Some(false)),
            (there(), Some("AAAA"), None),
        ];
        for (n, (there, crc64, expected)) in cases.into_iter().enumerate() {
            assert_eq!(decide(&there.build(), &offered(crc64)), expected, "case {n}");
        }
    }
}
