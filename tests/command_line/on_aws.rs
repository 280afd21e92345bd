//! Ledgers and archives on AWS, where AWS cannot be asked: one message, whatever is missing.
//!
//! What the commands do where it can be asked is in `cloud`.

use callvault_tests::binary::{Callvault, callvault};
use callvault_tests::stand_ins::moto::{Moto, unique};

use crate::refused;

const COMMANDS: [&[&str]; 3] =
    [&["status"], &["where", "c"], &["export", "--from", "2026-01-01", "--to", "2026-01-01"]];

/// A command on a machine that is nothing to AWS, with an empty home.
fn stranger(args: &[&str], home: &std::path::Path) -> Callvault {
    callvault(args)
        .folder(home)
        .env("HOME", home)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("GENESYS_URL", "http://127.0.0.1:9")
        .env("GENESYS_CLIENT_ID", "demo")
        .env("GENESYS_CLIENT_SECRET", "demo")
        .env("LEDGER", "dynamodb:callvault")
        .env("ARCHIVE", "s3://callvault-archive/a")
}

#[test]
fn without_a_region_or_credentials_one_message_says_which() {
    let home = tempfile::tempdir().unwrap();
    for args in COMMANDS {
        let output = stranger(args, home.path()).run();
        refused(&format!("{args:?} without a region"), &output, 2, &["AWS_REGION", "AWS_PROFILE"]);
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
        let output = stranger(args, home.path()).env("AWS_REGION", "eu-west-1").run();
        refused(&format!("{args:?} without credentials"), &output, 2, &["credentials", "aws sso login"]);
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    }
}

#[test]
fn a_table_or_a_bucket_that_is_not_there_could_not_go_on() {
    let (home, moto) = (tempfile::tempdir().unwrap(), Moto::shared());
    let name = unique("nowhere");
    for args in COMMANDS {
        let mut command = stranger(args, home.path()).env("LEDGER", format!("dynamodb:{name}"));
        for (name, value) in moto.environment() {
            command = command.env(name, value);
        }
        let output = command.env("ARCHIVE", format!("s3://{name}")).run();
        refused(&format!("{args:?}"), &output, 3, &[&name]);
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    }
}

#[test]
fn a_setting_on_aws_that_is_not_used_needs_no_aws() {
    let home = tempfile::tempdir().unwrap();
    let output = stranger(&["simulator", "--help"], home.path()).run();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let output = stranger(&["status"], home.path()).env("LEDGER", "sqlite:none").env("ARCHIVE", "archive").run();
    refused("one machine", &output, 3, &["no ledger"]);
}
