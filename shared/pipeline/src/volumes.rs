//! What a day holds, by kind: counted from the ledger's rows in one pass.
//!
//! Costs what [`Ledger::counts`] costs where a ledger counts by reading, and memory for a page of rows. Looks only.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::Serialize;

use crate::day::Day;
use crate::kind::Kind;
use crate::ledger::{Counts, Fact, Ledger, LedgerError, Listing, RecordingState, Row, RowKey};

/// Rows read at a time.
const A_PAGE: usize = 500;

/// Recordings of one kind, and what is in the archive of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// Recordings known.
    pub recordings: u64,
    /// Those that are in the archive.
    pub stored: u64,
    /// Their objects: a recording may have more than one.
    pub objects: u64,
    /// Bytes of the objects.
    pub bytes: u64,
    /// Recordings that should be in the archive and are not.
    pub parked: u64,
    /// Recordings that the settings leave out.
    pub left_out: u64,
}

impl AddAssign for Volume {
    fn add_assign(&mut self, more: Self) {
        self.recordings += more.recordings;
        self.stored += more.stored;
        self.objects += more.objects;
        self.bytes += more.bytes;
        self.parked += more.parked;
        self.left_out += more.left_out;
    }
}

/// What a day holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DayVolumes {
    /// The day's numbers.
    pub counts: Counts,
    /// Its recordings by kind.
    pub kinds: BTreeMap<Kind, Volume>,
    /// Objects that describe conversations.
    pub documents: u64,
    /// Their bytes.
    pub document_bytes: u64,
}

impl DayVolumes {
    fn add_family(&mut self, family: &[Row]) {
        self.counts.of_family(family);
        for row in family {
            match &row.fact {
                Fact::Conversation(conversation) => {
                    self.documents += u64::from(conversation.object.is_some());
                    self.document_bytes += conversation.object.as_ref().map_or(0, |object| object.bytes);
                }
                Fact::Recording(recording) => {
                    let is = |state: bool| u64::from(state);
                    *self.kinds.entry(recording.kind).or_default() += Volume {
                        recordings: 1,
                        stored: is(recording.state == RecordingState::Stored),
                        objects: recording.objects.len() as u64,
                        bytes: row.bytes(),
                        parked: is(matches!(recording.state, RecordingState::Parked(_))),
                        left_out: is(matches!(recording.state, RecordingState::LeftOut(_))),
                    };
                }
                Fact::Day(_) | Fact::Batch(_) | Fact::Notice(_) | Fact::Voicemail(_) | Fact::Notification(_) => {}
            }
        }
    }
}

/// Counts a day.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn of_day(ledger: &dyn Ledger, day: Day) -> Result<DayVolumes, LedgerError> {
    let mut volumes = DayVolumes::default();
    let mut family: Vec<Row> = Vec::new();
    let mut after: Option<RowKey> = None;
    loop {
        let page = ledger.list(day, Listing::All, after.as_ref(), A_PAGE).await?;
        let is_last = page.len() < A_PAGE;
        after = page.last().map(|row| row.key.clone());
        for row in page {
            // A conversation stands before its recordings: its row begins the next family.
            if matches!(row.fact, Fact::Conversation(_)) {
                volumes.add_family(&family);
                family.clear();
            }
            family.push(row);
        }
        if is_last {
            break;
        }
    }
    volumes.add_family(&family);
    Ok(volumes)
}
