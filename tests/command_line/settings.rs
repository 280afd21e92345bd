//! Every setting that is wrong, by environment and by file.

use std::path::Path;

use callvault_tests::binary::{Callvault, Output, callvault};

use crate::refused;

fn export(folder: &Path) -> Callvault {
    callvault(["export", "--from", "2026-01-01", "--to", "2026-01-01"])
        .folder(folder)
        .env("GENESYS_URL", "http://127.0.0.1:9")
        .env("GENESYS_CLIENT_ID", "demo")
        .env("GENESYS_CLIENT_SECRET", "demo")
}

/// A setting, a wrong value, and what the message holds beside the name and the value.
const WRONG: [(&str, &str, &str); 38] = [
    ("GENESYS_URL", "http://example.com", "https"),
    ("GENESYS_URL", "ftp://127.0.0.1", "https"),
    ("GENESYS_URL", "nonsense", "URL"),
    ("LEDGER", "oracle:x", "sqlite:PATH"),
    ("LEDGER", "sqlite:", "sqlite:PATH"),
    ("LEDGER", "ledger.sqlite", "sqlite:PATH"),
    ("ARCHIVE", "ftp://x", "file:///PATH"),
    ("ARCHIVE", "file://relative", "file:///PATH"),
    ("ARCHIVE", "file:///", "file:///PATH"),
    ("ENVIRONMENT", "a/b", "letters"),
    ("ENVIRONMENT", "..", "letters"),
    ("KEY_LAYOUT", "{day}/{conversation}.{ext}", "{recording}"),
    ("KEY_LAYOUT", "{day}/{conversation}{recording}.{ext}", "between"),
    ("KEY_LAYOUT", "{nonsense}", "no placeholder"),
    ("KEY_LAYOUT", "weekly", "needs"),
    ("TIMEZONE", "Mars/Olympus", "America/Lima"),
    ("TIMEZONE", "UTC+3", "America/Lima"),
    ("QUEUE_IDS", "a/b", "queue ids"),
    ("MEDIA_KINDS", "call,fax", "call, chat, email, message, screen"),
    ("REQUIRE_AGENT", "perhaps", "true or false"),
    ("RECORDED_ONLY", "often", "true or false"),
    ("BATCH_SIZE", "101", "1 to 100"),
    ("BATCH_SIZE", "0", "1 to 100"),
    ("PAGE_SIZE", "ten", "1 to 100"),
    ("METADATA", "some", "full or analytics"),
    ("CHAT_BODY_TYPES", "STANDARD,1", "STANDARD"),
    ("MEDIA_HOSTS", "https://x.example.com/", "host names"),
    ("UPLOAD_CONCURRENCY", "-1", "1 to 256"),
    ("LEDGER", "dynamodb:a/b", "dynamodb:TABLE"),
    ("ARCHIVE", "s3://Not-A-Bucket/x", "s3://BUCKET/PREFIX"),
    ("ARCHIVE", "s3://bucket/../x", "s3://BUCKET/PREFIX"),
    ("S3_STORAGE_CLASS", "GLACIER", "STANDARD_IA"),
    ("S3_TAGS", "team", "team=quality"),
    ("S3_KMS_KEY_ID", "my key", "KMS"),
    ("S3_OBJECT_LOCK_MODE", "FOREVER", "COMPLIANCE"),
    ("S3_OBJECT_LOCK_DAYS", "99999", "0 to 36500"),
    ("LAG_DAYS", "0", "1 to 30"),
    ("GENESYS_SECRET_ID", "callvault/genesys", "it alone"),
];

#[test]
fn a_wrong_variable_is_named_with_its_value_and_what_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value, expected) in WRONG {
        let output = export(folder.path()).env(name, value).run();
        refused(&format!("{name}={value}"), &output, 2, &[name, value, expected]);
        assert_eq!(output.stderr.lines().count(), 1, "{name}={value}:\n{}", output.stderr);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something was begun");
}

#[test]
fn a_wrong_value_in_the_file_is_named_likewise() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value, expected) in WRONG {
        std::fs::write(folder.path().join("callvault.toml"), format!("{name} = {value:?}\n")).unwrap();
        let output = export(folder.path()).without(name).run();
        refused(&format!("{name}={value}"), &output, 2, &[name, value, expected]);
    }
}

#[test]
fn a_region_that_is_none_lists_those_that_are() {
    let folder = tempfile::tempdir().unwrap();
    let output = export(folder.path()).without("GENESYS_URL").env("GENESYS_REGION", "nowhere.example").run();
    refused("region", &output, 2, &["GENESYS_REGION", "nowhere.example", "mypurecloud.ie"]);
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let export = callvault(["export", "--from", "2026-01-01", "--to", "2026-01-01"]).folder(folder.path());
    let names = ["GENESYS_REGION", "GENESYS_CLIENT_ID", "GENESYS_CLIENT_SECRET"];
    refused("nothing set", &export.run(), 2, &names);
    let output = export.env("BATCH_SIZE", "x").env("TIMEZONE", "x").env("GENESYS_CLIENT_ID", "  ").run();
    refused("more", &output, 2, &[&names[..], &["BATCH_SIZE", "TIMEZONE"]].concat());
    assert_eq!(output.stderr.lines().count(), 5, "{}", output.stderr);
    assert!(output.stderr.lines().all(|line| line.starts_with("callvault: ")), "{}", output.stderr);
}

#[test]
fn an_empty_flag_is_no_value() {
    let folder = tempfile::tempdir().unwrap();
    for flag in ["--archive", "--ledger", "--genesys-url"] {
        refused(flag, &export(folder.path()).args([flag, ""]).run(), 2, &["empty"]);
    }
}

fn with_file(text: &[u8]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("callvault.toml"), text).unwrap();
    export(folder.path()).run()
}

#[test]
fn a_file_that_is_wrong_is_refused() {
    let cases: [(&str, &[&str]); 9] = [
        ("BATCH_SIZES = 1", &["callvault.toml", "BATCH_SIZES", "did you mean BATCH_SIZE"]),
        ("batch_size = 1", &["batch_size", "did you mean BATCH_SIZE"]),
        ("COLOUR = \"red\"", &["no setting `COLOUR`"]),
        ("BATCH_SIZE = 1.5", &["BATCH_SIZE"]),
        ("BATCH_SIZE = { a = 1 }", &["BATCH_SIZE"]),
        ("[export]\nBATCH_SIZE = 1", &["no setting `export`"]),
        ("BATCH_SIZE = 1\nBATCH_SIZE = 2", &["callvault.toml", "line 2"]),
        ("TIMEZONE = \"UTC\"\nplanted content here", &["callvault.toml", "line 2", "TOML"]),
        ("COLOUR = 1\nSHAPE = 2", &["COLOUR", "SHAPE"]),
    ];
    for (text, words) in cases {
        let output = with_file(text.as_bytes());
        refused(text, &output, 2, words);
        assert!(!output.stderr.contains("planted"), "{text}:\n{}", output.stderr);
    }
    refused("not text", &with_file(b"\xff\xfe\x00"), 2, &["callvault.toml"]);
}

#[test]
fn a_file_that_cannot_be_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    let cases = [("nowhere.toml", "nowhere.toml"), (path.as_str(), path.as_str())];
    for (config, word) in cases {
        let output = export(folder.path()).args(["--config", config]).run();
        refused(config, &output, 2, &[word, "--config"]);
    }
    // Where the file that is read by itself is a folder, it cannot be read either.
    std::fs::create_dir(folder.path().join("callvault.toml")).unwrap();
    refused("a folder", &export(folder.path()).run(), 2, &["callvault.toml"]);
}
