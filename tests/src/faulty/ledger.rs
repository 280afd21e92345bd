//! The ledger's port, faulty; and one that answers before it lets anything else happen.

use std::collections::HashSet;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use async_trait::async_trait;
use callvault_pipeline::day::Day;
use callvault_pipeline::facts::NewConversation;
use callvault_pipeline::ids::{BatchJobId, ConversationId};
use callvault_pipeline::ledger::machine::{Delivery, Narrowing, Reopening, Settlement};
use callvault_pipeline::ledger::turn::{Turn, TurnId};
use callvault_pipeline::ledger::voicemail::{FoundVoicemail, Notice, VoicemailCounts};
use callvault_pipeline::ledger::{Counts, Ledger, LedgerError, Listing, Row, RowKey, Settled, Stage};
use jiff::Timestamp;

use super::script::{Fault, Script};

/// A ledger that fails by script. Its calls are `ledger.` and the method's name.
pub struct FaultyLedger<L: ?Sized = dyn Ledger> {
    script: Script,
    inner: Arc<L>,
}

impl<L: Ledger + ?Sized> FaultyLedger<L> {
    /// Wraps a ledger.
    pub fn new(inner: Arc<L>, script: Script) -> Self {
        Self { script, inner }
    }
}

fn error(fault: Fault) -> LedgerError {
    LedgerError::Unusable { detail: format!("{fault:?}") }
}

/// A ledger whose answers are there before anything else happens, though another thread gives them. Time that is
/// paused would otherwise run on while that thread works.
pub struct PromptLedger<L>(pub L);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits on this thread.
fn at_once<T>(work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(tokio::task::unconstrained(work));
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(done) = work.as_mut().poll(&mut context) {
            return done;
        }
        std::thread::park();
    }
}

#[async_trait]
impl<L: Ledger + ?Sized> Ledger for FaultyLedger<L> {
    async fn plan_day(&self, day: Day, now: Timestamp) -> Result<Row, LedgerError> {
        self.script.call("ledger.plan_day", error, self.inner.plan_day(day, now)).await
    }

    async fn known(&self, day: Day, ids: &[ConversationId]) -> Result<HashSet<ConversationId>, LedgerError> {
        self.script.call("ledger.known", error, self.inner.known(day, ids)).await
    }

    async fn add_conversations(&self, day: Day, found: &[NewConversation], now: Timestamp) -> Result<u64, LedgerError> {
        self.script.call("ledger.add_conversations", error, self.inner.add_conversations(day, found, now)).await
    }

    async fn claim(
        &self,
        stage: Stage,
        limit: usize,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Vec<Row>, LedgerError> {
        self.script.call("ledger.claim", error, self.inner.claim(stage, limit, lease, now)).await
    }

    async fn renew(&self, key: &RowKey, attempt: u32, until: Timestamp) -> Result<Settled, LedgerError> {
        self.script.call("ledger.renew", error, self.inner.renew(key, attempt, until)).await
    }

    async fn settle(
        &self,
        key: &RowKey,
        attempt: u32,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<Settled, LedgerError> {
        self.script.call("ledger.settle", error, self.inner.settle(key, attempt, settlement, now)).await
    }

    async fn submitted(
        &self,
        job: &BatchJobId,
        claims: &[(ConversationId, u32)],
        first_poll: Timestamp,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.script.call("ledger.submitted", error, self.inner.submitted(job, claims, first_poll, now)).await
    }

    async fn deliver(
        &self,
        job: &BatchJobId,
        attempt: u32,
        deliveries: &[Delivery],
        now: Timestamp,
    ) -> Result<Settled, LedgerError> {
        self.script.call("ledger.deliver", error, self.inner.deliver(job, attempt, deliveries, now)).await
    }

    async fn take_turn(&self, job: &BatchJobId, now: Timestamp) -> Result<Turn, LedgerError> {
        self.script.call("ledger.take_turn", error, self.inner.take_turn(job, now)).await
    }

    async fn end_turn(&self, job: &BatchJobId, id: TurnId, free: Timestamp) -> Result<(), LedgerError> {
        self.script.call("ledger.end_turn", error, self.inner.end_turn(job, id, free)).await
    }

    async fn conversation(&self, id: &ConversationId) -> Result<Vec<Row>, LedgerError> {
        self.script.call("ledger.conversation", error, self.inner.conversation(id)).await
    }

    async fn day(&self, day: Day) -> Result<Option<Row>, LedgerError> {
        self.script.call("ledger.day", error, self.inner.day(day)).await
    }

    async fn days(&self) -> Result<Vec<Row>, LedgerError> {
        self.script.call("ledger.days", error, self.inner.days()).await
    }

    async fn counts(&self, day: Day) -> Result<Counts, LedgerError> {
        self.script.call("ledger.counts", error, self.inner.counts(day)).await
    }

    async fn count_restores(&self, day: Day, wanted: u32, most: u32) -> Result<u32, LedgerError> {
        self.script.call("ledger.count_restores", error, self.inner.count_restores(day, wanted, most)).await
    }

    async fn uncount_restores(&self, day: Day, unused: u32) -> Result<(), LedgerError> {
        self.script.call("ledger.uncount_restores", error, self.inner.uncount_restores(day, unused)).await
    }

    async fn notifications(&self, day: Day) -> Result<Vec<Row>, LedgerError> {
        self.script.call("ledger.notifications", error, self.inner.notifications(day)).await
    }

    async fn outstanding(&self, day: Day) -> Result<bool, LedgerError> {
        self.script.call("ledger.outstanding", error, self.inner.outstanding(day)).await
    }

    async fn list(
        &self,
        day: Day,
        listing: Listing,
        after: Option<&RowKey>,
        limit: usize,
    ) -> Result<Vec<Row>, LedgerError> {
        self.script.call("ledger.list", error, self.inner.list(day, listing, after, limit)).await
    }

    async fn reopen(&self, id: &ConversationId, reopening: &Reopening, now: Timestamp) -> Result<bool, LedgerError> {
        self.script.call("ledger.reopen", error, self.inner.reopen(id, reopening, now)).await
    }

    async fn reopen_day(&self, day: Day, now: Timestamp) -> Result<bool, LedgerError> {
        self.script.call("ledger.reopen_day", error, self.inner.reopen_day(day, now)).await
    }

    async fn next_due(&self, stage: Stage) -> Result<Option<Timestamp>, LedgerError> {
        self.script.call("ledger.next_due", error, self.inner.next_due(stage)).await
    }

    async fn note_voicemail(&self, notice: &Notice, now: Timestamp) -> Result<bool, LedgerError> {
        self.script.call("ledger.note_voicemail", error, self.inner.note_voicemail(notice, now)).await
    }

    async fn add_voicemails(&self, found: &[FoundVoicemail], now: Timestamp) -> Result<u64, LedgerError> {
        self.script.call("ledger.add_voicemails", error, self.inner.add_voicemails(found, now)).await
    }

    async fn voicemails(&self, conversation: &ConversationId) -> Result<Vec<Row>, LedgerError> {
        self.script.call("ledger.voicemails", error, self.inner.voicemails(conversation)).await
    }

    async fn voicemail_counts(&self) -> Result<VoicemailCounts, LedgerError> {
        self.script.call("ledger.voicemail_counts", error, self.inner.voicemail_counts()).await
    }

    async fn reopen_voicemails(&self, narrowing: &Narrowing, now: Timestamp) -> Result<u64, LedgerError> {
        self.script.call("ledger.reopen_voicemails", error, self.inner.reopen_voicemails(narrowing, now)).await
    }
}

#[async_trait]
impl<L: Ledger> Ledger for PromptLedger<L> {
    async fn plan_day(&self, day: Day, now: Timestamp) -> Result<Row, LedgerError> {
        at_once(self.0.plan_day(day, now))
    }

    async fn known(&self, day: Day, ids: &[ConversationId]) -> Result<HashSet<ConversationId>, LedgerError> {
        at_once(self.0.known(day, ids))
    }

    async fn add_conversations(&self, day: Day, found: &[NewConversation], now: Timestamp) -> Result<u64, LedgerError> {
        at_once(self.0.add_conversations(day, found, now))
    }

    async fn claim(
        &self,
        stage: Stage,
        limit: usize,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Vec<Row>, LedgerError> {
        at_once(self.0.claim(stage, limit, lease, now))
    }

    async fn renew(&self, key: &RowKey, attempt: u32, until: Timestamp) -> Result<Settled, LedgerError> {
        at_once(self.0.renew(key, attempt, until))
    }

    async fn settle(
        &self,
        key: &RowKey,
        attempt: u32,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<Settled, LedgerError> {
        at_once(self.0.settle(key, attempt, settlement, now))
    }

    async fn submitted(
        &self,
        job: &BatchJobId,
        claims: &[(ConversationId, u32)],
        first_poll: Timestamp,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        at_once(self.0.submitted(job, claims, first_poll, now))
    }

    async fn deliver(
        &self,
        job: &BatchJobId,
        attempt: u32,
        deliveries: &[Delivery],
        now: Timestamp,
    ) -> Result<Settled, LedgerError> {
        at_once(self.0.deliver(job, attempt, deliveries, now))
    }

    async fn take_turn(&self, job: &BatchJobId, now: Timestamp) -> Result<Turn, LedgerError> {
        at_once(self.0.take_turn(job, now))
    }

    async fn end_turn(&self, job: &BatchJobId, id: TurnId, free: Timestamp) -> Result<(), LedgerError> {
        at_once(self.0.end_turn(job, id, free))
    }

    async fn conversation(&self, id: &ConversationId) -> Result<Vec<Row>, LedgerError> {
        at_once(self.0.conversation(id))
    }

    async fn day(&self, day: Day) -> Result<Option<Row>, LedgerError> {
        at_once(self.0.day(day))
    }

    async fn days(&self) -> Result<Vec<Row>, LedgerError> {
        at_once(self.0.days())
    }

    async fn counts(&self, day: Day) -> Result<Counts, LedgerError> {
        at_once(self.0.counts(day))
    }

    async fn count_restores(&self, day: Day, wanted: u32, most: u32) -> Result<u32, LedgerError> {
        at_once(self.0.count_restores(day, wanted, most))
    }

    async fn uncount_restores(&self, day: Day, unused: u32) -> Result<(), LedgerError> {
        at_once(self.0.uncount_restores(day, unused))
    }

    async fn notifications(&self, day: Day) -> Result<Vec<Row>, LedgerError> {
        at_once(self.0.notifications(day))
    }

    async fn outstanding(&self, day: Day) -> Result<bool, LedgerError> {
        at_once(self.0.outstanding(day))
    }

    async fn list(
        &self,
        day: Day,
        listing: Listing,
        after: Option<&RowKey>,
        limit: usize,
    ) -> Result<Vec<Row>, LedgerError> {
        at_once(self.0.list(day, listing, after, limit))
    }

    async fn reopen(&self, id: &ConversationId, reopening: &Reopening, now: Timestamp) -> Result<bool, LedgerError> {
        at_once(self.0.reopen(id, reopening, now))
    }

    async fn reopen_day(&self, day: Day, now: Timestamp) -> Result<bool, LedgerError> {
        at_once(self.0.reopen_day(day, now))
    }

    async fn next_due(&self, stage: Stage) -> Result<Option<Timestamp>, LedgerError> {
        at_once(self.0.next_due(stage))
    }

    async fn note_voicemail(&self, notice: &Notice, now: Timestamp) -> Result<bool, LedgerError> {
        at_once(self.0.note_voicemail(notice, now))
    }

    async fn add_voicemails(&self, found: &[FoundVoicemail], now: Timestamp) -> Result<u64, LedgerError> {
        at_once(self.0.add_voicemails(found, now))
    }

    async fn voicemails(&self, conversation: &ConversationId) -> Result<Vec<Row>, LedgerError> {
        at_once(self.0.voicemails(conversation))
    }

    async fn voicemail_counts(&self) -> Result<VoicemailCounts, LedgerError> {
        at_once(self.0.voicemail_counts())
    }

    async fn reopen_voicemails(&self, narrowing: &Narrowing, now: Timestamp) -> Result<u64, LedgerError> {
        at_once(self.0.reopen_voicemails(narrowing, now))
    }
}
