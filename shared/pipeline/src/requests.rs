//! How many API requests a day takes: arithmetic over its numbers. Pure.
//!
//! [`least`] is what a day takes when nothing goes wrong at the source; what it takes on top is for whoever estimates to say.

use std::ops::AddAssign;
use std::time::Duration;

use serde::Serialize;

use crate::reconcile::MetadataMode;

/// Requests a minute that the platform publishes as its limit for a token (api.md, "Errors and limits").
pub const PUBLISHED_LIMIT: u32 = 300;

/// The settings that requests depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Conversations a page.
    pub page_size: u64,
    /// Conversations a batch.
    pub batch_size: u64,
    /// Whether metadata is asked for.
    pub metadata: MetadataMode,
}

/// Requests by operation. Media are not among them: they are fetched from elsewhere, under no limit of the API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// Pages of conversations.
    pub query: u64,
    /// The same for history: jobs, their states and pages.
    pub history: u64,
    /// Batches that are posted.
    pub submit: u64,
    /// Batches that are read.
    pub poll: u64,
    /// Recording metadata.
    pub metadata: u64,
}

impl Requests {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.query + self.history + self.submit + self.poll + self.metadata
    }
}

impl AddAssign for Requests {
    fn add_assign(&mut self, more: Self) {
        self.query += more.query;
        self.history += more.history;
        self.submit += more.submit;
        self.poll += more.poll;
        self.metadata += more.metadata;
    }
}

/// Pages that `rows` are on. There is one where there are none; a last page that is full has an empty one behind it.
pub fn pages(rows: u64, page_size: u64) -> u64 {
    rows / page_size.max(1) + 1
}

/// What a day takes at least: its pages once, `exported` conversations in full batches, each batch read once, and, where
/// `METADATA` is `full`, one request for each of them.
pub fn least(shape: Shape, rows: u64, exported: u64) -> Requests {
    let batches = exported.div_ceil(shape.batch_size.max(1));
    Requests {
        query: pages(rows, shape.page_size),
        history: 0,
        submit: batches,
        poll: batches,
        metadata: if shape.metadata == MetadataMode::Full { exported } else { 0 },
    }
}

/// How long so many requests take where the source allows `allowed` a minute: the client sends 95 % of them in 62 s.
pub fn time(requests: u64, allowed: u32) -> Duration {
    let in_a_window = (u64::from(allowed) * 95 / 100).max(1);
    Duration::from_secs_f64(requests as f64 * 62.0 / in_a_window as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { page_size: 100, batch_size: 100, metadata: MetadataMode::Full };

    #[test]
    fn a_day_takes_its_pages_its_batches_and_its_metadata() {
        let requests = least(SHAPE, 250, 230);
        assert_eq!(requests, Requests { query: 3, history: 0, submit: 3, poll: 3, metadata: 230 });
        assert_eq!(requests.total(), 239);
        let spare = Shape { metadata: MetadataMode::Analytics, batch_size: 20, ..SHAPE };
        assert_eq!(least(spare, 250, 230), Requests { query: 3, history: 0, submit: 12, poll: 12, metadata: 0 });
        assert_eq!(least(SHAPE, 0, 0), Requests { query: 1, ..Requests::default() }, "an empty day is asked for");
        assert_eq!(least(SHAPE, 200, 0).query, 3, "a full last page has an empty one behind it");
    }

    #[test]
    fn the_limit_gives_the_time() {
        // 95 % of 300 are 285 in 62 s.
        assert_eq!(time(285, 300), Duration::from_secs(62));
        assert_eq!(time(28_500, 300), Duration::from_secs(6_200));
        assert_eq!(time(0, 300), Duration::ZERO);
    }
}
