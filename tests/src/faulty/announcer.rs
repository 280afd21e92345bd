//! The announcer's port, faulty.

use std::sync::Arc;

use async_trait::async_trait;
use callvault_pipeline::ledger::notification::Channel;
use callvault_pipeline::notification::{Announcer, Message, Untold};

use super::script::{Fault, Script};

/// An announcer that fails by script: its one call is `announcer.send`.
pub struct FaultyAnnouncer {
    script: Script,
    inner: Arc<dyn Announcer>,
}

impl FaultyAnnouncer {
    /// Wraps an announcer.
    pub fn new(inner: Arc<dyn Announcer>, script: Script) -> Self {
        Self { script, inner }
    }
}

fn error(fault: Fault) -> Untold {
    Untold { code: "faulty", detail: format!("{fault:?}") }
}

#[async_trait]
impl Announcer for FaultyAnnouncer {
    fn channel(&self) -> Channel {
        self.inner.channel()
    }

    async fn send(&self, message: &Message) -> Result<(), Untold> {
        self.script.call("announcer.send", error, self.inner.send(message)).await
    }
}
