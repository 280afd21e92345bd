//! Copying, beside `curl` writing the same URLs to files. curl neither digests nor synchronises; the export does both.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use callvault_bootstrap::system;
use callvault_genesys::api::{BatchItem, Recordings};
use callvault_genesys::http::{ClientOptions, Credentials, GenesysClient};
use callvault_genesys::models::JobStatus;
use callvault_genesys::region::Endpoints;

use crate::Outcome;
use crate::programs::{Run, Simulator, callvault, export, mib};

const MIB: u64 = 1024 * 1024;

pub(crate) fn measure() -> Outcome {
    println!("# copying from the simulator to a folder, beside curl to files on the same URLs, three rounds each");
    several()?;
    one_large()?;
    println!();
    Ok(())
}

fn several() -> Outcome {
    let (count, bytes) = (600, MIB);
    let flags = ["--conversations", &count.to_string(), "--media-bytes", &bytes.to_string(), "--job-ms", "200"];
    let simulator = Simulator::start(&flags)?;
    for round in 1..=3 {
        let dir = tempfile::tempdir()?;
        let run = export(&simulator.url, dir.path(), &[("METADATA", "analytics")])?;
        // The API's part: query, submit, job and polls take the same time with next to nothing to copy.
        let api = api_time(count)?;
        let curl = curl(&urls(&simulator.url)?, 8)?;
        report(round, &run, count, count * bytes, api, curl);
    }
    Ok(())
}

fn one_large() -> Outcome {
    let bytes = 2048 * MIB;
    let simulator =
        Simulator::start(&["--conversations", "1", "--media-bytes", &bytes.to_string(), "--job-ms", "200"])?;
    for round in 1..=3 {
        let dir = tempfile::tempdir()?;
        let run = export(&simulator.url, dir.path(), &[("METADATA", "analytics")])?;
        let curl = curl(&urls(&simulator.url)?, 1)?;
        report(round, &run, 1, bytes, api_time(1)?, curl);
    }
    Ok(())
}

fn report(round: u32, run: &Run, count: u64, bytes: u64, api: Duration, curl: Duration) {
    let copying = run.took.saturating_sub(api).as_secs_f64();
    println!(
        "round {round}: {count} x {:.0} MiB: export {:.2} s of which {:.2} s without media; copying {:.0} recordings/s, \
         {:.0} MiB/s; curl {:.2} s, {:.0} MiB/s; copying takes {:.2} x curl; peak memory {:.1} MiB",
        mib(bytes / count),
        run.took.as_secs_f64(),
        api.as_secs_f64(),
        count as f64 / copying,
        mib(bytes) / copying,
        curl.as_secs_f64(),
        mib(bytes) / curl.as_secs_f64(),
        copying / curl.as_secs_f64(),
        mib(run.peak_bytes),
    );
}

/// How long the same export takes with recordings of a few hundred bytes.
pub(crate) fn api_time(count: u64) -> Result<Duration, Box<dyn Error>> {
    let flags = ["--conversations", &count.to_string(), "--media-bytes", "300", "--job-ms", "200"];
    let simulator = Simulator::start(&flags)?;
    let dir = tempfile::tempdir()?;
    Ok(export(&simulator.url, dir.path(), &[("METADATA", "analytics")])?.took)
}

fn curl(urls: &[String], at_once: usize) -> Result<Duration, Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let config = dir.path().join("urls");
    let lines: Vec<String> = urls
        .iter()
        .enumerate()
        .map(|(n, url)| format!("url = \"{url}\"\noutput = \"{}\"\n", dir.path().join(n.to_string()).display()))
        .collect();
    std::fs::write(&config, lines.concat())?;
    let begun = Instant::now();
    let done = Command::new("curl")
        .args([
            "--silent",
            "--no-progress-meter",
            "--fail",
            "--parallel",
            "--parallel-max",
            &at_once.to_string(),
            "--config",
        ])
        .arg(&config)
        .status()?;
    let took = begun.elapsed();
    if done.success() && count_files(dir.path())? == urls.len() + 1 { Ok(took) } else { Err("curl failed".into()) }
}

fn count_files(dir: &Path) -> Result<usize, Box<dyn Error>> {
    Ok(std::fs::read_dir(dir)?.count())
}

/// The URLs of the simulator's recordings, by our own client.
fn urls(base: &str) -> Result<Vec<String>, Box<dyn Error>> {
    debug_assert!(callvault()?.exists());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let credentials = Credentials { client_id: "demo".to_owned(), client_secret: "demo".to_owned().into() };
    let endpoints = Endpoints::of_base(base)?;
    let client = GenesysClient::new(endpoints, credentials, system::clock(), ClientOptions::new(Arc::new(|| 0.5)))?;
    let truth = Command::new("curl").args(["--silent", "--fail", &format!("{base}/_sim/conversations")]).output()?;
    let listed: serde_json::Value = serde_json::from_slice(&truth.stdout)?;
    let ids = conversations(&listed);
    runtime.block_on(async {
        let mut urls = Vec::new();
        for batch in ids.chunks(100) {
            let items = batch
                .iter()
                .map(|id| Ok(BatchItem { conversation: id.parse()?, recording: None }))
                .collect::<Result<Vec<_>, Box<dyn Error>>>()?;
            let job = client.submit(&items).await?;
            loop {
                let answer = client.poll(&job).await?;
                if answer.status == Some(JobStatus::Completed) {
                    urls.extend(
                        answer.results.iter().filter_map(|r| r.result_url.as_ref()).map(|u| u.expose().to_owned()),
                    );
                    break;
                }
                std::thread::sleep(Duration::from_millis(1100));
            }
        }
        Ok(urls)
    })
}

/// Every conversation id in the simulator's listing, whatever its shape.
fn conversations(value: &serde_json::Value) -> Vec<String> {
    match value {
        serde_json::Value::Array(items) => items.iter().flat_map(conversations).collect(),
        serde_json::Value::Object(fields) => match fields.get("conversationId").or(fields.get("conversation")) {
            Some(serde_json::Value::String(id)) => vec![id.clone()],
            _ => fields.values().flat_map(conversations).collect(),
        },
        _ => Vec::new(),
    }
}
