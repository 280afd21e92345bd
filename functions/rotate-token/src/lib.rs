//! `rotate-token`: renews the tokens of the user in whose name voicemail is read, under Secrets Manager's rotation.
//!
//! | module | owns |
//! |---|---|
//! | [`event`] | what Secrets Manager sends |
//! | [`genesys`] | the token endpoint and the API |
//!
//! What a step does is the pipeline's (`rotation`). Unlike the functions of stages this one fails where it cannot go on:
//! Secrets Manager runs a rotation again for that, and only for that.

pub mod event;
pub mod genesys;

use std::sync::Arc;

use callvault_aws::secrets::SecretVersions;
use callvault_bootstrap::lambda::Function;
use callvault_bootstrap::lambda::refusal::Refusal;
use callvault_bootstrap::metrics::rotation::{Rotated, line};
use callvault_bootstrap::settings::{LedgerPlace, Need, Settings};
use callvault_bootstrap::{aws, system};
use callvault_pipeline::rotation::Rotation;
use callvault_pipeline::rotation::fault::RotationFault;
use genesys::{GenesysTokens, Org};
use jiff::Timestamp;
use serde_json::{Value, json};

/// The name or ARN of the rescue secret. Where it is not set: that of the secret, with `-rescue` behind.
const RESCUE_SECRET_ID: &str = "RESCUE_SECRET_ID";

/// The environment variables it reads. Which secret it rotates says the event.
pub const SETTINGS: &[&str] =
    &["GENESYS_REGION", "RESCUE_SECRET_ID", "LEDGER", "ARCHIVE", "ENVIRONMENT", "KEY_LAYOUT", "TIMEZONE", "LOG_LEVEL"];

/// The function.
pub const FUNCTION: Function =
    Function { name: "rotate-token", stages: &[], settings: SETTINGS, source: true, archive: false };

/// What an instance keeps.
#[derive(Debug)]
pub struct Parts {
    /// The rotation, over its ports.
    pub rotation: Rotation,
    /// `ENVIRONMENT`.
    pub environment: String,
}

/// One invocation.
#[derive(Debug, Clone, Copy)]
pub struct Invocation<'a> {
    /// Its id.
    pub request_id: &'a str,
    /// When its work must have ended.
    pub deadline: Timestamp,
}

impl Parts {
    /// Parts as the settings say. Sends nothing.
    ///
    /// # Errors
    /// [`Refusal`]: all faults of the settings together.
    pub fn connect(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Refusal> {
        let settings = Settings::read(Need::Nothing, &lookup)?;
        let LedgerPlace::DynamoDb(table) = &settings.ledger else {
            return Err(Refusal::settings("a function works with LEDGER=dynamodb:TABLE"));
        };
        let sdk = aws::of_function(system::environment);
        let org = match settings.endpoints.clone() {
            Some(endpoints) if lookup("GENESYS_URL").is_some() => Org::Fixed(endpoints),
            endpoints => Org::OfSecret(endpoints),
        };
        let clock = system::clock();
        let rotation = Rotation {
            secrets: Arc::new(SecretVersions::new(&sdk, lookup(RESCUE_SECRET_ID))),
            lineage: Arc::new(aws::ledger(&sdk, table)),
            tokens: Arc::new(GenesysTokens { org, clock: Arc::clone(&clock) }),
            clock,
            holder: system::holder(),
        };
        Ok(Self { rotation, environment: settings.layout.environment().to_owned() })
    }
}

/// Does what Secrets Manager orders. Answers `{"step","outcome"}`, which nobody reads but people, and the metrics.
pub async fn handle(event: &Value, parts: &Parts, invocation: &Invocation<'_>) -> (Result<Value, Refusal>, Value) {
    let mut rotated = Rotated {
        environment: &parts.environment,
        function: FUNCTION.name,
        request_id: invocation.request_id,
        sign_in_needed: false,
        pair_not_saved: false,
        current_ends: None,
        fault: None,
    };
    let answer = match event::read(event) {
        Err(refusal) => Err(refusal),
        Ok(order) => match Box::pin(parts.rotation.run(&order, invocation.deadline)).await {
            Ok(done) => {
                let (step, outcome) = (order.step.as_str(), done.outcome.as_str());
                tracing::info!(step, outcome, "rotate-token: {step}: {outcome}");
                rotated.current_ends = done.current_ends;
                Ok(json!({ "step": step, "outcome": outcome }))
            }
            Err(fault) => {
                rotated.sign_in_needed = fault.is_for_a_person();
                rotated.pair_not_saved = fault.is_about_a_pair();
                Err(refusal(&fault))
            }
        },
    };
    rotated.fault = answer.as_ref().err().map(|refusal| refusal.code);
    let metrics = line(parts.rotation.clock.now(), &rotated);
    (answer, metrics)
}

fn refusal(fault: &RotationFault) -> Refusal {
    Refusal { code: fault.code(), message: fault.to_string() }
}
