//! Whether the signed-in user may list voicemail: in each queue and group that is swept, by asking for one message.

use callvault_bootstrap::settings::Settings;
use callvault_genesys::api::{ApiError, Mailbox, Voicemails as _};
use callvault_genesys::http::GenesysClient;

use super::report::{Check, Report};
use super::source::{judged, within};

/// The permission to list.
pub(super) const VIEW: &str = "voicemail:acdvoicemail:view";

/// A queue that no org has: whoever may list voicemail is told that there is none.
const NO_QUEUE: &str = "00000000-0000-0000-0000-000000000000";

const NAME: &str = "permission-voicemail-view";
const NEEDED_FOR: &str = "finding and reading voicemail";

/// One line for all that may be listed, one for each that may not. `held`: whether the user's own list of permissions
/// has the one that is needed, where the org shows it.
pub(super) async fn check(report: &mut Report, settings: &Settings, client: &GenesysClient, held: Option<bool>) {
    let queues = settings.voicemail.queues.iter().cloned().map(Mailbox::Queue);
    let groups = settings.voicemail.groups.iter().cloned().map(Mailbox::Group);
    let mailboxes: Vec<Mailbox> = queues.chain(groups).collect();
    let mut listed = 0_u32;
    for mailbox in &mailboxes {
        match listing(client, mailbox, held).await {
            Ok(()) => listed += 1,
            Err(Unlisted::Unknown(error)) => {
                let (setting, id) = named(mailbox);
                let detail = format!("{setting}, {id}: {error}");
                report.add(Check::missing(NAME, NEEDED_FOR, detail).advise(format!("check the ids in {setting}")));
            }
            Err(Unlisted::Because(check)) => report.add(check),
        }
    }
    if mailboxes.is_empty() {
        let Ok(id) = NO_QUEUE.parse() else { return };
        match listing(client, &Mailbox::Queue(id), held).await {
            Ok(()) | Err(Unlisted::Unknown(_)) => report.add(may(String::new())),
            Err(Unlisted::Because(check)) => report.add(check),
        }
    } else if listed > 0 {
        report.add(may(format!(", in {listed} of {} queues and groups", mailboxes.len())));
    }
}

fn may(of: String) -> Check {
    Check::ok(NAME, NEEDED_FOR, format!("{VIEW}, scope voicemail: voicemail may be listed{of}"))
}

/// Why a mailbox is not listed.
enum Unlisted {
    /// There is none of this id.
    Unknown(ApiError),
    /// Anything else.
    Because(Check),
}

async fn listing(client: &GenesysClient, mailbox: &Mailbox, held: Option<bool>) -> Result<(), Unlisted> {
    let (setting, id) = named(mailbox);
    let at = match id {
        NO_QUEUE => String::new(),
        id => format!(" ({setting}, {id})"),
    };
    let not_held = || {
        Check::missing(NAME, NEEDED_FOR, format!("{VIEW}: not held{at}"))
            .advise("give the permission to a role of the signed-in user")
    };
    Err(match within(client).list(mailbox, 1, 1).await {
        Ok(_) => return Ok(()),
        // Whether a queue is known may be asked before whether the user may look into it.
        Err(ApiError::NotFound { .. }) if held == Some(false) => Unlisted::Because(not_held()),
        Err(error @ ApiError::NotFound { .. }) => Unlisted::Unknown(error),
        Err(ApiError::Forbidden { code, .. }) if code.starts_with("missing.") || held == Some(false) => {
            Unlisted::Because(not_held())
        }
        Err(error @ ApiError::Forbidden { .. }) => Unlisted::Because(
            Check::missing(NAME, NEEDED_FOR, format!("scope voicemail: {error}{at}"))
                .advise("give the OAuth client the scope voicemail, and sign in again with `callvault login`"),
        ),
        Err(error) => Unlisted::Because(judged(NAME, NEEDED_FOR, &error, "check the region")),
    })
}

/// The setting that names a mailbox, and its id.
fn named(mailbox: &Mailbox) -> (&'static str, &str) {
    match mailbox {
        Mailbox::Queue(id) => ("VOICEMAIL_QUEUES", id.as_str()),
        Mailbox::Group(id) => ("VOICEMAIL_GROUPS", id.as_str()),
    }
}
