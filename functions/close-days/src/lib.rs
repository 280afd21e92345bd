//! `close-days`: writes manifest and marker of the days in which everything is terminal, and tells people of it.

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
    "GENESYS_REGION",
    "NOTIFY_URL",
    "NOTIFY_TOPIC_ARN",
    "NOTIFY_TITLE",
    "NOTIFY_SUBJECT",
    "NOTIFY_PRIORITY",
    "EMAILS",
    "EMAIL_MESSAGE",
];

/// The function.
pub const FUNCTION: Function = Function {
    name: "close-days",
    stages: &[Stage::Close, Stage::Notify],
    settings: SETTINGS,
    source: false,
    archive: true,
};

/// An unfinished day is looked at again after this at the earliest: less than the timer's minutes, so that each timer
/// looks.
const RECHECK: Duration = Duration::from_secs(20);

/// Closes the days that can be closed, and tells of them: also of those that others closed, when none can be closed now.
///
/// # Errors
/// [`Refusal`]: the event is malformed, ledger or archive cannot be used.
pub async fn handle(event: &Value, work: &mut Work<'_>) -> Result<Value, Refusal> {
    event::read(event, Accepts::Timer)?;
    let parts = work.parts();
    let close = wiring::close(&parts.settings, &work.house, RECHECK);
    let closed = work.repeat(async || close.run().await).await;
    let notify = wiring::notify(&parts.settings, &work.house, parts.announcers.clone());
    work.repeat(async || notify.run().await).await?;
    closed?;
    if work.report.untold > 0 {
        let message = format!("{} notifications were given up: see the channel's own log", work.report.untold);
        work.put_up_with(Refusal { code: "notification-given-up", message });
    }
    Ok(work.outcome())
}
