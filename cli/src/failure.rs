//! Exit codes, and the one message that comes with each.

use std::process::ExitCode;

use callvault_bootstrap::settings::SettingsFaults;
use callvault_calls::store::StoreError;
use callvault_pipeline::archive::ArchiveError;
use callvault_pipeline::ledger::LedgerError;
use callvault_pipeline::stages::Fault;

/// Why a command ended early.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    messages: Vec<String>,
}

/// Usage or settings: nothing was begun.
const USAGE: u8 = 2;

/// Could not go on: what was done stays, run again.
const STOPPED: u8 = 3;

impl Failure {
    /// What was asked for cannot be done as it was asked.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, messages: vec![message.into()] }
    }

    /// It could not go on.
    pub(crate) fn stopped(message: impl Into<String>) -> Self {
        Self { code: STOPPED, messages: vec![message.into()] }
    }

    /// What is wrong, for another place than stderr.
    pub(crate) fn text(&self) -> String {
        self.messages.join("; ")
    }

    /// Says what is wrong on stderr.
    #[expect(clippy::print_stderr, reason = "the last words of a command are for people, not for logs")]
    pub(crate) fn report(&self) -> ExitCode {
        for message in &self.messages {
            eprintln!("callvault: {message}");
        }
        ExitCode::from(self.code)
    }
}

impl From<SettingsFaults> for Failure {
    fn from(faults: SettingsFaults) -> Self {
        Self { code: USAGE, messages: faults.0 }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Settings(message) => Self::usage(message),
            other => Self::stopped(other.to_string()),
        }
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Self::stopped(error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::stopped(error.to_string())
    }
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        Self::stopped(error.to_string())
    }
}
