//! What was asked of the simulator: counts by operation, the worst minute, how politely jobs were polled.
//!
//! Owns the counters and measures spacing in real monotonic time, so that moving the org's clock cannot make a client
//! look more polite than it is.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::lock;

const MINUTE: Duration = Duration::from_secs(60);

/// The counts, as `GET /_sim/requests` shows them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// Requests by operation: `token`, `conversations-query`, `batch-submit`, `media`, ...
    pub operations: BTreeMap<String, u64>,
    /// Requests under `/api/`.
    pub api_requests: u64,
    /// The most requests under `/api/` that arrived within any 60 s of real time.
    pub worst_minute: u64,
    /// Requests allowed per client and minute.
    pub allowed: u32,
    /// Requests refused with 429 because there were too many; injected ones are not counted.
    pub refused_429: u64,
    /// Smallest gap between two polls of one batch job, in milliseconds of real time.
    pub closest_polls_ms: Option<u64>,
    /// Requests for media.
    pub media_requests: u64,
    /// Bytes of media handed to the network.
    pub media_bytes: u64,
    /// Requests for media that carried an `Authorization` header, which must never be sent there.
    pub media_with_credentials: u64,
    /// Requests for media that came before the `Retry-After` of the same media was over.
    #[serde(default)]
    pub media_too_early: u64,
    /// Items of the largest batch request, refused ones included.
    pub max_batch_items: u64,
    /// `DELETE /api/v2/voicemail/messages`: everything the user has, gone. Nobody may ever send it.
    #[serde(default)]
    pub voicemail_delete_all: u64,
    /// How often each fault has struck.
    pub faults: BTreeMap<String, u64>,
}

/// The counters.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    state: Mutex<State>,
    media_bytes: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    shown: Requests,
    /// Arrivals within the last minute.
    recent: VecDeque<Instant>,
    polls: HashMap<String, Instant>,
    /// Until when media are not to be asked for.
    media_pauses: HashMap<String, Instant>,
}

impl Counters {
    pub(crate) fn arrived(&self, operation: &str, api: bool) {
        let now = Instant::now();
        let state = &mut *lock(&self.state);
        *state.shown.operations.entry(operation.into()).or_default() += 1;
        if !api {
            return;
        }
        state.shown.api_requests += 1;
        state.recent.push_back(now);
        while state.recent.front().is_some_and(|first| now.duration_since(*first) >= MINUTE) {
            state.recent.pop_front();
        }
        state.shown.worst_minute = state.shown.worst_minute.max(state.recent.len() as u64);
    }

    pub(crate) fn polled(&self, job: &str) {
        let now = Instant::now();
        let state = &mut *lock(&self.state);
        if let Some(last) = state.polls.insert(job.into(), now) {
            let gap = u64::try_from(now.duration_since(last).as_millis()).unwrap_or(u64::MAX);
            let closest = state.shown.closest_polls_ms.unwrap_or(u64::MAX);
            state.shown.closest_polls_ms = Some(closest.min(gap));
        }
    }

    pub(crate) fn refused(&self) {
        lock(&self.state).shown.refused_429 += 1;
    }

    pub(crate) fn media_pause(&self, path: &str, span: Duration) {
        lock(&self.state).media_pauses.insert(path.into(), Instant::now() + span);
    }

    pub(crate) fn media(&self, path: &str, with_credentials: bool) {
        let state = &mut *lock(&self.state);
        let too_early = state.media_pauses.get(path).is_some_and(|until| Instant::now() < *until);
        state.shown.media_too_early += u64::from(too_early);
        state.shown.media_requests += 1;
        state.shown.media_with_credentials += u64::from(with_credentials);
    }

    pub(crate) fn media_sent(&self, bytes: usize) {
        self.media_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn deleted_everything(&self) {
        lock(&self.state).shown.voicemail_delete_all += 1;
    }

    pub(crate) fn batch_of(&self, items: usize) {
        let most = &mut lock(&self.state).shown.max_batch_items;
        *most = (*most).max(items as u64);
    }

    /// The counts so far; what others know (`allowed`, `faults`) is left empty.
    pub(crate) fn shown(&self) -> Requests {
        let media_bytes = self.media_bytes.load(Ordering::Relaxed);
        Requests { media_bytes, ..lock(&self.state).shown.clone() }
    }
}
