//! The store in memory: for tests, and what the others are compared with.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use crate::call::{Call, State, fold};
use crate::event::{CallId, NewEvent};
use crate::store::{Appended, CallStore, PAGE_BYTES, Page, Rebuilt, StoreError, StoredEvent};

/// A store in memory.
#[derive(Debug, Default)]
pub struct MemoryCalls(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    events: Vec<StoredEvent>,
    known: HashSet<Uuid>,
    calls: BTreeMap<u64, Call>,
    numbers: HashMap<CallId, u64>,
}

impl MemoryCalls {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn call(&self, id: &CallId) -> Option<&Call> {
        self.numbers.get(id).and_then(|number| self.calls.get(number))
    }
}

#[async_trait]
impl CallStore for MemoryCalls {
    async fn append(&self, event: NewEvent, now: Timestamp) -> Result<Appended, StoreError> {
        let mut kept = self.kept();
        if !kept.known.insert(event.uuid) {
            return Ok(Appended::Duplicate);
        }
        let event = StoredEvent::of(event, kept.events.len() as u64 + 1, now);
        let before = event.call.as_ref().and_then(|id| kept.call(id));
        let call = before.map_or_else(|| Call::begun(&event), |call| Some(call.with(&event)));
        if let Some(call) = &call {
            kept.numbers.insert(call.call.clone(), call.id);
            kept.calls.insert(call.id, call.clone());
        }
        let id = event.id;
        kept.events.push(event);
        Ok(Appended::New { id, call })
    }

    async fn calls(&self, state: Option<State>, page: Page, limit: usize) -> Result<Vec<Call>, StoreError> {
        let kept = self.kept();
        let calls: Box<dyn Iterator<Item = (&u64, &Call)>> = match page {
            Page::After(id) => Box::new(kept.calls.range(id.saturating_add(1)..)),
            Page::Before(id) => Box::new(kept.calls.range(..id).rev()),
        };
        let wanted = calls.map(|(_, call)| call).filter(|call| state.is_none_or(|state| call.state == state));
        Ok(wanted.take(limit).cloned().collect())
    }

    async fn call(&self, id: &CallId) -> Result<Option<Call>, StoreError> {
        Ok(self.kept().call(id).cloned())
    }

    async fn events(&self, of: Option<&CallId>, after: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let kept = self.kept();
        let mut room = PAGE_BYTES;
        let wanted = kept.events.iter().filter(|event| event.id > after && event.call.as_ref() == of).take(limit);
        let fitting = wanted.take_while(|event| {
            let fits = room > 0;
            room = room.saturating_sub(event.received.get().len());
            fits
        });
        Ok(fitting.cloned().collect())
    }

    async fn rebuild(&self) -> Result<Rebuilt, StoreError> {
        let mut kept = self.kept();
        let mut families: BTreeMap<&CallId, Vec<&StoredEvent>> = BTreeMap::new();
        for event in &kept.events {
            if let Some(call) = &event.call {
                families.entry(call).or_default().push(event);
            }
        }
        let calls: BTreeMap<u64, Call> =
            families.values().filter_map(|events| fold(events.iter().copied())).map(|call| (call.id, call)).collect();
        let rebuilt = Rebuilt {
            calls: calls.len() as u64,
            events: families.values().map(|events| events.len() as u64).sum(),
            repaired: calls.iter().filter(|(id, call)| kept.calls.get(id) != Some(call)).count() as u64,
        };
        kept.numbers = calls.values().map(|call| (call.call.clone(), call.id)).collect();
        kept.calls = calls;
        Ok(rebuilt)
    }
}
