//! Ledgers and archives on AWS, where AWS cannot be asked: one message, whatever is missing. And comparing them.
//!
//! What the commands do where it can be asked is in `cloud`.

use callvault_simulator::Options;
use callvault_tests::binary::scene::{Scene, quick};
use callvault_tests::binary::{Callvault, Output, callvault};
use callvault_tests::cloud::{create_bucket, s3};
use callvault_tests::stand_ins::moto::{Moto, unique};
use callvault_tests::stand_ins::table;

use crate::refused;

const COMMANDS: [&[&str]; 7] = [
    &["status"],
    &["where", "c"],
    &["export", "--from", "2026-01-01", "--to", "2026-01-01"],
    &["verify", "--from", "2026-01-01", "--to", "2026-01-01"],
    &["redrive", "--day", "2026-01-01"],
    &["report", "--out", "report.html"],
    &["estimate", "--from", "2026-01-01", "--to", "2026-01-01"],
];

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

/// The same comparing over DynamoDB and S3: an object that is gone and one that is another are found and mended.
#[test]
fn what_differs_on_aws_is_found_and_mended() {
    let scene = Scene::new(Options { plain: true, ..quick(6) });
    let (moto, name) = (Moto::shared(), unique("verified"));
    let (sdk, day) = (moto.sdk(), scene.days()[0].to_string());
    scene.block_on(async {
        table::create(&sdk, &name).await;
        create_bucket(&sdk, &name).await;
    });
    let on_aws_with = |verb: &str, more: &[&str]| {
        let mut command = scene.command(&[verb, "--from", &day, "--to", &day]).args(more);
        for (name, value) in moto.environment() {
            command = command.env(name, value);
        }
        command.env("LEDGER", format!("dynamodb:{name}")).env("ARCHIVE", format!("s3://{name}/kept"))
    };
    let on_aws = |verb: &str| on_aws_with(verb, &["--json"]);
    on_aws("export").run().expect_code(0);
    on_aws_with("report", &["--out", "report.html"]).run().expect_code(0);
    let page = std::fs::read_to_string(scene.path("report.html")).unwrap();
    assert!(page.contains(&format!("id=\"d{day}\"")) && page.contains(">stored<"), "{page}");
    assert_eq!(on_aws("estimate").run().expect_code(0).json()["days"]["exported"], 1);
    on_aws("verify").run().expect_code(0);
    scene.block_on(async {
        let s3 = s3(&sdk);
        let listed = s3.list_objects_v2().bucket(&name).prefix(format!("kept/prod/{day}/call/")).send().await.unwrap();
        let calls: Vec<&str> = listed.contents().iter().filter_map(|object| object.key()).collect();
        s3.delete_object().bucket(&name).key(calls[0]).send().await.unwrap();
        let other = aws_sdk_s3::primitives::ByteStream::from_static(b"other");
        s3.put_object().bucket(&name).key(calls[1]).body(other).send().await.unwrap();
    });
    let codes = |output: &Output| -> Vec<String> {
        let report = output.json();
        let findings = report["days"][0]["findings"].as_array().unwrap().iter();
        findings.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
    };
    let found = on_aws("verify").run().expect_code(1);
    assert_eq!(codes(&found), ["missing-object", "changed-length", "marker-false"], "{}", found.stdout);
    let mended = on_aws("verify").args(["--repair"]).run().expect_code(0);
    assert_eq!(codes(&mended), codes(&found), "{}", mended.stdout);
    assert_eq!(codes(&on_aws("verify").run().expect_code(0)), Vec::<String>::new());
}
