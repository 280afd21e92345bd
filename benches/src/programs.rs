//! The programs that are measured: the simulator and an export, each a process of its own, with its peak memory.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The day all simulated orgs have: three days ago, as the simulator's own default.
pub(crate) fn day() -> Result<String, Box<dyn Error>> {
    let day = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    Ok(day.checked_sub(jiff::Span::new().days(3))?.to_string())
}

pub(crate) fn callvault() -> Result<PathBuf, Box<dyn Error>> {
    Ok(std::env::current_exe()?.with_file_name("callvault"))
}

/// A running simulator; killed when dropped.
pub(crate) struct Simulator {
    child: Child,
    pub(crate) url: String,
}

impl Simulator {
    pub(crate) fn start(flags: &[&str]) -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(callvault()?)
            .args(["simulator", "--plain", "--rate", "1000000"])
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no stdout")?).read_line(&mut line)?;
        let url = line.trim().strip_prefix("listening on ").ok_or("the simulator did not start")?.to_owned();
        Ok(Self { child, url })
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What an export took.
pub(crate) struct Run {
    pub(crate) json: Value,
    pub(crate) took: Duration,
    pub(crate) peak_bytes: u64,
    /// Of its own memory: without the pages of the program's file.
    pub(crate) peak_own_bytes: u64,
}

/// Exports the simulator's day into `dir`.
pub(crate) fn export(url: &str, dir: &Path, settings: &[(&str, &str)]) -> Result<Run, Box<dyn Error>> {
    let day = day()?;
    let begun = Instant::now();
    let mut command = Command::new(callvault()?);
    command
        .args(["export", "--from", &day, "--to", &day, "--json", "--genesys-url", url])
        .env("GENESYS_CLIENT_ID", "demo")
        .env("GENESYS_CLIENT_SECRET", "demo")
        .env("ARCHIVE", dir.join("archive"))
        .env("LEDGER", format!("sqlite:{}", dir.join("ledger.sqlite").display()))
        .envs(settings.iter().copied())
        .current_dir(dir)
        .stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let (peak_bytes, peak_own_bytes) = peaks_while_running(&mut child)?;
    let took = begun.elapsed();
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("the export ended with {}", output.status).into());
    }
    Ok(Run { json: serde_json::from_slice(&output.stdout)?, took, peak_bytes, peak_own_bytes })
}

/// The high-water mark of a process's resident memory, as the kernel keeps it, and the most of its own memory that was
/// seen: the kernel keeps no mark of that.
pub(crate) fn peaks_while_running(child: &mut Child) -> Result<(u64, u64), Box<dyn Error>> {
    let mut peaks = (0, 0);
    while child.try_wait()?.is_none() {
        let own = memory(child.id(), "RssAnon:");
        peaks = (peaks.0.max(high_water_mark(child.id())), peaks.1.max(own));
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(peaks)
}

/// The most resident memory a running process ever had, in bytes; 0 for one that has ended.
pub(crate) fn high_water_mark(process: u32) -> u64 {
    memory(process, "VmHWM:")
}

/// A line of a process's status, in bytes; 0 where there is none.
fn memory(process: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kib| kib.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

/// The time a running process has computed, by its first thread: a function has no other. Nothing for one that has ended.
pub(crate) fn cpu(process: u32) -> Duration {
    let told = std::fs::read_to_string(format!("/proc/{process}/schedstat")).unwrap_or_default();
    let nanoseconds = told.split_whitespace().next().and_then(|text| text.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}
