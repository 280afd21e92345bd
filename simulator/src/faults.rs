//! Faults: what goes wrong, how often, and where.
//!
//! Owns the rules and the dice. Decides only; the server and the endpoints carry out what was decided. All rules that
//! concern a request are asked once, at its start, so that an n-th call is the n-th call whatever else goes wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::chance::Chance;
use crate::lock;

/// Everything that can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FaultName {
    /// 429 with `Retry-After: 1`, without effect.
    Throttled,
    /// 503, without effect.
    Unavailable,
    /// The request takes effect, then the connection closes without an answer.
    Dropped,
    /// The request takes effect, then nothing for 40 s, then the connection closes.
    Hang,
    /// The answer comes 0.2 to 1 s late.
    Slow,
    /// A media body ends before its declared length.
    CutBody,
    /// A JSON answer ends before its declared length; the request took effect.
    CutJson,
    /// A media body has neither length nor chunks: it ends with the connection, so a cut cannot be told.
    EndlessBody,
    /// A media body stops for 60 s, then goes on.
    StalledBody,
    /// The media URL is refused with 403, as if it had expired.
    ExpiredUrl,
    /// The token is forgotten; this request gets 401.
    ExpiredToken,
    /// Per job, decided when it is submitted: it takes three times as long.
    LateResults,
    /// Per job: for a time the counts are equal though more results follow.
    EarlyCounts,
    /// Per job: some results are listed twice, with the same URL or another.
    RepeatedResults,
    /// Per job: the status has no `status` field. Such a job has no early counts: nobody could tell.
    MissingStatus,
    /// The job is unknown from this poll on.
    ForgottenJob,
    /// A query page after the first looks as if a row had appeared before it, or vanished.
    ShiftingPages,
    /// The metadata of a conversation without recordings are 404 instead of `[]`: both are legal.
    MissingMetadata,
    /// 403 without effect, in what needs a permission: voicemail, callbacks, the query, metadata and batches.
    Forbidden,
    /// The media of a voicemail is not prepared yet: 202 without a body.
    MediaNotReady,
    /// Media: 503 with `Retry-After: 1`, without effect.
    MediaBusy,
}

impl FaultName {
    /// All of them.
    pub const ALL: [FaultName; 21] = [
        Self::Throttled,
        Self::Unavailable,
        Self::Dropped,
        Self::Hang,
        Self::Slow,
        Self::CutBody,
        Self::CutJson,
        Self::EndlessBody,
        Self::StalledBody,
        Self::ExpiredUrl,
        Self::ExpiredToken,
        Self::LateResults,
        Self::EarlyCounts,
        Self::RepeatedResults,
        Self::MissingStatus,
        Self::ForgottenJob,
        Self::ShiftingPages,
        Self::MissingMetadata,
        Self::Forbidden,
        Self::MediaNotReady,
        Self::MediaBusy,
    ];

    /// The word in `POST /_sim/faults`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::Dropped => "dropped",
            Self::Hang => "hang",
            Self::Slow => "slow",
            Self::CutBody => "cut-body",
            Self::CutJson => "cut-json",
            Self::EndlessBody => "endless-body",
            Self::StalledBody => "stalled-body",
            Self::ExpiredUrl => "expired-url",
            Self::ExpiredToken => "expired-token",
            Self::LateResults => "late-results",
            Self::EarlyCounts => "early-counts",
            Self::RepeatedResults => "repeated-results",
            Self::MissingStatus => "missing-status",
            Self::ForgottenJob => "forgotten-job",
            Self::ShiftingPages => "shifting-pages",
            Self::MissingMetadata => "missing-metadata",
            Self::Forbidden => "forbidden",
            Self::MediaNotReady => "media-not-ready",
            Self::MediaBusy => "media-busy",
        }
    }

    /// The operations it can happen to.
    fn concerns(self, operation: &str) -> bool {
        let media = operation == "media";
        match self {
            Self::Unavailable | Self::Dropped | Self::Hang | Self::Slow => true,
            Self::Throttled | Self::CutJson => !media,
            Self::CutBody | Self::EndlessBody | Self::StalledBody | Self::ExpiredUrl | Self::MediaBusy => media,
            Self::ExpiredToken => !media && !operation.starts_with("token") && operation != "authorize",
            Self::LateResults | Self::EarlyCounts | Self::RepeatedResults | Self::MissingStatus => {
                operation == "batch-submit"
            }
            Self::ForgottenJob => operation == "batch-status" || operation == "history-status",
            Self::ShiftingPages => operation == "conversations-query",
            Self::MissingMetadata => operation == "recordingmetadata",
            Self::Forbidden => {
                let harmless = operation != "voicemail-delete-all";
                let client = ["conversations-query", "recordingmetadata", "batch-submit"];
                operation == "callback-disconnect"
                    || operation.starts_with("voicemail-") && harmless
                    || client.contains(&operation)
            }
            Self::MediaNotReady => operation == "voicemail-media",
        }
    }

    /// How probable it is in a profile.
    fn probability(self, profile: Profile) -> f64 {
        let (usual, hostile) = match self {
            // A refusal is not bad luck: who wants one asks for it.
            Self::Hang | Self::EndlessBody | Self::StalledBody | Self::Forbidden => (0.0, 0.0),
            Self::MediaNotReady => (0.20, 0.50),
            // Each stops every request there for a second; media have no others to hide behind.
            Self::Throttled => (0.005, 0.05),
            Self::MediaBusy => (0.001, 0.01),
            Self::Unavailable => (0.012, 0.12),
            Self::Dropped | Self::Slow => (0.02, 0.10),
            Self::CutJson => (0.015, 0.12),
            Self::CutBody | Self::ExpiredUrl => (0.02, 0.18),
            Self::ExpiredToken | Self::ForgottenJob => (0.01, 0.03),
            Self::ShiftingPages => (0.03, 0.20),
            Self::MissingMetadata => (0.50, 0.50),
            Self::LateResults | Self::EarlyCounts | Self::RepeatedResults | Self::MissingStatus => (0.20, 0.60),
        };
        match profile {
            Profile::None => 0.0,
            Profile::Usual => usual,
            Profile::Hostile => hostile,
        }
    }
}

impl fmt::Display for FaultName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A ready-made set of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Nothing goes wrong.
    #[default]
    None,
    /// What a bad week shows: each fault in one to three of a hundred requests, in one of five jobs.
    Usual,
    /// Ten times that.
    Hostile,
}

impl Profile {
    /// The faults of the profile.
    pub fn faults(self) -> Vec<Fault> {
        FaultName::ALL
            .into_iter()
            .map(|name| Fault::new(name).probability(name.probability(self)))
            .filter(|fault| fault.probability.is_some_and(|p| p > 0.0))
            .collect()
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "none" => Ok(Self::None),
            "usual" => Ok(Self::Usual),
            "hostile" => Ok(Self::Hostile),
            _ => Err(format!("faults must be none, usual or hostile, got `{word}`")),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Usual => "usual",
            Self::Hostile => "hostile",
        })
    }
}

/// One rule. Without a probability and without call numbers it strikes every time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What goes wrong.
    pub name: FaultName,
    /// How often, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// Only in this operation (the words of `GET /_sim/requests`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// In these calls of the operation, counted from 1 since the rule was set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<u64>,
    /// At most so many times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

impl Fault {
    /// A rule that strikes every time.
    pub fn new(name: FaultName) -> Self {
        Self { name, probability: None, operation: None, calls: Vec::new(), times: None }
    }

    /// Strikes with this probability.
    pub fn probability(self, probability: f64) -> Self {
        Self { probability: Some(probability), ..self }
    }

    /// Strikes only this operation.
    pub fn operation(self, operation: &str) -> Self {
        Self { operation: Some(operation.into()), ..self }
    }

    /// Strikes these calls, counted from 1.
    pub fn calls(self, calls: &[u64]) -> Self {
        Self { calls: calls.to_vec(), ..self }
    }

    /// Strikes at most so many times.
    pub fn times(self, times: u64) -> Self {
        Self { times: Some(times), ..self }
    }
}

/// What strikes one request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Struck(BTreeSet<FaultName>);

impl Struck {
    pub(crate) fn by(&self, name: FaultName) -> bool {
        self.0.contains(&name)
    }
}

/// The rules in force, with their counters.
#[derive(Debug)]
pub(crate) struct Faults {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rules: Vec<Rule>,
    chance: Chance,
    struck: BTreeMap<String, u64>,
}

#[derive(Debug)]
struct Rule {
    fault: Fault,
    calls: u64,
    struck: u64,
}

impl Faults {
    pub(crate) fn new(faults: Vec<Fault>, seed: u64) -> Self {
        let state = State { rules: Vec::new(), chance: Chance::new(seed, "faults"), struck: BTreeMap::new() };
        let this = Self { state: Mutex::new(state) };
        this.set(faults);
        this
    }

    /// Replaces all rules; their counters begin again.
    pub(crate) fn set(&self, faults: Vec<Fault>) {
        lock(&self.state).rules = faults.into_iter().map(|fault| Rule { fault, calls: 0, struck: 0 }).collect();
    }

    pub(crate) fn rules(&self) -> Vec<Fault> {
        lock(&self.state).rules.iter().map(|rule| rule.fault.clone()).collect()
    }

    /// How often each fault has struck since the start.
    pub(crate) fn totals(&self) -> BTreeMap<String, u64> {
        lock(&self.state).struck.clone()
    }

    /// Decides what goes wrong with one call of `operation`.
    pub(crate) fn strike(&self, operation: &str) -> Struck {
        self.strike_where(operation, |_| true)
    }

    /// The same, for a call to which only some faults can happen: the others are neither thrown for nor counted.
    pub(crate) fn strike_where(&self, operation: &str, can_happen: impl Fn(FaultName) -> bool) -> Struck {
        let state = &mut *lock(&self.state);
        let mut struck = Struck::default();
        for rule in &mut state.rules {
            let fault = &rule.fault;
            let elsewhere = fault.operation.as_deref().is_some_and(|only| only != operation);
            if elsewhere || !fault.name.concerns(operation) || !can_happen(fault.name) {
                continue;
            }
            rule.calls += 1;
            let always = fault.probability.is_none() && fault.calls.is_empty();
            let by_number = fault.calls.contains(&rule.calls);
            let by_dice = fault.probability.is_some_and(|p| state.chance.happens(p));
            let spent = fault.times.is_some_and(|times| rule.struck >= times);
            if (always || by_number || by_dice) && !spent {
                rule.struck += 1;
                *state.struck.entry(fault.name.to_string()).or_default() += 1;
                struck.0.insert(fault.name);
            }
        }
        struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_strikes_its_calls_of_its_operation_so_many_times() {
        let nth = Fault::new(FaultName::Unavailable).operation("token").calls(&[1, 3]);
        let twice = Fault::new(FaultName::CutBody).times(2);
        let faults = Faults::new(vec![nth, twice], 1);
        assert!(!faults.strike("batch-submit").by(FaultName::Unavailable));
        let hits: Vec<bool> = (0..4).map(|_| faults.strike("token").by(FaultName::Unavailable)).collect();
        assert_eq!(hits, [true, false, true, false]);
        let cuts: Vec<bool> = (0..4).map(|_| faults.strike("media").by(FaultName::CutBody)).collect();
        assert_eq!(cuts, [true, true, false, false]);
    }

    #[test]
    fn every_word_reads_back() {
        for name in FaultName::ALL {
            let read: FaultName = serde_json::from_str(&format!("\"{name}\"")).unwrap();
            assert_eq!(read, name);
        }
    }
}
