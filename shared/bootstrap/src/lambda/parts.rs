//! Settings into ports, once per instance; and the warm-up, while Lambda still gives a whole processor for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use callvault_genesys::http::{ClientOptions, Credentials, GenesysClient};
use callvault_pipeline::archive::Archive;
use callvault_pipeline::jobs::JobReader;
use callvault_pipeline::ledger::Ledger;
use callvault_pipeline::notification::Announcer;
use callvault_pipeline::stages::House;

use super::Function;
use super::refusal::Refusal;
use super::source::Source;
use super::user::User;
use crate::settings::{ArchivePlace, LedgerPlace, Need, OAuthClient, Settings};
use crate::webhook::Webhook;
use crate::{aws, binding, system};

/// A connection that is not there after this is made when it is needed. Lambda ends an init that lasts 10 s.
const LONGEST_WARM_UP: Duration = Duration::from_secs(3);

/// What an instance keeps from one invocation to the next.
pub struct Parts {
    /// The settings.
    pub settings: Settings,
    /// Ledger, archive, clock, days; no end of time.
    pub house: House,
    /// Genesys; none in functions that do not talk to it.
    pub source: Option<Source>,
    /// What is known of jobs.
    pub reader: Option<Arc<JobReader>>,
    /// Genesys in a user's name; none in functions that do not need one.
    pub user: Option<User>,
    /// Who is told of closed days; nobody in functions that do not tell.
    pub announcers: Vec<Arc<dyn Announcer>>,
}

impl Parts {
    /// Parts of these ports.
    pub fn new(settings: Settings, house: House, source: Option<Source>) -> Self {
        let reader = |source: &Source| {
            JobReader::new(Arc::clone(&source.recordings), Arc::clone(&house.ledger), Arc::clone(&house.clock))
        };
        let reader = source.as_ref().map(|source| Arc::new(reader(source)));
        Self { settings, house, source, reader, user: None, announcers: Vec::new() }
    }

    /// The same, with somebody to tell.
    #[must_use]
    pub fn with_announcers(self, announcers: Vec<Arc<dyn Announcer>>) -> Self {
        Self { announcers, ..self }
    }

    /// The same, in a user's name.
    #[must_use]
    pub fn with_user(self, user: User) -> Self {
        Self { user: Some(user), ..self }
    }

    /// Parts as the settings say, connected to AWS.
    ///
    /// # Errors
    /// [`Refusal`]: all faults of the settings together, a secret that cannot be read, a ledger that cannot be used or
    /// was made for other settings.
    pub async fn connect(function: &Function, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Refusal> {
        let begun = Instant::now();
        let need = match (function.source, function.needs_user()) {
            (true, _) => Need::Source,
            (false, true) => Need::User,
            (false, false) => Need::Nothing,
        };
        let mut settings = Settings::read(need, lookup)?;
        let (LedgerPlace::DynamoDb(table), ArchivePlace::S3(place)) =
            (settings.ledger.clone(), settings.archive.clone())
        else {
            return Err(Refusal::settings(
                "a function works with LEDGER=dynamodb:TABLE and ARCHIVE=s3://BUCKET/PREFIX",
            ));
        };
        let sdk = aws::of_function(system::environment);
        let clock = system::clock();
        let ledger = aws::ledger(&sdk, &table);
        let archive: Arc<dyn Archive> = Arc::new(aws::archive(&sdk, &place, Arc::clone(&clock)));
        let client = client(&settings, &sdk).await?;
        let user = match function.needs_user() {
            true => Some(User::connect(&mut settings, &sdk).await?),
            false => None,
        };
        let wired = begun.elapsed();
        let bound_to = binding::of(&settings, settings.archive.url("").unwrap_or_default());
        let bound = aws::bind(&ledger, &table, &bound_to);
        let warm = futures_util::future::join(sign_in(client.as_ref()), touch(function, archive.as_ref(), &settings));
        let (bound, _) = futures_util::future::join(bound, warm).await;
        bound?;
        let (wired_ms, ready_ms) = (milliseconds(wired), milliseconds(begun.elapsed()));
        tracing::info!(wired_ms, ready_ms, "{} is ready", function.name);
        let ledger: Arc<dyn Ledger> = Arc::new(ledger);
        let house = House {
            ledger,
            archive,
            clock,
            layout: Arc::new(settings.layout.clone()),
            calendar: settings.calendar.clone(),
            chance: system::chance(),
            shift: None,
        };
        Ok(Self { user, ..Self::new(settings, house, client.map(Source::of)) })
    }

    /// What is known of jobs.
    ///
    /// # Errors
    /// [`Refusal`] in a function that was not set up with Genesys.
    pub fn reader(&self) -> Result<Arc<JobReader>, Refusal> {
        self.reader.clone().ok_or_else(|| Refusal::settings("this function was set up without Genesys"))
    }
}

/// Whoever the settings want to be told.
///
/// # Errors
/// [`Refusal`] when there is no TLS to be had.
pub(super) fn announcers(settings: &Settings) -> Result<Vec<Arc<dyn Announcer>>, Refusal> {
    let mut all: Vec<Arc<dyn Announcer>> = Vec::new();
    if let Some(url) = &settings.notifications.webhook {
        let webhook = Webhook::new(url.clone()).map_err(|error| Refusal::settings(error.to_string()))?;
        all.push(Arc::new(webhook));
    }
    if let Some(arn) = &settings.notifications.topic {
        all.push(Arc::new(aws::topic(&aws::of_function(system::environment), arn)));
    }
    Ok(all)
}

async fn client(settings: &Settings, sdk: &callvault_aws::config::SdkConfig) -> Result<Option<GenesysClient>, Refusal> {
    let Some(source) = settings.source.clone() else { return Ok(None) };
    let credentials = match source.client {
        OAuthClient::Given { id, secret } => Credentials { client_id: id, client_secret: secret },
        OAuthClient::Secret(id) => {
            let read = aws::credentials(sdk, &id).await;
            read.map_err(|error| Refusal { code: error.code(), message: error.to_string() })?
        }
    };
    let options = ClientOptions { media_hosts: settings.media_hosts.clone(), ..ClientOptions::new(system::chance()) };
    let client = GenesysClient::new(source.endpoints, credentials, system::clock(), options);
    client.map(Some).map_err(|error| Refusal::settings(error.to_string()))
}

/// Opens the connection to the sign-in, and signs in. A failure is told by the stage that meets it.
async fn sign_in(client: Option<&GenesysClient>) {
    let Some(client) = client else { return };
    match tokio::time::timeout(LONGEST_WARM_UP, client.sign_in()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(code = error.code(), "not warm: {error}"),
        Err(_) => tracing::warn!("not warm: no sign-in within {} s", LONGEST_WARM_UP.as_secs()),
    }
}

/// Opens a connection to the archive by asking for something that is not there.
async fn touch(function: &Function, archive: &dyn Archive, settings: &Settings) {
    let today = settings.calendar.day_of(system::clock().now());
    let (true, Ok(key)) = (function.archive, settings.layout.of_day(today, "_SUCCESS")) else { return };
    if let Ok(Err(error)) = tokio::time::timeout(LONGEST_WARM_UP, archive.head(&key)).await {
        tracing::warn!(code = error.code(), "not warm: {error}");
    }
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
