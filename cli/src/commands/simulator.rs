//! `callvault simulator`: a Genesys Cloud org to try things on.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use callvault_bootstrap::settings::Need;
use callvault_bootstrap::system;
use callvault_pipeline::day::Day;
use callvault_simulator::{Options, Simulator};
use jiff::ToSpan;
use jiff::tz::TimeZone;

use crate::args;
use crate::connect::Given;
use crate::failure::Failure;
use crate::screen;
use crate::signals::interrupted;

pub(crate) async fn run(args: args::Simulator, given: &Given) -> Result<ExitCode, Failure> {
    let settings = given.settings(Need::Nothing, &[])?;
    let zone_name = settings.calendar.zone_name();
    let zone = TimeZone::get(zone_name).unwrap_or(TimeZone::UTC);
    let day = args.day.unwrap_or_else(|| three_days_ago(&settings.calendar));
    let options = Options {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, args.port)),
        days: args.days,
        time_zone: zone,
        conversations: args.conversations,
        seed: args.seed,
        faults: args.faults,
        rate_per_minute: args.rate,
        media_bytes: args.media_bytes,
        plain: args.plain,
        job_delay: Duration::from_millis(args.job_ms),
        url_life: Duration::from_secs(args.url_seconds),
        token_life: Duration::from_secs(args.token_seconds),
        ..Options::new(day.date())
    };
    let simulator = Simulator::start(options).await.map_err(|error| {
        Failure::stopped(format!("cannot listen on 127.0.0.1:{} ({error}): give another --port", args.port))
    })?;
    screen::line(format!("listening on {}", simulator.url()));
    interrupted().await;
    simulator.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Days this old are complete at the source.
pub(crate) fn three_days_ago(calendar: &callvault_pipeline::day::Calendar) -> Day {
    let today = calendar.day_of(system::clock().now());
    today.date().checked_sub(3.days()).map_or(today, Day::new)
}
