//! Exporting into every store, beside `rclone copy` of files of this disk to the same store: time, and the memory of both.
//!
//! callvault reads from the simulator, rclone from the disk; each computes the checksums that the store wants.

use std::any::Any;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use callvault_tests::binary::elsewhere::{Elsewhere, Store};
use callvault_tests::stand_ins::clouds::azurite_sas;
use callvault_tests::stand_ins::s3s::S3sFs;
use callvault_tests::stand_ins::verifying_gcs::VerifyingGcs;
use tokio::runtime::Runtime;

use crate::Outcome;
use crate::copy::api_time;
use crate::programs::{Simulator, export, mib, peaks_while_running};

const MIB: u64 = 1024 * 1024;

/// Goal: the whole process, whatever the store and the size of a recording.
const MOST_MEMORY: u64 = 64 * MIB;

/// Recordings, and bytes of each.
const LOADS: [(u64, u64); 2] = [(1_000, MIB), (1, 2048 * MIB)];

/// Copies at the same time: callvault's default, and what rclone is told.
const AT_ONCE: &str = "8";

type Variables = Vec<(&'static str, String)>;

/// A store, how callvault finds it, and how rclone does.
struct Target {
    name: &'static str,
    settings: Variables,
    /// The remote `t`.
    remote: (Variables, String),
    _keep: Box<dyn Any>,
}

pub(crate) fn measure() -> Outcome {
    println!("# exports into each store, beside rclone from files of this disk, {AT_ONCE} at a time");
    let rclone = Command::new("rclone").arg("version").stdout(Stdio::null()).status().is_ok_and(|done| done.success());
    if !rclone {
        println!("there is no rclone here: its side is left out");
    }
    // The stores that are in this process work beside its own.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut most = 0;
    for (count, bytes) in LOADS {
        let flags = ["--conversations", &count.to_string(), "--media-bytes", &bytes.to_string(), "--job-ms", "200"];
        let simulator = Simulator::start(&flags)?;
        let api = api_time(count)?;
        let files = if rclone { Some(files(count, bytes)?) } else { None };
        for start in [folder, s3, azure, google] {
            let target = start(&runtime)?;
            most =
                most.max(one(&target, &simulator, (count, bytes), api, files.as_ref().map(tempfile::TempDir::path))?);
        }
    }
    println!("most memory of an export: {:.1} MiB (goal {:.0})", mib(most), mib(MOST_MEMORY));
    println!();
    Ok(())
}

/// Measures one store; answers the export's peak memory.
fn one(
    target: &Target,
    simulator: &Simulator,
    (count, bytes): (u64, u64),
    api: Duration,
    files: Option<&Path>,
) -> Result<u64, Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let mut settings: Vec<(&str, &str)> = vec![("METADATA", "analytics"), ("UPLOAD_CONCURRENCY", AT_ONCE)];
    settings.extend(target.settings.iter().map(|(name, value)| (*name, value.as_str())));
    let run = export(&simulator.url, dir.path(), &settings)?;
    let copying = run.took.saturating_sub(api).as_secs_f64();
    let whole = mib(count * bytes);
    print!(
        "{}: {count} x {:.0} MiB: export {:.1} s of which {:.1} s without media, {:.0} MiB/s, peak {:.1} MiB, {:.1} its own",
        target.name,
        mib(bytes),
        run.took.as_secs_f64(),
        api.as_secs_f64(),
        whole / copying,
        mib(run.peak_bytes),
        mib(run.peak_own_bytes),
    );
    let (variables, remote) = &target.remote;
    match files {
        Some(files) => {
            let (took, peak) = rclone(files, variables, remote)?;
            let took = took.as_secs_f64();
            println!(
                "; rclone {took:.1} s, {:.0} MiB/s, peak {:.1} MiB; copying takes {:.2} x rclone",
                whole / took,
                mib(peak),
                copying / took
            );
        }
        None => println!(),
    }
    Ok(run.peak_bytes)
}

/// Files that no store can make smaller.
fn files(count: u64, bytes: u64) -> Result<tempfile::TempDir, Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    for n in 0..count {
        let random = std::fs::File::open("/dev/urandom")?;
        let mut file = std::fs::File::create(dir.path().join(n.to_string()))?;
        std::io::copy(&mut std::io::Read::take(random, bytes), &mut file)?;
    }
    Ok(dir)
}

/// Time and peak memory.
fn rclone(files: &Path, variables: &Variables, remote: &str) -> Result<(Duration, u64), Box<dyn std::error::Error>> {
    let mut command = Command::new("rclone");
    command.args(["copy", "--config", "/dev/null", "--transfers", AT_ONCE, "--retries", "1", "--quiet"]);
    // rclone cannot give one to its client of S3.
    command.arg(files).arg(remote).env_remove("AWS_CA_BUNDLE");
    for (name, value) in variables {
        command.env(name, value);
    }
    let begun = Instant::now();
    let mut child = command.spawn()?;
    let (peak, _) = peaks_while_running(&mut child)?;
    let took = begun.elapsed();
    if child.wait()?.success() { Ok((took, peak)) } else { Err(format!("rclone to {remote} failed").into()) }
}

type Started = Result<Target, Box<dyn std::error::Error>>;

fn folder(_: &Runtime) -> Started {
    let (archive, peer) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let settings = vec![("ARCHIVE", archive.path().display().to_string())];
    let remote = (Vec::new(), peer.path().display().to_string());
    Ok(Target { name: "folder", settings, remote, _keep: Box::new((archive, peer)) })
}

fn s3(runtime: &Runtime) -> Started {
    let store = runtime.block_on(S3sFs::start("testing", "testing"));
    let (url, key) = (store.url(), || "testing".to_owned());
    let settings = vec![
        ("ARCHIVE", "s3://bucket/recordings".to_owned()),
        ("S3_ENDPOINT", url.clone()),
        ("S3_PATH_STYLE", "true".to_owned()),
        ("AWS_REGION", "eu-west-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", key()),
        ("AWS_SECRET_ACCESS_KEY", key()),
    ];
    let variables = vec![
        ("RCLONE_CONFIG_T_TYPE", "s3".to_owned()),
        ("RCLONE_CONFIG_T_PROVIDER", "Other".to_owned()),
        ("RCLONE_CONFIG_T_ENDPOINT", url),
        ("RCLONE_CONFIG_T_REGION", "eu-west-1".to_owned()),
        ("RCLONE_CONFIG_T_ACCESS_KEY_ID", key()),
        ("RCLONE_CONFIG_T_SECRET_ACCESS_KEY", key()),
        ("RCLONE_CONFIG_T_NO_CHECK_BUCKET", "true".to_owned()),
    ];
    let remote = (variables, "t:bucket/peer".to_owned());
    Ok(Target { name: "S3 (s3s-fs)", settings, remote, _keep: Box::new(store) })
}

fn azure(runtime: &Runtime) -> Started {
    let store = runtime.block_on(Elsewhere::start(Store::Azure));
    let settings = store.settings().to_vec();
    let endpoint = settings.iter().find(|(name, _)| *name == "AZURITE_BLOB_STORAGE_URL").map(|(_, url)| url.clone());
    // A key is for the account's own host name only, as far as rclone knows.
    let url = format!("{}/devstoreaccount1/recordings?{}", endpoint.unwrap_or_default(), azurite_sas());
    let variables = vec![("RCLONE_CONFIG_T_TYPE", "azureblob".to_owned()), ("RCLONE_CONFIG_T_SAS_URL", url)];
    let remote = (variables, "t:recordings/peer".to_owned());
    Ok(Target { name: "Azure (azurite)", settings, remote, _keep: Box::new(store) })
}

fn google(runtime: &Runtime) -> Started {
    // rclone asks for neither create-only writes nor CRC32C, and the stand-in of the tests insists on both.
    let gcs = runtime.block_on(VerifyingGcs::lenient());
    let variables = vec![
        ("RCLONE_CONFIG_T_TYPE", "google cloud storage".to_owned()),
        ("RCLONE_CONFIG_T_ANONYMOUS", "true".to_owned()),
        ("RCLONE_CONFIG_T_ENDPOINT", format!("{}/storage/v1/", gcs.url())),
        ("RCLONE_CONFIG_T_NO_CHECK_BUCKET", "true".to_owned()),
    ];
    let store = Elsewhere::in_google(&gcs.url(), "bucket", "recordings", gcs);
    let settings = store.settings().to_vec();
    let remote = (variables, "t:bucket/peer".to_owned());
    Ok(Target { name: "Google (stand-in)", settings, remote, _keep: Box::new(store) })
}
