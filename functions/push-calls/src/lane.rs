//! What one connection is told of a batch, in the batch's order.
//!
//! Must never keep other connections waiting longer than [`LONGEST`], whatever this one does, nor take a connection that is only just
//! being opened for one that is gone.

use std::time::Duration;

use callvault_aws::calls::Connection;
use callvault_aws::calls::stream::{Change, News};
use callvault_aws::sockets::Posted;
use callvault_calls::message;
use jiff::Timestamp;

use crate::{Parts, tells};

/// A connection that takes longer for its part of a batch is asked again with the rest of it.
pub const LONGEST: Duration = Duration::from_secs(3);

/// Who could not be told of a change that is so old is ended: its client opens another, and lists again. Others of the same shard wait
/// for what comes again, so it is short; but longer than [`LONGEST`], so that one who is only slow gets a second turn.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// A connection is written down before it is open. Within this, "gone" may mean "not yet".
pub const OPENING: Duration = Duration::from_secs(2);

/// How long what is not open yet is left alone.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection and what it is told.
pub(crate) struct Lane<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) changes: &'a [Change],
    /// The message of each change; the same for all connections.
    pub(crate) messages: &'a [Option<String>],
    pub(crate) parts: &'a Parts,
}

/// How a lane goes on after a message.
enum Next {
    GoOn,
    /// Without having told it.
    Skip,
    /// Nothing more for this connection.
    Stop,
    /// Again from here.
    Again,
}

/// The message of each change; none where there is nothing to be told.
pub(crate) fn messages(changes: &[Change]) -> Vec<Option<String>> {
    let message = |change: &Change| match &change.news {
        News::Call(call) => Some(message::data_changed(call)),
        News::Opened(_) => Some(message::welcome()),
        News::Unreadable(_) | News::Nothing => None,
    };
    changes.iter().map(message).collect()
}

impl Lane<'_> {
    /// Tells everything. Answers the place of the first change that has to come again.
    pub(crate) async fn run(self) -> Option<usize> {
        let begun = self.parts.clock.now();
        for (place, (change, message)) in self.changes.iter().zip(self.messages).enumerate() {
            let Some(message) = message else { continue };
            if !self.concerns(&change.news) {
                continue;
            }
            let is_welcome = matches!(change.news, News::Opened(_));
            let late = self.since(begun) > LONGEST;
            let posted =
                if late { Posted::Failed("it is too slow".to_owned()) } else { self.say(message, is_welcome).await };
            match self.next(posted, change).await {
                Next::GoOn => self.remember(&change.news),
                Next::Skip => {}
                Next::Stop => return None,
                Next::Again => return Some(place),
            }
        }
        None
    }

    /// Whether a change is news to this connection.
    fn concerns(&self, news: &News) -> bool {
        let (id, told) = (&self.connection.id, &self.parts.told);
        match news {
            News::Call(call) => !told.knows(id, call),
            News::Opened(opened) => opened.id == *id && !told.is_welcome(id),
            News::Unreadable(_) | News::Nothing => false,
        }
    }

    fn remember(&self, news: &News) {
        let (id, told) = (&self.connection.id, &self.parts.told);
        debug_assert!(tells(news));
        match news {
            News::Call(call) => told.of_call(id, call),
            News::Opened(_) => told.of_welcome(id),
            News::Unreadable(_) | News::Nothing => {}
        }
    }

    /// Sends a message; a welcome waits a little for its connection to be open.
    async fn say(&self, message: &str, is_welcome: bool) -> Posted {
        loop {
            let posted = self.parts.voice.say(&self.connection.id, message).await;
            if posted != Posted::Gone || !is_welcome || self.since(self.connection.since) >= OPENING {
                return posted;
            }
            self.parts.clock.sleep(PAUSE).await;
        }
    }

    async fn next(&self, posted: Posted, change: &Change) -> Next {
        match posted {
            Posted::Done => Next::GoOn,
            // Our messages are some hundred bytes: should one ever be longer, the next ones need not be.
            Posted::TooLong => {
                tracing::error!(code = "message-too-long", "a change is longer than a message may be");
                Next::GoOn
            }
            // Not open yet, most likely: its client lists the calls when it is.
            Posted::Gone if matches!(change.news, News::Call(_)) && self.since(self.connection.since) < OPENING => {
                Next::Skip
            }
            Posted::Gone => {
                self.forget().await;
                Next::Stop
            }
            Posted::Failed(what) if change.at.is_some_and(|at| self.since(at) > PATIENCE) => {
                tracing::warn!(
                    code = "connection-ended",
                    "a connection that could not be told of a change is ended: {what}"
                );
                let _ = self.parts.voice.end(&self.connection.id).await;
                self.forget().await;
                Next::Stop
            }
            Posted::Failed(what) => {
                tracing::warn!(
                    code = "not-told",
                    "a connection could not be told of a change, which comes again: {what}"
                );
                Next::Again
            }
        }
    }

    /// Whoever is not forgotten now is found gone again.
    async fn forget(&self) {
        if let Err(error) = self.parts.audience.forget(&self.connection.id).await {
            tracing::warn!(code = error.code(), "a connection that is gone could not be forgotten: {error}");
        }
    }

    fn since(&self, then: Timestamp) -> Duration {
        Duration::try_from(self.parts.clock.now().duration_since(then)).unwrap_or_default()
    }
}
