//! Errors of functions: a stable code for alarms and dead letters, and a sentence that says what to do.

use callvault_aws::secrets::SecretError;
use callvault_calls::store::StoreError;
use callvault_pipeline::archive::ArchiveError;
use callvault_pipeline::ledger::LedgerError;
use callvault_pipeline::stages::Fault;
use lambda_runtime::Diagnostic;

use crate::aws::Unbound;
use crate::logging::LEVELS;
use crate::settings::SettingsFaults;

/// Why a function could not do anything, or could not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Stable: Lambda's `errorType`.
    pub code: &'static str,
    /// What to do about it. No secrets, no URLs, no content.
    pub message: String,
}

impl Refusal {
    /// An event that the function does not understand; it is the sender's to mend, so it goes to the dead letters.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self { code: "event-malformed", message: message.into() }
    }

    /// Settings that cannot be used.
    pub fn settings(message: impl Into<String>) -> Self {
        Self { code: "settings", message: message.into() }
    }

    pub(super) fn level(level: &str) -> Self {
        let shown: String = level.chars().filter(|c| !c.is_control()).take(20).collect();
        Self::settings(format!("LOG_LEVEL is `{shown}`: expected one of {}", LEVELS.join(", ")))
    }
}

impl From<Refusal> for Diagnostic {
    fn from(refusal: Refusal) -> Self {
        Self { error_type: refusal.code.to_owned(), error_message: refusal.message }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { code: fault.code(), message: fault.to_string() }
    }
}

impl From<LedgerError> for Refusal {
    fn from(error: LedgerError) -> Self {
        Self { code: error.code(), message: error.to_string() }
    }
}

impl From<ArchiveError> for Refusal {
    fn from(error: ArchiveError) -> Self {
        Self { code: error.code(), message: error.to_string() }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self { code: error.code(), message: error.to_string() }
    }
}

impl From<SecretError> for Refusal {
    fn from(error: SecretError) -> Self {
        Self { code: error.code(), message: error.to_string() }
    }
}

impl From<SettingsFaults> for Refusal {
    fn from(faults: SettingsFaults) -> Self {
        Self::settings(faults.to_string())
    }
}

impl From<Unbound> for Refusal {
    fn from(unbound: Unbound) -> Self {
        match unbound {
            Unbound::Elsewhere(message) => Self { code: "ledger-bound-elsewhere", message },
            Unbound::Ledger(error) => error.into(),
        }
    }
}
