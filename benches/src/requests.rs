//! API requests per 1,000 recorded conversations.

use crate::Outcome;
use crate::programs::{Simulator, export};

pub(crate) fn measure() -> Outcome {
    println!("# requests per 1,000 recorded conversations (floor: 10 query pages, 10 submissions, the polls)");
    for (mode, job_ms) in [("analytics", "2000"), ("analytics", "20000"), ("full", "2000")] {
        let simulator = Simulator::start(&["--conversations", "1000", "--job-ms", job_ms, "--media-bytes", "4096"])?;
        let dir = tempfile::tempdir()?;
        let run = export(&simulator.url, dir.path(), &[("METADATA", mode)])?;
        println!("METADATA={mode}, jobs of {job_ms} ms: {} requests", run.json["requests"]);
    }
    println!();
    Ok(())
}
