//! `callvault demo`: a simulated org's day, exported for real and compared with the truth.

mod compare;

use std::path::Path;
use std::process::ExitCode;

use callvault_bootstrap::settings::{Need, Settings};
use callvault_local::folder::FolderArchive;
use callvault_pipeline::day::{Calendar, Day};
use callvault_simulator::{Options, Simulator};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::export::{self, Exported};
use super::simulator::three_days_ago;
use crate::args;
use crate::failure::Failure;
use crate::screen;

/// API requests a minute that the simulated org allows. Real orgs allow 300; a demo that keeps to that is slow, and
/// keeping to the limit shows with any number.
const RATE: u32 = 3_000;

/// What a demo's folder holds: the same org must be simulated at every run over it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Org {
    day: Day,
    conversations: u32,
    seed: u64,
}

pub(crate) async fn run(args: args::Demo) -> Result<ExitCode, Failure> {
    let org = org(&args)?;
    let options = Options {
        conversations: org.conversations,
        seed: org.seed,
        faults: args.faults,
        rate_per_minute: RATE,
        ..Options::new(org.day.date())
    };
    let simulator = Simulator::start(options)
        .await
        .map_err(|error| Failure::stopped(format!("the simulator cannot listen on 127.0.0.1 ({error})")))?;
    screen::line(format!(
        "A simulated Genesys Cloud org: {} conversations on {}, faults: {}.",
        org.conversations, org.day, args.faults
    ));
    let settings = settings(&args.dir, &simulator.url())?;
    let exported = export::export(settings.clone(), org.day, org.day, false).await?;
    export::show(&exported);
    let archive = FolderArchive::open(&args.dir.join("archive"))?;
    let differences = compare::compare(&simulator.truth(), &archive, &settings, org.day).await?;
    let verdict = conclude(&args.dir, &exported, &simulator, &differences);
    simulator.stop().await;
    Ok(verdict)
}

fn conclude(dir: &Path, exported: &Exported, simulator: &Simulator, differences: &[String]) -> ExitCode {
    let requests = simulator.requests();
    screen::line(format!(
        "The simulator counts at most {} requests in any minute, {} allowed; faults it made: {}.",
        requests.worst_minute,
        requests.allowed,
        requests.faults.values().sum::<u64>(),
    ));
    if exported.transferred.0 == 0 {
        screen::line("Nothing was transferred: everything was in the archive already.");
    }
    if differences.is_empty() {
        screen::line("The archive equals the simulator's truth: every recording stored, or parked with its reason.");
        screen::line(format!("Look at it: {}", dir.join("archive").display()));
        return ExitCode::SUCCESS;
    }
    screen::line(format!("The archive differs from the simulator's truth in {} places:", differences.len()));
    for difference in differences.iter().take(20) {
        screen::line(format!("  {difference}"));
    }
    ExitCode::from(1)
}

/// The org of the folder, or a new one.
fn org(args: &args::Demo) -> Result<Org, Failure> {
    let calendar = Calendar::new(TimeZone::UTC);
    let wanted = |day| Org { day, conversations: args.conversations, seed: args.seed };
    let path = args.dir.join("demo.json");
    let stop =
        |error: std::io::Error| Failure::stopped(format!("cannot use {} ({error}): check --dir", path.display()));
    match std::fs::read(&path) {
        Ok(text) if !text.is_empty() => {
            let org: Org = serde_json::from_slice(&text).map_err(|_| other_dir(&args.dir))?;
            if org == wanted(org.day) { Ok(org) } else { Err(other_dir(&args.dir)) }
        }
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(stop(error)),
        // Nothing yet, or an empty file that a killed run left.
        _ => {
            let org = wanted(three_days_ago(&calendar));
            std::fs::create_dir_all(&args.dir).map_err(stop)?;
            let text = serde_json::to_vec(&org).map_err(|error| Failure::stopped(error.to_string()))?;
            let part = path.with_extension("part");
            std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, &path)).map_err(stop)?;
            Ok(org)
        }
    }
}

fn other_dir(dir: &Path) -> Failure {
    let dir = dir.display();
    Failure::usage(format!("{dir} holds the demo of another --seed or --conversations: give another --dir"))
}

fn settings(dir: &Path, url: &str) -> Result<Settings, Failure> {
    let ledger = format!("sqlite:{}", dir.join("ledger.sqlite").display());
    let archive = dir.join("archive").display().to_string();
    // The demo is the same on every machine: no other setting has a say.
    let lookup = |name: &str| match name {
        "GENESYS_URL" => Some(url.to_owned()),
        "GENESYS_CLIENT_ID" | "GENESYS_CLIENT_SECRET" => Some("demo".to_owned()),
        "LEDGER" => Some(ledger.clone()),
        "ARCHIVE" => Some(archive.clone()),
        "ENVIRONMENT" => Some("demo".to_owned()),
        _ => None,
    };
    Ok(Settings::read(Need::Source, lookup)?)
}
