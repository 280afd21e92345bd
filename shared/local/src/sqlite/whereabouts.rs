//! In which day a conversation is, without an index over all days.
//!
//! Such an index is the one place of the file that grows with the ledger and is touched at random: each new
//! conversation would rewrite a page of its own in it. Work is on few days at a time, so the days that were hit last are
//! asked first, and then every other, the newest first: a look into each costs one descent of the index by day.
//! These are hints only; what is not in the file is never answered from here.

use std::sync::{Mutex, PoisonError};

/// Days that are remembered. More than are worked on at a time.
const MOST: usize = 16;

/// The days that were hit last, the last one first. Shared by the jobs of one ledger.
#[derive(Debug, Default)]
pub(super) struct Whereabouts(Mutex<Vec<String>>);

impl Whereabouts {
    /// The first day in which `is_there`, of the remembered and then of those that `before` gives: the last day before
    /// a text, `None` when there is none.
    pub(super) fn find<E>(
        &self,
        is_there: impl Fn(&str) -> Result<bool, E>,
        before: impl Fn(&str) -> Result<Option<String>, E>,
    ) -> Result<Option<String>, E> {
        // What a panic could leave behind are hints.
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for place in 0..recent.len() {
            if is_there(&recent[place])? {
                recent[..=place].rotate_right(1);
                return Ok(recent.first().cloned());
            }
        }
        // After every day: days are digits and hyphens.
        let mut day = before(":")?;
        while let Some(asked) = day {
            if !recent.contains(&asked) && is_there(&asked)? {
                recent.truncate(MOST - 1);
                recent.insert(0, asked.clone());
                return Ok(Some(asked));
            }
            day = before(&asked)?;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;
    use std::convert::Infallible;

    use super::*;

    /// Finds `wanted` among `days`; answers it and the days that were looked into.
    fn find(whereabouts: &Whereabouts, days: &[&str], wanted: &str) -> (Option<String>, Vec<String>) {
        let days: BTreeSet<String> = days.iter().map(|day| (*day).to_owned()).collect();
        let asked = RefCell::new(Vec::new());
        let is_there = |day: &str| {
            asked.borrow_mut().push(day.to_owned());
            Ok::<_, Infallible>(day == wanted)
        };
        let before = |day: &str| Ok(days.range(..day.to_owned()).next_back().cloned());
        let Ok(found) = whereabouts.find(is_there, before);
        (found, asked.into_inner())
    }

    #[test]
    fn the_newest_is_asked_first_and_then_the_last_that_was_hit() {
        let (whereabouts, days) = (Whereabouts::default(), ["2026-01-01", "2026-01-02", "2026-01-03"]);
        let (found, asked) = find(&whereabouts, &days, "2026-01-02");
        assert_eq!((found.as_deref(), asked.len()), (Some("2026-01-02"), 2));
        let (found, asked) = find(&whereabouts, &days, "2026-01-02");
        assert_eq!((found.as_deref(), asked.len()), (Some("2026-01-02"), 1));
        let (found, asked) = find(&whereabouts, &days, "2026-01-01");
        assert_eq!(
            (found.as_deref(), asked),
            (Some("2026-01-01"), ["2026-01-02", "2026-01-03", "2026-01-01"].map(String::from).to_vec())
        );
        assert_eq!(find(&whereabouts, &days, "2026-01-02").1, ["2026-01-01", "2026-01-02"]);
    }

    #[test]
    fn every_day_is_asked_once_before_the_answer_is_no() {
        let whereabouts = Whereabouts::default();
        let days: Vec<String> = (10..60).map(|day| format!("2026-01-{day}")).collect();
        let days: Vec<&str> = days.iter().map(String::as_str).collect();
        for day in &days {
            assert_eq!(find(&whereabouts, &days, day).0.as_deref(), Some(*day));
        }
        assert_eq!(whereabouts.0.lock().unwrap().len(), MOST);
        let (found, mut asked) = find(&whereabouts, &days, "never");
        asked.sort();
        assert_eq!((found, asked.iter().map(String::as_str).collect::<Vec<_>>()), (None, days));
    }
}
