//! How often in a row the source did not answer about a row: counted apart from the row's own tries. Must never decide
//! how often is too often.

use super::row::{Fact, Row};

impl Row {
    /// How often in a row the source did not answer about it. Always 0 for what does not count that.
    pub fn outages(&self) -> u32 {
        match &self.fact {
            Fact::Batch(batch) => batch.outages,
            Fact::Conversation(conversation) => conversation.outages,
            Fact::Recording(recording) => recording.outages,
            Fact::Day(_) | Fact::Notice(_) | Fact::Voicemail(_) | Fact::Notification(_) => 0,
        }
    }

    pub(super) fn with_outages(mut self, outages: u32) -> Self {
        match &mut self.fact {
            Fact::Batch(batch) => batch.outages = outages,
            Fact::Conversation(conversation) => conversation.outages = outages,
            Fact::Recording(recording) => recording.outages = outages,
            Fact::Day(_) | Fact::Notice(_) | Fact::Voicemail(_) | Fact::Notification(_) => {}
        }
        self
    }
}

/// Zero is not written.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
pub(super) fn is_zero(count: &u32) -> bool {
    *count == 0
}
