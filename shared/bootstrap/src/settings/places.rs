//! Where rows and objects are kept: the one place that reads `LEDGER` and `ARCHIVE`.
//!
//! | module | owns |
//! |---|---|
//! | `names` | what stores accept as names and prefixes; addresses |
//! | `s3` | how S3 writes |
//! | `clouds` | Azure and Google Cloud: places, and who writes there |

mod clouds;
mod names;
mod s3;

use std::path::PathBuf;

use super::reader::Reader;
pub use clouds::{Application, AzurePlace, AzureSignIn, CloudSignIn, GooglePlace, GoogleSignIn};
pub use s3::{LockMode, ObjectLock, S3Place};

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
    /// A container of Azure.
    Azure(AzurePlace),
    /// A bucket of Google Cloud.
    Google(GooglePlace),
}

impl ArchivePlace {
    /// The URL of `key` there; `None` for a folder, which has adapters of its own for that.
    pub fn url(&self, key: &str) -> Option<String> {
        let (place, prefix) = match self {
            Self::Folder(_) => return None,
            Self::S3(place) => (format!("s3://{}", place.bucket), &place.prefix),
            Self::Azure(place) => (format!("az://{}/{}", place.account, place.container), &place.prefix),
            Self::Google(place) => (format!("gs://{}", place.bucket), &place.prefix),
        };
        Some(if prefix.is_empty() { format!("{place}/{key}") } else { format!("{place}/{prefix}/{key}") })
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

/// The table of calls, where one is named.
pub(super) fn calls_table(read: &mut Reader<'_>) -> Option<String> {
    let name = read.text("CALLS_TABLE")?;
    if !is_table(&name) {
        read.fault("CALLS_TABLE", &name, "the name of a table of DynamoDB, as in the stack's output CallsTableName");
    }
    Some(name)
}

/// A table's name (DynamoDB developer guide, "Naming rules").
fn is_table(name: &str) -> bool {
    (3..=255).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

/// The archive, and who writes there where that is not the machine's or AWS's business.
pub(super) fn archive(read: &mut Reader<'_>) -> (ArchivePlace, CloudSignIn) {
    let text = read.text("ARCHIVE").unwrap_or_else(|| "archive".to_owned());
    // Read whatever the archive is: a fault in them is a fault.
    let writes = s3::writes(read);
    let place = match text.split_once("://") {
        Some(("s3", rest)) => s3::place(rest, writes).map(|place| ArchivePlace::S3(Box::new(place))),
        Some(("az", rest)) => clouds::azure(read, rest).map(ArchivePlace::Azure),
        Some(("gs", rest)) => clouds::google(read, rest).map(ArchivePlace::Google),
        _ => folder(&text).map(ArchivePlace::Folder).ok_or(
            "file:///PATH, the path of a folder, s3://BUCKET/PREFIX, az://ACCOUNT/CONTAINER/PREFIX or gs://BUCKET/PREFIX",
        ),
    };
    match place {
        Ok(place) => {
            let sign_in = match &place {
                ArchivePlace::Azure(azure) => CloudSignIn::Azure(clouds::azure_sign_in(read, azure)),
                ArchivePlace::Google(google) => CloudSignIn::Google(clouds::google_sign_in(read, google)),
                ArchivePlace::Folder(_) | ArchivePlace::S3(_) => CloudSignIn::None,
            };
            (place, sign_in)
        }
        Err(expected) => {
            read.fault("ARCHIVE", &text, expected);
            (ArchivePlace::Folder(PathBuf::new()), CloudSignIn::None)
        }
    }
}

fn folder(text: &str) -> Option<PathBuf> {
    if text.starts_with("file:") {
        let url = url::Url::parse(text).ok().filter(|url| text.starts_with("file:///") && url.path().len() > 1);
        return url.and_then(|url| url.to_file_path().ok());
    }
    (!text.contains("://")).then(|| PathBuf::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fault, or what was read.
    fn places(pairs: &[(&str, &str)]) -> Result<(LedgerPlace, ArchivePlace), String> {
        let lookup = |name: &str| pairs.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned());
        let mut read = Reader::new(&lookup);
        let places = (ledger(&mut read), archive(&mut read).0);
        read.finish(places).map_err(|faults| faults.to_string())
    }

    #[test]
    fn tables_and_buckets_are_places() {
        let (ledger, archive) =
            places(&[("LEDGER", "dynamodb:callvault-prod"), ("ARCHIVE", "s3://vault/a/b/")]).unwrap();
        assert_eq!(ledger, LedgerPlace::DynamoDb("callvault-prod".to_owned()));
        assert_eq!(archive.url("k/x.ogg").unwrap(), "s3://vault/a/b/k/x.ogg");
        let (_, archive) = places(&[("ARCHIVE", "s3://vault")]).unwrap();
        assert_eq!(archive.url("").unwrap(), "s3://vault/");
    }

    #[test]
    fn what_is_no_table_or_bucket_is_a_fault() {
        for ledger in ["dynamodb:", "dynamodb:ab", "dynamodb:a/b", "dynamodb:arn:aws:x", "sqlite:", "postgres:x", "x"] {
            assert!(places(&[("LEDGER", ledger)]).unwrap_err().starts_with("LEDGER is "), "{ledger}");
        }
        for archive in [
            "s3://",
            "s3://ab",
            "s3://Vault",
            "s3://-vault",
            "s3://vault//a",
            "s3://vault/a b",
            "s3://vault/../x",
            "s3://1.2.3.4",
        ] {
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

    #[test]
    fn containers_and_buckets_of_other_clouds_are_places() {
        let url = |archive: &str| places(&[("ARCHIVE", archive)]).unwrap().1.url("k").unwrap();
        assert_eq!(url("az://acct1/recordings/a/b=c/"), "az://acct1/recordings/a/b=c/k");
        assert_eq!(url("az://acct1/recordings"), "az://acct1/recordings/k");
        assert_eq!(url("gs://my.bucket_1/p"), "gs://my.bucket_1/p/k");
    }

    #[test]
    fn names_that_a_cloud_would_refuse_are_faults_that_say_why() {
        let long = format!("gs://bucket/{}", "x".repeat(121));
        let cases = [
            ("az://ab/container", "an account of 3 to 24"),
            ("az://Account/container", "an account of 3 to 24"),
            ("az://acct1", "a container of 3 to 63"),
            ("az://acct1/Con", "a container of 3 to 63"),
            ("az://acct1/con--tainer", "single hyphens"),
            ("az://acct1/container/a./b", "do not end with a dot"),
            ("az://acct1/container/a b", "a prefix of up to 120"),
            ("gs://ab", "a bucket of 3 to 63"),
            ("gs://-bucket", "a bucket of 3 to 63"),
            ("gs://192.168.5.4", "a bucket of 3 to 63"),
            ("gs://goog-bucket", "goog"),
            ("gs://my-google-bucket", "google"),
            ("gs://bucket/../x", "a prefix of up to 120"),
            ("gs://bucket/.well-known/acme-challenge/x", "which Google keeps"),
            (long.as_str(), "a prefix of up to 120"),
            ("ftp://x", "az://ACCOUNT/CONTAINER/PREFIX"),
        ];
        for (archive, words) in cases {
            let fault = places(&[("ARCHIVE", archive)]).unwrap_err();
            assert!(
                fault.starts_with("ARCHIVE is ") && fault.contains(words) && !fault.contains('\n'),
                "{archive}: {fault}"
            );
        }
        let signed = places(&[("ARCHIVE", "az://acct1/con/p?sv=1&sig=planted")]).unwrap_err();
        assert!(!signed.contains("planted"), "{signed}");
    }

    fn sign_in(archive: &str, pairs: &[(&str, &str)]) -> Result<CloudSignIn, String> {
        let lookup = |name: &str| match name {
            "ARCHIVE" => Some(archive.to_owned()),
            _ => pairs.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned()),
        };
        let mut read = Reader::new(&lookup);
        let sign_in = archive_of(&mut read);
        read.finish(sign_in).map_err(|faults| faults.to_string())
    }

    fn archive_of(read: &mut Reader<'_>) -> CloudSignIn {
        archive(read).1
    }

    #[test]
    fn azure_signs_in_with_what_is_set() {
        let azure = |pairs: &[(&str, &str)]| match sign_in("az://acct1/con", pairs).unwrap() {
            CloudSignIn::Azure(AzureSignIn::Key(_)) => "key",
            CloudSignIn::Azure(AzureSignIn::Sas(_)) => "sas",
            CloudSignIn::Azure(AzureSignIn::ClientSecret { .. }) => "secret",
            CloudSignIn::Azure(AzureSignIn::Workload { .. }) => "workload",
            CloudSignIn::Azure(AzureSignIn::Managed { client: Some(_), .. }) => "managed, one of several",
            CloudSignIn::Azure(AzureSignIn::Managed { client: None, .. }) => "managed",
            CloudSignIn::Azure(AzureSignIn::Cli) => "cli",
            CloudSignIn::Azure(AzureSignIn::Found) => "found",
            other => panic!("{other:?}"),
        };
        let (tenant, client) = (("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c"));
        let (secret, file) = (("AZURE_CLIENT_SECRET", "s"), ("AZURE_FEDERATED_TOKEN_FILE", "/f"));
        assert_eq!(azure(&[("AZURE_STORAGE_ACCOUNT_KEY", "a"), tenant, client, secret]), "key");
        assert_eq!(azure(&[("AZURE_STORAGE_KEY", "a")]), "key");
        assert_eq!(azure(&[("AZURE_STORAGE_SAS_TOKEN", "sv=1&sig=2")]), "sas");
        assert_eq!(azure(&[tenant, client, secret]), "secret");
        assert_eq!(azure(&[tenant, client, secret, file]), "workload");
        assert_eq!(azure(&[client]), "managed, one of several");
        assert_eq!(azure(&[("IDENTITY_ENDPOINT", "http://169.254.129.1/x")]), "managed");
        assert_eq!(azure(&[("AZURE_TOKEN_CREDENTIALS", "dev")]), "cli");
        assert_eq!(azure(&[("AZURE_TOKEN_CREDENTIALS", "prod")]), "managed");
        assert_eq!(azure(&[]), "found");
        let faults = sign_in("az://acct1/con", &[secret]).unwrap_err();
        assert!(
            faults.contains("AZURE_TENANT_ID is not set") && faults.contains("AZURE_CLIENT_ID is not set"),
            "{faults}"
        );
        let both = [("AZURE_STORAGE_ACCOUNT_KEY", "planted"), ("AZURE_STORAGE_SAS_TOKEN", "planted")];
        let faults = sign_in("az://acct1/con", &both).unwrap_err();
        assert!(faults.starts_with("AZURE_STORAGE_SAS_TOKEN is set beside") && !faults.contains("planted"), "{faults}");
        // What belongs to other tools is nobody's fault where the archive is somewhere else.
        assert!(matches!(
            sign_in("s3://bucket", &[secret, ("STORAGE_EMULATOR_HOST", "h")]).unwrap(),
            CloudSignIn::None
        ));
    }

    #[test]
    fn emulators_are_on_this_machine_only() {
        let place = |pairs: &[(&str, &str)]| places(pairs).map(|places| places.1);
        let azure = ("ARCHIVE", "az://devstoreaccount1/con");
        let ArchivePlace::Azure(emulated) =
            place(&[azure, ("AZURITE_BLOB_STORAGE_URL", "http://127.0.0.1:10000/")]).unwrap()
        else {
            panic!("no container")
        };
        assert_eq!(emulated.endpoint.as_deref(), Some("http://127.0.0.1:10000/devstoreaccount1"));
        for (name, archive) in [
            ("AZURITE_BLOB_STORAGE_URL", "az://acct1/con"),
            ("AZURE_STORAGE_ENDPOINT", "az://acct1/con"),
            ("STORAGE_EMULATOR_HOST", "gs://bucket"),
            ("S3_ENDPOINT", "s3://bucket"),
        ] {
            for wrong in [
                "http://example.com",
                "https://u:planted@example.com",
                "http://127.0.0.1:1/path",
                "http://127.0.0.1?x=planted",
            ] {
                let fault = place(&[("ARCHIVE", archive), (name, wrong)]).unwrap_err();
                assert!(fault.starts_with(&format!("{name} is ")) && !fault.contains("planted"), "{name}: {fault}");
            }
            assert!(place(&[("ARCHIVE", archive), (name, "http://[::1]:9000")]).is_ok(), "{name}");
        }
        assert!(place(&[("ARCHIVE", "gs://bucket"), ("STORAGE_EMULATOR_HOST", "localhost:9023")]).is_ok());
        let ArchivePlace::S3(store) =
            place(&[("ARCHIVE", "s3://bucket"), ("S3_ENDPOINT", "https://s3.example.com"), ("S3_PATH_STYLE", "yes")])
                .unwrap()
        else {
            panic!("no bucket")
        };
        assert!(store.path_style && store.endpoint.as_deref() == Some("https://s3.example.com"));
    }
}
