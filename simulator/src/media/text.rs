//! Chats, messages and e-mails: text made of seeded sentences.
//!
//! Owns the chat's two forms: the source as the platform sends it, and what is left of it when only messages of
//! `bodyType` STANDARD, NOTICE or none are kept. The second is written here from the messages and not by filtering
//! the first, so that it checks the exporter's filter instead of repeating it.

use bytes::Bytes;
use serde::Serialize;

use super::{File, Owner};
use crate::chance::Chance;

/// JSON is built in memory, so its size has a bound.
const LARGEST_JSON: u64 = 1 << 20;
const LARGEST_EMAIL: u64 = 1 << 20;

const SENTENCES: [&str; 8] = [
    "Guten Tag, ich habe eine Frage zu meiner Rechnung.",
    "One moment please, I am looking it up.",
    "Olá! Posso ajudar em mais alguma coisa?",
    "The parcel says \"delivered\", but nothing came.",
    "Merci beaucoup, c'est très gentil 👍",
    "Could you tell me the number on the back?\nIt begins with a 7.",
    "お問い合わせありがとうございます。",
    "That is all, thank you: goodbye \\o/",
];

const DROPPED: [&str; 5] = ["ACTIVITY", "TYPING", "MEMBERJOIN", "MEMBERLEAVE", "MEDIAREQUEST"];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    chat: &'a str,
    id: String,
    from: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_type: Option<&'a str>,
    utc: String,
    sequence: usize,
}

/// A chat's messages as JSON texts, each with whether a filter keeps it.
#[derive(Debug)]
pub(crate) struct Chat {
    before: String,
    after: String,
    lines: Vec<(String, bool)>,
}

impl Chat {
    /// A chat of about `file.size` bytes; `filtered`: with messages that a filter drops.
    pub(crate) fn new(owner: Owner<'_>, file: File, filtered: bool) -> Self {
        let mut chance = Chance::new(u64::from(file.number), owner.recording);
        let wanted = file.size.min(LARGEST_JSON) as usize;
        let mut lines = Vec::new();
        let mut length = 0;
        while length < wanted || lines.len() < 4 {
            let number = lines.len();
            // The first four hold one of each sort, so that short chats have them too.
            let body_type = match if number < 4 { number as u64 } else { chance.below(6) } {
                0 => Some("STANDARD"),
                1 => None,
                2 => Some("NOTICE"),
                3 if filtered => Some(*chance.pick(&DROPPED)),
                _ => Some("STANDARD"),
            };
            let kept = body_type.is_none_or(|word| !DROPPED.contains(&word));
            let line = Line {
                chat: owner.conversation,
                id: chance.uuid(),
                from: if chance.happens(0.5) { "agent" } else { "customer" },
                body: kept.then(|| *chance.pick(&SENTENCES)),
                body_type,
                utc: format!("2025-01-01T12:{:02}:{:02}.000Z", number / 60 % 60, number % 60),
                sequence: number,
            };
            let text = json(&line);
            length += text.len() + 1;
            lines.push((text, kept));
        }
        let before = format!(
            r#"{{"conversationId":"{}","recordingId":"{}","duration":4.50,"transcript":"#,
            owner.conversation, owner.recording
        );
        let after = format!(
            r#","participants":[{{"name":"Ana \u00e9 B","role":"agent"}},{{"role":"customer"}}],"count":{},"note":null}}"#,
            lines.len()
        );
        Self { before, after, lines }
    }

    /// The file as the platform sends it.
    pub(crate) fn source(&self, object: bool) -> Bytes {
        self.text(object, |_| true)
    }

    /// The file as a perfect export stores it. With nothing to drop the same bytes as the source.
    pub(crate) fn kept(&self, object: bool) -> Bytes {
        self.text(object, |kept| kept)
    }

    fn text(&self, object: bool, wanted: impl Fn(bool) -> bool) -> Bytes {
        let lines: Vec<&str> =
            self.lines.iter().filter(|(_, kept)| wanted(*kept)).map(|(text, _)| text.as_str()).collect();
        let array = format!("[{}]", lines.join(","));
        if object { format!("{}{array}{}", self.before, self.after).into() } else { array.into() }
    }
}

/// A message conversation, which no filter touches: it has a TYPING line that must survive.
pub(crate) fn message(owner: Owner<'_>, file: File) -> Bytes {
    Chat::new(owner, file, true).source(false)
}

/// An RFC 5322 message of about `size` bytes, up to 1 MiB.
pub(crate) fn email(owner: Owner<'_>, file: File, size: u64) -> String {
    let wanted = size.min(LARGEST_EMAIL) as usize;
    let mut chance = Chance::new(u64::from(file.number), owner.recording);
    let mut text = format!(
        "From: customer@example.com\r\nTo: support@example.org\r\nSubject: Your invoice\r\n\
         Date: Wed, 01 Jan 2025 12:00:00 +0000\r\nMessage-ID: <{}@example.com>\r\n\
         X-Conversation: {}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
        owner.recording, owner.conversation
    );
    while text.len() + 100 < wanted {
        text.push_str(&chance.pick(&SENTENCES).replace('\n', "\r\n"));
        text.push_str("\r\n");
    }
    let rest = wanted.saturating_sub(text.len() + 2);
    text.push_str(&".".repeat(rest));
    text.push_str("\r\n");
    text
}

fn json(line: &Line<'_>) -> String {
    // Serializing strings and numbers cannot fail.
    serde_json::to_string(line).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Owner<'_> = Owner { conversation: "c", recording: "r" };
    const FILE: File =
        File { format: super::super::Format::Chat { object: true, filtered: true }, size: 3_000, number: 0 };

    #[test]
    fn the_kept_chat_is_valid_and_holds_no_dropped_line() {
        for object in [true, false] {
            let chat = Chat::new(OWNER, FILE, true);
            let kept: serde_json::Value = serde_json::from_slice(&chat.kept(object)).unwrap();
            let source: serde_json::Value = serde_json::from_slice(&chat.source(object)).unwrap();
            let lines = |value: &serde_json::Value| {
                let list = if object { &value["transcript"] } else { value };
                list.as_array().unwrap().clone()
            };
            let expected: Vec<_> = lines(&source)
                .into_iter()
                .filter(|line| match line.get("bodyType") {
                    None => true,
                    Some(word) => word == "STANDARD" || word == "NOTICE",
                })
                .collect();
            assert_eq!(lines(&kept), expected);
            assert!(expected.len() < lines(&source).len());
        }
    }

    #[test]
    fn a_chat_with_nothing_to_drop_is_kept_byte_for_byte() {
        let chat = Chat::new(OWNER, FILE, false);
        assert_eq!(chat.kept(true), chat.source(true));
    }
}
