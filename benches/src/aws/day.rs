//! A whole day by the functions, one invocation after the other: what each takes, writes and leaves. What the cost note
//! is computed from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::time::{Duration, Instant};

use callvault_aws::dynamodb::DynamoLedger;
use callvault_bootstrap::system;
use callvault_pipeline::ledger::{DayState, Fact, Ledger, Stage};
use callvault_tests::cloud::{FUNCTIONS, s3};
use callvault_tests::stand_ins::moto::Moto;
use serde_json::{Value, json};

use super::init::Place;
use super::runtime::{Asked, RuntimeApi};
use crate::Outcome;
use crate::programs::{Simulator, cpu, day};

const CONVERSATIONS: u32 = 300;

/// As `infra/measured.json` assumes it of a recording.
const MEDIA_BYTES: u32 = 1_500_000;

/// What one invocation took and wrote.
struct Invocation {
    waited: Duration,
    computed: Duration,
    log: String,
    did_something: bool,
}

/// The sum of invocations.
#[derive(Default)]
struct Sum {
    invocations: u32,
    waited: Duration,
    computed: Duration,
    log_bytes: usize,
}

impl Sum {
    fn add(&mut self, one: &Invocation) {
        self.invocations += 1;
        self.waited += one.waited;
        self.computed += one.computed;
        self.log_bytes += one.log.len();
    }

    fn print(&self, what: &str, per: u32, unit: &str) {
        let each = |time: Duration| time.as_secs_f64() * 1e3 / f64::from(per.max(1));
        println!(
            "{what}: {} invocations; a {unit}: {:.2} ms, {:.2} ms of them computing, {:.0} bytes of log",
            self.invocations,
            each(self.waited),
            each(self.computed),
            self.log_bytes as f64 / f64::from(per.max(1)),
        );
    }
}

pub(crate) fn measure() -> Outcome {
    println!(
        "# a day by the functions ({CONVERSATIONS} conversations with one recording of 1.5 MB each, METADATA=full)"
    );
    let runtime = tokio::runtime::Runtime::new()?;
    let moto = Moto::start();
    let (count, bytes) = (CONVERSATIONS.to_string(), MEDIA_BYTES.to_string());
    let simulator = Simulator::start(&["--conversations", &count, "--media-bytes", &bytes, "--job-ms", "1500"])?;
    let place = Place::new(&runtime, &moto, &simulator.url);
    let ledger = DynamoLedger::new(&moto.sdk(), place.table(), system::holder(), system::chance());
    let (mut busy, mut idle) = (BTreeMap::<&str, Sum>::new(), Sum::default());
    let mut metrics = BTreeSet::new();
    let mut event = json!({ "from": day()?, "to": day()? });
    loop {
        for name in FUNCTIONS {
            let one = invoke(&place, name, &event)?;
            metrics_of(&one.log, &mut metrics);
            if one.did_something {
                busy.entry(name).or_default().add(&one)
            } else {
                idle.add(&one)
            }
            event = callvault_tests::cloud::timer();
        }
        if runtime.block_on(is_closed(&ledger))? {
            break;
        }
        runtime.block_on(until_due(&ledger))?;
    }
    for (name, sum) in &busy {
        sum.print(name, CONVERSATIONS, "recording");
    }
    // Once more, with nothing to do: a day that is closed.
    for name in FUNCTIONS {
        idle.add(&invoke(&place, name, &event)?);
    }
    idle.print("with nothing to do", idle.invocations, "invocation");
    println!("{} metrics, each with its dimensions: {}", metrics.len(), Vec::from_iter(metrics).join(", "));
    let (objects, documents) = runtime.block_on(objects(&moto, &place))?;
    let metadata = documents as f64 / f64::from(CONVERSATIONS);
    println!("{objects} objects; {metadata:.0} bytes of metadata a conversation\n");
    Ok(())
}

/// One invocation of a new instance; what it did before it asked for the event does not count.
fn invoke(place: &Place, name: &str, event: &Value) -> Result<Invocation, Box<dyn std::error::Error>> {
    let api = RuntimeApi::start(Some(&event.to_string()))?;
    let log = tempfile::NamedTempFile::new()?;
    let output = File::options().append(true).open(log.path())?;
    let mut child = place.command(name, &api)?.stdout(output.try_clone()?).stderr(output).spawn()?;
    let mut begun = None;
    let answered = loop {
        match api.asked(Duration::from_secs(600)) {
            Ok(Asked::Next(at)) => begun = begun.or(Some((at, cpu(child.id())))),
            Ok(Asked::Answered(well)) => break Ok(well),
            Err(error) => break Err(error),
        }
    };
    let ended = (Instant::now(), cpu(child.id()));
    // Its last line may come after its answer.
    let _ = api.asked(Duration::from_secs(5));
    child.kill()?;
    child.wait()?;
    let log = std::fs::read_to_string(log.path())?;
    let (true, Some(begun)) = (answered?, begun) else { return Err(format!("{name} failed: {log}").into()) };
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let did_something =
        lines.filter_map(|line| Some(line["claimed"].as_u64()? + line["found"].as_u64()?)).any(|n| n > 0);
    Ok(Invocation { waited: ended.0 - begun.0, computed: ended.1.saturating_sub(begun.1), log, did_something })
}

/// Metrics are billed by name and dimensions.
fn metrics_of(log: &str, metrics: &mut BTreeSet<String>) {
    for line in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        for directive in line["_aws"]["CloudWatchMetrics"].as_array().into_iter().flatten() {
            for dimensions in directive["Dimensions"].as_array().into_iter().flatten() {
                let values = dimensions.as_array().into_iter().flatten().filter_map(Value::as_str);
                let values: Vec<&str> =
                    values.filter(|name| *name != "environment").filter_map(|name| line[name].as_str()).collect();
                for metric in directive["Metrics"].as_array().into_iter().flatten() {
                    metrics.insert(format!("{} {}", metric["Name"].as_str().unwrap_or_default(), values.join("/")));
                }
            }
        }
    }
}

async fn is_closed(ledger: &DynamoLedger) -> Result<bool, Box<dyn std::error::Error>> {
    let row = ledger.day(day()?.parse()?).await?;
    Ok(row.is_some_and(|row| matches!(row.fact, Fact::Day(fact) if fact.state == DayState::Closed)))
}

/// Waits until something is due, a minute at most: what is looked at as a precaution is not waited for.
async fn until_due(ledger: &DynamoLedger) -> Result<(), Box<dyn std::error::Error>> {
    let mut next = None;
    for stage in [Stage::Query, Stage::Submit, Stage::Poll, Stage::Describe, Stage::Upload, Stage::Close] {
        next = [next, ledger.next_due(stage).await?].into_iter().flatten().min();
    }
    let clock = system::clock();
    let pause = next.map(|due| due.duration_since(clock.now())).and_then(|pause| Duration::try_from(pause).ok());
    clock.sleep(pause.unwrap_or_default().min(Duration::from_secs(60))).await;
    Ok(())
}

/// How many objects there are, and the bytes of those that are no media.
async fn objects(moto: &Moto, place: &Place) -> Result<(usize, u64), Box<dyn std::error::Error>> {
    let mut pages = s3(&moto.sdk()).list_objects_v2().bucket(place.bucket()).into_paginator().send();
    let (mut objects, mut documents) = (0, 0);
    while let Some(page) = pages.next().await {
        for object in page?.contents() {
            objects += 1;
            let bytes = object.size().unwrap_or_default().unsigned_abs();
            documents += if object.key().is_some_and(|key| key.contains("/metadata/")) { bytes } else { 0 };
        }
    }
    Ok((objects, documents))
}
