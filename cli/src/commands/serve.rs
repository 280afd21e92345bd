//! `callvault serve`: what is answered on HTTP on one machine, until it is stopped.
//!
//! | module | owns |
//! |---|---|
//! | `server` | connections, bodies, their limits |
//! | `site` | which part answers a request, and who may ask it |
//!
//! A part whose setting is missing is off, with a warning: never open. Must never do the work of a stage itself.

mod server;
mod site;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use callvault_bootstrap::settings::Need;
use tokio::net::TcpListener;
use tokio::sync::watch;

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
    let site = Arc::new(Site::of(&settings, &house));
    // Before it says that it can be stopped.
    let told = interrupted();
    screen::line(format!("listening on http://{address}"));
    let (stop, stopping) = watch::channel(false);
    // Whatever else works in this process is joined to this, and hears `stopping` too.
    let mut work = std::pin::pin!(server::run(listener, site, Arc::clone(&house.clock), stopping));
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
