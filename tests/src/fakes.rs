//! A source in memory, made from a small description, and a clock that tests move.
//!
//! They answer as genesys/api.md says, and know no HTTP. Nothing here waits on real time.
#![expect(clippy::unwrap_used, reason = "a harness stops the test where its own description is wrong")]

mod announcer;
mod clock;
mod mailboxes;
mod org;
mod source;

pub use announcer::{DeafAnnouncer, FakeAnnouncer};
pub use clock::TestClock;
pub use mailboxes::{FakeMailboxes, FakeVoicemail};
pub use org::{Batch, Completion, FakeConversation, FakeOrg, FakeRecording, File, MetadataAnswer, Readability};
pub use source::FakeSource;
