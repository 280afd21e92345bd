//! Telling people that a day is closed: what is said, and the port through which it goes.
//!
//! What is told was kept when the day was closed ([`crate::ledger::notification`]); here it becomes words. Must never say
//! more of a conversation than its id.

use std::fmt::Write as _;
use std::str::FromStr;

use async_trait::async_trait;
use callvault_genesys::region::Endpoints;

use crate::day::Day;
use crate::ledger::Marker;
use crate::ledger::notification::{Channel, Summary};
use crate::reason::Reason;

/// A message, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The same for every attempt to tell of one generation of a day, and of no other: `callvault/ENVIRONMENT/DAY/GENERATION`.
    pub key: String,
    /// What stands above it.
    pub title: String,
    /// The subject of a mail.
    pub subject: String,
    /// What the receiver sorts by.
    pub priority: String,
    /// The text as HTML.
    pub html: String,
    /// The text as it is read in a terminal or a plain mail.
    pub text: String,
    /// Addresses of mail.
    pub to: Vec<String>,
}

/// Why a message was not taken. Every kind is tried again, so there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Untold {
    /// Stable.
    pub code: &'static str,
    /// Our words, without addresses.
    pub detail: String,
}

/// Sends messages.
#[async_trait]
pub trait Announcer: Send + Sync {
    /// Through which channel.
    fn channel(&self) -> Channel;

    /// Sends a message, once: nothing is repeated here whose outcome is unknown.
    ///
    /// # Errors
    /// [`Untold`] when nobody confirmed that it arrived.
    async fn send(&self, message: &Message) -> Result<(), Untold>;
}

/// A text with placeholders, such as `{day}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(String);

/// A text that names something which no notification knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a text in which {{{0}}} does not stand: there are {placeholders}", placeholders = PLACEHOLDERS.map(|name| format!("{{{name}}}")).join(" "))]
pub struct UnknownPlaceholder(String);

/// Everything that may stand in a template.
pub const PLACEHOLDERS: [&str; 13] = [
    "date",
    "day",
    "marker",
    "generation",
    "environment",
    "conversations",
    "recordings",
    "stored",
    "bytes",
    "parked",
    "reasons",
    "manifest",
    "chain",
];

impl FromStr for Template {
    type Err = UnknownPlaceholder;

    /// Braces around anything but a word of small letters (a style sheet's, for instance) are text.
    fn from_str(text: &str) -> Result<Self, UnknownPlaceholder> {
        match words(text).find(|word| !PLACEHOLDERS.contains(word)) {
            Some(unknown) => Err(UnknownPlaceholder(unknown.to_owned())),
            None => Ok(Self(text.to_owned())),
        }
    }
}

/// The words in braces of a text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let braced = text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(word, _)| word);
    braced.filter(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()))
}

impl Template {
    /// A text of ours: what in it is no placeholder is text.
    pub fn text(text: &str) -> Self {
        Self(text.to_owned())
    }

    fn filled(&self, told: &Told<'_>, escape: fn(&str) -> String) -> String {
        let mut text = self.0.clone();
        for name in PLACEHOLDERS {
            let place = format!("{{{name}}}");
            if text.contains(&place) {
                text = text.replace(&place, &escape(&told.value(name)));
            }
        }
        text
    }

    fn has_placeholders(&self) -> bool {
        words(&self.0).next().is_some()
    }
}

/// How people are told, as the settings say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wording {
    /// What stands above it.
    pub title: Template,
    /// The subject of a mail.
    pub subject: Template,
    /// What the receiver sorts by.
    pub priority: String,
    /// The text, as HTML; where it has no placeholder, the date is put behind it. `None` for our own.
    pub message: Option<Template>,
    /// Addresses of mail.
    pub to: Vec<String>,
}

/// What is told, and of where.
pub struct Told<'a> {
    /// The environment.
    pub environment: &'a str,
    /// The day.
    pub day: Day,
    /// What was kept of its closing.
    pub summary: &'a Summary,
    /// Where its manifest is, for people.
    pub manifest: String,
    /// The org, for links to conversations.
    pub org: Option<&'a Endpoints>,
}

impl Told<'_> {
    /// The message in these words.
    pub fn message(&self, wording: &Wording) -> Message {
        let Self { environment, day, summary, .. } = self;
        let html = match &wording.message {
            None => self.html(),
            Some(template) if template.has_placeholders() => template.filled(self, escaped),
            Some(template) => format!("{}{day}", template.0),
        };
        Message {
            key: format!("callvault/{environment}/{day}/{}", summary.generation),
            title: wording.title.filled(self, str::to_owned),
            subject: wording.subject.filled(self, str::to_owned),
            priority: wording.priority.clone(),
            html,
            text: self.text(),
            to: wording.to.clone(),
        }
    }

    fn value(&self, name: &str) -> String {
        let Summary { generation, marker, conversations, recordings, stored, bytes, parked, chain, .. } = self.summary;
        match name {
            "date" | "day" => self.day.to_string(),
            "marker" => marker.file_name().to_owned(),
            "generation" => generation.to_string(),
            "environment" => self.environment.to_owned(),
            "conversations" => conversations.to_string(),
            "recordings" => recordings.to_string(),
            "stored" => stored.to_string(),
            "bytes" => readable(*bytes),
            "parked" => parked.to_string(),
            "reasons" => {
                self.reasons().map(|(code, count, _)| format!("{count} {code}")).collect::<Vec<_>>().join(", ")
            }
            "manifest" => self.manifest.clone(),
            _ => chain.clone(),
        }
    }

    /// Code, number and advice of every reason.
    fn reasons(&self) -> impl Iterator<Item = (&str, u64, &'static str)> {
        self.summary.parked_by_reason.iter().map(|(code, count)| {
            let known = Reason::ALL.iter().find(|reason| reason.code() == code);
            (code.as_str(), *count, known.map_or("", |reason| reason.advice()))
        })
    }

    /// How the day ended, in one sentence.
    fn verdict(&self) -> String {
        let Summary { marker, conversations, parked, generation, .. } = self.summary;
        let again = if *generation > 1 { format!(" (closed for the {generation}. time)") } else { String::new() };
        match marker {
            Marker::Success if *conversations == 0 => format!("there were no conversations{again}"),
            Marker::Success => format!("everything is stored{again}"),
            Marker::Failure => format!("{parked} not stored{again}"),
        }
    }

    fn text(&self) -> String {
        let Summary { conversations, recordings, stored, bytes, parked, some_parked, chain, .. } = self.summary;
        let bytes = readable(*bytes);
        let mut text = format!(
            "{} {}: {}\n\n{conversations} conversations, {recordings} recordings, {stored} stored ({bytes}), {parked} parked\n",
            self.environment,
            self.day,
            self.verdict()
        );
        for (code, count, advice) in self.reasons() {
            let _ = writeln!(text, "  {count} {code}: {advice}");
        }
        for one in some_parked {
            let link =
                self.org.map_or_else(|| one.conversation.to_string(), |org| org.interaction_link(&one.conversation));
            let _ = writeln!(text, "  {}: {link}", one.reason);
        }
        let _ = writeln!(text, "\nmanifest: {}\nchain: {chain}", self.manifest);
        text
    }

    fn html(&self) -> String {
        let Summary { conversations, recordings, stored, bytes, parked, some_parked, chain, .. } = self.summary;
        let mut html = format!("<h2>{} {}: {}</h2>", escaped(self.environment), self.day, escaped(&self.verdict()));
        let rows = [
            ("Conversations", conversations.to_string()),
            ("Recordings", recordings.to_string()),
            ("Stored", format!("{stored} ({})", readable(*bytes))),
            ("Parked", parked.to_string()),
        ];
        html.push_str("<table>");
        for (name, value) in rows {
            let _ = write!(html, "<tr><th align=\"left\">{name}</th><td align=\"right\">{value}</td></tr>");
        }
        html.push_str("</table>");
        if *parked > 0 {
            html.push_str("<h3>Not in the archive</h3><ul>");
            for (code, count, advice) in self.reasons() {
                let _ = write!(html, "<li>{count} <b>{}</b>: {}</li>", escaped(code), escaped(advice));
            }
            html.push_str("</ul>");
        }
        if !some_parked.is_empty() {
            html.push_str("<ul>");
            for one in some_parked {
                let name = match self.org {
                    Some(org) => {
                        let link = org.interaction_link(&one.conversation);
                        format!("<a href=\"{}\">{}</a>", escaped(&link), one.conversation)
                    }
                    None => one.conversation.to_string(),
                };
                let _ = write!(html, "<li>{name}: {}</li>", one.reason);
            }
            let shown = u64::try_from(some_parked.len()).unwrap_or(u64::MAX);
            if *parked > shown {
                let _ = write!(html, "<li>and {} more, in the marker</li>", parked - shown);
            }
            html.push_str("</ul>");
        }
        let manifest = escaped(&self.manifest);
        let _ = write!(html, "<p>Manifest: <code>{manifest}</code><br>Chain: <code>{chain}</code></p>");
        html
    }
}

/// Text that HTML takes for text, also between quotes.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// Bytes as people read them, in steps of 1,024.
fn readable(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::ledger::Parked;

    fn summary(marker: Marker) -> Summary {
        let parked = u64::from(marker == Marker::Failure) * 22;
        let one = |n: u64| Parked {
            conversation: format!("c{n}").parse().unwrap(),
            recording: Some("r".parse().unwrap()),
            reason: Reason::Archived,
        };
        Summary {
            generation: 1,
            marker,
            closed_at: "2026-01-21T06:00:00Z".parse().unwrap(),
            conversations: 40,
            recordings: 50,
            stored: 50 - parked,
            bytes: 5_976_883,
            parked,
            parked_by_reason: BTreeMap::from_iter((parked > 0).then(|| ("archived".to_owned(), parked))),
            some_parked: (0..parked.min(20)).map(one).collect(),
            manifest: "prod/2026-01-20/manifest-0001.jsonl".parse().unwrap(),
            chain: "c0ffee".to_owned(),
        }
    }

    fn wording(message: Option<&str>) -> Wording {
        Wording {
            title: "Audios [{date}]".parse().unwrap(),
            subject: "{environment}: {marker} {day}".parse().unwrap(),
            priority: "sendinblue".to_owned(),
            message: message.map(|text| text.parse().unwrap()),
            to: vec!["a@example.com".to_owned()],
        }
    }

    fn message(summary: &Summary, message: Option<&str>) -> Message {
        let org = Endpoints::of_region("eu-west-1").unwrap();
        let manifest = "s3://vault/prod/2026-01-20/manifest-0001.jsonl".to_owned();
        let day = "2026-01-20".parse().unwrap();
        Told { environment: "prod", day, summary, manifest, org: Some(&org) }.message(&wording(message))
    }

    #[test]
    fn a_message_of_ours_has_the_date_behind_it_or_where_it_says() {
        let summary = summary(Marker::Success);
        assert_eq!(message(&summary, Some("Listo: ")).html, "Listo: 2026-01-20");
        assert_eq!(message(&summary, Some("<b>{date}</b> {stored}/{recordings}")).html, "<b>2026-01-20</b> 50/50");
        let styled = "<style>p {color:red}</style>";
        assert_eq!(message(&summary, Some(styled)).html, format!("{styled}2026-01-20"));
    }

    #[test]
    fn what_no_notification_knows_is_refused() {
        let error = "{dya}".parse::<Template>().unwrap_err().to_string();
        assert!(error.contains("{dya}") && error.contains("{day}") && error.contains("{chain}"), "{error}");
        assert!("{Day} {} {day and night} {".parse::<Template>().is_ok());
    }

    #[test]
    fn our_own_words_count_name_reasons_and_link_what_is_parked() {
        let told = message(&summary(Marker::Failure), None);
        assert_eq!((told.title.as_str(), told.subject.as_str()), ("Audios [2026-01-20]", "prod: _FAILURE 2026-01-20"));
        assert_eq!(told.key, "callvault/prod/2026-01-20/1");
        for wanted in [
            "22 not stored",
            "28 (5.7 MiB)",
            "<b>archived</b>: restore it at the source",
            "https://apps.mypurecloud.ie/directory/#/engage/admin/interactions/c0\">c0</a>: archived",
            "and 2 more",
            "s3://vault/prod/2026-01-20/manifest-0001.jsonl",
            "c0ffee",
        ] {
            assert!(told.html.contains(wanted), "{wanted}: {}", told.html);
        }
        assert!(told.text.contains("  22 archived: restore it") && told.text.contains("interactions/c19"));
    }

    #[test]
    fn a_day_without_conversations_says_so() {
        let empty = Summary { conversations: 0, recordings: 0, stored: 0, bytes: 0, ..summary(Marker::Success) };
        assert!(message(&empty, None).html.contains("there were no conversations"));
        let again = Summary { generation: 3, ..summary(Marker::Success) };
        assert!(message(&again, None).text.contains("everything is stored (closed for the 3. time)"));
    }

    #[test]
    fn what_is_filled_in_is_text_in_html() {
        assert_eq!(escaped("<a href=\"x\" b='y'>&"), "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;");
    }

    #[test]
    fn bytes_are_readable() {
        let all: Vec<String> = [0, 1023, 1024, 5_976_883, 3 << 40, 5 << 50].map(readable).into();
        assert_eq!(all, ["0 B", "1023 B", "1.0 KiB", "5.7 MiB", "3.0 TiB", "5120.0 TiB"]);
    }
}
