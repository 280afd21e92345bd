//! The gate, told the time.

use super::*;

fn start() -> Timestamp {
    "2026-01-15T00:00:00Z".parse().unwrap()
}

fn limits(count: u32, allowed: u32, reset: u64) -> Limits {
    Limits { count: Some(count), allowed: Some(allowed), reset: Some(Duration::from_secs(reset)) }
}

fn learned(allowed: u32) -> Gate {
    let mut gate = Gate::default();
    gate.answered(start(), Limits { allowed: Some(allowed), ..Limits::default() });
    gate
}

/// Sends as fast as the gate lets; the send times.
fn run(gate: &mut Gate, requests: usize) -> Vec<Timestamp> {
    let mut now = start();
    let mut times = Vec::new();
    while times.len() < requests {
        match gate.turn(now) {
            Turn::Now => {
                gate.sent(now);
                gate.ended();
                times.push(now);
            }
            Turn::At(at) => {
                assert!(at > now, "a wait must move time");
                now = at;
            }
            Turn::AfterAnAnswer => panic!("nothing is under way"),
        }
    }
    times
}

#[test]
fn no_window_holds_more_than_its_share() {
    for allowed in [0, 1, 2, 3, 7, 20, 180, 300, 1000] {
        let cap = (allowed as usize * 95 / 100).max(1);
        let times = run(&mut learned(allowed), cap * 6 + 5);
        for pair in times.windows(cap + 1) {
            assert!(until(pair[0], pair[cap]) >= WINDOW, "allowed {allowed}: {} .. {}", pair[0], pair[cap]);
        }
    }
}

#[test]
fn half_is_free_and_the_rest_is_even() {
    let times = run(&mut learned(300), 285);
    assert_eq!(times.iter().filter(|at| **at == start()).count(), 143);
    let gaps: Vec<_> = times[143..].windows(2).map(|pair| until(pair[0], pair[1])).collect();
    let (least, most) = (gaps.iter().min().unwrap(), gaps.iter().max().unwrap());
    assert!(*most - *least < Duration::from_millis(2), "{least:?} .. {most:?}");
}

#[test]
fn a_long_run_uses_nearly_all_of_the_allowance() {
    let times = run(&mut learned(300), 3000);
    let minutes = until(times[0], times[2999]).as_secs_f64() / 62.0;
    assert!(3000.0 / minutes > 270.0, "{} a window", 3000.0 / minutes);
}

#[test]
fn one_goes_first_to_learn() {
    let mut gate = Gate::default();
    assert_eq!(gate.turn(start()), Turn::Now);
    gate.sent(start());
    assert_eq!(gate.turn(start()), Turn::AfterAnAnswer);
    gate.answered(start(), limits(1, 300, 60));
    assert_eq!(gate.turn(start()), Turn::Now);
}

#[test]
fn what_others_use_counts_too() {
    let mut gate = learned(100);
    gate.answered(start(), limits(95, 100, 17));
    assert_eq!(gate.turn(start()), Turn::At(later(start(), Duration::from_secs(17))));
    gate.answered(start(), limits(93, 100, 17));
    assert_eq!(gate.turn(start()), Turn::Now);
    gate.sent(start());
    gate.sent(start());
    assert_eq!(gate.turn(start()), Turn::AfterAnAnswer);
}

#[test]
fn a_pause_holds_everybody_and_is_never_shortened() {
    let mut gate = learned(300);
    gate.pause(start(), Duration::from_secs(30));
    gate.pause(start(), Duration::from_secs(3));
    assert_eq!(gate.turn(start()), Turn::At(later(start(), Duration::from_secs(30))));
    gate.pause(start(), Duration::from_secs(86_400));
    assert_eq!(gate.turn(start()), Turn::At(later(start(), LONGEST_PAUSE)));
}

#[test]
fn a_shrunk_allowance_waits_for_enough_to_leave() {
    let mut gate = learned(300);
    for second in 0..100 {
        gate.sent(later(start(), Duration::from_secs(second) / 10));
        gate.ended();
    }
    gate.answered(start(), Limits { allowed: Some(20), ..Limits::default() });
    let now = later(start(), Duration::from_secs(10));
    // 19 may be in the window, so the 82nd oldest (at 8.1 s) has to leave it.
    assert_eq!(gate.turn(now), Turn::At(later(start(), Duration::from_millis(8_100) + WINDOW)));
}

#[test]
fn the_budget_is_told() {
    let mut gate = Gate::default();
    assert_eq!(gate.budget(start()), None);
    gate.answered(start(), limits(10, 300, 20));
    let budget = gate.budget(start()).unwrap();
    assert_eq!((budget.allowed, budget.left), (300, 275));
    assert_eq!(budget.resets_at, later(start(), Duration::from_secs(20)));
    assert_eq!(gate.budget(later(start(), Duration::from_secs(21))).unwrap().left, 285);
}

#[test]
fn a_clock_that_is_set_back_does_not_block() {
    let mut gate = learned(2);
    gate.sent(later(start(), Duration::from_secs(3600)));
    gate.ended();
    assert_eq!(gate.turn(start()), Turn::At(later(start(), WINDOW)));
}

#[test]
fn after_a_busy_minute_one_goes_first_again() {
    let mut gate = Gate::default();
    gate.answered(start(), limits(200, 300, 5));
    let now = later(start(), Duration::from_secs(5));
    assert_eq!(gate.turn(now), Turn::Now);
    gate.sent(now);
    assert_eq!(gate.turn(now), Turn::AfterAnAnswer);
    gate.answered(now, limits(150, 300, 60));
    assert_eq!(gate.turn(now), Turn::Now);
    // A quiet minute needs no such care.
    gate.answered(now, limits(1, 300, 5));
    assert_eq!(gate.turn(later(now, Duration::from_secs(6))), Turn::Now);
}
