//! The port through which time comes in, so that tests move it.
//!
//! Nothing in callvault's libraries asks the operating system for the time (clippy.toml forbids it); the one real
//! clock lives with the binaries, in `callvault-bootstrap`.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

/// Tells the time and waits.
#[async_trait]
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Returns after `span` of this clock's time.
    async fn sleep(&self, span: Duration);
}
