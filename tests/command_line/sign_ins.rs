//! Who writes to Azure: an application by its secret or by what its platform says of it, a machine's identity, and a person
//! who signed in with `az login`. Tokens run out in the middle of the work.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use callvault_simulator::Options;
use callvault_tests::binary::elsewhere::Elsewhere;
use callvault_tests::binary::scene::{Scene, quick};
use callvault_tests::stand_ins::clouds::StandIn;
use callvault_tests::stand_ins::entra::{ASSERTION, CLIENT, Entra, IDENTITY_HEADER, SECRET, TENANT};
use callvault_tests::stand_ins::moto::unique;

use crate::refused;

/// Long enough for anything here.
const AN_HOUR: Duration = Duration::from_secs(3600);

/// A scene that exports through the sign-in, and the archive as it is without it.
struct Signed {
    scene: Scene,
    entra: Entra,
    archive: Elsewhere,
}

impl Signed {
    fn new(seed: u64, good_for: Duration) -> Self {
        let scene = Scene::new(Options { plain: true, seed, ..quick(12) });
        let azurite = StandIn::azurite();
        let entra = scene.block_on(Entra::start(azurite.url(), good_for));
        let prefix = unique("signed");
        let url = azurite.url().to_owned();
        let archive = Elsewhere::in_azure(&url, &prefix, azurite);
        let scene = scene.with("ARCHIVE", &format!("az://devstoreaccount1/recordings/{prefix}"));
        let scene = scene.with("AZURE_STORAGE_ENDPOINT", &entra.url());
        Self { scene, entra, archive }
    }

    /// The settings of an application.
    fn of_an_application(self, name: &str, value: &str) -> Self {
        let scene = self.scene.with("AZURE_TENANT_ID", TENANT).with("AZURE_CLIENT_ID", CLIENT).with(name, value);
        let scene = scene.with("AZURE_AUTHORITY_HOST", &self.entra.url());
        Self { scene, ..self }
    }

    /// Exports, and compares with the truth.
    #[track_caller]
    fn exports(&self) {
        let output = self.scene.export().run().expect_code(0);
        assert!(!output.stderr.contains("planted"), "{}", output.stderr);
        self.scene.block_on(self.archive.bring(&self.scene));
        self.scene.equals_truth();
    }

    /// Is told once what to look at, and shown no secret.
    #[track_caller]
    fn is_refused(&self, what: &str, words: &[&str]) {
        let output = self.scene.export().run();
        refused(what, &output, 3, words);
        assert!(!output.stderr.contains("planted"), "{what}: {}", output.stderr);
    }
}

#[test]
fn an_application_with_a_secret_whose_tokens_run_out() {
    let signed = Signed::new(81, Duration::from_secs(1)).of_an_application("AZURE_CLIENT_SECRET", SECRET);
    signed.exports();
    let given = signed.entra.given();
    assert!(given.len() > 1 && given.iter().all(|whom| *whom == "secret"), "{given:?}");
    let wrong = Signed::new(82, AN_HOUR).of_an_application("AZURE_CLIENT_SECRET", "planted-other-secret");
    wrong.is_refused("wrong secret", &["AZURE_CLIENT_SECRET"]);
    assert!(wrong.entra.given().is_empty());
}

#[test]
fn an_application_that_its_platform_vouches_for() {
    let signed = Signed::new(83, AN_HOUR);
    let file = signed.scene.path("federated-token");
    std::fs::write(&file, ASSERTION).unwrap();
    let signed = signed.of_an_application("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap());
    signed.exports();
    assert_eq!(signed.entra.given(), ["assertion"], "a token that is good is not asked for again");
    std::fs::write(&file, "planted.other.token").unwrap();
    signed.is_refused("a token that is not known", &["AZURE_FEDERATED_TOKEN_FILE"]);
    std::fs::remove_file(&file).unwrap();
    signed.is_refused("no token", &["AZURE_FEDERATED_TOKEN_FILE"]);
}

#[test]
fn the_identity_of_a_machine() {
    let signed = Signed::new(84, AN_HOUR);
    let endpoint = format!("{}/identity", signed.entra.url());
    let scene = signed.scene.with("IDENTITY_ENDPOINT", &endpoint).with("IDENTITY_HEADER", IDENTITY_HEADER);
    let signed = Signed { scene, ..signed };
    signed.exports();
    assert_eq!(signed.entra.given(), ["identity"]);
    let signed = Signed { scene: signed.scene.with("AZURE_CLIENT_ID", "another"), ..signed };
    signed.is_refused("no such identity", &["managed identity"]);
}

#[test]
fn a_person_who_signed_in_with_az() {
    let signed = Signed::new(85, AN_HOUR);
    let (folder, token) = (signed.scene.path("bin"), signed.entra.token());
    std::fs::create_dir(&folder).unwrap();
    let az = folder.join("az");
    let says = |text: &str| {
        std::fs::write(&az, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&az, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    says(&format!(
        "echo '{{\"accessToken\":\"{token}\",\"expiresOn\":\"2099-01-01 00:00:00.000000\",\"subscription\":\"s\",\
         \"tenant\":\"t\",\"tokenType\":\"Bearer\"}}'"
    ));
    let path = format!("{}:/usr/bin:/bin", folder.display());
    let scene = signed.scene.with("PATH", &path).with("AZURE_TOKEN_CREDENTIALS", "dev");
    let signed = Signed { scene, ..signed };
    signed.exports();
    says("echo 'Please run az login to setup account. planted' >&2; exit 1");
    signed.is_refused("nobody signed in", &["az login"]);
    std::fs::remove_file(&az).unwrap();
    signed.is_refused("no az", &["az login"]);
}
