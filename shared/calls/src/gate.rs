//! Who may send events, and who may look at them: a secret, compared in a time that says nothing of it.
//!
//! Must never show a secret, nor what was given in its place.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

/// A secret that opens something.
#[derive(Debug, Clone)]
pub struct Gate(SecretString);

impl Gate {
    /// A gate that this secret opens.
    pub fn new(secret: SecretString) -> Self {
        Self(secret)
    }

    /// Whether a request carries the secret as its bearer token.
    pub fn is_open_to(&self, headers: &HeaderMap) -> bool {
        bearer(headers).is_some_and(|given| self.opens(given))
    }

    /// Whether a part of a URL is the secret, percent-encoded or not.
    pub fn is_opened_by(&self, part: &str) -> bool {
        // Both are compared, whatever the first comparison says.
        self.opens(part.as_bytes()) | self.opens(&decoded(part))
    }

    /// Whether the parameter `token` of a query is the secret. One that is there twice opens nothing.
    pub fn is_opened_by_query(&self, query: Option<&str>) -> bool {
        let mut tokens = query.unwrap_or_default().split('&').filter_map(|pair| pair.strip_prefix("token="));
        let (Some(one), None) = (tokens.next(), tokens.next()) else { return false };
        self.is_opened_by(one)
    }

    fn opens(&self, given: &[u8]) -> bool {
        given.ct_eq(self.0.expose_secret().as_bytes()).into()
    }
}

/// The bearer token of a request that has exactly one authorization.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (Some(one), None) = (all.next(), all.next()) else { return None };
    let (scheme, token) = one.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

/// Without percent-encoding. A `+` stays one: this is no form.
fn decoded(part: &str) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| (*byte as char).to_digit(16));
    let bytes = part.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                plain.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                plain.push(*byte);
                at += 1;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const SECRET: &str = "planted/+%?0123456789";

    fn gate() -> Gate {
        Gate::new(SECRET.into())
    }

    #[test]
    fn a_part_of_a_url_opens_it_encoded_or_not() {
        for part in [SECRET, "planted%2F%2B%25%3F0123456789", "planted%2f%2b%25%3f012345678%39"] {
            assert!(gate().is_opened_by(part), "{part}");
            assert!(gate().is_opened_by_query(Some(&format!("a=b&token={part}"))), "{part}");
        }
        for part in ["", "planted", "planted/+%?012345678", "planted/+%?01234567890", "%", "%2", "%zz"] {
            assert!(!gate().is_opened_by(part), "{part}");
        }
    }

    #[test]
    fn a_query_opens_it_with_one_token_only() {
        for query in [None, Some(""), Some("token"), Some("token="), Some("tokens=planted/+%?0123456789")] {
            assert!(!gate().is_opened_by_query(query), "{query:?}");
        }
        assert!(!gate().is_opened_by_query(Some(&format!("token={SECRET}&token={SECRET}"))));
    }

    #[test]
    fn a_header_opens_it_alone() {
        let mut headers = HeaderMap::new();
        assert!(!gate().is_open_to(&headers));
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("bEARER {SECRET}")).unwrap());
        assert!(gate().is_open_to(&headers));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer other"));
        assert!(!gate().is_open_to(&headers));
        assert!(!format!("{:?}", gate()).contains("planted"));
    }
}
