//! Dropping chat messages that are not wanted.
//!
//! A transcript is an array of messages, or an object that holds the array under `transcript`. What is kept is kept
//! to the letter; a transcript from which nothing is dropped is left byte for byte as it came, and so is anything of
//! another shape.

use bytes::Bytes;
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Which messages of a chat are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyTypes {
    /// Every message.
    All,
    /// Messages whose `bodyType` is one of these, and messages without one.
    Only(Vec<String>),
}

impl Default for BodyTypes {
    /// STANDARD and NOTICE: what people said and what they were told.
    fn default() -> Self {
        Self::Only(vec!["STANDARD".to_owned(), "NOTICE".to_owned()])
    }
}

/// A chat longer than this is stored as it came: it could not be filtered in bounded memory.
pub const LONGEST_FILTERED: u64 = 8 * 1024 * 1024;

/// The transcript with only the messages that are kept.
pub fn filter(transcript: &Bytes, kept: &BodyTypes) -> Bytes {
    let BodyTypes::Only(words) = kept else { return transcript.clone() };
    filtered(transcript, words).map_or_else(|| transcript.clone(), Bytes::from)
}

/// `None` when there is nothing to drop, or nothing we understand.
fn filtered(transcript: &[u8], words: &[String]) -> Option<Vec<u8>> {
    if let Ok(messages) = serde_json::from_slice::<Vec<&RawValue>>(transcript) {
        return serde_json::to_vec(&keep(messages, words)?).ok();
    }
    let object: IndexMap<String, &RawValue> = serde_json::from_slice(transcript).ok()?;
    let messages: Vec<&RawValue> = serde_json::from_str(object.get("transcript")?.get()).ok()?;
    let kept = serde_json::value::to_raw_value(&keep(messages, words)?).ok()?;
    let mut object = object;
    object.insert("transcript".to_owned(), &kept);
    serde_json::to_vec(&object).ok()
}

/// The messages that are kept; `None` when that is all of them.
fn keep<'a>(messages: Vec<&'a RawValue>, words: &[String]) -> Option<Vec<&'a RawValue>> {
    #[derive(Deserialize)]
    struct Message {
        #[serde(rename = "bodyType", default)]
        body_type: Option<String>,
    }
    let all = messages.len();
    let wanted = |message: &&RawValue| match serde_json::from_str::<Message>(message.get()) {
        Ok(Message { body_type: Some(word) }) => words.contains(&word),
        // Newer chats have messages without one; what is not understood is kept.
        Ok(Message { body_type: None }) | Err(_) => true,
    };
    let kept: Vec<&RawValue> = messages.into_iter().filter(wanted).collect();
    (kept.len() < all).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered_text(text: &'static str) -> String {
        let out = filter(&Bytes::from_static(text.as_bytes()), &BodyTypes::default());
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn only_standard_notice_and_untyped_messages_stay_to_the_letter() {
        let chat = r#"[ {"bodyType":"STANDARD", "body":"a\u00e9", "n":1.50}, {"bodyType":"TYPING"},
            {"body":"new"}, {"bodyType":"NOTICE"}, {"bodyType":"MEMBERJOIN"} ]"#;
        let kept = r#"[{"bodyType":"STANDARD", "body":"a\u00e9", "n":1.50},{"body":"new"},{"bodyType":"NOTICE"}]"#;
        assert_eq!(filtered_text(chat), kept);
    }

    #[test]
    fn a_transcript_inside_an_object_keeps_its_neighbours_and_their_order() {
        let chat = r#"{"z": 1.0, "transcript": [{"bodyType":"ACTIVITY"},{"bodyType":"STANDARD"}], "a": [ 2 ]}"#;
        assert_eq!(filtered_text(chat), r#"{"z":1.0,"transcript":[{"bodyType":"STANDARD"}],"a":[ 2 ]}"#);
    }

    #[test]
    fn what_has_nothing_to_drop_or_another_shape_stays_byte_for_byte() {
        for text in [
            r#"[ {"bodyType" : "STANDARD"} ]"#,
            r#"{"messages": [{"bodyType":"TYPING"}]}"#,
            "[]",
            "",
            "not json",
            r#"[{"bodyType":"TYPING"}"#,
            r#"{"transcript": "text"}"#,
        ] {
            assert_eq!(filtered_text(text), text);
        }
    }

    #[test]
    fn all_keeps_all() {
        let chat = Bytes::from_static(br#"[{"bodyType":"TYPING"}]"#);
        assert_eq!(filter(&chat, &BodyTypes::All), chat);
    }
}
