//! `move-voicemail`: copies voicemail into the archive, and then does at the source what is set.
//!
//! An event becomes a row of the ledger before anything else, and is tried at once; from then on the ledger remembers
//! it, and the timer goes on with it until the message is listable. So an event that comes twice, late, or fifty times
//! at once changes nothing, and none depends on the platform's retries. A timer may also sweep the mailboxes of the
//! settings, for messages whose event never came.

use std::time::Duration;

use callvault_bootstrap::lambda::Function;
use callvault_bootstrap::lambda::event::{self, Accepts, Event};
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
    "VOICEMAIL_SECRET_ID",
    "VOICEMAIL_QUEUES",
    "VOICEMAIL_GROUPS",
    "VOICEMAIL_FORMAT",
    "DISCONNECT_CALLBACK",
    "MARK_READ_AFTER_UPLOAD",
    "DELETE_AFTER_UPLOAD",
    "PAGE_SIZE",
    "MEDIA_HOSTS",
    "UPLOAD_CONCURRENCY",
    "S3_KMS_KEY_ID",
    "S3_STORAGE_CLASS",
    "S3_TAGS",
    "S3_OBJECT_LOCK_DAYS",
    "S3_OBJECT_LOCK_MODE",
];

/// The function.
pub const FUNCTION: Function =
    Function { name: "move-voicemail", stages: &[Stage::Voicemail], settings: SETTINGS, source: false, archive: true };

/// What is due within this is waited for: media that is being prepared mostly is ready within seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Writes down what an event says, sweeps if told to, then does what is due until nothing is soon, or time is up.
///
/// An event that is written down is in no need of the platform's retries, nor of its dead letters: whatever keeps it
/// from being moved now (nobody is signed in yet) is said, and the timer goes on with it.
///
/// # Errors
/// [`Refusal`]: the event is malformed, the ledger cannot be used; without an event also that the sign-in is refused, or
/// that the archive cannot be used.
pub async fn handle(event: &Value, work: &mut Work<'_>) -> Result<Value, Refusal> {
    let event = event::read(event, Accepts::Voicemail)?;
    let noted = matches!(event, Event::Voicemail(_));
    if let Event::Voicemail(end) = &event {
        let (ledger, notice) = (&work.house.ledger, end.notice(&work.house.calendar));
        let new = ledger.note_voicemail(&notice, work.house.clock.now()).await?;
        tracing::info!(conversation.id = %notice.conversation, new, "voicemail was left in {}", notice.conversation);
    }
    match go_on(work, matches!(event, Event::Sweep)).await {
        Err(refusal) if noted => work.put_up_with(refusal),
        done => done?,
    }
    Ok(work.outcome())
}

async fn go_on(work: &mut Work<'_>, sweeps: bool) -> Result<(), Refusal> {
    let stage = wiring::voicemail(&work.parts().settings, &work.house, work.user()?.voicemails.clone());
    if sweeps {
        work.report += stage.sweep().await?;
    }
    loop {
        let did_something = work.repeat(async || stage.run().await).await?;
        if !did_something && !work.wait_for(FUNCTION.stages, PATIENCE).await? {
            return Ok(());
        }
    }
}
