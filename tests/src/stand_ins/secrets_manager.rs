//! Secrets Manager's versions, by its own rules where moto is more forgiving: a stage is on one version only, a version
//! that lost its stages is not described any more, a value never changes, and a rotation begins with a version that has
//! no value (API reference of DescribeSecret, PutSecretValue, RotateSecret and UpdateSecretVersionStage).
//!
//! It listens nowhere: [`super::gate`] does.
#![expect(clippy::unwrap_used, reason = "a harness of tests fails by panicking")]

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};

const CURRENT: &str = "AWSCURRENT";
const PENDING: &str = "AWSPENDING";
const PREVIOUS: &str = "AWSPREVIOUS";

#[derive(Debug, Clone)]
struct Version {
    id: String,
    stages: Vec<String>,
    value: Option<String>,
}

#[derive(Debug, Clone)]
struct Secret {
    name: String,
    rotated: bool,
    /// What is put is refused, whatever it is.
    refuses: bool,
    versions: Vec<Version>,
}

/// The secrets of an account.
#[derive(Debug, Default)]
pub struct SecretsManager {
    secrets: Mutex<Vec<Secret>>,
}

type Answer = Result<Value, (&'static str, String)>;

impl SecretsManager {
    fn secrets(&self) -> MutexGuard<'_, Vec<Secret>> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, id: &str, work: impl FnOnce(&mut Secret) -> T) -> Option<T> {
        self.secrets().iter_mut().find(|secret| secret.is(id)).map(work)
    }

    /// Makes a secret with a current value.
    pub fn create(&self, name: &str, value: &str, rotated: bool) {
        let mut secret = Secret { name: name.to_owned(), rotated, refuses: false, versions: Vec::new() };
        secret.put("first-version-of-the-secret-0000", &[CURRENT.to_owned()], value).unwrap();
        self.secrets().push(secret);
    }

    /// A rotation begins: a pending version without a value. Begun again, it is the same one.
    pub fn begin_rotation(&self, name: &str, version: &str) {
        self.with(name, |secret| {
            if secret.versions.iter().all(|one| one.id != version) {
                secret.versions.push(Version { id: version.to_owned(), stages: Vec::new(), value: None });
                secret.attach(PENDING, version);
            }
        });
    }

    /// A new current value, as somebody who signs in puts it.
    pub fn put_current(&self, name: &str, version: &str, value: &str) {
        self.with(name, |secret| secret.put(version, &[CURRENT.to_owned()], value)).unwrap().unwrap();
    }

    /// From now on it takes no value, or takes them again.
    pub fn refuse(&self, name: &str, refuses: bool) {
        self.with(name, |secret| secret.refuses = refuses);
    }

    /// Turns rotation on or off.
    pub fn rotate(&self, name: &str, rotated: bool) {
        self.with(name, |secret| secret.rotated = rotated);
    }

    /// The value with a stage, and the version.
    pub fn staged(&self, name: &str, stage: &str) -> Option<(String, Option<String>)> {
        self.with(name, |secret| {
            let found: Vec<&Version> = secret.versions.iter().filter(|version| version.has(stage)).collect();
            assert!(found.len() <= 1, "{stage} is on {} versions", found.len());
            found.first().map(|version| (version.id.clone(), version.value.clone()))
        })?
    }

    /// Everything about a secret, for comparing.
    pub fn state(&self, name: &str) -> String {
        self.with(name, |secret| format!("{:?}", secret.versions)).unwrap_or_default()
    }

    /// Answers a call: status and JSON.
    pub fn answer(&self, operation: &str, body: &Value) -> (u16, Value) {
        let answer = match operation {
            "CreateSecret" => {
                self.create(text(body, "Name").unwrap(), text(body, "SecretString").unwrap(), false);
                Ok(json!({ "Name": body["Name"] }))
            }
            _ => {
                let id = text(body, "SecretId").unwrap_or_default();
                let missing =
                    || ("ResourceNotFoundException", "Secrets Manager can't find the specified secret.".to_owned());
                self.with(id, |secret| secret.answer(operation, body)).unwrap_or_else(|| Err(missing()))
            }
        };
        match answer {
            Ok(answer) => (200, answer),
            Err((code, message)) => (400, json!({ "__type": code, "message": message })),
        }
    }
}

impl Version {
    fn has(&self, stage: &str) -> bool {
        self.stages.iter().any(|one| one == stage)
    }
}

impl Secret {
    fn arn(&self) -> String {
        format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:{}-AbCdEf", self.name)
    }

    fn is(&self, id: &str) -> bool {
        self.name == id || self.arn() == id
    }

    fn detach(&mut self, stage: &str) {
        for one in &mut self.versions {
            one.stages.retain(|there| there != stage);
        }
    }

    fn attach(&mut self, stage: &str, version: &str) {
        self.detach(stage);
        for one in &mut self.versions {
            if one.id == version {
                one.stages.push(stage.to_owned());
            }
        }
    }

    /// The current stage leaves the previous one behind.
    fn make_current(&mut self, version: &str) {
        let was = self.versions.iter().find(|one| one.has(CURRENT)).map(|one| one.id.clone());
        self.attach(CURRENT, version);
        if let Some(was) = was.filter(|was| was != version) {
            self.attach(PREVIOUS, &was);
        }
    }

    fn put(&mut self, version: &str, stages: &[String], value: &str) -> Result<(), (&'static str, String)> {
        if self.refuses {
            return Err((
                "AccessDeniedException",
                "not authorized to perform: secretsmanager:PutSecretValue".to_owned(),
            ));
        }
        match self.versions.iter_mut().find(|one| one.id == version) {
            Some(one) if one.value.as_deref() == Some(value) => return Ok(()),
            Some(Version { value: Some(_), .. }) => {
                return Err(("ResourceExistsException", "a version with this token has another value".to_owned()));
            }
            Some(one) => one.value = Some(value.to_owned()),
            None => self.versions.push(Version {
                id: version.to_owned(),
                stages: Vec::new(),
                value: Some(value.to_owned()),
            }),
        }
        for stage in stages {
            if stage == CURRENT { self.make_current(version) } else { self.attach(stage, version) }
        }
        Ok(())
    }

    fn answer(&mut self, operation: &str, body: &Value) -> Answer {
        let head = json!({ "ARN": self.arn(), "Name": self.name });
        let with = |more: Value| {
            let mut answer = head.clone();
            answer.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
            Ok(answer)
        };
        match operation {
            "DescribeSecret" => {
                let versions = self.versions.iter().filter(|version| !version.stages.is_empty());
                let stages: Map<String, Value> =
                    versions.map(|version| (version.id.clone(), json!(version.stages))).collect();
                with(json!({ "RotationEnabled": self.rotated, "VersionIdsToStages": stages }))
            }
            "ListSecretVersionIds" => {
                let every = body["IncludeDeprecated"] == json!(true);
                let versions = self.versions.iter().enumerate();
                let shown = versions.filter(|(_, version)| every || !version.stages.is_empty()).map(|(n, version)| {
                    json!({ "VersionId": version.id, "VersionStages": version.stages, "CreatedDate": 1_700_000_000 + n })
                });
                with(json!({ "Versions": shown.collect::<Vec<_>>() }))
            }
            "GetSecretValue" => {
                let version = self.wanted(text(body, "VersionId"), text(body, "VersionStage"))?;
                let missing = "Secrets Manager can't find the specified secret value for its version";
                let value = version.value.clone().ok_or(("ResourceNotFoundException", missing.to_owned()))?;
                with(json!({ "VersionId": version.id, "VersionStages": version.stages, "SecretString": value }))
            }
            "PutSecretValue" => {
                let version = text(body, "ClientRequestToken").unwrap().to_owned();
                let stages: Vec<String> = match body["VersionStages"].as_array() {
                    Some(stages) => stages.iter().map(|stage| stage.as_str().unwrap().to_owned()).collect(),
                    None => vec![CURRENT.to_owned()],
                };
                self.put(&version, &stages, text(body, "SecretString").unwrap())?;
                with(json!({ "VersionId": version, "VersionStages": stages }))
            }
            "UpdateSecretVersionStage" => {
                let stage = text(body, "VersionStage").unwrap();
                let on = self.versions.iter().find(|version| version.has(stage)).map(|version| version.id.clone());
                if on.as_deref() != text(body, "RemoveFromVersionId") {
                    let message = format!("the staging label {stage} is not attached to RemoveFromVersionId");
                    return Err(("InvalidParameterException", message));
                }
                match text(body, "MoveToVersionId") {
                    Some(to) if stage == CURRENT => self.make_current(to),
                    Some(to) => self.attach(stage, to),
                    None => self.detach(stage),
                }
                with(json!({}))
            }
            other => Err(("UnknownOperationException", other.to_owned())),
        }
    }

    fn wanted(&self, id: Option<&str>, stage: Option<&str>) -> Result<&Version, (&'static str, String)> {
        let missing =
            || ("ResourceNotFoundException", "Secrets Manager can't find the specified secret value".to_owned());
        match (id, stage) {
            (Some(id), stage) => {
                let version = self.versions.iter().find(|version| version.id == id).ok_or_else(missing)?;
                match stage {
                    Some(stage) if !version.has(stage) => {
                        let message = "the VersionStage is not associated to the VersionId".to_owned();
                        Err(("InvalidRequestException", message))
                    }
                    _ => Ok(version),
                }
            }
            (None, stage) => {
                let stage = stage.unwrap_or(CURRENT);
                self.versions.iter().find(|version| version.has(stage)).ok_or_else(missing)
            }
        }
    }
}

fn text<'a>(body: &'a Value, name: &str) -> Option<&'a str> {
    body[name].as_str()
}
