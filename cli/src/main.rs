//! `callvault`: the one-machine program and the operator's tool.
//!
//! | module | owns |
//! |---|---|
//! | `args` | the command line |
//! | `commands` | one module per command |
//! | `connect` | settings into ports |
//! | `cloud` | the ports on AWS, or that this program was built without them |
//! | `clouds` | the archive in Azure or Google Cloud, or that this program was built without them |
//! | `engine` | the stages as loops, until the wanted days are closed |
//! | `progress` | bars and lines on stderr |
//! | `screen` | everything on stdout |
//! | `signals` | being told to stop |
//! | `user` | Genesys Cloud in a signed-in user's name |
//! | `failure` | exit codes and what is said with them |

mod args;
mod cloud;
mod clouds;
mod commands;
mod connect;
mod engine;
mod failure;
mod progress;
mod screen;
mod signals;
mod user;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};
use failure::Failure;

fn main() -> ExitCode {
    let args = Args::parse();
    let filter = args.log.clone().or_else(|| callvault_bootstrap::system::environment("CALLVAULT_LOG"));
    let ended = callvault_bootstrap::logging::start(filter.as_deref(), args.log_json)
        .map_err(Failure::usage)
        .and_then(|()| run(args));
    match ended {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

fn run(args: Args) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::stopped(format!("no threads to run on ({error})")))?;
    let global = connect::Given::new(args.config);
    runtime.block_on(async {
        match args.command {
            Command::Demo(demo) => commands::demo::run(demo).await,
            Command::Export(export) => commands::export::run(export, &global).await,
            Command::Run => Box::pin(commands::run::run(&global)).await,
            Command::Status(status) => commands::status::run(status, &global).await,
            Command::Where(place) => commands::r#where::run(place, &global).await,
            Command::Login(login) => commands::login::run(login, &global).await,
            Command::Doctor(doctor) => commands::doctor::run(doctor, &global).await,
            Command::Verify(verify) => commands::verify::run(verify, &global).await,
            Command::Redrive(redrive) => commands::redrive::run(redrive, &global).await,
            Command::Serve(serve) => commands::serve::run(serve, &global).await,
            Command::Calls(calls) => commands::calls::run(calls, &global).await,
            Command::Report(report) => commands::report::run(report, &global).await,
            Command::Estimate(estimate) => commands::estimate::run(estimate, &global).await,
            Command::Simulator(simulator) => commands::simulator::run(simulator, &global).await,
            Command::Completions { shell } => commands::completions::run(shell),
        }
    })
}
