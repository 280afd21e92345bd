//! The pages of a mailbox, the newest messages first.
//!
//! No document says which end a listing begins with. So the first page is looked at: where it begins with the oldest,
//! the others are read from the last one backwards. Whether everything that follows is older still is believed only as
//! long as all that was seen says so.

use jiff::Timestamp;

use crate::api::{ApiError, Mailbox, Voicemails};
use crate::ids::VoicemailId;
use crate::models::{Voicemail, VoicemailPage};

/// A mailbox with more pages than this does not end: the server repeats itself.
const MOST_PAGES: u32 = 20_000;

/// In which direction pages are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// As they are numbered.
    Forward,
    /// From the last to the second; the first was read already.
    Backward,
}

/// A walk through a mailbox.
pub(super) struct Pages<'a> {
    source: &'a dyn Voicemails,
    mailbox: &'a Mailbox,
    page_size: u32,
    direction: Direction,
    next: Option<u32>,
    read: u32,
    seen: u64,
    /// Ids of the page before.
    before: Vec<VoicemailId>,
    /// When the last message that was read was left.
    oldest: Option<Timestamp>,
    /// Whether a message was seen that is older than the one before it.
    falls: bool,
    /// Whether one was seen that is younger, or has no time.
    rises: bool,
    /// When the newest message of the last page was left.
    newest_of_page: Option<Timestamp>,
}

impl<'a> Pages<'a> {
    pub(super) fn of(source: &'a dyn Voicemails, mailbox: &'a Mailbox, page_size: u32) -> Self {
        Self {
            source,
            mailbox,
            page_size,
            direction: Direction::Forward,
            next: Some(1),
            read: 0,
            seen: 0,
            before: Vec::new(),
            oldest: None,
            falls: false,
            rises: false,
            newest_of_page: None,
        }
    }

    /// The messages of the next page, the newest first; `None` behind the last.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Voicemail>>, ApiError> {
        let Some(number) = self.next.filter(|_| self.read < MOST_PAGES) else { return Ok(None) };
        let page = self.source.list(self.mailbox, number, self.page_size).await?;
        self.read += 1;
        self.seen += page.messages.len() as u64;
        let ids: Vec<VoicemailId> = page.messages.iter().map(|message| message.id.clone()).collect();
        let repeated = !ids.is_empty() && ids == self.before;
        self.before = ids;
        if repeated {
            self.next = None;
            return Ok(None);
        }
        if number == 1 {
            self.choose(&page);
        }
        self.next = self.after(number, &page);
        let mut messages = page.messages;
        if self.direction == Direction::Backward {
            messages.reverse();
        }
        self.compare(&messages);
        if number == 1 && self.direction == Direction::Backward {
            // The oldest of all: what follows is younger again.
            (self.oldest, self.newest_of_page) = (None, None);
        }
        Ok(Some(messages))
    }

    /// Whether everything that follows was left before `instant`, as far as what was seen can tell.
    pub(super) fn is_past(&self, instant: Timestamp) -> bool {
        self.falls && !self.rises && self.newest_of_page.is_some_and(|newest| newest < instant)
    }

    /// Decides by the first page in which direction the others are read.
    fn choose(&mut self, page: &VoicemailPage) {
        let mut times = page.messages.iter().filter_map(|message| message.created);
        let first = times.next();
        let begins_with_oldest = first.zip(times.next_back()).is_some_and(|(first, last)| first < last);
        if begins_with_oldest && page.page_count.is_some_and(|pages| pages > 1) {
            self.direction = Direction::Backward;
        }
    }

    fn after(&self, number: u32, page: &VoicemailPage) -> Option<u32> {
        if self.direction == Direction::Backward {
            return match number {
                1 => page.page_count.and_then(|pages| u32::try_from(pages).ok()).filter(|pages| *pages <= MOST_PAGES),
                2 => None,
                number => Some(number - 1),
            };
        }
        let more = !page.messages.is_empty()
            && match (page.page_count, page.total) {
                (Some(pages), _) if u64::from(number) < pages => true,
                // More are said to be there than were seen: whoever believed the count of pages would lose them.
                (_, Some(total)) => self.seen < total,
                (Some(_), None) => false,
                (None, None) => true,
            };
        more.then(|| number.saturating_add(1))
    }

    fn compare(&mut self, newest_first: &[Voicemail]) {
        self.newest_of_page = newest_first.first().and_then(|message| message.created);
        for message in newest_first {
            match (self.oldest, message.created) {
                (_, None) => self.rises = true,
                (Some(before), Some(created)) if created > before => self.rises = true,
                (Some(before), Some(created)) if created < before => self.falls = true,
                _ => {}
            }
            self.oldest = message.created.or(self.oldest);
        }
    }
}
