//! Peak memory of an export, for few and many recordings.
//!
//! Three things make it up. The floor is what ten recordings take. Fixed buffers (the ledger's page cache, URLs of a
//! few jobs, copies under way, the allocator's arenas) are filled as more recordings come, and then no further. What
//! is left is the slope: what each further recording adds. Of the process's memory, only what is its own (`RssAnon`)
//! can grow; the rest is the program's file.

use crate::Outcome;
use crate::programs::{Run, Simulator, export, mib};

/// The numbers of recordings: few, enough to fill most buffers, and two that differ by the slope only.
const COUNTS: [u64; 4] = [10, 1_000, 10_000, 30_000];

pub(crate) fn measure() -> Outcome {
    println!("# peak memory of an export (recordings of 16 KiB)");
    let mut runs = Vec::new();
    for count in COUNTS {
        let run = of(count)?;
        let (whole, own, took) = (mib(run.peak_bytes), mib(run.peak_own_bytes), run.took.as_secs_f64());
        println!("{count} recordings: {whole:.1} MiB, of which {own:.1} MiB its own, {took:.1} s");
        runs.push(run);
    }
    if let [ten, thousand, ten_thousand, most] = &runs[..] {
        let grown = |from: &Run, to: &Run| mib(to.peak_own_bytes) - mib(from.peak_own_bytes);
        println!("floor (10): {:.1} MiB its own", mib(ten.peak_own_bytes));
        println!("fixed buffers: {:+.1} MiB up to 1,000", grown(ten, thousand));
        println!("slope from 1,000 to 10,000: {:+.2} MiB for each 1,000", grown(thousand, ten_thousand) / 9.0);
        println!("slope from 10,000 to 30,000: {:+.2} MiB for each 1,000", grown(ten_thousand, most) / 20.0);
        println!("10,000 recordings take {:.2} x the memory of 10", mib(ten_thousand.peak_bytes) / mib(ten.peak_bytes));
    }
    println!();
    Ok(())
}

fn of(count: u64) -> Result<Run, Box<dyn std::error::Error>> {
    let flags = ["--conversations", &count.to_string(), "--media-bytes", "16384", "--job-ms", "500"];
    let simulator = Simulator::start(&flags)?;
    let dir = tempfile::tempdir()?;
    export(&simulator.url, dir.path(), &[("METADATA", "analytics")])
}
