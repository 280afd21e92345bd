//! A secret that is rotated, an org, the function behind a gate, and a driver as Secrets Manager's own: it runs the four
//! steps with one version, stops at one that fails, runs everything again, and later with a new version.

use std::sync::Arc;
use std::time::Duration;

use callvault_aws::user_secret::UserSecretStore;
use callvault_simulator::{Options, Simulator};
use callvault_tests::stand_ins::gate::{Gate, Harm};
use callvault_tests::stand_ins::lambda::{Answer, Instance, LambdaRuntime, log_of};
use callvault_tests::stand_ins::moto::{Moto, unique};
use callvault_tests::stand_ins::secrets_manager::SecretsManager;
use callvault_tests::stand_ins::table;
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

const FUNCTION: &str = "rotate-token";

/// That of the OAuth client, for whom the log is searched too.
pub(crate) const CLIENT_SECRET: &str = "planted-client-secret-0123456789";

/// Nobody waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) struct Scene {
    pub(crate) simulator: Simulator,
    pub(crate) secrets: Arc<SecretsManager>,
    pub(crate) gate: Gate,
    lambda: LambdaRuntime,
    moto: Moto,
    settings: Vec<(String, String)>,
    instance: std::sync::Mutex<Option<Instance>>,
    folder: TempDir,
}

/// Why a rotation did not come to its end.
pub(crate) type Code = String;

impl Scene {
    pub(crate) async fn start() -> Self {
        let mut options = Options::new(jiff::civil::date(2026, 1, 20));
        options.conversations = 1;
        options.client_secret = CLIENT_SECRET.to_owned();
        options.token_life = Duration::from_secs(48 * 3600);
        options.rate_per_minute = 100_000;
        let simulator = Simulator::start(options).await.unwrap();
        let moto = Moto::shared();
        let ledger = unique("rotation");
        table::create(&moto.sdk(), &ledger).await;
        let secrets = Arc::new(SecretsManager::default());
        let gate = Gate::open(Arc::clone(&secrets), moto.url(), &simulator.url()).await;
        let mut settings: Vec<(String, String)> =
            moto.environment().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        settings.retain(|(name, _)| name != "AWS_ENDPOINT_URL");
        for (name, value) in [
            ("AWS_ENDPOINT_URL", gate.aws()),
            ("GENESYS_URL", gate.genesys()),
            ("LEDGER", format!("dynamodb:{ledger}")),
            ("LOG_LEVEL", "debug".to_owned()),
            ("AWS_LC_SYS_NO_JITTER_ENTROPY", "1".to_owned()),
        ] {
            settings.push((name.to_owned(), value));
        }
        let folder = tempfile::Builder::new().prefix("callvault-rotation").tempdir().unwrap();
        let instance = std::sync::Mutex::default();
        Self { simulator, secrets, gate, lambda: LambdaRuntime::start(), moto, settings, instance, folder }
    }

    /// A new secret in whose name somebody has just signed in, with a rescue secret that holds nothing.
    pub(crate) fn secret(&self) -> String {
        let name = unique("voicemail");
        self.secrets.create(&name, &self.document(), true);
        self.secrets.create(&format!("{name}-rescue"), "{}", false);
        name
    }

    /// What `callvault login` writes, among keys of somebody else's.
    pub(crate) fn document(&self) -> String {
        let pair = self.simulator.grant();
        let ends = Timestamp::from_second(self.simulator.now().as_second() + 48 * 3600).unwrap();
        format!(
            r#"{{"owner":"quality","clientId":"demo","clientSecret":"planted-client-secret-0123456789","limit":1.50000000000000000001,"accessToken":{},"refreshToken":{},"expiresAt":"{ends}","nested":{{"b":[1, 2]}}}}"#,
            pair["access_token"], pair["refresh_token"]
        )
    }

    /// Writes a document as `callvault login` does.
    pub(crate) async fn login(&self, secret: &str, document: &str) {
        let sdk = self.moto.sdk().into_builder().endpoint_url(self.gate.aws()).build();
        UserSecretStore::new(&sdk, secret).write(&document.to_owned().into()).await.unwrap();
    }

    /// The SDK's configuration for moto, which from now on is also the function's Secrets Manager.
    pub(crate) fn over_moto(&mut self) -> aws_config::SdkConfig {
        for (name, value) in &mut self.settings {
            if name == "AWS_ENDPOINT_URL" {
                *value = self.moto.url().to_owned();
            }
        }
        self.moto.sdk()
    }

    /// A new process of the function, in place of the one there was.
    pub(crate) fn renew(&self) {
        let mut instance = self.instance.lock().unwrap();
        *instance = None;
        *instance = Some(self.lambda.instance(FUNCTION, &self.settings, &log_of(self.folder.path(), FUNCTION, 0)));
    }

    pub(crate) async fn invoke(&self, event: &Value) -> Option<Answer> {
        if self.instance.lock().unwrap().is_none() {
            self.renew();
        }
        tokio::select! {
            answer = self.lambda.invoke(FUNCTION, event, PATIENCE) => answer,
            () = self.gate.to_be_killed() => {
                self.renew();
                self.gate.killed();
                None
            }
        }
    }

    /// One step: its outcome, or the code of its error; `killed` if there was no answer.
    pub(crate) async fn step(&self, secret: &str, version: &str, step: &str) -> Result<String, Code> {
        let event = json!({ "Step": step, "SecretId": secret, "ClientRequestToken": version });
        let Some(answer) = self.invoke(&event).await else { return Err("killed".to_owned()) };
        match answer.error_type() {
            Some(code) => Err(code.to_owned()),
            None => Ok(answer.body["outcome"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()),
        }
    }

    /// Runs the steps until one fails.
    pub(crate) async fn rotate(&self, secret: &str, version: &str) -> Result<(), Code> {
        self.secrets.begin_rotation(secret, version);
        for step in STEPS {
            self.step(secret, version, step).await?;
        }
        Ok(())
    }

    /// As Secrets Manager does it.
    pub(crate) async fn rotate_until_done(&self, secret: &str) -> Result<(), Code> {
        let mut last = String::new();
        for version in ["a-first-version-of-this-rotation"; 4].iter().chain(&["a-later-version-of-the-rotation"; 4]) {
            match self.rotate(secret, version).await {
                Ok(()) => return Ok(()),
                Err(code) => last = code,
            }
        }
        Err(last)
    }

    pub(crate) fn current(&self, secret: &str) -> Value {
        let (_, value) = self.secrets.staged(secret, "AWSCURRENT").unwrap();
        serde_json::from_str(&value.unwrap()).unwrap()
    }

    /// Whether the org accepts an access token.
    pub(crate) async fn is_accepted(&self, document: &Value) -> bool {
        let token = document["accessToken"].as_str().unwrap();
        let asked = reqwest::Client::builder().no_proxy().build().unwrap();
        let asked = asked.get(format!("{}/api/v2/users/me", self.simulator.url())).bearer_auth(token).send().await;
        asked.unwrap().status().is_success()
    }

    /// Whether a refresh token was never used.
    pub(crate) fn is_unspent(&self, document: &Value) -> bool {
        let refresh = document["refreshToken"].as_str().unwrap().to_owned();
        self.simulator.unspent_refresh_tokens().contains(&refresh)
    }

    /// There is one current version, both its tokens are good, and what belongs to others is what it was.
    pub(crate) async fn assert_good(&self, secret: &str, words: &str) {
        let current = self.current(secret);
        assert!(self.is_accepted(&current).await, "{words}");
        assert!(self.is_unspent(&current), "{words}");
        let (_, text) = self.secrets.staged(secret, "AWSCURRENT").unwrap();
        let text = text.unwrap();
        let head = r#"{"owner":"quality","clientId":"demo","clientSecret":"planted-client-secret-0123456789","limit":1.50000000000000000001,"#;
        assert!(text.starts_with(head) && text.ends_with(r#""nested":{"b":[1, 2]}}"#), "{words}");
    }

    /// Token requests since the gate was last set.
    pub(crate) fn exchanges(&self) -> usize {
        self.gate.calls().iter().filter(|call| *call == "POST /oauth/token").count()
    }

    /// Everything the function has written so far, on both outputs.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(log_of(self.folder.path(), FUNCTION, 0)).unwrap()
    }

    /// Nothing of a secret is in the log.
    pub(crate) fn assert_silent(&self, planted: &[String]) {
        let log = self.log();
        assert!(log.contains("\"outcome\""), "{log}");
        for secret in self.gate.secrets().iter().chain(planted) {
            assert!(secret.len() > 8 && !log.contains(secret.as_str()), "a token is in the log");
        }
        for name in ["accessToken", "refreshToken", CLIENT_SECRET, "access_token", "Bearer ", "voicemail@example.com"] {
            assert!(!log.contains(name), "{name} is in the log");
        }
    }

    /// The tokens of a document, which the log must not hold.
    pub(crate) fn tokens(&self, secret: &str) -> Vec<String> {
        let current = self.current(secret);
        ["accessToken", "refreshToken"].map(|name| current[name].as_str().unwrap().to_owned()).into()
    }
}

/// The words for a case.
pub(crate) fn words(harm: Harm, number: usize, calls: &[String]) -> String {
    format!("{harm:?} of call {number} ({}): {calls:?}", calls.get(number).map_or("none", String::as_str))
}
