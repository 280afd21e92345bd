//! Instants: read as RFC 3339 spells them, written with milliseconds and `Z`.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Reads a `date-time` of RFC 3339, with up to nine digits of a second. The calendar's own reader takes much more, a time
/// without an offset for instance. `None` for anything else, and for years before 1, which cannot be written again.
pub(crate) fn read(text: &str) -> Option<Timestamp> {
    let instant: Timestamp = is_rfc_3339(text).then(|| text.parse().ok())??;
    (instant.to_zoned(TimeZone::UTC).year() >= 1).then_some(instant)
}

/// Milliseconds, always three digits, and `Z`: what JavaScript's `toISOString` writes.
pub(crate) fn written(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// Whether a text has the shape of a `date-time` (RFC 3339, section 5.6).
fn is_rfc_3339(text: &str) -> bool {
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
    use super::*;

    #[test]
    fn instants_are_written_as_the_websocket_always_wrote_them() {
        for (text, expected) in [
            ("2019-10-15T00:30:26Z", "2019-10-15T00:30:26.000Z"),
            ("2019-10-15T00:30:26.5Z", "2019-10-15T00:30:26.500Z"),
            ("2019-10-15T00:30:26.123999999Z", "2019-10-15T00:30:26.123Z"),
            ("2019-10-14T21:30:26-03:00", "2019-10-15T00:30:26.000Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
            ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(written(read(text).unwrap()), expected);
        }
    }

    #[test]
    fn what_is_no_instant_is_none() {
        for text in [
            "",
            "now",
            "1571099426",
            "2019-10-15",
            "2019-10-15T00:30:26",
            "2019-10-15 00:30:26Z",
            "2019-02-30T00:30:26Z",
            "2019-10-15T00:30:26.Z",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-23:00",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
