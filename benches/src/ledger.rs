//! The SQLite ledger at 10,000 and at 1,000,000 conversations: what an export does to it costs per row.
//!
//! Three costs. Time contains the waits for the disk, which others use too. CPU time is what the kernel counts for this
//! process, and steadier. Bytes written are the system calls', and are the same in every run.

use std::error::Error;
use std::time::{Duration, Instant};

use callvault_local::sqlite::SqliteLedger;
use callvault_pipeline::day::Day;
use callvault_pipeline::facts::{Facts, Intake, NewConversation};
use callvault_pipeline::ids::ConversationId;
use callvault_pipeline::kind::Kind;
use callvault_pipeline::ledger::machine::{Delivered, Delivery, Settlement};
use callvault_pipeline::ledger::{HolderId, Ledger, Row, RowKey, Stage};
use jiff::Timestamp;

use crate::Outcome;

const LEASE: Duration = Duration::from_secs(300);

/// Conversations of a day: a large contact centre's. More of them mean more days.
const A_DAY: usize = 10_000;

/// Conversations that are worked on at each size.
const SAMPLE: usize = 4_000;

/// Days of the samples, one for each round. The middle of the rounds' ratios counts.
const ROUNDS: [&str; 5] = ["2026-01-10", "2026-01-11", "2026-01-12", "2026-01-13", "2026-01-14"];

/// What something cost.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    seconds: f64,
    cpu_seconds: f64,
    written_bytes: f64,
}

impl std::ops::Sub for Cost {
    type Output = Self;
    fn sub(self, before: Self) -> Self {
        Self {
            seconds: self.seconds - before.seconds,
            cpu_seconds: self.cpu_seconds - before.cpu_seconds,
            written_bytes: self.written_bytes - before.written_bytes,
        }
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rows = SAMPLE as f64;
        let (time, cpu) = (self.seconds * 1e6 / rows, self.cpu_seconds * 1e6 / rows);
        write!(f, "{time:.0} us ({cpu:.0} us CPU, {:.1} KiB)", self.written_bytes / 1024.0 / rows)
    }
}

/// Reads the process's costs so far.
struct Meter(Instant);

impl Meter {
    fn read(&self) -> Result<Cost, Box<dyn Error>> {
        let mut cpu_ns = 0;
        for thread in std::fs::read_dir("/proc/self/task")? {
            let stat = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            cpu_ns += stat.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
        let io = std::fs::read_to_string("/proc/self/io")?;
        let written = io.lines().find_map(|line| line.strip_prefix("wchar: ")).ok_or("no wchar")?;
        Ok(Cost {
            seconds: self.0.elapsed().as_secs_f64(),
            cpu_seconds: cpu_ns as f64 / 1e9,
            written_bytes: written.parse()?,
        })
    }
}

pub(crate) fn measure() -> Outcome {
    println!("# SQLite ledger: cost per conversation with one recording, {SAMPLE} of them at each size, in turn");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(compare())?;
    println!();
    Ok(())
}

/// Round by round, the sizes in turn: what else the machine does meanwhile meets both.
async fn compare() -> Outcome {
    let mut filled = [Filled::new(10_000).await?, Filled::new(1_000_000).await?];
    let mut ratios: [Vec<f64>; 3] = Default::default();
    for (round, day) in ROUNDS.into_iter().enumerate() {
        let mut wholes = Vec::new();
        for ledger in &mut filled {
            let [add, submit, deliver, settle, whole] = ledger.round(round, day).await?;
            let size = ledger.size;
            println!(
                "{size}: add {add}, claim and submit {submit}, deliver {deliver}, claim and settle {settle}; all {whole}"
            );
            wholes.push(whole);
        }
        if let [small, large] = wholes[..] {
            ratios[0].push(large.seconds / small.seconds);
            ratios[1].push(large.cpu_seconds / small.cpu_seconds);
            ratios[2].push(large.written_bytes / small.written_bytes);
        }
    }
    let [time, cpu, written] = ratios.map(middle);
    println!(
        "1,000,000 takes {time:.2} x the time per row of 10,000, {cpu:.2} x the CPU time, {written:.2} x the writes"
    );
    Ok(())
}

fn middle(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A ledger that holds `size` conversations, the sample included.
struct Filled {
    size: usize,
    dir: tempfile::TempDir,
    ledger: SqliteLedger,
    random: u64,
    now: Timestamp,
}

impl Filled {
    async fn new(size: usize) -> Result<Self, Box<dyn Error>> {
        let dir = tempfile::tempdir()?;
        let now: Timestamp = "2026-01-15T12:00:00Z".parse()?;
        let ledger = Self::open(&dir, 0, now)?;
        let mut filled = Self { size, dir, ledger, random: 0x9e37_79b9_7f4a_7c15, now };
        filled.fill_up().await?;
        Ok(filled)
    }

    fn open(dir: &tempfile::TempDir, round: usize, now: Timestamp) -> Result<SqliteLedger, Box<dyn Error>> {
        let path = dir.path().join(format!("ledger-{round}.sqlite"));
        Ok(SqliteLedger::open(&path, HolderId("bench".to_owned()), now)?)
    }

    /// What is there already is not due: a later time makes it so that only the samples are worked on.
    async fn fill_up(&mut self) -> Outcome {
        let later = self.now + Duration::from_secs(86_400);
        fill(&self.ledger, "2020-01-01", self.size - SAMPLE, later, &mut self.random).await
    }

    async fn round(&mut self, round: usize, day: &str) -> Result<[Cost; 5], Box<dyn Error>> {
        if round > 0 && self.size < 10 * SAMPLE {
            // The samples before would make a small ledger a larger one.
            self.ledger = Self::open(&self.dir, round, self.now)?;
            self.fill_up().await?;
        }
        let (ledger, now) = (&self.ledger, self.now);
        let meter = Meter(Instant::now());
        let begun = meter.read()?;
        fill(ledger, day, SAMPLE, now, &mut self.random).await?;
        let added = meter.read()?;
        let jobs = submit(ledger, round, now).await?;
        let submitted = meter.read()?;
        deliver(ledger, &jobs, now).await?;
        let delivered = meter.read()?;
        settle(ledger, now).await?;
        let settled = meter.read()?;
        Ok([added - begun, submitted - added, delivered - submitted, settled - delivered, settled - begun])
    }
}

async fn fill(ledger: &SqliteLedger, first: &str, count: usize, due: Timestamp, random: &mut u64) -> Outcome {
    let mut day: Day = first.parse()?;
    for page in 0..count.div_ceil(100) {
        if page > 0 && page % (A_DAY / 100) == 0 {
            day = day.next().ok_or("the calendar ends")?;
        }
        let size = 100.min(count - page * 100);
        let found = (0..size).map(|_| conversation(random)).collect::<Result<Vec<_>, _>>()?;
        ledger.add_conversations(day, &found, due).await?;
    }
    Ok(())
}

fn conversation(random: &mut u64) -> Result<NewConversation, Box<dyn Error>> {
    let mut next = || {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        *random
    };
    let (a, b) = (next(), next());
    let id = format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        a >> 32,
        a & 0xffff,
        (a >> 16) & 0xfff,
        b >> 52,
        b & 0xffff_ffff_ffff
    );
    let facts = Facts { agent: true, recorded: true, handle_ms: Some(61_500), ..Facts::default() };
    Ok(NewConversation { id: id.parse()?, facts, intake: Intake::Export })
}

type Job = (String, Vec<ConversationId>);

async fn submit(ledger: &SqliteLedger, round: usize, now: Timestamp) -> Result<Vec<Job>, Box<dyn Error>> {
    let mut jobs = Vec::new();
    loop {
        let rows = ledger.claim(Stage::Submit, 100, LEASE, now).await?;
        if rows.is_empty() {
            return Ok(jobs);
        }
        let claims: Vec<(ConversationId, u32)> = rows.iter().filter_map(claim_of).collect();
        let job = format!("job-{round}-{}", jobs.len());
        ledger.submitted(&job.parse()?, &claims, now, now).await?;
        jobs.push((job, claims.into_iter().map(|(id, _)| id).collect()));
    }
}

fn claim_of(row: &Row) -> Option<(ConversationId, u32)> {
    match &row.key {
        RowKey::Conversation(id) => Some((id.clone(), row.attempt)),
        _ => None,
    }
}

async fn deliver(ledger: &SqliteLedger, jobs: &[Job], now: Timestamp) -> Outcome {
    for row in ledger.claim(Stage::Poll, jobs.len(), LEASE, now).await? {
        let RowKey::Batch(job) = &row.key else { continue };
        let ids = jobs.iter().find(|(name, _)| name == job.as_str()).map(|(_, ids)| ids.as_slice()).unwrap_or_default();
        let deliveries = ids.iter().map(delivery).collect::<Result<Vec<_>, _>>()?;
        ledger.deliver(job, row.attempt, &deliveries, now).await?;
    }
    Ok(())
}

fn delivery(id: &ConversationId) -> Result<Delivery, Box<dyn Error>> {
    let recording =
        Delivered { recording: id.as_str().parse()?, kind: Kind::Call, results: 1, error: None, verdict: None };
    Ok(Delivery { conversation: id.clone(), error: None, recordings: vec![recording] })
}

/// Settled eight at a time, as the upload stage does it.
async fn settle(ledger: &SqliteLedger, now: Timestamp) -> Outcome {
    loop {
        let rows = ledger.claim(Stage::Upload, 8, LEASE, now).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let settle = |row: &Row| {
            let (key, attempt) = (row.key.clone(), row.attempt);
            async move { ledger.settle(&key, attempt, Settlement::Stored(Vec::new()), now).await }
        };
        match &rows[..] {
            [a, b, c, d, e, f, g, h] => {
                let done = tokio::join!(
                    settle(a),
                    settle(b),
                    settle(c),
                    settle(d),
                    settle(e),
                    settle(f),
                    settle(g),
                    settle(h)
                );
                done.0?;
                done.7?;
            }
            rest => {
                for row in rest {
                    settle(row).await?;
                }
            }
        }
    }
}
