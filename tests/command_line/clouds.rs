//! Archives in Azure and Google Cloud that are not what they should be: one message, the right exit code, no secret.

use callvault_simulator::Options;
use callvault_tests::binary::elsewhere::{Elsewhere, Store};
use callvault_tests::binary::scene::{Scene, quick};
use callvault_tests::stand_ins::clouds::StandIn;
use callvault_tests::stand_ins::verifying_gcs::VerifyingGcs;

use crate::refused;

/// What is not shown, wherever it stands.
const PLANTED: &str = "cGxhbnRlZA";

/// What is wrong, the archive, its settings, the exit code, and words that the message has.
type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], i32, &'a [&'a str]);

#[test]
fn each_fault_is_one_message_and_its_exit_code() {
    let scene = Scene::new(Options { plain: true, seed: 71, ..quick(3) });
    let azurite = StandIn::azurite();
    let gcs = scene.block_on(VerifyingGcs::start());
    // Nobody listens there any more.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = format!("http://{gone}");
    let key = format!("{PLANTED}==");
    let expired =
        format!("sv=2021-12-02&ss=b&srt=sco&sp=rwdlc&st=2019-01-01T00:00:00Z&se=2020-01-01T00:00:00Z&sig={PLANTED}%3D");
    let odd_file = scene.path("key.json");
    std::fs::write(&odd_file, format!(r#"{{"type":"external_account","secret":"{PLANTED}"}}"#)).unwrap();
    let (odd_file, no_file) = (odd_file.display().to_string(), scene.path("none.json").display().to_string());
    let (at_azurite, at_gcs) = (("AZURITE_BLOB_STORAGE_URL", azurite.url()), ("STORAGE_EMULATOR_HOST", gcs.url()));
    let at_gcs = (at_gcs.0, at_gcs.1.as_str());
    let account = ("AZURE_STORAGE_ACCOUNT_KEY", key.as_str());
    let cases: &[Case<'_>] = &[
        ("wrong account", "az://anotheraccount/recordings", &[at_azurite, account], 3, &["archive"]),
        (
            "wrong key",
            "az://devstoreaccount1/recordings",
            &[at_azurite, account],
            3,
            &["may not be written", "credential"],
        ),
        (
            "no key at all",
            "az://acct1/recordings",
            &[("AZURE_STORAGE_ACCOUNT_KEY", "%%")],
            2,
            &["AZURE_STORAGE_ACCOUNT_KEY"],
        ),
        ("missing container", "az://devstoreaccount1/missing", &[at_azurite], 3, &["no such container"]),
        (
            "expired signature",
            "az://devstoreaccount1/recordings",
            &[at_azurite, ("AZURE_STORAGE_SAS_TOKEN", &expired)],
            3,
            &["may not be written"],
        ),
        (
            "no signature",
            "az://acct1/recordings",
            &[("AZURE_STORAGE_SAS_TOKEN", "sv=1")],
            2,
            &["AZURE_STORAGE_SAS_TOKEN"],
        ),
        (
            "nobody there",
            "az://devstoreaccount1/c123",
            &[("AZURITE_BLOB_STORAGE_URL", &gone)],
            3,
            &["cannot be reached"],
        ),
        ("account's name", "az://Account/container", &[], 2, &["ARCHIVE", "24 lower-case"]),
        ("missing bucket", "gs://missing", &[at_gcs], 3, &["cannot be reached", "bucket does not exist"]),
        ("no permission", "gs://forbidden", &[at_gcs], 3, &["may not be written", "Storage Object User"]),
        ("nobody at Google's", "gs://bucket", &[("STORAGE_EMULATOR_HOST", &gone)], 3, &["cannot be reached"]),
        (
            "no file",
            "gs://bucket",
            &[("GOOGLE_APPLICATION_CREDENTIALS", &no_file)],
            2,
            &["GOOGLE_APPLICATION_CREDENTIALS"],
        ),
        ("another file", "gs://bucket", &[("GOOGLE_APPLICATION_CREDENTIALS", &odd_file)], 2, &["service account"]),
        ("emulator elsewhere", "gs://bucket", &[("STORAGE_EMULATOR_HOST", "example.com")], 2, &["on this machine"]),
        ("copies of S3", "s3://bucket", &[("COPY", "server")], 2, &["COPY", "only Azure"]),
    ];
    for (name, archive, settings, code, words) in cases {
        let mut command = scene.export().env("ARCHIVE", archive);
        for (setting, value) in *settings {
            command = command.env(setting, value);
        }
        let output = command.run();
        refused(name, &output, *code, words);
        assert!(!output.stderr.contains(PLANTED), "{name}: {}", output.stderr);
    }
}

#[test]
fn doctor_writes_reads_and_deletes_there() {
    let scene = Scene::new(Options { plain: true, seed: 72, ..quick(3) });
    for store in [Store::Azure, Store::Google] {
        let elsewhere = scene.block_on(Elsewhere::start(store));
        let scene = elsewhere.scene(Scene::new(Options { plain: true, seed: 73, ..quick(3) }));
        let shown = scene.command(&["doctor"]).run().stdout;
        assert!(shown.contains("an object was written, read back and deleted"), "{shown}");
        scene.block_on(elsewhere.bring(&scene));
        assert!(!scene.archive().exists(), "something is left");
    }
}
