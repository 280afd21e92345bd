//! The ids that paging has met, in a few bytes each.
//!
//! Owns nothing but the marks. A digest stands for each id: what is held does not depend on how long ids are, and is
//! all of paging's memory that grows with the window: 19 bytes for each of a power of two of places, so 22 to 44 an id.
//! Must never forget an id that was yielded: its row would come twice.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

/// The first half of a text's SHA-256. Among a million ids, two are taken for one with a probability of 2^-89.
pub(super) type Digest = [u8; 16];

/// The digest of a text.
pub(super) fn digest(text: &str) -> Digest {
    let whole = Sha256::digest(text.as_bytes());
    std::array::from_fn(|place| whole[place])
}

/// Ids, each with what happened to it.
#[derive(Debug, Default)]
pub(super) struct Met {
    ids: HashMap<Digest, Marks>,
}

#[derive(Debug, Default)]
struct Marks {
    /// A pass over the part that is being read had it.
    seen: bool,
    /// It was given to whoever asks for rows.
    yielded: bool,
}

impl Met {
    /// Marks an id as seen in this part. Whether that is new.
    pub(super) fn see(&mut self, id: &str) -> bool {
        let marks = self.ids.entry(digest(id)).or_default();
        !std::mem::replace(&mut marks.seen, true)
    }

    /// Marks an id as yielded, in whatever part. Whether that is new.
    pub(super) fn yield_once(&mut self, id: &str) -> bool {
        let marks = self.ids.entry(digest(id)).or_default();
        !std::mem::replace(&mut marks.yielded, true)
    }

    /// Ids seen in this part.
    pub(super) fn seen(&self) -> u64 {
        self.ids.values().filter(|marks| marks.seen).count() as u64
    }

    /// The part is over: what the next one sees is counted anew.
    pub(super) fn part_over(&mut self) {
        self.ids.retain(|_, marks| {
            marks.seen = false;
            marks.yielded
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_part_saw_is_counted_anew_and_what_was_yielded_stays_known() {
        let mut met = Met::default();
        assert!(met.see("a") && met.see("b") && !met.see("a"));
        assert!(met.yield_once("a") && !met.yield_once("a"));
        assert_eq!(met.seen(), 2);
        met.part_over();
        assert_eq!(met.seen(), 0);
        assert!(!met.yield_once("a"), "yielded in an earlier part");
        assert!(met.see("a") && met.yield_once("b"));
        assert_eq!(met.seen(), 1, "what is only yielded was not seen");
    }
}
