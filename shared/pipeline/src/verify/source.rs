//! What the source has and the ledger does not.
//!
//! Conversations are asked for as the query stage asks; the recordings of each by its metadata, where `METADATA` is
//! `full`: with `analytics` nobody asked for it when the day was exported either.

use callvault_genesys::pages::Pages;
use futures_util::{StreamExt, stream};
use serde::{Serialize, Serializer};

use super::{AT_ONCE, DayReport, Finding, FindingCode, Source, Verify};
use crate::api::ConversationQuery;
use crate::day::Day;
use crate::facts::{Intake, NewConversation};
use crate::ids::{ConversationId, RecordingId};
use crate::ledger::RowKey;
use crate::reason::Reason;
use crate::reconcile::MetadataMode;
use crate::stages::{Fault, concerns_everything, unknown};

/// What the source was asked, and said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SourceTally {
    /// Conversations of the day that the settings want.
    pub conversations: u64,
    /// Of how many of them the recording metadata was read.
    pub metadata: u64,
    /// Recordings listed in it.
    pub recordings: u64,
}

/// The source's side of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceSide {
    /// Nobody asked it.
    NotAsked,
    /// What it said.
    Asked(SourceTally),
}

impl Serialize for SourceSide {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::NotAsked => serializer.serialize_str("not asked"),
            Self::Asked(tally) => tally.serialize(serializer),
        }
    }
}

impl Verify {
    pub(super) async fn ask(&self, source: &Source, day: Day, report: &mut DayReport) -> Result<(), Fault> {
        let window = self.house.calendar.window(day).map_err(|error| Fault::Settings(error.to_string()))?;
        let queues = source.wanted.queues.clone();
        let query = ConversationQuery { window, queues, page_size: source.page_size.clamp(1, 100) };
        let mut pages = Pages::new(&*source.conversations, &*self.house.clock, query);
        let mut tally = SourceTally::default();
        let (mut left, mut wanted) = (report.ledger.conversations, self.sample.unwrap_or(u64::MAX));
        while let Some(page) = pages.next().await? {
            let taken: Vec<NewConversation> = page.iter().map(|found| source.wanted.take(found)).collect();
            let exported = taken.iter().filter(|new| !matches!(new.intake, Intake::LeftOut(_)));
            let ids: Vec<ConversationId> = exported.map(|new| new.id.clone()).collect();
            tally.conversations += ids.len() as u64;
            let known = self.house.ledger.known(day, &ids).await?;
            let mut asked = Vec::new();
            for id in ids {
                if !known.contains(&id) {
                    report.new_conversation(&id);
                    continue;
                }
                let takes = match (source.metadata, self.sample) {
                    (MetadataMode::Analytics, _) => false,
                    (MetadataMode::Full, None) => true,
                    (MetadataMode::Full, Some(_)) => self.takes(left, wanted),
                };
                left = left.saturating_sub(1);
                if takes {
                    wanted -= u64::from(self.sample.is_some());
                    asked.push(id);
                }
            }
            let compared = stream::iter(asked).map(|id| self.recordings(source, id)).buffered(AT_ONCE);
            let mut compared = std::pin::pin!(compared);
            while let Some(one) = compared.next().await {
                let (recordings, findings) = one?;
                tally.metadata += u64::from(recordings.is_some());
                tally.recordings += recordings.unwrap_or_default();
                report.findings.extend(findings);
            }
        }
        report.source = SourceSide::Asked(tally);
        Ok(())
    }

    /// How many recordings the source lists, unless it was not asked or did not answer, and what is new among them.
    async fn recordings(&self, source: &Source, id: ConversationId) -> Result<(Option<u64>, Vec<Finding>), Fault> {
        let family = self.house.ledger.conversation(&id).await?;
        let head = family.iter().find(|row| matches!(row.key, RowKey::Conversation(_)));
        // It was parked for exactly this: the marker says so already. An id that is none cannot be asked for.
        let silent = [Some(Reason::MetadataForbidden), Some(Reason::UnreadableId)];
        if id.is_stand_in() || head.is_some_and(|row| silent.contains(&row.reason())) {
            return Ok((None, Vec::new()));
        }
        let listed = match source.recordings.metadata(&id).await {
            Ok(listed) => listed,
            Err(error) if concerns_everything(&error) => return Err(Fault::Source(error)),
            Err(error) => {
                let finding = Finding::new(FindingCode::SourceNotRead, error.to_string()).of(&id, None);
                return Ok((None, vec![finding]));
            }
        };
        let new = |recording: &RecordingId| {
            let finding = Finding::new(FindingCode::NewAtSource, "a recording that the ledger does not have");
            finding.of(&id, Some(recording))
        };
        Ok((Some(listed.len() as u64), unknown(&family, &listed).iter().map(new).collect()))
    }
}

impl DayReport {
    /// A conversation that the ledger does not have: a new one, unless the manifest said that it is a lost one.
    fn new_conversation(&mut self, id: &ConversationId) {
        let lost =
            |finding: &Finding| finding.code == FindingCode::LedgerRowLost && finding.conversation.as_ref() == Some(id);
        if !self.findings.iter().any(lost) {
            let detail = "a conversation that the ledger does not have";
            self.findings.push(Finding::new(FindingCode::NewAtSource, detail).of(id, None));
        }
    }
}
