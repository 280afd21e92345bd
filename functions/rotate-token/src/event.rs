//! What Secrets Manager sends: `{"Step","SecretId","ClientRequestToken"}`, read once at the door.
//!
//! `RotationToken`, which comes with a role that is assumed for the rotation, and whatever is added later, are left alone.

use callvault_bootstrap::lambda::refusal::Refusal;
use callvault_pipeline::rotation::Order;
use serde_json::Value;

/// The longest that is taken for a name: an ARN has at most so many letters.
const LONGEST: usize = 2048;

const EXPECTED: &str =
    r#"expected {"Step":"createSecret","SecretId":"...","ClientRequestToken":"..."}, as Secrets Manager sends it"#;

/// Reads an event.
///
/// # Errors
/// [`Refusal`] with the code `event-malformed`, or `unknown-step`.
pub fn read(event: &Value) -> Result<Order, Refusal> {
    let text = |name: &str| {
        let wrong = |what: &str| Refusal::malformed(format!("`{name}` is {what}: {EXPECTED}"));
        let value = event.get(name).ok_or_else(|| wrong("missing"))?;
        let value = value.as_str().ok_or_else(|| wrong("not a text"))?;
        let legal = !value.is_empty() && value.len() <= LONGEST && !value.chars().any(char::is_control);
        if legal { Ok(value.to_owned()) } else { Err(wrong("empty or not a name")) }
    };
    if !event.is_object() {
        return Err(Refusal::malformed(format!("the event is not a JSON object: {EXPECTED}")));
    }
    let (step, secret, version) = (text("Step")?, text("SecretId")?, text("ClientRequestToken")?);
    let step = step.parse().map_err(|()| {
        let shown: String = step.chars().take(40).collect();
        let message = format!("`{shown}` is no step: expected createSecret, setSecret, testSecret or finishSecret");
        Refusal { code: "unknown-step", message }
    })?;
    Ok(Order { step, secret, version })
}
