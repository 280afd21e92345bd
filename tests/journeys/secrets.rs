//! No secret in anything that is written: not on stdout, not in the most talkative log, not in ledger or metadata.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use callvault_simulator::{Options, Profile};
use callvault_tests::binary::scene::{Scene, quick};
use callvault_tests::binary::tap::Tap;
use callvault_tests::binary::{Output, callvault};
use callvault_tests::planted::{ID, SECRET, files_hold_no_secret, holds_no_secret};

fn org(faults: Profile, seed: u64) -> Scene {
    let options = Options { client_id: ID.into(), client_secret: SECRET.into(), faults, seed, ..quick(70) };
    Scene::new(options).with("GENESYS_CLIENT_ID", ID).with("GENESYS_CLIENT_SECRET", SECRET)
}

fn output_holds_no_secret(what: &str, output: &Output, secrets: &[String]) {
    holds_no_secret(&format!("{what}: stdout"), output.stdout.as_bytes(), secrets);
    holds_no_secret(&format!("{what}: stderr"), output.stderr.as_bytes(), secrets);
}

fn export_tells_nothing(faults: Profile, seed: u64, flags: &[&str]) {
    let scene = org(faults, seed);
    let tap = Tap::on(scene.simulator().address());
    let export = scene.export().env("GENESYS_URL", tap.url()).args(flags);
    // Killed on the way too: what is left behind then is looked at as well.
    let mut first = export.start();
    while scene.requests().media_requests < 10 && first.is_running() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let killed = first.kill();
    let mut second = export.start();
    // Enough to have gone wrong in every way; what is put off again and again would take minutes more.
    while scene.requests().faults.values().sum::<u64>() < 80 && second.is_running() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    scene.simulator().set_profile(Profile::None);
    let ended = second.wait().expect_code(1);
    scene.equals_truth();
    let secrets = tap.secrets();
    assert!(secrets.len() > 20, "the tap heard {} secrets", secrets.len());
    output_holds_no_secret("the killed run", &killed, &secrets);
    output_holds_no_secret("the run", &ended, &secrets);
    assert!(files_hold_no_secret(scene.folder(), &secrets) > 60);
    let id = scene.truth().days[0].conversations[0].clone();
    for args in [&["where", &id, "--json"][..], &["where", &id], &["status"], &["status", "--json"]] {
        let output = scene.command(args).args(flags).run().expect_code(0);
        output_holds_no_secret(&args.join(" "), &output, &secrets);
    }
}

#[test]
fn not_in_the_most_talkative_log_under_hostile_faults() {
    export_tells_nothing(Profile::Hostile, 91, &["--log", "trace"]);
}

#[test]
fn not_in_the_log_as_json() {
    export_tells_nothing(Profile::Usual, 92, &["--log", "trace", "--log-json"]);
}

#[test]
fn not_with_a_filter_that_asks_for_other_crates() {
    export_tells_nothing(
        Profile::Usual,
        93,
        &["--log", "hyper=trace,hyper_util=trace,reqwest=trace,h2=trace,rusqlite=trace"],
    );
}

#[test]
fn not_when_the_sign_in_is_refused() {
    let scene = org(Profile::None, 94);
    let tap = Tap::on(scene.simulator().address());
    let wrong = "wrong-Secret-1234567890";
    for flags in [&["--log", "trace"][..], &["--log", "trace", "--log-json"]] {
        let refused = scene.export().env("GENESYS_URL", tap.url()).env("GENESYS_CLIENT_SECRET", wrong);
        let output = refused.args(flags).run().expect_code(3);
        let secrets = [wrong.to_owned(), STANDARD.encode(format!("{ID}:{wrong}"))];
        output_holds_no_secret("the refused run", &output, &secrets);
    }
}

#[test]
fn not_when_settings_are_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("settings.toml");
    let broken = [
        format!("GENESYS_CLIENT_SECRET = \"{SECRET}\"\nBATCH_SIZE = \"x\"\n"),
        format!("GENESYS_CLIENT_SECRET = \"{SECRET}\nBATCH_SIZE = 1\n"),
        format!("GENESYS_CLIENT_SECRET = {SECRET}\n"),
        format!("GENESYS_CLIENT_SECRTE = \"{SECRET}\"\n"),
        format!("[genesys]\nsecret = \"{SECRET}\"\n"),
        format!("GENESYS_CLIENT_SECRET = [{{ a = \"{SECRET}\" }}]\n"),
        format!("\"{SECRET}\" = 1\n"),
    ];
    for text in broken {
        std::fs::write(&config, &text).unwrap();
        let export = callvault(["export", "--from", "2026-01-01", "--to", "2026-01-01", "--log", "trace", "--config"]);
        let output = export.args([&config]).folder(folder.path()).run().expect_code(2);
        output_holds_no_secret(&text, &output, &[SECRET[..12].to_owned()]);
    }
    let export = callvault(["export", "--from", "2026-01-01", "--to", "2026-01-01", "--log", "trace"]);
    let export = export.folder(folder.path()).env("GENESYS_CLIENT_SECRET", SECRET).env("PAGE_SIZE", "0");
    let signed = export.env("GENESYS_URL", format!("https://user:{SECRET}@h.example/?Signature={SECRET}"));
    let output = signed.run().expect_code(2);
    output_holds_no_secret("a URL with a password", &output, &[]);
}
