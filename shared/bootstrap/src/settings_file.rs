//! `callvault.toml`: the settings' names, at the top level, with text, numbers, booleans or lists as values.
//!
//! Must never repeat a line of the file in a message: one of them holds a secret.

use std::collections::BTreeMap;

use crate::settings::NAMES;

/// The settings of a file, by name.
pub type FileSettings = BTreeMap<String, String>;

/// Reads the text of a settings file.
///
/// # Errors
/// Every fault of the file, each a sentence of its own.
pub fn read(text: &str) -> Result<FileSettings, Vec<String>> {
    let table: toml::Table = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| text.get(..span.start).unwrap_or(text).matches('\n').count() + 1);
        vec![format!("line {line} is not TOML: write NAME = \"value\", one setting a line")]
    })?;
    let (mut settings, mut faults) = (FileSettings::new(), Vec::new());
    for (name, value) in table {
        if !NAMES.contains(&name.as_str()) {
            faults.push(unknown(&name));
            continue;
        }
        match as_text(&value) {
            Some(text) => {
                settings.insert(name, text);
            }
            None => faults.push(format!("{name} must be a text, a number, true, false, or a list of texts")),
        }
    }
    if faults.is_empty() { Ok(settings) } else { Err(faults) }
}

fn unknown(name: &str) -> String {
    let shown: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect();
    let upper = shown.to_ascii_uppercase();
    match NAMES.iter().find(|known| **known == upper || known.contains(&upper) || upper.contains(**known)) {
        Some(near) if !upper.is_empty() => format!("there is no setting `{shown}`: did you mean {near}?"),
        _ => format!("there is no setting `{shown}`"),
    }
}

fn as_text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(yes) => Some(yes.to_string()),
        toml::Value::Array(items) => {
            let texts: Option<Vec<String>> = items.iter().map(as_text).collect();
            texts.map(|texts| texts.join(","))
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_numbers_booleans_and_lists_are_settings() {
        let text = "TIMEZONE = \"America/Lima\"\nBATCH_SIZE = 50\nREQUIRE_AGENT = true\nQUEUE_IDS = [\"a\", \"b\"]\n";
        let settings = read(text).unwrap();
        assert_eq!(settings["BATCH_SIZE"], "50");
        assert_eq!(settings["REQUIRE_AGENT"], "true");
        assert_eq!(settings["QUEUE_IDS"], "a,b");
    }

    #[test]
    fn faults_name_the_setting_or_the_line_and_never_the_content() {
        let wrong = "TIMEZONE = \"UTC\"\nGENESYS_CLIENT_SECRET = \"planted-secret\nX";
        let faults = read(wrong).unwrap_err().join("\n");
        assert!(faults.starts_with("line ") && !faults.contains("planted"), "{faults}");
        let faults = read("TIMEZONE = \"UTC\"\nBATCH_SIZE planted\nPAGE_SIZE = 1").unwrap_err().join("\n");
        assert!(faults.starts_with("line 2 ") && !faults.contains("planted"), "{faults}");
        let faults = read("time_zone = 1\nTIMEZONE_ = 2\nBATCH_SIZE = 1.5").unwrap_err().join("\n");
        assert!(faults.contains("did you mean TIMEZONE?"), "{faults}");
        assert!(faults.contains("BATCH_SIZE must be"), "{faults}");
    }
}
