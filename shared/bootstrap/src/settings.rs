//! The settings: one typed struct, read once, the same names everywhere. All faults are reported together.
//!
//! The lookup is a parameter, so that nothing here touches the process's environment and tests need not either.

mod notifications;
mod places;
mod reader;
mod voicemail;

use callvault_genesys::region::Endpoints;
use callvault_pipeline::chat::BodyTypes;
use callvault_pipeline::day::Calendar;
use callvault_pipeline::facts::Wanted;
use callvault_pipeline::kind::Kind;
use callvault_pipeline::layout::{Layout, Template, check_environment};
use callvault_pipeline::reconcile::MetadataMode;
use callvault_pipeline::schedule::Schedule;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use secrecy::SecretString;

pub use notifications::NotificationSettings;
pub use places::{
    Application, ArchivePlace, AzurePlace, AzureSignIn, CloudSignIn, GooglePlace, GoogleSignIn, LedgerPlace, LockMode,
    ObjectLock, S3Place,
};
use reader::Reader;
pub use voicemail::{SecretPlace, VoicemailSettings};

/// Every name that is read.
pub const NAMES: &[&str] = &[
    "GENESYS_REGION",
    "GENESYS_URL",
    "GENESYS_CLIENT_ID",
    "GENESYS_CLIENT_SECRET",
    "GENESYS_SECRET_ID",
    "LEDGER",
    "ARCHIVE",
    "S3_KMS_KEY_ID",
    "S3_STORAGE_CLASS",
    "S3_TAGS",
    "S3_OBJECT_LOCK_MODE",
    "S3_OBJECT_LOCK_DAYS",
    "S3_ENDPOINT",
    "S3_PATH_STYLE",
    "COPY",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_TENANT_ID",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_AUTHORITY_HOST",
    "AZURE_TOKEN_CREDENTIALS",
    "AZURITE_BLOB_STORAGE_URL",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "STORAGE_EMULATOR_HOST",
    "ENVIRONMENT",
    "KEY_LAYOUT",
    "TIMEZONE",
    "QUEUE_IDS",
    "MEDIA_KINDS",
    "REQUIRE_AGENT",
    "RECORDED_ONLY",
    "BATCH_SIZE",
    "PAGE_SIZE",
    "METADATA",
    "CHAT_BODY_TYPES",
    "MEDIA_HOSTS",
    "UPLOAD_CONCURRENCY",
    "LAG_DAYS",
    "SKIP_WEEKDAYS",
    "RESCAN_DAYS",
    "VOICEMAIL_SECRET_ID",
    "VOICEMAIL_QUEUES",
    "VOICEMAIL_GROUPS",
    "VOICEMAIL_FORMAT",
    "DISCONNECT_CALLBACK",
    "MARK_READ_AFTER_UPLOAD",
    "DELETE_AFTER_UPLOAD",
    "JOBS_TOKEN",
    "NOTIFY_URL",
    "NOTIFY_TOPIC_ARN",
    "NOTIFY_TITLE",
    "NOTIFY_SUBJECT",
    "NOTIFY_PRIORITY",
    "EMAILS",
    "EMAIL_MESSAGE",
    "RESTORE_ARCHIVED",
    "WEBHOOK_SECRET",
    "CALLS_TOKEN",
    "CALLS_TABLE",
];

/// An org of Genesys Cloud and how to sign in to it.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its hosts.
    pub endpoints: Endpoints,
    /// The OAuth client that signs in.
    pub client: OAuthClient,
}

/// An OAuth client, or where to find it.
#[derive(Debug, Clone)]
pub enum OAuthClient {
    /// As it was given.
    Given {
        /// Its id.
        id: String,
        /// Its secret.
        secret: SecretString,
    },
    /// In this secret of AWS Secrets Manager.
    Secret(String),
}

/// The settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The org's hosts, where they are set.
    pub endpoints: Option<Endpoints>,
    /// The org and its client; `None` where it was not asked for.
    pub source: Option<Source>,
    /// Where the rows are kept.
    pub ledger: LedgerPlace,
    /// Where the objects are kept.
    pub archive: ArchivePlace,
    /// Who writes them there, where that is Azure or Google Cloud.
    pub cloud_sign_in: CloudSignIn,
    /// Whether the archive's store fetches recordings from the source by itself, where it can.
    pub copied_by_store: bool,
    /// Days.
    pub calendar: Calendar,
    /// Keys.
    pub layout: Layout,
    /// Which conversations are exported.
    pub wanted: Wanted,
    /// Which kinds are exported; empty for all.
    pub kinds: Vec<Kind>,
    /// Conversations a batch.
    pub batch_size: usize,
    /// Rows a page.
    pub page_size: u32,
    /// How much is asked about each conversation.
    pub metadata: MetadataMode,
    /// Which chat messages are kept.
    pub chat: BodyTypes,
    /// Hosts that media may come from, beside the region's own.
    pub media_hosts: Vec<String>,
    /// Copies at the same time.
    pub upload_concurrency: usize,
    /// Which days a schedule plans.
    pub schedule: Schedule,
    /// Voicemail.
    pub voicemail: VoicemailSettings,
    /// How many archived recordings of a day are restored at the source, at most.
    pub most_restores: u32,
    /// Who is told of closed days.
    pub notifications: NotificationSettings,
    /// What whoever uses the jobs API of `callvault serve` proves to be allowed with; none switches it off.
    pub jobs_token: Option<SecretString>,
    /// What the telephony system proves to be allowed to send events with; none switches the webhook off.
    pub webhook_secret: Option<SecretString>,
    /// What whoever looks at calls proves to be allowed with; none switches websocket and page off.
    pub calls_token: Option<SecretString>,
    /// The table of calls, where they are kept in DynamoDB.
    pub calls_table: Option<String>,
}

/// What a command needs beside ledger, archive and days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// An org to talk to.
    Source,
    /// A signed-in user of the org; which org, the user's secret may say.
    User,
}

/// Everything that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsFaults(pub Vec<String>);

impl std::fmt::Display for SettingsFaults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for SettingsFaults {}

impl Settings {
    /// Reads the settings through `lookup`. A value of nothing but blanks counts as not set.
    ///
    /// # Errors
    /// All faults together, each naming the setting, the value (not of secrets) and what is expected.
    pub fn read(need: Need, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsFaults> {
        let mut read = Reader::new(&lookup);
        let zone = zone(&mut read);
        let calendar = Calendar::new(zone);
        let endpoints = endpoints(&mut read, need);
        let (archive, cloud_sign_in) = places::archive(&mut read);
        let copied_by_store = copied_by_store(&mut read, &archive);
        let settings = Self {
            source: source(&mut read, need, endpoints.clone()),
            endpoints,
            ledger: places::ledger(&mut read),
            archive,
            cloud_sign_in,
            copied_by_store,
            layout: layout(&mut read, calendar.clone()),
            calendar,
            wanted: Wanted {
                queues: read.list("QUEUE_IDS", "a comma separated list of queue ids", |text| text.parse().ok()),
                require_agent: read.yes_or_no("REQUIRE_AGENT", false),
                recorded_only: read.yes_or_no("RECORDED_ONLY", false),
            },
            kinds: read.list("MEDIA_KINDS", "of call, chat, email, message, screen, comma separated", |text| {
                text.to_ascii_lowercase().parse().ok()
            }),
            batch_size: read.number("BATCH_SIZE", 1, 100, 100),
            page_size: read.number("PAGE_SIZE", 1, 100, 100) as u32,
            metadata: read.word("METADATA", &[("full", MetadataMode::Full), ("analytics", MetadataMode::Analytics)]),
            chat: chat(&mut read),
            media_hosts: media_hosts(&mut read),
            upload_concurrency: read.number("UPLOAD_CONCURRENCY", 1, 256, 8),
            schedule: schedule(&mut read),
            voicemail: voicemail::read(&mut read, need),
            most_restores: read.number("RESTORE_ARCHIVED", 0, 1_000_000, 0) as u32,
            notifications: notifications::read(&mut read),
            jobs_token: read.token("JOBS_TOKEN"),
            webhook_secret: read.token("WEBHOOK_SECRET"),
            calls_token: read.token("CALLS_TOKEN"),
            calls_table: places::calls_table(&mut read),
        };
        read.finish(settings)
    }
}

fn copied_by_store(read: &mut Reader<'_>, archive: &ArchivePlace) -> bool {
    let by_store = read.word("COPY", &[("stream", false), ("server", true)]);
    if by_store && !matches!(archive, ArchivePlace::Azure(_)) {
        read.fault("COPY", "server", "stream: only Azure (ARCHIVE=az://...) fetches recordings by itself");
    }
    by_store
}

fn schedule(read: &mut Reader<'_>) -> Schedule {
    let weekdays = [
        ("monday", Weekday::Monday),
        ("tuesday", Weekday::Tuesday),
        ("wednesday", Weekday::Wednesday),
        ("thursday", Weekday::Thursday),
        ("friday", Weekday::Friday),
        ("saturday", Weekday::Saturday),
        ("sunday", Weekday::Sunday),
    ];
    let weekday = |text: &str| {
        let text = text.to_ascii_lowercase();
        let named = |(name, _): &&(&str, Weekday)| *name == text || name[..3] == text;
        weekdays.iter().find(named).map(|(_, weekday)| *weekday)
    };
    let skip_weekdays: Vec<Weekday> = read.list("SKIP_WEEKDAYS", "weekdays such as sat,sun, comma separated", weekday);
    if weekdays.iter().all(|(_, weekday)| skip_weekdays.contains(weekday)) {
        read.fault("SKIP_WEEKDAYS", &read.text("SKIP_WEEKDAYS").unwrap_or_default(), "not every day of the week");
    }
    let rescan_days = match read.text("RESCAN_DAYS") {
        None => vec![1, 2, 7],
        Some(text) if text.eq_ignore_ascii_case("none") => Vec::new(),
        Some(_) => read.list("RESCAN_DAYS", "days from 1 to 366 such as 1,2,7, or none", |text| {
            text.parse().ok().filter(|days| (1..=366).contains(days))
        }),
    };
    // A day that is not over cannot be complete: yesterday is the earliest.
    Schedule { lag_days: read.number("LAG_DAYS", 1, 30, 1) as u32, skip_weekdays, rescan_days }
}

fn zone(read: &mut Reader<'_>) -> TimeZone {
    let name = read.text("TIMEZONE").unwrap_or_else(|| "UTC".to_owned());
    match TimeZone::get(&name) {
        // `jiff` reads `utc` and `Utc` too; a zone without a name could not be written into a marker.
        Ok(zone) if zone.iana_name().is_some() || zone == TimeZone::UTC => zone,
        _ => {
            read.fault("TIMEZONE", &name, "the IANA name of a time zone, for instance America/Lima");
            TimeZone::UTC
        }
    }
}

fn endpoints(read: &mut Reader<'_>, need: Need) -> Option<Endpoints> {
    match (read.text("GENESYS_URL"), read.text("GENESYS_REGION")) {
        // A URL is for tests and simulators and is given on purpose: it wins.
        (Some(url), _) => read.or_fault("GENESYS_URL", &url, Endpoints::of_base(&url)),
        (None, Some(region)) => read.or_fault("GENESYS_REGION", &region, Endpoints::of_region(&region)),
        (None, None) => {
            if need == Need::Source {
                read.missing("GENESYS_REGION", "the region of the org, for instance mypurecloud.ie");
            }
            None
        }
    }
}

fn source(read: &mut Reader<'_>, need: Need, endpoints: Option<Endpoints>) -> Option<Source> {
    if need != Need::Source {
        return None;
    }
    let secret_id = read.text("GENESYS_SECRET_ID");
    let (id, secret) = (read.text("GENESYS_CLIENT_ID"), read.text("GENESYS_CLIENT_SECRET"));
    if let Some(secret_id) = secret_id {
        if id.is_some() || secret.is_some() {
            let expected = "it alone, or GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET without it";
            read.fault("GENESYS_SECRET_ID", &secret_id, expected);
        }
        return Some(Source { endpoints: endpoints?, client: OAuthClient::Secret(secret_id) });
    }
    if id.is_none() {
        read.missing(
            "GENESYS_CLIENT_ID",
            "the id of an OAuth client with the grant `client credentials`, or GENESYS_SECRET_ID",
        );
    }
    if secret.is_none() {
        read.missing("GENESYS_CLIENT_SECRET", "the secret of that OAuth client, or GENESYS_SECRET_ID");
    }
    Some(Source { endpoints: endpoints?, client: OAuthClient::Given { id: id?, secret: secret?.into() } })
}

fn layout(read: &mut Reader<'_>, calendar: Calendar) -> Layout {
    let environment = read.text("ENVIRONMENT").unwrap_or_else(|| "prod".to_owned());
    if let Err(error) = check_environment(&environment) {
        read.fault("ENVIRONMENT", &environment, &error.to_string());
    }
    let text = read.text("KEY_LAYOUT").unwrap_or_else(|| "day".to_owned());
    let template = text.parse::<Template>().unwrap_or_else(|error| {
        read.fault("KEY_LAYOUT", &text, &format!("day, hive or a template: {error}"));
        Template::default()
    });
    Layout::new(template, environment, calendar)
}

fn chat(read: &mut Reader<'_>) -> BodyTypes {
    match read.text("CHAT_BODY_TYPES") {
        None => BodyTypes::default(),
        Some(text) if text.eq_ignore_ascii_case("all") => BodyTypes::All,
        Some(_) => BodyTypes::Only(read.list("CHAT_BODY_TYPES", "`all`, or words such as STANDARD,NOTICE", |text| {
            let word = text.bytes().all(|b| b.is_ascii_alphabetic());
            word.then(|| text.to_ascii_uppercase())
        })),
    }
}

fn media_hosts(read: &mut Reader<'_>) -> Vec<String> {
    read.list("MEDIA_HOSTS", "host names such as media.example.com or *.example.com, comma separated", |text| {
        let host = text.strip_prefix("*.").unwrap_or(text);
        let legal = !host.is_empty()
            && host.contains('.')
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
        legal.then(|| text.to_ascii_lowercase())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn read(need: Need, pairs: &[(&str, &str)]) -> Result<Settings, SettingsFaults> {
        let map: BTreeMap<String, String> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Settings::read(need, |name| map.get(name).cloned())
    }

    #[test]
    fn nothing_set_gives_the_documented_defaults() {
        let settings = read(Need::Nothing, &[]).unwrap();
        assert_eq!(settings.ledger, LedgerPlace::Sqlite("callvault.sqlite".into()));
        assert_eq!(settings.archive, ArchivePlace::Folder("archive".into()));
        assert_eq!((settings.batch_size, settings.page_size, settings.upload_concurrency), (100, 100, 8));
        assert_eq!(settings.metadata, MetadataMode::Full);
        assert_eq!(settings.calendar.zone_name(), "UTC");
    }

    #[test]
    fn all_faults_come_together_and_name_what_is_expected() {
        let faults = read(
            Need::Source,
            &[
                ("TIMEZONE", "Mars/Olympus"),
                ("BATCH_SIZE", "101"),
                ("PAGE_SIZE", "0"),
                ("UPLOAD_CONCURRENCY", "many"),
                ("KEY_LAYOUT", "{day}/{conversation}.{ext}"),
                ("ENVIRONMENT", "a/b"),
                ("LEDGER", "oracle:x"),
                ("ARCHIVE", "ftp://x"),
                ("METADATA", "some"),
                ("REQUIRE_AGENT", "perhaps"),
                ("RECORDED_ONLY", "often"),
                ("MEDIA_KINDS", "call,fax"),
                ("QUEUE_IDS", "a/b"),
                ("MEDIA_HOSTS", "https://x.example.com/"),
                ("CHAT_BODY_TYPES", "STANDARD,1"),
                ("GENESYS_REGION", "nowhere.example"),
                ("GENESYS_CLIENT_SECRET", "planted"),
                ("S3_KMS_KEY_ID", "a key"),
                ("S3_STORAGE_CLASS", "GLACIER"),
                ("S3_TAGS", "no-value"),
                ("S3_OBJECT_LOCK_MODE", "FOREVER"),
                ("S3_OBJECT_LOCK_DAYS", "-1"),
                ("S3_ENDPOINT", "http://example.com"),
                ("S3_PATH_STYLE", "perhaps"),
                ("COPY", "twice"),
                ("LAG_DAYS", "0"),
                ("SKIP_WEEKDAYS", "sun,someday"),
                ("RESCAN_DAYS", "0"),
                ("VOICEMAIL_SECRET_ID", "file:"),
                ("VOICEMAIL_QUEUES", "a/b"),
                ("VOICEMAIL_GROUPS", ","),
                ("VOICEMAIL_FORMAT", "FLAC"),
                ("DISCONNECT_CALLBACK", "2"),
                ("MARK_READ_AFTER_UPLOAD", "perhaps"),
                ("DELETE_AFTER_UPLOAD", "sometimes"),
                ("JOBS_TOKEN", "planted"),
                ("NOTIFY_URL", "planted"),
                ("NOTIFY_TOPIC_ARN", "days"),
                ("NOTIFY_TITLE", "{x}"),
                ("NOTIFY_SUBJECT", "of {x}"),
                ("NOTIFY_PRIORITY", "a\nb"),
                ("EMAILS", "nobody"),
                ("EMAIL_MESSAGE", "{x}"),
                ("RESTORE_ARCHIVED", "yes"),
                ("WEBHOOK_SECRET", "planted"),
                ("CALLS_TOKEN", "planted"),
                ("CALLS_TABLE", "a/b"),
            ],
        )
        .unwrap_err();
        let text = faults.to_string();
        // These have no wrong values, or only beside others: they have tests of their own.
        let others = ["GENESYS_URL", "GENESYS_CLIENT_SECRET", "GENESYS_SECRET_ID"];
        let of_clouds = |name: &str| ["AZUR", "GOOGLE_", "STORAGE_EMU"].iter().any(|begin| name.starts_with(begin));
        for name in NAMES.iter().filter(|name| !others.contains(name) && !of_clouds(name)) {
            assert_eq!(faults.0.iter().filter(|f| f.starts_with(*name)).count(), 1, "{name} in:\n{text}");
        }
        assert!(!text.contains("planted"));
    }

    #[test]
    fn a_secret_takes_the_place_of_id_and_secret_and_does_not_stand_beside_them() {
        let region = ("GENESYS_REGION", "mypurecloud.ie");
        let settings = read(Need::Source, &[region, ("GENESYS_SECRET_ID", "callvault/genesys")]).unwrap();
        assert!(matches!(settings.source.unwrap().client, OAuthClient::Secret(id) if id == "callvault/genesys"));
        let both = [region, ("GENESYS_SECRET_ID", "s"), ("GENESYS_CLIENT_SECRET", "planted")];
        let faults = read(Need::Source, &both).unwrap_err().to_string();
        assert!(faults.starts_with("GENESYS_SECRET_ID is `s`: expected it alone"), "{faults}");
        assert!(!faults.contains("planted"));
    }

    #[test]
    fn weekdays_are_named_in_full_or_short_and_one_must_be_left() {
        let schedule = |pairs: &[(&str, &str)]| read(Need::Nothing, pairs).map(|settings| settings.schedule);
        let default = schedule(&[]).unwrap();
        assert_eq!((default.lag_days, default.skip_weekdays.len(), default.rescan_days), (1, 0, vec![1, 2, 7]));
        let set = schedule(&[("SKIP_WEEKDAYS", "Sunday, sat"), ("RESCAN_DAYS", "none")]).unwrap();
        assert_eq!((set.skip_weekdays, set.rescan_days), (vec![Weekday::Sunday, Weekday::Saturday], vec![]));
        let none_left = schedule(&[("SKIP_WEEKDAYS", "mon,tue,wed,thu,fri,sat,sun")]).unwrap_err().to_string();
        assert!(none_left.starts_with("SKIP_WEEKDAYS is ") && none_left.contains("not every day"), "{none_left}");
    }

    #[test]
    fn blanks_count_as_not_set() {
        let settings = read(Need::Nothing, &[("TIMEZONE", "  "), ("BATCH_SIZE", "")]).unwrap();
        assert_eq!(settings.batch_size, 100);
    }

    #[test]
    fn a_secret_does_not_show_in_debug() {
        let pairs =
            [("GENESYS_REGION", "mypurecloud.ie"), ("GENESYS_CLIENT_ID", "id"), ("GENESYS_CLIENT_SECRET", "planted")];
        let settings = read(Need::Source, &pairs).unwrap();
        assert!(!format!("{settings:?}").contains("planted"));
    }

    #[test]
    fn a_panic_that_shows_the_settings_shows_no_secret() {
        let pairs =
            [("GENESYS_REGION", "mypurecloud.ie"), ("GENESYS_CLIENT_ID", "id"), ("GENESYS_CLIENT_SECRET", "planted")];
        let settings = read(Need::Source, &pairs).unwrap();
        let panic = std::panic::AssertUnwindSafe(|| panic!("{settings:?}"));
        let payload = std::panic::catch_unwind(panic).unwrap_err();
        let message = payload.downcast_ref::<String>().unwrap();
        assert!(message.contains("secret: Secret") && !message.contains("planted"), "{message}");
    }
}
