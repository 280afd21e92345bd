//! Log lines: on stderr for people, on stdout for Lambda. A line is a sentence and a record; it holds no secrets, bodies, names, numbers or URLs.

use std::io::IsTerminal;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How much a function says: words for `LOG_LEVEL`.
pub const LEVELS: [&str; 4] = ["error", "warn", "info", "debug"];

/// How much is said when nothing is asked for. The AWS SDK's warnings are whole answers; what matters of them our own
/// errors say.
const QUIET: &str = "warn,aws=off";

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

/// Starts logging to stdout as Lambda wants it: a JSON object a line, no colour, the invocation's fields with each.
/// `level` is one of [`LEVELS`]. It is ours alone: what others say below a warning may hold what ours never does. The
/// SDK's warnings are whole answers, and the runtime repeats our errors without the invocation's id.
pub fn start_for_lambda(level: &str) {
    let others = if level == "error" { "error" } else { "warn" };
    let targets = [
        "callvault",
        "query_conversations",
        "submit_batches",
        "poll_batches",
        "upload_recordings",
        "close_days",
        "rotate_token",
    ];
    let ours: String = targets.iter().map(|target| format!(",{target}={level}")).collect();
    // Not an `EnvFilter`: its regular expressions are a tenth of a function's size.
    let filter = Targets::from_str(&format!("{others},aws=off,lambda_runtime=off{ours}")).unwrap_or_default();
    let lines = tracing_subscriber::fmt().json().flatten_event(true).with_current_span(true).with_span_list(false);
    let lines = lines.with_max_level(LevelFilter::TRACE).with_writer(std::io::stdout).with_ansi(false);
    // A second start keeps the first: only tests do that.
    drop(lines.finish().with(filter).try_init());
}
