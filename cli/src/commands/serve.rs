//! `callvault serve`: what is answered on HTTP on one machine, until it is stopped.
//!
//! | module | owns |
//! |---|---|
//! | `server` | connections, bodies, their limits |
//! | `site` | which part answers a request, and who may ask it |
//! | `page` | the live page's files |
//! | `handshake` | whether a request opens a websocket |
//! | `sockets` | open websockets |
//!
//! A part whose setting is missing is off, with a warning: never open. What the jobs API plans is worked off beside it,
//! where there is a client. Must never do the work of a stage itself.

mod handshake;
mod page;
mod server;
mod site;
mod sockets;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use callvault_bootstrap::settings::Need;
use tokio::net::TcpListener;

use super::run::days::{DaysJob, OF_THE_CLIENT, Planning};
use super::run::job::Stopping;
use crate::args;
use crate::connect::{Given, Opened};
use crate::failure::Failure;
use crate::screen;
use crate::signals::interrupted;
use site::Site;

/// What is under way when it is told to stop is given this long.
const LAST_WORK: Duration = Duration::from_secs(30);

pub(crate) async fn run(args: args::Serve, given: &Given) -> Result<ExitCode, Failure> {
    let settings = given.settings(Need::Nothing, &[])?;
    let Opened { settings, house, .. } = Box::pin(Opened::open(settings)).await?;
    let unheard = |error: std::io::Error| {
        Failure::stopped(format!("cannot listen on {} ({error}): give another --listen", args.listen))
    };
    let listener = TcpListener::bind(args.listen).await.map_err(unheard)?;
    let address = listener.local_addr().map_err(unheard)?;
    if !address.ip().is_loopback() {
        tracing::warn!("{address} is heard by other machines, and without TLS: only a proxy with TLS should reach it");
    }
    let site = Arc::new(Site::of(&settings, &house)?);
    let days = if given.is_any_set(&OF_THE_CLIENT)? { Some(DaysJob::open(given).await?) } else { None };
    if days.is_none() {
        tracing::warn!("no GENESYS_CLIENT_ID: what is planned here is left to whoever works on this ledger");
    }
    // Before it says that it can be stopped.
    let told = interrupted();
    screen::line(format!("listening on http://{address}"));
    let (stop, stopping) = Stopping::channel();
    let work = async {
        let days = async {
            if let Some(job) = &days {
                job.run(Planning::Others, stopping.clone()).await;
            }
        };
        tokio::join!(days, server::run(listener, site, Arc::clone(&house.clock), stopping.clone()));
    };
    let mut work = std::pin::pin!(work);
    tokio::select! {
        () = &mut work => return Ok(ExitCode::SUCCESS),
        () = told => stop.send_replace(true),
    };
    // Told again, or after a while, it stops at once: nothing is lost.
    tokio::select! {
        () = &mut work => {}
        () = interrupted() => {}
        () = house.clock.sleep(LAST_WORK) => {}
    }
    Ok(ExitCode::SUCCESS)
}
