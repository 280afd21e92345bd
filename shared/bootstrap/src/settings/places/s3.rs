//! A bucket of S3 or of a store that speaks its protocol, and how objects are written there.

use super::super::reader::Reader;
use super::names::{bucket, endpoint};

/// A bucket, and how objects are written there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct S3Place {
    /// Its name.
    pub bucket: String,
    /// Before every key, without slashes at its ends; may be empty.
    pub prefix: String,
    /// Encrypts with this key of KMS; `None` leaves it to the bucket.
    pub kms_key: Option<String>,
    /// S3's word for the class; `None` leaves it to the bucket.
    pub storage_class: Option<String>,
    /// Tags of every object.
    pub tags: Vec<(String, String)>,
    /// How long what is written once cannot be removed.
    pub object_lock: Option<ObjectLock>,
    /// Another store's address; `None` for AWS.
    pub endpoint: Option<String>,
    /// Puts the bucket's name into the path instead of the host.
    pub path_style: bool,
}

/// Retention of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectLock {
    /// Whom it binds.
    pub mode: LockMode,
    /// For how many days.
    pub days: u32,
}

/// Whom a lock binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// Everybody but those who have a permission of their own for it.
    Governance,
    /// Everybody.
    Compliance,
}

/// Classes whose objects are read at once. What must be restored first could not be compared with what comes again.
const CLASSES: [&str; 5] = ["STANDARD", "INTELLIGENT_TIERING", "STANDARD_IA", "ONEZONE_IA", "GLACIER_IR"];

/// S3 takes no more tags of one object (S3 user guide, "Categorizing your storage using tags").
const MOST_TAGS: usize = 10;

/// Everything but bucket and prefix.
pub(super) fn writes(read: &mut Reader<'_>) -> S3Place {
    S3Place {
        kms_key: kms_key(read),
        storage_class: storage_class(read),
        tags: tags(read),
        object_lock: object_lock(read),
        endpoint: endpoint(
            read,
            "S3_ENDPOINT",
            "the address of a store that speaks S3, such as https://s3.example.com",
        ),
        path_style: read.yes_or_no("S3_PATH_STYLE", false),
        ..S3Place::default()
    }
}

/// What `s3://` is followed by.
pub(super) fn place(rest: &str, writes: S3Place) -> Result<S3Place, &'static str> {
    let (bucket, prefix) = bucket(rest)?;
    Ok(S3Place { bucket, prefix, ..writes })
}

fn kms_key(read: &mut Reader<'_>) -> Option<String> {
    let key = read.text("S3_KMS_KEY_ID")?;
    if !key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_:/".contains(&b)) {
        read.fault("S3_KMS_KEY_ID", &key, "the id, alias or ARN of a KMS key");
    }
    Some(key)
}

fn storage_class(read: &mut Reader<'_>) -> Option<String> {
    let class = read.text("S3_STORAGE_CLASS")?;
    if !CLASSES.contains(&class.as_str()) {
        read.fault("S3_STORAGE_CLASS", &class, &format!("one of {}", CLASSES.join(", ")));
    }
    Some(class)
}

fn tags(read: &mut Reader<'_>) -> Vec<(String, String)> {
    let legal = |text: &str| text.chars().all(|c| c.is_alphanumeric() || " +-=._:/@".contains(c));
    let expected = "up to 10 tags such as team=quality,class=recording";
    let tags = read.list("S3_TAGS", expected, |text| {
        let (name, value) = text.split_once('=')?;
        let fits = (1..=128).contains(&name.chars().count()) && value.chars().count() <= 256;
        (fits && legal(name) && legal(value)).then(|| (name.to_owned(), value.to_owned()))
    });
    let names: std::collections::BTreeSet<_> = tags.iter().map(|(name, _)| name).collect();
    if tags.len() > MOST_TAGS || names.len() < tags.len() {
        read.fault("S3_TAGS", &read.text("S3_TAGS").unwrap_or_default(), &format!("{expected}, each name once"));
    }
    tags
}

/// No days, no lock: a template may always name a mode.
fn object_lock(read: &mut Reader<'_>) -> Option<ObjectLock> {
    let modes = [("GOVERNANCE", LockMode::Governance), ("COMPLIANCE", LockMode::Compliance)];
    let mode = read.word("S3_OBJECT_LOCK_MODE", &modes);
    // A century: S3's own limit for default retention.
    let days = read.number("S3_OBJECT_LOCK_DAYS", 0, 36_500, 0) as u32;
    (days > 0).then_some(ObjectLock { mode, days })
}
