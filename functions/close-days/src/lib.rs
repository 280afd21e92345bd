//! `close-days`: writes manifest and marker of the days in which everything is terminal.

use std::time::Duration;

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
    "S3_KMS_KEY_ID",
    "S3_STORAGE_CLASS",
    "S3_TAGS",
    "S3_OBJECT_LOCK_DAYS",
    "S3_OBJECT_LOCK_MODE",
];

/// The function.
pub const FUNCTION: Function =
    Function { name: "close-days", stages: &[Stage::Close], settings: SETTINGS, source: false, archive: true };

/// An unfinished day is looked at again after this at the earliest: less than the timer's minutes, so that each timer
/// looks.
const RECHECK: Duration = Duration::from_secs(20);

/// Closes the days that can be closed.
///
/// # Errors
/// [`Refusal`]: the event is malformed, ledger or archive cannot be used.
pub async fn handle(event: &Value, work: &mut Work<'_>) -> Result<Value, Refusal> {
    event::read(event, Accepts::Timer)?;
    let close = wiring::close(&work.house, RECHECK);
    work.repeat(async || close.run().await).await?;
    Ok(work.outcome())
}
