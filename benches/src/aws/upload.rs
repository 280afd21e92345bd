//! Peak memory of upload-recordings with many copies in flight.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use callvault_aws::dynamodb::DynamoLedger;
use callvault_bootstrap::system;
use callvault_pipeline::archive::memory::MemoryArchive;
use callvault_tests::stand_ins::moto::Moto;

use super::init::Place;
use super::pipeline::Pipeline;
use super::runtime::{Asked, RuntimeApi};
use crate::Outcome;
use crate::programs::{Simulator, day, high_water_mark, mib};

const RECORDINGS: u32 = 256;
const AT_ONCE: u32 = 64;

pub(crate) fn measure() -> Outcome {
    println!("# peak memory of upload-recordings ({RECORDINGS} recordings of 5 MB, {AT_ONCE} at a time)");
    let runtime = tokio::runtime::Runtime::new()?;
    let moto = Moto::start();
    let flags = ["--conversations", &RECORDINGS.to_string(), "--media-bytes", "5000000", "--job-ms", "1500"];
    let simulator = Simulator::start(&flags)?;
    let mut place = Place::new(&runtime, &moto, &simulator.url);
    place.settings.push(("METADATA".to_owned(), "analytics".to_owned()));
    place.settings.push(("UPLOAD_CONCURRENCY".to_owned(), AT_ONCE.to_string()));
    let ledger = DynamoLedger::new(&moto.sdk(), place.table(), system::holder(), system::chance());
    let pipeline = Pipeline::new(&place.settings, Arc::new(ledger), Arc::new(MemoryArchive::new()))?;
    runtime.block_on(pipeline.until_copies(day()?.parse()?))?;
    let api = RuntimeApi::start(Some(r#"{"trigger":"timer"}"#))?;
    let mut child = place.command("upload-recordings", &api)?.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    // The first question is answered with the event; the answer to it comes when everything is copied.
    let answered = loop {
        match api.asked(Duration::from_secs(600)) {
            Ok(Asked::Next(_)) => {}
            Ok(Asked::Answered(well)) => break Ok(well),
            Err(error) => break Err(error),
        }
    };
    let peak = high_water_mark(child.id());
    child.kill()?;
    child.wait()?;
    if !answered? {
        return Err("upload-recordings answered with an error".into());
    }
    println!("{:.1} MiB\n", mib(peak));
    Ok(())
}
