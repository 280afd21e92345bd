//! Peak memory of an export, for few and many recordings.

use crate::Outcome;
use crate::programs::{Simulator, export, mib};

pub(crate) fn measure() -> Outcome {
    println!("# peak memory of an export (recordings of 16 KiB)");
    let mut peaks = Vec::new();
    for count in [10_u64, 1_000, 10_000] {
        let flags = ["--conversations", &count.to_string(), "--media-bytes", "16384", "--job-ms", "500"];
        let simulator = Simulator::start(&flags)?;
        let dir = tempfile::tempdir()?;
        let run = export(&simulator.url, dir.path(), &[("METADATA", "analytics")])?;
        let took = run.took.as_secs_f64();
        println!("{count} recordings: {:.1} MiB, {:.1} s", mib(run.peak_bytes), took);
        peaks.push(mib(run.peak_bytes));
    }
    if let [few, .., many] = peaks[..] {
        println!("10,000 recordings take {:.2} x the memory of 10", many / few);
    }
    println!();
    Ok(())
}
