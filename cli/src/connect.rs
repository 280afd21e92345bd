//! Settings into ports: what a command works with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use callvault_bootstrap::settings::{ArchivePlace, LedgerPlace, Need, OAuthClient, Settings};
use callvault_bootstrap::webhook::Webhook;
use callvault_bootstrap::{binding, settings_file, system, wiring};
use callvault_genesys::http::{ClientOptions, Credentials, GenesysClient};
use callvault_local::folder::{FolderArchive, file_url};
use callvault_local::sqlite::SqliteLedger;
use callvault_pipeline::archive::Archive;
use callvault_pipeline::jobs::JobReader;
use callvault_pipeline::ledger::Ledger;
use callvault_pipeline::notification::Announcer;
use callvault_pipeline::stages::{House, Uploads};

use crate::cloud::Cloud;
use crate::clouds;
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
            flag.or_else(|| system::environment(name)).or_else(|| file.get(name).cloned())
        };
        Ok(Settings::read(need, lookup)?)
    }

    /// One setting, of the environment or the file.
    pub(crate) fn setting(&self, name: &str) -> Result<Option<String>, Failure> {
        if let Some(value) = system::environment(name) {
            return Ok(Some(value.trim().to_owned()));
        }
        Ok(self.file()?.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()))
    }

    /// Whether any of these settings is there, in the environment or the file.
    pub(crate) fn is_any_set(&self, names: &[&str]) -> Result<bool, Failure> {
        let file = self.file()?;
        let value = |name: &&str| system::environment(name).or_else(|| file.get(*name).cloned());
        Ok(names.iter().filter_map(value).any(|value| !value.trim().is_empty()))
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

/// Ledger and archive of the settings.
pub(crate) struct Opened {
    pub(crate) settings: Settings,
    pub(crate) house: House,
    cloud: Cloud,
}

impl Opened {
    /// Opens both for working.
    pub(crate) async fn open(settings: Settings) -> Result<Self, Failure> {
        let cloud = Cloud::of(&settings).await?;
        let archive = open_archive(&settings, &cloud).await?;
        let ledger = open_ledger(&settings, &cloud).await?;
        let house = house(&settings, ledger, archive);
        Ok(Self { settings, house, cloud })
    }
}

/// Ledger, archive and client of the settings.
pub(crate) struct Connected {
    pub(crate) settings: Settings,
    pub(crate) house: House,
    pub(crate) client: GenesysClient,
    announcers: Vec<Arc<dyn Announcer>>,
}

impl Connected {
    /// Opens everything for working.
    pub(crate) async fn open(settings: Settings) -> Result<Self, Failure> {
        let Opened { settings, house, cloud } = Opened::open(settings).await?;
        let client = client(&settings, &cloud).await?;
        let announcers = announcers(&settings, &cloud)?;
        Ok(Self { settings, house, client, announcers })
    }

    /// The stages over it.
    pub(crate) fn stages(&self) -> Stages {
        let Self { settings, house, client, announcers } = self;
        let source = || Arc::new(client.clone());
        let reader = Arc::new(JobReader::new(source(), Arc::clone(&house.ledger), Arc::clone(&house.clock)));
        Stages {
            query: wiring::query(settings, house, source(), source()),
            submit: wiring::submit(settings, house, source()),
            poll: wiring::poll(settings, house, Arc::clone(&reader), Uploads::Here),
            describe: wiring::describe(settings, house, source()),
            upload: wiring::upload(settings, house, source(), reader),
            close: wiring::close(settings, house, Duration::from_millis(500)),
            notify: wiring::notify(settings, house, announcers.clone()),
        }
    }
}

/// Whoever the settings want to be told of closed days.
fn announcers(settings: &Settings, cloud: &Cloud) -> Result<Vec<Arc<dyn Announcer>>, Failure> {
    let mut all: Vec<Arc<dyn Announcer>> = Vec::new();
    if let Some(url) = &settings.notifications.webhook {
        let webhook = Webhook::new(url.clone()).map_err(|error| Failure::usage(error.to_string()))?;
        all.push(Arc::new(webhook));
    }
    if let Some(arn) = &settings.notifications.topic {
        all.push(cloud.topic(arn)?);
    }
    Ok(all)
}

fn house(settings: &Settings, ledger: Arc<dyn Ledger>, archive: Arc<dyn Archive>) -> House {
    House {
        ledger,
        archive,
        clock: system::clock(),
        layout: Arc::new(settings.layout.clone()),
        calendar: settings.calendar.clone(),
        chance: system::chance(),
        shift: None,
    }
}

/// An existing ledger and archive for looking at them, and the source where the settings name one.
pub(crate) async fn look(settings: &Settings) -> Result<(House, Option<GenesysClient>), Failure> {
    check_archive(settings)?;
    let cloud = Cloud::of(settings).await?;
    let ledger = look_at_ledger(settings).await?;
    let archive = open_archive(settings, &cloud).await?;
    let client = match settings.source {
        Some(_) => Some(client(settings, &cloud).await?),
        None => None,
    };
    Ok((house(settings, ledger, archive), client))
}

/// Makes sure that a folder that is to be compared is there: opening it would make it.
pub(crate) fn check_archive(settings: &Settings) -> Result<(), Failure> {
    match &settings.archive {
        ArchivePlace::Folder(path) if !path.is_dir() => {
            Err(Failure::usage(format!("there is no archive in {}: check ARCHIVE", path.display())))
        }
        _ => Ok(()),
    }
}

/// The ledger for working on it, without the source.
pub(crate) async fn open_existing_ledger(settings: &Settings) -> Result<Arc<dyn Ledger>, Failure> {
    // Opening makes a file where there is none: looking does not.
    drop(look_at_ledger(settings).await?);
    open_ledger(settings, &Cloud::of(settings).await?).await
}

async fn open_archive(settings: &Settings, cloud: &Cloud) -> Result<Arc<dyn Archive>, Failure> {
    match &settings.archive {
        ArchivePlace::Folder(path) => Ok(Arc::new(FolderArchive::open(path)?)),
        ArchivePlace::S3(place) => cloud.archive(place).await,
        ArchivePlace::Azure(_) | ArchivePlace::Google(_) => clouds::archive(settings).await,
    }
}

/// The client of the settings' org. Sends nothing to it.
pub(crate) async fn client(settings: &Settings, cloud: &Cloud) -> Result<GenesysClient, Failure> {
    let source = settings.source.clone().ok_or_else(|| Failure::usage("GENESYS_REGION is not set"))?;
    let credentials = match source.client {
        OAuthClient::Given { id, secret } => Credentials { client_id: id, client_secret: secret },
        OAuthClient::Secret(id) => cloud.credentials(&id).await?,
    };
    let options = ClientOptions { media_hosts: settings.media_hosts.clone(), ..ClientOptions::new(system::chance()) };
    GenesysClient::new(source.endpoints, credentials, system::clock(), options)
        .map_err(|error| Failure::usage(error.to_string()))
}

async fn open_ledger(settings: &Settings, cloud: &Cloud) -> Result<Arc<dyn Ledger>, Failure> {
    let bound_to = binding::of(settings, archive_url(&settings.archive, ""));
    match &settings.ledger {
        LedgerPlace::Sqlite(path) => {
            let ledger = SqliteLedger::open(path, system::holder(), system::clock().now())?;
            let differing = ledger.bind(&bound_to).await?;
            match differing.is_empty() {
                true => Ok(Arc::new(ledger)),
                false => Err(Failure::usage(binding::refusal(&path.display().to_string(), &differing))),
            }
        }
        LedgerPlace::DynamoDb(table) => cloud.ledger(table, &bound_to).await,
    }
}

/// An existing ledger, for looking.
pub(crate) async fn look_at_ledger(settings: &Settings) -> Result<Arc<dyn Ledger>, Failure> {
    match &settings.ledger {
        LedgerPlace::Sqlite(path) => Ok(Arc::new(SqliteLedger::open_existing(path)?)),
        LedgerPlace::DynamoDb(table) => Cloud::of(settings).await?.look_at_ledger(table).await,
    }
}

/// A key as a URL of the archive, without opening it.
pub(crate) fn archive_url(place: &ArchivePlace, key: &str) -> String {
    match place {
        ArchivePlace::Folder(path) => file_url(path, key),
        ArchivePlace::S3(_) | ArchivePlace::Azure(_) | ArchivePlace::Google(_) => place.url(key).unwrap_or_default(),
    }
}
