//! What an export costs on AWS, by item: the arithmetic of infra/cost.py over the same two files, for other amounts.
//!
//! Prices are those of infra/prices.json, which says of when they are; what a recording takes is infra/measured.json, which
//! says of each figure whether it was measured. Both are built into the program, so that there is one of each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;

const PRICES: &str = include_str!("../../../../infra/prices.json");
const MEASURED: &str = include_str!("../../../../infra/measured.json");

/// The month of the price file: 30 days.
pub(super) const HOURS_OF_A_MONTH: f64 = 720.0;
/// Bytes of a gigabyte, as AWS charges for them.
const GB: f64 = 1e9;

/// What is to be paid for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work {
    pub(super) conversations: f64,
    pub(super) recordings: f64,
    pub(super) bytes: f64,
    /// Of which part of the conversations the metadata is read.
    pub(super) metadata_share: f64,
    /// How long the functions are at it: their timers go on meanwhile.
    pub(super) months: f64,
}

/// When something is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Paid {
    /// Once, for exporting.
    Once,
    /// Each month that callvault is deployed, whatever it exports.
    EachMonthDeployed,
    /// Each month that the recordings are kept.
    EachMonthKept,
}

/// One line of the bill.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Item {
    pub(super) paid: Paid,
    pub(super) name: &'static str,
    pub(super) amount: f64,
    pub(super) unit: &'static str,
    /// US dollars, by region.
    pub(super) dollars: BTreeMap<String, f64>,
}

/// The bill.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Cost {
    /// The day of the price file.
    pub(super) prices_written: String,
    /// What is known of the prices of each region.
    pub(super) prices: BTreeMap<String, String>,
    pub(super) basis: &'static str,
    pub(super) items: Vec<Item>,
    /// Sums of the items, by when they are paid and by region.
    pub(super) sums: BTreeMap<Paid, BTreeMap<String, f64>>,
}

#[derive(Deserialize)]
struct PriceFile {
    written: String,
    regions: BTreeMap<String, Region>,
}

#[derive(Deserialize)]
struct Region {
    how: String,
    #[serde(flatten)]
    prices: Prices,
}

#[derive(Deserialize)]
struct Prices {
    lambda_gb_second_arm64: f64,
    lambda_million_requests: f64,
    dynamodb_million_write_units: f64,
    dynamodb_million_read_units: f64,
    dynamodb_gb_month: f64,
    dynamodb_pitr_gb_month: f64,
    s3_thousand_puts: f64,
    s3_thousand_gets: f64,
    s3_gb_month_standard: f64,
    kms_key_month: f64,
    kms_ten_thousand_requests: f64,
    logs_gb_ingested: f64,
    logs_gb_month: f64,
    metric_month: f64,
    alarm_metric_month: f64,
    dashboard_month: f64,
    scheduler_million: f64,
    secret_month: f64,
    secret_ten_thousand_reads: f64,
    transfer_in_gb: f64,
}

#[derive(Deserialize)]
struct MeasuredFile {
    values: Values<One>,
}

#[derive(Deserialize)]
struct One {
    value: f64,
}

#[derive(Deserialize)]
struct Values<T> {
    recording_bytes: T,
    recordings: T,
    write_units: T,
    read_units: T,
    row_bytes: T,
    idle_read_units: T,
    upload_seconds: T,
    upload_gb: T,
    other_gb: T,
    describe_seconds: T,
    query_seconds: T,
    submit_seconds: T,
    close_seconds: T,
    idle_seconds: T,
    timers: T,
    stream_invocations: T,
    metadata_bytes: T,
    gets: T,
    kms_share: T,
    kms_table: T,
    log_bytes_recording: T,
    log_bytes_invocation: T,
    metrics: T,
    alarm_metrics: T,
    secret_reads: T,
}

/// Price of one unit, out of a region's prices.
type Price = fn(&Prices) -> f64;

/// Computes the bill.
///
/// # Errors
/// When one of the files that were built in is not what it should be, which a test rules out.
pub(super) fn cost(work: &Work) -> Result<Cost, Failure> {
    let odd = |error: serde_json::Error| Failure::stopped(format!("the price file cannot be read ({error})"));
    let file: PriceFile = serde_json::from_str(PRICES).map_err(odd)?;
    let measured: MeasuredFile = serde_json::from_str(MEASURED).map_err(odd)?;
    let lines = once(work, &measured.values).into_iter().chain(monthly(work, &measured.values));
    let items: Vec<Item> = lines
        .map(|(paid, name, amount, unit, price)| {
            let dollars =
                file.regions.iter().map(|(name, region)| (name.clone(), cents(amount * price(&region.prices))));
            Item { paid, name, amount: cents(amount), unit, dollars: dollars.collect() }
        })
        .collect();
    let mut sums: BTreeMap<Paid, BTreeMap<String, f64>> = BTreeMap::new();
    for item in &items {
        for (region, dollars) in &item.dollars {
            *sums.entry(item.paid).or_default().entry(region.clone()).or_default() += dollars;
        }
    }
    sums.values_mut().flat_map(BTreeMap::values_mut).for_each(|sum| *sum = cents(*sum));
    let prices = file.regions.into_iter().map(|(name, region)| (name, region.how)).collect();
    Ok(Cost { prices_written: file.written, prices, basis: "assumed", items, sums })
}

/// To a hundredth of a cent.
fn cents(dollars: f64) -> f64 {
    (dollars * 10_000.0).round() / 10_000.0
}

type Line = (Paid, &'static str, f64, &'static str, Price);

/// Gigabytes of log.
fn log_gb(work: &Work, m: &Values<One>, invocations: f64) -> f64 {
    (work.recordings * m.log_bytes_recording.value + invocations * m.log_bytes_invocation.value) / GB
}

/// What the exporting takes. A recording that is larger than the measured one takes an upload so much longer; one that is
/// smaller takes it no shorter. What was measured of a conversation with one recording is taken for each of either,
/// whichever are more.
fn once(work: &Work, m: &Values<One>) -> Vec<Line> {
    let Work { conversations, recordings, bytes, metadata_share, months } = *work;
    let larger = (bytes / recordings.max(1.0) / m.recording_bytes.value).max(1.0);
    let families = conversations.max(recordings);
    let timers = m.timers.value * months;
    let invocations = timers + m.stream_invocations.value / m.recordings.value * conversations;
    let (puts, gets) = (recordings + conversations, recordings * m.gets.value);
    let upload = recordings * m.upload_seconds.value * larger * m.upload_gb.value;
    let poll = conversations * metadata_share * m.describe_seconds.value * m.other_gb.value;
    let rest = conversations * (m.query_seconds.value + m.submit_seconds.value) + recordings * m.close_seconds.value;
    let idle = timers * m.idle_seconds.value * m.other_gb.value;
    let writes = families * m.write_units.value;
    let reads = families * m.read_units.value + timers * m.idle_read_units.value;
    let kms = (puts + gets) * m.kms_share.value + m.kms_table.value * months;
    let (paid, compute): (Paid, Price) = (Paid::Once, |p| p.lambda_gb_second_arm64);
    vec![
        (paid, "Lambda, upload-recordings", upload, "GB-s", compute),
        (paid, "Lambda, poll-batches", poll, "GB-s", compute),
        (paid, "Lambda, query, submit, close", rest * m.other_gb.value, "GB-s", compute),
        (paid, "Lambda, timers with nothing to do", idle, "GB-s", compute),
        (paid, "Lambda, invocations", invocations, "invocations", |p| p.lambda_million_requests / 1e6),
        (paid, "DynamoDB, writes", writes, "units", |p| p.dynamodb_million_write_units / 1e6),
        (paid, "DynamoDB, reads", reads, "units", |p| p.dynamodb_million_read_units / 1e6),
        (paid, "S3, PUT", puts, "requests", |p| p.s3_thousand_puts / 1e3),
        (paid, "S3, GET and HEAD", gets, "requests", |p| p.s3_thousand_gets / 1e3),
        (paid, "KMS, requests", kms, "requests", |p| p.kms_ten_thousand_requests / 1e4),
        (paid, "CloudWatch, logs written", log_gb(work, m, invocations), "GB", |p| p.logs_gb_ingested),
        (paid, "Transfer from Genesys Cloud", bytes / GB, "GB", |p| p.transfer_in_gb),
    ]
}

/// What is paid each month.
fn monthly(work: &Work, m: &Values<One>) -> Vec<Line> {
    let kept_gb = (work.bytes + work.conversations * m.metadata_bytes.value) / GB;
    let table_gb = work.conversations.max(work.recordings) * m.row_bytes.value / GB;
    let invocations =
        m.timers.value * work.months + m.stream_invocations.value / m.recordings.value * work.conversations;
    let (deployed, kept) = (Paid::EachMonthDeployed, Paid::EachMonthKept);
    vec![
        (deployed, "EventBridge Scheduler", m.timers.value, "timers", |p| p.scheduler_million / 1e6),
        (deployed, "CloudWatch, metrics", m.metrics.value, "metrics", |p| p.metric_month),
        (deployed, "CloudWatch, alarms", m.alarm_metrics.value, "metrics", |p| p.alarm_metric_month),
        (deployed, "CloudWatch, dashboard", 1.0, "dashboard", |p| p.dashboard_month),
        (deployed, "KMS, key", 1.0, "key", |p| p.kms_key_month),
        (deployed, "Secrets Manager, secret", 1.0, "secret", |p| p.secret_month),
        (deployed, "Secrets Manager, reads", m.secret_reads.value, "reads", |p| p.secret_ten_thousand_reads / 1e4),
        (kept, "S3, STANDARD", kept_gb, "GB", |p| p.s3_gb_month_standard),
        (kept, "DynamoDB, table", table_gb, "GB", |p| p.dynamodb_gb_month),
        (kept, "DynamoDB, point in time recovery", table_gb, "GB", |p| p.dynamodb_pitr_gb_month),
        (kept, "CloudWatch, logs kept", log_gb(work, m, invocations), "GB", |p| p.logs_gb_month),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTE: &str = include_str!("../../../../infra/COST.md");

    /// The work of infra/COST.md: a million conversations with a recording of 1.5 MB each, in a month.
    const NOTED: Work = Work { conversations: 1e6, recordings: 1e6, bytes: 1.5e12, metadata_share: 1.0, months: 1.0 };

    #[test]
    fn the_work_of_the_cost_note_costs_what_the_note_says() {
        let cost = cost(&NOTED).unwrap();
        let noted: Vec<[f64; 2]> = NOTE
            .lines()
            .filter(|line| line.starts_with("| **sum, $**"))
            .map(|line| {
                let mut sums = line.split("**").filter_map(|cell| cell.parse().ok());
                [sums.next().unwrap(), sums.next().unwrap()]
            })
            .collect();
        assert_eq!(noted.len(), 3, "the note has three sums");
        for (paid, noted) in [Paid::Once, Paid::EachMonthDeployed, Paid::EachMonthKept].into_iter().zip(noted) {
            for (region, noted) in ["us-east-1", "eu-west-1"].into_iter().zip(noted) {
                let ours = cost.sums[&paid][region];
                assert!((ours - noted).abs() < 0.006, "{paid:?} in {region}: {ours}, and the note says {noted}");
            }
        }
    }

    /// By hand, in us-east-1: 1,000 recordings of 500 conversations, 6 MB each, metadata not read, in no time.
    #[test]
    fn items_are_as_computed_by_hand() {
        let work = Work { conversations: 500.0, recordings: 1_000.0, bytes: 6e9, metadata_share: 0.0, months: 0.0 };
        let cost = cost(&work).unwrap();
        let item = |name: &str| cost.items.iter().find(|item| item.name == name).unwrap();
        // Four times the bytes of the measured recording: 4 x 0.05 s x 1,000 at 1 GB.
        assert_eq!(item("Lambda, upload-recordings").amount, 200.0);
        assert_eq!(item("Lambda, poll-batches").amount, 0.0);
        // 14.2 units each, at 0.625 $ a million.
        assert_eq!(item("DynamoDB, writes").amount, 14_200.0);
        assert_eq!(item("DynamoDB, writes").dollars["us-east-1"], 0.0089);
        // A recording each and a description of each conversation, at 0.005 $ a thousand.
        assert_eq!(item("S3, PUT").amount, 1_500.0);
        assert_eq!(item("S3, PUT").dollars["us-east-1"], 0.0075);
        // 6 GB and 500 descriptions of 2,500 bytes, at 0.023 $ a GB and month.
        assert_eq!(item("S3, STANDARD").amount, 6.0013);
        assert_eq!(item("S3, STANDARD").dollars["us-east-1"], 0.138);
    }

    #[test]
    fn nothing_to_export_costs_nothing_to_export() {
        let nothing = Work { conversations: 0.0, recordings: 0.0, bytes: 0.0, metadata_share: 1.0, months: 0.0 };
        let cost = cost(&nothing).unwrap();
        assert!(cost.sums[&Paid::Once].values().all(|dollars| *dollars == 0.0), "{cost:?}");
        assert!(cost.sums[&Paid::EachMonthKept].values().all(|dollars| *dollars == 0.0), "{cost:?}");
        assert!(!cost.prices_written.is_empty() && cost.prices.len() == 2, "{cost:?}");
    }
}
