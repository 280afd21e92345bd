//! Panics with secrets in them, as a process dies of one: logging as in our programs, on a task's thread and on the main
//! one, with a backtrace. Our programs have no way to be told to panic, so this test starts itself.

use std::fmt::Debug;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use callvault_bootstrap::logging;
use callvault_bootstrap::settings::{Need, Settings};
use callvault_genesys::api::{SignedUrl, TokenPair};
use callvault_genesys::http::{ClientOptions, Credentials, GenesysClient};
use callvault_genesys::region::Endpoints;
use callvault_pipeline::jobs::Link;
use callvault_tests::fakes::TestClock;
use callvault_tests::planted::{ID, SECRET, holds_no_secret};

/// Set for the process that is to die.
const DYING: &str = "CALLVAULT_TEST_DYING";

const TOKEN: &str = "planted-token-2342";
const SIGNATURE: &str = "planted-signature-1701";

#[expect(clippy::disallowed_methods, reason = "what the test was started with")]
fn is_dying() -> bool {
    std::env::var_os(DYING).is_some()
}

/// What a program of ours holds that must not be seen.
fn held() -> impl Debug + Send {
    let settings = [("GENESYS_REGION", "mypurecloud.ie"), ("GENESYS_CLIENT_ID", ID), ("GENESYS_CLIENT_SECRET", SECRET)];
    let value = |name: &str| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let url = || SignedUrl::new(format!("https://media.test/a?X-Amz-Signature={SIGNATURE}"));
    let pair = || TokenPair {
        access: TOKEN.to_owned().into(),
        refresh: TOKEN.to_owned().into(),
        expires_in: Duration::from_secs(60),
    };
    let credentials = || Credentials { client_id: ID.to_owned(), client_secret: SECRET.to_owned().into() };
    let clock = Arc::new(TestClock::at("2026-01-21T06:00:00Z".parse().unwrap()));
    let endpoints = Endpoints::of_region("mypurecloud.ie").unwrap();
    let client = GenesysClient::new(endpoints, credentials(), clock, ClientOptions::new(Arc::new(|| 0.5))).unwrap();
    let link = Link { url: url(), content_type: None };
    (Settings::read(Need::Source, value).unwrap(), client, credentials(), pair(), url(), link)
}

#[test]
fn somebody_dies() {
    if !is_dying() {
        return;
    }
    logging::start(Some("trace"), false).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let held = held();
        let task = tokio::spawn(async move { panic!("in a task: {held:?} {held:#?}") });
        let died = task.await.unwrap_err();
        panic!("in the program: {died:?} {:?}", self::held());
    });
}

#[test]
fn a_process_that_dies_of_a_panic_shows_no_secret() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "panics::somebody_dies", "--nocapture"]).env(DYING, "yes").env("RUST_BACKTRACE", "full");
    let output = command.output().unwrap();
    let (stdout, stderr) = (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(!output.status.success());
    for panic in ["in a task: (Settings", "in the program: JoinError", "SignedUrl(redacted)"] {
        assert!(stderr.contains(panic), "{panic} is not in {stderr}");
    }
    let planted = [SECRET, TOKEN, SIGNATURE].map(str::to_owned);
    holds_no_secret("stdout", &stdout, &planted);
    holds_no_secret("stderr", stderr.as_bytes(), &planted);
}
