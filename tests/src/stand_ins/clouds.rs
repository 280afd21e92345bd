//! azurite and the emulator of Google Cloud Storage: a process each, with a container or bucket `recordings`.
//!
//! `make test` starts one of each for all tests and names them in the environment; a test that finds none starts its
//! own. Every archive has a prefix of its own, so tests do not meet. azurite comes from `tests/azurite`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a harness of tests fails by panicking")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::stand_ins::program;

/// The key of every azurite, from its documentation.
pub const AZURITE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A signature over all of azurite's account, as "Create an account SAS" of Azure's documentation says.
pub fn azurite_sas() -> String {
    let (permissions, until, version) = ("rwdlac", "2099-01-01T00:00:00Z", "2018-11-09");
    let text = format!("devstoreaccount1\n{permissions}\nb\nsco\n\n{until}\n\n\n{version}\n");
    let mut mac = Hmac::<Sha256>::new_from_slice(&BASE64_STANDARD.decode(AZURITE_KEY).unwrap()).unwrap();
    mac.update(text.as_bytes());
    let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    let query = [("sv", version), ("ss", "b"), ("srt", "sco"), ("sp", permissions), ("se", until), ("sig", &signature)];
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish()
}

/// A running stand-in. One that this process started ends with its stdin, and so with this process at the latest.
#[derive(Debug)]
pub struct StandIn {
    url: String,
    process: Option<(Child, ChildStdin)>,
}

impl StandIn {
    /// Azure Blob Storage.
    pub fn azurite() -> Self {
        Self::named("azurite", "CALLVAULT_TEST_AZURITE")
    }

    /// Google Cloud Storage.
    pub fn gcs() -> Self {
        Self::named("gcs", "CALLVAULT_TEST_GCS")
    }

    #[expect(clippy::disallowed_methods, reason = "the door through which make test names its stand-ins")]
    fn named(name: &str, variable: &str) -> Self {
        match std::env::var(variable) {
            Ok(url) if !url.is_empty() => Self { url, process: None },
            _ => Self::start(name),
        }
    }

    fn start(name: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("stand_in.py");
        let mut command = Command::new(program("python"));
        command.arg(script).arg(name).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let (stdin, stdout) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let Some(Ok(url)) = BufReader::new(stdout).lines().next() else {
            panic!("{name} ended before it was ready: run `make venv` and `make azurite` once")
        };
        Self { url, process: Some((process, stdin)) }
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        if let Some((mut process, stdin)) = self.process.take() {
            // It stops what it started, and ends.
            drop(stdin);
            let _ = process.wait();
        }
    }
}
