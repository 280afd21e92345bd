//! Log lines on stderr. A line is a sentence and a record; it holds no secrets, bodies, names, numbers or URLs.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// How much is said when nothing is asked for.
const QUIET: &str = "warn";

/// Starts logging to stderr. `filter` is in the words of `RUST_LOG` (`info`, `callvault=debug`); one that cannot be
/// read is answered with its fault.
///
/// # Errors
/// The filter's fault, in words.
pub fn start(filter: Option<&str>, json: bool) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter.unwrap_or(QUIET)).map_err(|error| {
        format!("the log filter is not one ({error}): use for instance `info` or `callvault=debug`")
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let started = if json { lines.json().try_init() } else { lines.try_init() };
    // A second start keeps the first: only tests do that.
    drop(started);
    Ok(())
}
