//! moto: S3, DynamoDB and Secrets Manager in a process.
//!
//! `make test` starts one for all tests and names it in `CALLVAULT_TEST_MOTO`; a test that finds none starts its own.
//! Every test uses tables and buckets of its own, so they do not meet.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a harness of tests fails by panicking")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};

use crate::stand_ins::program;

/// The variable that names a moto for all tests.
pub const SHARED: &str = "CALLVAULT_TEST_MOTO";

/// A running moto. One that this process started is killed, by its id, when it is dropped.
#[derive(Debug)]
pub struct Moto {
    url: String,
    process: Option<Child>,
}

impl Moto {
    /// The one for all tests, or one of our own where there is none.
    #[expect(clippy::disallowed_methods, reason = "the door through which make test names its moto")]
    pub fn shared() -> Self {
        match std::env::var(SHARED) {
            Ok(url) if !url.is_empty() => Self { url, process: None },
            _ => Self::start(),
        }
    }

    /// One of our own.
    pub fn start() -> Self {
        let mut command = Command::new(program("moto_server"));
        command.args(["-H", "127.0.0.1", "-p", "0"]).env("PYTHONUNBUFFERED", "1");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let running = lines.by_ref().map_while(Result::ok).find_map(|line| {
            line.split_once("Running on ").map(|(_, url)| url.trim().trim_end_matches('/').to_owned())
        });
        let Some(url) = running else { panic!("moto ended before it was ready") };
        // Whoever writes to a full pipe stops: somebody reads on.
        std::thread::spawn(move || lines.for_each(drop));
        Self { url, process: Some(process) }
    }

    /// Where it listens, for `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The SDK's configuration for it.
    pub fn sdk(&self) -> SdkConfig {
        let credentials = Credentials::new("testing", "testing", None, None, "tests");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .endpoint_url(self.url.clone())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            // A stand-in on a busy machine is slow, and tests that skip pauses would give up on it at once.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build()
    }

    /// Region, keys and endpoint, as AWS's own tools read them from the environment.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.url.clone()),
            ("AWS_REGION", "eu-west-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "testing".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "testing".to_owned()),
        ]
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// A name that no other test on this machine has: `prefix-pid-n`.
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let started = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    format!("{prefix}-{started}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
