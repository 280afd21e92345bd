//! `callvault estimate`: what exporting days will take, before it is begun.
//!
//! | module | owns |
//! |---|---|
//! | this one | the command, and the object that `--json` prints |
//! | `aws` | cost, from the price file and the measured figures of infra |
//! | `show` | the same for people |

mod aws;
mod show;

use std::process::ExitCode;
use std::sync::Arc;

use callvault_bootstrap::settings::{LedgerPlace, Need, Settings};
use callvault_bootstrap::system;
use callvault_pipeline::day::Day;
use callvault_pipeline::estimate::{Basis, Estimate, Estimator, Figure};
use callvault_pipeline::ledger::Ledger;
use callvault_pipeline::reconcile::MetadataMode;
use callvault_pipeline::requests::{self, PUBLISHED_LIMIT, Shape};
use serde::Serialize;

use super::export::refuse_unfinished_at;
use crate::args;
use crate::cloud::Cloud;
use crate::connect::{Given, client, look_at_ledger};
use crate::failure::Failure;
use crate::screen;
use crate::signals::interrupted;

/// What is estimated. The names are fixed: scripts read them.
#[derive(Debug, Serialize)]
struct Estimated {
    from: Day,
    to: Day,
    #[serde(flatten)]
    estimate: Estimate,
    /// API requests that the source allows a minute.
    allowed_per_minute: Figure,
    /// How long the API requests take at that rate.
    hours: Hours,
    /// What it costs on AWS.
    aws: aws::Cost,
    /// API requests that this took, sign-in and retries included.
    asked: u64,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Hours {
    value: f64,
    basis: Basis,
}

pub(crate) async fn run(args: args::Estimate, given: &Given) -> Result<ExitCode, Failure> {
    if args.to < args.from {
        return Err(Failure::usage(format!("--to {} is before --from {}", args.to, args.from)));
    }
    let flags = [("GENESYS_URL", args.genesys_url.as_deref()), ("LEDGER", args.ledger.as_deref())];
    let settings = given.settings(Need::Source, &flags)?;
    refuse_unfinished_at(&settings.calendar, system::clock().now(), args.to)?;
    let estimated = tokio::select! {
        estimated = Box::pin(estimate(&settings, args.from, args.to)) => estimated?,
        () = interrupted() => return Err(Failure::stopped("interrupted: nothing was begun")),
    };
    if args.json {
        screen::json(&estimated);
    } else {
        show::show(&estimated);
    }
    Ok(ExitCode::SUCCESS)
}

async fn estimate(settings: &Settings, from: Day, to: Day) -> Result<Estimated, Failure> {
    let client = client(settings, &Cloud::of_source(settings).await?).await?;
    let ledger = ledger(settings).await?;
    let clock = system::clock();
    let shape = Shape {
        page_size: u64::from(settings.page_size),
        batch_size: settings.batch_size as u64,
        metadata: settings.metadata,
    };
    let estimator = Estimator {
        conversations: &client,
        recordings: &client,
        ledger: ledger.as_deref(),
        clock: &*clock,
        calendar: &settings.calendar,
        wanted: &settings.wanted,
        kinds: &settings.kinds,
        shape,
    };
    let estimate = estimator.estimate(&from.through(to)).await?;
    let allowed_per_minute = match client.budget() {
        Some(budget) => Figure::new(u64::from(budget.allowed), Basis::Counted),
        None => Figure::new(u64::from(PUBLISHED_LIMIT), Basis::Assumed),
    };
    let allowed = u32::try_from(allowed_per_minute.value).unwrap_or(u32::MAX);
    let hours = requests::time(estimate.requests.total, allowed).as_secs_f64() / 3_600.0;
    let work = aws::Work {
        conversations: estimate.exported.value as f64,
        recordings: estimate.recordings.value as f64,
        bytes: estimate.bytes.value as f64,
        metadata_share: if shape.metadata == MetadataMode::Full { 1.0 } else { 0.05 },
        months: hours / aws::HOURS_OF_A_MONTH,
    };
    Ok(Estimated {
        from,
        to,
        allowed_per_minute,
        hours: Hours { value: (hours * 100.0).round() / 100.0, basis: estimate.requests.basis },
        aws: aws::cost(&work)?,
        estimate,
        asked: client.requests_sent(),
    })
}

/// What was exported before; a ledger that is not there yet knows nothing.
async fn ledger(settings: &Settings) -> Result<Option<Arc<dyn Ledger>>, Failure> {
    match &settings.ledger {
        LedgerPlace::Sqlite(path) if !path.exists() => Ok(None),
        _ => look_at_ledger(settings).await.map(Some),
    }
}
