//! A scene: a simulated org in this process, a folder for ledger and archive, and commands over them.

use std::path::{Path, PathBuf};

use callvault_simulator::{Options, Requests, Simulator, Truth};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{Callvault, Output, callvault};
use crate::truth::{self, Expected};

/// A rate that no test reaches: for those that are not about the rate.
pub const NO_LIMIT: u32 = 60_000;

/// An org, and what is exported from it.
pub struct Scene {
    runtime: Runtime,
    simulator: Option<Simulator>,
    days: Vec<Date>,
    zone: String,
    folder: TempDir,
    settings: Vec<(String, String)>,
}

/// Today in UTC, less so many days.
#[expect(clippy::disallowed_methods, reason = "the binary and the simulator go by the real clock")]
pub fn days_ago(days: i64) -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date().checked_sub(days.days()).unwrap()
}

/// An org of one day, three days ago, with a generous rate and quick jobs.
pub fn quick(conversations: u32) -> Options {
    Options {
        conversations,
        rate_per_minute: NO_LIMIT,
        job_delay: std::time::Duration::from_millis(800),
        uploading_delay: std::time::Duration::from_secs(3),
        ..Options::new(days_ago(3))
    }
}

impl Scene {
    /// Starts the org.
    pub fn new(options: Options) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let zone = options.time_zone.iana_name().unwrap_or("UTC").to_owned();
        let last = i64::from(options.days) - 1;
        let days = (0..=last).map(|n| options.first_day.checked_add(n.days()).unwrap()).collect();
        let simulator = runtime.block_on(Simulator::start(options)).unwrap();
        let folder = tempfile::Builder::new().prefix("callvault-test").tempdir().unwrap();
        Self { runtime, simulator: Some(simulator), days, zone, folder, settings: Vec::new() }
    }

    /// A setting for every command of the scene.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The simulator.
    pub fn simulator(&self) -> &Simulator {
        self.simulator.as_ref().unwrap()
    }

    /// What was asked of it.
    pub fn requests(&self) -> Requests {
        self.simulator().requests()
    }

    /// Its truth.
    pub fn truth(&self) -> Truth {
        self.simulator().truth()
    }

    /// Runs something beside it, such as an HTTP client.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Its days.
    pub fn days(&self) -> &[Date] {
        &self.days
    }

    /// A path in the scene's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The archive's folder.
    pub fn archive(&self) -> PathBuf {
        self.path("archive")
    }

    /// The ledger's file.
    pub fn ledger(&self) -> PathBuf {
        self.path("ledger.sqlite")
    }

    /// A command over the scene's org, ledger and archive.
    pub fn command(&self, args: &[&str]) -> Callvault {
        let mut command = callvault(args)
            .folder(self.folder.path())
            .env("GENESYS_URL", self.simulator().url())
            .env("GENESYS_CLIENT_ID", "demo")
            .env("GENESYS_CLIENT_SECRET", "demo")
            .env("TIMEZONE", &self.zone)
            .env("ARCHIVE", self.archive())
            .env("LEDGER", format!("sqlite:{}", self.ledger().display()));
        for (name, value) in &self.settings {
            command = command.env(name, value);
        }
        command
    }

    /// `export` of all days, with `--json`.
    pub fn export(&self) -> Callvault {
        let (from, to) = (self.days[0].to_string(), self.days[self.days.len() - 1].to_string());
        self.command(&["export", "--from", &from, "--to", &to, "--json"])
    }

    /// `status --json`.
    pub fn status(&self) -> Value {
        self.command(&["status", "--json"]).run().expect_code(0).json()
    }

    /// What an undisturbed, complete export of the org looks like.
    pub fn expected(&self) -> Expected {
        Expected::new(self.truth(), &self.zone)
    }

    /// Exports, and wants the exit code that the truth asks for and an archive equal to it.
    #[track_caller]
    pub fn export_equals_truth(&self) -> Output {
        let expected = self.expected();
        let output = self.export().run().expect_code(expected.exit_code());
        self.equals(&expected);
        output
    }

    /// The archive and what the ledger says equal the truth.
    #[track_caller]
    pub fn equals_truth(&self) {
        self.equals(&self.expected());
    }

    /// The archive and what the ledger says are as expected.
    #[track_caller]
    pub fn equals(&self, expected: &Expected) {
        truth::assert_equal(expected, &self.archive(), &self.status());
    }

    /// The folder of everything.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
