//! Instants: read as RFC 3339 spells them, written with milliseconds and `Z`.

use callvault_http::instant::is_rfc_3339;
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
