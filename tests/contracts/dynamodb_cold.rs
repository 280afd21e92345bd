//! The ledger's contract over processes that have just started: nothing is remembered from one call to the next.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use callvault_aws::dynamodb::DynamoLedger;
use callvault_pipeline::day::Day;
use callvault_pipeline::facts::NewConversation;
use callvault_pipeline::ids::{BatchJobId, ConversationId};
use callvault_pipeline::ledger::machine::{Delivery, Narrowing, Reopening, Settlement};
use callvault_pipeline::ledger::turn::{Turn, TurnId};
use callvault_pipeline::ledger::voicemail::{FoundVoicemail, Notice, VoicemailCounts};
use callvault_pipeline::ledger::{Counts, Ledger, LedgerError, Listing, Row, RowKey, Settled, Stage};
use callvault_tests::ledger_contract;
use jiff::Timestamp;

use crate::dynamodb::Scene;

ledger_contract!(cold, crate::dynamodb_cold::forgetful);

async fn forgetful() -> ((), Forgetful) {
    ((), Forgetful(Scene::new().await))
}

struct Forgetful(Scene);

impl Forgetful {
    fn fresh(&self) -> DynamoLedger {
        self.0.ledger("one")
    }
}

#[async_trait]
impl Ledger for Forgetful {
    async fn plan_day(&self, day: Day, now: Timestamp) -> Result<Row, LedgerError> {
        self.fresh().plan_day(day, now).await
    }

    async fn known(&self, day: Day, ids: &[ConversationId]) -> Result<HashSet<ConversationId>, LedgerError> {
        self.fresh().known(day, ids).await
    }

    async fn add_conversations(&self, day: Day, found: &[NewConversation], now: Timestamp) -> Result<u64, LedgerError> {
        self.fresh().add_conversations(day, found, now).await
    }

    async fn claim(
        &self,
        stage: Stage,
        limit: usize,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Vec<Row>, LedgerError> {
        self.fresh().claim(stage, limit, lease, now).await
    }

    async fn renew(&self, key: &RowKey, attempt: u32, until: Timestamp) -> Result<Settled, LedgerError> {
        self.fresh().renew(key, attempt, until).await
    }

    async fn settle(
        &self,
        key: &RowKey,
        attempt: u32,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<Settled, LedgerError> {
        self.fresh().settle(key, attempt, settlement, now).await
    }

    async fn submitted(
        &self,
        job: &BatchJobId,
        claims: &[(ConversationId, u32)],
        first_poll: Timestamp,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.fresh().submitted(job, claims, first_poll, now).await
    }

    async fn deliver(
        &self,
        job: &BatchJobId,
        attempt: u32,
        deliveries: &[Delivery],
        now: Timestamp,
    ) -> Result<Settled, LedgerError> {
        self.fresh().deliver(job, attempt, deliveries, now).await
    }

    async fn take_turn(&self, job: &BatchJobId, now: Timestamp) -> Result<Turn, LedgerError> {
        self.fresh().take_turn(job, now).await
    }

    async fn end_turn(&self, job: &BatchJobId, id: TurnId, free: Timestamp) -> Result<(), LedgerError> {
        self.fresh().end_turn(job, id, free).await
    }

    async fn conversation(&self, id: &ConversationId) -> Result<Vec<Row>, LedgerError> {
        self.fresh().conversation(id).await
    }

    async fn day(&self, day: Day) -> Result<Option<Row>, LedgerError> {
        self.fresh().day(day).await
    }

    async fn days(&self) -> Result<Vec<Row>, LedgerError> {
        self.fresh().days().await
    }

    async fn counts(&self, day: Day) -> Result<Counts, LedgerError> {
        self.fresh().counts(day).await
    }

    async fn count_restores(&self, day: Day, wanted: u32, most: u32) -> Result<u32, LedgerError> {
        self.fresh().count_restores(day, wanted, most).await
    }

    async fn uncount_restores(&self, day: Day, unused: u32) -> Result<(), LedgerError> {
        self.fresh().uncount_restores(day, unused).await
    }

    async fn notifications(&self, day: Day) -> Result<Vec<Row>, LedgerError> {
        self.fresh().notifications(day).await
    }

    async fn outstanding(&self, day: Day) -> Result<bool, LedgerError> {
        self.fresh().outstanding(day).await
    }

    async fn list(
        &self,
        day: Day,
        listing: Listing,
        after: Option<&RowKey>,
        limit: usize,
    ) -> Result<Vec<Row>, LedgerError> {
        self.fresh().list(day, listing, after, limit).await
    }

    async fn reopen(&self, id: &ConversationId, reopening: &Reopening, now: Timestamp) -> Result<bool, LedgerError> {
        self.fresh().reopen(id, reopening, now).await
    }

    async fn reopen_day(&self, day: Day, now: Timestamp) -> Result<bool, LedgerError> {
        self.fresh().reopen_day(day, now).await
    }

    async fn next_due(&self, stage: Stage) -> Result<Option<Timestamp>, LedgerError> {
        self.fresh().next_due(stage).await
    }

    async fn note_voicemail(&self, notice: &Notice, now: Timestamp) -> Result<bool, LedgerError> {
        self.fresh().note_voicemail(notice, now).await
    }

    async fn add_voicemails(&self, found: &[FoundVoicemail], now: Timestamp) -> Result<u64, LedgerError> {
        self.fresh().add_voicemails(found, now).await
    }

    async fn voicemails(&self, conversation: &ConversationId) -> Result<Vec<Row>, LedgerError> {
        self.fresh().voicemails(conversation).await
    }

    async fn voicemail_counts(&self) -> Result<VoicemailCounts, LedgerError> {
        self.fresh().voicemail_counts().await
    }

    async fn reopen_voicemails(&self, narrowing: &Narrowing, now: Timestamp) -> Result<u64, LedgerError> {
        self.fresh().reopen_voicemails(narrowing, now).await
    }
}
