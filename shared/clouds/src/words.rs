//! What a store says, cut to what may be shown: logs and alarms show it.

use callvault_pipeline::archive::ArchiveError;

/// Longer messages are cut.
const LONGEST_MESSAGE: usize = 300;

/// The first line of a message, without what could be a URL with a signature.
pub(crate) fn shown(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let words = line.split_whitespace().map(|word| match word {
        _ if word.contains("sig=") || word.contains("upload_id=") || word.to_ascii_lowercase().contains("bearer") => {
            "..."
        }
        _ => word,
    });
    words.collect::<Vec<_>>().join(" ").chars().filter(|c| !c.is_control()).take(LONGEST_MESSAGE).collect()
}

/// Why there are no credentials: never the text of whoever was asked for them, which may repeat what it was given.
pub(crate) fn no_credentials(advice: &str, error: &object_store::Error) -> ArchiveError {
    // Codes of Microsoft's sign-in (AADSTS...), and words of OAuth's (RFC 6749, 5.2).
    let (mut text, mut cause) = (error.to_string(), std::error::Error::source(error));
    while let Some(inner) = cause {
        text.push(' ');
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    let mut codes: Vec<&str> = text
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| {
            let word: &str = word;
            (word.starts_with("AADSTS") && word.len() < 16)
                || ["invalid_grant", "invalid_client", "unauthorized_client", "invalid_request", "invalid_scope"]
                    .contains(&word)
        })
        .collect();
    codes.dedup();
    codes.truncate(2);
    let said = if codes.is_empty() { String::new() } else { format!(" ({})", codes.join(", ")) };
    ArchiveError::Denied { detail: format!("no credentials{said}: {advice}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_its_first_line_without_signatures() {
        let said = "Nothing at https://h/p?sv=1&sig=abc here\nRequestId:1";
        assert_eq!(shown(said), "Nothing at ... here");
        assert_eq!(shown(&"x".repeat(500)).len(), 300);
    }

    #[test]
    fn a_refused_sign_in_shows_its_codes_only() {
        let body = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid secret s3cr3t"}"#;
        let error = object_store::Error::Generic { store: "x", source: body.into() };
        let text = no_credentials("set a key", &error).to_string();
        assert!(text.contains("(invalid_client, AADSTS7000215): set a key") && !text.contains("s3cr3t"), "{text}");
    }
}
