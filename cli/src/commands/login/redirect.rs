//! What a redirect says, whether a browser brought it or a person pasted it. Pure.

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// What came back from the sign-in page.
#[derive(Debug)]
pub(super) enum Redirect {
    /// The person agreed.
    Code(SecretString),
    /// The person said no.
    Denied,
    /// The platform said no, in this word.
    Refused(String),
    /// It answers another request than ours.
    WrongState,
}

/// Longest word of a refusal that is shown.
const LONGEST_WORD: usize = 60;

impl Redirect {
    /// Reads the query of a redirect; `None` if it is none at all: no code and no error, or one of them twice.
    pub(super) fn read(query: &str, expected: &SecretString) -> Option<Self> {
        let one = |wanted: &str| {
            let mut found = url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == wanted);
            let value = found.next().map(|(_, value)| value.into_owned());
            if found.next().is_some() { Err(()) } else { Ok(value.filter(|value| !value.is_empty())) }
        };
        let (code, error, state) = (one("code").ok()?, one("error").ok()?, one("state").ok()?);
        let ours = state.as_ref().is_some_and(|state| same(state, expected.expose_secret()));
        match (code, error) {
            (None, None) | (Some(_), Some(_)) => None,
            // A refusal need not repeat the state, and believing one that is forged costs a sign-in that is begun again.
            (None, Some(_)) if state.is_some() && !ours => Some(Self::WrongState),
            (None, Some(error)) if error == "access_denied" => Some(Self::Denied),
            (None, Some(error)) => Some(Self::Refused(word(&error))),
            (Some(_), None) if !ours => Some(Self::WrongState),
            (Some(code), None) => Some(Self::Code(code.into())),
        }
    }

    /// Reads what a person pasted: the whole address, its query, or the code alone, which carries no state and which
    /// nobody but the person can have brought.
    pub(super) fn pasted(text: &str, expected: &SecretString) -> Option<Self> {
        let text = text.trim().trim_matches(['"', '\'', '<', '>']);
        if let Ok(url) = Url::parse(text)
            && matches!(url.scheme(), "http" | "https")
        {
            return Self::read(url.query().unwrap_or_default(), expected);
        }
        if text.contains('=') {
            return Self::read(text.trim_start_matches('?'), expected);
        }
        let is_code = text.len() >= 8 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b));
        is_code.then(|| Self::Code(text.to_owned().into()))
    }
}

/// Compares without telling by the time it takes how much is alike.
fn same(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.bytes().zip(other.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

/// A word of the platform, as it may be shown.
fn word(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || "_-. ".contains(*c)).take(LONGEST_WORD).collect()
}

/// The port of a redirect URI that leads to this machine over http.
pub(super) fn loopback_port(uri: &str) -> Option<u16> {
    let url = Url::parse(uri).ok().filter(|url| url.scheme() == "http" && url.query().is_none())?;
    let here = match url.host()? {
        url::Host::Domain(name) => name == "localhost",
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(_) => false,
    };
    url.port_or_known_default().filter(|_| here)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = "expected-state";

    fn shown(redirect: Option<Redirect>) -> String {
        match redirect {
            None => "none".to_owned(),
            Some(Redirect::Code(code)) => format!("code {}", code.expose_secret()),
            Some(Redirect::Denied) => "denied".to_owned(),
            Some(Redirect::Refused(word)) => format!("refused {word}"),
            Some(Redirect::WrongState) => "wrong state".to_owned(),
        }
    }

    #[test]
    fn a_query_is_a_code_of_ours_or_says_why_not() {
        for (query, expected) in [
            ("code=abc&state=expected-state", "code abc"),
            ("state=expected-state&code=a%2Bb%20c&session_state=x", "code a+b c"),
            ("code=abc&state=other", "wrong state"),
            ("code=abc&state=expected-stat", "wrong state"),
            ("code=abc", "wrong state"),
            ("code=abc&state=", "wrong state"),
            ("error=access_denied&state=expected-state", "denied"),
            ("error=access_denied", "denied"),
            ("error=access_denied&state=other", "wrong state"),
            ("error=invalid_scope%0A%1b[31m&state=expected-state", "refused invalid_scope31m"),
            ("code=abc&error=x&state=expected-state", "none"),
            ("code=abc&code=def&state=expected-state", "none"),
            ("code=abc&state=other&state=expected-state", "none"),
            ("state=expected-state", "none"),
            ("", "none"),
        ] {
            assert_eq!(shown(Redirect::read(query, &STATE.into())), expected, "{query}");
        }
    }

    #[test]
    fn what_is_pasted_may_be_the_address_its_query_or_the_code() {
        for (text, expected) in [
            (" http://127.0.0.1:8910/callback?code=abc&state=expected-state \n", "code abc"),
            ("<https://example.com/?code=abc&state=expected-state#x>", "code abc"),
            ("http://127.0.0.1:8910/callback?code=abc&state=other", "wrong state"),
            ("http://127.0.0.1:8910/callback?error=access_denied&state=expected-state", "denied"),
            ("?code=abc&state=expected-state", "code abc"),
            ("code=abc&state=expected-state", "code abc"),
            ("Zx81-qR_7~aa", "code Zx81-qR_7~aa"),
            ("http://127.0.0.1:8910/callback", "none"),
            ("yes", "none"),
            ("what do I do now", "none"),
            ("", "none"),
        ] {
            assert_eq!(shown(Redirect::pasted(text, &STATE.into())), expected, "{text}");
        }
    }

    #[test]
    fn only_this_machine_is_listened_on() {
        for (uri, port) in [
            ("http://127.0.0.1:8910/callback", Some(8910)),
            ("http://localhost:1/x", Some(1)),
            ("http://localhost/", Some(80)),
            ("https://localhost:8910/callback", None),
            ("http://example.com:8910/callback", None),
            ("http://127.0.0.1:8910/callback?a=b", None),
            ("callback", None),
        ] {
            assert_eq!(loopback_port(uri), port, "{uri}");
        }
    }
}
