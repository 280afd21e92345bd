//! What users have granted: authorization codes and refresh tokens, each good for one use.
//!
//! Owns their lives. Access tokens are the world's, since they outlive the grant that made them: an old one is valid
//! until it expires, whatever has become of its refresh token.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::lock;

/// Who may do what in whose name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) client: String,
    pub(crate) user: User,
    pub(crate) scopes: Vec<String>,
}

/// A signed-in user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// An authorization code, until it is used.
#[derive(Debug)]
pub(crate) struct Code {
    pub(crate) grant: Grant,
    pub(crate) redirect_uri: String,
    /// The S256 challenge, where one was given.
    pub(crate) challenge: Option<String>,
    /// The simulator's age at which it dies.
    pub(crate) dies: Duration,
}

/// A refresh token.
#[derive(Debug)]
struct Refresh {
    grant: Grant,
    /// Set when it is used: the age at which it dies.
    dies: Option<Duration>,
}

/// The grants of the org.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    codes: Mutex<HashMap<String, Code>>,
    refreshes: Mutex<HashMap<String, Refresh>>,
}

impl Grants {
    pub(crate) fn add_code(&self, text: String, code: Code) {
        lock(&self.codes).insert(text, code);
    }

    /// Takes a code out: whatever it is used for, it is used once.
    pub(crate) fn take_code(&self, text: &str, age: Duration) -> Option<Code> {
        lock(&self.codes).remove(text).filter(|code| age < code.dies)
    }

    pub(crate) fn add_refresh(&self, text: String, grant: Grant) {
        lock(&self.refreshes).insert(text, Refresh { grant, dies: None });
    }

    /// Uses a refresh token of `client`: it dies at once, or after `grace`.
    pub(crate) fn spend(&self, text: &str, client: &str, age: Duration, grace: Duration) -> Option<Grant> {
        let mut refreshes = lock(&self.refreshes);
        let found = refreshes.get_mut(text)?;
        if found.grant.client != client || found.dies.is_some_and(|end| end <= age) {
            return None;
        }
        found.dies.get_or_insert(age + grace);
        Some(found.grant.clone())
    }

    /// The refresh tokens that were never used.
    pub(crate) fn unspent(&self) -> Vec<String> {
        let refreshes = lock(&self.refreshes);
        let mut unspent: Vec<String> =
            refreshes.iter().filter(|(_, refresh)| refresh.dies.is_none()).map(|(text, _)| text.clone()).collect();
        unspent.sort();
        unspent
    }
}
