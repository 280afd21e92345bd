//! callvault as it runs on AWS, on this machine: moto, cargo-lambda's runtime, our function binaries, a simulated org.
//!
//! The test is what AWS's own parts are there: it fires the timers ([`Cloud::run_until_closed`]), carries the table's
//! stream to the upload function ([`stream`]), and starts instances again that died.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a harness of tests fails by panicking")]

pub mod stream;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use callvault_simulator::{Options, Requests, Simulator};
use futures_util::FutureExt;
use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::binary::{Callvault, callvault};
use crate::stand_ins::lambda::{Answer, Instance, LambdaRuntime, log_of};
use crate::stand_ins::moto::{Moto, unique};
use crate::stand_ins::table;
use crate::truth::{self, Expected};

/// The functions of the pipeline, in the order of the work.
pub const FUNCTIONS: [&str; 5] =
    ["query-conversations", "submit-batches", "poll-batches", "upload-recordings", "close-days"];

/// What the timer sends.
pub fn timer() -> Value {
    json!({ "trigger": "timer", "scheduled": "2026-01-20T12:00:00Z" })
}

/// An instance that is killed never answers: after this nobody waits for it.
const PATIENCE: Duration = Duration::from_secs(45);

/// A function whose instances are not all at work within this is killed as it is.
const BUSY_WITHIN: Duration = Duration::from_secs(3);

/// How often every record of the table's stream reaches the upload function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deliveries {
    /// Never: only timers are left.
    Never,
    /// Once.
    Once,
    /// Twice.
    Twice,
}

impl Deliveries {
    fn times(self) -> usize {
        match self {
            Self::Never => 0,
            Self::Once => 1,
            Self::Twice => 2,
        }
    }
}

/// How a day is driven.
#[derive(Debug, Clone, Copy)]
pub struct Drive {
    /// Instances of every function.
    pub instances: usize,
    /// The table's stream.
    pub stream: Deliveries,
    /// So many instances are killed, one after the other, while they work.
    pub kills: usize,
    /// A day that is not closed after this is a failure.
    pub patience: Duration,
}

impl Default for Drive {
    fn default() -> Self {
        Self { instances: 1, stream: Deliveries::Once, kills: 0, patience: Duration::from_secs(900) }
    }
}

/// What happened on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Driven {
    /// Instances that were killed.
    pub kills: usize,
    /// Invocations that an instance had taken and never answered: it was killed in the middle of them.
    pub cut_off: usize,
}

/// The invocations under way, and what became of them.
#[derive(Default)]
struct Watch {
    under_way: [AtomicUsize; FUNCTIONS.len()],
    kills: AtomicUsize,
    cut_off: AtomicUsize,
}

/// The whole of it.
pub struct Cloud {
    simulator: Simulator,
    moto: Moto,
    lambda: LambdaRuntime,
    sdk: SdkConfig,
    days: Vec<Date>,
    zone: String,
    table: String,
    bucket: String,
    folder: TempDir,
    changed: Vec<(String, String)>,
}

impl Cloud {
    /// Starts everything; the table and the bucket are empty.
    pub async fn start(options: Options) -> Self {
        let zone = options.time_zone.iana_name().unwrap_or("UTC").to_owned();
        let last = i64::from(options.days) - 1;
        let days = (0..=last).map(|n| options.first_day.checked_add(n.days()).unwrap()).collect();
        let simulator = Simulator::start(options).await.unwrap();
        let moto = Moto::start();
        let sdk = moto.sdk();
        let (table, bucket) = (unique("ledger"), unique("archive"));
        table::create(&sdk, &table).await;
        create_bucket(&sdk, &bucket).await;
        let folder = tempfile::Builder::new().prefix("callvault-cloud").tempdir().unwrap();
        let lambda = LambdaRuntime::start();
        Self { simulator, moto, lambda, sdk, days, zone, table, bucket, folder, changed: Vec::new() }
    }

    /// A setting for every instance and command, whatever it was before; an empty one is taken away.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.changed.retain(|(changed, _)| changed != name);
        self.changed.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The org.
    pub fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    /// How AWS's stand-in is reached.
    pub fn sdk(&self) -> &SdkConfig {
        &self.sdk
    }

    /// Its days.
    pub fn days(&self) -> &[Date] {
        &self.days
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The runtime.
    pub fn lambda(&self) -> &LambdaRuntime {
        &self.lambda
    }

    /// What was asked of the simulator.
    pub fn requests(&self) -> Requests {
        self.simulator.requests()
    }

    /// Where logs and the copy of the bucket are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The environment of every function and of the operator's command.
    pub fn settings(&self) -> Vec<(String, String)> {
        let mut settings: Vec<(String, String)> =
            self.moto.environment().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        for (name, value) in [
            ("GENESYS_URL", self.simulator.url().to_owned()),
            ("GENESYS_CLIENT_ID", "demo".to_owned()),
            ("GENESYS_CLIENT_SECRET", "demo".to_owned()),
            ("LEDGER", format!("dynamodb:{}", self.table)),
            ("ARCHIVE", format!("s3://{}/vault", self.bucket)),
            ("TIMEZONE", self.zone.clone()),
            ("AWS_LC_SYS_NO_JITTER_ENTROPY", "1".to_owned()),
        ] {
            settings.push((name.to_owned(), value));
        }
        settings.retain(|(name, _)| self.changed.iter().all(|(changed, _)| changed != name));
        settings.extend(self.changed.iter().filter(|(_, value)| !value.is_empty()).cloned());
        settings
    }

    /// The operator's command over the same ledger and archive.
    pub fn command(&self, args: &[&str]) -> Callvault {
        let command = callvault(args).folder(self.folder.path());
        self.settings().into_iter().fold(command, |command, (name, value)| command.env(name, value))
    }

    /// An instance of a function.
    pub fn instance(&self, name: &str, number: usize) -> Instance {
        self.lambda.instance(name, &self.settings(), &log_of(self.folder.path(), name, number))
    }

    /// `status --json`.
    pub async fn status(&self) -> Value {
        let command = self.command(&["status", "--json"]);
        tokio::task::spawn_blocking(move || command.run().expect_code(0).json()).await.unwrap()
    }

    /// What a complete export looks like.
    pub fn expected(&self) -> Expected {
        Expected::new(self.simulator.truth(), &self.zone)
    }

    /// The bucket as a folder.
    pub async fn download(&self) -> PathBuf {
        let root = self.folder.path().join("archive");
        let s3 = s3(&self.sdk);
        let mut pages = s3.list_objects_v2().bucket(&self.bucket).into_paginator().send();
        while let Some(page) = pages.next().await {
            for object in page.unwrap().contents() {
                let key = object.key().unwrap();
                let path = root.join(key.strip_prefix("vault/").unwrap());
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                let answer = s3.get_object().bucket(&self.bucket).key(key).send().await.unwrap();
                std::fs::write(path, answer.body.collect().await.unwrap().into_bytes()).unwrap();
            }
        }
        root
    }

    /// The bucket and what the ledger says equal the simulator's truth.
    pub async fn equals_truth(&self) {
        let (archive, status) = (self.download().await, self.status().await);
        truth::assert_equal(&self.expected(), &archive, &status);
    }

    /// Plans the days, then fires timers and carries stream records until every day is closed.
    pub async fn run_until_closed(&self, drive: Drive) -> Driven {
        let instances: Vec<Vec<Mutex<Instance>>> = FUNCTIONS
            .iter()
            .map(|name| (0..drive.instances).map(|number| Mutex::new(self.instance(name, number))).collect())
            .collect();
        let days = json!({ "from": self.days[0].to_string(), "to": self.days[self.days.len() - 1].to_string() });
        let planned = self.insist(FUNCTIONS[0], &days).await;
        assert_eq!(planned.status, 200, "{planned:?}");
        let (stop, watch) = (AtomicBool::new(false), Watch::default());
        let timers =
            (0..FUNCTIONS.len() * drive.instances).map(|n| self.timer(n % FUNCTIONS.len(), &watch, &stop).boxed());
        let everything = futures_util::future::join(
            futures_util::future::join_all(timers),
            futures_util::future::join3(
                self.stream(drive.stream, &watch, &stop),
                self.kills(&instances, drive.kills, &watch, &stop),
                self.replace_dead(&instances, &stop),
            ),
        );
        let closed = async {
            let closed = self.wait_until_closed(drive.patience).await;
            stop.store(true, Ordering::Relaxed);
            closed
        };
        let (closed, _) = futures_util::future::join(closed, everything).await;
        assert!(closed, "not closed in time: {}\n{}", self.status().await, self.logs());
        Driven { kills: watch.kills.into_inner(), cut_off: watch.cut_off.into_inner() }
    }

    /// The ends of the logs, for whoever reads a failure.
    pub fn logs(&self) -> String {
        let mut text = String::new();
        for entry in std::fs::read_dir(self.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ext| ext == "log") {
                let log = std::fs::read_to_string(&path).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let tail = lines[lines.len().saturating_sub(6)..].join("\n");
                text.push_str(&format!("== {}\n{tail}\n", path.file_name().unwrap().to_string_lossy()));
            }
        }
        text
    }

    /// Invokes until there is an answer: the instance may still be starting.
    async fn insist(&self, name: &str, payload: &Value) -> Answer {
        for _ in 0..5 {
            if let Some(answer) = self.lambda.invoke(name, payload, Duration::from_secs(60)).await {
                return answer;
            }
        }
        panic!("{name} does not answer\n{}", self.logs());
    }

    /// One function's timer, quicker than on AWS.
    async fn timer(&self, which: usize, watch: &Watch, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            // An instance that is killed answers nothing: the timer comes again, as on AWS.
            if let Some(answer) = self.invoke(which, &timer(), watch).await {
                assert_eq!(answer.status, 200, "{}: {answer:?}\n{}", FUNCTIONS[which], self.logs());
            }
            pause(1000).await;
        }
    }

    async fn invoke(&self, which: usize, payload: &Value, watch: &Watch) -> Option<Answer> {
        watch.under_way[which].fetch_add(1, Ordering::Relaxed);
        let answer = self.lambda.invoke(FUNCTIONS[which], payload, PATIENCE).await;
        watch.under_way[which].fetch_sub(1, Ordering::Relaxed);
        watch.cut_off.fetch_add(usize::from(answer.is_none()), Ordering::Relaxed);
        answer
    }

    async fn stream(&self, deliveries: Deliveries, watch: &Watch, stop: &AtomicBool) {
        let mut reader = stream::Reader::new(self.moto.url(), &self.table).await;
        while !stop.load(Ordering::Relaxed) {
            let records = reader.next().await;
            if !records.is_empty() {
                let event = json!({ "Records": records });
                for _ in 0..deliveries.times() {
                    if let Some(answer) = self.invoke(3, &event, watch).await {
                        assert_eq!(answer.body, json!({ "batchItemFailures": [] }), "{}", self.logs());
                    }
                }
            }
            pause(300).await;
        }
    }

    /// Kills one instance after the other, in turn over the functions and while all of a function's are at work if that
    /// happens soon, and starts another in its place.
    async fn kills(&self, instances: &[Vec<Mutex<Instance>>], kills: usize, watch: &Watch, stop: &AtomicBool) {
        let next = AtomicUsize::new(100);
        for n in 0..kills {
            pause(700 + 137 * (n as u64 % 7)).await;
            let which = n % FUNCTIONS.len();
            let begun = Instant::now();
            let all_busy = || watch.under_way[which].load(Ordering::Relaxed) >= instances[which].len();
            while !all_busy() && begun.elapsed() < BUSY_WITHIN {
                pause(3).await;
            }
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let victim = &instances[which][n / FUNCTIONS.len() % instances[which].len()];
            watch.kills.fetch_add(1, Ordering::Relaxed);
            *victim.lock().unwrap() = self.instance(FUNCTIONS[which], next.fetch_add(1, Ordering::Relaxed));
        }
    }

    /// Lambda starts another instance where one has ended.
    async fn replace_dead(&self, instances: &[Vec<Mutex<Instance>>], stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            for (name, instances) in FUNCTIONS.iter().zip(instances) {
                for (number, instance) in instances.iter().enumerate() {
                    let mut instance = instance.lock().unwrap();
                    if !instance.is_running() {
                        *instance = self.instance(name, number);
                    }
                }
            }
            pause(250).await;
        }
    }

    async fn wait_until_closed(&self, patience: Duration) -> bool {
        let began = Instant::now();
        while began.elapsed() < patience {
            let status = self.status().await;
            let closed = status["days"].as_array().into_iter().flatten().filter(|day| day["state"] == "closed").count();
            if closed == self.days.len() {
                return true;
            }
            pause(2000).await;
        }
        false
    }
}

#[expect(clippy::disallowed_methods, reason = "the functions go by the real clock")]
async fn pause(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

/// A client with path-style addresses, which stand-ins need.
pub fn s3(sdk: &SdkConfig) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(sdk).force_path_style(true).build())
}

/// Makes an empty bucket.
pub async fn create_bucket(sdk: &SdkConfig, name: &str) {
    let place = aws_sdk_s3::types::CreateBucketConfiguration::builder().location_constraint("eu-west-1".into()).build();
    s3(sdk).create_bucket().bucket(name).create_bucket_configuration(place).send().await.unwrap();
}
