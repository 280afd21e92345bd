//! The real clock, real chance, the environment. The only place in callvault that asks the operating system for them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use callvault_pipeline::clock::Clock;
use callvault_pipeline::ledger::HolderId;
use jiff::Timestamp;

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the door through which time comes in")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door through which waiting comes in")]
    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// The real clock, as a port.
pub fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// Real chance, from 0.0 to below 1.0.
pub fn chance() -> Arc<dyn Fn() -> f64 + Send + Sync> {
    Arc::new(draw)
}

#[expect(clippy::disallowed_methods, reason = "this is the door through which chance comes in")]
fn draw() -> f64 {
    rand::random()
}

/// A variable of the environment; one of nothing but blanks counts as not set.
#[expect(clippy::disallowed_methods, reason = "this is the door through which the environment comes in")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()).filter(|text| !text.trim().is_empty())
}

/// A name for this process among those that hold claims.
pub fn holder() -> HolderId {
    let chance = (draw() * f64::from(u32::MAX)) as u32;
    HolderId(format!("{}-{chance:08x}", std::process::id()))
}
