//! Where rows and objects are kept, and how S3 writes them.

use std::path::PathBuf;

use super::reader::Reader;

/// Where the rows are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerPlace {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A table of DynamoDB.
    DynamoDb(String),
}

/// Where the objects are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArchivePlace {
    /// A folder.
    Folder(PathBuf),
    /// A bucket of S3.
    S3(Box<S3Place>),
}

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

impl ArchivePlace {
    /// A bucket's URL and `key` below its prefix; `None` for a folder, which has adapters of its own for that.
    pub fn s3_url(&self, key: &str) -> Option<String> {
        match self {
            Self::Folder(_) => None,
            Self::S3(place) if place.prefix.is_empty() => Some(format!("s3://{}/{key}", place.bucket)),
            Self::S3(place) => Some(format!("s3://{}/{}/{key}", place.bucket, place.prefix)),
        }
    }
}

pub(super) fn ledger(read: &mut Reader<'_>) -> LedgerPlace {
    let text = read.text("LEDGER").unwrap_or_else(|| "sqlite:callvault.sqlite".to_owned());
    let place = match text.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => {
            Some(LedgerPlace::Sqlite(path.strip_prefix("//").unwrap_or(path).into()))
        }
        Some(("dynamodb", table)) if is_table(table) => Some(LedgerPlace::DynamoDb(table.to_owned())),
        _ => None,
    };
    place.unwrap_or_else(|| {
        let expected = "sqlite:PATH, for instance sqlite:/var/lib/callvault/ledger.sqlite, or dynamodb:TABLE";
        read.fault("LEDGER", &text, expected);
        LedgerPlace::Sqlite(PathBuf::new())
    })
}

/// A table's name (DynamoDB developer guide, "Naming rules").
fn is_table(name: &str) -> bool {
    (3..=255).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

pub(super) fn archive(read: &mut Reader<'_>) -> ArchivePlace {
    let text = read.text("ARCHIVE").unwrap_or_else(|| "archive".to_owned());
    // Read whatever the archive is: a fault in them is a fault.
    let writes = S3Place {
        kms_key: kms_key(read),
        storage_class: storage_class(read),
        tags: tags(read),
        object_lock: object_lock(read),
        ..S3Place::default()
    };
    let place = match text.strip_prefix("s3://") {
        Some(rest) => {
            bucket(rest).map(|(bucket, prefix)| ArchivePlace::S3(Box::new(S3Place { bucket, prefix, ..writes })))
        }
        None => folder(&text).map(ArchivePlace::Folder),
    };
    place.unwrap_or_else(|| {
        read.fault("ARCHIVE", &text, "file:///PATH, the path of a folder, or s3://BUCKET/PREFIX");
        ArchivePlace::Folder(PathBuf::new())
    })
}

fn folder(text: &str) -> Option<PathBuf> {
    if text.starts_with("file:") {
        let url = url::Url::parse(text).ok().filter(|url| text.starts_with("file:///") && url.path().len() > 1);
        return url.and_then(|url| url.to_file_path().ok());
    }
    (!text.contains("://")).then(|| PathBuf::from(text))
}

/// Bucket and prefix. The name by S3's rules for general purpose buckets; the prefix of characters that need no care.
fn bucket(text: &str) -> Option<(String, String)> {
    let (bucket, prefix) = text.split_once('/').unwrap_or((text, ""));
    let prefix = prefix.trim_end_matches('/');
    let ends = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let legal = (3..=63).contains(&bucket.len())
        && bucket.bytes().all(|b| ends(b) || b == b'-' || b == b'.')
        && bucket.bytes().next().is_some_and(ends)
        && bucket.bytes().last().is_some_and(ends);
    let plain = |part: &str| {
        let plain = part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!-_.*'()=+@,".contains(&b));
        !part.is_empty() && part != "." && part != ".." && plain
    };
    let legal = legal && (prefix.is_empty() || prefix.split('/').all(plain));
    legal.then(|| (bucket.to_owned(), prefix.to_owned()))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The fault, or what was read.
    fn places(pairs: &[(&str, &str)]) -> Result<(LedgerPlace, ArchivePlace), String> {
        let lookup = |name: &str| pairs.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned());
        let mut read = Reader::new(&lookup);
        let places = (ledger(&mut read), archive(&mut read));
        read.finish(places).map_err(|faults| faults.to_string())
    }

    #[test]
    fn tables_and_buckets_are_places() {
        let (ledger, archive) =
            places(&[("LEDGER", "dynamodb:callvault-prod"), ("ARCHIVE", "s3://vault/a/b/")]).unwrap();
        assert_eq!(ledger, LedgerPlace::DynamoDb("callvault-prod".to_owned()));
        assert_eq!(archive.s3_url("k/x.ogg").unwrap(), "s3://vault/a/b/k/x.ogg");
        let (_, archive) = places(&[("ARCHIVE", "s3://vault")]).unwrap();
        assert_eq!(archive.s3_url("").unwrap(), "s3://vault/");
    }

    #[test]
    fn what_is_no_table_or_bucket_is_a_fault() {
        for ledger in ["dynamodb:", "dynamodb:ab", "dynamodb:a/b", "dynamodb:arn:aws:x", "sqlite:", "postgres:x", "x"] {
            assert!(places(&[("LEDGER", ledger)]).unwrap_err().starts_with("LEDGER is "), "{ledger}");
        }
        for archive in
            ["s3://", "s3://ab", "s3://Vault", "s3://-vault", "s3://vault//a", "s3://vault/a b", "s3://vault/../x"]
        {
            assert!(places(&[("ARCHIVE", archive)]).unwrap_err().starts_with("ARCHIVE is "), "{archive}");
        }
    }

    #[test]
    fn s3_writes_as_the_settings_say() {
        let (_, archive) = places(&[
            ("ARCHIVE", "s3://vault"),
            ("S3_KMS_KEY_ID", "arn:aws:kms:eu-west-1:123456789012:key/0a-1b"),
            ("S3_STORAGE_CLASS", "STANDARD_IA"),
            ("S3_TAGS", "team=quality, class=a=b"),
            ("S3_OBJECT_LOCK_MODE", "compliance"),
            ("S3_OBJECT_LOCK_DAYS", "30"),
        ])
        .unwrap();
        let ArchivePlace::S3(place) = archive else { panic!("{archive:?}") };
        assert_eq!(place.tags, [("team".into(), "quality".into()), ("class".into(), "a=b".into())]);
        assert_eq!(place.object_lock, Some(ObjectLock { mode: LockMode::Compliance, days: 30 }));
        assert_eq!(place.storage_class.as_deref(), Some("STANDARD_IA"));
        let unlocked = [("ARCHIVE", "s3://vault"), ("S3_OBJECT_LOCK_MODE", "GOVERNANCE"), ("S3_OBJECT_LOCK_DAYS", "0")];
        let ArchivePlace::S3(place) = places(&unlocked).unwrap().1 else { panic!("no bucket") };
        assert_eq!(place.object_lock, None);
    }

    #[test]
    fn tags_that_s3_would_refuse_are_faults() {
        let eleven = (0..11).map(|n| format!("t{n}=x")).collect::<Vec<_>>().join(",");
        for tags in ["team", "=x", "a=<b>", "a=1,a=2", eleven.as_str()] {
            assert!(places(&[("S3_TAGS", tags)]).unwrap_err().starts_with("S3_TAGS is "), "{tags}");
        }
    }
}
