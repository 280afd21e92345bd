//! Settings into ports: what a command works with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use callvault_bootstrap::settings::{ArchivePlace, LedgerPlace, Need, Settings};
use callvault_bootstrap::{settings_file, system};
use callvault_genesys::http::{ClientOptions, Credentials, GenesysClient};
use callvault_local::folder::{FolderArchive, file_url};
use callvault_local::sqlite::SqliteLedger;
use callvault_pipeline::archive::Archive;
use callvault_pipeline::jobs::JobReader;
use callvault_pipeline::ledger::Ledger;
use callvault_pipeline::stages::{Close, Describe, House, Poll, Query, Submit, Upload, UploadOptions};

use crate::engine::Stages;
use crate::failure::Failure;

/// The file that is read where it is there.
const DEFAULT_FILE: &str = "callvault.toml";

/// What was given beside a command's own flags.
pub(crate) struct Given {
    config: Option<PathBuf>,
}

impl Given {
    pub(crate) fn new(config: Option<PathBuf>) -> Self {
        Self { config }
    }

    /// Reads the settings: flags win over environment over file.
    pub(crate) fn settings(&self, need: Need, flags: &[(&'static str, Option<&str>)]) -> Result<Settings, Failure> {
        let file = self.file()?;
        let flags: BTreeMap<&str, &str> = flags.iter().filter_map(|(name, value)| value.map(|v| (*name, v))).collect();
        for (name, value) in &flags {
            if value.trim().is_empty() {
                return Err(Failure::usage(format!("the flag for {name} is empty: leave it out or give it a value")));
            }
        }
        let lookup = |name: &str| {
            let flag = flags.get(name).map(|value| (*value).to_owned());
            flag.or_else(|| environment(name)).or_else(|| file.get(name).cloned())
        };
        Ok(Settings::read(need, lookup)?)
    }

    fn file(&self) -> Result<settings_file::FileSettings, Failure> {
        let path = self.config.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && self.config.is_none() => String::new(),
            Err(error) => {
                let name = path.display();
                return Err(Failure::usage(format!("cannot read the settings file {name} ({error}): check --config")));
            }
        };
        settings_file::read(&text)
            .map_err(|faults| Failure::usage(format!("{}: {}", path.display(), faults.join("\n  "))))
    }
}

#[expect(clippy::disallowed_methods, reason = "the door through which the environment comes in")]
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()).filter(|text| !text.trim().is_empty())
}

/// Ledger, archive and client of the settings.
pub(crate) struct Connected {
    pub(crate) settings: Settings,
    pub(crate) house: House,
    pub(crate) client: GenesysClient,
}

impl Connected {
    /// Opens everything for working.
    pub(crate) async fn open(settings: Settings) -> Result<Self, Failure> {
        let source = settings.source.clone();
        let source = source.ok_or_else(|| Failure::usage("GENESYS_REGION is not set"))?;
        let clock = system::clock();
        let archive = open_archive(&settings.archive)?;
        let ledger = open_ledger(&settings).await?;
        let options =
            ClientOptions { media_hosts: settings.media_hosts.clone(), ..ClientOptions::new(system::chance()) };
        let credentials = Credentials { client_id: source.client_id, client_secret: source.client_secret };
        let client = GenesysClient::new(source.endpoints, credentials, Arc::clone(&clock), options)
            .map_err(|error| Failure::usage(error.to_string()))?;
        let house = House {
            ledger,
            archive,
            clock,
            layout: Arc::new(settings.layout.clone()),
            calendar: settings.calendar.clone(),
            chance: system::chance(),
        };
        Ok(Self { settings, house, client })
    }

    /// The stages over it.
    pub(crate) fn stages(&self) -> Stages {
        let Self { settings, house, client } = self;
        let reader = Arc::new(JobReader::new(Arc::new(client.clone()), Arc::clone(&house.clock)));
        let upload = UploadOptions { concurrency: settings.upload_concurrency, chat: settings.chat.clone() };
        Stages {
            query: Query {
                house: house.clone(),
                source: Arc::new(client.clone()),
                wanted: settings.wanted.clone(),
                page_size: settings.page_size,
            },
            submit: Submit { house: house.clone(), source: Arc::new(client.clone()), batch_size: settings.batch_size },
            poll: Poll {
                house: house.clone(),
                reader: Arc::clone(&reader),
                mode: settings.metadata,
                kinds: settings.kinds.clone(),
            },
            describe: Describe {
                house: house.clone(),
                source: Arc::new(client.clone()),
                mode: settings.metadata,
                kinds: settings.kinds.clone(),
            },
            upload: Upload { house: house.clone(), source: Arc::new(client.clone()), reader, options: upload },
            close: Close { house: house.clone(), recheck: std::time::Duration::from_millis(500) },
        }
    }
}

fn open_archive(place: &ArchivePlace) -> Result<Arc<dyn Archive>, Failure> {
    match place {
        ArchivePlace::Folder(path) => Ok(Arc::new(FolderArchive::open(path)?)),
    }
}

async fn open_ledger(settings: &Settings) -> Result<Arc<dyn Ledger>, Failure> {
    match &settings.ledger {
        LedgerPlace::Sqlite(path) => {
            let ledger = SqliteLedger::open(path, system::holder(), system::clock().now())?;
            let differing = ledger.bind(&bound_to(settings)).await?;
            if differing.is_empty() {
                return Ok(Arc::new(ledger));
            }
            let differing: Vec<String> = differing.iter().map(|(name, was)| format!("{name} `{was}`")).collect();
            Err(Failure::usage(format!(
                "the ledger {} was made for {}: set that again, or give this export a LEDGER of its own",
                path.display(),
                differing.join(", ")
            )))
        }
    }
}

/// What a ledger's rows are true of. With another archive or layout they would claim what is not there; with another
/// time zone or org, days would mean something else.
fn bound_to(settings: &Settings) -> Vec<(&'static str, String)> {
    let mut to = vec![
        ("ARCHIVE", archive_url(&settings.archive, "")),
        ("ENVIRONMENT", settings.layout.environment().to_owned()),
        ("KEY_LAYOUT", settings.layout.to_string()),
        ("TIMEZONE", settings.calendar.zone_name().to_owned()),
    ];
    // A simulator has another port every time.
    if let Some(endpoints) = settings.endpoints.as_ref().filter(|endpoints| endpoints.loopback().is_none()) {
        to.push(("GENESYS_REGION", endpoints.api().to_string()));
    }
    to
}

/// An existing ledger, for looking.
pub(crate) fn look_at_ledger(place: &LedgerPlace) -> Result<Arc<dyn Ledger>, Failure> {
    match place {
        LedgerPlace::Sqlite(path) => Ok(Arc::new(SqliteLedger::open_existing(path)?)),
    }
}

/// A key as a URL of the archive, without opening it.
pub(crate) fn archive_url(place: &ArchivePlace, key: &str) -> String {
    match place {
        ArchivePlace::Folder(path) => file_url(path, key),
    }
}
