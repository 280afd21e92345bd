//! The checksums of a body that goes to S3.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use callvault_pipeline::archive::cutter::Checksum;
use callvault_pipeline::archive::{Body, Proof, PutError, cutter};

/// A length and digests of a body.
#[derive(Debug, Clone)]
pub(super) struct Digests {
    /// What the ports speak of.
    pub(super) proof: Proof,
    /// CRC-64/NVME in Base64: the only checksum that S3 keeps of a whole object that came in parts.
    pub(super) crc64: Option<String>,
}

impl From<Proof> for Digests {
    fn from(proof: Proof) -> Self {
        Self { proof, crc64: None }
    }
}

/// Cuts a body.
pub(super) type Cutter = cutter::Cutter<Crc64>;

/// CRC-64/NVME.
pub(super) struct Crc64(crc_fast::Digest);

impl Checksum for Crc64 {
    fn see(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

/// Cuts `body`, whose source declared this length.
pub(super) fn cut(body: Body, declared: Option<u64>) -> Cutter {
    Cutter::new(body, declared, Crc64(crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme)))
}

/// Reads a body to its end and answers what it was.
///
/// # Errors
/// [`PutError::Body`]; [`PutError::Length`] when another length was declared.
pub(super) async fn finish(cutter: Cutter) -> Result<Digests, PutError> {
    let (proof, Crc64(crc64)) = cutter.finish().await?;
    Ok(Digests { proof, crc64: Some(BASE64_STANDARD.encode(crc64.finalize().to_be_bytes())) })
}
