//! A year of days, exported while the program is killed every few seconds; then the archive equals the truth, and hardly more
//! was fetched than it holds.

use std::time::{Duration, Instant};

use callvault_simulator::Options;
use callvault_tests::binary::scene::{Scene, days_ago, quick};

use crate::Outcome;
use crate::programs::mib;

/// Days, and conversations of each.
const YEAR: (u32, u32) = (365, 300);

/// The program lives so long, in milliseconds, before it is killed: at least, and at most.
const LIFE: (u64, u64) = (2_000, 6_000);

/// Goal: bytes that the source sent, for each byte of the archive.
const MOST_FETCHED: f64 = 1.05;

/// Numbers from 0 to below `n` that are the same at every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

pub(crate) fn measure() -> Outcome {
    let (days, conversations) = YEAR;
    println!("# {days} days of {conversations} conversations, killed every {} to {} ms", LIFE.0, LIFE.1);
    // Its last day is over, everywhere.
    let scene = Scene::new(Options { first_day: days_ago(i64::from(days) + 2), days, ..quick(conversations) });
    let expected = scene.expected();
    let begun = Instant::now();
    let (mut dice, mut kills) = (Dice(1), 0_u32);
    // Until everything was asked for once: what is left then is a moment's work, and a kill would be none.
    while scene.requests().media_requests < expected.files() as u64 {
        let until = Instant::now() + Duration::from_millis(LIFE.0 + dice.below(LIFE.1 - LIFE.0));
        let mut running = scene.export().at_most(Duration::from_secs(3_600)).start();
        while Instant::now() < until && running.is_running() {
            std::thread::sleep(Duration::from_millis(20));
        }
        kills += u32::from(running.kill().signal == Some(9));
        if kills.is_multiple_of(25) {
            let (asked, files) = (scene.requests().media_requests, expected.files());
            println!("{kills} kills, {asked} of {files} files asked for, {} s", begun.elapsed().as_secs());
        }
    }
    scene.export().at_most(Duration::from_secs(3_600)).run().expect_code(expected.exit_code());
    let took = begun.elapsed();
    scene.equals(&expected);
    let (sent, archived) = (scene.requests().media_bytes, expected.bytes());
    let fetched = sent as f64 / archived as f64;
    println!(
        "{kills} kills in {} s; {} files, {:.0} MiB, equal to the truth; sent {:.0} MiB, {fetched:.4} of the archive (goal {MOST_FETCHED})",
        took.as_secs(),
        expected.files(),
        mib(archived),
        mib(sent),
    );
    println!();
    if fetched > MOST_FETCHED {
        return Err(format!("the source sent {fetched:.4} times what the archive holds").into());
    }
    Ok(())
}
