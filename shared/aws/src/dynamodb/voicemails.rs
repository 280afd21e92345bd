//! Rows about voicemail: each an item of its own, found by its conversation alone.

use callvault_pipeline::ids::ConversationId;
use callvault_pipeline::ledger::machine::Narrowing;
use callvault_pipeline::ledger::voicemail::{FoundVoicemail, Notice, VoicemailCounts};
use callvault_pipeline::ledger::{LedgerError, Row, RowKey, machine};
use futures_util::FutureExt;
use jiff::Timestamp;

use super::families::together;
use super::item::Item;
use super::place::{Place, SHARDS, shard, voicemail_partition};
use super::table::{Ask, Condition};
use super::{DynamoLedger, schema};

impl DynamoLedger {
    pub(super) async fn note(&self, notice: &Notice, now: Timestamp) -> Result<bool, LedgerError> {
        let place = Place::voicemail(&notice.conversation, &RowKey::Notice(notice.conversation.clone()));
        let noted = self.change(&place, |item| match machine::note(item.head(), notice, now) {
            Some(row) => (Some(item.with(&[row])), true),
            None => (None, false),
        });
        noted.await
    }

    /// Most of what a sweep finds is known: it is read, a hundred at a time and at half the price, and not written.
    pub(super) async fn meet_voicemails(&self, found: &[FoundVoicemail], now: Timestamp) -> Result<u64, LedgerError> {
        let mut added = 0;
        for some in found.chunks(100) {
            let mut places: Vec<Place> = some.iter().map(place_of).collect();
            places.sort_unstable_by(|a, b| a.sk.cmp(&b.sk));
            places.dedup();
            let known = self.table.get_many(&places, false).await?;
            let known: Vec<Item> = known.iter().map(Item::read).collect::<Result<_, _>>()?;
            let mut meeting = Vec::new();
            for one in some {
                let place = place_of(one);
                let item = known.iter().find(|item| item.place == place).cloned();
                let item = item.unwrap_or_else(|| Item::new(place));
                if machine::meet(item.head(), one, now).is_some() {
                    meeting.push(self.meet_one(item, one, now).boxed());
                }
            }
            added += together(meeting).await?.into_iter().sum::<u64>();
        }
        Ok(added)
    }

    async fn meet_one(&self, known: Item, found: &FoundVoicemail, now: Timestamp) -> Result<u64, LedgerError> {
        let place = known.place.clone();
        let met = self.change_from(&place, Some(known), |item| match machine::meet(item.head(), found, now) {
            Some(row) => (Some(item.with(&[row])), 1),
            None => (None, 0),
        });
        met.await
    }

    pub(super) async fn voicemails_of(&self, id: &ConversationId) -> Result<Vec<Row>, LedgerError> {
        let sort = Condition::begins_with(schema::SORT, &RowKey::Notice(id.clone()).to_string());
        let ask = Ask { sort: Some(sort), ..Ask::partition(voicemail_partition(shard(id))) };
        let found = self.table.query_all(ask).await?;
        let rows = found.iter().map(|attributes| Item::read(attributes).map(|item| item.content.rows));
        Ok(rows.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    pub(super) async fn count_voicemails(&self) -> Result<VoicemailCounts, LedgerError> {
        let mut counts = VoicemailCounts::default();
        for shard in 0..SHARDS {
            let mut ask = Ask::partition(voicemail_partition(shard));
            loop {
                let page = self.table.query(&ask).await?;
                for attributes in &page.items {
                    Item::read(attributes)?.rows().iter().for_each(|row| counts.add(row));
                }
                match page.next {
                    Some(next) => ask.start = Some(next),
                    None => break,
                }
            }
        }
        Ok(counts)
    }

    pub(super) async fn reopen_all_voicemails(
        &self,
        narrowing: &Narrowing,
        now: Timestamp,
    ) -> Result<u64, LedgerError> {
        let shards: Vec<u8> = match &narrowing.conversation {
            Some(id) => vec![shard(id)],
            None => (0..SHARDS).collect(),
        };
        let mut reopened = 0;
        for shard in shards {
            let mut ask = Ask::partition(voicemail_partition(shard));
            loop {
                let page = self.table.query(&ask).await?;
                let mut reopening = Vec::new();
                for attributes in &page.items {
                    let item = Item::read(attributes)?;
                    if item.head().is_some_and(|row| machine::reopen_voicemail(row, narrowing, now).is_some()) {
                        reopening.push(self.reopen_one(item, narrowing, now).boxed());
                    }
                }
                reopened += together(reopening).await?.into_iter().sum::<u64>();
                match page.next {
                    Some(next) => ask.start = Some(next),
                    None => break,
                }
            }
        }
        Ok(reopened)
    }

    async fn reopen_one(&self, known: Item, narrowing: &Narrowing, now: Timestamp) -> Result<u64, LedgerError> {
        let place = known.place.clone();
        let reopened = self.change_from(&place, Some(known), |item| {
            match item.head().and_then(|row| machine::reopen_voicemail(row, narrowing, now)) {
                Some(row) => (Some(item.with(&[row])), 1),
                None => (None, 0),
            }
        });
        reopened.await
    }
}

fn place_of(found: &FoundVoicemail) -> Place {
    let FoundVoicemail { conversation, message, .. } = found;
    Place::voicemail(conversation, &RowKey::Voicemail(conversation.clone(), message.clone()))
}
