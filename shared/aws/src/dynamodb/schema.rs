//! The table's names, as the template and whoever makes a table for tests must write them.
//!
//! | item | partition key | sort key |
//! |---|---|---|
//! | a conversation and its recordings | `DAY#s`, s a hexadecimal digit by the id's first letter | `conversation/ID/` |
//! | a day | `days` | `day/DAY` |
//! | a day that has conversations | `days` | `known/DAY` |
//! | what was said of a conversation's voicemail | `voicemail#s`, the same | `voicemail/ID/` |
//! | a voicemail message | `voicemail#s`, the same | `voicemail/ID/MESSAGE` |
//! | a batch job | `batch/JOB` | `batch/JOB` |
//! | what the ledger was made for | `bound` | `bound` |
//! | the newest exchange of a secret's refresh token | `rotation/ARN` | `rotation/ARN` |
//! | who reads a batch job now, or did just now | `turn/JOB` | `turn/JOB` |
//!
//! The table keeps new images in its stream; [`WAKE`] is what a filter on it looks at.

/// Partition key, text.
pub const PARTITION: &str = "pk";
/// Sort key, text.
pub const SORT: &str = "sk";
/// How often the item was written, number: what every write is conditional on.
pub const VERSION: &str = "v";
/// Which write made it, text: what is compared after a write whose answer was lost.
pub const WRITE: &str = "w";
/// The word for its state, text: for whoever looks at the table.
pub const STATE: &str = "state";
/// The rows, binary.
pub const ROWS: &str = "rows";
/// There while a conversation or recording of the item is not terminal, number 1.
pub const OPEN: &str = "open";
/// Stage of a day's, batch's, conversation's or voicemail's work, text; partition key of [`WORK_INDEX`].
pub const WORK: &str = "work";
/// When that is due, milliseconds since 1970; sort key of [`WORK_INDEX`].
pub const DUE: &str = "due";
/// `upload` while recordings of the item are to be copied; partition key of [`COPY_INDEX`].
pub const COPY: &str = "copy";
/// When the first of them is due, milliseconds since 1970; sort key of [`COPY_INDEX`].
pub const COPY_DUE: &str = "copy_due";
/// `upload` where this write made copies due, or due earlier. Claims do not set it.
pub const WAKE: &str = "wake";
/// When the table may forget the item, seconds since 1970 (time to live): finished batches, and turns.
pub const EXPIRES: &str = "expires";
/// What the ledger was made for, map of texts, in the item [`BOUND`].
pub const VALUES: &str = "values";

/// Global secondary index over [`WORK`] and [`DUE`], keys only.
pub const WORK_INDEX: &str = "work-due";
/// Global secondary index over [`COPY`] and [`COPY_DUE`], keys only.
pub const COPY_INDEX: &str = "copy-due";

/// The partition of all days.
pub const DAYS: &str = "days";
/// Both keys of the item that says what the ledger was made for.
pub const BOUND: &str = "bound";
/// Both keys of the item that says which refresh token of a secret was spent begin like this.
pub const ROTATION: &str = "rotation/";
/// Both keys of the item that says who reads a batch job begin like this.
pub const TURN: &str = "turn/";
