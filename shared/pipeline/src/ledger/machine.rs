//! The state machine: pure functions from rows and what happened to rows to be written. No I/O, no clock.
//!
//! | module | owns |
//! |---|---|
//! | `words` | what can happen to a row |
//! | `rows` | making, claiming, planning a row |
//! | `batches` | what a job does to its conversations and recordings |
//! | `settling` | what a settlement does to a row and its family |
//! | `mending` | what is done once more because somebody asked for it |
//! | `family` | a conversation's rows together |
//! | `notifications` | what a settlement does to a notification |
//! | `voicemails` | notices and messages: made, met again, settled, opened again |
//!
//! Ledgers only load rows, call these functions and write what comes back. What must stay true is stated here once:
//! - a conversation that is not settled has work, or sits in a running batch that lists it;
//! - a recording that waits belongs to a conversation that is not settled;
//! - a conversation is settled only when all its recordings are terminal, or, when it is given up, being copied.

mod batches;
mod family;
mod mending;
mod notifications;
mod rows;
mod settling;
mod voicemails;
mod words;

use std::time::Duration;

use jiff::SignedDuration;

pub use batches::{deliver, finish_batch, submit};
pub use family::conversation_of;
pub use mending::{Narrowing, Reopening, reopen_day, reopen_family};
pub use rows::{
    add, claim, count_restores, is_found_anew, is_left_out, is_wanted_now, plan, release, renew, reopen,
    uncount_restores,
};
pub use settling::{park_family, settle};
pub use voicemails::{meet, note, reopen_voicemail};
pub use words::{Closing, Delivered, Delivery, Look, Next, ParkedRecording, Resubmission, Settlement};

/// A conversation goes into a batch again at most this often, because something of it was not delivered, before that is
/// parked.
pub const MOST_RESUBMISSIONS: u32 = 3;

/// A conversation goes into a batch again at most this often because a job was lost or a URL refused, which happens to
/// any of them and says nothing about it.
pub const MOST_LOSSES: u32 = 16;

/// A conversation whose recording is still uploading is looked at this often before that is parked.
pub const MOST_LOOKS: u32 = 4;

/// What the source was asked less long ago than this is not asked again because a day is planned once more: whoever
/// repeats an export at once wants what is left of it.
pub const RECENT: SignedDuration = SignedDuration::from_hours(1);

/// A conversation that was recorded, as analytics says, and has no recording is looked at again this often before that is
/// believed: nine seconds in all. Retention makes such conversations too, and each holds up its day.
pub const MOST_EMPTY_LOOKS: u32 = 2;

/// A recording that waits for its conversation's other recordings is looked at again after this, should its wake-up
/// have been lost.
const SAFETY: Duration = Duration::from_secs(600);
