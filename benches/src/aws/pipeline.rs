//! The stages in this process, over ports that are measured.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use callvault_bootstrap::settings::{Need, OAuthClient, Settings};
use callvault_bootstrap::{system, wiring};
use callvault_genesys::http::{ClientOptions, Credentials, GenesysClient};
use callvault_pipeline::archive::Archive;
use callvault_pipeline::day::Day;
use callvault_pipeline::jobs::JobReader;
use callvault_pipeline::ledger::{DayState, Fact, Ledger, Stage};
use callvault_pipeline::stages::{Close, House, Upload, Uploads};

/// Everything the stages work with.
pub(crate) struct Pipeline {
    settings: Settings,
    house: House,
    client: Arc<GenesysClient>,
    reader: Arc<JobReader>,
}

impl Pipeline {
    pub(crate) fn new(
        settings: &[(String, String)],
        ledger: Arc<dyn Ledger>,
        archive: Arc<dyn Archive>,
    ) -> Result<Self, Box<dyn Error>> {
        let lookup = |name: &str| settings.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let settings = Settings::read(Need::Source, lookup)?;
        let source = settings.source.clone().ok_or("no source")?;
        let OAuthClient::Given { id, secret } = source.client else { return Err("no client".into()) };
        let credentials = Credentials { client_id: id, client_secret: secret };
        let options = ClientOptions::new(system::chance());
        let client = Arc::new(GenesysClient::new(source.endpoints, credentials, system::clock(), options)?);
        let house = House {
            ledger,
            archive,
            clock: system::clock(),
            layout: Arc::new(settings.layout.clone()),
            calendar: settings.calendar.clone(),
            chance: system::chance(),
            shift: None,
        };
        let reader =
            Arc::new(JobReader::new(Arc::clone(&client) as _, Arc::clone(&house.ledger), Arc::clone(&house.clock)));
        Ok(Self { settings, house, client, reader })
    }

    /// Plans a day and does everything up to the copies, which are due then.
    pub(crate) async fn until_copies(&self, day: Day) -> Result<(), Box<dyn Error>> {
        self.house.ledger.plan_day(day, self.house.clock.now()).await?;
        while self.front().await? {}
        Ok(())
    }

    /// Plans a day and works until it is closed.
    pub(crate) async fn until_closed(&self, day: Day) -> Result<(), Box<dyn Error>> {
        self.house.ledger.plan_day(day, self.house.clock.now()).await?;
        let (upload, close) = self.last();
        loop {
            let more = self.front().await?;
            upload.run().await?;
            if !more {
                close.run().await?;
            }
            let row = self.house.ledger.day(day).await?;
            if row.is_some_and(|row| matches!(row.fact, Fact::Day(fact) if fact.state == DayState::Closed)) {
                return Ok(());
            }
        }
    }

    /// What an invocation of each function asks the ledger when there is nothing to do.
    pub(crate) async fn look(&self) -> Result<(), Box<dyn Error>> {
        let (upload, close) = self.last();
        self.front().await?;
        upload.run().await?;
        close.run().await?;
        // Metrics tell how old the oldest work is; the first four were asked by the front.
        for stage in [Stage::Upload, Stage::Close] {
            self.house.ledger.next_due(stage).await?;
        }
        // The upload function looks for what is due soon, too.
        self.house.ledger.next_due(Stage::Upload).await?;
        Ok(())
    }

    fn last(&self) -> (Upload, Close) {
        let Self { settings, house, client, reader } = self;
        let upload = wiring::upload(settings, house, Arc::clone(client) as _, Arc::clone(reader));
        (upload, wiring::close(settings, house, Duration::from_secs(60)))
    }

    /// Query, submit, poll and describe, once each. Answers whether one of them has something to do yet.
    async fn front(&self) -> Result<bool, Box<dyn Error>> {
        let Self { settings, house, client, reader } = self;
        wiring::query(settings, house, Arc::clone(client) as _, Arc::clone(client) as _).run().await?;
        wiring::submit(settings, house, Arc::clone(client) as _).run().await?;
        wiring::poll(settings, house, Arc::clone(reader), Uploads::Elsewhere).run().await?;
        wiring::describe(settings, house, Arc::clone(client) as _).run().await?;
        let mut next = None;
        for stage in [Stage::Query, Stage::Submit, Stage::Poll, Stage::Describe] {
            next = [next, house.ledger.next_due(stage).await?].into_iter().flatten().min();
        }
        let now = house.clock.now();
        // What waits for copies is looked at in ten minutes, as a precaution: that is not waited for.
        let Some(due) = next.filter(|due| due.duration_since(now).as_secs() < 60) else { return Ok(false) };
        house.clock.sleep(Duration::try_from(due.duration_since(now)).unwrap_or_default()).await;
        Ok(true)
    }
}
