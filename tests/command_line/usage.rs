//! Flags, days, help, completions.

use callvault_tests::binary::callvault;
use callvault_tests::binary::scene::days_ago;

use crate::refused;

const COMMANDS: [&str; 9] =
    ["demo", "export", "status", "where", "login", "doctor", "serve", "simulator", "completions"];

#[test]
fn bad_usage_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let too_long = "x".repeat(65);
    let cases: &[(&[&str], &[&str])] = &[
        (&["--nonsense"], &["--nonsense", "--help"]),
        (&["exprot"], &["exprot", "export"]),
        (&["export"], &["--from", "--to"]),
        (&["export", "--to", "2026-01-01"], &["--from"]),
        (&["export", "--from", "2026-01-01"], &["--to"]),
        (&["export", "--from", "yesterday", "--to", "2026-01-01"], &["yesterday", "--from", "YYYY-MM-DD"]),
        (&["export", "--from", "2026-02-30", "--to", "2026-03-01"], &["2026-02-30", "--from"]),
        (&["export", "--from", "01/02/2026", "--to", "2026-03-01"], &["01/02/2026", "YYYY-MM-DD"]),
        (&["export", "--from", "2026-1-2", "--to", "2026-03-01"], &["2026-1-2", "YYYY-MM-DD"]),
        (&["export", "--from", "", "--to", "2026-03-01"], &["--from"]),
        (&["export", "--from", "2026-01-02", "--to", "2026-01-02", "--nonsense"], &["--nonsense"]),
        (&["status", "--day", "2026-13-01"], &["2026-13-01", "--day"]),
        (&["status", "extra"], &["extra"]),
        (&["where"], &["CONVERSATION"]),
        (&["where", "../../etc/passwd"], &["identifier"]),
        (&["where", ""], &["identifier"]),
        (&["where", &too_long], &["identifier"]),
        (&["demo", "--faults", "some"], &["none, usual or hostile"]),
        (&["demo", "--conversations", "0"], &["--conversations"]),
        (&["demo", "--conversations", "many"], &["--conversations"]),
        (&["demo", "--seed", "-1"], &["-1"]),
        (&["simulator", "--port", "70000"], &["--port"]),
        (&["simulator", "--rate", "0"], &["--rate"]),
        (&["simulator", "--days", "0"], &["--days"]),
        (&["serve", "--listen", "localhost"], &["localhost", "--listen", "127.0.0.1:8911"]),
        (&["serve", "--listen", "127.0.0.1"], &["--listen", "127.0.0.1:8911"]),
        (&["completions", "tcsh"], &["tcsh", "bash"]),
        (&["completions"], &["SHELL"]),
        (&["status", "--log", "a=b=c"], &["log filter"]),
    ];
    for (args, words) in cases {
        let output = callvault(*args).folder(folder.path()).run();
        refused(&args.join(" "), &output, 2, words);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something was begun");
}

#[test]
fn days_that_cannot_be_exported_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let export = |from: &str, to: &str| {
        callvault(["export", "--from", from, "--to", to])
            .folder(folder.path())
            .env("GENESYS_URL", "http://127.0.0.1:9")
            .env("GENESYS_CLIENT_ID", "demo")
            .env("GENESYS_CLIENT_SECRET", "demo")
            .run()
    };
    let (today, yesterday, tomorrow) = (days_ago(0).to_string(), days_ago(1).to_string(), days_ago(-1).to_string());
    refused("the wrong way round", &export("2026-02-02", "2026-02-01"), 2, &["--to 2026-02-01", "--from 2026-02-02"]);
    refused("today", &export(&yesterday, &today), 2, &[&today, "not over", "UTC"]);
    refused("tomorrow", &export(&tomorrow, &tomorrow), 2, &[&tomorrow, "not over"]);
    refused("far away", &export("9999-12-31", "9999-12-31"), 2, &["9999-12-31"]);
}

/// In a zone that is behind, yesterday of UTC may not be over; the message names the zone.
#[test]
fn a_day_is_over_when_it_is_over_in_its_zone() {
    let folder = tempfile::tempdir().unwrap();
    let today = days_ago(0).to_string();
    let output = callvault(["export", "--from", &today, "--to", &today])
        .folder(folder.path())
        .env("TIMEZONE", "Pacific/Pago_Pago")
        .env("GENESYS_URL", "http://127.0.0.1:9")
        .env("GENESYS_CLIENT_ID", "demo")
        .env("GENESYS_CLIENT_SECRET", "demo")
        .run();
    refused("Pago Pago", &output, 2, &["not over in Pacific/Pago_Pago"]);
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in COMMANDS {
        for flag in ["--help", "-h"] {
            let output = callvault([command, flag]).run().expect_code(0);
            assert!(output.stdout.contains("Usage: callvault"), "{command}: {}", output.stdout);
            let example = format!("  callvault {command}");
            assert!(output.stdout.contains("Example"), "{command}: {}", output.stdout);
            assert!(output.stdout.contains(&example), "{command}: {}", output.stdout);
            assert_eq!(output.stderr, "");
        }
    }
    let output = callvault(["--help"]).run().expect_code(0);
    for word in COMMANDS.into_iter().chain(["Exit codes", "callvault demo", "callvault.toml"]) {
        assert!(output.stdout.contains(word), "{word}: {}", output.stdout);
    }
}

#[test]
fn without_a_command_it_shows_its_help() {
    let output = callvault(Vec::<&str>::new()).run().expect_code(2);
    assert!(output.stderr.contains("Usage: callvault") && output.stdout.is_empty());
}

#[test]
fn it_says_its_version() {
    let output = callvault(["--version"]).run().expect_code(0);
    assert!(output.stdout.starts_with("callvault 0."), "{}", output.stdout);
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = callvault(["completions", shell]).run().expect_code(0);
        for word in COMMANDS {
            assert!(output.stdout.contains(word), "{shell} does not know {word}");
        }
        assert_eq!(output.stderr, "");
    }
}

/// What the shell itself thinks of the script.
#[test]
fn bash_reads_its_completions() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("callvault.bash");
    std::fs::write(&script, callvault(["completions", "bash"]).run().expect_code(0).stdout).unwrap();
    let bash = std::process::Command::new("bash").arg("-n").arg(&script).output().unwrap();
    assert!(bash.status.success() && bash.stderr.is_empty(), "{bash:?}");
}
