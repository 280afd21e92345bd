//! The ledgers, and the wrappers around them.

use std::sync::Arc;

use callvault_local::sqlite::SqliteLedger;
use callvault_pipeline::ledger::HolderId;
use callvault_pipeline::ledger::memory::MemoryLedger;
use callvault_tests::contract_ledger::t;
use callvault_tests::faulty::{FaultyLedger, PromptLedger, Script};
use callvault_tests::ledger_contract;
use tempfile::TempDir;

async fn in_memory() -> ((), MemoryLedger) {
    ((), MemoryLedger::new())
}

async fn in_a_file() -> (TempDir, SqliteLedger) {
    let folder = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(&folder.path().join("l"), HolderId("one".to_owned()), t(0)).unwrap();
    (folder, ledger)
}

async fn wrapped() -> ((), FaultyLedger<MemoryLedger>) {
    ((), FaultyLedger::new(Arc::new(MemoryLedger::new()), Script::quiet().pace(vec![0, 1, 3])))
}

async fn prompt() -> (TempDir, PromptLedger<SqliteLedger>) {
    let (folder, ledger) = in_a_file().await;
    (folder, PromptLedger(ledger))
}

ledger_contract!(memory, crate::ledgers::in_memory);
ledger_contract!(sqlite, crate::ledgers::in_a_file);
ledger_contract!(faulty, crate::ledgers::wrapped);
ledger_contract!(prompt_sqlite, crate::ledgers::prompt);
