//! `poll-batches`: reads batch jobs until they are complete, and describes the conversations they delivered.

use std::time::Duration;

use callvault_bootstrap::lambda::Function;
use callvault_bootstrap::lambda::event::{self, Accepts};
use callvault_bootstrap::lambda::refusal::Refusal;
use callvault_bootstrap::lambda::work::Work;
use callvault_bootstrap::wiring;
use callvault_pipeline::ledger::Stage;
use callvault_pipeline::stages::Uploads;
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
    "METADATA",
    "RESTORE_ARCHIVED",
    "MEDIA_KINDS",
    "S3_KMS_KEY_ID",
    "S3_STORAGE_CLASS",
    "S3_TAGS",
    "S3_OBJECT_LOCK_DAYS",
    "S3_OBJECT_LOCK_MODE",
];

/// The function.
pub const FUNCTION: Function = Function {
    name: "poll-batches",
    stages: &[Stage::Poll, Stage::Describe],
    settings: SETTINGS,
    source: true,
    archive: true,
};

/// What is due within this is waited for: jobs take seconds to minutes, and the timer comes once a minute.
const PATIENCE: Duration = Duration::from_secs(20);

/// Polls and describes in turns until nothing is due soon, or time is up.
///
/// # Errors
/// [`Refusal`]: the event is malformed, the sign-in is refused, ledger or archive cannot be used.
pub async fn handle(event: &Value, work: &mut Work<'_>) -> Result<Value, Refusal> {
    event::read(event, Accepts::Timer)?;
    let (parts, house) = (work.parts(), work.house.clone());
    let poll = wiring::poll(&parts.settings, &house, parts.reader()?, Uploads::Elsewhere);
    let describe = wiring::describe(&parts.settings, &house, work.source()?.recordings.clone());
    loop {
        let polled = poll.run().await?;
        work.report += polled;
        let described = describe.run().await?;
        work.report += described;
        let idle = !polled.did_something() && !described.did_something();
        if idle && !work.wait_for(FUNCTION.stages, PATIENCE).await? {
            return Ok(work.outcome());
        }
    }
}
