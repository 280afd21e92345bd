//! One window by the asynchronous query: start a job, wait for it, read its results.
//!
//! Owns the job's states and its cursor. The job is not kept anywhere else: if the program ends meanwhile, the next one
//! starts a new job, and the old one expires at the platform.

use std::collections::HashSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::met::{Digest, digest};
use super::{Ask, Step};
use crate::api::{ApiError, Window};
use crate::ids::HistoryJobId;
use crate::models::{HistoryPage, HistoryState};

/// What this is called in errors.
const HISTORY: &str = "read the conversation history";

/// Jobs that are started before giving up: one, and three more.
const STARTS: u32 = 4;

/// First and longest wait between two looks at a job.
const LOOK: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// Looks at one job before giving up: about an hour.
const LOOKS: u32 = 240;

/// Pages in a row without a row, after which the cursor is taken to lead nowhere.
const EMPTY_PAGES: u32 = 1_000;

/// Data arrives up to this late (api.md); a window that ended longer ago is complete even if nobody says so.
const LATEST_DATA: SignedDuration = SignedDuration::from_hours(48);

/// A window that is read by a history job.
#[derive(Debug)]
pub(super) struct History {
    window: Window,
    starts: u32,
    at: Place,
}

#[derive(Debug)]
enum Place {
    NotStarted,
    Waiting { job: HistoryJobId, looks: u32, wait: Duration },
    Reading { job: HistoryJobId, cursor: Option<String>, cursors: HashSet<Digest>, empty: u32 },
}

impl History {
    pub(super) fn new(window: Window) -> Self {
        Self { window, starts: 0, at: Place::NotStarted }
    }

    /// One request, and the wait before it.
    pub(super) async fn step(&mut self, ask: &Ask<'_>) -> Result<Step, ApiError> {
        match &mut self.at {
            Place::NotStarted => {
                if self.starts >= STARTS {
                    self.starts = 0;
                    return Err(unavailable(&format!("{STARTS} history queries ended without a result")));
                }
                let job = ask.source.start_history(&ask.of(self.window)).await?;
                self.starts += 1;
                self.at = Place::Waiting { job, looks: 0, wait: LOOK.0 };
                Ok(Step::Rows(Vec::new()))
            }
            Place::Waiting { job, looks, wait } => {
                if *looks >= LOOKS {
                    self.at = Place::NotStarted;
                    return Err(unavailable("the history query did not finish within an hour"));
                }
                ask.clock.sleep(*wait).await;
                *looks += 1;
                *wait = (*wait * 2).min(LOOK.1);
                self.at = match ask.source.history_state(job).await {
                    Ok(HistoryState::Queued | HistoryState::Pending | HistoryState::Unknown(_)) => {
                        return Ok(Step::Rows(Vec::new()));
                    }
                    Ok(HistoryState::Fulfilled) => {
                        Place::Reading { job: job.clone(), cursor: None, cursors: HashSet::new(), empty: 0 }
                    }
                    // A job the platform no longer knows has expired.
                    Ok(HistoryState::Failed | HistoryState::Cancelled | HistoryState::Expired)
                    | Err(ApiError::NotFound { .. }) => Place::NotStarted,
                    Err(error) => return Err(error),
                };
                Ok(Step::Rows(Vec::new()))
            }
            Place::Reading { job, cursor, cursors, empty } => {
                let page = match ask.source.history_page(job, cursor.as_deref(), ask.query.page_size).await {
                    Err(ApiError::NotFound { .. }) => {
                        self.at = Place::NotStarted;
                        return Ok(Step::Rows(Vec::new()));
                    }
                    page => page?,
                };
                if !is_complete(&page, &self.window, ask.clock.now()) {
                    (self.at, self.starts) = (Place::NotStarted, 0);
                    return Err(unavailable("history not complete yet"));
                }
                *empty = if page.conversations.is_empty() { *empty + 1 } else { 0 };
                let Some(next) = page.cursor.filter(|next| !next.is_empty()) else {
                    return Ok(Step::Last(page.conversations));
                };
                if *empty >= EMPTY_PAGES || !cursors.insert(digest(&next)) {
                    (self.at, self.starts) = (Place::NotStarted, 0);
                    return Err(ApiError::Unreadable {
                        operation: HISTORY,
                        at: "`cursor`, which leads nowhere".to_owned(),
                    });
                }
                *cursor = Some(next);
                Ok(Step::Rows(page.conversations))
            }
        }
    }
}

/// Whether the results hold the whole window.
fn is_complete(page: &HistoryPage, window: &Window, now: Timestamp) -> bool {
    match page.data_availability_date {
        Some(available) => available >= window.end,
        None => now.duration_since(window.end) >= LATEST_DATA,
    }
}

fn unavailable(detail: &str) -> ApiError {
    ApiError::Unavailable { operation: HISTORY, detail: detail.to_owned() }
}
