//! The SQLite ledger at 10,000 and at 1,000,000 conversations: time per row of what an export does to it.

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

pub(crate) fn measure() -> Outcome {
    println!("# SQLite ledger: time per conversation with one recording, {SAMPLE} of them at each size");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let sizes = [10_000, 1_000_000];
    let mut figures = Vec::new();
    for size in sizes {
        let figure = runtime.block_on(at_size(size))?;
        let [add, claim, deliver, settle] = figure.map(|took| took.as_secs_f64() * 1e6 / SAMPLE as f64);
        println!(
            "{size}: add {add:.0} us, claim and submit {claim:.0} us, deliver {deliver:.0} us, claim and settle {settle:.0} us"
        );
        figures.push(figure.iter().sum::<Duration>().as_secs_f64());
    }
    if let [small, large] = figures[..] {
        println!("1,000,000 takes {:.2} x the time per row of 10,000", large / small);
    }
    println!();
    Ok(())
}

async fn at_size(size: usize) -> Result<[Duration; 4], Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let now: Timestamp = "2026-01-15T12:00:00Z".parse()?;
    let ledger = SqliteLedger::open(&dir.path().join("ledger.sqlite"), HolderId("bench".to_owned()), now)?;
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    // What is there already is not due: a later time makes it so that only the sample is worked on.
    let later = now + Duration::from_secs(86_400);
    fill(&ledger, "2020-01-01", size - SAMPLE, later, &mut random).await?;
    let begun = Instant::now();
    fill(&ledger, "2026-01-14", SAMPLE, now, &mut random).await?;
    let added = begun.elapsed();
    let begun = Instant::now();
    let jobs = submit(&ledger, now).await?;
    let submitted = begun.elapsed();
    let begun = Instant::now();
    deliver(&ledger, &jobs, now).await?;
    let delivered = begun.elapsed();
    let begun = Instant::now();
    settle(&ledger, now).await?;
    Ok([added, submitted, delivered, begun.elapsed()])
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

async fn submit(ledger: &SqliteLedger, now: Timestamp) -> Result<Vec<Job>, Box<dyn Error>> {
    let mut jobs = Vec::new();
    loop {
        let rows = ledger.claim(Stage::Submit, 100, LEASE, now).await?;
        if rows.is_empty() {
            return Ok(jobs);
        }
        let claims: Vec<(ConversationId, u32)> = rows.iter().filter_map(claim_of).collect();
        let job = format!("job-{}", jobs.len());
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
    Ok(Delivery { conversation: id.clone(), error: None, recordings: vec![recording], look_now: false })
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
