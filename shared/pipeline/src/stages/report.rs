//! What a run of a stage did, in numbers.

use crate::reason::{ByReason, Reason};

/// What one run of a stage did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Rows claimed.
    pub claimed: u64,
    /// Rows settled for good.
    pub settled: u64,
    /// Objects stored.
    pub stored: u64,
    /// Bytes of them, those found in the archive already not counted.
    pub bytes: u64,
    /// Recordings or conversations parked.
    pub parked: u64,
    /// The same by reason.
    pub parked_by: ByReason,
    /// Rows that did not work out and are due again.
    pub failed: u64,
    /// Conversations found that were new.
    pub found: u64,
    /// Days whose marker was written.
    pub days_closed: u64,
    /// Those of them whose marker is `_FAILURE`.
    pub days_failed: u64,
    /// Rows given back because time was up.
    pub given_back: u64,
    /// Notifications that a channel took.
    pub told: u64,
    /// Notifications that a channel did not take for so long that it was given up.
    pub untold: u64,
}

impl Report {
    /// Whether there was anything to do.
    pub fn did_something(&self) -> bool {
        self.claimed > 0
    }

    /// Counts something parked.
    pub(super) fn park(&mut self, reason: Reason) {
        self.parked += 1;
        self.parked_by.add(reason);
    }
}

impl std::ops::AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.claimed += other.claimed;
        self.settled += other.settled;
        self.stored += other.stored;
        self.bytes += other.bytes;
        self.parked += other.parked;
        self.failed += other.failed;
        self.parked_by += other.parked_by;
        self.found += other.found;
        self.days_closed += other.days_closed;
        self.days_failed += other.days_failed;
        self.given_back += other.given_back;
        self.told += other.told;
        self.untold += other.untold;
    }
}
