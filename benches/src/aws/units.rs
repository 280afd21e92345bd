//! DynamoDB units per recording, metered on the wire by AWS's rules: moto's own numbers are not AWS's.

use std::sync::Arc;

use callvault_aws::dynamodb::DynamoLedger;
use callvault_bootstrap::system;
use callvault_pipeline::archive::memory::MemoryArchive;
use callvault_tests::stand_ins::moto::Moto;
use callvault_tests::stand_ins::wire::Wire;

use super::init::Place;
use super::pipeline::Pipeline;
use crate::Outcome;
use crate::programs::{Simulator, day};

const RECORDINGS: u32 = 400;

pub(crate) fn measure() -> Outcome {
    println!(
        "# DynamoDB units per recording ({RECORDINGS} conversations with one recording each, a whole day with its closing)"
    );
    let runtime = tokio::runtime::Runtime::new()?;
    let moto = Moto::start();
    for mode in ["full", "analytics"] {
        let flags = ["--conversations", &RECORDINGS.to_string(), "--media-bytes", "4096", "--job-ms", "1500"];
        let simulator = Simulator::start(&flags)?;
        let mut place = Place::new(&runtime, &moto, &simulator.url);
        place.settings.push(("METADATA".to_owned(), mode.to_owned()));
        let table = place.table().to_owned();
        let wire = Wire::quiet();
        let ledger = DynamoLedger::new(&wire.over(&moto.sdk()), table, system::holder(), system::chance());
        let pipeline = Pipeline::new(&place.settings, Arc::new(ledger), Arc::new(MemoryArchive::new()))?;
        runtime.block_on(pipeline.until_closed(day()?.parse()?))?;
        let (units, count) = (wire.units(), f64::from(RECORDINGS));
        let calls = wire.take_calls().len() as f64 / count;
        println!(
            "METADATA={mode}: {:.1} write units, {:.1} read units, {calls:.1} calls; largest item {} bytes",
            units.write / count,
            units.read / count,
            units.largest
        );
        println!(
            "in the table: {:.0} bytes a recording, with the 100 that AWS adds to an item",
            wire.bytes() as f64 / count
        );
        runtime.block_on(pipeline.look())?;
        // Six stages are five functions.
        let looked = (wire.units().read - units.read) / 5.0;
        println!("with nothing to do: {looked:.1} read units an invocation");
    }
    println!();
    Ok(())
}
