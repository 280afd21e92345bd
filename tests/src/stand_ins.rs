//! Stand-ins for AWS, Azure, Google Cloud and a webhook: what speaks their protocols on this machine, without an account.
//!
//! They come from `tests/requirements.txt`, in the virtual environment that `make test` makes. What a stand-in is more
//! forgiving about than the real one is never proved by it.

pub mod calls_table;
pub mod clouds;
pub mod entra;
pub mod fetching_azure;
pub mod gate;
pub mod google_account;
pub mod lambda;
pub mod moto;
pub mod s3s;
pub mod secrets_manager;
mod server;
pub mod store_gate;
pub mod table;
pub mod verifying_gcs;
pub mod verifying_s3;
pub mod webhook;
pub mod websockets;
pub mod wire;

use std::path::PathBuf;

/// A program of the virtual environment.
///
/// # Panics
/// When it is not there: `make test` installs it.
pub fn program(name: &str) -> PathBuf {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(PathBuf::from).unwrap_or_default();
    let path = root.join("target/venv/bin").join(name);
    assert!(path.exists(), "{} is not there: run `make venv` once", path.display());
    path
}
