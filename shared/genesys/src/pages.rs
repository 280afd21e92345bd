//! Conversations of a window: every one of them once, page by page.
//!
//! [`Pages`] owns what the platform leaves to its callers. The query widens intervals to whole days, so rows are
//! narrowed to the window again. Rows shift between pages while conversations end or vanish, so the passes over the
//! pages are repeated until they agree with `totalHits`. A window with too many results is split. What the query no
//! longer reaches, or cannot be split further, comes from a history job (`history`).
//!
//! It depends on the [`Conversations`] trait alone; it never retries a request (its implementation does).
//!
//! # Cost
//! A window of `n` rows costs `n / page_size` requests, plus one for the empty page after a last page that is full. A
//! pass that disagreed costs the same again, at most [`PASSES`] in all. A split costs one refused request, at most two to
//! see whether it narrows anything, and the halves. A history job costs three requests and more for its polls and pages.
//! Memory: a page, and 22 to 44 bytes for each id of the query's window (`met`).
//!
//! # What it cannot see
//! If, during one pass, one row vanishes and another appears, the counts still agree, and a row that slipped over
//! the page border in that moment is missed. Ended conversations do not vanish in ordinary operation.

mod history;
mod met;

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::{ApiError, ConversationQuery, Conversations, Window};
use crate::clock::Clock;
use crate::ids::ConversationId;
use crate::models::Found;
use history::History;
use met::Met;

/// Passes over one window's pages before its count is left as it is: `totalHits` is documented as approximate.
pub const PASSES: u32 = 8;

/// A window of this length is not split further.
const SHORTEST_SPLIT: Duration = Duration::from_secs(15 * 60);

/// A refused query that starts longer ago than this is taken to be out of the query's reach. The platform's reach moved
/// over time (api.md, "Analytics"); it never was shorter.
const SURELY_IN_REACH: Duration = Duration::from_secs(7 * 24 * 3600);

/// Pages in a row that repeat the page before, after which the server is taken to ignore the page number.
const REPEATS: u32 = 3;

/// Pages of one pass, after which it is taken for endless: ten times the most rows the platform pages through.
const MOST_PAGES: u32 = 1_000_000;

/// What paging is called in errors.
const PAGING: &str = "page through conversations";

/// The conversations of a query's window. Dropping it early loses nothing but the place.
#[derive(Debug)]
pub struct Pages<'a> {
    ask: Ask<'a>,
    todo: VecDeque<Part>,
    met: Met,
}

/// What asking needs.
#[derive(Clone)]
struct Ask<'a> {
    source: &'a dyn Conversations,
    clock: &'a dyn Clock,
    query: ConversationQuery,
}

impl std::fmt::Debug for Ask<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ask").field("query", &self.query).finish_non_exhaustive()
    }
}

impl Ask<'_> {
    fn of(&self, window: Window) -> ConversationQuery {
        ConversationQuery { window, ..self.query.clone() }
    }
}

/// A part of the window, and how far it is.
#[derive(Debug)]
enum Part {
    Query(Passes),
    History(History),
}

/// What one step of a part gave.
enum Step {
    /// Rows, perhaps none.
    Rows(Vec<Found>),
    /// Rows, and the part is complete.
    Last(Vec<Found>),
    /// The part is to be replaced by these.
    Instead(Vec<Part>),
}

impl<'a> Pages<'a> {
    /// Nothing is asked before the first [`Pages::next`].
    pub fn new(source: &'a dyn Conversations, clock: &'a dyn Clock, mut query: ConversationQuery) -> Self {
        // 100 is the most the platform accepts; 0 would never end.
        query.page_size = query.page_size.clamp(1, 100);
        let whole = query.window;
        Self {
            ask: Ask { source, clock, query },
            todo: (whole.start < whole.end).then(|| Part::Query(Passes::new(whole))).into_iter().collect(),
            met: Met::default(),
        }
    }

    /// The next rows, at least one and at most a page; `None` when the window is complete. Each row comes once and
    /// started inside the window; rows whose start could not be read come too.
    ///
    /// # Errors
    /// Those of [`Conversations`], where they do not mean "ask differently". [`ApiError::Unavailable`] also when history
    /// is not complete up to the window's end yet. [`ApiError::Unreadable`] when a server repeats itself without end.
    /// After an error the same call may be made again: it goes on where it was.
    pub async fn next(&mut self) -> Result<Option<Vec<Found>>, ApiError> {
        while let Some(part) = self.todo.front_mut() {
            let step = match part {
                Part::Query(passes) => passes.step(&self.ask, &mut self.met).await?,
                Part::History(history) => history.step(&self.ask).await?,
            };
            let fresh = match step {
                Step::Rows(rows) => self.fresh(rows),
                Step::Last(rows) => {
                    self.todo.pop_front();
                    let fresh = self.fresh(rows);
                    self.met.part_over();
                    fresh
                }
                Step::Instead(parts) => {
                    self.todo.pop_front();
                    self.met.part_over();
                    for part in parts.into_iter().rev() {
                        self.todo.push_front(part);
                    }
                    continue;
                }
            };
            if !fresh.is_empty() {
                return Ok(Some(fresh));
            }
        }
        Ok(None)
    }

    /// The rows that belong to the query's window and were not yielded before.
    fn fresh(&mut self, rows: Vec<Found>) -> Vec<Found> {
        let window = self.ask.query.window;
        rows.into_iter()
            .filter(|row| row.start().is_none_or(|start| window.contains(start)))
            .filter(|row| self.met.yield_once(row.id().as_str()))
            .collect()
    }
}

/// The passes over the pages of one window. Every row of its pages is seen, also those that started outside: what
/// `totalHits` counts.
#[derive(Debug)]
struct Passes {
    window: Window,
    /// From 1.
    pass: u32,
    /// The page to ask for, from 1.
    number: u32,
    /// Rows of this pass so far.
    rows: u64,
    /// Rows of this pass that no pass had before.
    found: u64,
    /// `totalHits` as last told, and whether it moved during this pass.
    total: Option<u64>,
    moved: bool,
    /// Passes in a row that found nothing new.
    quiet: u32,
    page_before: Vec<ConversationId>,
    repeats: u32,
}

impl Passes {
    fn new(window: Window) -> Self {
        Self {
            window,
            pass: 1,
            number: 1,
            rows: 0,
            found: 0,
            total: None,
            moved: false,
            quiet: 0,
            page_before: Vec::new(),
            repeats: 0,
        }
    }

    async fn step(&mut self, ask: &Ask<'_>, met: &mut Met) -> Result<Step, ApiError> {
        let query = ConversationQuery { page_size: self.page_size(ask), ..ask.of(self.window) };
        let page = match ask.source.page(&query, self.number).await {
            Ok(page) => page,
            Err(ApiError::TooManyResults) => return Ok(Step::Instead(self.split(ask).await?)),
            Err(ApiError::Refused { status: 400, .. }) if self.is_long_ago(ask.clock.now()) => {
                return Ok(Step::Instead(vec![Part::History(History::new(self.window))]));
            }
            Err(error) => return Err(error),
        };
        self.refuse_endless(&page.conversations)?;
        self.moved |= self.number > 1 && page.total_hits.is_some() && page.total_hits != self.total;
        self.total = page.total_hits.or(self.total);
        let size = page.conversations.len();
        self.rows += size as u64;
        for row in &page.conversations {
            self.found += u64::from(met.see(row.id().as_str()));
        }
        let full = size >= query.page_size as usize;
        let more_promised = self.total.is_some_and(|total| self.rows < total);
        if size > 0 && (full || more_promised) {
            self.number += 1;
            return Ok(Step::Rows(page.conversations));
        }
        if self.is_settled(met) {
            return Ok(Step::Last(page.conversations));
        }
        self.quiet = if self.found == 0 { self.quiet + 1 } else { 0 };
        self.pass += 1;
        (self.number, self.rows, self.found, self.moved) = (1, 0, 0, false);
        (self.page_before, self.repeats) = (Vec::new(), 0);
        Ok(Step::Rows(page.conversations))
    }

    /// Rows a page in this pass. Passes in a row cut the rows in other places: what slips over a page's border in one is
    /// in the middle of a page in the next.
    fn page_size(&self, ask: &Ask<'_>) -> u32 {
        let size = ask.query.page_size;
        let step = if size > 50 { 3 } else { 1 };
        size.saturating_sub((self.pass - 1) % 3 * step).max(1)
    }

    /// At the end of a pass: whether another one could find more.
    fn is_settled(&self, met: &Met) -> bool {
        let agreed = match self.total {
            Some(total) => !self.moved && met.seen() == total,
            // Without a count, one page that was not full cannot have shifted; more pages can.
            None => self.number == 1,
        };
        // A pass in which rows moved may have missed one that was missed before: then it takes two that find nothing.
        let nothing_new = self.pass > 1 && self.found == 0 && (!self.moved || self.quiet > 0);
        agreed || nothing_new || self.pass >= PASSES
    }

    fn is_long_ago(&self, now: Timestamp) -> bool {
        now.duration_since(self.window.start) > jiff::SignedDuration::try_from(SURELY_IN_REACH).unwrap_or_default()
    }

    /// Two halves, or the history job where halves would not help.
    async fn split(&self, ask: &Ask<'_>) -> Result<Vec<Part>, ApiError> {
        let Window { start, end } = self.window;
        let history = vec![Part::History(History::new(self.window))];
        let length = end.duration_since(start);
        if length.unsigned_abs() <= SHORTEST_SPLIT {
            return Ok(history);
        }
        // On whole milliseconds, which is how intervals are written.
        let middle = start
            .checked_add(length / 2)
            .and_then(|middle| Timestamp::from_millisecond(middle.as_millisecond()))
            .unwrap_or(end);
        let halves = [Window { start, end: middle }, Window { start: middle, end }];
        if self.widens(ask, &halves).await? {
            return Ok(history);
        }
        Ok(halves.map(|half| Part::Query(Passes::new(half))).into())
    }

    /// Whether the platform widens each half to the whole again, as it is documented to do within a day. Two requests,
    /// against hundreds of pages that would be read up to the same refusal once more.
    async fn widens(&self, ask: &Ask<'_>, halves: &[Window; 2]) -> Result<bool, ApiError> {
        let Some(total) = self.total.filter(|total| *total > 0) else {
            return Ok(false);
        };
        for half in halves {
            let hits = match ask.source.page(&ask.of(*half), 1).await {
                Ok(page) => page.total_hits,
                Err(ApiError::TooManyResults) => None,
                Err(error) => return Err(error),
            };
            // `totalHits` is approximate; true halves cannot both be near the whole.
            if hits.is_none_or(|hits| hits < total - total / 10) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn refuse_endless(&mut self, page: &[Found]) -> Result<(), ApiError> {
        let ids: Vec<ConversationId> = page.iter().map(|row| row.id().clone()).collect();
        let same = !ids.is_empty() && ids == self.page_before;
        self.repeats = if same { self.repeats + 1 } else { 0 };
        self.page_before = ids;
        if self.repeats >= REPEATS || self.number >= MOST_PAGES {
            let at = format!("page {}, which repeats the pages before it", self.number);
            return Err(ApiError::Unreadable { operation: PAGING, at });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
