//! `callvault completions`.

use std::process::ExitCode;

use clap::CommandFactory;

use crate::args::Args;
use crate::failure::Failure;
use crate::screen;

/// Prints the completion script of a shell.
pub(crate) fn run(shell: clap_complete::Shell) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "callvault", &mut script);
    screen::print(&script);
    Ok(ExitCode::SUCCESS)
}
