//! Settings of voicemail: whose it is, which is looked for, and what is done at the source once it is copied.

use std::collections::BTreeSet;
use std::path::PathBuf;

use callvault_genesys::ids::{GroupId, QueueId};
use callvault_pipeline::api::VoicemailFormat;
use callvault_pipeline::ledger::voicemail::Order;

use super::Need;
use super::reader::Reader;

/// Where the secret of a signed-in user is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretPlace {
    /// In AWS Secrets Manager, under this name or ARN.
    Aws(String),
    /// In a file of this machine.
    File(PathBuf),
}

/// Settings of voicemail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VoicemailSettings {
    /// In whose name it is read; none where there is to be no voicemail.
    pub secret: Option<SecretPlace>,
    /// Queues that are swept.
    pub queues: Vec<QueueId>,
    /// Groups that are swept, and looked through for events that name no mailbox.
    pub groups: Vec<GroupId>,
    /// What is done at the source once a copy proves.
    pub orders: BTreeSet<Order>,
    /// The format that is asked for.
    pub format: VoicemailFormat,
}

pub(super) fn read(read: &mut Reader<'_>, need: Need) -> VoicemailSettings {
    let orders = [
        ("DISCONNECT_CALLBACK", Order::Disconnect),
        ("MARK_READ_AFTER_UPLOAD", Order::MarkRead),
        ("DELETE_AFTER_UPLOAD", Order::Delete),
    ];
    VoicemailSettings {
        secret: secret(read, need),
        queues: read.list("VOICEMAIL_QUEUES", "a comma separated list of queue ids", |text| text.parse().ok()),
        groups: read.list("VOICEMAIL_GROUPS", "a comma separated list of group ids", |text| text.parse().ok()),
        orders: orders.into_iter().filter(|(name, _)| read.yes_or_no(name, false)).map(|(_, order)| order).collect(),
        format: format(read),
    }
}

fn secret(read: &mut Reader<'_>, need: Need) -> Option<SecretPlace> {
    let Some(text) = read.text("VOICEMAIL_SECRET_ID") else {
        if need == Need::User {
            read.missing(
                "VOICEMAIL_SECRET_ID",
                "the secret of a signed-in user: a name or ARN in Secrets Manager, or file:PATH (`callvault login` makes one)",
            );
        }
        return None;
    };
    match text.strip_prefix("file:") {
        Some("") => {
            read.fault("VOICEMAIL_SECRET_ID", &text, "a path after file:");
            None
        }
        Some(path) => Some(SecretPlace::File(path.strip_prefix("//").unwrap_or(path).into())),
        None => Some(SecretPlace::Aws(text)),
    }
}

fn format(read: &mut Reader<'_>) -> VoicemailFormat {
    let Some(text) = read.text("VOICEMAIL_FORMAT") else { return VoicemailFormat::default() };
    match VoicemailFormat::ALL.into_iter().find(|format| format.word().eq_ignore_ascii_case(&text)) {
        Some(format) => format,
        None => {
            let words: Vec<&str> = VoicemailFormat::ALL.iter().map(|format| format.word()).collect();
            read.fault("VOICEMAIL_FORMAT", &text, &format!("one of {}", words.join(", ")));
            VoicemailFormat::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn settings(pairs: &[(&str, &str)]) -> Result<VoicemailSettings, String> {
        let find = |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Settings::read(Need::User, find).map(|settings| settings.voicemail).map_err(|faults| faults.to_string())
    }

    #[test]
    fn everything_has_a_default_but_the_secret() {
        assert!(
            settings(&[])
                .unwrap_err()
                .starts_with("VOICEMAIL_SECRET_ID is not set: expected the secret of a signed-in user")
        );
        let read = settings(&[("VOICEMAIL_SECRET_ID", "callvault/user")]).unwrap();
        let secret = Some(SecretPlace::Aws("callvault/user".to_owned()));
        assert_eq!(read, VoicemailSettings { secret, ..VoicemailSettings::default() });
    }

    #[test]
    fn what_is_set_is_read() {
        let read = settings(&[
            ("VOICEMAIL_SECRET_ID", "file:/home/x/secret.json"),
            ("VOICEMAIL_QUEUES", "q1, q2"),
            ("VOICEMAIL_GROUPS", "g1"),
            ("DELETE_AFTER_UPLOAD", "true"),
            ("DISCONNECT_CALLBACK", "yes"),
            ("MARK_READ_AFTER_UPLOAD", "no"),
            ("VOICEMAIL_FORMAT", "mp3"),
        ])
        .unwrap();
        assert_eq!(read.secret, Some(SecretPlace::File("/home/x/secret.json".into())));
        assert_eq!((read.queues.len(), read.groups.len(), read.format), (2, 1, VoicemailFormat::Mp3));
        assert_eq!(read.orders, BTreeSet::from([Order::Disconnect, Order::Delete]));
    }
}
