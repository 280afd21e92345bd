//! The performance harness: prints the figures of `benches/README.md`, each beside a peer's from the same run.
//!
//! Usage: `callvault-benches [requests|copy|memory|archives|ledger|calls|backfill|aws]...`, all of them by default; `aws` is `aws-init`, `aws-units`,
//! `aws-memory` and `aws-day`. Expects `callvault` beside itself (`make bench` builds both). Machines differ: read the ratios, not the seconds.

#![expect(clippy::print_stdout, reason = "the figures are the purpose")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

mod archives;
mod aws;
mod backfill;
mod calls;
mod copy;
mod ledger;
mod memory;
mod programs;
mod requests;

use std::error::Error;

/// A figure's failure is the harness's.
type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    // What the harness starts itself.
    if asked.first().is_some_and(|one| one == "calls-echo") {
        return calls::serve_echo();
    }
    let wanted = |name: &str| asked.is_empty() || asked.iter().any(|one| one == name);
    for (name, measure) in [
        ("requests", requests::measure as fn() -> Outcome),
        ("copy", copy::measure),
        ("memory", memory::measure),
        ("archives", archives::measure),
        ("ledger", ledger::measure),
        ("calls", calls::measure),
        ("backfill", backfill::measure),
    ] {
        if wanted(name) {
            measure()?;
        }
    }
    aws::measure(|name| wanted("aws") || wanted(name))
}
