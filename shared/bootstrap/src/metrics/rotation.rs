//! The metrics of a user's tokens.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{ENVIRONMENT, Line};

/// Rotations that only a person can mend, by signing in.
pub const SIGN_INS_NEEDED: &str = "SignInsNeeded";
/// Pairs that were received and are not where they belong.
pub const PAIRS_NOT_SAVED: &str = "PairsNotSaved";
/// How long the access token that everybody reads is still good.
pub const TOKEN_SECONDS_LEFT: &str = "TokenSecondsLeft";

/// What a step of a rotation came to.
#[derive(Debug, Clone, Copy)]
pub struct Rotated<'a> {
    /// `ENVIRONMENT`.
    pub environment: &'a str,
    /// The function's name, for whoever reads the line.
    pub function: &'a str,
    /// The invocation's id, for whoever reads the line.
    pub request_id: &'a str,
    /// Whether a person must sign in.
    pub sign_in_needed: bool,
    /// Whether a pair is not where it belongs.
    pub pair_not_saved: bool,
    /// When the current access token ends, where that was looked at.
    pub current_ends: Option<Timestamp>,
    /// The code of what it could not go on for.
    pub fault: Option<&'a str>,
}

/// The line of a step.
pub fn line(at: Timestamp, rotated: &Rotated<'_>) -> Value {
    let mut line = Line::new(rotated.environment, rotated.function, rotated.request_id);
    let count = |is: bool| u64::from(is);
    let counts = [
        (SIGN_INS_NEEDED, "Count", count(rotated.sign_in_needed)),
        (PAIRS_NOT_SAVED, "Count", count(rotated.pair_not_saved)),
    ];
    line.metrics(&[&[ENVIRONMENT]], &counts);
    if let Some(ends) = rotated.current_ends {
        line.metrics(&[&[ENVIRONMENT]], &[(TOKEN_SECONDS_LEFT, "Seconds", seconds_left(ends, at))]);
    }
    if let Some(code) = rotated.fault {
        line.field("code", json!(code));
    }
    line.finish(at)
}

/// The line of somebody who has read the current token: so its age is known also while nothing rotates it.
pub fn token_line(environment: &str, function: &str, request_id: &str, ends: Timestamp, at: Timestamp) -> Value {
    let mut line = Line::new(environment, function, request_id);
    line.metrics(&[&[ENVIRONMENT]], &[(TOKEN_SECONDS_LEFT, "Seconds", seconds_left(ends, at))]);
    line.finish(at)
}

/// Whole seconds; 0 once it has ended.
fn seconds_left(ends: Timestamp, at: Timestamp) -> u64 {
    Duration::try_from(ends.duration_since(at)).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::tests::checked;
    use super::*;

    fn rotated<'a>() -> Rotated<'a> {
        Rotated {
            environment: "prod",
            function: "rotate-token",
            request_id: "r",
            sign_in_needed: true,
            pair_not_saved: false,
            current_ends: Some(Timestamp::UNIX_EPOCH + Duration::from_secs(90)),
            fault: Some("sign-in-needed"),
        }
    }

    #[test]
    fn a_line_has_every_metric_with_the_environment() {
        let line = line(Timestamp::UNIX_EPOCH, &rotated());
        let found: BTreeSet<(String, Vec<String>)> = checked(&line).into_iter().collect();
        let names = [SIGN_INS_NEEDED, PAIRS_NOT_SAVED, TOKEN_SECONDS_LEFT];
        assert_eq!(found, names.map(|name| (name.to_owned(), vec!["environment".to_owned()])).into());
        assert_eq!((&line[SIGN_INS_NEEDED], &line[PAIRS_NOT_SAVED]), (&json!(1), &json!(0)));
        assert_eq!((&line[TOKEN_SECONDS_LEFT], &line["code"]), (&json!(90), &json!("sign-in-needed")));
    }

    #[test]
    fn what_was_not_looked_at_is_left_out_and_what_has_ended_is_nothing() {
        let none = line(Timestamp::UNIX_EPOCH, &Rotated { current_ends: None, ..rotated() });
        assert_eq!(checked(&none).len(), 2);
        let later = Timestamp::UNIX_EPOCH + Duration::from_secs(91);
        let read = token_line("prod", "f", "r", Timestamp::UNIX_EPOCH, later);
        assert_eq!(checked(&read), [(TOKEN_SECONDS_LEFT.to_owned(), vec!["environment".to_owned()])]);
        assert_eq!(read[TOKEN_SECONDS_LEFT], 0);
    }
}
