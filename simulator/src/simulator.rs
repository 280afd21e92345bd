//! The handle: starts a simulator, asks it, stops it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::api::control;
use crate::faults::{Fault, Profile};
use crate::options::Options;
use crate::requests::Requests;
use crate::server;
use crate::truth::{Truth, TruthVoicemail};
use crate::voicemail::NewVoicemails;
use crate::world::World;

/// A running simulator. It stops when it is dropped, without waiting for answers under way.
pub struct Simulator {
    world: Arc<World>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    server: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Makes the org and listens. Must be called within a tokio runtime, which then serves it.
    ///
    /// # Errors
    /// When the address cannot be bound, or the days lie outside what dates can express.
    pub async fn start(options: Options) -> io::Result<Simulator> {
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let world = World::new(options, format!("http://{address}"));
        let world = Arc::new(world.map_err(|fault| io::Error::new(io::ErrorKind::InvalidInput, fault))?);
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(server::serve(Arc::clone(&world), listener, stopped));
        Ok(Simulator { world, address, stop, server: Some(server) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, which stands for both the login and the API host.
    pub fn url(&self) -> String {
        self.world.base.clone()
    }

    /// What a perfect export would hold. The first call generates and hashes every file.
    pub fn truth(&self) -> Truth {
        self.world.truth()
    }

    /// Leaves voicemail now, as if callers had: what `POST /_sim/voicemails` does. Empty where the holder is not one
    /// of the org's.
    pub fn leave_voicemails(&self, new: &NewVoicemails) -> Vec<TruthVoicemail> {
        let left = self.world.leave(new).unwrap_or_default();
        left.iter().map(|message| self.world.told(message)).collect()
    }

    /// The EventBridge envelopes of all voicemail, in the order in which it was left; also of what is gone.
    pub fn voicemail_events(&self) -> Vec<serde_json::Value> {
        control::events(&self.world)
    }

    /// A user's pair of tokens for the first client, without the sign-in page: what the token endpoint would answer.
    pub fn grant(&self) -> serde_json::Value {
        control::grant(&self.world, control::NewGrant::default())
    }

    /// The refresh tokens that were never used.
    pub fn unspent_refresh_tokens(&self) -> Vec<String> {
        self.world.grants.unspent()
    }

    /// The ids of the org's queues.
    pub fn queues(&self) -> Vec<String> {
        self.world.org.places.queues.clone()
    }

    /// The ids of the org's groups.
    pub fn groups(&self) -> Vec<String> {
        self.world.org.places.groups.clone()
    }

    /// What was asked so far.
    pub fn requests(&self) -> Requests {
        self.world.requests()
    }

    /// Replaces all faults.
    pub fn set_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.world.faults.set(faults.into_iter().collect());
    }

    /// Replaces all faults by a profile's.
    pub fn set_profile(&self, profile: Profile) {
        self.world.faults.set(profile.faults());
    }

    /// The simulator's time.
    pub fn now(&self) -> Timestamp {
        self.world.clock.now()
    }

    /// Moves the simulator's clock. Going back does not undo what has taken its time already.
    pub fn advance(&self, by: SignedDuration) {
        self.world.clock.advance(by);
    }

    /// Sets the simulator's clock.
    pub fn set_now(&self, now: Timestamp) {
        self.world.clock.set(now);
    }

    /// Stops listening and closes every connection.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(server) = self.server.take() {
            let _ = server.await; // it ends whatever became of its connections
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("url", &self.world.base).finish_non_exhaustive()
    }
}
