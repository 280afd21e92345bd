//! Somebody who is told, and remembers all of it; and somebody who never hears anything.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use callvault_pipeline::ledger::notification::Channel;
use callvault_pipeline::notification::{Announcer, Message, Untold};

/// Takes every message. Clones share what they were told.
#[derive(Clone)]
pub struct FakeAnnouncer {
    channel: Channel,
    told: Arc<Mutex<Vec<Message>>>,
}

impl FakeAnnouncer {
    /// Nobody has told it anything yet.
    pub fn new(channel: Channel) -> Self {
        Self { channel, told: Arc::default() }
    }

    /// All it was told, in order.
    pub fn told(&self) -> Vec<Message> {
        self.told.lock().unwrap().clone()
    }
}

#[async_trait]
impl Announcer for FakeAnnouncer {
    fn channel(&self) -> Channel {
        self.channel
    }

    async fn send(&self, message: &Message) -> Result<(), Untold> {
        self.told.lock().unwrap().push(message.clone());
        Ok(())
    }
}

/// Takes no message, by the webhook.
#[derive(Debug)]
pub struct DeafAnnouncer;

#[async_trait]
impl Announcer for DeafAnnouncer {
    fn channel(&self) -> Channel {
        Channel::Webhook
    }

    async fn send(&self, _: &Message) -> Result<(), Untold> {
        Err(Untold { code: "deaf", detail: "it does not hear".to_owned() })
    }
}
