//! Which days a schedule plans: the one `LAG_DAYS` ago, and every one that was left out.
//!
//! Left out is every day since the last one that is known, however long the schedule stood still; and, further back,
//! a gap of up to [`LONGEST_GAP`] between two days that are known, as somebody leaves who exports a recent day by hand
//! while the schedule stands still. A longer gap is taken for what it mostly is: an old day that somebody wanted.

use std::collections::BTreeSet;

use callvault_bootstrap::lambda::refusal::Refusal;
use callvault_bootstrap::lambda::work::Work;
use callvault_pipeline::day::Day;

/// Days between two known ones that are planned because nobody is likely to have left them out on purpose.
pub const LONGEST_GAP: usize = 31;

/// The days to be planned now.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn since_the_last(work: &Work<'_>) -> Result<Vec<Day>, Refusal> {
    let today = work.house.calendar.day_of(work.house.clock.now());
    let lag = work.parts().settings.lag_days;
    let target = (0..lag).try_fold(today, |day, _| day.previous());
    let target = target.ok_or_else(|| Refusal::settings("LAG_DAYS leads before the calendar's first day"))?;
    let known: BTreeSet<Day> = work.house.ledger.days().await?.iter().map(|row| row.day).collect();
    Ok(missing(&known, target))
}

/// Days up to `target` that are to be planned, in order.
pub fn missing(known: &BTreeSet<Day>, target: Day) -> Vec<Day> {
    let mut days = Vec::new();
    let mut upper = target.next();
    let mut gap_limit = None;
    for lower in known.range(..=target).rev() {
        let between: Vec<Day> = match (lower.next(), upper.and_then(Day::previous)) {
            (Some(first), Some(last)) => first.through(last),
            _ => Vec::new(),
        };
        // Above the highest known day any gap counts; further down only short ones.
        if gap_limit.is_none_or(|limit| between.len() <= limit) {
            days.extend(between.into_iter().rev());
        }
        (upper, gap_limit) = (Some(*lower), Some(LONGEST_GAP));
    }
    if days.is_empty() && known.range(..=target).next().is_none() {
        days.push(target);
    }
    days.reverse();
    days
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    fn planned(known: &[&str], target: &str) -> Vec<String> {
        let known = known.iter().map(|text| day(text)).collect();
        missing(&known, day(target)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_first_time_only_the_day_itself() {
        assert_eq!(planned(&[], "2026-01-20"), ["2026-01-20"]);
        assert_eq!(planned(&["2026-02-01"], "2026-01-20"), ["2026-01-20"], "what is ahead says nothing");
    }

    #[test]
    fn a_known_day_is_not_planned_again() {
        assert_eq!(planned(&["2026-01-20"], "2026-01-20"), [""; 0]);
    }

    #[test]
    fn every_day_since_the_last_one_however_long_ago() {
        assert_eq!(planned(&["2026-01-17"], "2026-01-20"), ["2026-01-18", "2026-01-19", "2026-01-20"]);
        assert_eq!(planned(&["2025-01-20"], "2026-01-20").len(), 365);
    }

    #[test]
    fn a_day_exported_by_hand_leaves_no_gap_behind_it_unless_it_is_an_old_one() {
        let by_hand = ["2026-01-10", "2026-01-15"];
        let missing = ["2026-01-11", "2026-01-12", "2026-01-13", "2026-01-14", "2026-01-16"];
        assert_eq!(planned(&by_hand, "2026-01-16"), missing);
        assert_eq!(planned(&["2019-05-01", "2026-01-15"], "2026-01-16"), ["2026-01-16"]);
    }

    proptest! {
        /// Whatever days the schedule fires on, with at most a gap of days between, and whichever days are exported by
        /// hand meanwhile: none is left out since the first.
        #[test]
        fn no_day_is_ever_left_out(
            pauses in prop::collection::vec(1..=LONGEST_GAP, 1..12),
            by_hand in prop::collection::btree_set(0_usize..400, 0..12),
        ) {
            let all = day("2026-01-01").through(day("2027-03-01"));
            let fires: BTreeSet<usize> = pauses.iter().scan(0, |at, pause| { *at += pause; Some(*at) }).collect();
            let (mut known, mut first) = (BTreeSet::new(), None);
            for now in 0..400 {
                // By hand only a day that is over; before the first timer, an old day says nothing about the schedule.
                if first.is_some() && now > 0 && by_hand.contains(&(now - 1)) {
                    known.insert(all[now - 1]);
                }
                if fires.contains(&now) {
                    known.extend(missing(&known, all[now]));
                    let since = *first.get_or_insert(now);
                    prop_assert!(all[since..=now].iter().all(|day| known.contains(day)), "{known:?}");
                }
            }
        }
    }
}
