//! Signals, `simulator`, `demo`, a stdout that nobody reads.

use std::path::Path;
use std::time::Duration;

use callvault_simulator::Options;
use callvault_tests::binary::scene::{Scene, quick};
use callvault_tests::binary::{Output, callvault};

use crate::refused;

/// Prompt: far less than a copy, a poll or a claim may take; far more than a busy machine needs.
const PROMPTLY: Duration = Duration::from_secs(20);

#[test]
fn a_signal_stops_an_export_and_the_next_goes_on() {
    for (n, name) in ["TERM", "INT"].into_iter().enumerate() {
        let scene = Scene::new(Options { plain: true, media_bytes: Some(3_000_000), seed: n as u64, ..quick(60) });
        let mut export = scene.export().start();
        while scene.requests().media_requests < 9 && export.is_running() {
            std::thread::sleep(Duration::from_millis(1));
        }
        export.signal(name);
        let output = export.wait_at_most(PROMPTLY);
        refused(name, &output, 3, &["interrupted", "run it again"]);
        scene.export_equals_truth();
    }
}

/// Also before there is anything to do: while it waits for a source that does not answer.
#[test]
fn a_signal_stops_an_export_that_waits_for_its_sign_in() {
    let scene = Scene::new(Options { plain: true, ..quick(5) });
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let export = scene.export().env("GENESYS_URL", url).start();
    let _connection = silent.accept().unwrap();
    export.signal("TERM");
    refused("waiting", &export.wait_at_most(PROMPTLY), 3, &["interrupted"]);
}

#[test]
fn the_simulator_says_one_line_and_stops_when_told() {
    for name in ["TERM", "INT"] {
        let simulator = callvault(["simulator", "--conversations", "5"]).start();
        let line = simulator.first_line();
        let port = line.strip_prefix("listening on http://127.0.0.1:").and_then(|port| port.parse::<u16>().ok());
        let port = port.unwrap_or_else(|| panic!("not the line: {line}"));
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        let taken = callvault(["simulator", "--port", &port.to_string()]).run();
        refused("a port that is taken", &taken, 3, &[&port.to_string(), "--port"]);
        simulator.signal(name);
        let output = simulator.wait_at_most(PROMPTLY).expect_code(0);
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), (format!("{line}\n").as_str(), ""));
    }
}

/// The two binaries against each other, with the documented credentials.
#[test]
fn an_export_from_the_simulator_command() {
    let folder = tempfile::tempdir().unwrap();
    let day = callvault_tests::binary::scene::days_ago(4).to_string();
    let args = ["simulator", "--plain", "--conversations", "12", "--day", &day, "--rate", "6000", "--job-ms", "500"];
    let simulator = callvault(args).start();
    let url = simulator.first_line().replace("listening on ", "");
    let output = callvault(["export", "--from", &day, "--to", &day, "--genesys-url", &url, "--json"])
        .args(["--archive", "kept", "--ledger", "sqlite:kept.sqlite"])
        .env("GENESYS_CLIENT_ID", "demo")
        .env("GENESYS_CLIENT_SECRET", "demo")
        // Flags win over the environment.
        .env("ARCHIVE", "not-this")
        .env("LEDGER", "sqlite:not-this")
        .env("GENESYS_URL", "http://127.0.0.1:9")
        .folder(folder.path())
        .run()
        .expect_code(0);
    assert_eq!(output.json()["days"][0]["stored"], 12);
    assert!(folder.path().join("kept").join("prod").join(&day).join("_SUCCESS").is_file());
    assert!(!folder.path().join("not-this").exists());
}

fn demo(folder: &Path, more: &[&str]) -> Output {
    callvault(["demo", "--dir", "demo"]).args(more).folder(folder).run()
}

/// Six kinds of conversations, none with anything that is parked: those keep a demo waiting.
#[test]
fn a_demo_does_nothing_twice_and_sees_what_was_changed() {
    let folder = tempfile::tempdir().unwrap();
    let demo = |more: &[&str]| demo(folder.path(), &[&["--conversations", "8", "--faults", "none"], more].concat());
    let first = demo(&[]).expect_code(0);
    assert!(first.stdout.contains("equals the simulator's truth"), "{}", first.stdout);
    assert!(!first.stdout.contains("Nothing was transferred"), "{}", first.stdout);
    let second = demo(&[]).expect_code(0);
    assert!(second.stdout.contains("Nothing was transferred"), "{}", second.stdout);
    assert!(second.stdout.contains("equals the simulator's truth"), "{}", second.stdout);
    refused("another seed", &demo(&["--seed", "2"]), 2, &["--seed", "--dir"]);
    // A file that is changed behind its back is a difference.
    let archive = folder.path().join("demo").join("archive");
    let changed = callvault_tests::truth::recordings(&archive).into_keys().next().unwrap();
    std::fs::write(archive.join(changed), "changed").unwrap();
    let third = demo(&[]).expect_code(1);
    assert!(third.stdout.contains("differs"), "{}", third.stdout);
    std::fs::write(folder.path().join("demo").join("demo.json"), "{").unwrap();
    refused("a broken demo.json", &demo(&[]), 2, &["--dir"]);
}

#[test]
fn a_demo_with_everything_agrees_with_the_truth() {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(folder.path(), &["--conversations", "60"]).expect_code(0);
    assert!(output.stdout.contains("equals the simulator's truth"), "{}", output.stdout);
    assert!(output.stdout.contains("sensitive-excluded"), "{}", output.stdout);
}

#[test]
fn a_demo_needs_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "x").unwrap();
    let output = callvault(["demo", "--dir", "file"]).folder(folder.path()).run();
    refused("a file", &output, 3, &["--dir"]);
}

#[track_caller]
fn is_calm(what: &str, output: &Output, code: i32) {
    assert_eq!(output.code, Some(code), "{what}: {output:?}");
    assert!(!output.stderr.contains("panicked"), "{what}: {}", output.stderr);
}

#[test]
fn a_stdout_that_nobody_reads_is_no_reason_to_panic() {
    let scene = Scene::new(Options { plain: true, ..quick(5) });
    is_calm("export --json", &scene.export().run_unread(), 0);
    let id = scene.truth().days[0].conversations[0].clone();
    for args in [&["status"][..], &["status", "--json"], &["where", &id], &["where", &id, "--json"]] {
        is_calm(&args.join(" "), &scene.command(args).run_unread(), 0);
    }
    for args in [&["--help"][..], &["export", "--help"], &["--version"], &["completions", "bash"]] {
        is_calm(&args.join(" "), &callvault(args).run_unread(), 0);
    }
}
