//! `upload-recordings`: copies the recordings that are due into the archive.
//!
//! The table's stream wakes it as soon as there is something to copy; the timer finds what the stream missed. Either is
//! only a hint: what is copied says the ledger, so a record that comes twice, late or never changes nothing.

use std::time::Duration;

use aws_lambda_events::streams::DynamoDbEventResponse;
use callvault_bootstrap::lambda::Function;
use callvault_bootstrap::lambda::event::{self, Accepts, Event};
use callvault_bootstrap::lambda::refusal::Refusal;
use callvault_bootstrap::lambda::work::Work;
use callvault_bootstrap::wiring;
use callvault_pipeline::ledger::Stage;
use serde_json::{Value, json};

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
    "MEDIA_HOSTS",
    "CHAT_BODY_TYPES",
    "UPLOAD_CONCURRENCY",
    "S3_KMS_KEY_ID",
    "S3_STORAGE_CLASS",
    "S3_TAGS",
    "S3_OBJECT_LOCK_DAYS",
    "S3_OBJECT_LOCK_MODE",
];

/// The function.
pub const FUNCTION: Function =
    Function { name: "upload-recordings", stages: &[Stage::Upload], settings: SETTINGS, source: true, archive: true };

/// What is due within this is waited for: a job's recordings are, a second after it was read.
const PATIENCE: Duration = Duration::from_secs(3);

/// Copies until nothing is due soon, or time is up. To the stream it answers that no record failed: none is worth
/// being delivered again.
///
/// # Errors
/// [`Refusal`]: the event is malformed, the sign-in is refused, ledger or archive cannot be used.
pub async fn handle(event: &Value, work: &mut Work<'_>) -> Result<Value, Refusal> {
    let event = event::read(event, Accepts::Stream)?;
    let (parts, house) = (work.parts(), work.house.clone());
    let upload = wiring::upload(&parts.settings, &house, work.source()?.recordings.clone(), parts.reader()?);
    loop {
        let did_something = work.repeat(async || upload.run().await).await?;
        if !did_something && !work.wait_for(FUNCTION.stages, PATIENCE).await? {
            break;
        }
    }
    Ok(match event {
        Event::Stream(_) => json!(DynamoDbEventResponse::default()),
        Event::Timer { .. } | Event::Days(_) | Event::Sweep | Event::Voicemail(_) => work.outcome(),
    })
}
