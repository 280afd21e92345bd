//! Planted secrets, and the search for them and for everything else that must never be written.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a harness of tests fails by panicking")]

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The OAuth client's id.
pub const ID: &str = "planted-client-id-4711";

/// Its secret.
pub const SECRET: &str = "planted-Secret-0815+/=%x";

/// What must never be written, whatever a tap heard. The simulated org's numbers begin like the fifth.
const MARKS: [&str; 7] = ["Bearer ", "Basic ", "Signature=", "tel:+", "+1317555", "X-Amz", "access_token"];

/// Fails when `bytes` hold a planted secret, a mark of one, or one of `secrets`.
#[track_caller]
pub fn holds_no_secret(what: &str, bytes: &[u8], secrets: &[String]) {
    let encoded = STANDARD.encode(format!("{ID}:{SECRET}"));
    let fixed = MARKS.into_iter().chain([SECRET, &encoded]);
    for secret in fixed.chain(secrets.iter().map(String::as_str)) {
        let at = bytes.windows(secret.len()).position(|window| window == secret.as_bytes());
        if let Some(at) = at {
            let around = String::from_utf8_lossy(&bytes[at.saturating_sub(200)..(at + 80).min(bytes.len())]);
            panic!("{what} holds `{secret}`: ...{around}...");
        }
    }
}

/// The same for every file below a folder, media aside: those are the source's own bytes. Answers how many there were.
pub fn files_hold_no_secret(folder: &Path, secrets: &[String]) -> usize {
    let mut looked_at = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["call", "chat", "email", "message", "screen"].contains(&name.as_str()) {
                looked_at += files_hold_no_secret(&path, secrets);
            }
        } else {
            holds_no_secret(&path.display().to_string(), &std::fs::read(&path).unwrap(), secrets);
            looked_at += 1;
        }
    }
    looked_at
}
