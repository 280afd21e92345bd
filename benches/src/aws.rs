//! What the functions take: init time, DynamoDB units, memory, time and logs. AWS is moto; the runtime API is [`runtime`].

mod day;
mod init;
mod pipeline;
mod runtime;
mod units;
mod upload;

use crate::Outcome;

/// Measures what is `wanted`, by name.
pub(crate) fn measure(wanted: impl Fn(&str) -> bool) -> Outcome {
    for (name, measure) in [
        ("aws-init", init::measure as fn() -> Outcome),
        ("aws-units", units::measure),
        ("aws-memory", upload::measure),
        ("aws-day", day::measure),
    ] {
        if wanted(name) {
            measure()?;
        }
    }
    Ok(())
}
