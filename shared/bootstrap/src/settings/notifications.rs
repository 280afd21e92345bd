//! Who is told of closed days, and in which words.

use callvault_genesys::region::is_loopback;
use callvault_pipeline::notification::{Template, Wording};
use secrecy::SecretString;
use url::Url;

use super::reader::Reader;

/// Title and subject where none is set: what the receivers of an earlier system sort by.
const TITLE: &str = "Transcripcion y Analisis de AUDIOS-SAC [{date}]";

/// Priority where none is set.
const PRIORITY: &str = "sendinblue";

/// Addresses of one message: more belong into a list of the mail system.
const MOST_ADDRESSES: usize = 50;

/// Who is told, and how.
#[derive(Debug, Clone)]
pub struct NotificationSettings {
    /// Where a POST goes; its path or query may carry a permission.
    pub webhook: Option<SecretString>,
    /// The ARN of a topic of SNS.
    pub topic: Option<String>,
    /// In which words.
    pub wording: Wording,
}

impl NotificationSettings {
    /// Whether anybody is told.
    pub fn are_wanted(&self) -> bool {
        self.webhook.is_some() || self.topic.is_some()
    }
}

pub(super) fn read(read: &mut Reader<'_>) -> NotificationSettings {
    let expected = "up to 50 addresses such as quality@example.com, comma separated";
    let to = read.list("EMAILS", expected, |text| is_address(text).then(|| text.to_owned()));
    if to.len() > MOST_ADDRESSES {
        read.fault("EMAILS", &format!("{} addresses", to.len()), expected);
    }
    NotificationSettings {
        webhook: webhook(read),
        topic: topic(read),
        wording: Wording {
            title: line(read, "NOTIFY_TITLE", TITLE),
            subject: line(read, "NOTIFY_SUBJECT", TITLE),
            priority: plain_line(read, "NOTIFY_PRIORITY", PRIORITY),
            message: message(read),
            to,
        },
    }
}

/// A URL that is called with what happened; never shown, since it may be a secret as a whole.
fn webhook(read: &mut Reader<'_>) -> Option<SecretString> {
    let text = read.text("NOTIFY_URL")?;
    let is_right = Url::parse(&text).is_ok_and(|url| match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(host)) => is_loopback(&host),
        _ => false,
    });
    if !is_right {
        read.unshown("NOTIFY_URL", "an https URL, or http on a loopback address");
    }
    is_right.then(|| text.into())
}

/// `arn:PARTITION:sns:REGION:ACCOUNT:NAME` (SNS developer guide, "Creating a topic": names of up to 256 letters, digits,
/// hyphens and underscores; FIFO ones end in `.fifo`).
fn topic(read: &mut Reader<'_>) -> Option<String> {
    let text = read.text("NOTIFY_TOPIC_ARN")?;
    let parts: Vec<&str> = text.split(':').collect();
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let is_right = match parts[..] {
        ["arn", partition, "sns", region, account, name] => {
            let name = name.strip_suffix(".fifo").unwrap_or(name);
            partition.starts_with("aws")
                && [partition, region, name].into_iter().all(word)
                && account.len() == 12
                && account.bytes().all(|b| b.is_ascii_digit())
        }
        _ => false,
    };
    if !is_right {
        read.fault("NOTIFY_TOPIC_ARN", &text, "the ARN of a topic, such as arn:aws:sns:eu-west-1:123456789012:name");
    }
    is_right.then_some(text)
}

fn line(read: &mut Reader<'_>, name: &str, default: &str) -> Template {
    let text = plain_line(read, name, default);
    template(read, name, &text).unwrap_or_else(|| Template::text(default))
}

fn plain_line(read: &mut Reader<'_>, name: &str, default: &str) -> String {
    let text = read.text(name).unwrap_or_else(|| default.to_owned());
    if text.chars().any(char::is_control) {
        read.fault(name, &text, "one line");
    }
    text
}

fn message(read: &mut Reader<'_>) -> Option<Template> {
    // The date follows it: whoever wants a blank between them ends it with one.
    let text = read.text_with_blanks("EMAIL_MESSAGE")?;
    template(read, "EMAIL_MESSAGE", &text)
}

fn template(read: &mut Reader<'_>, name: &str, text: &str) -> Option<Template> {
    read.or_fault(name, text, text.parse::<Template>())
}

/// Something on both sides of one `@`, without blanks: what is wrong beyond that, the mail system says.
fn is_address(text: &str) -> bool {
    let plain = !text.chars().any(|c| c.is_whitespace() || c.is_control() || "<>\"(),;:\\".contains(c));
    let sides = text.split_once('@');
    plain && sides.is_some_and(|(name, host)| !name.is_empty() && host.contains('.') && !host.contains('@'))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<NotificationSettings, String> {
        let lookup = |name: &str| pairs.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned());
        let mut reader = Reader::new(&lookup);
        let settings = read(&mut reader);
        reader.finish(settings).map_err(|faults| faults.to_string())
    }

    #[test]
    fn nobody_is_told_where_nothing_is_set() {
        let settings = settings(&[]).unwrap();
        assert!(!settings.are_wanted());
        assert_eq!(settings.wording.priority, "sendinblue");
    }

    #[test]
    fn a_webhook_is_https_or_on_this_machine_and_is_never_shown() {
        for url in
            ["https://hooks.example/T/secret?sig=1", "http://127.0.0.1:9/x", "http://localhost/", "http://[::1]/"]
        {
            assert_eq!(settings(&[("NOTIFY_URL", url)]).unwrap().webhook.unwrap().expose_secret(), url);
        }
        for url in ["http://hooks.example/secret", "ftp://hooks.example/secret", "secret", "https://", "file:///secret"]
        {
            let fault = settings(&[("NOTIFY_URL", url)]).unwrap_err();
            assert!(fault.starts_with("NOTIFY_URL cannot be used: expected an https URL"), "{fault}");
            assert!(!fault.contains("secret"), "{fault}");
        }
    }

    #[test]
    fn a_topic_is_named_by_its_arn() {
        for arn in ["arn:aws:sns:eu-west-1:123456789012:days", "arn:aws-us-gov:sns:us-gov-west-1:123456789012:a_b.fifo"]
        {
            assert_eq!(settings(&[("NOTIFY_TOPIC_ARN", arn)]).unwrap().topic.unwrap(), arn);
        }
        for arn in [
            "days",
            "arn:aws:sqs:eu-west-1:123456789012:days",
            "arn:aws:sns:eu-west-1:12:days",
            "arn:aws:sns::123456789012:x",
        ] {
            assert!(settings(&[("NOTIFY_TOPIC_ARN", arn)]).unwrap_err().starts_with("NOTIFY_TOPIC_ARN is "), "{arn}");
        }
    }

    #[test]
    fn addresses_and_words_are_checked() {
        let told = settings(&[("EMAILS", " a@example.com,b.c+d@mail.example.pe ")]).unwrap();
        assert_eq!(told.wording.to, ["a@example.com", "b.c+d@mail.example.pe"]);
        for emails in ["a", "@example.com", "a@", "a@b@c.d", "A <a@example.com>", "a@localhost"] {
            assert!(settings(&[("EMAILS", emails)]).unwrap_err().starts_with("EMAILS is "), "{emails}");
        }
        let fault = settings(&[("NOTIFY_TITLE", "of {dya}"), ("EMAIL_MESSAGE", "{x}")]).unwrap_err();
        assert!(fault.contains("NOTIFY_TITLE is `of {dya}`") && fault.contains("EMAIL_MESSAGE is `{x}`"), "{fault}");
    }
}
