//! Turns at reading a batch job, for everybody who shares the ledger: one reader at a time, and a pause after each.
//!
//! A turn is taken before a job is read and ended after it. Whoever dies in between loses it when it ends by itself.
//! It is no row: nothing is due because of it, and nothing is lost with it.

use std::time::Duration;

use jiff::Timestamp;

/// A turn that nobody ends is over after this. Longer than a read of a job takes, retries included.
pub const LONGEST: Duration = Duration::from_secs(30);

/// What a turn that was taken is ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnId(pub u64);

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Whose asked.
    Yours(TurnId),
    /// Somebody else's, or nobody's yet: to be asked for again, not before this.
    NotBefore(Timestamp),
}

/// When a job is free whose turn was last said to be over at `over`; `None` where that is now. A time that lies further
/// ahead than any turn comes from a clock that was wrong, and counts for nothing.
pub fn taken_until(over: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    over.filter(|over| now < *over && *over <= now + LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_over_at_its_time_and_a_wrong_clock_keeps_nobody_waiting() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        assert_eq!(taken_until(None, at(100)), None, "nobody has read it");
        assert_eq!(taken_until(Some(at(101)), at(100)), Some(at(101)));
        assert_eq!(taken_until(Some(at(100)), at(100)), None);
        assert_eq!(taken_until(Some(at(130)), at(100)), Some(at(130)));
        assert_eq!(taken_until(Some(at(131)), at(100)), None, "no turn is that long");
    }
}
