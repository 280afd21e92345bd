//! Reads values one by one and gathers what is wrong with them.

use secrecy::SecretString;

use super::SettingsFaults;

/// Shortest token: nobody guesses one of so many random letters.
const SHORTEST_TOKEN: usize = 16;

/// Longest part of a value that is shown in a fault.
const SHOWN: usize = 80;

pub(super) struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    faults: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, faults: Vec::new() }
    }

    pub(super) fn finish<T>(self, value: T) -> Result<T, SettingsFaults> {
        if self.faults.is_empty() { Ok(value) } else { Err(SettingsFaults(self.faults)) }
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// A text with its blanks at both ends; one of nothing else is not set.
    pub(super) fn text_with_blanks(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|text| !text.trim().is_empty())
    }

    pub(super) fn fault(&mut self, name: &str, value: &str, expected: &str) {
        let shown: String = shown(value).chars().take(SHOWN).filter(|c| !c.is_control()).collect();
        self.faults.push(format!("{name} is `{shown}`: expected {expected}"));
    }

    /// What is wrong with a value that is a secret.
    pub(super) fn unshown(&mut self, name: &str, expected: &str) {
        self.faults.push(format!("{name} cannot be used: expected {expected}"));
    }

    /// A fault that shows no value.
    pub(super) fn refuse(&mut self, fault: &str) {
        self.faults.push(fault.to_owned());
    }

    pub(super) fn missing(&mut self, name: &str, expected: &str) {
        self.faults.push(format!("{name} is not set: expected {expected}"));
    }

    /// A token that others prove to be allowed with. It is never shown.
    pub(super) fn token(&mut self, name: &str) -> Option<SecretString> {
        let text = self.text(name)?;
        // What can stand in a header, and is not guessed.
        if text.len() < SHORTEST_TOKEN || !text.bytes().all(|b| b.is_ascii_graphic()) {
            let expected = "letters, digits and signs of ASCII without blanks, for instance of `openssl rand -hex 32`";
            self.unshown(name, &format!("{SHORTEST_TOKEN} or more {expected}"));
            return None;
        }
        Some(text.into())
    }

    /// The value, or `None` and its fault.
    pub(super) fn or_fault<T, E: std::fmt::Display>(
        &mut self,
        name: &str,
        value: &str,
        result: Result<T, E>,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(name, value, &error.to_string());
                None
            }
        }
    }

    pub(super) fn number(&mut self, name: &str, least: usize, most: usize, default: usize) -> usize {
        let Some(text) = self.text(name) else { return default };
        match text.parse() {
            Ok(number) if (least..=most).contains(&number) => number,
            _ => {
                self.fault(name, &text, &format!("a whole number from {least} to {most}"));
                default
            }
        }
    }

    pub(super) fn yes_or_no(&mut self, name: &str, default: bool) -> bool {
        let Some(text) = self.text(name) else { return default };
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" | "on" => true,
            "false" | "no" | "0" | "off" => false,
            _ => {
                self.fault(name, &text, "true or false");
                default
            }
        }
    }

    /// One of `words`; the first is the default.
    pub(super) fn word<T: Copy>(&mut self, name: &str, words: &[(&str, T); 2]) -> T {
        let [(_, default), _] = *words;
        let Some(text) = self.text(name) else { return default };
        match words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text)) {
            Some((_, value)) => *value,
            None => {
                let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                self.fault(name, &text, &known.join(" or "));
                default
            }
        }
    }

    pub(super) fn list<T>(&mut self, name: &str, expected: &str, read: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let Some(text) = self.text(name) else { return Vec::new() };
        let items: Vec<&str> = text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
        let read: Vec<Option<T>> = items.iter().map(|item| read(item)).collect();
        if read.iter().any(Option::is_none) || items.is_empty() {
            self.fault(name, &text, expected);
        }
        read.into_iter().flatten().collect()
    }
}

/// What of a value is shown: a URL may carry a password before its host and a signature after its path.
fn shown(value: &str) -> String {
    match value.split_once("://") {
        Some((scheme, rest)) if rest.contains('@') => format!("{scheme}://..."),
        Some((scheme, rest)) => format!("{scheme}://{}", rest.split(['?', '#']).next().unwrap_or_default()),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_secrets() {
        assert_eq!(shown("https://user:pass?/#word@h.example/p?sig=1"), "https://...");
        assert_eq!(shown("https://h.example/p?sig=1#x"), "https://h.example/p");
        assert_eq!(shown("{day}/{conversation}?"), "{day}/{conversation}?");
    }
}
