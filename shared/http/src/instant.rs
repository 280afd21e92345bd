//! What a time looks like in a request: as RFC 3339 spells it, and no other way.

/// Whether a text has the shape of a `date-time` (RFC 3339, section 5.6), with up to nine digits of a second. A calendar's own
/// reader takes much more, a time without an offset for instance; whether there is such a day, it has to say.
pub fn is_rfc_3339(text: &str) -> bool {
    let Some((head, tail)) = text.split_at_checked(19) else { return false };
    let shape: Vec<u8> = head.bytes().map(|b| if b.is_ascii_digit() { b'0' } else { b }).collect();
    if !shape.eq_ignore_ascii_case(b"0000-00-00T00:00:00") {
        return false;
    }
    let offset = match tail.strip_prefix('.') {
        None => tail,
        Some(rest) => {
            let offset = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            if !(1..=9).contains(&(rest.len() - offset.len())) {
                return false;
            }
            offset
        }
    };
    match offset.as_bytes() {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', h1 @ b'0'..=b'2', h2 @ b'0'..=b'9', b':', b'0'..=b'5', b'0'..=b'9'] => (*h1, *h2) <= (b'2', b'3'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_rfc_3339;

    #[test]
    fn only_the_one_spelling_is_a_time() {
        for text in ["2026-01-31T00:00:00Z", "2026-01-31t00:00:00.123456789z", "2026-01-31T00:00:00-05:00"] {
            assert!(is_rfc_3339(text), "{text}");
        }
        for text in ["", "2026-01-31", "2026-01-31T00:00:00", "2026-01-31 00:00:00Z", "2026-01-31T00:00:00.Z"] {
            assert!(!is_rfc_3339(text), "{text}");
        }
        for offset in ["+24:00", "-29:00", "+05:60", "+0500", "[UTC]"] {
            assert!(!is_rfc_3339(&format!("2026-01-31T00:00:00{offset}")), "{offset}");
        }
    }
}
