//! How objects are written, as settings say it.

use aws_sdk_s3::types::{ObjectLockMode, ServerSideEncryption, StorageClass};
use jiff::{SignedDuration, Timestamp};

/// How long an object may not be removed, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// Until then only who has `s3:BypassGovernanceRetention` may remove it.
    Governance,
    /// Until then nobody may remove it, not even the account's owner.
    Compliance,
}

/// S3 Object Lock, for what is written once: recordings and manifests. The bucket must have it enabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectLock {
    /// Whom it binds.
    pub mode: LockMode,
    /// For how many days from the moment of writing.
    pub days: u32,
}

/// Sizes, in bytes, of what is sent at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct S3Sizes {
    /// Bodies of a declared length up to this are held in memory, so that the SDK can send them again.
    pub buffered: u64,
    /// Bodies of a declared length up to this are one PUT, streamed; longer ones are sent in parts.
    pub single: u64,
    /// Least size of a part. S3 wants at least 5 MiB and at most 10,000 parts: parts of very large objects are larger.
    pub part: usize,
    /// Parts in memory at the same time, of all uploads of this archive together.
    pub part_buffers: usize,
}

impl Default for S3Sizes {
    /// 64 uploads at once hold at most 64 x 256 KiB + 3 x 8 MiB.
    fn default() -> Self {
        Self { buffered: 256 * 1024, single: 16 * 1024 * 1024, part: 8 * 1024 * 1024, part_buffers: 3 }
    }
}

/// How objects are written.
#[derive(Debug, Clone, Default)]
pub struct S3Options {
    /// Encrypts with this KMS key (id, ARN or alias), and asks for a bucket key. `None`: as the bucket says.
    pub kms_key: Option<String>,
    /// S3's word for the storage class, such as `STANDARD_IA`. `None`: as the bucket says.
    pub storage_class: Option<String>,
    /// Tags of every object: names and values, as they are.
    pub tags: Vec<(String, String)>,
    /// Keeps what is written once from being removed.
    pub object_lock: Option<ObjectLock>,
    /// Puts the bucket's name into the path instead of the host: for stores that are not AWS's.
    pub path_style: bool,
    /// Another store's address. `None`: AWS's, or what the SDK's configuration says.
    pub endpoint: Option<String>,
    /// Sizes.
    pub sizes: S3Sizes,
}

impl S3Options {
    pub(super) fn encryption(&self) -> Option<ServerSideEncryption> {
        self.kms_key.as_ref().map(|_| ServerSideEncryption::AwsKms)
    }

    pub(super) fn class(&self) -> Option<StorageClass> {
        self.storage_class.as_deref().map(StorageClass::from)
    }

    /// Tags as the header wants them: a query string. `None` without tags: the header needs a permission of its own.
    pub(super) fn tagging(&self) -> Option<String> {
        if self.tags.is_empty() {
            return None;
        }
        let pairs = self.tags.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
        Some(pairs.collect::<Vec<_>>().join("&"))
    }
}

impl ObjectLock {
    pub(super) fn mode(self) -> ObjectLockMode {
        match self.mode {
            LockMode::Governance => ObjectLockMode::Governance,
            LockMode::Compliance => ObjectLockMode::Compliance,
        }
    }

    /// Until when an object that is written at `now` is kept.
    pub(super) fn until(self, now: Timestamp) -> aws_sdk_s3::primitives::DateTime {
        let until = now.saturating_add(SignedDuration::from_hours(24 * i64::from(self.days)));
        aws_sdk_s3::primitives::DateTime::from_secs(until.unwrap_or(Timestamp::MAX).as_second())
    }
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
fn encode(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_survive_the_header() {
        let tags = vec![("cost centre".to_owned(), "a+b=c&d".to_owned()), ("umlaut".to_owned(), "ü".to_owned())];
        let options = S3Options { tags, ..S3Options::default() };
        assert_eq!(options.tagging().unwrap(), "cost%20centre=a%2Bb%3Dc%26d&umlaut=%C3%BC");
        assert_eq!(S3Options::default().tagging(), None);
    }

    #[test]
    fn a_lock_counts_days_from_now() {
        let lock = ObjectLock { mode: LockMode::Compliance, days: 30 };
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let until: Timestamp = "2026-03-31T12:00:00Z".parse().unwrap();
        assert_eq!(lock.until(now).secs(), until.as_second());
        let forever = ObjectLock { mode: LockMode::Compliance, days: u32::MAX };
        assert_eq!(forever.until(now).secs(), Timestamp::MAX.as_second());
    }
}
