//! `submit-batches`: puts the conversations that are due into batch jobs.

use callvault_bootstrap::lambda::Function;
use callvault_bootstrap::lambda::event::{self, Accepts};
use callvault_bootstrap::lambda::refusal::Refusal;
use callvault_bootstrap::lambda::work::Work;
use callvault_bootstrap::wiring;
use callvault_pipeline::ledger::Stage;
use serde_json::Value;

/// The environment variables it reads.
pub const SETTINGS: &[&str] = &[
    "LEDGER",
    "ARCHIVE",
    "ENVIRONMENT",
    "KEY_LAYOUT",
    "TIMEZONE",
    "LOG_LEVEL",
    "GENESYS_REGION",
    "GENESYS_SECRET_ID",
    "BATCH_SIZE",
];

/// The function.
pub const FUNCTION: Function =
    Function { name: "submit-batches", stages: &[Stage::Submit], settings: SETTINGS, source: true, archive: false };

/// Submits batch after batch until nothing is due, time is up, or the source is not well: then the next timer tries.
///
/// # Errors
/// [`Refusal`]: the event is malformed, the sign-in or the permission is refused, the ledger cannot be used.
pub async fn handle(event: &Value, work: &mut Work<'_>) -> Result<Value, Refusal> {
    event::read(event, Accepts::Timer)?;
    let submit = wiring::submit(&work.parts().settings, &work.house, work.source()?.recordings.clone());
    work.report += submit.run().await?;
    Ok(work.outcome())
}
