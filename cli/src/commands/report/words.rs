//! Numbers, times and states, as people read them.

use std::fmt;

use callvault_pipeline::day::Calendar;
use callvault_pipeline::report::Standing;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A whole number in groups of three: `12,345`.
pub(super) struct Number(pub(super) u64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// A length of time in its two largest units: `2 d 3 h`, `5 min`.
pub(super) struct Lasting(pub(super) SignedDuration);

impl fmt::Display for Lasting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.unsigned_abs().as_secs();
        let units =
            [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
        let first = units.iter().position(|(n, _)| *n > 0).unwrap_or(units.len() - 1);
        let mut shown = units.iter().skip(first).take(2).filter(|(n, unit)| *n > 0 || *unit == "s" && first == 3);
        if let Some((n, unit)) = shown.next() {
            write!(f, "{n} {unit}")?;
        }
        shown.try_for_each(|(n, unit)| write!(f, " {n} {unit}"))
    }
}

/// An instant in the time zone of the days, to the minute.
pub(super) fn local(at: Timestamp, calendar: &Calendar) -> String {
    let zone = TimeZone::get(calendar.zone_name()).unwrap_or(TimeZone::UTC);
    at.to_zoned(zone).strftime("%Y-%m-%d %H:%M").to_string()
}

/// A standing's class in the style sheet, its word in a grid, and what it means.
pub(super) fn of(standing: Standing) -> (&'static str, &'static str, &'static str) {
    match standing {
        Standing::Complete => ("complete", "stored", "closed with _SUCCESS: everything is in the archive"),
        Standing::Parked => ("parked", "parked", "closed with _FAILURE: something is parked, see below"),
        Standing::UnderWay => ("open", "open", "planned or under way"),
        Standing::Missing => ("missing", "missing", "not in the ledger, though it should be by now"),
        Standing::Skipped => ("off", "off", "not in the ledger: SKIP_WEEKDAYS leaves it out"),
        Standing::NotYet => ("later", "later", "not in the ledger: not due yet by LAG_DAYS"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let shown = [0, 999, 1_000, 1_234_567].map(|n| Number(n).to_string());
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn lengths_of_time_have_their_two_largest_units() {
        let shown = [0, 59, 60, 3_600, 3_661, 86_400, 90_061, 777_600]
            .map(|s| Lasting(SignedDuration::from_secs(s)).to_string());
        assert_eq!(shown, ["0 s", "59 s", "1 min", "1 h", "1 h 1 min", "1 d", "1 d 1 h", "9 d"]);
    }
}
