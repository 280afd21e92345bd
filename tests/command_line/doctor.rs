//! `callvault doctor`: everything is there, and each thing that is broken in turn.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use callvault_simulator::{Fault, FaultName, Options};
use callvault_tests::binary::scene::{NO_LIMIT, Scene, days_ago};
use callvault_tests::binary::{Callvault, Output};
use callvault_tests::stand_ins::moto::{Moto, unique};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::refused;

fn options() -> Options {
    Options { conversations: 5, rate_per_minute: NO_LIMIT, ..Options::new(days_ago(3)) }
}

/// A document with a pair of tokens of the scene's org.
fn signed_in(scene: &Scene, left: SignedDuration) -> Value {
    let pair = scene.simulator().grant();
    let end = scene.simulator().now().checked_add(left).unwrap();
    json!({
        "clientId": "demo", "clientSecret": "planted-demo", "accessToken": pair["access_token"],
        "refreshToken": pair["refresh_token"], "expiresAt": end.to_string(),
    })
}

fn write(path: &Path, document: &Value) {
    std::fs::write(path, document.to_string()).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// `doctor --json`, with a signed-in user.
fn doctor(scene: &Scene) -> Callvault {
    let file = scene.path("user.json");
    if !file.exists() {
        write(&file, &signed_in(scene, SignedDuration::from_hours(40)));
    }
    scene.command(&["doctor", "--json"]).env("VOICEMAIL_SECRET_ID", format!("file:{}", file.display()))
}

/// The names of the checks with this outcome.
fn those(output: &Output, outcome: &str) -> Vec<String> {
    let report = output.json();
    let checks = report["checks"].as_array().unwrap().iter();
    for check in report["checks"].as_array().unwrap() {
        let mut keys: Vec<&str> = check.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["advice", "detail", "name", "needed_for", "outcome"]);
        assert!(check["needed_for"].as_str().is_some_and(|text| !text.is_empty()), "{check}");
        let must_advise = check["outcome"] == "missing";
        assert!(!must_advise || !check["advice"].as_str().unwrap().is_empty(), "no advice: {check}");
    }
    checks.filter(|check| check["outcome"] == outcome).map(|check| check["name"].as_str().unwrap().to_owned()).collect()
}

/// Only these are missing, the exit code says so, and no secret is said.
#[track_caller]
fn lacks(what: &str, scene: &Scene, output: &Output, code: i32, missing: &[&str]) {
    assert_eq!(output.code, Some(code), "{what}: {output:?}");
    assert_eq!(those(output, "missing"), missing, "{what}: {}", output.stdout);
    assert_eq!(output.json()["ok"], missing.is_empty(), "{what}");
    says_no_secret(scene, output);
}

fn says_no_secret(scene: &Scene, output: &Output) {
    let document: Value = std::fs::read(scene.path("user.json"))
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    for key in ["clientSecret", "accessToken", "refreshToken"] {
        if let Some(secret) = document[key].as_str() {
            assert!(!format!("{output:?}").contains(secret), "{key} in {output:?}");
        }
    }
}

#[test]
fn where_everything_is_there_nothing_is_missing_and_nothing_is_left_behind() {
    let scene = Scene::new(options());
    let output = doctor(&scene).args(["--log", "trace"]).run();
    lacks("all", &scene, &output, 0, &[]);
    let expected = [
        "settings",
        "login-host",
        "api-host",
        "clock",
        "media-hosts",
        "client",
        "permission-conversations",
        "permission-metadata",
        "permission-batch",
        "user-secret",
        "user-token-life",
        "user-token",
        "permission-voicemail-view",
        "permission-voicemail-delete",
        "permission-callback-disconnect",
        "archive",
        "ledger",
    ];
    assert_eq!(those(&output, "ok"), expected);
    assert_eq!(those(&output, "unknown"), ["permission-sensitive", "permission-screen", "scope-conversations"]);
    assert_eq!(those(&output, "skipped"), ["permission-mark-read"]);
    // Questions only: no batch was made, nothing was changed, no token renewed.
    let requests = scene.requests();
    assert_eq!(requests.operations["batch-submit"], 1);
    for operation in
        ["voicemail-delete", "voicemail-read", "callback-disconnect", "token-refresh", "voicemail-delete-all"]
    {
        assert_eq!(requests.operations.get(operation), None, "{operation}");
    }
    let left = std::fs::read_dir(scene.archive()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), [".callvault-tmp"]);
    assert!(!scene.ledger().exists());
    // An export finds nothing that keeps it from working, and the ledger is looked into afterwards.
    scene.export().run();
    lacks("after an export", &scene, &doctor(&scene).run(), 0, &[]);
}

#[test]
fn people_get_a_table_with_what_to_do() {
    let scene = Scene::new(options());
    let file = scene.path("user.json");
    write(&file, &signed_in(&scene, SignedDuration::from_hours(40)));
    scene.simulator().set_faults([Fault::new(FaultName::Forbidden).operation("batch-submit")]);
    let output = scene.command(&["doctor"]).env("VOICEMAIL_SECRET_ID", format!("file:{}", file.display())).run();
    assert_eq!(output.code, Some(1), "{output:?}");
    let lines: Vec<&str> = output.stdout.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("MISSING  permission-batch")).unwrap();
    assert!(lines[at + 1].contains("needed for downloading recordings"), "{}", output.stdout);
    assert!(lines[at + 2].contains("-> give the permission") && lines[at + 2].contains("recording:recording:view"));
    assert_eq!(*lines.last().unwrap(), "1 thing is missing");
    says_no_secret(&scene, &output);
}

#[test]
fn each_permission_that_a_client_lacks_has_its_line() {
    let scene = Scene::new(options());
    for (operation, name) in [
        ("conversations-query", "permission-conversations"),
        ("recordingmetadata", "permission-metadata"),
        ("batch-submit", "permission-batch"),
        ("voicemail-list", "permission-voicemail-view"),
    ] {
        scene.simulator().set_faults([Fault::new(FaultName::Forbidden).operation(operation)]);
        let output = doctor(&scene).env("VOICEMAIL_QUEUES", &scene.simulator().queues()[0]).run();
        lacks(operation, &scene, &output, 1, &[name]);
    }
}

#[test]
fn what_a_user_may_not_do_is_missing_where_it_is_wanted() {
    let scene = Scene::new(Options {
        user_permissions: vec!["voicemail:acdVoicemail:view".into(), "voicemail:acdvoicemail:view".into()],
        ..options()
    });
    let output = doctor(&scene).run();
    lacks("not wanted", &scene, &output, 0, &[]);
    let skipped = ["permission-voicemail-delete", "permission-callback-disconnect", "permission-mark-read"];
    assert_eq!(those(&output, "skipped"), skipped);
    let marking = doctor(&scene).env("MARK_READ_AFTER_UPLOAD", "true").run();
    assert!(those(&marking, "unknown").contains(&"permission-mark-read".to_owned()), "{}", marking.stdout);
    let calls_only = doctor(&scene).env("MEDIA_KINDS", "call").run();
    assert!(those(&calls_only, "skipped").contains(&"permission-screen".to_owned()), "{}", calls_only.stdout);
    let output = doctor(&scene).env("DELETE_AFTER_UPLOAD", "true").env("DISCONNECT_CALLBACK", "yes").run();
    lacks("wanted", &scene, &output, 1, &["permission-voicemail-delete", "permission-callback-disconnect"]);
    let queue = "00000000-0000-0000-0000-000000000001";
    lacks(
        "no such queue",
        &scene,
        &doctor(&scene).env("VOICEMAIL_QUEUES", queue).run(),
        1,
        &["permission-voicemail-view"],
    );
    let scene = Scene::new(Options { user_permissions: Vec::new(), ..options() });
    lacks("may not look", &scene, &doctor(&scene).run(), 1, &["permission-voicemail-view"]);
    let scene = Scene::new(Options { user_scopes: vec!["conversations".into()], ..options() });
    let output = doctor(&scene).run();
    lacks("no scope", &scene, &output, 1, &["permission-voicemail-view"]);
    assert!(output.stdout.contains("scope voicemail"), "{}", output.stdout);
}

#[test]
fn a_user_who_is_not_signed_in_any_more_is_told_to_sign_in() {
    let scene = Scene::new(options());
    let file = scene.path("user.json");
    let good = signed_in(&scene, SignedDuration::from_hours(40));
    let changed = |key: &str, value: Value| {
        let mut document = good.clone();
        document[key] = value;
        write(&file, &document);
        doctor(&scene).run()
    };
    lacks("no token", &scene, &changed("accessToken", Value::Null), 1, &["user-token"]);
    lacks("another token", &scene, &changed("accessToken", json!("planted-token")), 1, &["user-token"]);
    lacks("no refresh token", &scene, &changed("refreshToken", Value::Null), 1, &["user-token-life"]);
    lacks("no client", &scene, &changed("clientId", Value::Null), 1, &["user-secret"]);
    let output = changed("expiresAt", json!("whenever"));
    lacks("no end", &scene, &output, 0, &[]);
    assert!(those(&output, "unknown").contains(&"user-token-life".to_owned()));
    // A file's token that has ended is renewed by whoever uses it.
    let mut document = good.clone();
    document["expiresAt"] = json!(Timestamp::UNIX_EPOCH.to_string());
    document["accessToken"] = json!("planted-ended");
    write(&file, &document);
    let output = doctor(&scene).run();
    lacks("ended", &scene, &output, 0, &[]);
    assert!(those(&output, "unknown").contains(&"user-token".to_owned()));
    std::fs::remove_file(&file).unwrap();
    let output =
        scene.command(&["doctor", "--json"]).env("VOICEMAIL_SECRET_ID", format!("file:{}", file.display())).run();
    lacks("no file", &scene, &output, 1, &["user-secret"]);
    let output = scene.command(&["doctor", "--json"]).run();
    lacks("no user", &scene, &output, 0, &[]);
    assert!(those(&output, "skipped").contains(&"user-secret".to_owned()));
}

#[test]
fn each_mailbox_and_each_media_host_is_tried() {
    let scene = Scene::new(options());
    let (queues, groups) = (scene.simulator().queues(), scene.simulator().groups());
    let missing = "00000000-0000-0000-0000-000000000001";
    let output =
        doctor(&scene).env("VOICEMAIL_QUEUES", queues.join(",")).env("VOICEMAIL_GROUPS", groups.join(",")).run();
    lacks("all of them", &scene, &output, 0, &[]);
    assert_eq!(scene.requests().operations["voicemail-list"], (queues.len() + groups.len()) as u64);
    let second = format!("{},{missing}", queues[0]);
    let output = doctor(&scene).env("VOICEMAIL_QUEUES", second).env("VOICEMAIL_GROUPS", missing).run();
    lacks("the second queue, and a group", &scene, &output, 1, &["permission-voicemail-view"; 2]);
    assert!(
        output.stdout.contains("VOICEMAIL_GROUPS, 0000") && output.stdout.contains("in 1 of 3"),
        "{}",
        output.stdout
    );
    // Names under `.invalid` lead nowhere (RFC 6761).
    let output = doctor(&scene).env("MEDIA_HOSTS", "media.callvault.invalid").run();
    lacks("a media host", &scene, &output, 1, &["media-hosts"]);
    let output = doctor(&scene).env("MEDIA_HOSTS", "*.callvault.invalid").run();
    lacks("a pattern", &scene, &output, 0, &[]);
    assert!(those(&output, "unknown").contains(&"media-hosts".to_owned()), "{}", output.stdout);
}

#[test]
fn a_client_that_is_not_let_in_and_an_org_that_is_not_there() {
    let scene = Scene::new(options());
    let output = doctor(&scene).env("GENESYS_CLIENT_SECRET", "planted-wrong").run();
    lacks("wrong secret", &scene, &output, 1, &["client"]);
    assert!(output.stdout.contains("invalid_client") && !format!("{output:?}").contains("planted"), "{output:?}");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = scene.command(&["doctor", "--json"]).env("GENESYS_URL", format!("http://{nobody}")).run();
    lacks("nobody", &scene, &output, 3, &["login-host", "api-host"]);
}

#[test]
fn stores_that_cannot_be_written_have_their_lines() {
    let scene = Scene::new(options());
    std::fs::write(scene.path("file"), "no ledger ".repeat(100)).unwrap();
    let output = doctor(&scene).env("ARCHIVE", scene.path("file").join("archive")).run();
    lacks("archive", &scene, &output, 1, &["archive"]);
    let output = doctor(&scene).env("LEDGER", format!("sqlite:{}", scene.path("file").display())).run();
    lacks("no ledger", &scene, &output, 1, &["ledger"]);
    // A ledger that was made for another archive.
    scene.export().run();
    let output = doctor(&scene).env("ARCHIVE", scene.path("another")).run();
    lacks("another archive", &scene, &output, 1, &["ledger"]);
    assert!(output.stdout.contains("was made for ARCHIVE"), "{}", output.stdout);
}

#[test]
fn settings_that_are_wrong_end_it() {
    let scene = Scene::new(options());
    refused("settings", &doctor(&scene).env("TIMEZONE", "Mars").run(), 2, &["TIMEZONE", "Mars"]);
    let output = scene.command(&["doctor"]).without("GENESYS_CLIENT_ID").without("GENESYS_CLIENT_SECRET").run();
    refused("no client", &output, 2, &["GENESYS_CLIENT_ID"]);
    // Whoever has a user only needs no client.
    let output = doctor(&scene).without("GENESYS_CLIENT_ID").without("GENESYS_CLIENT_SECRET").run();
    lacks("a user only", &scene, &output, 0, &[]);
}

#[test]
fn a_user_whose_secret_is_on_aws_needs_a_token_that_outlives_the_rotation() {
    let (scene, moto, name) = (Scene::new(options()), Moto::shared(), unique("doctor"));
    let client = aws_sdk_secretsmanager::Client::new(&moto.sdk());
    let text = signed_in(&scene, SignedDuration::from_hours(40)).to_string();
    scene.block_on(client.create_secret().name(&name).secret_string(text).send()).unwrap();
    let run = || {
        let mut command = scene.command(&["doctor", "--json"]).env("VOICEMAIL_SECRET_ID", &name);
        for (name, value) in moto.environment() {
            command = command.env(name, value);
        }
        command.run()
    };
    lacks("nobody renews it", &scene, &run(), 1, &["user-secret-rotation"]);
    let rules = aws_sdk_secretsmanager::types::RotationRulesType::builder().automatically_after_days(1).build();
    scene.block_on(client.rotate_secret().secret_id(&name).rotation_rules(rules).send()).unwrap();
    for (left, code, missing) in [(40, 0, &[][..]), (20, 1, &["user-token-life"]), (11, 1, &["user-token-life"])] {
        let text = signed_in(&scene, SignedDuration::from_hours(left)).to_string();
        scene.block_on(client.put_secret_value().secret_id(&name).secret_string(text).send()).unwrap();
        lacks(&format!("{left} h, renewed once a day"), &scene, &run(), code, missing);
    }
}

#[test]
fn without_credentials_for_aws_what_is_there_is_not_looked_at() {
    let scene = Scene::new(options());
    let output = doctor(&scene)
        .env("HOME", scene.folder())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_REGION", "eu-west-1")
        .env("LEDGER", "dynamodb:callvault")
        .env("ARCHIVE", "s3://callvault-archive/a")
        .run();
    lacks("no credentials", &scene, &output, 1, &["aws"]);
    assert!(output.stdout.contains("aws sso login"), "{}", output.stdout);
    assert_eq!(those(&output, "skipped"), ["permission-mark-read", "archive", "ledger"]);
}

#[test]
fn ledger_and_archive_on_aws_are_written_to_without_a_trace() {
    let (scene, moto) = (Scene::new(options()), Moto::shared());
    let (table, bucket) = (unique("doctor"), unique("doctor-archive"));
    let run = || {
        let mut command = scene
            .command(&["doctor", "--json"])
            .env("LEDGER", format!("dynamodb:{table}"))
            .env("ARCHIVE", format!("s3://{bucket}/a"));
        for (name, value) in moto.environment() {
            command = command.env(name, value);
        }
        command.run()
    };
    lacks("neither is there", &scene, &run(), 1, &["archive", "ledger"]);
    scene.block_on(async {
        callvault_tests::stand_ins::table::create(&moto.sdk(), &table).await;
        callvault_tests::cloud::create_bucket(&moto.sdk(), &bucket).await;
    });
    lacks("both are there", &scene, &run(), 0, &[]);
    let items = scene.block_on(async {
        let table = aws_sdk_dynamodb::Client::new(&moto.sdk()).scan().table_name(&table).send().await.unwrap();
        table.items().len()
    });
    assert_eq!(items, 0);
}
