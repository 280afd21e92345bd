//! What a process remembers: bounded, and never the truth. Whatever is forgotten is read again.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A map that forgets what was not asked for lately, at the latest when `2 * most` newer things are known.
#[derive(Debug)]
pub(crate) struct Seen<K, V> {
    most: usize,
    generations: Mutex<[HashMap<K, V>; 2]>,
}

impl<K: Hash + Eq + Clone, V: Clone> Seen<K, V> {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, generations: Mutex::new([HashMap::new(), HashMap::new()]) }
    }

    fn generations(&self) -> MutexGuard<'_, [HashMap<K, V>; 2]> {
        // Whole entries are put and removed: nothing half done is left by a panic.
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let mut generations = self.generations();
        let [new, old] = &mut *generations;
        if let Some(value) = new.get(key) {
            return Some(value.clone());
        }
        let value = old.remove(key)?;
        new.insert(key.clone(), value.clone());
        Some(value)
    }

    pub(crate) fn put(&self, key: K, value: V) {
        let mut generations = self.generations();
        let [new, old] = &mut *generations;
        old.remove(&key);
        new.insert(key, value);
        if new.len() >= self.most {
            *old = std::mem::take(new);
        }
    }

    pub(crate) fn forget(&self, key: &K) {
        self.generations().iter_mut().for_each(|generation| {
            generation.remove(key);
        });
    }

    pub(crate) fn len(&self) -> usize {
        self.generations().iter().map(HashMap::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes() {
        let seen = Seen::new(10);
        for n in 0..1000 {
            seen.put(n, n);
            assert_eq!(seen.get(&0), Some(0), "asked for all the time");
            assert!(seen.len() <= 20);
        }
        assert_eq!((seen.get(&5), seen.get(&999)), (None, Some(999)));
        seen.put(999, 1);
        assert_eq!(seen.get(&999), Some(1));
        seen.forget(&999);
        assert_eq!(seen.get(&999), None);
    }
}
